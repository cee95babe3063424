"""What 10 000 and 100 000 boxes would ask of three NATS nodes: arithmetic, from message sizes and measured costs."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from importlib.resources import files
from typing import Any

import numpy as np

from edged.config.tables.mqtt import PublishConfig
from edged.messages.build import encode
from edged.messages.topics import REPORTED
from edged.provisioning.desired import Desired
from edged.units import BYTES_PER_MB, S_PER_DAY
from tools.reports.writer import number, table

BOXES = (10_000, 100_000)
NODES, KIND = 3, "NATS x3"
CAMERAS = 2
STATES, ALERTS = 100, 2  # of a camera in a day: assumed; the simulated stalls make fewer
POSES_HZ = 1.0  # of one camera of each box
PROBE_S = 10.0  # one `poses` message of a camera in so long has QoS 1; see `edged.mqtt.delivery`
SETTINGS = "x" * 1024  # of a roll-out
SIGNATURE = "x" * 300  # the length of one by an Ed25519 key
RETAINED_OF_BOX, RETAINED_OF_CAMERA = (
    ("status", "info", "health", "switches", "reported"),
    ("camera-status", "state", "daily"),
)
HEAD = f"""\
## 10 000 and 100 000 boxes

Arithmetic for three NATS nodes, from the sizes of the examples in `edged/messages/examples`, the default intervals, and
the CPU and memory of the runs above. A box has {CAMERAS} cameras, each with {STATES} states and {ALERTS} alerts in a
day; `poses` of one of them go out at {POSES_HZ:g} Hz, and one in {PROBE_S:g} s has QoS 1."""


def message_bytes(kind: str) -> int:
    """Return the size of today's example of a message."""
    example = files("edged.messages.examples") / f"{kind}.json"
    return len(encode(json.loads(example.read_text())))


def plan(growth: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """Yield the lines of the section; `growth` are the runs of `capacity`."""
    measured = [one for one in growth if one["kind"] == KIND and "error" not in one]
    yield from (HEAD, "")
    rows = [_rows(boxes, _cost_s(measured), _connection_mb(measured)) for boxes in BOXES]
    texts = zip(rows[0], *(row.values() for row in rows), strict=True)
    yield from table(["", *(f"{boxes:,} boxes".replace(",", " ") for boxes in BOXES)], texts)


def _cost_s(measured: Sequence[Mapping[str, Any]]) -> float | None:
    """CPU of all nodes for a message, in s; of the run with the most messages. None without one."""
    largest = max(measured, key=lambda one: sum(one["published"]) / one["took_s"], default=None)
    return None if largest is None else message_cost_s(largest)


def message_cost_s(found: Mapping[str, Any]) -> float:
    """Return the CPU of all nodes for one message of a run, in s."""
    return float(sum(found["nodes"]) * found["took_s"] / sum(found["published"]))


def _connection_mb(measured: Sequence[Mapping[str, Any]]) -> float | None:
    """Memory of all nodes for one more box, in MB; None without two numbers of boxes."""
    boxes = [one["boxes"] for one in measured]
    if len(set(boxes)) < 2:
        return None
    return float(np.polyfit(boxes, [sum(one["memory_mb"]) for one in measured], 1)[0])


def _rows(boxes: int, cost_s: float | None, connection_mb: float | None) -> dict[str, str]:
    kept = STATES + ALERTS + S_PER_DAY / PublishConfig().daily_interval_s  # of a camera in a day
    kept_hz = boxes * CAMERAS * kept / S_PER_DAY
    health_hz, probes_hz = boxes / PublishConfig().health_interval_s, boxes / PROBE_S
    poses_hz = boxes * POSES_HZ
    retained = sum(map(message_bytes, RETAINED_OF_BOX)) + CAMERAS * sum(map(message_bytes, RETAINED_OF_CAMERA))
    poses_mb = poses_hz * message_bytes("poses") / BYTES_PER_MB
    wish = Desired(group="barns", number=1, version="1.0", configuration=SETTINGS).model_dump_json()
    desired = len(json.dumps({"desired": wish, "signature": SIGNATURE}))
    return {
        "states, totals and alerts, messages/s, written by two or three nodes": number(kept_hz, 0),
        "`health`, messages/s": number(health_hz, 0),
        "`health`, MB/s": number(health_hz * message_bytes("health") / BYTES_PER_MB, 1),
        "`poses` with QoS 1, messages/s": number(probes_hz, 0),
        "cores of all nodes for these": number(cost_s and cost_s * (kept_hz + health_hz + probes_hz), 1),
        "all `poses`, messages/s": number(poses_hz, 0),
        "all `poses`, MB/s": number(poses_mb, 0),
        "cores of all nodes for these, more": number(cost_s and cost_s * (poses_hz - probes_hz), 1),
        "memory of a node while two of three serve, GB": number(connection_mb and connection_mb * boxes / 2000, 1),
        "retained, in memory and on disk of each node, MB": number(boxes * retained / BYTES_PER_MB, 0),
        "queues of the archive after a day without a worker, GB": number(
            boxes * CAMERAS * _archived_bytes() / (1000 * BYTES_PER_MB), 1
        ),
        "a stage of a roll-out to all with 1 kB of settings, MB out": number(boxes * desired / BYTES_PER_MB, 0),
        "`reported` of all, MB in": number(boxes * message_bytes(REPORTED.name) / BYTES_PER_MB, 0),
        "boxes that come to each of two nodes when the third fails": number(boxes / NODES / 2, 0),
    }


def _archived_bytes() -> float:
    """Of one camera in a day."""
    days = S_PER_DAY / PublishConfig().daily_interval_s
    return STATES * message_bytes("state") + ALERTS * message_bytes("alert") + days * message_bytes("daily")
