"""Records what alerts look like: the last seconds of each camera in memory, a still and a clip when an alert opens.

Upstream: the loop, and each stage of each alert. Downstream: `EvidenceStore`, and the `alert-still` message.
Threads: `on_result` the loop's; `on_alert` any; the work is done in the thread `evidence`.
"""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from queue import Empty, SimpleQueue
from tempfile import TemporaryDirectory
from time import monotonic_ns
from typing import Any

from edged.behaviour.alerts import Alert
from edged.config.tables.camera import CameraConfig
from edged.config.tables.panel import EvidenceConfig
from edged.drawing.image_file import decode_jpeg, encode_jpeg, shrunk
from edged.drawing.privacy import PeopleBlur, blur_people
from edged.drawing.video_file import VideoWriter
from edged.errors import NotWritten
from edged.evidence.store import FILES, EvidenceStore
from edged.frame import F32, U8, Frame, FrameResult, PixelFormat
from edged.inference.cpu.pixels import to_bgr
from edged.publisher import without_people
from edged.runtime.rate_limit import RateLimiter
from edged.runtime.threads import SupervisedThread
from edged.units import BYTES_PER_KB, NS_PER_S, ns

log = logging.getLogger(__name__)

MAX_SIDE_PX = 960  # of pictures in the clip
MAX_SHOT_BYTES = 150 * BYTES_PER_KB
MAX_CLIPS = 8  # recorded at a time; a further alert gets a still alone
MAX_ALERTS = 64  # stages in the queue; the oldest evidence matters most
POLL_S = 0.5
JOIN_S = 3.0  # for the thread to end: it may be encoding a clip

Draw = Callable[[U8, FrameResult], U8]  # the image annotated
PublishStill = Callable[[Alert, bytes], None]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Copy:
    """An image of the loop's, copied."""

    image: U8
    pixel_format: PixelFormat
    result: FrameResult
    people: list[F32]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Shot:
    captured_ns: int
    jpeg: bytes


@dataclass(slots=True)
class _Recorded:
    """What is in memory of one camera."""

    limiter: RateLimiter
    blur: PeopleBlur = field(default_factory=PeopleBlur)
    newest: _Copy | None = None  # for stills
    shots: deque[_Shot] = field(default_factory=deque)


@dataclass(slots=True)
class _Clip:
    alert: Alert
    until_ns: int
    shots: list[_Shot]


