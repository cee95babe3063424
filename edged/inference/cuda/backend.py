"""The CUDA backend: all work of a frame goes onto one stream, and the host waits for it once. See README.md here.

The number of subjects is not known in advance: the pose models run for as many as there were recently, and once
more when there are more.
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
from edged.inference.cuda.frame_params import FrameParamsBuffer
from edged.inference.cuda.kernels import Kernels
from edged.inference.cuda.layout import MAX_MODELS, MAX_SUBJECTS, PICKS
from edged.inference.cuda.memory import FrameAccess, FrameMapper
from edged.inference.cuda.pose3d import CudaCropInput, CudaRootNet, CudaVolumeNet
from edged.inference.cuda.stages import DetectorStage, Lap, PoseStage
from edged.inference.decode.detectors import MAX_OUTPUT, NON_FINITE
from edged.inference.image_quality import check_limits, from_sums
from edged.inference.letterbox import Letterbox
from edged.inference.pose3d.lifter import Lifter
from edged.inference.select import low_thresholds
from edged.inference.stage_timer import StageTimer
from engines.errors import CardError

log = logging.getLogger(__name__)

HOLD_FRAMES = 30  # for which the largest number of subjects still sets the batch; a second at 30 Hz

BEGIN, END = "begin", "results"  # laps: before the first stage, and after the results are on the host

Batches = tuple[int, ...]  # one per pose model; 0: it does not run
Key = tuple[bool | None, Batches]  # of a graph: `detect` (None: only more poses of the last frame), batches


class CudaBackend:
    """Detector and pose models on the GPU. Owns the GPU and the engines, and closes them.

    `lift` are the engines of the 3D model and of RootNet; without them `lifter`, if given, reads the frame on the host.
    For measurements: `graphs` off enqueues every kernel for every frame, `copy` copies every frame to the GPU,
    and `lap`, set on a backend without graphs, is called when a stage is enqueued.
    Thread: the one that made the `Gpu`.
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
        """`poses` by class, `image` the compiled kernels. Raises `CardError` and `DeviceLost`."""
        if len(poses) > MAX_MODELS:
            raise CardError(f"models.pose has {len(poses)} models; the CUDA backend takes {MAX_MODELS}")
        self.lap: Lap = lambda stage: None
        self.gpu = gpu
        self._kernels = Kernels(gpu, image)
        self._frame_mapper = FrameMapper(gpu, copy=copy)
        self._buffer = FrameParamsBuffer(gpu, self._kernels)
        self._detector = DetectorStage(gpu, self._kernels, detector, self._buffer)
        self._poses = [
            PoseStage(gpu, self._kernels, engine, self._buffer, index) for index, engine in enumerate(poses.values())
        ]
        index_of = {label: index for index, label in enumerate(poses)}
        self._model_of = np.array([index_of.get(label, -1) for label in self.classes], np.int32)  # (C,) -1: none
        self._buffer.params["model_of"][:] = -1
        self._buffer.params["model_of"][: len(self.classes)] = self._model_of
        self._crop_inputs: list[CudaCropInput] = []
        self._lifter = lifter if lift is None else self._new_lifter(*lift)
        self._graphs: dict[Key, Graph | None] = {}  # None: enqueued once, to be captured the next time
        self._uses_graphs = graphs and all(engine.capturable for engine in (detector, *poses.values()))
        self._predictors: dict[str, BatchPredictor] = {}  # by camera
        self._written: tuple[InferenceParams, tuple[int, ...], PixelFormat] | None = None  # what FRAME_PARAMS hold
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
        """Whether frames are launched as CUDA graphs."""
        return self._uses_graphs

    def benchmark_parts(self, frame_bytes: int) -> dict[str, tuple[Callable[[], None], int]]:
        """By name: what enqueues a part of the last frame's work, and the bytes it must at least read and write."""
        spec, pose = self._detector.card.input, self._poses[0]
        most = pose.batches[-1]
        return {
            "letterbox": (self._detector.letterbox, frame_bytes + self._detector.tensor_bytes + prod(spec.size_wh)),
            f"{most} crops": (lambda: pose.crop(most), pose.tensor_bytes(most) * 2),
        }

    def infer(self, frame: Frame, params: InferenceParams, priors: Boxes, *, detect: bool) -> InferenceResult:
        if len(priors) > MAX_SUBJECTS and not detect:
            ends = range(0, len(priors), MAX_SUBJECTS)
            parts = [priors.select(np.arange(at, min(at + MAX_SUBJECTS, len(priors)))) for at in ends]
            return _concatenate([self.infer(frame, params, part, detect=False) for part in parts])
        timer = StageTimer()
        with self.gpu.translate_errors():
            self._write_params(frame, params, priors, detect=detect)
            predictor = self._predictors.setdefault(frame.camera, BatchPredictor(len(self._poses)))
            rows = predictor.rows if detect else self._rows_of(priors)
            batches = tuple(stage.batch_for(count) for stage, count in zip(self._poses, rows, strict=True))
            self._launch((detect, batches))
            timer.lap("enqueue")
            self.gpu.wait()
            timer.lap("gpu")
            quality = self._quality(params)
            if quality.degraded:
                return InferenceResult(quality=quality, boxes=Boxes.empty(), keypoints=(), stage_ns=timer.stage_ns)
            self._pose_rest(batches)
            timer.lap("gpu")
        if detect:
            predictor.update(self._result_rows)
        self._check_faults()
        boxes = self._boxes() if detect else priors
        keypoints = self._keypoints(boxes)
        timer.lap("collect")
        poses3d = self._lift(frame, boxes, params, timer)
        return InferenceResult(
            quality=quality, boxes=boxes, keypoints=keypoints, poses3d=poses3d, stage_ns=timer.stage_ns
        )

    def close(self) -> None:
        if self._lifter is not None:
            self._lifter.close()
        for graph in self._graphs.values():
            if graph is not None:
                graph.free()
        for pose in self._poses:
            pose.free()
        self._detector.free()
        self._buffer.free()
        self._frame_mapper.free()
        self._kernels.free()
        self.gpu.close()

    # 3D poses

    def _new_lifter(self, volume: Engine, root: Engine | None) -> Lifter:
        volume_net = CudaVolumeNet(self.gpu, self._kernels, volume)
        root_net = CudaRootNet(self.gpu, self._kernels, root) if root is not None else None
        self._crop_inputs = [net.crop_input for net in (volume_net, root_net) if net is not None]
        return Lifter(volume_net, root_net)

    def _lift(
        self, frame: Frame, boxes: Boxes, params: InferenceParams, timer: StageTimer
    ) -> tuple[Pose3d | None, ...]:
        if self._lifter is None:
            return ()
        for crop_input in self._crop_inputs:
            crop_input.set_frame(self._buffer.params)
        image = frame.image if self._crop_inputs else to_bgr(frame.image, frame.pixel_format)
        with self.gpu.translate_errors():
            poses3d = self._lifter.lift_people(frame, image, boxes, self.classes, params)
        timer.lap("lift")
        return poses3d

    # parameters

    def _write_params(self, frame: Frame, params: InferenceParams, priors: Boxes, *, detect: bool) -> None:
        struct, image = self._buffer.params, frame.image
        written = self._written
        if written is None or written[0] is not params or written[1:] != (image.shape, frame.pixel_format):
            self._write_camera_params(params, frame)
        struct["pixels"] = self._frame_mapper.map_frame(image, frame.camera)
        struct["detect"] = detect
        n = struct["prior_count"] = min(len(priors), MAX_SUBJECTS)
        struct["priors"]["xyxy"][:n], struct["priors"]["label"][:n] = priors.xyxy[:n], priors.label[:n]
        struct["priors"]["score"][:n] = priors.score[:n]

    def _write_camera_params(self, params: InferenceParams, frame: Frame) -> None:
        """What stays the same from frame to frame of one camera."""
        struct, spec, (width, height) = self._buffer.params, self._detector.card.input, frame.size_wh
        x0, y0, x1, y1 = params.roi or (0, 0, width, height)
        fit = Letterbox.fit((x1 - x0, y1 - y0), spec.size_wh, spec.fit)
        struct["format"], struct["size"] = PIXEL_FORMATS.index(frame.pixel_format), (width, height)
        struct["stride"] = frame.image.nbytes // frame.image.shape[0]
        struct["roi"] = (x0, y0, x1 - x0, y1 - y0)
        struct["fit"], struct["fit_scale"] = (fit.pad_x, fit.pad_y, *fit.resized_wh), fit.scale
        struct["max_subjects"], struct["pick"] = params.max_subjects, PICKS.index(params.pick)
        count = len(params.thresholds)
        struct["threshold"][:count] = params.thresholds
        struct["min_output"][:count] = self._detector.min_outputs(low_thresholds(params.thresholds))
        self._written = params, frame.image.shape, frame.pixel_format

    def _rows_of(self, priors: Boxes) -> list[int]:
        """How many of the priors each pose model poses."""
        models = self._model_of[priors.label]
        return [int((models == index).sum()) for index in range(len(self._poses))]

    # work on the stream

    def _launch(self, key: Key) -> None:
        """Puts a frame's work onto the stream: kernel by kernel the first time, then as a graph."""
        graph = self._graphs.get(key)
        if graph is None and self._uses_graphs and key in self._graphs:
            graph = self._graphs[key] = self.gpu.capture(lambda: self._enqueue(key))
            if graph is None:
                log.warning("CUDA refuses to capture a graph: kernels are enqueued one by one")
                self._uses_graphs = False
        if graph is not None:
            graph.launch()
            return
        self._graphs.setdefault(key, None)
        self._enqueue(key)

    def _enqueue(self, key: Key) -> None:
        detect, batches = key
        self.lap(BEGIN)
        self._buffer.begin(again=detect is None)
        if detect is not None:
            self._detector.preprocess(self.lap)
            if detect:
                self._detector.run_detector(self.lap)
            self._buffer.select(self._detector.kept_address)
            self.lap("decode")
        for stage, batch in zip(self._poses, batches, strict=True):
            if batch:
                stage.estimate(batch, self.lap)
        self._buffer.finish()
        self.lap(END)

    def _pose_rest(self, batches: Batches) -> None:
        """Poses the rows beyond the predicted batches."""
        posed = list(batches)
        while any(rows > done for rows, done in zip(self._result_rows, posed, strict=True)):
            rest = [rows - done for rows, done in zip(self._result_rows, posed, strict=True)]
            more = tuple(stage.batch_for(count) for stage, count in zip(self._poses, rest, strict=True))
            self._buffer.params["posed"][: len(posed)] = posed
            self._launch((None, more))
            self.gpu.wait()
            posed = [done + batch for done, batch in zip(posed, more, strict=True)]
        self._buffer.params["posed"][:] = 0

    # results

    @property
    def _result_rows(self) -> list[int]:
        """How many of the selected boxes each pose model poses."""
        rows: list[int] = self._buffer.results["counters"]["rows"][: len(self._poses)].tolist()
        return rows

    def _quality(self, params: InferenceParams) -> ImageQuality:
        counters = self._buffer.results["counters"]
        sums = from_sums(counters["histogram"], int(counters["laplacian"]), int(counters["laplacian_squared"]))
        return check_limits(*sums, params.quality_limits)

    def _check_faults(self) -> None:
        """Raises `ModelFault` when a model's outputs held NaN, infinity, or where FP16 ends."""
        counters = self._buffer.results["counters"]
        models = (self._detector.card, *(stage.card for stage in self._poses))
        counts = (counters["detector_faults"], *counters["pose_faults"])
        for card, count in zip(models, counts, strict=False):
            if count:
                text = (
                    f"model {card.name}: its outputs hold {count} values that are NaN, infinite or not within "
                    f"±{MAX_OUTPUT:.0f}; frame given up: export the model anew"
                )
                raise ModelFault(text, code=NON_FINITE)

    def _boxes(self) -> Boxes:
        rows = self._buffer.results["selected"][: int(self._buffer.results["counters"]["selected"])]
        return Boxes(xyxy=rows["xyxy"].copy(), score=rows["score"].copy(), label=rows["label"].astype(np.int64))

    def _keypoints(self, boxes: Boxes) -> tuple[F32 | None, ...]:
        """Copies, in the order of the boxes; each model's rows are in that order too."""
        next_row = [0] * len(self._poses)
        keypoints: list[F32 | None] = []
        for model in self._model_of[boxes.label].tolist():
            if model < 0:
                keypoints.append(None)
                continue
            keypoints.append(self._poses[model].keypoints[next_row[model]].copy())
            next_row[model] += 1
        return tuple(keypoints)


class BatchPredictor:
    """How many subjects each pose model is likely to have: the most of the last `HOLD_FRAMES`."""

    def __init__(self, models: int) -> None:
        self.rows = [0] * models
        self._frames_left = [0] * models  # for which `rows` still holds

    def update(self, rows: list[int]) -> None:
        for i, count in enumerate(rows):
            self._frames_left[i] -= 1
            if count >= self.rows[i] or self._frames_left[i] <= 0:
                self.rows[i], self._frames_left[i] = count, HOLD_FRAMES


def _concatenate(results: list[InferenceResult]) -> InferenceResult:
    stages = results[0].stage_ns
    return InferenceResult(
        quality=results[0].quality,
        boxes=Boxes(
            xyxy=np.concatenate([result.boxes.xyxy for result in results]),
            score=np.concatenate([result.boxes.score for result in results]),
            label=np.concatenate([result.boxes.label for result in results]),
        ),
        keypoints=tuple(points for result in results for points in result.keypoints),
        poses3d=tuple(pose for result in results for pose in result.poses3d),
        stage_ns={stage: sum(result.stage_ns.get(stage, 0) for result in results) for stage in stages},
    )
