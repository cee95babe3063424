"""Builds the daemon's parts, starts them, and closes them in reverse; runs one daemon after the other.

Upstream: `edged run`. Downstream: `edged.daemon`.
"""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from importlib import import_module
from pathlib import Path
from time import monotonic_ns

from edged.behaviour.alerts import Alert
from edged.behaviour.horse.stall_monitors import StallMonitors
from edged.behaviour.monitor import SceneMonitor
from edged.behaviour.view_monitor import ViewMonitors
from edged.behaviour.words import describe_scene
from edged.capture.hub import CameraHub
from edged.capture.make_camera import make_camera
from edged.capture.sources.v4l2_device import usb_port
from edged.config.tree import Config, require_cameras
from edged.control.dispatcher import CommandDispatcher
from edged.control.frame_grabber import GrabbedFrame
from edged.control.handlers import CommandHandlers, Pictures
from edged.control.switches import CameraSwitches
from edged.daemon import Annotator, Daemon, Options, Parts, warn_of_fixed_regions
from edged.device.identity import device_id
from edged.device.info import discovery_device
from edged.device.recovery import CameraRecovery, RebootBudget
from edged.device.supervisor import DeviceSupervisor
from edged.drawing.annotate import annotate
from edged.drawing.day import draw_day
from edged.drawing.image_file import encode_jpeg
from edged.drawing.side_view import beside
from edged.errors import ConfigError, StateInUse
from edged.evidence.store import EvidenceStore
from edged.frame import U8, FrameResult
from edged.inference.engine_builder import build_service
from edged.inference.load_models import load_models
from edged.live_state import LiveState, Overview
from edged.loop import Sink
from edged.messages import build, topics
from edged.messages.build import HeaderFactory
from edged.mqtt.client import MqttBus
from edged.mqtt.homeassistant import DiscoveryPublisher
from edged.mqtt.retained_cameras import RetainedCameras
from edged.provisioning.fleet_settings import FleetSettings
from edged.provisioning.signature import signers
from edged.publisher import Publisher
from edged.runtime.allocator import freeze_gc
from edged.runtime.clock import Clock
from edged.runtime.state_lock import locked_state
from edged.runtime.systemd import Notify, runtime_directory
from edged.units import BYTES_PER_KB

log = logging.getLogger(__name__)

MODEL_LOAD_LIMIT_S = 300.0  # on the slowest card

Show = Callable[[Daemon, ExitStack], Sequence[Sink]]  # what a person sees of it, closed with the stack


def build_parts(config: Config, options: Options, stack: ExitStack) -> Parts:
    """All parts, none of them started. `stack` closes what is open from its making on.

    A model that is missing is left out, and reported. Raises ConfigError before anything of it is open.
    """
    headers, builds = HeaderFactory(Clock()), build_service(config)
    switches = CameraSwitches(config.device.state_dir / "switches.json", lambda: headers.utc_ms(monotonic_ns()))
    state = _live_state(config, switches.in_effect(config), options, stack)
    bus = _bus(config, headers, stack)
    publisher = Publisher(bus, headers, config.publish, state.cameras)
    hub = _hub(state, publisher, options)
    recovery = CameraRecovery(usb_port, budget=RebootBudget.from_config(config.device))
    overview = Overview(state, hub, publisher, recovery, builds)
    stalls, views = _stall_monitors(state, hub), ViewMonitors(state.monitored.floors, config.device.state_dir)
    scenes = _scenes(state=state, headers=headers, bus=bus, overview=overview, stalls=stalls, views=views)
    evidence, draw, discovery = _evidence_store(config), _annotator(state, scenes), _discovery(state, bus)
    handlers = _handlers(state, scenes, stalls, draw, evidence, bus=bus, headers=headers, hub=hub, publisher=publisher)
    return Parts(
        options=options,
        state=state,
        switches=switches,
        headers=headers,
        bus=bus,
        hub=hub,
        publish=publisher,
        grab=handlers.grabber,
        behaviour=stalls,
        view=views,
        scenes=scenes,
        recovery=recovery,
        supervisor=_supervisor(config, headers, bus, overview, hub=hub, scenes=scenes),
        retained=_retained_cameras(config, bus, discovery),
        discovery=discovery,
        dispatcher=_dispatcher(config, headers, bus, handlers),
        handlers=handlers.table,
        evidence=evidence,
        draw=draw,
        engine_builds=builds,
        overview=overview,
    )


@contextmanager
def started_daemon(config: Config, options: Options | None = None) -> Iterator[Daemon]:
    """A daemon whose parts run, but for the loop. Raises ConfigError and StateInUse before anything is open.

    The health published last, once everything else has stopped, accounts for every frame.
    """
    with ExitStack() as stack:
        require_cameras(config)
        stack.enter_context(locked_state(config.device.state_dir))
        parts = build_parts(config, options or Options(), stack)
        daemon = Daemon(parts)
        warn_of_fixed_regions(parts.state.cameras, parts.state.cameras)
        daemon.publish_info()
        parts.retained.keep(parts.state.base.enabled_cameras)
        daemon.publish_switches()
        _start_metrics(config, parts, stack)
        _start_evidence(config, parts, daemon, stack)
        _start_panel(config, daemon, stack)
        _start_fleet(config, daemon, stack)
        for part in (parts.supervisor, parts.scenes, parts.hub, parts.discovery, parts.dispatcher, parts.switches):
            stack.callback(part.close)
            part.start()
        if parts.engine_builds is not None:
            stack.callback(parts.engine_builds.close)
            parts.engine_builds.start(daemon.on_engine_ready)
        yield daemon


