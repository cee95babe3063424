#!/bin/sh
# watchfiles 1.3.0 (Linux), watch() of a file: configurations, certificates and lists are replaced, not written into (a new
# file is renamed over the old one, so that nobody reads a half). The first replacement is told; the watch was on the
# file that has gone with it, and all further ones, and writes into the new file, are not told, for as long as the program
# runs, with no error. What works when it is tried once works once. watchdog 7.1.0 sees each of them, with the same call;
# in watchfiles it has to be the folder.
#
# Seen (four replacements, then one write into the file; of these five, told):
#   watchfiles, the file: 1
#   watchfiles, its folder: 5
#   watchdog, the file: 5
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check watchfiles==1.3.0 watchdog==7.1.0
mkdir "$folder/watched"
"$folder/venv/bin/python" - "$folder/watched" <<'PYTHON'
import os
import queue
import sys
import threading
import time
from pathlib import Path

import watchfiles
from watchdog.events import FileSystemEventHandler
from watchdog.observers import Observer

folder = Path(sys.argv[1])
file, new = folder / "conf", folder / "conf.new"
told: "queue.Queue[None]" = queue.Queue()


def changes() -> int:
    """How many of five changes are told, each within 2 s."""
    time.sleep(1)
    count = 0
    for number in range(5):
        while not told.empty():
            told.get()
        if number < 4:
            new.write_text(str(number))
            time.sleep(0.5)  # what the folder tells of the new file is not meant
            while not told.empty():
                told.get()
            os.replace(new, file)
        else:
            file.write_text("written")
        try:
            told.get(timeout=2)
            count += 1
        except queue.Empty:
            pass
    return count


def by_watchfiles(path: Path) -> int:
    stop = threading.Event()

    def watch() -> None:
        for _ in watchfiles.watch(path, stop_event=stop, debounce=100, step=50, rust_timeout=200):
            told.put(None)

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        return changes()
    finally:
        stop.set()
        thread.join()


def by_watchdog(path: Path) -> int:
    class Handler(FileSystemEventHandler):
        def on_any_event(self, event) -> None:
            if event.event_type in ("moved", "modified"):
                told.put(None)

    observer = Observer()
    observer.schedule(Handler(), str(path))
    observer.start()
    try:
        return changes()
    finally:
        observer.stop()
        observer.join()


file.write_text("first")
for name, watch, path, expected in (
    ("watchfiles, the file", by_watchfiles, file, 1),
    ("watchfiles, its folder", by_watchfiles, folder, 5),
    ("watchdog, the file", by_watchdog, file, 5),
):
    count = watch(path)
    print(f"{name}: {count}")
    assert count == expected, expected
PYTHON