class EvidenceRecorder:
    """`cameras` are those in use; `draw` annotates; `publish_still` gets a JPEG of at most `max_still_bytes`."""

    def __init__(
        self,
        config: EvidenceConfig,
        store: EvidenceStore,
        *,
        cameras: Callable[[], Mapping[str, CameraConfig]],
        draw: Draw,
        publish_still: PublishStill,
        max_still_bytes: Callable[[], int],
        clock: Callable[[], int] = monotonic_ns,
    ) -> None:
        self._config = config
        self._store = store
        self._cameras = cameras
        self._draw = draw
        self._publish_still = publish_still
        self._max_still_bytes = max_still_bytes
        self._clock = clock
        self._recorded: dict[str, _Recorded] = {}
        self._waiting: dict[str, _Copy] = {}
        self._alerts: SimpleQueue[tuple[Alert, Mapping[str, Any]]] = SimpleQueue()
        self._clips: dict[str, _Clip] = {}
        self._wake = threading.Event()
        self._thread = SupervisedThread("evidence", self._step)

    def start(self) -> None:
        self._store.prune()
        self._thread.start()

    def close(self) -> None:
        """Clips that are not complete end here."""
        self._thread.stop()
        self._wake.set()
        if self._thread.join(JOIN_S):
            self.work(finish=True)

    def on_result(self, frame: Frame, result: FrameResult) -> None:
        """A sink of the loop: copies the image, at most so many times a second."""
        settings = self._cameras().get(frame.camera)
        if settings is None or not settings.images:
            self._recorded.pop(frame.camera, None)
            return
        recorded = self._recorded.get(frame.camera)
        if recorded is None:
            period_ns = round(NS_PER_S / self._config.rate_hz)
            recorded = self._recorded.setdefault(frame.camera, _Recorded(RateLimiter(period_ns)))
        recorded.blur.record(result)
        if recorded.limiter.allow(result.captured_ns):
            self._waiting[frame.camera] = _Copy(
                image=frame.image.copy(), pixel_format=frame.pixel_format, result=result, people=recorded.blur.boxes
            )
            self._wake.set()

    def on_alert(self, alert: Alert, message: Mapping[str, Any]) -> None:
        """Each stage of each alert, with its message. Does not wait."""
        if self._alerts.qsize() < MAX_ALERTS:
            self._alerts.put((alert, message))
            self._wake.set()

    def _step(self) -> float:
        self._wake.wait(POLL_S)
        self._wake.clear()
        self.work()
        return 0.0

    def work(self, *, finish: bool = False) -> None:
        """Take in images and alerts, and write what is complete; `finish`: all there is."""
        for camera in list(self._waiting):
            self._take_shot(camera, self._waiting.pop(camera))
        while True:
            try:
                alert, message = self._alerts.get_nowait()
            except Empty:
                break
            self._take_alert(alert, message)
        now_ns = self._clock()
        for alert_id, clip in list(self._clips.items()):
            if finish or now_ns >= clip.until_ns:
                del self._clips[alert_id]
                self._write_clip(clip)

    def _take_shot(self, camera: str, copy: _Copy) -> None:
        recorded = self._recorded.get(camera)
        if recorded is None:
            return
        image = to_bgr(copy.image, copy.pixel_format)
        if self._hides_people(camera):
            blur_people(image, copy.people)
        recorded.newest = _Copy(image=image, pixel_format="bgr", result=copy.result, people=[])
        jpeg, _ = encode_jpeg(shrunk(image, MAX_SIDE_PX), MAX_SHOT_BYTES)
        shot = _Shot(captured_ns=copy.result.captured_ns, jpeg=jpeg)
        recorded.shots.append(shot)
        while shot.captured_ns - recorded.shots[0].captured_ns > ns(self._config.before_s):
            recorded.shots.popleft()
        for clip in self._clips.values():
            if clip.alert.camera == camera:
                clip.shots.append(shot)

    def _take_alert(self, alert: Alert, message: Mapping[str, Any]) -> None:
        recorded = self._recorded.get(alert.camera)
        begun = self._store.has(alert.id)
        try:
            if not begun and alert.stage == "open" and recorded is not None and recorded.newest is not None:
                self._store.put(alert.id, self._stills(alert, recorded.newest))
                begun = True
                if len(self._clips) < MAX_CLIPS:
                    until_ns = alert.published_ns + ns(self._config.after_s)
                    self._clips[alert.id] = _Clip(alert, until_ns, list(recorded.shots))
            if begun:
                self._store.put_message(alert.id, message)
        except OSError as exc:
            log.warning("camera %s: no picture of its alert is kept: %s; free some space", alert.camera, exc.strerror)

    def _stills(self, alert: Alert, newest: _Copy) -> dict[str, bytes]:
        """The annotated picture, which is published, and the plain one."""
        result = without_people(newest.result) if self._hides_people(alert.camera) else newest.result
        max_bytes = self._max_still_bytes()
        still = encode_jpeg(self._draw(newest.image, result), max_bytes)[0]
        self._publish_still(alert, still)
        return {FILES["plain"]: encode_jpeg(newest.image, max_bytes)[0], FILES["still"]: still}

    def _write_clip(self, clip: _Clip) -> None:
        if not clip.shots:
            return
        try:
            with TemporaryDirectory(dir=self._store.folder(clip.alert.id).parent, prefix=".clip-") as folder:
                self._encode(clip, path := self._store.folder(clip.alert.id).parent / folder / FILES["clip"])
                path.replace(self._store.folder(clip.alert.id) / FILES["clip"])
        except (NotWritten, OSError) as exc:
            log.warning("camera %s: no clip of its alert is kept: %s", clip.alert.camera, exc)
        self._store.prune()

    def _encode(self, clip: _Clip, path: Path) -> None:
        first = decode_jpeg(clip.shots[0].jpeg)
        with VideoWriter(path, self._config.rate_hz, (first.shape[1], first.shape[0])) as video:
            for shot in clip.shots:
                video.write(decode_jpeg(shot.jpeg), shot.captured_ns)
                self._thread.progress()

    def _hides_people(self, camera: str) -> bool:
        settings = self._cameras().get(camera)
        return settings is None or settings.hides_people
