"""People who lie on the floor where nobody should, for so many seconds: from their keypoints and a floor of known size.

One camera cannot measure depth. So each frame is read twice: if the person is upright, how high are the shoulders?
And if everything lies on the floor, how long are trunk and legs? Lying needs low shoulders, a trunk of a trunk's length
along the floor, and one sign more: a trunk that is level in the image, or legs stretched out in line with it.
Upstream: the loop, as a sink. Downstream: `SceneMonitor`. Measured on simulated people by `python -m tools.down`.
"""

from __future__ import annotations

import itertools
import logging
import math
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from edged.behaviour.horse.ground_plane import GroundPlane, ground_plane
from edged.behaviour.horse.polygons import XY, contains
from edged.behaviour.types import Finding
from edged.config.tables.down import MIN_OBSERVATIONS, DownConfig
from edged.config.tables.stall import StallConfig
from edged.errors import ConfigError
from edged.frame import F32, F64, Frame, FrameResult, TrackedSubject
from edged.units import NS_PER_S
from engines.card.schema import SCHEMAS

log = logging.getLogger(__name__)

KIND = "person-down"
PERSON = "person"
MAX_QUEUED = 256  # results of one camera; a poll every half second leaves far fewer

# Chosen on simulated people (`python -m tools.down --first 0`), whose seeds are not those of the report.
MIN_KEYPOINT_SCORE = 0.3  # of a keypoint that counts
TRUNK_M = (0.3, 0.72)  # shoulders to hips along the floor, if the person lies
MAX_TRUNK_ALONE_M = 0.62  # the same, where no leg is seen
MAX_RISE_M = 0.4  # shoulders above the hips' place, if the person is upright: a seated trunk has 0.5
MAX_SHOULDER_M = 0.65  # above the feet's place, if the person is upright: one that bends has more
MAX_LEG_M, MIN_STRETCHED_M = 1.2, 0.6  # hips to feet along the floor, if the person lies
MIN_TILT_DEG = 40.0  # of a level trunk in the image, against what hangs straight down there
MAX_ALONG_SHOULDER_M, MIN_IN_LINE = 1.0, 0.9  # of who lies towards the camera; whole length over trunk and legs
MIN_SHARE = 0.5  # of the observations in the time, that must show it
MIN_FILLED = 0.95  # of the time, that lies between the first and the last observation
MAX_PAUSE_S = 3.0  # between two that show it
MAX_GAP_S = 3.0  # without an observation, after which a person is not said to lie any more
HANDOVER_S, HANDOVER_M = 5.0, 1.0  # another id, so soon and so near, is the same person: lying people get lost
LYING_M = 0.1  # height of a lying body's middle above the floor
SIGHT_S = 120.0  # the last of them tell whether enough is seen of people:
MIN_SEEN, MIN_READABLE = 40, 0.2  # people in their frames, and the share that must be read


@dataclass(frozen=True, slots=True, kw_only=True)
class Signs:
    """What one frame says of one person. NaN: no leg is seen."""

    hip_px: XY  # in the image
    place: tuple[float, float]  # m on the floor, of the hips if they lie
    tilt_deg: float  # of the trunk in the image: 0 upright, 90 level, 180 upside down
    rise_m: float  # if upright: shoulders above the hips' place on the floor,
    shoulder_m: float  # shoulders above the feet's
    trunk_m: float  # if lying: shoulders to hips,
    leg_m: float  # hips to feet,
    whole_m: float  # shoulders to feet

    @property
    def lies(self) -> bool:
        legs = not math.isnan(self.leg_m)
        longest_m = TRUNK_M[1] if legs else MAX_TRUNK_ALONE_M
        if not (TRUNK_M[0] < self.trunk_m < longest_m and self.rise_m < MAX_RISE_M):
            return False
        low = not legs or (self.shoulder_m < MAX_SHOULDER_M and self.leg_m < MAX_LEG_M)
        if self.tilt_deg > MIN_TILT_DEG and low:
            return True
        in_line = self.whole_m > MIN_IN_LINE * (self.trunk_m + self.leg_m)
        return in_line and MIN_STRETCHED_M < self.leg_m < MAX_LEG_M and self.shoulder_m < MAX_ALONG_SHOULDER_M


def read_signs(subject: TrackedSubject, ground: GroundPlane) -> Signs | None:
    """Of a person's keypoints; None: shoulders or hips are not seen, or above the horizon."""
    points = _points(subject)
    if points is None:
        return None
    shoulder, hip, knee, ankle = points
    foot = knee if np.isnan(ankle).any() else ankle
    slopes, camera_m = ground.ray_slopes(np.array([shoulder, hip, foot])), ground.camera_height_m
    if np.isnan(slopes[:2]).any():
        return None
    lying = (camera_m - LYING_M) * slopes
    x, y = (lying[1] + ground.camera_position_m[:2]).tolist()
    return Signs(
        hip_px=(float(hip[0]), float(hip[1])),
        place=(x, y),
        tilt_deg=_tilt_deg(shoulder, hip, ground),
        rise_m=_height_above(slopes[0], slopes[1], camera_m),
        shoulder_m=_height_above(slopes[0], slopes[2], camera_m),
        trunk_m=math.dist(lying[0], lying[1]),
        leg_m=math.dist(lying[1], lying[2]),
        whole_m=math.dist(lying[0], lying[2]),
    )


