"""The daemon put together: models, bus, cameras, health, and what changes while it runs."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, replace
from functools import partial
from typing import Any

from edged import loop
from edged.behaviour.horse.stall_monitors import StallMonitors
from edged.behaviour.monitor import CameraReading, SceneMonitor
from edged.behaviour.view_monitor import ViewMonitors
from edged.capture.camera import Camera
from edged.capture.hub import CameraHub
from edged.capture.make_camera import make_camera
from edged.capture.sources.v4l2_device import usb_port
from edged.capture.camera import CameraState
from edged.config.tables.camera import CameraConfig
from edged.config.tables.stall import StallConfig
from edged.config.text import effective
from edged.config.tree import Config
from edged.control.day_picture import DayPictures
from edged.control.dispatcher import CommandDispatcher, CommandHandler, CommandResult
from edged.control.handlers import CommandHandlers
from edged.control.loop_calls import LoopCalls
from edged.control.reload import ReloadPlan, plan_reload
from edged.device.diagnosis import bundle
from edged.device.doctor import quick_checks
from edged.device.health import CameraOverview
from edged.device.info import discovery_device, info_body, models_info
from edged.device.prometheus import MetricsServer
from edged.device.supervisor import DeviceSupervisor
from edged.device.watchdog import ServiceManager, Watchdog, WatchdogSnapshot
from edged.drawing.annotate import annotate
from edged.drawing.day import draw_day
from edged.drawing.image_file import encode_jpeg
from edged.errors import CommandRejected, ConfigError, ModelMissing
from edged.inference.engine_builder import BuiltEngine, build_service
from edged.inference.engine_builds import BuildStatus
from edged.inference.load_models import LoadedModels, load_models
from edged.messages import build, topics
from edged.messages.build import HeaderFactory
from edged.messages.commands import Diagnose, Reload
from edged.mqtt.client import MqttBus
from edged.mqtt.connection import tls_context
from edged.mqtt.homeassistant import DiscoveryPublisher
from edged.pipeline import Pipeline
from edged.publisher import Publisher
from edged.runtime import allocator, threads
from edged.runtime.log import RecentLines
from edged.runtime.systemd import Notify
from engines.build.service import BuildJob
from engines.card import Card
from engines.errors import EngineError
from engines.store.engine_store import StoredEngine as EnginePlan

log = logging.getLogger(__name__)

APPLY_LIMIT_S = 10.0  # for a change to begin; a frame is never that long
MODEL_LOAD_LIMIT_S = 120.0  # for models to be loaded
MAX_REASON_CHARS = 4000  # characters of what is wrong with a configuration
NO_SYSTEMD = Notify()
RETAINED_OF_CAMERA = (topics.CAMERA_STATUS, topics.STATE, topics.DAILY)  # what a broker keeps of a camera that is gone

ReadConfig = Callable[[], Config]  # the configuration as it now stands; raises ConfigError


class Daemon:
    """Everything that runs beside the loop, and the loop."""

    def __init__(
        self,
        settings: Config,
        device: str,
        engines: LoadedModels,
        bus: MqttBus,
        headers: HeaderFactory,
        *,
        display: bool,
        retry: bool,
        read_config: ReadConfig | None,
        recent_lines: RecentLines,
    ) -> None:
        self.settings = settings
        self.next_config: Config | None = None  # a configuration that can only be had by a new daemon
        self.engines = engines
        self._device = device
        self._bus = bus
        self._headers = headers
        self._display = display
        self._read_config = read_config
        self._recent_lines = recent_lines
        self._cameras_lock = threading.Lock()  # held while cameras come and go
        self._loop_calls = LoopCalls()
        self._publisher = Publisher(bus, headers, settings.publish, self.cameras)
        self._pipelines: dict[str, Pipeline] = {}
        self._pipelines.update(self._new_pipelines(self.cameras))
        sources = {name: (camera, make_camera(name, camera, raw=True)) for name, camera in self.cameras.items()}
        self._hub = CameraHub(sources, self._publisher.publish_camera_status, retry=retry)
        self._supervisor = self._new_supervisor()
        self._stall_monitors = StallMonitors(
            self._stalls,
            self._horse_keypoint_threshold,
            settings.device.state_dir,
            self._aisles,
            self._hub.set_idle_rate,
        )
        self._view_monitors = ViewMonitors(self._stalls, settings.device.state_dir)
        self.behaviour = self._new_behaviour()
        self._discovery = self._new_discovery()
        self._handlers = self._new_handlers()
        self._dispatcher = self._new_dispatcher()
        self._built: dict[str, BuiltEngine] = {}  # engines that may be used, by model
        self._engine_builds = build_service(settings, self._on_engine_ready)
        self._metrics: MetricsServer | None = None

    def start(self) -> None:
        self._warn_of_fixed(self.cameras)
        self._bus.publish(topics.INFO.at(), build.info(self._headers, self._info()))
        if (scraped := self.settings.prometheus).enabled:
            self._metrics = MetricsServer(scraped.host, scraped.port, lambda: self._supervisor.latest_health)
        self._discovery.start()
        self._hub.start()
        self.behaviour.start()
        self._supervisor.start()
        self._dispatcher.start()
        if self._engine_builds is not None:
            self._engine_builds.start()

    def run(self, stop: threading.Event, sinks: Sequence[loop.Sink] = (), manager: ServiceManager = NO_SYSTEMD) -> None:
        """Until `stop`, until every source has ended, or until there is a successor; under the eyes of `manager`."""
        all_sinks = (
            self._publisher.publish,
            self._handlers.grabber.on_result,
            self._stall_monitors.sink,
            self._view_monitors.sink,
            *sinks,
        )
        vigil = Watchdog(manager, self._watchdog_snapshot, self._supervisor.recovery)
        loop.run(self._hub, self._pipelines, all_sinks, stop, partial(self._between_frames, vigil))

    def reload(self) -> None:
        """Have the configuration read again, as if commanded. Signal handlers may call it."""
        self._dispatcher.enqueue("reload")

    @property
    def cameras(self) -> dict[str, CameraConfig]:
        return self.settings.enabled_cameras

    def views(self) -> dict[str, CameraOverview]:
        """Every camera at this instant."""
        with self._cameras_lock:
            states = self._hub.states
            return {name: self._view(name, states[name]) for name in self.cameras}

    @property
    def bus_stats(self) -> dict[str, Any]:
        return self._bus.stats

    def close(self) -> None:
        """Stop the cameras and the pulse; the health published last has every frame accounted for."""
        if self._engine_builds is not None:
            self._engine_builds.close()
        self._dispatcher.close()
        self._discovery.close()
        if self._metrics is not None:
            self._metrics.close()
        self._hub.close()
        self.behaviour.close()
        self._supervisor.close()

    def _between_frames(self, vigil: Watchdog) -> bool:
        """Two frames, on the compute thread."""
        if self._loop_calls.pending:
            with vigil.extend_timeout("taking up a change", MODEL_LOAD_LIMIT_S):
                self._loop_calls.run_pending()
        vigil.poll()
        threads.raise_fatal()
        return self.next_config is not None

    def _reload(self, _: Reload) -> CommandResult:
        """On the control thread: what was not said before the change is said before the connection goes."""
        if self._read_config is None:
            raise CommandRejected(
                "daemon", got="no configuration file", wanted="one to read again", do="start it from one"
            )
        try:
            new = self._read_config()
            plan = self._loop_calls.call(lambda: self._apply(new), APPLY_LIMIT_S)
        except (ConfigError, EngineError, ModelMissing) as exc:
            log.warning("configuration: %s; the one before stays in effect", exc)
            do = "correct this and reload again; until then the one before stays in effect"
            raise CommandRejected(
                "configuration", got=str(exc)[:MAX_REASON_CHARS], wanted="one that can be used", do=do
            ) from exc
        log.info("configuration: %s", plan)
        data = {"changed": list(plan.changed), "restarted": plan.restarted}
        if plan.full_restart:
            return CommandResult(data=data, after_reply=partial(self._restart_with, new))
        return CommandResult(
            data=data, after_reply=partial(self._bus.switch_broker, new.mqtt) if plan.switch_broker else None
        )

    def _restart_with(self, new: Config) -> None:
        self.next_config = new

    def _apply(self, new: Config) -> ReloadPlan:
        """Between two frames, run by another configuration, unless that takes a successor.

        Raises ConfigError, EngineError or ModelMissing while nothing has changed yet.
        """
        plan, engines = plan_reload(self.settings, new), self.engines
        if plan.reload_models and self._engine_builds is not None:  # it makes engines of the models it was given
            plan = replace(plan, full_restart=True)
        fresh = {
            name: make_camera(name, camera, raw=True)
            for name, camera in cameras_in_use(new).items()
            if name in plan.sources
        }
        if new.mqtt.tls.enabled:
            tls_context(new.mqtt.tls)
        if plan.reload_models:
            engines = load_models(new.models, new.compute, engine_of=self._built_for)
        if not plan.full_restart:
            self._commit(plan, new, fresh, engines)
        elif plan.reload_models:  # they can be loaded: that was to be known
            engines.backend.close()
        return plan

    def _commit(self, plan: ReloadPlan, new: Config, fresh: Mapping[str, Camera], engines: LoadedModels) -> None:
        """What cannot fail."""
        before, self.engines = self.engines, engines
        with self._cameras_lock:
            self.settings = new
            for name in plan.removed:
                self._hub.remove_camera(name)
                del self._pipelines[name]
            self._pipelines.update(self._new_pipelines(plan.pipelines))
            self._publisher.reconfigure(new.publish, self.cameras)
            self._supervisor.reconfigure(new)
            for name, camera in fresh.items():
                self._hub.set_camera(name, self.cameras[name], camera)
        if before is not engines:
            before.backend.close()
            allocator.freeze_gc()
        self._publish_change(plan)

    def _on_engine_ready(self, job: BuildJob, plan: EnginePlan) -> None:
        """An engine may be used from now on; on the smithy's thread."""
        self._built[job.card.name] = BuiltEngine(job, plan)
        self._loop_calls.call(self._swap_engines, APPLY_LIMIT_S)

    def _swap_engines(self) -> None:
        """Between two frames, run every model by the best there is of it."""
        before, self.engines = (
            self.engines,
            load_models(self.settings.models, self.settings.compute, allow_missing=True, engine_of=self._built_for),
        )
        self._pipelines.update(self._new_pipelines(self.cameras))
        before.backend.close()
        allocator.freeze_gc()
        self._bus.publish(topics.INFO.at(), build.info(self._headers, self._info()))

    def _built_for(self, card: Card) -> BuiltEngine | None:
        return self._built.get(card.name)

    def _publish_change(self, plan: ReloadPlan) -> None:
        self.behaviour.reconfigure(self._classes, self.settings.publish.daily_interval_s, self._stalls, self._aisles)
        for name in plan.removed:
            for channel in RETAINED_OF_CAMERA:
                self._bus.publish(channel.at(camera=name), b"")
        self._warn_of_fixed(plan.pipelines)
        self._discovery.reconfigure(
            discovery_device(self.settings, self._device, self._classes), enabled=self.settings.homeassistant.enabled
        )
        self._discovery.start()
        self._dispatcher.set_allowed(self.settings.commands.allow)
        self._bus.publish(topics.INFO.at(), build.info(self._headers, self._info()))

    def _diagnose(self, _: Diagnose) -> CommandResult:
        parts = {
            "info": self._info(),
            "health": self._supervisor.latest_health,
            "configuration": effective(self.settings),
            "doctor": [asdict(finding) for finding in quick_checks(self.settings)],
        }
        return CommandResult(data=bundle(parts, self._recent_lines.lines))

    def _new_pipelines(self, names: Iterable[str]) -> dict[str, Pipeline]:
        """Ids of the ones before are not used again."""
        smooth = self._display or self.settings.publish.smoothed
        given = {name: pipeline.last_id for name, pipeline in self._pipelines.items()}
        models = self.engines
        return {
            name: Pipeline(
                self.cameras[name],
                models.backend,
                models.detector,
                models.poses,
                smooth=smooth,
                last_id=given.get(name, 0),
            )
            for name in names
        }

    def _new_behaviour(self) -> SceneMonitor:
        memory, daily_s = self.settings.device.state_dir / "days.json", self.settings.publish.daily_interval_s
        return SceneMonitor(
            self._bus,
            self._headers,
            self._camera_results,
            self._classes,
            stalls=self._stall_monitors,
            views=self._view_monitors,
            state_file=memory,
            daily_s=daily_s,
        )

    def _new_discovery(self) -> DiscoveryPublisher:
        box, memory = discovery_device(self.settings, self._device, self._classes), self.settings.device.state_dir
        return DiscoveryPublisher(
            self._bus, box, memory / "announced.json", enabled=self.settings.homeassistant.enabled
        )

    def _new_handlers(self) -> CommandHandlers:
        return CommandHandlers(
            settings=lambda: self.settings,
            bus=self._bus,
            headers=self._headers,
            hub=self._hub,
            publisher=self._publisher,
            alerts=self.behaviour.alerts,
            draw=lambda still: annotate(still.image, still.result, self.engines.keypoint_thresholds),
            encode=encode_jpeg,
        )

    def _new_supervisor(self) -> DeviceSupervisor:
        limit = self._hub.set_max_rate
        return DeviceSupervisor(
            self.settings,
            self._headers,
            self._bus,
            views=self.views,
            models=self._models,
            set_max_rate=limit,
            port=usb_port,
        )

    def _new_dispatcher(self) -> CommandDispatcher:
        days = DayPictures(
            settings=lambda: self.settings,
            days_of=self._stall_monitors.days,
            bus=self._bus,
            draw=draw_day,
            encode=encode_jpeg,
        )
        others: dict[str, CommandHandler] = {"day": days.day, "reload": self._reload, "diagnose": self._diagnose}
        deeds = {**self._handlers.table, **others}
        root = f"{self.settings.mqtt.base}/{self._device}/"
        return CommandDispatcher(self._bus, self._headers, deeds, self.settings.commands.allow, root=root)

    @property
    def _classes(self) -> dict[str, tuple[str, ...]]:
        """What each camera looks for."""
        return {name: camera.classes or tuple(self.engines.poses) for name, camera in self.cameras.items()}

    @property
    def _stalls(self) -> dict[str, StallConfig]:
        return {name: camera.stall for name, camera in self.cameras.items() if camera.stall.enabled}

    @property
    def _aisles(self) -> list[str]:
        return [name for name, camera in self.cameras.items() if camera.aisle.enabled]

    @property
    def _horse_keypoint_threshold(self) -> float:
        return self.engines.keypoint_thresholds.get("ap10k-17", 1.0)

    def _warn_of_fixed(self, names: Iterable[str]) -> None:
        for name in names:
            if fixed := self.cameras[name].static_region:
                log.warning("camera %s: no detector runs, a %s is taken to be in its box", name, fixed.label)

    def _camera_results(self) -> dict[str, CameraReading]:
        with self._cameras_lock:
            return {name: (state, self._publisher.meters[name].latest) for name, state in self._hub.states.items()}

    def _view(self, name: str, state: CameraState) -> CameraOverview:
        meter, outages, ledger = self._publisher.meters[name], self._publisher.outages[name], self._hub.counts(name)
        return CameraOverview(
            state=state,
            counts=ledger,
            rates=meter.read(ledger),
            trend=self._publisher.trends[name].read(),
            latest=meter.latest,
            losses_per_h=outages.losses,
            reconnects_per_h=outages.reconnects,
            recovery=self._supervisor.recovery.last_actions.get(name, ""),
        )

    def _watchdog_snapshot(self) -> WatchdogSnapshot:
        """For who keeps watch, on the compute thread."""
        return WatchdogSnapshot(
            cameras=self._hub.stats,
            threads=threads.troubles(),
            connected=self._bus.connected,
            builds=self._build_statuses,
        )

    @property
    def _build_statuses(self) -> Mapping[str, BuildStatus]:
        return {} if self._engine_builds is None else self._engine_builds.statuses

    def _models(self) -> dict[str, Any]:
        return models_info(self.settings.models, self.engines, self._build_statuses)

    def _info(self) -> Mapping[str, Any]:
        models = {**self._models(), "classes": list(self.engines.detector.classes)}
        return info_body(self.settings, models)


def cameras_in_use(settings: Config) -> dict[str, CameraConfig]:
    """The cameras in use. Raises ConfigError when there are none."""
    if not settings.enabled_cameras:
        raise ConfigError("no camera is configured and enabled; add a table [cameras.NAME] with a source, or --source")
    return settings.enabled_cameras
