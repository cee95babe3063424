"""`edged run`: the daemon in the foreground, as systemd starts it or as a person tries it."""

from __future__ import annotations

import argparse
import logging
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from edged.adapters.notify import Notify
    from edged.adapters.recorder import Recorder
    from edged.config import Config
    from edged.daemon import Daemon
    from edged.logs import Recent
    from edged.loop import Sink

log = logging.getLogger(__name__)

VERB = "run"
SUMMARY = "Run the daemon: cameras in, keypoints and health out over MQTT."
LOAD_S = 300.0  # for models to be loaded, from the slowest card
PROMISED_S = 1.8  # from a signal to the end; what is not closed by then is as after a power cut, which costs nothing
SOURCE_NAME = "camera"  # what a camera given by --source is called


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--config", type=Path, metavar="FILE", help="default: /etc/edged and its conf.d")
    parser.add_argument("--source", help="device, stream, video, image or folder, in place of the configured cameras")
    parser.add_argument("--loop", action="store_true", help="play --source again and again")
    parser.add_argument("--embedded-broker", action="store_true", help="bring an MQTT broker along, on loopback")
    parser.add_argument("--for", dest="seconds", type=seconds, metavar="SECONDS", help="stop by itself after so long")
    parser.add_argument("--save-video", type=Path, metavar="FILE", help="write an annotated video of one camera")
    parser.add_argument("--quiet", action="store_true", help="no table; the log only")


def seconds(text: str) -> float:
    """A duration that a timer can wait for. Raises ArgumentTypeError."""
    value = float(text)
    if not 0 < value <= threading.TIMEOUT_MAX:  # false for NaN too
        raise argparse.ArgumentTypeError(f"{text}: want a number of seconds above 0")
    return value


def run(args: argparse.Namespace) -> int:
    from edged.adapters import notify  # noqa: PLC0415
    from edged.adapters.journal import journal  # noqa: PLC0415
    from edged.adapters.terminal import LogLines  # noqa: PLC0415
    from edged.box.allocator import few_arenas  # noqa: PLC0415
    from edged.configfile import load_consistent  # noqa: PLC0415
    from edged.logs import Recent, set_up  # noqa: PLC0415

    few_arenas()
    recent = Recent()
    set_up(journal(os.environ, LogLines()) or LogLines(), recent=recent)
    first = load_consistent(args.config)
    with ExitStack() as stack:
        trial = _trial(stack, first) if args.embedded_broker else {}

        def read() -> Config:
            return _as_told(args, load_consistent(args.config), trial)

        stop = threading.Event()
        lives = Lives(args, read, recent, stop, notify.from_environment(os.environ))
        stack.enter_context(_signals(stop, lives.reload, args.seconds))
        return lives.run(_as_told(args, first, trial))


class Lives:
    """The daemon and, after a reload that changes everything, the one that takes its place."""

    def __init__(
        self,
        args: argparse.Namespace,
        read: Callable[[], Config],
        recent: Recent,
        stop: threading.Event,
        keeper: Notify,
    ) -> None:
        self._args = args
        self._read = read
        self._recent = recent
        self._stop = stop
        self._keeper = keeper
        self._now: Daemon | None = None

    def reload(self) -> None:
        """In a signal handler."""
        if self._now is not None:
            self._now.reload()

    def run(self, settings: Config) -> int:
        """Until stopped; the exit code. A successor that cannot start makes way for the one before."""
        from edged.errors import ConfigError  # noqa: PLC0415

        before: Config | None = None
        while True:
            try:
                end = self._live(settings)
            except ConfigError as exc:
                if before is None:
                    raise
                log.error("%s; the configuration before stays in effect", exc)
                settings, before = before, None
                continue
            if isinstance(end, int):
                return end
            before, settings = settings, end

    def _live(self, settings: Config) -> Config | int:
        """One daemon from start to end: its successor, or the exit code."""
        from edged.box.allocator import settle  # noqa: PLC0415

        with ExitStack() as stack:
            made = self._now = self._started(stack, settings)
            settle()
            stack.callback(self._ending, made)
            self._keeper.ready()
            made.run(self._stop, self._watched(stack, settings, made), self._keeper)
            lost = self._recorded(settings) and made.views()[SOURCE_NAME].state.phase == "lost"
        return int(lost) if made.successor is None else made.successor

    def _started(self, stack: ExitStack, settings: Config) -> Daemon:
        from edged.serve import daemon  # noqa: PLC0415

        drawn, retry = self._args.save_video is not None, not self._recorded(settings)
        with self._keeper.patience("loading models", LOAD_S):
            return stack.enter_context(
                daemon(settings, display=drawn, retry=retry, read=self._read, recent=self._recent)
            )

    def _ending(self, made: Daemon) -> None:
        """Before anything is closed."""
        if made.successor is None:
            self._keeper.stopping()
        else:
            self._keeper.reloading()

    def _recorded(self, settings: Config) -> bool:
        return self._args.source is not None and settings.cameras[SOURCE_NAME].kind == "files"

    def _watched(self, stack: ExitStack, settings: Config, made: Daemon) -> list[Sink]:
        """What a person sees of it: a video, a table, or nothing."""
        from edged.adapters.terminal import Glance, how_to_subscribe, live  # noqa: PLC0415
        from edged.box.identity import device_id  # noqa: PLC0415

        if self._args.save_video:
            return [_video(stack, settings, made.engines.sure_from, self._args.save_video)]
        if not self._args.quiet:
            print(how_to_subscribe(settings.mqtt, device_id(settings.device.id)), flush=True)
            stack.enter_context(live(lambda: Glance(cameras=made.views(), bus=made.bus_figures)))
        return []