def _points(subject: TrackedSubject) -> list[F64] | None:
    """Middle of shoulders, hips, knees and ankles, (2,) px each, NaN: not seen. None: shoulders or hips are not."""
    if subject.label != PERSON or subject.keypoints is None or subject.schema not in SCHEMAS:
        return None
    names = SCHEMAS[subject.schema].keypoints
    sides = [[f"{side}_{part}" for side in ("left", "right")] for part in ("shoulder", "hip", "knee", "ankle")]
    if any(name not in names for pair in sides for name in pair):
        return None
    found = [_middle(subject.keypoints[[names.index(name) for name in pair]]) for pair in sides]
    return None if np.isnan(found[:2]).any() else found


def _middle(pair: F32) -> F64:
    """(2,) px of those of two keypoints (2, 3) that are seen; NaN: neither."""
    seen = pair[(pair[:, 2] >= MIN_KEYPOINT_SCORE) & ~np.isnan(pair[:, 0]), :2]
    return np.asarray(seen.mean(axis=0) if len(seen) else (math.nan, math.nan), float)


def _height_above(slope: F64, foot: F64, camera_m: float) -> float:
    """How high a ray is where it passes nearest to the place of another one on the floor."""
    depth = camera_m * float(slope @ foot) / max(float(slope @ slope), 1e-9)
    return camera_m - depth


def _tilt_deg(shoulder: F64, hip: F64, ground: GroundPlane) -> float:
    """The trunk against the line that stands upright on the hips' place, both in the image."""
    below, trunk = ground.downwards_px(hip), hip - shoulder
    norm = float(np.linalg.norm(below) * np.linalg.norm(trunk))
    if norm < 1e-6:
        return math.nan
    return math.degrees(math.acos(max(-1.0, min(1.0, float(below @ trunk) / norm))))


@dataclass(slots=True)
class _Person:
    """What was seen of one person in the last seconds."""

    seen: deque[tuple[float, Signs, bool]] = field(default_factory=deque)  # time in s, signs, whether lying

    def add(self, t_s: float, signs: Signs, *, down: bool, window_s: float) -> None:
        self.seen.append((t_s, signs, down))
        while len(self.seen) > 1 and t_s - self.seen[1][0] >= window_s:
            self.seen.popleft()

    def lies(self, window_s: float) -> bool:
        """Whether the person has lain for the whole time: in most observations, and without a pause."""
        begin_s, end_s = self.seen[0][0], self.seen[-1][0]
        down_s = [t_s for t_s, _, down in self.seen if down]
        if end_s - begin_s < MIN_FILLED * window_s or len(self.seen) < MIN_OBSERVATIONS:
            return False
        pauses_s = [after - before for before, after in itertools.pairwise((begin_s, *down_s, end_s))]
        return max(pauses_s) <= MAX_PAUSE_S and len(down_s) >= MIN_SHARE * len(self.seen)


class _Sight:
    """How many frames there were of late, people in them, and people of whom enough was seen."""

    def __init__(self) -> None:
        self._begin_s: float | None = None
        self._seconds: deque[tuple[int, int, int]] = deque()  # second, people, of them readable; one per frame

    def add(self, t_s: float, people: int, readable: int) -> None:
        self._begin_s = t_s if self._begin_s is None else self._begin_s
        self._seconds.append((int(t_s), people, readable))
        while self._seconds[0][0] < t_s - SIGHT_S:
            self._seconds.popleft()

    def fault(self, now_s: float, window_s: float) -> str:
        """Why a person who lies would not be found; empty: nothing speaks against it."""
        frames = sum(second > now_s - window_s for second, _, _ in self._seconds)
        if self._begin_s is not None and now_s - self._begin_s > window_s and 0 < frames < MIN_OBSERVATIONS:
            return f"{frames} frames in {window_s:g} s are too few, it needs {MIN_OBSERVATIONS}"
        people, readable = (sum(one[place] for one in self._seconds) for place in (1, 2))
        if people >= MIN_SEEN and readable < MIN_READABLE * people:
            return (
                f"shoulders and hips are seen of {readable / people:.0%} of the people: covered, or outside the image"
            )
        return ""


