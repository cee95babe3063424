"""`edged run`: the daemon in the foreground, as systemd starts it or as a person tries it."""

from __future__ import annotations

import argparse
import signal
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from edged.adapters.recorder import Recorder
    from edged.config import Config
    from edged.loop import Sink

VERB = "run"
SUMMARY = "Run the daemon: cameras in, keypoints and health out over MQTT."
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
    from edged.adapters.terminal import Glance, LogLines, how_to_subscribe, live  # noqa: PLC0415
    from edged.configfile import load_consistent  # noqa: PLC0415
    from edged.daemon import daemon  # noqa: PLC0415
    from edged.identity import device_id  # noqa: PLC0415
    from edged.logs import set_up  # noqa: PLC0415

    set_up(LogLines())
    settings = load_consistent(args.config)
    if args.source is not None:
        settings = _with_source(settings, args.source, loop=args.loop, every=args.save_video is not None)
    with ExitStack() as stack:
        stop = stack.enter_context(_stopping(args.seconds))
        if args.embedded_broker:
            settings = _with_broker(stack, settings)
        recorded = args.source is not None and settings.cameras[SOURCE_NAME].kind == "files"
        made = stack.enter_context(daemon(settings, display=args.save_video is not None, retry=not recorded))
        sinks: list[Sink] = []
        if args.save_video:
            sinks.append(_video(stack, settings, made.engines.sure_from, args.save_video))
        elif not args.quiet:
            print(how_to_subscribe(settings.mqtt, device_id(settings.device.id)), flush=True)
            stack.enter_context(live(lambda: Glance(cameras=made.views(), bus=made.bus_figures)))
        made.run(stop, sinks)
        lost = recorded and made.views()[SOURCE_NAME].state.phase == "lost"
    return 1 if lost else 0


def _with_source(settings: Config, source: str, *, loop: bool, every: bool) -> Config:
    """The configuration with one camera only; `every`: no frame of a file is dropped."""
    from edged.configfile import camera_at  # noqa: PLC0415

    camera = camera_at(source, loop=loop, realtime=not every)
    return settings.model_copy(update={"cameras": {SOURCE_NAME: camera}})


def _with_broker(stack: ExitStack, settings: Config) -> Config:
    """The configuration for a trial: a broker of our own, and nothing left behind."""
    from edged.adapters.broker import PROTOCOL, EmbeddedBroker  # noqa: PLC0415
    from edged.config import Mqtt  # noqa: PLC0415

    broker = stack.enter_context(EmbeddedBroker())
    mqtt = Mqtt(host=broker.host, port=broker.port, base=settings.mqtt.base, protocol=PROTOCOL)
    state = Path(stack.enter_context(TemporaryDirectory(prefix="edged-")))
    device = settings.device.model_copy(update={"state": state})
    return settings.model_copy(update={"mqtt": mqtt, "device": device})


def _video(stack: ExitStack, settings: Config, sure_from: dict[str, float], path: Path) -> Recorder:
    """A sink that writes what it sees; its progress bar lives as long as the stack."""
    from edged.adapters.recorder import Recorder  # noqa: PLC0415
    from edged.daemon import enabled  # noqa: PLC0415
    from edged.errors import ConfigError  # noqa: PLC0415

    cameras = enabled(settings)
    if len(cameras) != 1:
        raise ConfigError(f"--save-video wants one camera; enabled: {', '.join(cameras)}. Name one with --source")
    return stack.enter_context(Recorder(path, next(iter(cameras.values())), sure_from))


@contextmanager
def _stopping(seconds: float | None) -> Iterator[threading.Event]:
    """An event set by SIGTERM, SIGINT, or when the time is up."""
    stop = threading.Event()
    before = {number: signal.signal(number, lambda *_: stop.set()) for number in (signal.SIGTERM, signal.SIGINT)}
    timer = threading.Timer(seconds, stop.set) if seconds is not None else None
    if timer is not None:
        timer.daemon = True
        timer.start()
    try:
        yield stop
    finally:
        if timer is not None:
            timer.cancel()
        for number, handler in before.items():
            signal.signal(number, handler)
