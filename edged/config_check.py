"""Checks across keys: models and classes against the catalogue, regions against the image, sources used twice.

Upstream: a valid configuration. Downstream: `edged check`, and `edged run`, which does not start on an error.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from difflib import get_close_matches
from importlib import import_module
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit, urlunsplit

from edged.behaviour.horse.drawing import drawing_errors, outline_errors
from edged.behaviour.horse.polygons import outline_error
from edged.config.load import read_layers
from edged.config.messages import ConfigProblem, Layers, config_error
from edged.config.partial import PartialConfig, validate_partly
from edged.config.profiles import overlap
from edged.config.tables.camera import FORMATS, RTSP_PORTS, CameraConfig
from edged.config.tables.models import ModelsConfig
from edged.config.tables.profiles import CameraChanges
from edged.config.tables.stall import StallConfig
from edged.config.toml_lines import Key
from edged.config.tree import Config
from edged.config.types import Polygon
from edged.config_remarks import Violation, config_remarks, model_remarks
from engines.card_outline import CardOutline, outlines
from engines.errors import CardError

log = logging.getLogger(__name__)

GROUND_PLANE = "edged.behaviour.horse.ground_plane"  # needs numpy, which takes longer to import than all checks

ANY_PORT = 0  # takes a free one
ANY_ADDRESS = frozenset(["0.0.0.0", "::"])  # noqa: S104  listens on all
MAX_LENS_OFF = 0.15  # share of a side; lenses are centred within a tenth
HIGH_CAMERA_M = 7.0  # above the floor; stables have ceilings of 3 to 5 m


class CheckedConfig(NamedTuple):
    """What one run finds in a configuration."""

    config: Config | None  # None: some of its keys are invalid
    problems: list[ConfigProblem]  # the daemon does not start
    remarks: list[ConfigProblem]  # it starts, but something in it has no effect


def load_checked(path: Path | None = None) -> Config:
    """As `load`, and checked across keys; remarks are logged. Raises `ConfigError` with a line for every problem."""
    checked = check_layers(read_layers(path))
    config = valid_config(checked)
    for remark in remark_lines(checked.remarks):
        log.warning("%s", remark)
    return config


def checked_config(layers: Layers) -> Config:
    """The configuration of these layers, validated and checked across keys. Raises `ConfigError`."""
    return valid_config(check_layers(layers))


def valid_config(checked: CheckedConfig) -> Config:
    """The configuration, if nothing is wrong with it. Raises `ConfigError` with a line for every problem."""
    if checked.problems or checked.config is None:
        raise config_error(checked.problems)
    return checked.config


def check_layers(layers: Layers) -> CheckedConfig:
    """Everything that is wrong with these layers: invalid keys, and contradictions between the valid ones."""
    partial = validate_partly(layers)
    if partial.config is None:
        return CheckedConfig(None, partial.problems, [])
    problems, remarks = [*partial.problems], [*config_remarks(partial, layers.unread)]
    cards: Mapping[str, CardOutline] = {}
    try:
        cards = outlines(partial.config.models.catalogue)
    except CardError as exc:
        problems.append(layers.problem(("models", "catalogue"), str(exc), str(partial.config.models.catalogue)))
    violations = list(crosscheck(partial, partial.config, cards))
    if cards and partial.knows(("models",)):
        remarks += model_remarks(partial.config, cards)
    for name, camera in partial.config.enabled_cameras.items():
        if partial.knows(("cameras", name)):
            remarks += geometry_remarks(("cameras", name), camera, camera.upright_size_wh)
    wrong = {key for key, _, _ in violations}
    return CheckedConfig(
        None if partial.problems else partial.config,
        problems + [layers.contradiction(key, sentence, got) for key, got, sentence in violations],
        [layers.contradiction(key, sentence, got) for key, got, sentence in remarks if key not in wrong],
    )


def remark_lines(remarks: Iterable[ConfigProblem]) -> list[str]:
    """`remark: configs/barn.toml:14 …`: one line per remark, in the order of files and lines."""
    return [f"remark: {text}" for text in dict.fromkeys(remark.text for remark in sorted(remarks))]


def crosscheck(partial: PartialConfig, config: Config, cards: Mapping[str, CardOutline]) -> Iterator[Violation]:
    """Every violation, in no order; none that rests on a key that is invalid. `cards` empty: they are not known."""
    classes: Iterable[str] | None = None
    if cards and partial.knows(("models",)):
        detector = cards.get(config.models.detector)
        classes = detector.classes if detector else None
        yield from _model_violations(config.models, cards, classes)
    known = {name: one for name, one in config.cameras.items() if partial.knows(("cameras", name, "source"))}
    yield from _shared_sources(known)
    for name, camera in known.items():
        formats = FORMATS.get(camera.source_kind)
        if formats is not None and camera.format not in formats:
            yield (
                ("cameras", name, "format"),
                camera.format,
                f"want one of {', '.join(formats)} for {camera.source_kind}",
            )
    if config.panel.enabled and config.prometheus.enabled and config.panel.port == config.prometheus.port != ANY_PORT:
        hosts = {config.panel.host, config.prometheus.host}
        if len(hosts) == 1 or hosts & ANY_ADDRESS:
            yield ("panel", "port"), config.panel.port, "is also prometheus.port; change one of the two"
    if (
        config.panel.enabled
        and not config.panel.is_local
        and config.panel.cert is None
        and config.mqtt.tls.cert is None
    ):
        wanted = "needs a certificate, or the token goes in clear text; give panel.cert and panel.key"
        yield ("panel", "host"), config.panel.host, wanted
    yield from _profile_violations(config, classes)
    for name, camera in config.cameras.items():
        key: Key = ("cameras", name)
        size_wh = camera.upright_size_wh if partial.knows((*key, "size"), (*key, "rotate")) else None
        regions = region_violations(key, camera, size_wh)
        yield from (one for one in regions if partial.knows(one[0], (*key, "stall", "floor")))
        yield from _lift_violations(key, camera)
        if classes is not None:
            yield from _class_violations(key, camera, config.models, classes)


def _model_violations(
    models: ModelsConfig, cards: Mapping[str, CardOutline], classes: Iterable[str] | None
) -> Iterator[Violation]:
    yield from _card_violations(("models", "detector"), models.detector, "detect", cards)
    chosen = "pose" in models.model_fields_set  # the defaults may name classes that the detector does not have
    for label, name in models.pose.items():
        yield from _card_violations(("models", "pose", label), name, "pose", cards)
        if chosen and classes is not None and label not in classes:
            yield ("models", "pose", label), name, _unknown_class(label, classes)

    for task, given in (("lift", models.lift), ("root", models.root)):
        if given is not None:
            yield from _card_violations(("models", task), given, task, cards)


def _lift_violations(key: Key, camera: CameraConfig) -> Iterator[Violation]:
    """`lift` needs a detector."""
    if camera.lift and camera.static_region:
        yield (*key, "lift"), True, "needs a detector, and a static region runs none; remove one of the two"


def _card_violations(key: Key, name: str, task: str, cards: Mapping[str, CardOutline]) -> Iterator[Violation]:
    if name not in cards:
        near = get_close_matches(name, cards, n=1)
        yield key, name, f"is not in the catalogue; {f'did you mean {near[0]}?' if near else 'see `edged models list`'}"
    elif cards[name].task != task:
        fitting = ", ".join(card.name for card in cards.values() if card.task == task)
        yield key, name, f"is a card of task {cards[name].task}; want one of task {task}: {fitting}"


def _profile_violations(config: Config, classes: Iterable[str] | None) -> Iterator[Violation]:
    """Cameras and classes that are not there, and timetables that overlap."""
    for number, (name, profile) in enumerate(config.profiles.items()):
        for camera, changes in profile.cameras.items():
            key: Key = ("profiles", name, "cameras", camera)
            if camera not in config.cameras:
                yield key, camera, f"is no camera; want one of {', '.join(config.cameras) or 'none yet'}"
            if classes is not None:
                yield from _named_classes(key, changes, classes)
        for other, earlier in list(config.profiles.items())[:number]:
            if at := overlap(profile, earlier):
                yield ("profiles", name, "start"), profile.start, f"overlaps with the profile {other} at {at}; move one"


def _named_classes(key: Key, camera: CameraConfig | CameraChanges, classes: Iterable[str]) -> Iterator[Violation]:
    for place, label in enumerate(camera.classes or ()):
        if label not in classes:
            yield (*key, "classes", place), label, _unknown_class(label, classes)
    for label, score in (camera.thresholds or {}).items():
        if label not in classes:
            yield (*key, "thresholds", label), score, _unknown_class(label, classes)


def _class_violations(
    key: Key, camera: CameraConfig, models: ModelsConfig, classes: Iterable[str]
) -> Iterator[Violation]:
    """Every class that the camera names and the models do not have."""
    yield from _named_classes(key, camera, classes)
    if region := camera.static_region:
        if region.label not in classes:
            yield (*key, "static_region", "label"), region.label, _unknown_class(region.label, classes)
        elif region.label not in models.pose:
            wanted = "needs a pose model, which alone shows that the region is not empty; add it to models.pose"
            yield (*key, "static_region", "label"), region.label, wanted


def _unknown_class(label: str, classes: Iterable[str]) -> str:
    return f"the detector does not know {label!r}; want one of {', '.join(classes)}, or another models.detector"


def region_violations(key: Key, camera: CameraConfig, size_wh: tuple[int, int] | None) -> Iterator[Violation]:
    """What is wrong with the camera's regions; `size_wh` of the upright image in px, None: not known."""
    if size_wh is not None:
        yield from _regions_outside(key, camera, size_wh)
    in_use = camera.stall.enabled or camera.person_down.enabled
    errors = list(drawing_errors(camera.stall, size_wh) if in_use else outline_errors(camera.stall))
    if in_use and size_wh is not None and camera.stall.floor_m is not None and not errors:
        found = import_module(GROUND_PLANE).floor_size_errors(camera.stall, size_wh)
        errors = [(("floor_m",), error) for error in found]
    for path, error in errors:
        yield (*key, "stall", *path), _stall_value(camera.stall, path), error
    for table, polygons in _polygon_lists(camera):
        for place, polygon in enumerate(polygons):
            if fault := outline_error(polygon):
                yield (*key, *table, place), polygon, fault


