"""The technician's page as a report: what it costs the loop, and how it looks. `python -m tools.panel`, six minutes.

The cost is CPU time by turns, without and with a viewer, each of one pass of the clip; at 5 Hz only where the machine
keeps up. `--cost` and `--pictures` (by Chromium) are one of the two alone. Upstream: the daemon on the
demonstration clip. Downstream: tools/reports/panel.
"""

from __future__ import annotations

import argparse
import json
import shutil
import socket
import threading
import time
import urllib.request
from pathlib import Path
from statistics import median, quantiles
from tempfile import TemporaryDirectory
from time import monotonic_ns
from typing import Literal

import cv2
import numpy as np
from playwright.sync_api import Page, sync_playwright

from edged.app import started_daemon
from edged.config.load import load
from edged.daemon import Daemon, Options
from edged.frame import Frame, FrameResult, ImageQuality
from edged.mqtt.embedded_broker import PROTOCOL, EmbeddedBroker
from edged.panel.live_view import LOOK_NS, LiveView
from edged.units import NS_PER_S
from tools.reports.writer import number, table, write

ROOT = Path(__file__).parents[1]
OUT = ROOT / "tools/reports/panel"
TOKEN = "-".join(["token", "of", "the", "report", "0123456789"])
TURN_S, TURNS = 10.0, 3
CLIP_S, COST_TURNS = 20.0, 6  # a turn, so that all see the same; of each kind
CALLS = 200  # of the live view, per figure
INTERVAL_MS = 200.0  # between two frames at 5 Hz
LIMIT_MS = 120_000
QUALITY = 80  # of the WebP files
SITE = """\
[device]
id = "demo"
name = "Demo barn"
state_dir = "{folder}/state"
[mqtt]
host = "{host}"
port = {port}
protocol = "{protocol}"
[panel]
enabled = true
port = {page_port}
token = "{token}"
[evidence]
enabled = true
before_s = 3
after_s = 3
[cameras.stall]
images = true
source = "{clip}"
loop = true
fps = 5
[cameras.stall.stall]
enabled = true
people = "poses"
"""
SCREENS: tuple[tuple[str, int, Literal["light", "dark"]], ...] = (("phone", 390, "light"), ("small", 320, "dark"))
CORNERS = ((24, 311), (618, 355), (532, 169), (188, 152))  # of the floor, px of 640 x 360


def sink_cost_ms(size_wh: tuple[int, int], *, viewer: bool) -> float:
    """CPU time that the live view takes from the loop per frame at 5 Hz, median, in ms."""
    live = LiveView(lambda image, result: image, lambda camera: False, max_rate_hz=5)
    image = np.zeros((size_wh[1], size_wh[0], 3), np.uint8)
    quality = ImageQuality(brightness=100, contrast=100, sharpness=1)
    spent_ms = []
    for seq in range(CALLS):
        t_ns = monotonic_ns()
        captured_ns = seq * NS_PER_S // 5
        if viewer:
            live.forget("a")  # what waits has been drawn
            live.look("a")
        frame = Frame(camera="a", seq=seq, captured_ns=captured_ns, image=image)
        result = FrameResult(
            camera="a",
            seq=seq,
            captured_ns=captured_ns,
            done_ns=t_ns,
            size_wh=size_wh,
            subjects=(),
            quality=quality,
            stage_ns={},
        )
        begin_s = time.thread_time()
        live.on_result(frame, result)
        spent_ms.append(1000 * (time.thread_time() - begin_s))
    return median(spent_ms)


