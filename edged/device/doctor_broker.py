"""The checks of the broker that `edged doctor` makes: does everything arrive, and is the device's id its own?"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing
from pathlib import Path

from edged.config.tables.mqtt import MqttConfig
from edged.config.tree import Config
from edged.device.check_result import CheckResult, failed, passed
from edged.device.identity import device_id
from edged.errors import BrokerLost, ConfigError
from edged.messages import topics
from edged.messages.build import encode
from edged.messages.topics import TopicSpec
from edged.mqtt.broker_check import BrokerReport, Outcome, TopicCheck, check_broker
from edged.mqtt.duplicate_id import OTHER_ID, describe
from edged.mqtt.homeassistant_payloads import DiscoveryDevice
from edged.mqtt.message_limits import NO_RETAIN, QOS_0_ONLY
from edged.units import BYTES_PER_KB

# Bytes that a message may have; measured on messages of a box with two stalls, and rounded up.
SIZES = {topics.HEALTH: 2000, topics.POSES: 2000, topics.STATE: 700, topics.DAILY: 2500, topics.ALERT: 600}
HEALTH_BYTES_PER_CAMERA = 900  # the same, by camera
OF_DEVICE = (topics.STATUS, topics.INFO, topics.HEALTH, topics.SWITCHES)
OF_CAMERA = (topics.CAMERA_STATUS, topics.POSES, topics.STATE, topics.ALERT, topics.DAILY)
RAISE_LIMIT = "raise the broker's limit of message size (mosquitto: max_packet_size, message_size_limit)"
CURES = {  # by the code of an error
    "unreachable": "start the broker, or correct mqtt.host (or mqtt.hosts) and mqtt.port; without one: edged run "
    "--embedded-broker",
    "certificate": "correct the broker's certificate, mqtt.host, mqtt.tls.ca or the clock, as said above",
    "not-a-tls-port": "set mqtt.port to the broker's port for TLS, or mqtt.tls.enabled to false",
    "tls-wanted": "set mqtt.tls.enabled to true and mqtt.port to the port for TLS, or see the broker's log",
    "certificate-wanted": "set mqtt.tls.cert and mqtt.tls.key, or see the broker's log",
    "not-authorized": "correct mqtt.username and its password, or let {client} in at the broker",
    "bad-user-name-or-password": "correct mqtt.username and its password",
    "client-identifier-not-valid": "let {client} in at the broker, or give this device another device.id",
}
NOTHING = TopicSpec(name="", path="", summary="An empty message.")
ID_REFUSED = ("not-authorized", "client-identifier-not-valid")
SEE_LOG = "see the broker's log, and [mqtt]"


def broker_results(config: Config, discovery: DiscoveryDevice | None) -> Iterator[CheckResult]:
    """Each node accepts a connection and every kind of message, and nobody else uses this device's id.

    `discovery` None: nothing is announced to Home Assistant.
    """
    for node in config.mqtt.nodes:
        yield from _node_results(config.model_copy(update={"mqtt": node}), discovery)


def _node_results(config: Config, discovery: DiscoveryDevice | None) -> Iterator[CheckResult]:
    mqtt, device = config.mqtt, device_id(config.device.id)
    runs = daemon_runs(config.device.state_dir)
    try:
        report = _report(config, device, discovery, runs=runs)
    except ConfigError as error:
        yield failed("broker", str(error), "correct [mqtt.tls]")
        return
    except BrokerLost as error:
        do = CURES.get(error.code, SEE_LOG).format(client=f"{device}-doctor and {device}")
        yield failed("broker", str(error), do)
        return
    versions = " and ".join([report.version, *report.other_versions])
    yield passed("broker", f"{mqtt.place} speaks MQTT {versions}")
    yield from _limits(report)
    yield publishing(report, mqtt, device)
    yield identity(report, config, device, daemon_runs=runs)


def _report(config: Config, device: str, discovery: DiscoveryDevice | None, *, runs: bool | None) -> BrokerReport:
    """By a client id of its own; where only the device's is let in, by that, unless a daemon may be using it."""
    try:
        return check_broker(config.mqtt, device, trials(config, device, discovery), f"{device}-doctor")
    except BrokerLost as error:
        if error.code not in ID_REFUSED or runs is not False:
            raise
    return check_broker(config.mqtt, device, trials(config, device, discovery), device)


