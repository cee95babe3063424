"""`edged run`: the daemon in the foreground, as systemd starts it or as a person tries it."""

from __future__ import annotations

import argparse
import logging
import os
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from functools import partial
from importlib import import_module
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from edged.app import DaemonRunner
from edged.commands.argument_types import config_file, seconds
from edged.commands.live_status import live
from edged.commands.views import LiveStatus, StderrHandler, how_to_subscribe
from edged.config.load import ETC, camera_from_source
from edged.config.tables.mqtt import MqttConfig
from edged.config.tree import Config
from edged.config_check import load_checked
from edged.daemon import Daemon, Options
from edged.device.identity import device_id
from edged.errors import ConfigError, NotWritten
from edged.loop import Sink
from edged.provisioning.fleet_settings import FleetSettings
from edged.runtime import systemd
from edged.runtime.allocator import limit_arenas
from edged.runtime.log import RecentLines, journal_handler, set_up
from edged.runtime.signals import stop_after, stop_on_signals
from edged.runtime.threads import log_uncaught

log = logging.getLogger(__name__)

SOURCE_NAME = "camera"  # what a camera given by --source is called


def arguments(parser: argparse.ArgumentParser) -> None:
    config_file(parser)
    parser.add_argument("--source", help="device, stream, video, image or folder, in place of the configured cameras")
    parser.add_argument("--loop", action="store_true", help="play --source again and again")
    parser.add_argument(
        "--embedded-broker",
        action="store_true",
        help="bring an MQTT 3.1.1 broker for trials: on loopback, nothing is kept",
    )
    parser.add_argument(
        "--for",
        dest="seconds",
        type=seconds,
        metavar="SECONDS",
        help="stop by itself after so long; a file not before its first frame was seen",
    )
    parser.add_argument("--save-video", type=Path, metavar="FILE", help="write an annotated video of one camera")
    parser.add_argument(
        "--preview",
        type=Path,
        metavar="NAME",
        help="write NAME.jpg and NAME.mp4: what the first camera sees, annotated",
    )
    parser.add_argument("--quiet", action="store_true", help="no table; the log only")


def run(args: argparse.Namespace) -> int:
    limit_arenas()
    threading.excepthook = log_uncaught
    recent_lines = RecentLines()
    set_up(journal_handler(os.environ) or StderrHandler(), recent_lines=recent_lines)
    trial: dict[str, Any] = {}
    with ExitStack() as stack:

        def read_config() -> Config:
            return _with_arguments(args, load_checked(args.config), trial)

        def options(config: Config) -> Options:
            return Options(
                display=args.save_video is not None or args.preview is not None,
                retry=not _plays_file(args, config),
                read_config=read_config,
                recent_lines=recent_lines,
                etc=_site(args),
            )

        def show(daemon: Daemon, stack: ExitStack) -> Sequence[Sink]:
            if args.seconds is not None:
                begin_s.append(time.monotonic())  # of this daemon: after a reload there may be another
                rest_s = max(0.0, begin_s[0] + args.seconds - begin_s[-1])
                stack.enter_context(stop_after(stop, rest_s, partial(_is_seen, args, daemon)))
            return _display(args, daemon, stack)

        stop, begin_s = threading.Event(), list[float]()
        runner = DaemonRunner(options, stop, systemd.from_environment(os.environ))
        stack.enter_context(stop_on_signals(stop, runner.reload))  # before anything is read that a reload would read
        _end_failed_trial(args)
        config = load_checked(args.config)
        trial |= _with_embedded_broker(stack, config) if args.embedded_broker else {}
        daemon = runner.run(_with_arguments(args, config, trial), show)
    return int(_plays_file(args, daemon.config) and daemon.cameras()[SOURCE_NAME].state.phase == "lost")


def _site(args: argparse.Namespace) -> Path | None:
    """The folder of the site's files; None: the configuration is one file, or a source of the command line."""
    if args.source is not None or (args.config is not None and not args.config.is_dir()):
        return None
    site: Path = args.config or ETC
    return site