class Viewer:
    """Asks for one picture after the other, as the page does."""

    def __init__(self, address: str) -> None:
        self._address = address
        self._opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor())
        body = json.dumps({"token": TOKEN}).encode()
        headers = {"content-type": "application/json", "origin": address.rstrip("/")}
        request = urllib.request.Request(f"{address}api/login", body, headers)  # noqa: S310  our own address
        self._opener.open(request, timeout=60).close()
        self.first_ms: list[float] = []

    def look(self, seconds: float) -> int:
        """How many pictures came."""
        begin_s, after, pictures = time.monotonic(), 0, 0
        while time.monotonic() < begin_s + seconds:
            with self._opener.open(f"{self._address}api/cameras/stall/frame?after={after}", timeout=60) as answer:
                if answer.status == 200:
                    after, pictures = int(answer.headers["x-number"]), pictures + 1
                    answer.read()
            if pictures == 1 and answer.status == 200:
                self.first_ms.append(1000 * (time.monotonic() - begin_s))
        return pictures


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cost", action="store_true", help="no pictures")
    parser.add_argument("--pictures", action="store_true", help="no figures")
    args = parser.parse_args()
    OUT.mkdir(exist_ok=True)
    with TemporaryDirectory(prefix="panel-") as folder, EmbeddedBroker() as broker:
        page_port = _free_port()
        text = SITE.format(
            page_port=page_port,
            folder=folder,
            host=broker.host,
            port=broker.port,
            protocol=PROTOCOL,
            token=TOKEN,
            clip=ROOT / "tools/demo/stall.mp4",
        )
        (Path(folder) / "state").mkdir()
        (Path(folder) / "edged.toml").write_text(text)
        config, stop = load(Path(folder)), threading.Event()
        options = Options(etc=Path(folder), read_config=lambda: load(Path(folder)))
        with started_daemon(config, options) as daemon:
            loop = threading.Thread(target=daemon.run, args=(stop,))
            loop.start()
            try:
                address = f"http://127.0.0.1:{page_port}/"
                figures = {} if args.pictures else _cost(address) | _loop_cost(address, loop, daemon)
                if not args.cost:
                    _pictures(address)
            finally:
                stop.set()
                loop.join()
    if figures:
        _report(figures)


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


def _cost(address: str) -> dict[str, float]:
    """What a viewer on loopback gets."""
    viewer = Viewer(address)
    viewer.look(TURN_S)  # everything is loaded
    viewer.first_ms.clear()
    pictures = sum(viewer.look(TURN_S) for _ in range(TURNS))
    return {
        "pictures_per_s": pictures / (TURN_S * TURNS),
        "first_picture_ms": median(viewer.first_ms),
        "page_bytes": sum(file.stat().st_size for file in (ROOT / "edged/panel/static").iterdir()),
    }


def _loop_cost(address: str, loop: threading.Thread, daemon: Daemon) -> dict[str, float]:
    """CPU time of the loop's thread and of the process per frame, in ms, by turns, without and with a viewer.

    The ratios are the median and the quartiles of those of a turn with a viewer to the turn before it.
    """
    viewer = Viewer(address)
    clock = time.pthread_getcpuclockid(loop.ident or 0)
    spent: dict[bool, list[tuple[float, float, float]]] = {False: [], True: []}
    for turn in range(2 * COST_TURNS):
        looked = turn % 2 == 1
        if not looked:
            time.sleep(LOOK_NS / NS_PER_S)  # until the viewer before has gone
        before = (time.clock_gettime(clock), time.process_time(), _processed(daemon))
        if looked:
            viewer.look(CLIP_S)
        else:
            time.sleep(CLIP_S)
        after = (time.clock_gettime(clock), time.process_time(), _processed(daemon))
        frames = max(1, after[2] - before[2])
        loop_ms, process_ms = (1000 * (after[place] - before[place]) / frames for place in (0, 1))
        spent[looked].append((loop_ms, process_ms, frames / CLIP_S))
    figures = {
        f"{name}_{'with' if looked else 'without'}": median(turn[place] for turn in turns)
        for looked, turns in spent.items()
        for place, name in enumerate(("loop_cpu_ms", "process_cpu_ms", "frames_per_s"))
    }
    for place, name in enumerate(("loop_cpu", "process_cpu")):
        ratios = [one[place] / none[place] for none, one in zip(spent[False], spent[True], strict=True)]
        low, middle, high = quantiles(ratios, n=4)
        figures |= {f"{name}_ratio_low": low, f"{name}_ratio": middle, f"{name}_ratio_high": high}
    return figures


def _processed(daemon: Daemon) -> int:
    return sum(camera.counts.processed for camera in daemon.cameras().values())


def _pictures(address: str) -> None:
    with sync_playwright() as driver:
        browser = driver.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox", "--disable-dev-shm-usage"]
        )
        for name, width, scheme in SCREENS:
            context = browser.new_context(viewport={"width": width, "height": 780}, color_scheme=scheme, has_touch=True)
            context.set_default_timeout(LIMIT_MS)
            page = context.new_page()
            page.goto(address)
            _keep(page, f"{name}-login")
            page.get_by_label("Token of this device").fill(TOKEN)
            page.get_by_role("button", name="Log in").click()
            page.wait_for_selector("img[data-number]")
            _keep(page, f"{name}-live")
            if name == "phone":
                _walk(page)
            context.close()
        browser.close()