class DaemonRunner:
    """Runs a daemon, and after a reload that changes everything the next one."""

    def __init__(self, options: Callable[[Config], Options], stop: threading.Event, systemd: Notify) -> None:
        self._options = options
        self._stop = stop
        self._systemd = systemd
        self._daemon: Daemon | None = None
        self._reload_asked = False  # while there was no daemon yet

    def reload(self) -> None:
        """Signal handlers may call it."""
        if self._daemon is not None:
            self._daemon.reload()
        else:
            self._reload_asked = True

    def run(self, config: Config, show: Show) -> Daemon:
        """The last daemon, closed: until `stop` is set, or every source has ended. Raises ConfigError, Fatal.

        Where the next one cannot start, the one before runs again.
        """
        before: Config | None = None
        while True:
            try:
                daemon = self._run_one(config, show)
            except (ConfigError, StateInUse) as exc:
                if before is None:
                    raise
                log.error("%s; the configuration before stays in effect", exc)
                config, before = before, None
                continue
            if daemon.next_config is None:
                return daemon
            before, config = config, daemon.next_config

    def _run_one(self, config: Config, show: Show) -> Daemon:
        with ExitStack() as stack:
            with self._systemd.extend_timeout("loading models", MODEL_LOAD_LIMIT_S):
                daemon = stack.enter_context(started_daemon(config, self._options(config)))
            before, self._daemon = self._daemon, daemon  # from here on it gets what a signal asks for
            if before is not None:
                daemon.parts.dispatcher.take_over(before.parts.dispatcher)
            elif self._reload_asked:
                daemon.reload()
            freeze_gc()
            stack.callback(self._notify_end, daemon)
            self._systemd.ready()
            daemon.run(self._stop, show(daemon, stack), self._systemd)
        return daemon

    def _notify_end(self, daemon: Daemon) -> None:
        """Before anything is closed."""
        if daemon.next_config is None:
            self._systemd.stopping()
        else:
            self._systemd.reloading()


def _live_state(base: Config, config: Config, options: Options, stack: ExitStack) -> LiveState:
    """`config` is what is in effect of `base`, the files'."""
    models = load_models(config.models_in_use, config.compute, allow_missing=True, cameras=len(base.enabled_cameras))
    state = LiveState(config, models, display=options.display, base=base)
    stack.callback(lambda: state.models.backend.close())  # noqa: PLW0108  those in use by then
    return state


def _bus(config: Config, headers: HeaderFactory, stack: ExitStack) -> MqttBus:
    """Connecting from now on: what is published waits in it."""
    bus = MqttBus(
        config.mqtt,
        device_id(config.device.id),
        lambda state: build.device_status(headers, state),
        config.publish,
        store_path=config.device.state_dir / "outbox.db",
    )
    stack.callback(bus.close)
    return bus


def _hub(state: LiveState, publisher: Publisher, options: Options) -> CameraHub:
    cameras = {name: (camera, make_camera(name, camera, raw=True)) for name, camera in state.cameras.items()}
    return CameraHub(cameras, publisher.publish_camera_status, retry=options.retry)


def _stall_monitors(state: LiveState, hub: CameraHub) -> StallMonitors:
    folder, monitored = state.config.device.state_dir, state.monitored
    return StallMonitors(monitored.stalls, state.horse_keypoint_threshold, folder, monitored.aisles, hub.set_idle_rate)


def _scenes(
    *,
    state: LiveState,
    headers: HeaderFactory,
    bus: MqttBus,
    overview: Overview,
    stalls: StallMonitors,
    views: ViewMonitors,
) -> SceneMonitor:
    file = state.config.device.state_dir / "days.json"
    return SceneMonitor(bus, headers, overview.readings, state.monitored, stalls=stalls, views=views, state_file=file)


def _annotator(state: LiveState, scenes: SceneMonitor) -> Annotator:
    def draw(image: U8, result: FrameResult) -> U8:
        scene = describe_scene(scenes.latest_states.get(result.camera))
        return annotate(image, result, state.models.keypoint_thresholds, scene)

    return draw


