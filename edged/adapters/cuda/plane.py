"""The CUDA plane: one frame's work goes onto one stream as a whole, and the host waits for it once.

The host writes what is looked for, kernels read the frame where it lies, and boxes and keypoints come back into
mapped memory. How many subjects there will be is not known before: the pose models run for as many as there were
lately, and once more where there are more. Owned by the thread that owns the GPU.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from math import prod

import numpy as np

from edged.adapters.cuda.engine import Engine
from edged.adapters.cuda.gpu import Gpu, Graph
from edged.adapters.cuda.kernels import Kernels
from edged.adapters.cuda.layout import MODELS, PICKS, SUBJECTS
from edged.adapters.cuda.lifting import Eye, RootOnGpu, VolumeOnGpu
from edged.adapters.cuda.memory import Frames, Mode
from edged.adapters.cuda.stages import Desk, DetectorStage, Lap, PoseStage
from edged.adapters.lifter import Lifter
from edged.adapters.opencv import to_bgr
from edged.adapters.stopwatch import Stopwatch
from edged.colour import FORMATS
from edged.errors import ModelFault
from edged.frame import F32, Boxes, Clarity, Focus, Format, Frame, Pose3d, Sight
from edged.gate import judge, summed
from edged.letterbox import Letterbox
from edged.select import least
from engines.errors import CardError

log = logging.getLogger(__name__)

HOLD = 30  # frames for which a number of subjects is still reckoned with

BEGIN, END = "begin", "results"  # laps: before the first stage; after the last, with what the host reads written

Batches = tuple[int, ...]  # of each pose model; 0: it does not run


class CudaPlane:
    """Detector and pose models on the GPU. The plane owns the GPU and the engines, and closes them.

    Without `graphs` every kernel is put onto the stream anew for every frame; with `copy` frames are copied to the
    GPU's side even where they could be read in place. Both are for measuring, as is `lap`, which needs a plane without
    graphs: of one it would hear no more than the making. `lift` are a 3D model and RootNet; in their place `lifter`
    reads the frame on the host.
    """

    def __init__(
        self,
        gpu: Gpu,
        detector: Engine,
        poses: Mapping[str, Engine],
        image: bytes,
        *,
        lift: tuple[Engine, Engine | None] | None = None,
        lifter: Lifter | None = None,
        graphs: bool = True,
        copy: bool = False,
    ) -> None:
        if len(poses) > MODELS:
            raise CardError(f"models.pose has {len(poses)} models; the CUDA plane takes {MODELS}")
        self.lap: Lap = lambda stage: None
        self._gpu = gpu
        self._kernels = Kernels(gpu, image)
        self._frames = Frames(gpu, copy=copy)
        self._desk = Desk(gpu, self._kernels)
        self._detector = DetectorStage(gpu, self._kernels, detector, self._desk)
        self._poses = [PoseStage(gpu, self._kernels, engine, self._desk, i) for i, engine in enumerate(poses.values())]
        classes = self._detector.detect.classes
        place = {label: i for i, label in enumerate(poses)}
        self._model_of = np.array([place.get(label, -1) for label in classes], np.int32)
        self._desk.asked["model_of"][:] = -1
        self._desk.asked["model_of"][: len(classes)] = self._model_of
        self._eyes: list[Eye] = []
        self._lifter = lifter if lift is None else self._lifting(*lift)
        self._graphs: dict[tuple[bool | None, Batches], Graph | None] = {}  # None: run once, to be captured next
        self._captures = graphs and all(engine.captures for engine in (detector, *poses.values()))
        self._forecasts: dict[str, Forecast] = {}
        self._asked: tuple[Focus, tuple[int, ...], Format] | None = None
        gpu.wait()

    @property
    def classes(self) -> tuple[str, ...]:
        return self._detector.detect.classes

    @property
    def frames(self) -> Mode:
        """How the last frame was read."""
        return self._frames.mode

    @property
    def captured(self) -> bool:
        """Whether frames go to the GPU as CUDA graphs."""
        return self._captures

    @property
    def gpu(self) -> Gpu:
        return self._gpu

    def parts(self, frame_bytes: int) -> dict[str, tuple[Callable[[], None], int]]:
        """To be measured alone, on the frame seen last: work for the stream, and the bytes it must read and write."""
        spec, pose = self._detector.card.input, self._poses[0]
        most = pose.batches[-1]
        return {
            "letterbox": (self._detector.letterbox, frame_bytes + self._detector.tensor_bytes + prod(spec.size_wh)),
            f"{most} crops": (lambda: pose.crop(most), pose.tensor_bytes(most) * 2),
        }

    def see(self, frame: Frame, focus: Focus, known: Boxes, *, detect: bool) -> Sight:
        if len(known) > SUBJECTS and not detect:
            parts = [known.take(np.arange(at, min(at + SUBJECTS, len(known)))) for at in range(0, len(known), SUBJECTS)]
            return _joined([self.see(frame, focus, part, detect=False) for part in parts])
        watch = Stopwatch()
        with self._gpu.answering():
            self._ask(frame, focus, known, detect=detect)
            forecast = self._forecasts.setdefault(frame.camera, Forecast(len(self._poses)))
            rows = forecast.rows if detect else self._rows_of(known)
            batches = tuple(stage.batch(count) for stage, count in zip(self._poses, rows, strict=True))
            self._play(detect, batches)
            watch.lap("enqueue")
            self._gpu.wait()
            watch.lap("gpu")
            clarity = self._clarity(focus)
            if clarity.degraded:
                return Sight(clarity=clarity, boxes=Boxes.none(), keypoints=(), stage_ns=watch.stage_ns)
            self._pose_the_rest(batches)
            watch.lap("gpu")
        if detect:
            forecast.update(self._told_rows)
        self._check()
        boxes = self._boxes() if detect else known
        keypoints = self._keypoints(boxes)
        watch.lap("collect")
        poses3d = self._lift(frame, boxes, focus, watch)
        return Sight(clarity=clarity, boxes=boxes, keypoints=keypoints, poses3d=poses3d, stage_ns=watch.stage_ns)

    def _lift(self, frame: Frame, boxes: Boxes, focus: Focus, watch: Stopwatch) -> tuple[Pose3d | None, ...]:
        if self._lifter is None:
            return ()
        for eye in self._eyes:
            eye.turn_to(self._desk.asked)
        image = frame.image if self._eyes else to_bgr(frame.image, frame.form)
        with self._gpu.answering():
            poses3d = self._lifter.people(frame, image, boxes, self.classes, focus)
        watch.lap("lift")
        return poses3d

    def _lifting(self, volume: Engine, root: Engine | None) -> Lifter:
        deep = VolumeOnGpu(self._gpu, self._kernels, volume)
        far = RootOnGpu(self._gpu, self._kernels, root) if root is not None else None
        self._eyes = [deep.eye, far.eye] if far is not None else [deep.eye]
        return Lifter(deep, far)

    def close(self) -> None:
        if self._lifter is not None:
            self._lifter.close()
        for graph in self._graphs.values():
            if graph is not None:
                graph.free()
        for pose in self._poses:
            pose.free()
        self._detector.free()
        self._desk.free()
        self._frames.free()
        self._kernels.free()
        self._gpu.close()

    # what a frame is looked at for

    def _ask(self, frame: Frame, focus: Focus, known: Boxes, *, detect: bool) -> None:
        asked, image = self._desk.asked, frame.image
        if self._asked is None or self._asked[0] is not focus or self._asked[1:] != (image.shape, frame.form):
            self._ask_of_camera(focus, frame)
        asked["pixels"] = self._frames.lend(image, frame.camera)
        asked["detect"] = detect
        n = asked["known_count"] = min(len(known), SUBJECTS)
        asked["known"]["xyxy"][:n], asked["known"]["label"][:n] = known.xyxy[:n], known.label[:n]
        asked["known"]["score"][:n] = known.score[:n]

    def _ask_of_camera(self, focus: Focus, frame: Frame) -> None:
        """What stays the same from frame to frame."""
        asked, spec, (width, height) = self._desk.asked, self._detector.card.input, frame.size_wh
        x0, y0, x1, y1 = focus.roi or (0, 0, width, height)
        fit = Letterbox.fit((x1 - x0, y1 - y0), spec.size_wh, "centred" if spec.fit == "centred" else "top-left")
        asked["format"], asked["size"] = FORMATS.index(frame.form), (width, height)
        asked["stride"] = frame.image.nbytes // frame.image.shape[0]
        asked["roi"] = (x0, y0, x1 - x0, y1 - y0)
        asked["fit"], asked["fit_scale"] = (fit.pad_x, fit.pad_y, *fit.resized_wh), fit.scale
        asked["limit"], asked["pick"] = focus.limit, PICKS.index(focus.pick)
        count = len(focus.thresholds)
        asked["bridge"] = focus.bridge
        asked["faint"][:count], asked["sure"][:count] = self._detector.limits(least(focus)), focus.thresholds
        self._asked = focus, frame.image.shape, frame.form

    def _rows_of(self, known: Boxes) -> list[int]:
        models = self._model_of[known.label]
        return [int((models == place).sum()) for place in range(len(self._poses))]

    # what the GPU does

    def _play(self, detect: bool | None, batches: Batches) -> None:
        """Put it onto the stream: as a graph, from the third time on that it is asked for."""
        key = (detect, batches)
        graph = self._graphs.get(key)
        if graph is None and self._captures and key in self._graphs:
            graph = self._graphs[key] = self._gpu.captured(lambda: self._enqueue(detect, batches))
            if graph is None:
                log.warning("CUDA refuses to capture a graph: kernels are put onto the stream one by one")
                self._captures = False
        if graph is not None:
            graph.launch()
            return
        self._graphs.setdefault(key, None)
        self._enqueue(detect, batches)

    def _enqueue(self, detect: bool | None, batches: Batches) -> None:
        """A frame's whole way. `detect` None: only more poses of the frame before."""
        self.lap(BEGIN)
        self._desk.open(again=detect is None)
        if detect is not None:
            self._detector.look(self.lap)
            if detect:
                self._detector.find(self.lap)
            self._desk.choose(self._detector.kept)
            self.lap("decode")
        for stage, batch in zip(self._poses, batches, strict=True):
            if batch:
                stage.estimate(batch, self.lap)
        self._desk.close()
        self.lap(END)

    def _pose_the_rest(self, batches: Batches) -> None:
        """Where there are more subjects than were reckoned with."""
        first = self._desk.asked["first"]
        posed = list(batches)
        while any(rows > done for rows, done in zip(self._told_rows, posed, strict=True)):
            rest = [rows - done for rows, done in zip(self._told_rows, posed, strict=True)]
            more = tuple(stage.batch(count) for stage, count in zip(self._poses, rest, strict=True))
            first[: len(posed)] = posed
            self._play(None, more)
            self._gpu.wait()
            posed = [done + batch for done, batch in zip(posed, more, strict=True)]
        first[:] = 0

    # what came back

    @property
    def _told_rows(self) -> list[int]:
        rows: list[int] = self._desk.told["tally"]["rows"][: len(self._poses)].tolist()
        return rows

    def _clarity(self, focus: Focus) -> Clarity:
        tally = self._desk.told["tally"]
        sums = summed(tally["histogram"], int(tally["laplacian"]), int(tally["laplacian_squared"]))
        return judge(*sums, focus.gate)

    def _check(self) -> None:
        tally = self._desk.told["tally"]
        models = (self._detector.card, *(stage.card for stage in self._poses))
        counts = (tally["detector_faults"], *tally["pose_faults"])
        for card, count in zip(models, counts, strict=False):
            if count:
                raise ModelFault(f"model {card.name}: its outputs hold {count} NaN or infinite values; frame given up")

    def _boxes(self) -> Boxes:
        chosen = self._desk.told["chosen"][: int(self._desk.told["tally"]["chosen"])]
        return Boxes(xyxy=chosen["xyxy"].copy(), score=chosen["score"].copy(), label=chosen["label"].astype(np.int64))

    def _keypoints(self, boxes: Boxes) -> tuple[F32 | None, ...]:
        """Copies, in the order of the boxes; each model's rows are in that order too."""
        nexts = [0] * len(self._poses)
        keypoints: list[F32 | None] = []
        for model in self._model_of[boxes.label].tolist():
            if model < 0:
                keypoints.append(None)
                continue
            keypoints.append(self._poses[model].keypoints[nexts[model]].copy())
            nexts[model] += 1
        return tuple(keypoints)


class Forecast:
    """How many subjects of each pose model there are likely to be: the most of the last frames."""

    def __init__(self, models: int) -> None:
        self.rows = [0] * models
        self._left = [0] * models  # frames for which it still holds

    def update(self, rows: list[int]) -> None:
        for i, count in enumerate(rows):
            self._left[i] -= 1
            if count >= self.rows[i] or self._left[i] <= 0:
                self.rows[i], self._left[i] = count, HOLD


def _joined(sights: list[Sight]) -> Sight:
    return Sight(
        clarity=sights[0].clarity,
        boxes=Boxes(
            xyxy=np.concatenate([sight.boxes.xyxy for sight in sights]),
            score=np.concatenate([sight.boxes.score for sight in sights]),
            label=np.concatenate([sight.boxes.label for sight in sights]),
        ),
        keypoints=tuple(points for sight in sights for points in sight.keypoints),
        poses3d=tuple(pose for sight in sights for pose in sight.poses3d),
        stage_ns={stage: sum(s.stage_ns.get(stage, 0) for s in sights) for stage in sights[0].stage_ns},
    )
