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
    from edged.config.tree import Config
    from edged.daemon import Daemon
    from edged.drawing.recorder import Recorder
    from edged.loop import Sink
    from edged.runtime.log import RecentLines
    from edged.runtime.systemd import Notify

from edged.runtime.threads import SupervisedThread

log = logging.getLogger(__name__)

VERB = "run"
SUMMARY = "Run the daemon: cameras in, keypoints and health out over MQTT."
MODEL_LOAD_LIMIT_S = 300.0  # for models to be loaded, from the slowest card
STOP_LIMIT_S = 1.8  # from a signal to the end; what is not closed by then is as after a power cut, which costs nothing
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
    from edged.commands.views import StderrHandler  # noqa: PLC0415
    from edged.config_check import load_checked  # noqa: PLC0415
    from edged.runtime import systemd as notify  # noqa: PLC0415
    from edged.runtime.allocator import limit_arenas  # noqa: PLC0415
    from edged.runtime.journal import journal  # noqa: PLC0415
    from edged.runtime.log import RecentLines, set_up  # noqa: PLC0415

    limit_arenas()
    recent = RecentLines()
    set_up(journal(os.environ, StderrHandler()) or StderrHandler(), recent_lines=recent)
    first = load_checked(args.config)
    with ExitStack() as stack:
        trial = _with_embedded_broker(stack, first) if args.embedded_broker else {}

        def read() -> Config:
            return _with_arguments(args, load_checked(args.config), trial)

        stop = threading.Event()
        lives = DaemonRunner(args, read, recent, stop, notify.from_environment(os.environ))
        stack.enter_context(_signals(stop, lives.reload, args.seconds))
        return lives.run(_with_arguments(args, first, trial))


class DaemonRunner:
    """The daemon and, after a reload that changes everything, the one that takes its place."""

    def __init__(
        self,
        args: argparse.Namespace,
        read_config: Callable[[], Config],
        recent_lines: RecentLines,
        stop: threading.Event,
        systemd: Notify,
    ) -> None:
        self._args = args
        self._read_config = read_config
        self._recent_lines = recent_lines
        self._stop = stop
        self._systemd = systemd
        self._daemon: Daemon | None = None

    def reload(self) -> None:
        """In a signal handler."""
        if self._daemon is not None:
            self._daemon.reload()

    def run(self, settings: Config) -> int:
        """Until stopped; the exit code. A successor that cannot start makes way for the one before."""
        from edged.errors import ConfigError  # noqa: PLC0415

        before: Config | None = None
        while True:
            try:
                end = self._run_one(settings)
            except ConfigError as exc:
                if before is None:
                    raise
                log.error("%s; the configuration before stays in effect", exc)
                settings, before = before, None
                continue
            if isinstance(end, int):
                return end
            before, settings = settings, end

    def _run_one(self, settings: Config) -> Config | int:
        """One daemon from start to end: its successor, or the exit code."""
        from edged.runtime.allocator import freeze_gc  # noqa: PLC0415

        with ExitStack() as stack:
            made = self._daemon = self._start(stack, settings)
            freeze_gc()
            stack.callback(self._notify_end, made)
            self._systemd.ready()
            made.run(self._stop, self._display_sinks(stack, settings, made), self._systemd)
            lost = self._plays_file(settings) and made.views()[SOURCE_NAME].state.phase == "lost"
        return int(lost) if made.next_config is None else made.next_config

    def _start(self, stack: ExitStack, settings: Config) -> Daemon:
        from edged.app import daemon  # noqa: PLC0415

        drawn, retry = self._args.save_video is not None, not self._plays_file(settings)
        with self._systemd.extend_timeout("loading models", MODEL_LOAD_LIMIT_S):
            return stack.enter_context(
                daemon(
                    settings, display=drawn, retry=retry, read_config=self._read_config, recent_lines=self._recent_lines
                )
            )

    def _notify_end(self, made: Daemon) -> None:
        """Before anything is closed."""
        if made.next_config is None:
            self._systemd.stopping()
        else:
            self._systemd.reloading()

    def _plays_file(self, settings: Config) -> bool:
        return self._args.source is not None and settings.cameras[SOURCE_NAME].source_kind == "files"

    def _display_sinks(self, stack: ExitStack, settings: Config, made: Daemon) -> list[Sink]:
        """What a person sees of it: a video, a table, or nothing."""
        from edged.commands.views import LiveStatus, how_to_subscribe, live  # noqa: PLC0415
        from edged.device.identity import device_id  # noqa: PLC0415

        if self._args.save_video:
            return [_video(stack, settings, made.engines.keypoint_thresholds, self._args.save_video)]
        if not self._args.quiet:
            print(how_to_subscribe(settings.mqtt, device_id(settings.device.id)), flush=True)
            stack.enter_context(live(lambda: LiveStatus(cameras=made.views(), mqtt=made.bus_stats)))
        return []


