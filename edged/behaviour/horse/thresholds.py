"""The tuned numbers of the stall monitor: each with its unit, where its name does not say it, and its source.

"Body length" is the line from neck to root of the tail (README.md); "share" is 0 to 1. Without another source a number
was set by hand against simulated stall days (tools.barn) of seeds that were not recorded; the seeds of the published
report were not among them. "Half" and "twice" say what such a value would cost, by `python -m tools.sensitivity` on
further seeds. A change here needs new reports (tools/reports).
"""

from __future__ import annotations

import math
from typing import NamedTuple

HORSE_SCHEMA = "ap10k-17"  # the keypoints that all of it is about


class Bout(NamedTuple):
    """How a behaviour is counted: its length; shorter breaks belong to it."""

    min_s: float
    merge_gap_s: float
    max_s: float = math.inf


class Posture:
    """posture.py: one observation's label, and the vote of the last seconds."""

    folded_leg_reach = 0.3  # body length; a leg shorter than this is folded
    no_leg_reach = 0.15  # body length; shorter: its direction says nothing
    standing_leg_down = 0.65  # share of a leg that points down: upright above
    lying_leg_down = 0.55  # share; lying below
    folded_leg_down = 0.2  # share; a folded leg points down more: it is under the body
    on_back_leg_down = -0.3  # share; legs point up: on its back
    on_back_leg_reach = 0.25  # body length; least length of a leg that points up
    standing_belly_depth = 0.27  # body length; 286 labelled photographs of standing horses agree
    lateral_belly_depth = 0.2  # body length; lateral below this, whatever the legs do
    standing_height = 0.5  # standing trunk height; standing above
    lying_height = 0.42  # standing trunk height; lying below; half: 21 % more seconds wrong, twice: no change
    # trunk height over body length, whatever the size; simulated, every 30 degrees and at four places: standing, eating
    # or walking 0.91 to 1.14, sternal 0.23 to 0.53
    standing_height_per_length = 0.7
    surely_standing_m = 1.25  # trunk height; simulated likewise: standing from 1.33 on, on its side up to 1.11
    lateral_leg_spread = 0.34  # body length; longer legs: lateral; half: 7 % more seconds wrong, twice: 12 %
    window_s = 6.0  # of observations that vote; half: 2 % more seconds wrong, twice: 2 % of the acts missed
    max_weight_s = 1.0  # of one observation
    min_window_s = 3.0  # of observations, before anything is decided
    min_observations = 3
    min_known = 0.4  # share of the votes that must not be "unknown"
    min_agreement = 0.7  # share of the known votes, to change the posture


class Features:
    """features.py: one observation in body lengths."""

    broadside_trunk = 0.75  # body length; a shorter trunk line: the horse is end-on
    min_legs = 2  # with root and hoof seen
    length_per_box = 0.45  # box side; least body length, of the box's longer side
    length_per_known = 0.75  # body length; least body length, of the known one
    min_reach = 0.05  # body length; divisor of a leg's direction
    flank_along = (-0.05, 1.1)  # trunk line; where the nose is in a flank look
    flank_aside = 0.6  # body length; most, from the trunk's line
    flank_head_height = -0.35  # body length; lower: the nose is at the ground
    flank_relative_height = 0.75  # standing trunk height; lower: it is lying down
    flank_trunk = 0.6  # body length; least trunk line; shorter: no flank in view


class Ground:
    """ground_plane.py: a floor of known size."""

    min_camera_height_m = 2.0  # lower: a trunk's height hardly shows in its length
    max_tilt = 0.2  # of the world's up along image y: more is upside down
    standing_trunk_m = 1.3  # trunk height until the horse's own is known
    hoof_m = 0.05  # height of a hoof that stands
    min_trunk_m = 0.3  # trunk line; divisor of the height per length
    lying_root_m = 0.3  # height of shoulders and hips of a lying horse
    min_apparent_length = 0.1  # body length; divisor of the relative height
    min_legs = 2
    flank_along = (0.05, 0.95)  # trunk line
    flank_aside = (0.15, 0.75)  # body length


class BodySizes:
    """body_size.py: learned while the horse stands."""

    sample_period_s = 5.0
    max_samples = 720  # one hour of standing
    min_samples = 6
    broadside_leg = 1.1  # trunk line; a longer leg: the horse is end-on
    length_percentile = 90  # %
    max_height = 0.8  # camera height; of a standing trunk


class Behaviours:
    """behaviours.py, falls.py: the last seconds of one horse."""

    planted_spread = 0.05  # body length; most, of a hoof that stands
    step_length = 0.15  # body length; least displacement of a hoof
    walk_length = 0.3  # body length; least displacement of the trunk; half or twice: no change
    walk_window_s = 3.0  # Shaw 1988: two or more legs moved within 3 s
    walk_min_window = 0.7  # share of the window that must be seen
    walk_hooves = 2  # Shaw 1988: two or more legs moved within 3 s
    paw_hz = (0.7, 3.0)  # the sign: EAAPS-1, BMC Vet Res 2018 s12917-018-1482-4
    paw_cycles = 3
    paw_amplitude = 0.06  # body length; half: no change, twice: 2 % of the acts missed
    weave_hz = (0.3, 1.5)  # the behaviour: BMC Vet Res 2013 9:3
    weave_cycles = 3
    weave_amplitude = 0.06  # body length
    min_rate_hz = 7.0  # Nyquist rate of paw_hz (6 Hz), with a margin by hand
    min_seen = 0.6  # share of the samples, to judge a point
    min_seen_hoof = 0.35  # share of one hoof, which another may hide
    thrash_speed = 1.5  # body length/s; half: 1 % of the acts counted are false, twice: 18 % more acts missed
    # share left of shoulder or hip height; 40 % lost in a full collapse, less on its knees; half: 1 % more acts missed,
    # 0.95: no change
    fall_height = 0.75
    fall_s = 1.5  # a fall takes less
    fall_samples_s = 1.3  # most, between the five samples of the lowest point
    fall_window_s = 7.0
    min_fall_samples = 8
    fall_match_s = 0.4  # around the fall, in which the trunk must have sunk
    fall_settled_s = 1.0  # 31 of 802 simulated walks were taken for falls without it
    stationary_spread = 0.15  # body length; most, of a trunk that stays
    sink_length = 0.08  # body length; least movement of a trunk that falls
    sink_tilt = 0.12  # body length; or least change of its line