def _regions_outside(key: Key, camera: CameraConfig, size_wh: tuple[int, int]) -> Iterator[Violation]:
    """Every region that is not inside the image."""
    inside = f"must lie inside the upright image of {size_wh[0]} x {size_wh[1]} px; correct it, or size and rotate"
    if camera.roi and not _inside(camera.roi, size_wh):
        yield (*key, "roi"), camera.roi, inside
    if camera.static_region and not _inside(camera.static_region.box, size_wh):
        yield (*key, "static_region", "box"), camera.static_region.box, inside
    if (lens := camera.intrinsics) and not _inside((lens.cx, lens.cy), size_wh):
        centre = (
            f"has its centre at {lens.cx:g}, {lens.cy:g}, outside the upright image of {size_wh[0]} x {size_wh[1]} px"
        )
        yield (*key, "intrinsics"), None, f"{centre}; scale it to the requested size"
    for path, polygons in _polygon_lists(camera):
        for place, polygon in enumerate(polygons):
            if not all(_inside(point, size_wh) for point in polygon):
                yield (*key, *path, place), polygon, inside


def geometry_remarks(key: Key, camera: CameraConfig, size_wh: tuple[int, int] | None) -> Iterator[Violation]:
    """A lens or a floor that is possible, and hardly meant; `size_wh` of the upright image in px, None: not known."""
    if size_wh is None:
        return
    middle = [side / 2 for side in size_wh]
    if lens := camera.intrinsics:
        off = max(abs(lens.cx - middle[0]) / size_wh[0], abs(lens.cy - middle[1]) / size_wh[1])
        if MAX_LENS_OFF < off < 0.5:
            there = f"its centre at {lens.cx:g}, {lens.cy:g} is far from the middle of the upright image"
            yield (*key, "intrinsics"), None, f"{there}, {middle[0]:g}, {middle[1]:g}; is it for this size and rotate?"
    if camera.stall.floor_m is None or not (camera.stall.enabled or camera.person_down.enabled):
        return
    measures = import_module(GROUND_PLANE).floor_measures(camera.stall.floor, camera.stall.floor_m, size_wh)
    if measures is not None and (height_m := measures["camera_height_m"]) > HIGH_CAMERA_M:
        sentence = f"the camera would hang {height_m:.1f} m above it; is it in metres? a foot is 0.305 m"
        yield (*key, "stall", "floor_m"), camera.stall.floor_m, sentence


