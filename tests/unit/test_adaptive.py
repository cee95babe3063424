"""One subject or all, as the load allows."""

from edged.tracking.adaptive import FIRST_SINGLE_NS, AdaptiveMode
from edged.units import ns


def late(mode: AdaptiveMode, start: int, frames: int, step: int) -> list[bool]:
    """Feed frames 1/10 s apart whose numbers advance by `step` (1: none dropped)."""
    return [mode.is_single(start + i * step, ns(0.1) * i) for i in range(frames)]


def test_fixed_modes_ignore_the_load() -> None:
    assert not any(late(AdaptiveMode("multi"), 0, 50, 3))
    assert all(late(AdaptiveMode("single"), 0, 50, 1))


def test_dropped_frames_switch_to_single_and_time_ends_it() -> None:
    mode = AdaptiveMode("adaptive")
    modes = late(mode, 0, 12, 2)
    assert not modes[0]
    assert modes[-1]
    assert not mode.is_single(24, ns(1.2) + FIRST_SINGLE_NS)


def test_one_dropped_frame_changes_nothing() -> None:
    mode = AdaptiveMode("adaptive")
    mode.is_single(0, 0)
    assert not mode.is_single(2, ns(0.1))


def test_stay_in_single_doubles_while_multi_keeps_failing() -> None:
    mode, switches, single = AdaptiveMode("adaptive"), [], False
    for i in range(600):
        now = mode.is_single(2 * i, ns(0.1) * i)
        if now != single:
            switches.append(i)
        single = now
    first, second = switches[1] - switches[0], switches[3] - switches[2]
    assert second >= 1.9 * first