def trials(config: Config, device: str, discovery: DiscoveryDevice | None) -> list[TopicCheck]:
    """One message for every topic that the daemon uses, as large as the largest there."""
    root, cameras = f"{config.mqtt.base_topic}/{device}/", config.enabled_cameras
    specs = [*OF_DEVICE, *([topics.REPORTED] if config.fleet.group is not None else [])]
    found = [TopicCheck(root + spec.path, spec, SIZES.get(spec, 0)) for spec in specs]
    health = found[OF_DEVICE.index(topics.HEALTH)]
    health.min_bytes += HEALTH_BYTES_PER_CAMERA * len(cameras)
    for camera in cameras:
        specs = [*OF_CAMERA, *_with_pictures(config)]
        found += [
            TopicCheck(root + spec.at(camera=camera, alert_id="doctor").path, spec, _size(spec, config))
            for spec in specs
        ]
    found += [
        TopicCheck(root + topics.RESULT.at(command=verb).path, topics.RESULT, 200)
        for verb in sorted(config.commands.allow)
    ]
    if discovery is not None:  # Home Assistant ignores an empty message of a device that it does not know
        found.append(TopicCheck(f"{discovery.prefix}/device/{device}/{device}_doctor/config", NOTHING))
        health.min_bytes = max(health.min_bytes, *(len(encode(body)) for body in discovery.payloads().values()))
    return found


def publishing(report: BrokerReport, mqtt: MqttConfig, device: str) -> CheckResult:
    """What became of the trials, in one result."""
    bad = [(trial, outcome) for trial, outcome in report.outcomes if outcome not in ("arrived", "taken")]
    if not bad:
        slowest_ms = max((trial.round_trip_ms or 0.0 for trial in report.trials), default=0.0)
        largest = max(len(trial.payload) for trial in report.trials)
        return passed(
            "publishing", f"{len(report.trials)} topics, up to {largest} bytes; there and back in {slowest_ms:.0f} ms"
        )
    good = [trial for trial, outcome in report.outcomes if outcome in ("arrived", "taken")]
    largest_good = max((len(trial.payload) for trial in good), default=0)
    client = f"user {mqtt.username}" if mqtt.username else f"client {device}"
    grant = f"give {client} the right to write and to read {mqtt.base_topic}/{device}/#"
    by_size = all(len(trial.payload) > largest_good and len(trial.payload) >= BYTES_PER_KB for trial, _ in bad)
    if any(trial.topic.endswith("_doctor/config") for trial, _ in bad):
        grant += ", and to Home Assistant's discovery topics"
    lines = [_line(trial, outcome) for trial, outcome in bad]
    return failed("publishing", "\n".join(lines), RAISE_LIMIT if by_size else grant)


def identity(report: BrokerReport, config: Config, device: str, *, daemon_runs: bool | None) -> CheckResult:
    """Whether the device that is online under our id is this one. `daemon_runs` None: it cannot be told."""
    root = f"{config.mqtt.base_topic}/{device}/"
    status, info = report.retained_body(root + topics.STATUS.path), report.retained_body(root + topics.INFO.path)
    if status.get("state") != "online":
        return passed("device id", f"{device}: nobody is online under it")
    there, here = set(info.get("cameras", ())), set(config.enabled_cameras)
    if there == here and daemon_runs is not False:
        return passed("device id", f"{device}: this device is online")
    other = describe(report.retained[root + topics.INFO.path]) if info else "without info"
    runs = "" if daemon_runs else "; no daemon runs here with this configuration"
    return failed("device id", f"{device} is online: {other}{runs}", f"if that is another device, {OTHER_ID}")


def daemon_runs(state_dir: Path) -> bool | None:
    """Whether a daemon has the state directory open; None: it cannot be told."""
    file = state_dir / "outbox.db"
    try:
        if not file.exists():
            return False
        with closing(sqlite3.connect(f"file:{file}?mode=rw", uri=True, timeout=0)) as database:
            database.execute("BEGIN IMMEDIATE")
            database.execute("ROLLBACK")
    except sqlite3.OperationalError as error:
        return True if "locked" in str(error) else None
    except (OSError, sqlite3.Error):
        return None
    return False


def _limits(report: BrokerReport) -> Iterator[CheckResult]:
    if not report.limits.retain:
        yield failed("retained messages", NO_RETAIN, "have the broker keep them (mosquitto: retain_available true)")
    if report.limits.max_qos == 0:
        yield failed("quality of service", QOS_0_ONLY, "have the broker allow QoS 1 (mosquitto: max_qos 1)")


def _line(trial: TopicCheck, outcome: Outcome) -> str:
    said: Mapping[Outcome, str] = {
        "refused": f"refused: {trial.refusal}",
        "dropped": "acknowledged, and not sent to subscribers",
        "unknown": "it did not come back, and no other message did: no right to write there, or to read",
    }
    return f"{trial.topic}, {len(trial.payload)} bytes: {said.get(outcome, outcome)}"


def _with_pictures(config: Config) -> list[TopicSpec]:
    wanted = {"snapshot": topics.SNAPSHOT, "day": topics.DAY, "evidence": topics.ALERT_CLIP}
    stills = [topics.ALERT_STILL] if config.evidence.enabled else []
    return [*(spec for verb, spec in wanted.items() if verb in config.commands.allow), *stills]


def _size(spec: TopicSpec, config: Config) -> int:
    if spec.media_type is not None:
        return config.commands.snapshot_max_kb * BYTES_PER_KB
    return SIZES.get(spec, 0)
