"""What a configuration says in vain: tables that are not enabled, names that nothing reads, alerts that never ring.

Upstream: `config_check`. Downstream: `edged check`, `edged provision`, the daemon's log. A remark stops no daemon.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date
from difflib import get_close_matches
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from pydantic import SecretStr

from edged.behaviour.horse.polygons import XY, contains, distance_to_edges
from edged.behaviour.horse.thresholds import HORSE_SCHEMA, Behaviours, Gait
from edged.config.layers import variable_of_key
from edged.config.partial import PartialConfig
from edged.config.tables.camera import CameraConfig
from edged.config.tables.down import MIN_OBSERVATIONS
from edged.config.tables.mqtt import MqttConfig
from edged.config.toml_lines import Key
from edged.config.tree import Config
from edged.config.types import Section
from edged.secret_address import SecretAddress
from edged.units import MS_PER_S
from engines.card_outline import CardOutline

Violation = tuple[Key, object, str]  # key, its value (None: not shown), what is wanted and what to do

HORSE, PERSON = "horse", "person"
ZONES = ("feeder", "hay", "water")  # the names that configurations and entities of Home Assistant share
MQTT_PORT, TLS_PORT = 1883, 8883
AS_ROOT = "use sudo; the service gets it after systemctl daemon-reload and a restart"
PEM = "-----BEGIN "  # in a file for `edged provision`, a certificate may be text
BEHAVIOUR_HZ = Behaviours.min_rate_hz
GRID = 16  # so many points each way tell whether anything of an area is seen
GAIT_HZ = Gait.min_rate_hz
DISPLAY_NAME: Key = ("device", "name")  # any text
UNREPLACED = re.compile(  # the last as in configs/edged-provision.toml
    r"\$\{\w+\}|\{\{.*\}\}|"
    r"^(\$[A-Z][A-Z0-9_]*|%[A-Z][A-Z0-9_]*%|!secret\b.*|<[^<>]*>|the .+'s password( for this box)?)$"
)
LIVE_ONLY = ("username", "password", "format", "open_timeout_s", "frame_timeout_s", "retry_max_s")
TLS_ONLY = ("ca", "tls_verify", "tls_server_name")
FILES_ONLY = ("realtime", "loop")
DETECTOR_ONLY = ("detector_interval", "thresholds", "classes", "track", "max_subjects")


def config_remarks(partial: PartialConfig, unread: Path | None = None) -> Iterator[Violation]:
    """Every remark that needs no model card, in no order; none about a key that is invalid.

    `unread`: a folder that may have the passwords, and that only root may read.
    """
    config = partial.config
    if config is None:
        return
    remarks = [*_mqtt_remarks(config.mqtt, unread), *_device_remarks(config), *_fleet_remarks(config)]
    remarks += [*_library_remarks(config), *_value_remarks((), config.model_dump(exclude_unset=True))]
    for name, camera in config.enabled_cameras.items():
        key: Key = ("cameras", name)
        if partial.knows((*key, "source")):
            remarks += [*_source_remarks(key, camera), *_password_remarks(key, camera, unread)]
        remarks += [*_detection_remarks(key, camera), *_unseen_remarks(key, camera)]
        remarks += _stall_remarks(key, camera)
    yield from (remark for remark in remarks if partial.knows(remark[0]))


def model_remarks(config: Config, cards: Mapping[str, CardOutline]) -> Iterator[Violation]:
    """Remarks about what the models cannot do for a stall or an aisle."""
    detector = cards.get(config.models.detector)
    if detector is None or detector.classes is None:
        return
    known = detector.classes
    for name, camera in config.enabled_cameras.items():
        if camera.person_down.enabled and (PERSON not in known or PERSON not in config.models.pose):
            sentence = "needs keypoints of people; name a detector of people, and models.pose.person"
            yield ("cameras", name, "person_down", "enabled"), True, sentence
        for table, section in (("stall", camera.stall), ("aisle", camera.aisle)):
            if not section.enabled:
                continue
            key: Key = ("cameras", name, table, "enabled")
            if HORSE not in known:
                yield key, True, f"models.detector = {config.models.detector!r} knows no horse; choose one that does"
            elif HORSE not in config.models.pose:
                yield key, True, "postures and gaits need keypoints of horses; name a pose model in models.pose.horse"
            elif (schema := _schema(cards, config.models.pose[HORSE])) not in (None, HORSE_SCHEMA):
                sentence = f"postures and gaits need the keypoints {HORSE_SCHEMA}, and models.pose.horse has {schema}"
                yield key, True, f"{sentence}; choose another"


def _schema(cards: Mapping[str, CardOutline], name: str) -> str | None:
    return cards[name].schema if name in cards else None


def _not_enabled(key: Key, section: Section) -> Iterator[Violation]:
    """A table that was filled in and not enabled. `enabled = false` says that this is on purpose."""
    given = section.model_fields_set
    if given and "enabled" not in given:
        yield key, None, "nothing reads this table until it is enabled; add enabled = true, or remove the table"


def _mqtt_remarks(mqtt: MqttConfig, unread: Path | None) -> Iterator[Violation]:
    if mqtt.username and not mqtt.password.get_secret_value() and mqtt.tls.cert is None:
        yield ("mqtt", "username"), mqtt.username, _no_password(("mqtt",), unread)
    if mqtt.port == TLS_PORT and not mqtt.tls.enabled:
        yield (
            ("mqtt", "port"),
            mqtt.port,
            "is the usual port of TLS, which is off; add mqtt.tls.enabled = true, or 1883",
        )
    if mqtt.transport == "websocket" and mqtt.port in (MQTT_PORT, TLS_PORT):
        sentence = "is usual for MQTT without WebSocket; brokers give those a port of their own, as 9001, 8083 or 443"
        yield ("mqtt", "port"), mqtt.port, sentence
    if mqtt.tls.enabled:
        yield from _missing_files(("mqtt", "tls"), mqtt.tls, ("ca", "cert", "key"))
        yield from _ending_certificates(mqtt)
    given = mqtt.tls.model_fields_set
    if given > {"enabled"} and not mqtt.tls.enabled:  # left out altogether, it is an error
        yield ("mqtt", "tls", "enabled"), False, "the certificates are not used, and passwords go in clear text"


def _value_remarks(key: Key, value: Any) -> Iterator[Violation]:
    """Variables and placeholders that nothing replaces, and relative paths."""
    if isinstance(value, Mapping):
        for name, item in value.items():
            yield from _value_remarks((*key, name), item)
        return
    text = value.get_secret_value() if isinstance(value, SecretStr) else value
    text = text.reveal() if isinstance(text, SecretAddress) else text
    if not isinstance(text, str | Path) or str(text).lstrip().startswith(PEM):
        return
    if key != DISPLAY_NAME and UNREPLACED.search(str(text)):
        sentence = "looks like a variable or a placeholder, and nothing is replaced in these files; write the value"
        yield key, None, f"{sentence}, or set {variable_of_key(key)}"
    elif isinstance(text, Path) and not text.is_absolute():
        sentence = "is relative to the folder that edged is started in, /var/lib/edged as a service; write it whole"
        yield key, str(text), sentence


def _library_remarks(config: Config) -> Iterator[Violation]:
    """Extras that are not installed here, which may not be the machine that the configuration is for."""
    wanted = (
        (("publish", "encoding"), config.publish.encoding, "cbor", "cbor2", "cbor"),
        (("panel", "enabled"), config.panel.enabled, True, "uvicorn", "panel"),
        (("compute", "cpu_runtime"), config.compute.cpu_runtime, "openvino", "openvino", "openvino"),
    )
    for key, got, asks, library, extra in wanted:
        if got == asks and find_spec(library) is None:
            text = (
                f"{library} is not installed on this machine, where the daemon would not start; in a clone: pip install"
            )
            yield key, got, f"{text} '.[{extra}]'"


def _missing_files(key: Key, table: Section, names: Iterable[str]) -> Iterator[Violation]:
    """Certificates and keys that are not where the table says."""
    for name in names:
        text = str(getattr(table, name) or "")
        if text.lstrip().startswith(PEM):
            text = "is the text itself; it is for `edged provision FILE`, and the daemon alone wants the path of a file"
            yield (*key, name), None, text
        elif text and (fault := _no_file(text)):
            yield (*key, name), text, fault


def _no_file(path: str) -> str | None:
    """Why there is no file at this path; None: there is one."""
    try:
        os.stat(path)
    except PermissionError:
        return "its folder may not be read by this user; use sudo to have it checked"
    except (OSError, ValueError):  # ValueError: no path at all
        return "there is no such file on this machine; correct the path, or put the file there"
    return None


def _ending_certificates(mqtt: MqttConfig) -> Iterator[Violation]:
    from edged.config.certificates import expiry, mqtt_ends  # noqa: PLC0415  most checks go without ssl

    for name, end_ms in mqtt_ends(mqtt).items():
        if (fault := expiry(end_ms, time.time() * MS_PER_S)) is not None:
            yield ("mqtt", "tls", name), None, fault


def _fleet_remarks(config: Config) -> Iterator[Violation]:
    group = config.fleet.group
    if group is not None and config.update.source is None:
        yield ("fleet", "group"), group, "a version that the fleet wants is taken from update.source; set that too"


def _device_remarks(config: Config) -> Iterator[Violation]:
    for name, profile in config.profiles.items():
        if not any(changes.model_fields_set for changes in profile.cameras.values()):
            yield (
                ("profiles", name),
                None,
                f"changes nothing; add [profiles.{name}.cameras.NAME] with keys, or remove it",
            )
    yield from _not_enabled(("homeassistant",), config.homeassistant)
    yield from _not_enabled(("prometheus",), config.prometheus)
    yield from _not_enabled(("panel",), config.panel)
    yield from _not_enabled(("evidence",), config.evidence)
    if config.panel.enabled:
        yield from _missing_files(("panel",), config.panel, ("cert", "key"))
    cameras = config.enabled_cameras.values()
    allowed = config.commands.allow
    if "snapshot" in allowed and not any(camera.images for camera in cameras):
        place = ("commands", "allow", allowed.index("snapshot"))
        yield place, "snapshot", "no camera gives pictures; add images = true to a camera, or remove it"
    if "day" in allowed and not any(camera.stall.enabled for camera in cameras):
        place = ("commands", "allow", allowed.index("day"))
        yield place, "day", "no camera watches a stall; add [cameras.<name>.stall] with enabled = true, or remove it"
    for name, camera in config.enabled_cameras.items():
        if camera.images and not ("snapshot" in allowed or config.panel.enabled or config.evidence.enabled):
            sentence = 'nothing shows its pictures; add "snapshot" to commands.allow, or enable [panel] or [evidence]'
            yield ("cameras", name, "images"), True, sentence
    if config.evidence.enabled and not any(camera.images for camera in cameras):
        yield ("evidence", "enabled"), True, "no camera gives pictures; add images = true to a camera, or remove it"
    if config.models.lift and not any(camera.lift for camera in cameras):
        yield ("models", "lift"), config.models.lift, "no camera uses it; add lift = true to a camera, or remove it"


def _source_remarks(key: Key, camera: CameraConfig) -> Iterator[Violation]:
    """Keys that this kind of camera does not read."""
    is_files = camera.source_kind == "files"
    for name in LIVE_ONLY if is_files else FILES_ONLY:
        if name in camera.model_fields_set:
            kind = "cameras" if is_files else "files"
            yield (*key, name), None, f"is for {kind}, and {camera.source_kind} is the source here; remove it"
    if is_files and (fault := _no_file(str(Path(camera.source.reveal()).expanduser()))):
        yield (*key, "source"), str(camera.source), fault
    if camera.onvif_serial and camera.source_kind != "rtsp":
        yield (*key, "onvif_serial"), None, f"is for rtsp, and {camera.source_kind} is the source here; remove it"
    if camera.source.reveal().startswith("rtsps:"):
        yield from _missing_files(key, camera, ("ca",))
    else:
        for name in TLS_ONLY:
            if name in camera.model_fields_set:
                yield (*key, name), None, "is for rtsps:// alone, and this source is not encrypted; remove it"
    if camera.static_region is not None:
        for name in DETECTOR_ONLY:
            if name in camera.model_fields_set:
                yield (*key, name), None, "a static region runs no detector and no tracker; remove it"


def _no_password(key: Key, unread: Path | None) -> str:
    """What to do about a user name of this table that has no password."""
    if unread is not None:
        return f"its password cannot be read: {unread} is for root; {AS_ROOT}"
    name = ".".join(map(str, (*key, "password")))
    return f"has no password; give it as the credential {name}, or as {name} here"


def _password_remarks(key: Key, camera: CameraConfig, unread: Path | None) -> Iterator[Violation]:
    if camera.source_kind != "rtsp":
        for name in ("username", "password") if camera.source_kind != "files" else ():
            if name in camera.model_fields_set:
                yield (*key, name), None, f"is for rtsp, and {camera.source_kind} is the source here; remove it"
        return
    address = urlsplit(camera.source.reveal())
    secret = camera.password.get_secret_value() or address.password
    if (camera.username or address.username) and not secret:
        where = "username" if camera.username else "source"
        yield (*key, where), str(getattr(camera, where)), _no_password(key, unread)
    if secret and not (camera.username or address.username):
        yield (*key, "password"), None, f"has no user name; add {'.'.join(map(str, (*key, 'username')))}"


def _detection_remarks(key: Key, camera: CameraConfig) -> Iterator[Violation]:
    wanted = camera.classes
    for label, score in camera.thresholds.items():
        if wanted is not None and label not in wanted:
            yield (*key, "thresholds", label), score, "this class is not looked for; add it to classes, or remove it"
        if score == 1:
            yield (*key, "thresholds", label), score, "no detection is that sure; lower it, or leave the class out"
    if camera.lift and wanted is not None and PERSON not in wanted:
        yield (*key, "lift"), True, 'only people get 3D keypoints; add "person" to classes, or remove it'
    if "pick" in camera.model_fields_set and camera.mode == "multi":
        yield (*key, "pick"), camera.pick, 'all subjects are published; add mode = "single", or remove it'


def _unseen_remarks(key: Key, camera: CameraConfig) -> Iterator[Violation]:
    """Areas of which `masks` and `roi` leave nothing."""
    region, floor = camera.static_region, camera.stall.floor
    areas: list[tuple[Key, Sequence[XY] | None]] = [
        ((*key, "static_region", "box"), None if region is None else _corners(region.box)),
        ((*key, "stall", "floor"), floor if camera.stall.enabled or camera.person_down.enabled else None),
    ]
    if whole := camera.roi or (camera.upright_size_wh and (0, 0, *camera.upright_size_wh)):
        areas.append(((*key, "masks"), _corners(whole)))
    for place, area in areas:
        if area is None or not (camera.roi or camera.masks):
            continue
        seen = [_is_seen(camera, at) for at in _inside(area)]
        if seen and not any(seen):  # a strip may lie between the points
            yield place, None, "nothing of it is seen, as masks and roi leave all of it out; correct one of them"


def _is_seen(camera: CameraConfig, point: XY) -> bool:
    in_roi = camera.roi is None or contains(_corners(camera.roi), point)
    return in_roi and not any(contains(mask, point) for mask in camera.masks)


def _inside(area: Sequence[XY]) -> Iterator[XY]:
    """Points in the area, at the centres of a grid over it."""
    (x0, x1), (y0, y1) = ((min(axis), max(axis)) for axis in zip(*area, strict=True))
    for place in range(GRID * GRID):
        point = x0 + (x1 - x0) * (place % GRID + 0.5) / GRID, y0 + (y1 - y0) * (place // GRID + 0.5) / GRID
        if contains(area, point):
            yield point


def _corners(box: tuple[float, float, float, float]) -> list[XY]:
    x0, y0, x1, y1 = box
    return [(x0, y0), (x1, y0), (x1, y1), (x0, y1)]


def _stall_remarks(key: Key, camera: CameraConfig) -> Iterator[Violation]:
    if not camera.person_down.enabled:  # whose floor it holds
        yield from _not_enabled((*key, "stall"), camera.stall)
    yield from _not_enabled((*key, "person_down"), camera.person_down)
    if camera.person_down.enabled and not _may_find(camera, PERSON):
        key_here, got = _class_key(key, camera)
        yield key_here, got, 'no person is looked for, so [person_down] finds none; add "person", or remove it'
    if camera.person_down.enabled and 0 < camera.fps * camera.person_down.after_s < MIN_OBSERVATIONS:
        sentence = f"person-down needs {MIN_OBSERVATIONS} frames within after_s, so it never rings; raise one of them"
        yield (*key, "fps"), camera.fps, sentence
    yield from _not_enabled((*key, "aisle"), camera.aisle)
    for table, section in (("stall", camera.stall), ("aisle", camera.aisle)):
        if section.enabled and not _may_find(camera, HORSE):
            key_here, got = _class_key(key, camera)
            yield key_here, got, f'no horse is looked for, so [{table}] sees none; add "horse", or remove [{table}]'
    if camera.aisle.enabled and 0 < camera.fps < GAIT_HZ:
        yield (*key, "fps"), camera.fps, f"a gait needs {GAIT_HZ:g} Hz or more; raise it"
    if camera.stall.enabled:
        yield from _alert_remarks(key, camera)
        yield from _zone_remarks((*key, "stall", "zones"), camera)


def _may_find(camera: CameraConfig, label: str) -> bool:
    if camera.static_region is not None:
        return camera.static_region.label == label
    return camera.classes is None or label in camera.classes


def _class_key(key: Key, camera: CameraConfig) -> tuple[Key, object]:
    """The key that limits the classes, and its value."""
    if camera.static_region is not None:
        return (*key, "static_region", "label"), camera.static_region.label
    return (*key, "classes"), camera.classes


def _alert_remarks(key: Key, camera: CameraConfig) -> Iterator[Violation]:
    """Alerts that can never ring, and what holds none back."""
    stall = camera.stall
    if not _may_find(camera, PERSON) and _may_find(camera, HORSE):
        key_here, got = _class_key(key, camera)
        sentence = "no person is looked for, so `person_present` stays false and nobody's visit holds an alert back"
        yield key_here, got, sentence
    if stall.floor is None:
        sentence = "without a floor no wall is known, and cast-suspected never rings; draw it: edged calibrate"
        yield (*key, "stall"), None, sentence
    elif len(set(stall.open_sides)) == len(stall.floor):
        yield (*key, "stall", "open_sides"), stall.open_sides, "no side is a wall, so cast-suspected never rings"
    if (window := stall.foaling_window) and window.end < date.today():  # the window is in local days
        yield (*key, "stall", "foaling_window"), None, f"ended on {window.end}, so foaling-suspected never rings"
    if 0 < camera.fps < BEHAVIOUR_HZ:
        sentence = f"pawing and weaving need {BEHAVIOUR_HZ:g} Hz or more, and are not seen below; raise it"
        yield (*key, "fps"), camera.fps, sentence
    if stall.idle_hz is not None and 0 < camera.fps <= stall.idle_hz:
        yield (*key, "stall", "idle_hz"), stall.idle_hz, "fps is not higher, so nothing is saved; lower it"
    if stall.horses == "mare-and-foal" and (camera.mode == "single" or camera.max_subjects == 1):
        yield (*key, "stall", "horses"), stall.horses, "one subject is published at a time, so no foal; see mode"


def _zone_remarks(key: Key, camera: CameraConfig) -> Iterator[Violation]:
    for name in camera.stall.zones:
        if name not in ZONES:
            near = get_close_matches(name, ZONES, n=1)
            meant = f"did you mean {near[0]}?" if near else f"the usual names are {', '.join(ZONES)}"
            yield (*key, name), None, f"Home Assistant reads no zone of this name, only messages show it; {meant}"
    zones = camera.stall.zones.items()
    for place, (name, outline) in enumerate(zones):
        for before, wider in list(zones)[:place]:
            if all(contains(wider, corner) or distance_to_edges(wider, corner) < 1 for corner in outline):
                sentence = f"lies in {before}, which stands before it, so it is never reached; put it first"
                yield (*key, name), None, sentence
