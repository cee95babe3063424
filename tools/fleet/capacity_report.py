"""The page of `python -m tools.fleet.capacity`, from the figures of its runs, as they are in its JSON."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from tools.fleet.plan import message_cost_s, plan
from tools.reports.writer import environment_line, number, share, table

Run = dict[str, Any]  # what was asked, and `figures` or `error`; see `capacity`

MAX_P99_MS = 2000.0  # of the states, where a broker holds its boxes
MAX_LATE_S = 2.0  # behind schedule, the same
FULL = 0.85  # of one core, of a process that can use no more; of all cores, of a machine without a rest
CORES = 2
HEAD = """\
# Three kinds of brokers: what they hold, and what they lose

`python -m tools.fleet.capacity`, as root: simulated boxes with the daemon's own publisher (every fifth message a
`state` with QoS 1, the others `poses` with QoS 0), TLS, a password and rights for each box, one reader with QoS 1 and a
session that lasts. Brokers, boxes and reader share one machine and slow each other down. *mosquitto + bridge*: a site's
broker, and the central one with the reader. *RabbitMQ*, *NATS*: three nodes, which boxes know all."""
GROWTH = f"""\
## More and more boxes

*Held*: no state lost, the 99th percentile of states below {MAX_P99_MS / 1000:g} s, boxes less than {MAX_LATE_S:g} s
behind. CPU of one core: of each node, of all boxes' processes, of the reader; of the machine: of all cores. *Connect*:
from the start of the boxes' processes until all are connected; *come back*: all nodes are killed and started, from then
until all boxes are connected again. Boxes that fall too far behind give up; shares are then of the time until that,
with what nodes still did after it, and may be above all cores. A kind ends with the first number that its brokers do
not hold. Where these tools are the limit, that number and larger ones publish 1000 messages/s in all."""
ARITHMETIC = f"""\
## What a message costs

CPU of all nodes for one message, in the largest run at 5 messages/s that was held, and how many boxes that makes for
{CORES} cores with nothing else on them: the last column is arithmetic, no measurement."""
FAULTS = """\
## While something fails

One node (of mosquitto the site's, for *partition* the centre's) is *killed* (SIGKILL; *all killed*: every node) and
started 5 s later; is *frozen* (SIGSTOP) for 5 s; is cut off for 5 s by a link that loses every packet; has no free disk
for 5 s; all nodes are stopped and started one after the other. *Recovered*: from the begin of that until no state came
more than a second late."""


def growth_key(kind: str, size: int, *, slow: bool) -> str:
    """The name of a run."""
    return f"{kind}, {size} boxes{', slow' if slow else ''}"


def fault_key(kind: str, fault: str) -> str:
    """The name of a run."""
    return f"{kind}, {fault}"


def held(found: Run) -> bool:
    """Whether all states arrived, soon enough, and boxes could publish at their rate."""
    if "error" in found or found["lost"][1] or found["late_s"] >= MAX_LATE_S:
        return False
    if sum(found["published"]) < found["planned"]:  # boxes were so far behind that they gave up
        return False
    return bool(found["ms"][1] is not None and found["ms"][1] < MAX_P99_MS)


def tools_limit(found: Run) -> bool:
    """Whether boxes or reader used all that they could, or more than the nodes of a machine that had nothing left."""
    if "error" in found:
        return False
    if max(*found["boxes_cpu"], found["reader_cpu"]) > FULL:
        return True
    tools = sum(found["boxes_cpu"]) + found["reader_cpu"]
    return bool(found["machine"] > FULL and tools > sum(found["nodes"]))


def verdict(found: Run) -> str:
    """Whether it was held, and what was the limit if not."""
    if held(found):
        return "yes"
    if "error" in found:
        return f"no: {found['error']}"
    return "no: the simulated boxes and the reader need the cores" if tools_limit(found) else "no: the brokers"


def outcome_line(found: Run) -> str:
    """What is told of a run when it is over."""
    if "fault" not in found or "error" in found:
        return verdict(found)
    return f"{found['lost'][1]} states lost, recovered after {found['recovered_s']:.1f} s"


def page(runs: Mapping[str, Run], environment: Mapping[str, str]) -> Iterator[str]:
    """Yield the lines of the report."""
    growth = [found for found in runs.values() if "fault" not in found]
    faults = [found for found in runs.values() if "fault" in found]
    yield from (HEAD, "", environment_line(environment), "", GROWTH, "")
    yield from table(GROWTH_HEAD, map(_growth_row, growth))
    yield from ("", ARITHMETIC, "")
    yield from table(["brokers", "boxes held at 5/s", "ms a message", "boxes by that"], _costs(growth))
    yield from ("", FAULTS, "")
    yield from table(FAULT_HEAD, map(_fault_row, faults))
    yield from ("", *plan(growth))


GROWTH_HEAD = (
    *("brokers", "boxes", "messages/s", "poses lost", "states lost", "twice", "states p50, p99, max ms"),
    *("CPU nodes", "boxes", "reader", "machine", "MB of nodes", "connect s", "come back s", "held"),
)
FAULT_HEAD = (
    *("brokers", "boxes", "fault", "poses lost", "states lost", "twice", "out of order"),
    *("states p50, p99, max ms", "recovered s"),
)


def _growth_row(found: Run) -> Sequence[str]:
    first = [found["kind"], str(found["boxes"])]
    if "error" in found:
        return [*first, *[""] * 12, verdict(found)]
    return [
        *first,
        number(sum(found["published"]) / found["took_s"], 0),
        *_lost(found),
        _ms(found),
        ", ".join(map(share, found["nodes"])),
        share(sum(found["boxes_cpu"])),
        share(found["reader_cpu"]),
        share(found["machine"]),
        ", ".join(number(mb, 0) for mb in found["memory_mb"]),
        number(found["connect_s"], 1),
        "not in time" if found["all_back_s"] is None else number(found["all_back_s"], 1),
        verdict(found),
    ]


def _fault_row(found: Run) -> Sequence[str]:
    first = [found["kind"], str(found["boxes"]), found["fault"]]
    if "error" in found:
        return [*first, *[""] * 5, found["error"]]
    return [*first, *_lost(found), str(found["disorder"]), _ms(found), number(found["recovered_s"], 1)]


def _lost(found: Run) -> Sequence[str]:
    """Cells: poses and states lost, states that came twice."""
    pairs = zip(found["lost"], found["published"], strict=True)
    return [*(f"{lost} of {of}" for lost, of in pairs), str(found["twice"])]


def _ms(found: Run) -> str:
    return ", ".join(number(at, 0) for at in found["ms"])


def _costs(growth: Sequence[Run]) -> Iterator[Sequence[str]]:
    for kind in dict.fromkeys(found["kind"] for found in growth):
        best = max(
            (one for one in growth if one["kind"] == kind and not one["slow"] and held(one)), key=_boxes, default=None
        )
        if best is None:
            yield [kind, "0", "-", "-"]
            continue
        cost_s = message_cost_s(best)
        yield [kind, str(best["boxes"]), number(1000 * cost_s, 3), number(CORES / cost_s / best["rate_hz"], 0)]


def _boxes(found: Run) -> int:
    return int(found["boxes"])
