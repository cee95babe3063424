"""The daemon while it runs: the loop, reloads, and engines that become ready. `edged.app` builds its parts."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from pathlib import Path
from time import monotonic_ns
from typing import Any

from edged import loop
from edged.behaviour.horse.stall_monitors import StallMonitors
from edged.behaviour.monitor import SceneMonitor
from edged.behaviour.view_monitor import ViewMonitors
from edged.behaviour.words import describe_scene
from edged.capture.camera import Camera
from edged.capture.hub import CameraHub
from edged.capture.make_camera import make_camera
from edged.config.tables.camera import CameraConfig
from edged.config.text import effective
from edged.config.tree import Config, require_cameras
from edged.control.dispatcher import CommandDispatcher, CommandHandler, CommandResult
from edged.control.frame_grabber import FrameGrabber
from edged.control.loop_calls import LoopCalls
from edged.control.reload import ReloadPlan, plan_reload
from edged.control.switches import CameraSwitches
from edged.device.diagnosis import bundle
from edged.device.doctor import quick_checks
from edged.device.health import CameraOverview
from edged.device.identity import device_id
from edged.device.info import discovery_device
from edged.device.recovery import CameraRecovery
from edged.device.supervisor import DeviceSupervisor
from edged.device.watchdog import ServiceManager, Watchdog, WatchdogSnapshot
from edged.errors import CommandRejected, ConfigError, ModelMissing
from edged.evidence.store import EvidenceStore
from edged.frame import U8, FrameResult
from edged.inference.engine_builder import BuiltEngine
from edged.inference.engine_builds import EngineBuildService
from edged.inference.load_models import LoadedModels, load_models
from edged.live_state import LiveState, Overview
from edged.messages import build, topics
from edged.messages.build import HeaderFactory
from edged.messages.commands import Diagnose, Reload
from edged.mqtt.client import MqttBus
from edged.mqtt.homeassistant import DiscoveryPublisher
from edged.mqtt.retained_cameras import RetainedCameras
from edged.mqtt.tls import tls_context
from edged.publisher import Publisher
from edged.runtime import allocator, threads
from edged.runtime.log import RecentLines
from edged.runtime.systemd import Notify
from engines.build.service import BuildJob
from engines.card import Card
from engines.errors import EngineError
from engines.store.engine_store import StoredEngine

log = logging.getLogger(__name__)

APPLY_LIMIT_S = 10.0  # for a change to begin; a frame never takes that long
MODEL_LOAD_LIMIT_S = 120.0
MAX_REASON_CHARS = 4000  # of what is wrong with a configuration
NO_SYSTEMD = Notify()

Annotator = Callable[[U8, FrameResult], U8]  # of an image (H, W, 3) BGR, with its result drawn in
ReadConfig = Callable[[], Config]  # the configuration as it now stands; raises ConfigError


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """How a daemon runs, apart from its configuration."""

    display: bool = False  # its results are drawn
    retry: bool = True  # no: a lost camera is not opened again
    read_config: ReadConfig | None = None  # reads the configuration again; None: there is nothing to read
    recent_lines: RecentLines = field(default_factory=RecentLines)  # the last log lines, for `diagnose`
    etc: Path | None = None  # the site's files, where drawings are written; None: it was started with one file


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """Everything that a daemon is made of. The sinks are called for each result in the order written here."""

    options: Options
    state: LiveState
    switches: CameraSwitches
    headers: HeaderFactory
    bus: MqttBus
    hub: CameraHub
    publish: Publisher
    grab: FrameGrabber  # after `publish`: it takes the frame of the message just published
    behaviour: StallMonitors
    view: ViewMonitors
    scenes: SceneMonitor
    recovery: CameraRecovery
    supervisor: DeviceSupervisor
    retained: RetainedCameras
    discovery: DiscoveryPublisher
    dispatcher: CommandDispatcher
    handlers: Mapping[str, CommandHandler]  # of the dispatcher, by verb
    evidence: EvidenceStore
    draw: Annotator
    engine_builds: EngineBuildService | None
    overview: Overview


class Daemon:
    """Runs the loop over `parts`, and changes what `parts.state` holds between two frames."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._state = parts.state
        self._loop_calls = LoopCalls()
        self._built: dict[str, BuiltEngine] = {}  # engines that may be used, by model
        self._more_sinks: list[loop.Sink] = []
        parts.dispatcher.register("reload", self._reload)
        parts.dispatcher.register("diagnose", self._diagnose)
        parts.dispatcher.register("switch", parts.switches.switch)
        parts.dispatcher.register("profile", parts.switches.select_profile)
        parts.switches.connect(lambda: self._state.base, self._apply_switches)

    @property
    def config(self) -> Config:
        return self._state.config

    @property
    def parts(self) -> Parts:
        return self._parts

    @property
    def next_config(self) -> Config | None:
        """A configuration that only another daemon can run with; the loop ends for it."""
        return self._state.next_config

    @property
    def models(self) -> LoadedModels:
        return self._state.models

    @property
    def mqtt_stats(self) -> dict[str, Any]:
        return self._parts.bus.stats

    def cameras(self) -> dict[str, CameraOverview]:
        """Every camera at this instant. Any thread."""
        return self._parts.overview.cameras()

    def scene(self, camera: str) -> str:
        """What goes on in front of a camera, in words; empty where that is not known. Any thread."""
        return describe_scene(self._parts.scenes.latest_states.get(camera))

    def add_sink(self, sink: loop.Sink) -> None:
        """Have the loop call it too, after the daemon's own. Before `run`."""
        self._more_sinks.append(sink)

    def reload_now(self) -> Mapping[str, Any]:
        """Read and apply the configuration; what changed, as the command answers. Waits: any thread but the loop's.

        Raises CommandRejected, and the configuration before stays in effect.
        """
        result = self._reload(Reload())
        if result.after_reply is not None:
            result.after_reply()
        return result.data

    def runs_with_its_files(self) -> bool:
        """Whether the configuration in effect is what the files say now."""
        read = self._parts.options.read_config
        try:
            return read is not None and read() == self._state.base
        except ConfigError:
            return False

    def reload(self) -> None:
        """Have the configuration read again, as by the command. Any thread, and signal handlers."""
        self._parts.dispatcher.enqueue("reload")

    def run(self, stop: threading.Event, sinks: Sequence[loop.Sink] = (), manager: ServiceManager = NO_SYSTEMD) -> None:
        """The loop: until `stop`, until every source has ended, or until there is a `next_config`. Raises Fatal."""
        watchdog = Watchdog(manager, self._snapshot, self._parts.recovery)
        try:
            loop.run(
                self._parts.hub,
                self._state.pipelines,
                (*self._sinks, *sinks),
                stop,
                partial(self._between_frames, watchdog),
                frames_at_once=lambda: self._state.models.frames_at_once,
            )
        finally:
            self._loop_calls.end()

    def on_engine_ready(self, job: BuildJob, engine: StoredEngine) -> None:
        """Use this engine from now on. Any thread but the loop's.

        Raises CommandRejected when the loop has no time for it, and what loading raises.
        """
        self._built[job.card.name] = BuiltEngine(job, engine)
        self._loop_calls.call(self._swap_engines, APPLY_LIMIT_S)

    def publish_info(self) -> None:
        self._parts.bus.publish(topics.INFO.at(), build.info(self._parts.headers, self._parts.overview.info()))

    def publish_switches(self) -> None:
        """What is on and off; and of the cameras that are off, that nobody watches them."""
        parts, state = self._parts, self._state
        parts.bus.publish(topics.SWITCHES.at(), build.switches(parts.headers, parts.switches.body(state.base)))
        for name in state.switched_off:
            reason, since_ns = "switched off, see `switches`", monotonic_ns()
            status = build.camera_status(parts.headers, name, state="off", reason=reason, since_ns=since_ns)
            parts.bus.publish(topics.CAMERA_STATUS.at(camera=name), status)
            parts.scenes.publish_unwatched(name)

    @property
    def _sinks(self) -> tuple[loop.Sink, ...]:
        """In the order in which they are called."""
        parts = self._parts
        own = parts.publish.publish, parts.grab.on_result, parts.behaviour.sink, parts.view.sink, parts.scenes.down.sink
        return (*own, *self._more_sinks)

    def _between_frames(self, watchdog: Watchdog) -> bool:
        """Whether the loop ends. Raises what was fatal in a thread."""
        if self._loop_calls.pending:
            with watchdog.extend_timeout("applying a change", MODEL_LOAD_LIMIT_S):
                self._loop_calls.run_pending()
        watchdog.poll()
        threads.raise_fatal()
        return self.next_config is not None

    def _snapshot(self) -> WatchdogSnapshot:
        parts = self._parts
        return WatchdogSnapshot(
            cameras=parts.hub.stats,
            threads=threads.troubles(),
            connected=parts.bus.connected,
            builds=parts.overview.builds(),
        )

    def _reload(self, _: Reload) -> CommandResult:
        """The command `reload`, on its own thread. The broker is switched after the reply is sent."""
        if (read := self._parts.options.read_config) is None:
            raise CommandRejected("daemon", got="no configuration file", wanted="one", do="start it with --config")
        try:
            new = read()
            plan = self._loop_calls.call(lambda: self._apply(new), APPLY_LIMIT_S)
        except (ConfigError, EngineError, ModelMissing) as exc:
            log.warning("configuration: %s; the one before stays in effect", exc)
            do = "correct this and reload again; until then the one before stays in effect"
            reason = str(exc)[:MAX_REASON_CHARS]
            raise CommandRejected("configuration", got=reason, wanted="one that can be used", do=do) from exc
        log.info("configuration: %s", plan)
        after_reply = None
        if plan.full_restart:
            after_reply = partial(self._restart_with, new)
        elif plan.switch_broker:
            after_reply = partial(self._parts.bus.switch_broker, new.mqtt)
        return CommandResult(data={"changed": list(plan.changed), "restarted": plan.restarted}, after_reply=after_reply)

    def _restart_with(self, new: Config) -> None:
        self._state.next_config = new

    def _apply_switches(self) -> None:
        """Run with what the switches give now. Raises CommandRejected, and what making a camera raises."""
        self._loop_calls.call(lambda: self._apply(self._state.base), APPLY_LIMIT_S)

    def _apply(self, base: Config) -> ReloadPlan:
        """Apply what the files say now, between two frames; changes nothing if it needs a full restart.

        Raises ConfigError, EngineError or ModelMissing while nothing has changed yet.
        """
        new = self._parts.switches.in_effect(base)
        models = self.models
        plan = plan_reload(self.config, new, anew=models.shares_cores_otherwise(new.compute, len(base.enabled_cameras)))
        if plan.reload_models and self._parts.engine_builds is not None:  # it builds for the models it was given
            plan = replace(plan, full_restart=True)
        cameras = {name: make_camera(name, new.enabled_cameras[name], raw=True) for name in plan.sources}
        require_cameras(base)
        if new.mqtt.tls.enabled:
            tls_context(new.mqtt.tls)
        if plan.reload_models:
            models = self._load_models(new, base)
        if not plan.full_restart:
            self._state.base = base
            self._commit(plan, new, cameras, models)
        elif plan.reload_models:  # this was a trial
            models.backend.close()
        return plan

    def _commit(self, plan: ReloadPlan, new: Config, cameras: Mapping[str, Camera], models: LoadedModels) -> None:
        """Make the change; must not raise."""
        state, parts = self._state, self._parts
        before, state.models = state.models, models
        with state.cameras_lock:
            state.config = new
            for name in plan.removed:
                parts.hub.remove_camera(name)
                del state.pipelines[name]
            state.renew_pipelines(plan.pipelines)
            parts.publish.reconfigure(new.publish, state.cameras)
            parts.supervisor.reconfigure(new)
            for name, camera in cameras.items():
                parts.hub.set_camera(name, state.cameras[name], camera)
        if before is not models:
            before.backend.close()
            allocator.freeze_gc()
        self._publish_change(plan)

    def _publish_change(self, plan: ReloadPlan) -> None:
        state, parts = self._state, self._parts
        parts.scenes.reconfigure(state.monitored)
        parts.retained.keep(state.base.enabled_cameras)
        self.publish_switches()
        warn_of_fixed_regions(state.cameras, plan.pipelines)
        device = discovery_device(state.base, device_id(state.config.device.id), state.known_classes)
        parts.discovery.reconfigure(device, enabled=state.config.homeassistant.enabled)
        parts.discovery.start()
        parts.dispatcher.set_allowed(state.config.commands.allow)
        self.publish_info()

    def _swap_engines(self) -> None:
        """Run every model on the best engine that there is. Between two frames."""
        state, config = self._state, self.config
        before = state.models
        state.models = self._load_models(config, state.base, allow_missing=True)
        state.renew_pipelines(state.cameras)
        before.backend.close()
        allocator.freeze_gc()
        self.publish_info()

    def _load_models(self, config: Config, base: Config, *, allow_missing: bool = False) -> LoadedModels:
        """For `config`, which is what is in effect of `base`."""
        cameras = len(base.enabled_cameras)
        return load_models(
            config.models_in_use,
            config.compute,
            allow_missing=allow_missing,
            engine_of=self._engine_of,
            cameras=cameras,
        )

    def _engine_of(self, card: Card) -> BuiltEngine | None:
        return self._built.get(card.name)

    def _diagnose(self, _: Diagnose) -> CommandResult:
        parts = {
            "info": self._parts.overview.info(),
            "health": self._parts.supervisor.latest_health,
            "configuration": effective(self.config),
            "doctor": [asdict(check) for check in quick_checks(self.config)],
        }
        return CommandResult(data=bundle(parts, self._parts.options.recent_lines.lines))


def warn_of_fixed_regions(cameras: Mapping[str, CameraConfig], names: Iterable[str]) -> None:
    """Log each of these cameras that has no detector."""
    for name in names:
        if fixed := cameras[name].static_region:
            log.warning("camera %s: no detector runs; a %s is assumed in its static region", name, fixed.label)