def _as_told(args: argparse.Namespace, settings: Config, trial: Mapping[str, Any]) -> Config:
    """The configuration with what the command line says in its place."""
    if args.source is not None:
        settings = _with_source(settings, args.source, loop=args.loop, every=args.save_video is not None)
    return settings.model_copy(update=trial)


def _with_source(settings: Config, source: str, *, loop: bool, every: bool) -> Config:
    """The configuration with one camera only; `every`: no frame of a file is dropped."""
    from edged.configfile import camera_at  # noqa: PLC0415

    camera = camera_at(source, loop=loop, realtime=not every)
    return settings.model_copy(update={"cameras": {SOURCE_NAME: camera}})


def _trial(stack: ExitStack, settings: Config) -> dict[str, Any]:
    """What is different in a trial: a broker of our own, and nothing left behind."""
    from edged.adapters.broker import PROTOCOL, EmbeddedBroker  # noqa: PLC0415
    from edged.config import Mqtt  # noqa: PLC0415

    broker = stack.enter_context(EmbeddedBroker())
    mqtt = Mqtt(host=broker.host, port=broker.port, base=settings.mqtt.base, protocol=PROTOCOL)
    state = Path(stack.enter_context(TemporaryDirectory(prefix="edged-")))
    return {"mqtt": mqtt, "device": settings.device.model_copy(update={"state": state})}


def _video(stack: ExitStack, settings: Config, sure_from: dict[str, float], path: Path) -> Recorder:
    """A sink that writes what it sees; its progress bar lives as long as the stack."""
    from edged.adapters.recorder import Recorder  # noqa: PLC0415
    from edged.errors import ConfigError  # noqa: PLC0415

    cameras = settings.in_use
    if len(cameras) != 1:
        raise ConfigError(f"--save-video wants one camera; enabled: {', '.join(cameras)}. Name one with --source")
    return stack.enter_context(Recorder(path, next(iter(cameras.values())), sure_from))


@contextmanager
def _signals(stop: threading.Event, reload: Callable[[], None], seconds: float | None) -> Iterator[None]:
    """SIGTERM, SIGINT and the end of the time set `stop`. SIGHUP reloads; from a terminal that is closed it stops.

    Models that are being loaded cannot be told to stop: then the process ends as it is, when its time is over.
    """
    limit = threading.Timer(PROMISED_S, _end_now)
    limit.daemon = True

    def end(*_: object) -> None:
        if not stop.is_set():
            stop.set()
            with suppress(RuntimeError):  # a box without memory has none for a thread; it closes all the same
                limit.start()

    person = sys.stdin is not None and sys.stdin.isatty()
    ends = (signal.SIGTERM, signal.SIGINT, *([signal.SIGHUP] if person else []))
    before = {number: signal.signal(number, end) for number in ends}
    if signal.SIGHUP not in before:
        before[signal.SIGHUP] = signal.signal(signal.SIGHUP, lambda *_: reload())
    timer = threading.Timer(seconds, stop.set) if seconds is not None else None
    if timer is not None:
        timer.daemon = True
        timer.start()
    try:
        yield
    finally:
        limit.cancel()
        if timer is not None:
            timer.cancel()
        for number, handler in before.items():
            signal.signal(number, handler)


def _end_now() -> None:
    log.warning("not closed %g s after the signal: ending as it is", PROMISED_S)
    logging.shutdown()
    os._exit(0)
