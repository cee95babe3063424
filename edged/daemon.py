"""The daemon put together: models, bus, cameras, health, and what changes while it runs."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, replace
from functools import partial
from typing import Any

from edged import config, loop
from edged.adapters.bus_mqtt import MqttBus
from edged.adapters.cameras import camera_of
from edged.adapters.doctor import glance
from edged.adapters.draw import annotate
from edged.adapters.draw_day import draw_day
from edged.adapters.foundry import Forged, smithy_of
from edged.adapters.mqtt_link import tls_context
from edged.adapters.notify import Notify
from edged.adapters.picture_out import jpeg
from edged.adapters.planes import Engines, engines_of
from edged.adapters.prometheus import Metrics
from edged.adapters.v4l2_device import usb_port
from edged.barn.settings import Stall
from edged.barn.stable import Stable
from edged.box import allocator
from edged.box.about import about, appliance, serving
from edged.box.diagnosis import bundle
from edged.box.health import CameraView
from edged.box.metrics import exposition
from edged.box.smithy import Work
from edged.box.upkeep import Upkeep
from edged.box.vigil import Keeper, Look, Vigil
from edged.bus import message, topics
from edged.bus.announce import Announcer
from edged.bus.message import Stamps
from edged.capture import Intake
from edged.channel import CameraState
from edged.config import Config
from edged.configfile.text import show
from edged.contract.commands import Diagnose, Reload
from edged.control.control import Control, Deed, Done
from edged.control.days import Days
from edged.control.deeds import Deeds
from edged.control.errands import Errands
from edged.control.reload import Plan, planned
from edged.errors import ConfigError, Declined, Fatal
from edged.logs import Recent
from edged.pipeline import Pipeline
from edged.ports import Camera
from edged.report import Reporter
from edged.watching.outlooks import Outlooks
from edged.watching.scenes import Glance, Scenes
from engines.card import Card
from engines.errors import EngineError
from engines.foundry import Job
from engines.plans import Plan as EnginePlan

log = logging.getLogger(__name__)

ADOPT_S = 10.0  # for a change to begin; a frame is never that long
LONG_S = 120.0  # for models to be loaded
LONGEST = 4000  # characters of what is wrong with a configuration
NOBODY = Notify()
OF_CAMERA = (topics.CAMERA_STATUS, topics.STATE, topics.DAILY)  # what a broker keeps of a camera that is gone

Reread = Callable[[], Config]  # the configuration as it now stands; raises ConfigError


class Daemon:
    """Everything that runs beside the loop, and the loop."""

    def __init__(
        self,
        settings: Config,
        device: str,
        engines: Engines,
        bus: MqttBus,
        stamps: Stamps,
        *,
        display: bool,
        retry: bool,
        read: Reread | None,
        recent: Recent,
    ) -> None:
        self.settings = settings
        self.successor: Config | None = None  # a configuration that can only be had by a new daemon
        self.engines = engines
        self._device = device
        self._bus = bus
        self._stamps = stamps
        self._display = display
        self._read = read
        self._recent = recent
        self._changing = threading.Lock()  # held while cameras come and go
        self._errands = Errands()
        self._reporter = Reporter(bus, stamps, settings.publish, self.cameras)
        self._pipelines: dict[str, Pipeline] = {}
        self._pipelines.update(self._new_pipelines(self.cameras))
        sources = {name: (camera, camera_of(name, camera, raw=True)) for name, camera in self.cameras.items()}
        self._intake = Intake(sources, self._reporter.camera, retry=retry)
        self._upkeep = self._new_upkeep()
        self._stable = Stable(
            self._stalls, self._sure_of_horses, settings.device.state, self._aisles, self._intake.rest
        )
        self._outlooks = Outlooks(self._stalls, settings.device.state)
        self.scenes = self._new_scenes()
        self._announcer = self._new_announcer()
        self._deeds = self._new_deeds()
        self._control = self._new_control()
        self._forged: dict[str, Forged] = {}  # engines that may be used, by model
        self._smithy = smithy_of(settings, self._take_up)
        self._metrics: Metrics | None = None

    def start(self) -> None:
        self._warn_of_fixed(self.cameras)
        self._bus.publish(topics.INFO.at(), message.info(self._stamps, self._info()))
        if (scraped := self.settings.prometheus).enabled:
            self._metrics = Metrics(scraped.host, scraped.port, lambda: exposition(self._upkeep.body))
        self._announcer.start()
        self._intake.start()
        self.scenes.start()
        self._upkeep.start()
        self._control.start()
        if self._smithy is not None:
            self._smithy.start()

    def run(self, stop: threading.Event, sinks: Sequence[loop.Sink] = (), keeper: Keeper = NOBODY) -> None:
        """Until `stop`, until every source has ended, or until there is a successor; under the eyes of `keeper`."""
        all_sinks = (self._reporter.result, self._deeds.stills.sink, self._stable.sink, self._outlooks.sink, *sinks)
        vigil = Vigil(keeper, self._look, self._upkeep.rescue)
        loop.run(self._intake, self._pipelines, all_sinks, stop, partial(self._between, vigil))

    def reload(self) -> None:
        """Have the configuration read again, as if commanded. Signal handlers may call it."""
        self._control.order("reload")

    @property
    def cameras(self) -> dict[str, config.Camera]:
        return self.settings.in_use

    def views(self) -> dict[str, CameraView]:
        """Every camera at this instant."""
        with self._changing:
            states = self._intake.states
            return {name: self._view(name, states[name]) for name in self.cameras}

    @property
    def bus_figures(self) -> dict[str, Any]:
        return self._bus.figures

    def close(self) -> None:
        """Stop the cameras and the pulse; the health published last has every frame accounted for."""
        if self._smithy is not None:
            self._smithy.close()
        self._control.close()
        self._announcer.close()
        if self._metrics is not None:
            self._metrics.close()
        self._intake.close()
        self.scenes.close()
        self._upkeep.close()

    def _between(self, vigil: Vigil) -> bool:
        """Two frames, on the compute thread."""
        if self._errands.waiting:
            with vigil.long("taking up a change", LONG_S):
                self._errands.run()
        vigil.beat()
        if self._upkeep.fate is not None:
            raise self._upkeep.fate
        return self.successor is not None

    def _reload(self, _: Reload) -> Done:
        """On the control thread: what was not said before the change is said before the connection goes."""
        if self._read is None:
            raise Declined("daemon", got="no configuration file", wanted="one to read again", do="start it from one")
        try:
            new = self._read()
            plan = self._errands.ask(lambda: self._adopt(new), ADOPT_S)
        except (ConfigError, EngineError, Fatal) as exc:
            log.warning("configuration: %s; the one before stays in effect", exc)
            do = "correct this and reload again; until then the one before stays in effect"
            raise Declined("configuration", got=str(exc)[:LONGEST], wanted="one that can be used", do=do) from exc
        log.info("configuration: %s", plan)
        data = {"changed": list(plan.changed), "restarted": plan.restarted}
        if plan.everything:
            return Done(data=data, then=partial(self._yield_to, new))
        return Done(data=data, then=partial(self._bus.move, new.mqtt) if plan.broker else None)

    def _yield_to(self, new: Config) -> None:
        self.successor = new

    def _adopt(self, new: Config) -> Plan:
        """Between two frames, run by another configuration, unless that takes a successor.

        Raises ConfigError, EngineError or ModelMissing while nothing has changed yet.
        """
        plan, engines = planned(self.settings, new), self.engines
        if plan.models and self._smithy is not None:  # it makes engines of the models it was given
            plan = replace(plan, everything=True)
        fresh = {
            name: camera_of(name, camera, raw=True) for name, camera in usable(new).items() if name in plan.sources
        }
        if new.mqtt.tls.enabled:
            tls_context(new.mqtt.tls)
        if plan.models:
            engines = engines_of(new.models, new.compute, forged=self._forged_of)
        if not plan.everything:
            self._change(plan, new, fresh, engines)
        elif plan.models:  # they can be loaded: that was to be known
            engines.plane.close()
        return plan

    def _change(self, plan: Plan, new: Config, fresh: Mapping[str, Camera], engines: Engines) -> None:
        """What cannot fail."""
        before, self.engines = self.engines, engines
        with self._changing:
            self.settings = new
            for name in plan.closed:
                self._intake.remove(name)
                del self._pipelines[name]
            self._pipelines.update(self._new_pipelines(plan.pipelines))
            self._reporter.adopt(new.publish, self.cameras)
            self._upkeep.adopt(new)
            for name, camera in fresh.items():
                self._intake.put(name, self.cameras[name], camera)
        if before is not engines:
            before.plane.close()
            allocator.settle()
        self._tell_change(plan)

    def _take_up(self, job: Job, plan: EnginePlan) -> None:
        """An engine may be used from now on; on the smithy's thread."""
        self._forged[job.card.name] = Forged(job, plan)
        self._errands.ask(self._rearm, ADOPT_S)

    def _rearm(self) -> None:
        """Between two frames, run every model by the best there is of it."""
        before, self.engines = (
            self.engines,
            engines_of(self.settings.models, self.settings.compute, spare=True, forged=self._forged_of),
        )
        self._pipelines.update(self._new_pipelines(self.cameras))
        before.plane.close()
        allocator.settle()
        self._bus.publish(topics.INFO.at(), message.info(self._stamps, self._info()))

    def _forged_of(self, card: Card) -> Forged | None:
        return self._forged.get(card.name)

    def _tell_change(self, plan: Plan) -> None:
        self.scenes.adopt(self._classes, self.settings.publish.daily_s, self._stalls, self._aisles)
        for name in plan.closed:
            for channel in OF_CAMERA:
                self._bus.publish(channel.at(camera=name), b"")
        self._warn_of_fixed(plan.pipelines)
        self._announcer.adopt(
            appliance(self.settings, self._device, self._classes), enabled=self.settings.homeassistant.enabled
        )
        self._announcer.start()
        self._control.allow(self.settings.commands.allow)
        self._bus.publish(topics.INFO.at(), message.info(self._stamps, self._info()))

    def _diagnose(self, _: Diagnose) -> Done:
        parts = {
            "info": self._info(),
            "health": self._upkeep.body,
            "configuration": show(self.settings),
            "doctor": [asdict(finding) for finding in glance(self.settings)],
        }
        return Done(data=bundle(parts, self._recent.lines))

    def _new_pipelines(self, names: Iterable[str]) -> dict[str, Pipeline]:
        """Ids of the ones before are not used again."""
        smooth = self._display or self.settings.publish.smoothed
        given = {name: pipeline.given for name, pipeline in self._pipelines.items()}
        return {n: self.engines.pipeline(self.cameras[n], smooth=smooth, given=given.get(n, 0)) for n in names}

    def _new_scenes(self) -> Scenes:
        memory, daily_s = self.settings.device.state / "days.json", self.settings.publish.daily_s
        return Scenes(
            self._bus,
            self._stamps,
            self._glances,
            self._classes,
            stable=self._stable,
            outlooks=self._outlooks,
            memory=memory,
            daily_s=daily_s,
        )

    def _new_announcer(self) -> Announcer:
        box, memory = appliance(self.settings, self._device, self._classes), self.settings.device.state
        return Announcer(self._bus, box, memory / "announced.json", enabled=self.settings.homeassistant.enabled)

    def _new_deeds(self) -> Deeds:
        return Deeds(
            settings=lambda: self.settings,
            bus=self._bus,
            stamps=self._stamps,
            intake=self._intake,
            reporter=self._reporter,
            alerts=self.scenes.alerts,
            draw=lambda still: annotate(still.image, still.result, self.engines.sure_from),
            encode=jpeg,
        )

    def _new_upkeep(self) -> Upkeep:
        limit = self._intake.limit
        return Upkeep(
            self.settings, self._stamps, self._bus, views=self.views, models=self._models, limit=limit, port=usb_port
        )

    def _new_control(self) -> Control:
        days = Days(settings=lambda: self.settings, kept=self._stable.days, bus=self._bus, draw=draw_day, encode=jpeg)
        others: dict[str, Deed] = {"day": days.day, "reload": self._reload, "diagnose": self._diagnose}
        deeds = {**self._deeds.table, **others}
        root = f"{self.settings.mqtt.base}/{self._device}/"
        return Control(self._bus, self._stamps, deeds, self.settings.commands.allow, root=root)

    @property
    def _classes(self) -> dict[str, tuple[str, ...]]:
        """What each camera looks for."""
        return {name: camera.classes or tuple(self.engines.poses) for name, camera in self.cameras.items()}

    @property
    def _stalls(self) -> dict[str, Stall]:
        return {name: camera.stall for name, camera in self.cameras.items() if camera.stall.enabled}

    @property
    def _aisles(self) -> list[str]:
        return [name for name, camera in self.cameras.items() if camera.aisle.enabled]

    @property
    def _sure_of_horses(self) -> float:
        return self.engines.sure_from.get("ap10k-17", 1.0)

    def _warn_of_fixed(self, names: Iterable[str]) -> None:
        for name in names:
            if fixed := self.cameras[name].fixed:
                log.warning("camera %s: no detector runs, a %s is taken to be in its box", name, fixed.label)

    def _glances(self) -> dict[str, Glance]:
        with self._changing:
            return {name: (state, self._reporter.meters[name].latest) for name, state in self._intake.states.items()}

    def _view(self, name: str, state: CameraState) -> CameraView:
        meter, outages, ledger = self._reporter.meters[name], self._reporter.outages[name], self._intake.ledger(name)
        return CameraView(
            state=state,
            ledger=ledger,
            reading=meter.read(ledger),
            figures=self._reporter.trends[name].read(),
            latest=meter.latest,
            losses_per_h=outages.losses,
            reconnects_per_h=outages.returns,
            rescue=self._upkeep.rescue.told.get(name, ""),
        )

    def _look(self) -> Look:
        """For who keeps watch, on the compute thread."""
        cameras, told = self._intake.standing, self._upkeep.alive
        return Look(cameras=cameras, told=told, connected=self._bus.connected, works=self._works)

    @property
    def _works(self) -> Mapping[str, Work]:
        return {} if self._smithy is None else self._smithy.works

    def _models(self) -> dict[str, Any]:
        return serving(self.settings.models, self.engines, self._works)

    def _info(self) -> Mapping[str, Any]:
        models = {**self._models(), "classes": list(self.engines.detect.classes)}
        return about(self.settings, models)


def usable(settings: Config) -> dict[str, config.Camera]:
    """The cameras in use. Raises ConfigError when there are none."""
    if not settings.in_use:
        raise ConfigError("no camera is configured and enabled; add a table [cameras.NAME] with a source, or --source")
    return settings.in_use