def _end_failed_trial(args: argparse.Namespace) -> None:
    """Restore the settings before those of the fleet with which the daemon did not start.

    Where the disk cannot be written it starts with those that there are.
    """
    try:
        if (site := _site(args)) is not None and FleetSettings(site).count_start():
            log.error("the settings of the fleet did not start the daemon: those before are restored")
    except NotWritten as exc:
        log.error("settings of the fleet: %s", exc)


def _plays_file(args: argparse.Namespace, config: Config) -> bool:
    return args.source is not None and config.cameras[SOURCE_NAME].source_kind == "files"


def _is_seen(args: argparse.Namespace, daemon: Daemon) -> bool:
    """Whether a file has given a frame, also one that failed; the loop ends by itself with one that never will."""
    if not _plays_file(args, daemon.config):
        return True
    counts = daemon.cameras()[SOURCE_NAME].counts
    return counts.processed + counts.failed > 0


def _display(args: argparse.Namespace, daemon: Daemon, stack: ExitStack) -> Sequence[Sink]:
    """What a person sees of it: a preview, a video or a table, or nothing."""
    config = daemon.config
    sinks = [_preview(stack, daemon, args.preview)] if args.preview else []
    if args.save_video:
        sinks.append(_video(stack, config, daemon.models.keypoint_thresholds, args.save_video))
    elif not args.quiet:
        print(how_to_subscribe(config.mqtt, device_id(config.device.id)), flush=True)
        stack.enter_context(live(lambda: _status(daemon)))
    return sinks


def _status(daemon: Daemon) -> LiveStatus:
    cameras = daemon.cameras()
    return LiveStatus(
        cameras=cameras, mqtt=daemon.mqtt_stats, scenes={camera: daemon.scene(camera) for camera in cameras}
    )


def _preview(stack: ExitStack, daemon: Daemon, stem: Path) -> Sink:
    say = partial(print, flush=True)
    preview = import_module("edged.drawing.preview")
    sink: Sink = stack.enter_context(preview.Preview(stem, daemon.models.keypoint_thresholds, daemon.scene, say))
    return sink


def _with_arguments(args: argparse.Namespace, config: Config, trial: Mapping[str, Any]) -> Config:
    """The configuration with what the command line says in its place."""
    if args.source is not None:
        config = _with_source(config, args.source, loop=args.loop, every=args.save_video is not None)
    return config.model_copy(update=trial)


def _with_source(config: Config, source: str, *, loop: bool, every: bool) -> Config:
    """The configuration with one camera only; `every`: no frame of a file is dropped."""
    camera = camera_from_source(source, loop=loop, realtime=not every)
    return config.model_copy(update={"cameras": {SOURCE_NAME: camera}})


def _with_embedded_broker(stack: ExitStack, config: Config) -> dict[str, Any]:
    """What is different in a trial: a broker of our own, and nothing left behind."""
    embedded = import_module("edged.mqtt.embedded_broker")
    broker = stack.enter_context(embedded.EmbeddedBroker())
    mqtt = MqttConfig(host=broker.host, port=broker.port, base_topic=config.mqtt.base_topic, protocol=embedded.PROTOCOL)
    state = Path(stack.enter_context(TemporaryDirectory(prefix="edged-")))
    return {"mqtt": mqtt, "device": config.device.model_copy(update={"state_dir": state})}


def _video(stack: ExitStack, config: Config, sure_from: dict[str, float], path: Path) -> Sink:
    """A sink that writes what it sees; its progress bar lives as long as the stack."""
    cameras = config.enabled_cameras
    if len(cameras) != 1:
        raise ConfigError(f"--save-video wants one camera; enabled: {', '.join(cameras)}. Name one with --source")
    recorder = import_module("edged.drawing.recorder")
    sink: Sink = stack.enter_context(recorder.Recorder(path, next(iter(cameras.values())), sure_from))
    return sink
