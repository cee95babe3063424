"""The technician's page as a report: what it costs the loop, and how it looks. `python -m tools.panel`, two minutes.

Viewer and no viewer take turns in one run; what is compared is CPU time of the loop's thread, which a busy machine
does not distort. Pictures by Chromium. Upstream: the daemon on the demonstration clip. Downstream: tools/reports/panel.
"""

from __future__ import annotations

import json
import shutil
import socket
import threading
import time
import urllib.request
from pathlib import Path
from statistics import mean, median
from tempfile import TemporaryDirectory
from typing import Literal

import cv2
import numpy as np
from playwright.sync_api import Page, sync_playwright

from edged.app import started_daemon
from edged.config.load import load
from edged.daemon import Options
from edged.frame import Frame, FrameResult
from edged.mqtt.embedded_broker import PROTOCOL, EmbeddedBroker
from tools.reports.writer import number, table, write

ROOT = Path(__file__).parents[1]
OUT = ROOT / "tools/reports/panel"
TOKEN = "-".join(["token", "of", "the", "report", "0123456789"])
TURN_S, TURNS = 10.0, 8
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


class LoopClock:
    """CPU time of the loop's thread per frame, in ms, by whether somebody looks."""

    def __init__(self) -> None:
        self.viewer = False
        self.frame_ms: dict[bool, list[float]] = {True: [], False: []}
        self._before_s: float | None = None

    def __call__(self, frame: Frame, result: FrameResult) -> None:
        now_s = time.thread_time()
        if self._before_s is not None:
            self.frame_ms[self.viewer].append(1000 * (now_s - self._before_s))
        self._before_s = now_s


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
        (Path(folder) / "edged.toml").write_text(text)
        config, clock, stop = load(Path(folder)), LoopClock(), threading.Event()
        options = Options(etc=Path(folder), read_config=lambda: load(Path(folder)))
        with started_daemon(config, options) as daemon:
            loop = threading.Thread(target=daemon.run, args=(stop, [clock]))
            loop.start()
            try:
                address = f"http://127.0.0.1:{page_port}/"
                figures = _cost(address, clock)
                _pictures(address)
            finally:
                stop.set()
                loop.join()
    _report(figures)


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


def _cost(address: str, clock: LoopClock) -> dict[str, float]:
    """Medians and means of both turns."""
    viewer, pictures = Viewer(address), 0
    viewer.look(TURN_S)  # everything is loaded
    viewer.first_ms.clear()
    for turn in range(TURNS):
        clock.viewer = turn % 2 == 1
        if clock.viewer:
            pictures += viewer.look(TURN_S)
        else:
            time.sleep(TURN_S)
    without, looked_at = clock.frame_ms[False], clock.frame_ms[True]
    return {
        "frames_without": len(without),
        "frames_with": len(looked_at),
        "median_ms_without": median(without),
        "median_ms_with": median(looked_at),
        "mean_ms_without": mean(without),
        "mean_ms_with": mean(looked_at),
        "pictures_per_s": pictures / (TURN_S * TURNS / 2),
        "first_picture_ms": median(viewer.first_ms),
        "page_bytes": sum(file.stat().st_size for file in (ROOT / "edged/panel/static").iterdir()),
    }


def _pictures(address: str) -> None:
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
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
    picture = cv2.imdecode(np.frombuffer(page.screenshot(full_page=whole), np.uint8), cv2.IMREAD_COLOR)
    cv2.imwrite(str(OUT / f"{name}.webp"), picture, (cv2.IMWRITE_WEBP_QUALITY, QUALITY))


def _report(figures: dict[str, float]) -> None:
    more = figures["mean_ms_with"] - figures["mean_ms_without"]
    rows = [
        (name, figures[f"frames_{key}"], *(number(figures[f"{of}_ms_{key}"]) for of in ("median", "mean")))
        for name, key in (("nobody looks", "without"), ("one viewer", "with"))
    ]
    write(
        OUT,
        [
            "# The technician's page",
            "",
            f"`python -m tools.panel`: a camera at 5 Hz; {TURNS} turns of {TURN_S:g} s, with a viewer and without.",
            "",
            "CPU time of the loop's thread per frame, in ms:",
            "",
            *table(("", "frames", "median", "mean"), rows),
            "",
            f"With a viewer {more:+.2f} ms a frame, {100 * more / 200:.1f} % of the 200 ms between two frames.",
            f"{figures['pictures_per_s']:.1f} pictures a second; the first after {figures['first_picture_ms']:.0f} ms.",
            f"The page weighs {figures['page_bytes'] / 1000:.0f} kB.",
            "",
            "![login](phone-login.webp) ![live](phone-live.webp) ![drawing](phone-draw.webp)",
            "![an alert](phone-alert.webp) ![the device](phone-device.webp) ![320 px wide, dark](small-live.webp)",
        ],
        figures,
        name="panel",
    )


if __name__ == "__main__":
    main()
