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

from edged.errors import ModelFault
from edged.frame import F32, Boxes, Frame, ImageQuality, InferenceParams, InferenceResult, PixelFormat, Pose3d
from edged.inference.colour import PIXEL_FORMATS
from edged.inference.cpu.pixels import to_bgr
from edged.inference.cuda.context import Gpu, Graph
from edged.inference.cuda.engine import Engine
from edged.inference.cuda.kernels import Kernels
from edged.inference.cuda.layout import MAX_MODELS, MAX_SUBJECTS, PICKS
from edged.inference.cuda.memory import FrameAccess, FrameMapper
from edged.inference.cuda.pose3d import CudaCropInput, CudaRootNet, CudaVolumeNet
from edged.inference.cuda.stages import DetectorStage, FrameParamsBuffer, Lap, PoseStage
from edged.inference.image_quality import check_limits, from_sums
from edged.inference.letterbox import Letterbox
from edged.inference.pose3d.lifter import Lifter
from edged.inference.select import low_thresholds
from edged.inference.stage_timer import StageTimer
from engines.errors import CardError

log = logging.getLogger(__name__)

HOLD_FRAMES = 30  # frames for which a number of subjects is still reckoned with

BEGIN, END = "begin", "results"  # laps: before the first stage; after the last, with what the host reads written

Batches = tuple[int, ...]  # of each pose model; 0: it does not run


