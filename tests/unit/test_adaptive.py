"""One subject or all, as the load allows."""

from edged.tracking.adaptive import FIRST_SINGLE_NS, AdaptiveMode
from edged.units import ns


def late(load: AdaptiveMode, start: int, frames: int, step: int) -> list[bool]:
    """Feed frames 1/10 s apart whose numbers advance by `step` (1: none dropped)."""
    return [load.is_single(start + i * step, ns(0.1) * i) for i in range(frames)]


def test_fixed_modes_do_not_care_about_load() -> None:
    assert not any(late(AdaptiveMode("multi"), 0, 50, 3))
    assert all(late(AdaptiveMode("single"), 0, 50, 1))


def test_dropped_frames_bring_relief_and_time_ends_it() -> None:
    load = AdaptiveMode("adaptive")
    modes = late(load, 0, 12, 2)
    assert not modes[0]
    assert modes[-1]
    assert not load.is_single(24, ns(1.2) + FIRST_SINGLE_NS)


def test_a_single_drop_changes_nothing() -> None:
    load = AdaptiveMode("adaptive")
    load.is_single(0, 0)
    assert not load.is_single(2, ns(0.1))


def test_relief_lasts_longer_each_time_it_did_not_help() -> None:
    load, switches, single = AdaptiveMode("adaptive"), [], False
    for i in range(600):
        now = load.is_single(2 * i, ns(0.1) * i)
        if now != single:
            switches.append(i)
        single = now
    first, second = switches[1] - switches[0], switches[3] - switches[2]
    assert second >= 1.9 * first