class DownMonitor:
    """One camera. `process` and `findings` belong to the behaviour thread."""

    def __init__(self, settings: DownConfig, floor: StallConfig) -> None:
        """`floor`: whose floor of known size is used. Without one nothing is found; `edged check` says so."""
        self._settings, self._floor = settings, floor
        self._grounds: dict[tuple[int, int], GroundPlane | None] = {}
        self._people: dict[int, _Person] = {}
        self._sight = _Sight()
        self._floor_fault = ""
        self.blind = ""  # why nobody would be found, as `findings` saw it last; empty: nothing speaks against it
        self.queue: deque[FrameResult] = deque(maxlen=MAX_QUEUED)

    def process(self, result: FrameResult) -> None:
        """Look at one frame. Results must come in the order of their frames."""
        ground, t_s = self._ground(result), result.captured_ns / NS_PER_S
        if ground is None:
            return
        people = [subject for subject in result.subjects if subject.label == PERSON]
        read = [(one.id, signs) for one in people if (signs := read_signs(one, ground)) is not None]
        self._sight.add(t_s, len(people), len(read))
        # Known ids first: nobody is given the record of a person who is seen in this very frame.
        for number, signs in sorted(read, key=lambda one: one[0] not in self._people):
            person = self._people.get(number) or self._handed_over(number, signs, t_s)
            down = signs.lies and self._forbidden(signs.hip_px)
            person.add(t_s, signs, down=down, window_s=self._settings.after_s)
        self._people = {
            number: person for number, person in self._people.items() if t_s - person.seen[-1][0] <= HANDOVER_S
        }

    def findings(self, now_s: float) -> dict[str, Finding]:
        """One of the people who lie, by the alert's kind; empty: nobody does."""
        after_s = self._settings.after_s
        self.blind = self._floor_fault or self._sight.fault(now_s, after_s)
        lying = [one for one in self._people.values() if one.lies(after_s) and now_s - one.seen[-1][0] <= MAX_GAP_S]
        if not lying:
            return {}
        seen = lying[0].seen
        shown = [signs for _, signs, down in seen if down]
        evidence = {
            "seconds": round(seen[-1][0] - seen[0][0], 1),
            "shoulder_m": round(float(np.median([signs.rise_m for signs in shown])), 2),
            "trunk_tilt_deg": round(float(np.median([signs.tilt_deg for signs in shown]))),
            "trunk_m": round(float(np.median([signs.trunk_m for signs in shown])), 2),
        }
        reason = f"a person lies on the floor, for about {after_s:g} s or longer"
        return {KIND: Finding(kind=KIND, reason=reason, evidence=evidence, coverage=round(len(shown) / len(seen), 2))}

    def _handed_over(self, number: int, signs: Signs, t_s: float) -> _Person:
        """A new id's record: that of a person who vanished here just now, or an empty one."""
        for other, person in list(self._people.items()):
            gone_s = t_s - person.seen[-1][0]
            if 0 < gone_s <= HANDOVER_S and math.dist(person.seen[-1][1].place, signs.place) < HANDOVER_M:
                del self._people[other]
                self._people[number] = person
                return person
        return self._people.setdefault(number, _Person())

    def _forbidden(self, hip: XY) -> bool:
        """Whether a person's hips are on the floor, and on no bed."""
        on_floor = self._floor.floor is not None and contains(self._floor.floor, hip)
        return on_floor and not any(contains(bed, hip) for bed in self._settings.beds)

    def _ground(self, result: FrameResult) -> GroundPlane | None:
        size_wh = result.size_wh
        if size_wh not in self._grounds:
            self._floor_fault = ""
            try:
                self._grounds = {size_wh: ground_plane(self._floor, size_wh)}
            except ConfigError as error:
                log.warning("camera %s: people who lie down are not found: %s", result.camera, error)
                self._floor_fault = f"the floor does not fit the image of {size_wh[0]} x {size_wh[1]} px: {error}"
                self._grounds = {size_wh: None}
        return self._grounds[size_wh]


class DownMonitors:
    """All cameras with the rule. `sink` belongs to the compute thread, `findings` to the behaviour thread."""

    def __init__(self) -> None:
        self._settings: dict[str, tuple[DownConfig, StallConfig]] = {}
        self._monitors: dict[str, DownMonitor] = {}

    def reconfigure(self, settings: Mapping[str, tuple[DownConfig, StallConfig]]) -> None:
        """Look at these cameras from now on, with the floor of each. One whose settings have changed starts anew."""
        before, self._settings = self._settings, dict(settings)
        self._monitors = {
            name: self._monitors[name] if before.get(name) == one else DownMonitor(*one)
            for name, one in settings.items()
        }

    def sink(self, frame: Frame, result: FrameResult) -> None:
        """Queue a result. The compute thread."""
        if (monitor := self._monitors.get(result.camera)) is not None:
            monitor.queue.append(result)

    @property
    def blind(self) -> dict[str, str]:
        """The cameras at which nobody would be found, and why. Any thread."""
        return {name: monitor.blind for name, monitor in self._monitors.items() if monitor.blind}

    def findings(self, camera: str, now_ns: int) -> Mapping[str, Finding]:
        """What is found at a camera, after what has been queued for it."""
        if (monitor := self._monitors.get(camera)) is None:
            return {}
        while monitor.queue:
            monitor.process(monitor.queue.popleft())
        return monitor.findings(now_ns / NS_PER_S)