def _with_arguments(args: argparse.Namespace, settings: Config, trial: Mapping[str, Any]) -> Config:
    """The configuration with what the command line says in its place."""
    if args.source is not None:
        settings = _with_source(settings, args.source, loop=args.loop, every=args.save_video is not None)
    return settings.model_copy(update=trial)


def _with_source(settings: Config, source: str, *, loop: bool, every: bool) -> Config:
    """The configuration with one camera only; `every`: no frame of a file is dropped."""
    from edged.config.given import camera_from_source  # noqa: PLC0415

    camera = camera_from_source(source, loop=loop, realtime=not every)
    return settings.model_copy(update={"cameras": {SOURCE_NAME: camera}})


def _with_embedded_broker(stack: ExitStack, settings: Config) -> dict[str, Any]:
    """What is different in a trial: a broker of our own, and nothing left behind."""
    from edged.config.tables.mqtt import MqttConfig  # noqa: PLC0415
    from edged.mqtt.embedded_broker import PROTOCOL, EmbeddedBroker  # noqa: PLC0415

    broker = stack.enter_context(EmbeddedBroker())
    mqtt = MqttConfig(host=broker.host, port=broker.port, base=settings.mqtt.base, protocol=PROTOCOL)
    state = Path(stack.enter_context(TemporaryDirectory(prefix="edged-")))
    return {"mqtt": mqtt, "device": settings.device.model_copy(update={"state_dir": state})}


def _video(stack: ExitStack, settings: Config, sure_from: dict[str, float], path: Path) -> Recorder:
    """A sink that writes what it sees; its progress bar lives as long as the stack."""
    from edged.drawing.recorder import Recorder  # noqa: PLC0415
    from edged.errors import ConfigError  # noqa: PLC0415

    cameras = settings.enabled_cameras
    if len(cameras) != 1:
        raise ConfigError(f"--save-video wants one camera; enabled: {', '.join(cameras)}. Name one with --source")
    return stack.enter_context(Recorder(path, next(iter(cameras.values())), sure_from))


@contextmanager
def _signals(stop: threading.Event, reload: Callable[[], None], seconds: float | None) -> Iterator[None]:
    """SIGTERM, SIGINT and the end of the time set `stop`. SIGHUP reloads; from a terminal that is closed it stops.

    Models that are being loaded cannot be told to stop: then the process ends as it is, when its time is over.
    """
    limit = SupervisedThread("stop-limit", _exit_now, first_s=STOP_LIMIT_S)

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
    timer = SupervisedThread("stop-after", stop.set, first_s=seconds) if seconds is not None else None
    if timer is not None:
        timer.start()
    try:
        yield
    finally:
        limit.stop()
        if timer is not None:
            timer.stop()
        for number, handler in before.items():
            signal.signal(number, handler)


def _exit_now() -> None:
    log.warning("not closed %g s after the signal: ending as it is", STOP_LIMIT_S)
    logging.shutdown()
    os._exit(0)