def _polygon_lists(camera: CameraConfig) -> Sequence[tuple[Key, Sequence[Polygon]]]:
    return (("masks",), camera.masks), (("person_down", "beds"), camera.person_down.beds)


def _stall_value(stall: StallConfig, path: tuple[str, ...]) -> object:
    value = getattr(stall, path[0])
    return value[path[1]] if len(path) > 1 else value


def _inside(corners: tuple[float, ...], size_wh: tuple[int, ...]) -> bool:
    """Whether x, y, x, y, … all lie on the image."""
    return all(0 <= value <= size_wh[place % 2] for place, value in enumerate(corners))


def _shared_sources(cameras: Mapping[str, CameraConfig]) -> Iterator[Violation]:
    """Live sources that two cameras use. Any number of cameras may read a file."""
    owners: dict[str, str] = {}
    for name, camera in cameras.items():
        if not camera.enabled or camera.source_kind == "files":
            continue
        first = owners.setdefault(_opened_path(camera), name)
        if first != name:
            yield (
                ("cameras", name, "source"),
                str(camera.source),
                f"is also the source of cameras.{first}; remove one of them",
            )


def _opened_path(camera: CameraConfig) -> str:
    """What is opened: a V4L2 device may be called by its number, its node, or a link to that; a stream with a login."""
    source = camera.source.reveal()
    if camera.source_kind == "rtsp":
        parts = urlsplit(source)
        host, port = parts.hostname or "", parts.port or RTSP_PORTS[parts.scheme]
        return urlunsplit(parts._replace(netloc=f"{host}:{port}"))
    if camera.source_kind != "v4l2":
        return source
    return os.path.realpath(f"/dev/video{source}" if source.isdigit() else source)