class CudaBackend:
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
        if len(poses) > MAX_MODELS:
            raise CardError(f"models.pose has {len(poses)} models; the CUDA plane takes {MAX_MODELS}")
        self.lap: Lap = lambda stage: None
        self._gpu = gpu
        self._kernels = Kernels(gpu, image)
        self._frame_mapper = FrameMapper(gpu, copy=copy)
        self._params_buffer = FrameParamsBuffer(gpu, self._kernels)
        self._detector = DetectorStage(gpu, self._kernels, detector, self._params_buffer)
        self._poses = [
            PoseStage(gpu, self._kernels, engine, self._params_buffer, i) for i, engine in enumerate(poses.values())
        ]
        classes = self._detector.spec.classes
        place = {label: i for i, label in enumerate(poses)}
        self._model_of = np.array([place.get(label, -1) for label in classes], np.int32)
        self._params_buffer.params["model_of"][:] = -1
        self._params_buffer.params["model_of"][: len(classes)] = self._model_of
        self._crop_inputs: list[CudaCropInput] = []
        self._lifter = lifter if lift is None else self._new_lifter(*lift)
        self._graphs: dict[tuple[bool | None, Batches], Graph | None] = {}  # None: run once, to be captured next
        self._uses_graphs = graphs and all(engine.capturable for engine in (detector, *poses.values()))
        self._predictors: dict[str, BatchPredictor] = {}
        self._written: tuple[InferenceParams, tuple[int, ...], PixelFormat] | None = None
        gpu.wait()

    @property
    def classes(self) -> tuple[str, ...]:
        return self._detector.spec.classes

    @property
    def frame_access(self) -> FrameAccess:
        """How the last frame was read."""
        return self._frame_mapper.access

    @property
    def uses_graphs(self) -> bool:
        """Whether frames go to the GPU as CUDA graphs."""
        return self._uses_graphs

    @property
    def gpu(self) -> Gpu:
        return self._gpu

    def benchmark_parts(self, frame_bytes: int) -> dict[str, tuple[Callable[[], None], int]]:
        """To be measured alone, on the frame seen last: work for the stream, and the bytes it must read and write."""
        spec, pose = self._detector.card.input, self._poses[0]
        most = pose.batches[-1]
        return {
            "letterbox": (self._detector.letterbox, frame_bytes + self._detector.tensor_bytes + prod(spec.size_wh)),
            f"{most} crops": (lambda: pose.crop(most), pose.tensor_bytes(most) * 2),
        }

    def infer(self, frame: Frame, params: InferenceParams, priors: Boxes, *, detect: bool) -> InferenceResult:
        if len(priors) > MAX_SUBJECTS and not detect:
            parts = [
                priors.select(np.arange(at, min(at + MAX_SUBJECTS, len(priors))))
                for at in range(0, len(priors), MAX_SUBJECTS)
            ]
            return _concatenate([self.infer(frame, params, part, detect=False) for part in parts])
        watch = StageTimer()
        with self._gpu.translate_errors():
            self._write_params(frame, params, priors, detect=detect)
            forecast = self._predictors.setdefault(frame.camera, BatchPredictor(len(self._poses)))
            rows = forecast.rows if detect else self._rows_of(priors)
            batches = tuple(stage.batch_for(count) for stage, count in zip(self._poses, rows, strict=True))
            self._launch(detect, batches)
            watch.lap("enqueue")
            self._gpu.wait()
            watch.lap("gpu")
            clarity = self._quality(params)
            if clarity.degraded:
                return InferenceResult(quality=clarity, boxes=Boxes.empty(), keypoints=(), stage_ns=watch.stage_ns)
            self._pose_the_rest(batches)
            watch.lap("gpu")
        if detect:
            forecast.update(self._result_rows)
        self._check()
        boxes = self._boxes() if detect else priors
        keypoints = self._keypoints(boxes)
        watch.lap("collect")
        poses3d = self._lift(frame, boxes, params, watch)
        return InferenceResult(
            quality=clarity, boxes=boxes, keypoints=keypoints, poses3d=poses3d, stage_ns=watch.stage_ns
        )

    def _lift(
        self, frame: Frame, boxes: Boxes, params: InferenceParams, timer: StageTimer
    ) -> tuple[Pose3d | None, ...]:
        if self._lifter is None:
            return ()
        for eye in self._crop_inputs:
            eye.set_frame(self._params_buffer.params)
        image = frame.image if self._crop_inputs else to_bgr(frame.image, frame.pixel_format)
        with self._gpu.translate_errors():
            poses3d = self._lifter.lift_people(frame, image, boxes, self.classes, params)
        timer.lap("lift")
        return poses3d

    def _new_lifter(self, volume: Engine, root: Engine | None) -> Lifter:
        deep = CudaVolumeNet(self._gpu, self._kernels, volume)
        far = CudaRootNet(self._gpu, self._kernels, root) if root is not None else None
        self._crop_inputs = [deep.crop_input, far.crop_input] if far is not None else [deep.crop_input]
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
        self._params_buffer.free()
        self._frame_mapper.free()
        self._kernels.free()
        self._gpu.close()

    # what a frame is looked at for

    def _write_params(self, frame: Frame, params: InferenceParams, priors: Boxes, *, detect: bool) -> None:
        asked, image = self._params_buffer.params, frame.image
        if (
            self._written is None
            or self._written[0] is not params
            or self._written[1:] != (image.shape, frame.pixel_format)
        ):
            self._write_camera_params(params, frame)
        asked["pixels"] = self._frame_mapper.map_frame(image, frame.camera)
        asked["detect"] = detect
        n = asked["known_count"] = min(len(priors), MAX_SUBJECTS)
        asked["known"]["xyxy"][:n], asked["known"]["label"][:n] = priors.xyxy[:n], priors.label[:n]
        asked["known"]["score"][:n] = priors.score[:n]

    def _write_camera_params(self, params: InferenceParams, frame: Frame) -> None:
        """What stays the same from frame to frame."""
        asked, spec, (width, height) = self._params_buffer.params, self._detector.card.input, frame.size_wh
        x0, y0, x1, y1 = params.roi or (0, 0, width, height)
        fit = Letterbox.fit((x1 - x0, y1 - y0), spec.size_wh, spec.fit)
        asked["format"], asked["size"] = PIXEL_FORMATS.index(frame.pixel_format), (width, height)
        asked["stride"] = frame.image.nbytes // frame.image.shape[0]
        asked["roi"] = (x0, y0, x1 - x0, y1 - y0)
        asked["fit"], asked["fit_scale"] = (fit.pad_x, fit.pad_y, *fit.resized_wh), fit.scale
        asked["limit"], asked["pick"] = params.max_subjects, PICKS.index(params.pick)
        count = len(params.thresholds)
        asked["faint"][:count], asked["sure"][:count] = (
            self._detector.min_outputs(low_thresholds(params.thresholds)),
            params.thresholds,
        )
        self._written = params, frame.image.shape, frame.pixel_format

    def _rows_of(self, priors: Boxes) -> list[int]:
        models = self._model_of[priors.label]
        return [int((models == place).sum()) for place in range(len(self._poses))]

    # what the GPU does

    def _launch(self, detect: bool | None, batches: Batches) -> None:
        """Put it onto the stream: as a graph, from the third time on that it is asked for."""
        key = (detect, batches)
        graph = self._graphs.get(key)
        if graph is None and self._uses_graphs and key in self._graphs:
            graph = self._graphs[key] = self._gpu.capture(lambda: self._enqueue(detect, batches))
            if graph is None:
                log.warning("CUDA refuses to capture a graph: kernels are put onto the stream one by one")
                self._uses_graphs = False
        if graph is not None:
            graph.launch()
            return
        self._graphs.setdefault(key, None)
        self._enqueue(detect, batches)

    def _enqueue(self, detect: bool | None, batches: Batches) -> None:
        """A frame's whole way. `detect` None: only more poses of the frame before."""
        self.lap(BEGIN)
        self._params_buffer.begin(again=detect is None)
        if detect is not None:
            self._detector.preprocess(self.lap)
            if detect:
                self._detector.run_detector(self.lap)
            self._params_buffer.select(self._detector.kept_address)
            self.lap("decode")
        for stage, batch in zip(self._poses, batches, strict=True):
            if batch:
                stage.estimate(batch, self.lap)
        self._params_buffer.finish()
        self.lap(END)

    def _pose_the_rest(self, batches: Batches) -> None:
        """Where there are more subjects than were reckoned with."""
        first = self._params_buffer.params["first"]
        posed = list(batches)
        while any(rows > done for rows, done in zip(self._result_rows, posed, strict=True)):
            rest = [rows - done for rows, done in zip(self._result_rows, posed, strict=True)]
            more = tuple(stage.batch_for(count) for stage, count in zip(self._poses, rest, strict=True))
            first[: len(posed)] = posed
            self._launch(None, more)
            self._gpu.wait()
            posed = [done + batch for done, batch in zip(posed, more, strict=True)]
        first[:] = 0

    # what came back

    @property
    def _result_rows(self) -> list[int]:
        rows: list[int] = self._params_buffer.results["tally"]["rows"][: len(self._poses)].tolist()
        return rows

    def _quality(self, params: InferenceParams) -> ImageQuality:
        tally = self._params_buffer.results["tally"]
        sums = from_sums(tally["histogram"], int(tally["laplacian"]), int(tally["laplacian_squared"]))
        return check_limits(*sums, params.quality_limits)

    def _check(self) -> None:
        tally = self._params_buffer.results["tally"]
        models = (self._detector.card, *(stage.card for stage in self._poses))
        counts = (tally["detector_faults"], *tally["pose_faults"])
        for card, count in zip(models, counts, strict=False):
            if count:
                raise ModelFault(f"model {card.name}: its outputs hold {count} NaN or infinite values; frame given up")

    def _boxes(self) -> Boxes:
        chosen = self._params_buffer.results["chosen"][: int(self._params_buffer.results["tally"]["chosen"])]
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


class BatchPredictor:
    """How many subjects of each pose model there are likely to be: the most of the last frames."""

    def __init__(self, models: int) -> None:
        self.rows = [0] * models
        self._frames_left = [0] * models  # frames for which it still holds

    def update(self, rows: list[int]) -> None:
        for i, count in enumerate(rows):
            self._frames_left[i] -= 1
            if count >= self.rows[i] or self._frames_left[i] <= 0:
                self.rows[i], self._frames_left[i] = count, HOLD_FRAMES


def _concatenate(results: list[InferenceResult]) -> InferenceResult:
    return InferenceResult(
        quality=results[0].quality,
        boxes=Boxes(
            xyxy=np.concatenate([sight.boxes.xyxy for sight in results]),
            score=np.concatenate([sight.boxes.score for sight in results]),
            label=np.concatenate([sight.boxes.label for sight in results]),
        ),
        keypoints=tuple(points for sight in results for points in sight.keypoints),
        poses3d=tuple(pose for sight in results for pose in sight.poses3d),
        stage_ns={stage: sum(s.stage_ns.get(stage, 0) for s in results) for stage in results[0].stage_ns},
    )
