"""The tuned numbers of the stall monitor, typed: `thresholds.toml` holds each with its unit and its source.

Read once, at import; named tuples, which are made faster than data classes. Downstream: every module of this folder.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple, get_type_hints

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

Range = tuple[float, float]


class Posture(NamedTuple):
    folded_leg_reach: float
    no_leg_reach: float
    standing_leg_down: float
    lying_leg_down: float
    folded_leg_down: float
    on_back_leg_down: float
    on_back_leg_reach: float
    standing_belly_depth: float
    lateral_belly_depth: float
    standing_height: float
    lying_height: float
    lateral_leg_spread: float
    window_s: float
    max_weight_s: float
    min_window_s: float
    min_observations: int
    min_known: float
    min_agreement: float


class Features(NamedTuple):
    broadside_trunk: float
    min_legs: int
    length_per_box: float
    length_per_known: float
    min_reach: float
    flank_along: Range
    flank_aside: float
    flank_head_height: float
    flank_relative_height: float
    flank_trunk: float


class Ground(NamedTuple):
    min_camera_height_m: float
    max_tilt: float
    standing_trunk_m: float
    hoof_m: float
    lying_root_m: float
    min_apparent_length: float
    min_legs: int
    flank_along: Range
    flank_aside: Range


class BodySizes(NamedTuple):
    sample_period_s: float
    max_samples: int
    min_samples: int
    broadside_leg: float
    length_percentile: int
    max_height: float


class Behaviours(NamedTuple):
    planted_spread: float
    step_length: float
    walk_length: float
    walk_window_s: float
    walk_min_window: float
    walk_hooves: int
    paw_hz: Range
    paw_cycles: int
    paw_amplitude: float
    weave_hz: Range
    weave_cycles: int
    weave_amplitude: float
    min_rate_hz: float
    min_seen: float
    min_seen_hoof: float
    thrash_speed: float
    fall_height: float
    fall_s: float
    fall_samples_s: float
    fall_window_s: float
    min_fall_samples: int
    fall_match_s: float
    fall_settled_s: float
    stationary_spread: float
    sink_length: float
    sink_tilt: float


class Bout(NamedTuple):
    min_s: float
    merge_gap_s: float
    max_s: float = math.inf


class Horse(NamedTuple):
    max_observation_age_s: float
    head_above: float
    head_below: float
    idle_after_s: float
    move_length: float
    unknown_gap_s: float
    rise_length: float
    lying_place: float
    lying_place_gain: float
    recovered_height: float
    recovery_s: float
    recovery_place: float
    recovery_stays_s: float
    fall_pause_s: float
    fall_standing_s: float
    weight_shift: float
    weight_shift_s: float
    hip_baseline_gain: float
    on_back_count: int
    on_back_s: float
    paw_window_s: float
    weave_window_s: float
    weave_min_window_s: float


class BoxWalking(NamedTuple):
    round_s: tuple[int, int]
    rounds: int
    min_correlation: float
    min_radius: float
    sample_period_s: float
    min_route_s: int
    max_route_s: int


class People(NamedTuple):
    min_duration_s: float
    min_distance: float
    smoothing_s: float
    new_s: float
    forget_s: float


class MareFoal(NamedTuple):
    max_tracks: int
    sure_votes: float
    max_votes: float
    foal_size: float
    size_gain: float


class Stall(NamedTuple):
    person_pause_s: float
    feeding_s: float
    min_observed_min: float
    night_hours: tuple[int, int]
    wall_distance: float
    active_s: float
    awake_s: float
    floor_margin: float


class Habit(NamedTuple):
    max_days: int
    min_days: int
    min_observed_s: float
    min_relative_std: float
    min_std_s: float


class Gait(NamedTuple):
    min_rate_hz: float
    min_ratio_rate_hz: float
    min_s: float
    min_length: float
    min_observations: int
    min_seen: float
    grid_hz: float
    stride_hz: Range
    smoothing_s: float
    min_strides: int
    min_correlation: float
    first_peak: float
    touchdown_gap: float
    step_pair: Range
    gone_s: float
    max_observations: int


class Thresholds(NamedTuple):
    posture: Posture
    features: Features
    ground: Ground
    body_size: BodySizes
    behaviours: Behaviours
    bouts: Mapping[str, Bout]  # by behaviour
    horse: Horse
    box_walking: BoxWalking
    people: People
    mare_foal: MareFoal
    stall: Stall
    habit: Habit
    gait: Gait


def parse_thresholds(text: str) -> Thresholds:
    """The thresholds of a TOML text. Raises TypeError for a name that is missing or unknown, KeyError without value."""
    tables = {name: _values(table) for name, table in tomllib.loads(text).items()}
    kinds = get_type_hints(Thresholds)
    bouts = {name: Bout(**values) for name, values in tables.pop("bouts").items()}
    return Thresholds(bouts=bouts, **{name: kinds[name](**values) for name, values in tables.items()})


def _values(table: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    values = {name: entry["value"] for name, entry in table.items()}
    return {name: tuple(value) if isinstance(value, list) else value for name, value in values.items()}


THRESHOLDS = parse_thresholds(Path(__file__).with_name("thresholds.toml").read_text())
