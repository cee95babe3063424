"""Problems that a person should look after, from the figures of the health message. Pure.

A problem begins when its figure rises to the first limit, and ends when it falls below the second.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from edged.config.certificates import expiry
from edged.mqtt.duplicate_id import OTHER_ID, REPEATED_AFTER
from edged.mqtt.message_limits import NO_RETAIN, NO_RIGHT, QOS_0_ONLY, UNVERIFIED
from edged.runtime.threads import Trouble

Body = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Limit:
    """A figure of the device that may grow too large."""

    code: str
    begins_at: float
    ends_at: float
    read: Callable[[Body], float | None]
    detail: str  # {} is the figure


def _used_percent(device: Body) -> float:
    return 100 * (1 - float(device["memory_available_mb"]) / float(device["memory_total_mb"]))


LIMITS = (
    Limit(
        "disk-nearly-full", 95, 92, lambda device: device["disk_used_percent"], "{} % used; delete what is not needed"
    ),
    Limit("memory-nearly-full", 95, 90, _used_percent, "{} % used"),
    Limit(
        "hot", 90, 85, lambda device: device["temperature_c"], "{} °C in the hottest zone; check the fan and for dust"
    ),
)


@dataclass(frozen=True, slots=True)
class Problem:
    """A problem; `code` and `source` identify it."""

    code: str
    source: str  # a camera, a model, a thread, a certificate, `broker` or `device`
    detail: str  # in words, with the figure


class ProblemTracker:
    """The problems that there are, and since when."""

    def __init__(self) -> None:
        self._since_ns: dict[tuple[str, str], int] = {}

    def update(
        self,
        body: Body,
        now_ns: int,
        threads: Iterable[Trouble] = (),
        *,
        utc_ms: int = 0,
        blind: Mapping[str, str] | None = None,
    ) -> list[tuple[Problem, int]]:
        """The problems of a health body, each with its begin, CLOCK_MONOTONIC in ns."""
        problems = [*self._device_problems(body["device"]), *camera_problems(body["cameras"])]
        problems += [*model_problems(body["models"]), *broker_problems(body.get("mqtt", {}))]
        for name, end_ms in body.get("certificates_end_ts", {}).items():
            if (fault := expiry(end_ms, utc_ms)) is not None:
                problems.append(Problem("certificate-expiry", name, fault))
        problems += [Problem(f"thread-{trouble.kind}", trouble.thread, trouble.reason) for trouble in threads]
        problems += [Problem("person-down-blind", camera, why) for camera, why in (blind or {}).items()]
        if not body["clock"]["synced"]:
            problems.append(
                Problem("clock-not-set", "device", "the clock is not synchronised; give the device an NTP server")
            )
        current = {(problem.code, problem.source): problem for problem in problems}
        self._since_ns = {key: self._since_ns.get(key, now_ns) for key in current}
        return [(problem, self._since_ns[key]) for key, problem in current.items()]

    def _device_problems(self, device: Body) -> Iterator[Problem]:
        for limit in LIMITS:
            value = limit.read(device)
            threshold = limit.ends_at if (limit.code, "device") in self._since_ns else limit.begins_at
            if value is not None and value >= threshold:
                yield Problem(limit.code, "device", limit.detail.format(round(value)))
        if throttle := device["throttle"]:
            limit_text = f"{throttle['max_fps']:g} frames per camera and second: {throttle['reason']}"
            yield Problem("rate-reduced", "device", limit_text)
        throttling = device["hardware_throttling"] or {"active": [], "over_current_events": 0}
        if throttling["active"]:
            yield Problem("hardware-throttled", "device", f"cooling is active: {', '.join(throttling['active'])}")
        if events := throttling["over_current_events"]:
            yield Problem(
                "over-current", "device", f"{events} events since the last health message; check the power supply"
            )


def model_problems(models: Body) -> Iterator[Problem]:
    """From the `models` of a health body."""
    if models.get("gpu_missing"):
        yield Problem("gpu-missing", "device", "no GPU answers; models run on the CPU until one does")
    for name, reason in models.get("missing", {}).items():
        yield Problem("model-missing", name, reason)
    for name, build in models.get("engines", {}).items():
        if build["phase"] == "failed":
            yield Problem("engine-failed", name, build["reason"])


def broker_problems(mqtt: Body) -> Iterator[Problem]:
    """From the `mqtt` of a health body: what does not arrive, and why."""
    if mqtt.get("reason"):
        yield Problem("broker-lost", "broker", mqtt["reason"])
    if other := mqtt.get("other_device"):
        yield Problem("id-in-use", "broker", f"another device has this device's id ({other}); {OTHER_ID}")
    elif mqtt.get("short_connections", 0) >= REPEATED_AFTER:
        detail = f"connections end soon: another device has this device's id, then {OTHER_ID}; or the network is bad"
        yield Problem("id-in-use", "broker", detail)
    if mqtt.get("retain_available") is False:
        yield Problem("broker-no-retain", "broker", NO_RETAIN)
    if mqtt.get("max_qos") == 0:
        yield Problem("broker-qos-0", "broker", QOS_0_ONLY)
    if topics := mqtt.get("refused_topics"):
        detail = "; ".join(f"{topic}: {reason}" for topic, reason in topics.items())
        cure = "; give this client the right to write there" if set(topics.values()) & set(NO_RIGHT) else ""
        yield Problem("topics-refused", "broker", detail + cure)
    if sizes := mqtt.get("too_large"):
        detail = ", ".join(f"{topic} ({size} bytes)" for topic, size in sizes.items())
        limit = mqtt["max_message_bytes"] or 0
        known = f" over about {limit} bytes" if 0 < limit < min(sizes.values()) else " so large"
        yield Problem("message-too-large", "broker", f"not sent: {detail}; the broker takes no message{known}")
    if mqtt.get("unverified"):
        yield Problem(
            "delivery-unverified", "broker", f"{UNVERIFIED}; let this client read its own topics, or use MQTT 5"
        )


def camera_problems(cameras: Mapping[str, Body]) -> Iterator[Problem]:
    """From the `cameras` of a health body."""
    for name, camera in cameras.items():
        if camera["state"] == "lost":
            recovery = f"; requested {camera['recovery']}" if camera["recovery"] else ""
            yield Problem("camera-lost", name, camera["reason"] + recovery)
        elif (camera["degraded_share"] or 0) > 0.5:
            yield Problem("view-degraded", name, f"{camera['degraded_share']:.0%} of the frames are degraded")
        elif (failed := camera["frames"]["failed"]) and camera["fps_in"] > camera["fps_dropped"] and not camera["fps"]:
            yield Problem("frames-failed", name, f"{failed} so far, none is processed now; see the log")