# behaviours.py
BOUTS = {
    "paw": Bout(min_s=1.0, merge_gap_s=10.0),
    "flank-look": Bout(min_s=1.0, merge_gap_s=2.0, max_s=20.0),  # min_s: half no change, twice 1 % more acts missed
    "roll": Bout(min_s=0.4, merge_gap_s=20.0),
    "weave": Bout(min_s=5.0, merge_gap_s=20.0),
    "thrash": Bout(min_s=0.8, merge_gap_s=5.0),
}


class Horse:
    """horse.py, falls.py: what one horse does."""

    max_observation_age_s = 5.0  # an older one says nothing about now
    head_above = 0.1  # body length; nose above the neck: "above"
    head_below = -0.45  # body length; "below"; between the two: "level"
    idle_after_s = 4.0  # without a movement, no behaviour is looked for; half: 1 % more acts missed, twice: no change
    move_length = 0.1  # body length; of nose, trunk or hoof: it moved
    unknown_gap_s = 120.0  # unknown posture across which a change still counts
    rise_length = 0.12  # body length; least rise of a trunk that lay, to stand again
    lying_place = 0.7  # body length; or sideways, least move from where it lay
    lying_place_gain = 0.1  # share of each observation, in where it lies
    recovered_height = 0.85  # share of the height before a fall
    recovery_s = 10.0  # most, from a fall to that height
    recovery_place = 0.25  # body length; most, from where it stood
    recovery_stays_s = 3.0  # that it stays there
    fall_pause_s = 5.0  # least, between two falls
    fall_standing_s = 3.0  # most, since it was last seen standing
    weight_shift = 0.06  # body length; of the hips; the sign: Torcivia & McDonnell 2021
    weight_shift_s = 10.0  # window
    hip_baseline_gain = 0.05  # share
    on_back_count = 4  # observations on its back, to be a roll; half: 1 act of 168 fewer missed, twice: 3 more
    on_back_s = 3.0  # in which they must fall
    paw_window_s = 5.0
    weave_window_s = 10.0
    weave_min_window_s = 8.0


class BoxWalking:
    """box_walking.py: the same round, over and over."""

    round_s = (4, 45)  # time of a round
    rounds = 5  # the behaviour: BMC Vet Res 2013 9:3
    min_correlation = 0.6  # of one round with the next
    min_radius = 0.3  # body length; mean distance from the route's middle
    sample_period_s = 0.9  # of the route
    min_route_s = 60
    max_route_s = 240


class People:
    """people.py: which tracks are people."""

    min_duration_s = 2.0  # from first to last detection
    min_distance = 0.5  # box width; of the smoothed centre from its start
    smoothing_s = 1.0  # time constant of the centre
    new_s = 10.0  # a younger track may yet turn out to be a person
    forget_s = 10.0


class MareFoal:
    """mare_foal.py: which of two horses is the foal."""

    max_tracks = 16  # remembered
    sure_votes = 5.0  # frames in which a track was the larger one, less the others
    max_votes = 50.0
    foal_size = 0.6  # mare size; a single horse that is smaller is the foal
    size_gain = 0.01  # share of each frame, in the mare's usual size


class Stall:
    """stall_monitor.py, geometry.py."""

    person_pause_s = 600.0  # after a person was there: no alert
    feeding_s = 1800.0  # before and after; pawing before feed is anticipation: Heleski 2014
    min_observed_min = 360.0  # of monitoring, before lying time of a day is judged
    night_hours = (20, 6)  # local hour; 86 % of births fall between 19:00 and 07:00, Jung 2022
    wall_distance = 0.3  # body length; from a hoof to a wall
    active_s = 2.0  # since the last movement, to count as activity of the minute
    awake_s = 10.0  # since the last movement, until the idle rate is allowed
    floor_margin = 0.1  # box side; beyond the drawn floor that a horse may stand


class Habit:
    """day_log.py: what is usual at an hour."""

    max_days = 14  # ACARIS learns a horse for 14 days
    min_days = 5
    min_observed_s = 2700.0  # of an hour, for it to count
    min_relative_std = 0.25  # share of the mean
    min_std_s = 10.0


class Gait:
    """gait.py: one passage along an aisle."""

    min_rate_hz = 10.0
    min_ratio_rate_hz = 20.0  # at 12 Hz a simulated even horse read up to 1.5
    min_s = 2.0
    min_length = 2.0  # body length
    min_observations = 8
    min_seen = 0.5  # share of a hoof's samples
    grid_hz = 50.0  # resampling
    stride_hz = (0.5, 2.5)  # slow walk to fast trot
    smoothing_s = 0.12
    min_strides = 3
    min_correlation = 0.4  # of one stride with the next
    first_peak = 0.8  # share of the highest peak, that the first one must reach
    touchdown_gap = 0.6  # stride; least, between two of a hoof
    step_pair = (0.6, 1.4)  # stride; of two steps, for them to count
    gone_s = 2.0  # not visible: the horse has passed
    max_observations = 1200  # of one passage; more: it stands in the aisle