def _handlers(
    state: LiveState,
    scenes: SceneMonitor,
    stalls: StallMonitors,
    draw: Annotator,
    evidence: EvidenceStore,
    *,
    bus: MqttBus,
    headers: HeaderFactory,
    hub: CameraHub,
    publisher: Publisher,
) -> CommandHandlers:
    def picture(grabbed: GrabbedFrame) -> U8:
        camera, drawn = state.cameras.get(grabbed.result.camera), draw(grabbed.image, grabbed.result)
        return beside(drawn, grabbed.result) if camera is not None and camera.lift else drawn

    return CommandHandlers(
        config=lambda: state.config,
        bus=bus,
        headers=headers,
        hub=hub,
        publisher=publisher,
        alerts=scenes.alerts,
        days_of=stalls.days,
        pictures=Pictures(frame=picture, day=draw_day, encode=encode_jpeg),
        evidence=evidence,
    )


def _evidence_store(config: Config) -> EvidenceStore:
    limits = config.evidence
    return EvidenceStore(config.device.state_dir / "evidence", max_mb=limits.max_mb, max_days=limits.max_days)


def _supervisor(
    config: Config, headers: HeaderFactory, bus: MqttBus, overview: Overview, *, hub: CameraHub, scenes: SceneMonitor
) -> DeviceSupervisor:
    return DeviceSupervisor(
        config,
        headers,
        bus,
        views=overview.cameras,
        models=overview.models,
        set_max_rate=hub.set_max_rate,
        blind=lambda: scenes.down.blind,
    )


def _retained_cameras(config: Config, bus: MqttBus, discovery: DiscoveryPublisher) -> RetainedCameras:
    root = f"{config.mqtt.base_topic}/{device_id(config.device.id)}"
    return RetainedCameras(bus, config.device.state_dir / "cameras.json", root, discovery.remove_former)


def _discovery(state: LiveState, bus: MqttBus) -> DiscoveryPublisher:
    config = state.base
    device = discovery_device(config, device_id(config.device.id), state.known_classes)
    announced = config.device.state_dir / "announced.json"
    return DiscoveryPublisher(bus, device, announced, enabled=config.homeassistant.enabled)


def _dispatcher(config: Config, headers: HeaderFactory, bus: MqttBus, handlers: CommandHandlers) -> CommandDispatcher:
    root = f"{config.mqtt.base_topic}/{device_id(config.device.id)}/"
    return CommandDispatcher(
        bus, headers, handlers.table, config.commands.allow, root=root, response_topics=config.commands.response_topics
    )


def _start_metrics(config: Config, parts: Parts, stack: ExitStack) -> None:
    if config.prometheus.enabled:
        address, supervisor = config.prometheus, parts.supervisor
        prometheus, scene_metrics = map(import_module, ("edged.device.prometheus", "edged.device.scene_metrics"))
        health = prometheus.HealthCollector(lambda: supervisor.latest_health)
        scenes = scene_metrics.SceneCollector(lambda: parts.scenes.latest_states, parts.behaviour.days)
        server = prometheus.MetricsServer(address.host, address.port, health, scenes)
        stack.callback(server.close)


def _start_evidence(config: Config, parts: Parts, daemon: Daemon, stack: ExitStack) -> None:
    """Stills and clips of alerts, from now on."""
    if not config.evidence.enabled:
        return

    def publish_still(alert: Alert, jpeg: bytes) -> None:
        parts.bus.publish(topics.ALERT_STILL.at(camera=alert.camera, alert_id=alert.id), jpeg)

    recorder = import_module("edged.evidence.recorder").EvidenceRecorder(
        config.evidence,
        parts.evidence,
        cameras=lambda: parts.state.cameras,
        draw=parts.draw,
        publish_still=publish_still,
        max_still_bytes=lambda: parts.state.config.commands.snapshot_max_kb * BYTES_PER_KB,
    )
    daemon.add_sink(recorder.on_result)
    parts.scenes.on_alert = recorder.on_alert
    stack.callback(recorder.close)
    recorder.start()


def _start_panel(config: Config, daemon: Daemon, stack: ExitStack) -> None:
    """The technician's page; its libraries are an extra. Raises ConfigError."""
    if not config.panel.enabled:
        return
    try:
        panel = import_module("edged.panel.server")
    except ImportError as exc:
        text = (
            f"panel.enabled = true: {exc.name} is not installed; in a clone: pip install '.[panel]'; or switch it off"
        )
        raise ConfigError(text, "panel-extra") from exc
    stack.enter_context(panel.serving(config, daemon))


def _start_fleet(config: Config, daemon: Daemon, stack: ExitStack) -> None:
    """Messages for the device's group, from now on."""
    if config.fleet.group is None:
        return
    fleet = import_module("edged.control.fleet")
    parts, etc = daemon.parts, daemon.parts.options.etc
    site = fleet.FleetSite(
        group=config.fleet.group,
        device=device_id(config.device.id),
        base=config.mqtt.base_topic,
        state_file=config.device.state_dir / "fleet.json",
        settings=FleetSettings(etc) if etc else None,
        runtime_dir=runtime_directory(os.environ),
        keys=partial(signers, Path("/")),
        clock_synced=lambda: parts.headers.synced,
    )
    member = fleet.FleetMember(
        site, parts.bus, parts.headers, reload=daemon.reload_now, in_effect=daemon.runs_with_its_files
    )
    stack.callback(member.close)
    member.start()