def _walk(page: Page) -> None:
    """Draw the stall, ring, look at the alert and at the device."""
    card = page.locator("article[data-camera=stall]")
    card.get_by_role("button", name="Draw", exact=True).click()
    canvas = card.locator("svg")
    for x, y in CORNERS:
        canvas.scroll_into_view_if_needed()
        box = canvas.bounding_box() or {"x": 0, "y": 0, "width": 1, "height": 1}
        page.touchscreen.tap(box["x"] + x * box["width"] / 640, box["y"] + y * box["height"] / 360)
    card.get_by_label("side 0").fill("4")
    card.get_by_label("side 1").fill("3.5")
    page.wait_for_selector(".measures")
    _keep(page, "phone-draw", whole=True)
    card.get_by_role("button", name="Save", exact=True).click()
    page.wait_for_selector("#message:not([hidden])")
    card.get_by_role("button", name="Close").click()
    card.get_by_text("Test alert").click()
    card.get_by_role("button", name="Ring").click()
    page.get_by_role("tab", name="Alerts (1)").click()
    page.wait_for_selector("video")
    page.wait_for_function("document.querySelector('video').videoWidth > 0")
    _keep(page, "phone-alert", whole=True)
    page.get_by_role("tab", name="Device").click()
    page.get_by_role("button", name="Run doctor").click()
    page.wait_for_selector("#doctor-results li:nth-child(2)")
    _keep(page, "phone-device", whole=True)


def _keep(page: Page, name: str, *, whole: bool = False) -> None:
    page.evaluate("scrollTo(0, 0)")
    picture = cv2.imdecode(np.frombuffer(page.screenshot(full_page=whole), np.uint8), cv2.IMREAD_COLOR)
    cv2.imwrite(str(OUT / f"{name}.webp"), picture, (cv2.IMWRITE_WEBP_QUALITY, QUALITY))


def _report(figures: dict[str, float]) -> None:
    sizes = ((640, 360), (1280, 720), (1920, 1080))
    costs = {size: [sink_cost_ms(size, viewer=viewer) for viewer in (False, True)] for size in sizes}
    rows = [
        (f"{w} x {h}", number(none, 4), number(one, 4), f"{100 * one / INTERVAL_MS:.2f} %")
        for (w, h), (none, one) in costs.items()
    ]
    write(
        OUT,
        [
            "# The technician's page",
            "",
            "`python -m tools.panel`, on a shared server of two cores.",
            "",
            "CPU time that the live view takes from the loop per frame, in ms, at 5 Hz (another thread draws):",
            "",
            *table(("image, px", "nobody looks", "one viewer", "of the loop's 200 ms"), rows),
            "",
            f"CPU time per processed frame on the demo clip, in ms, medians of {COST_TURNS} turns of one pass each, by",
            "turns in one run (the loop's thread; the whole process, with drawing, encoding and HTTP), at",
            f"{figures['frames_per_s_without']:.1f} frames/s without one and {figures['frames_per_s_with']:.1f} with:",
            "",
            *table(
                ("", "nobody looks", "one viewer", "ratio of neighbours, median", "quartiles"),
                [
                    (
                        text,
                        number(figures[f"{name}_ms_without"], 1),
                        number(figures[f"{name}_ms_with"], 1),
                        number(figures[f"{name}_ratio"], 3),
                        f"{figures[f'{name}_ratio_low']:.3f} to {figures[f'{name}_ratio_high']:.3f}",
                    )
                    for text, name in (("loop", "loop_cpu"), ("process", "process_cpu"))
                ],
            ),
            "",
            f"A viewer on loopback got {figures['pictures_per_s']:.1f} pictures a second of a camera at 5 Hz, the",
            f"first after {figures['first_picture_ms']:.0f} ms. The page weighs {figures['page_bytes'] / 1000:.0f} kB.",
            "",
            "![login](phone-login.webp) ![live](phone-live.webp) ![drawing](phone-draw.webp)",
            "![an alert](phone-alert.webp) ![the device](phone-device.webp) ![320 px wide, dark](small-live.webp)",
        ],
        {**figures, "loop_ms": {f"{w}x{h}": pair for (w, h), pair in costs.items()}},
        name="panel",
    )


if __name__ == "__main__":
    main()
