"""What a first look shows, as a report: `python -m tools.look`, which plays the demonstration for half a minute.

The tables of `make run` and `edged watch` as text of 80 columns; the pictures of `edged send` and a frame of the saved
clip. Upstream: the daemon on configs/demo.toml. Downstream: tools/reports/look.
"""

from __future__ import annotations

import io
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import av
import cv2
import numpy as np
from rich.console import Console, RenderableType

from edged.app import started_daemon
from edged.capture.sources.image_files import load_image
from edged.commands.fleet_view import screen
from edged.commands.live_table import status_table
from edged.commands.views import LiveStatus
from edged.config.load import load
from edged.config.tables.mqtt import MqttConfig
from edged.config.tree import Config
from edged.daemon import Daemon, Options
from edged.drawing.preview import Preview
from edged.frame import U8
from edged.mqtt.embedded_broker import PROTOCOL, EmbeddedBroker
from edged.mqtt.fleet_state import FleetState
from edged.mqtt.request import request_picture
from edged.mqtt.subscribe import subscribe
from edged.secret_address import SecretAddress

ROOT = Path(__file__).parents[1]
OUT = ROOT / "tools/reports/look"
LOOK_AT_S, MORE_S = 14.0, 9.0  # the horse has been lying for some seconds; the saved clip has twenty
QUALITY = 80  # of the WebP files
TIMEOUT_S = 15.0
COLUMNS = 80


def main() -> None:
    OUT.mkdir(exist_ok=True)
    with TemporaryDirectory(prefix="look-") as folder, EmbeddedBroker() as broker:
        mqtt = MqttConfig(host=broker.host, port=broker.port, protocol=PROTOCOL)
        config = demo_config(mqtt, Path(folder))
        screens: list[str] = []
        with started_daemon(config, Options(display=True)) as daemon:
            stop = threading.Event()
            watcher = threading.Thread(target=_watch, args=(daemon, mqtt, screens, stop))
            watcher.start()
            with Preview(
                Path(folder) / "edged-demo", daemon.models.keypoint_thresholds, daemon.scene, print
            ) as preview:
                daemon.run(stop, [preview])
            watcher.join()
        _write("clip", _frame_at(Path(folder) / "edged-demo.mp4", LOOK_AT_S))
        _write("picture", load_image(Path(folder) / "edged-demo.jpg"))
    _report(*screens)


def demo_config(mqtt: MqttConfig, folder: Path) -> Config:
    """configs/demo.toml on that broker, with its state in `folder`, from any current folder."""
    config = load(ROOT / "configs/demo.toml")
    device = config.device.model_copy(update={"state_dir": folder / "state"})
    source = SecretAddress(str(ROOT / "tools/demo/stall.mp4"))
    stall = config.cameras["stall"].model_copy(update={"source": source})
    return config.model_copy(update={"mqtt": mqtt, "device": device, "cameras": {"stall": stall}})


def _watch(daemon: Daemon, mqtt: MqttConfig, screens: list[str], stop: threading.Event) -> None:
    """Follow the broker as `edged watch` does; look at everything once, and end the run."""
    fleet, seen = FleetState(mqtt.base_topic, time.monotonic_ns), threading.Event()
    follow = threading.Thread(
        target=subscribe,
        args=(mqtt, f"{mqtt.base_topic}/#", lambda message: fleet.update(message.topic, message.payload), print, seen),
    )
    follow.start()
    try:
        time.sleep(LOOK_AT_S)
        connection = f"connected to {mqtt.host}:{mqtt.port}"
        screens += [_text(status_table(_status(daemon))), _text(screen(fleet, connection, points=False))]
        for verb in ("snapshot", "day"):
            _fetch(mqtt, verb)
        time.sleep(MORE_S)
    finally:
        seen.set()
        follow.join()
        stop.set()


def _status(daemon: Daemon) -> LiveStatus:
    cameras = daemon.cameras()
    scenes = {camera: daemon.scene(camera) for camera in cameras}
    return LiveStatus(cameras=cameras, mqtt=daemon.mqtt_stats, scenes=scenes)


def _fetch(mqtt: MqttConfig, verb: str) -> None:
    """What `edged send VERB camera=stall --out` gets."""
    _, jpeg = request_picture(mqtt, "demo", verb, {"camera": "stall"}, TIMEOUT_S, picture=f"cam/stall/{verb}")
    if jpeg is None:
        raise RuntimeError(f"{verb}: no picture within {TIMEOUT_S:g} s; run it on a quieter machine")
    _write(verb, np.asarray(cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR), np.uint8))


def _text(shown: RenderableType) -> str:
    out = io.StringIO()
    Console(file=out, width=COLUMNS).print(shown)
    return "\n".join(line.rstrip() for line in out.getvalue().splitlines()).strip("\n")


def _frame_at(clip: Path, at_s: float) -> U8:
    with av.open(str(clip)) as container:
        frames = [frame for frame in container.decode(video=0) if frame.time <= at_s]
    picture: U8 = frames[-1].to_ndarray(format="bgr24")
    return picture


def _write(name: str, picture: U8) -> None:
    cv2.imwrite(str(OUT / f"{name}.webp"), picture, (cv2.IMWRITE_WEBP_QUALITY, QUALITY))


def _report(*screens: str) -> None:
    run, watch = screens
    parts: Sequence[str] = (
        "# A first look",
        "`python -m tools.look`, on a shared server of two cores: what `make run` shows after fourteen seconds.",
        f"`make run`, in 80 columns:\n\n```\n{run}\n```",
        "`edged-demo.jpg`, and a frame of `edged-demo.mp4`:",
        "![the picture](picture.webp) ![a frame of the clip](clip.webp)",
        f"`edged watch`:\n\n```\n{watch}\n```",
        "`edged send snapshot camera=stall --out stall.jpg` and `edged send day camera=stall --out day.jpg`:",
        "![the snapshot](snapshot.webp)\n\n![the day](day.webp)",
    )
    (OUT / "README.md").write_text("\n\n".join(parts) + "\n", "utf-8")


if __name__ == "__main__":
    main()
