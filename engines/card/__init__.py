"""A catalogue card: everything the daemon must know about one ONNX model, validated.

Cards are TOML files in `engines/catalogue`; sites add their own directory. A card states what the model
expects and gives; `describes` compares it with the live session's tensors and refuses on any difference.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import prod
from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints, model_validator

from engines.card.schema import SCHEMAS
from engines.classes import CLASSES
from engines.errors import CardError
from engines.units import BYTES_PER_MB


def _any_length(written: object) -> object:
    """TOML has no null: an axis of any length is written "*"."""
    return None if written == "*" else written


def _class_list(written: object) -> object:
    if not isinstance(written, str):
        return written
    if written not in CLASSES:
        raise ValueError(f"want a list of names, or one of {sorted(CLASSES)}")
    return CLASSES[written]


Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
Url = Annotated[str, StringConstraints(pattern=r"^(https|file)://")]
Three = tuple[float, float, float]
Axis = int | None  # None: any length
Task = Literal["detect", "pose", "lift", "root"]  # boxes; keypoints; a person in space; how far away it is
Family = Literal[  # what decodes the outputs
    "rtmdet", "rtmdet-end2end", "yolox", "yolov8", "boxes", "simcc", "heatmap3d", "rootnet"
]
Precision = Literal["int8", "fp16", "fp32"]
Length = Annotated[int, Field(gt=0)]
POSE_BATCHES = (1, 2, 4, 8)  # people or horses in one run; fewer are filled up
PERSON_BATCHES = (1, 2, 4)  # of 3D models; larger ones save no more
MAX_VOLUMES_BYTES = 40_000_000  # of the volumes of one call, in FP32: of ConvNeXtPose-XS four, of L two
TASKS: dict[Family, Task] = {"simcc": "pose", "heatmap3d": "lift", "rootnet": "root"}  # the others detect
FP32_BYTES = 4
_DO = "Correct the card, or get the model that it describes"


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, defer_build=True)


class Source(_Table):
    """Where the ONNX file comes from.

    `sha256` is pinned when we made the file, or when independent parties recorded the same hash of the
    official one; nothing is downloaded without it. None: recorded at the import and checked ever after.
    """

    bundled: Annotated[str, StringConstraints(pattern=r"^starter/\w+\.onnx$")] | None = None  # in the package
    url: Url | None = None  # official download, an .onnx file or a .zip holding one
    member: str | None = None  # file name searched for in a .zip, at any depth
    sha256: Sha256 | None = None  # of the .onnx file itself
    max_mb: Length = 1024  # what is larger, packed or not, is not this model
    checkpoint: Url | None = None  # published as training weights only; `export` makes the .onnx of them
    export: str = ""  # what a person does on a workstation to get the .onnx, when there is no url
    page: str = ""  # where a person reads about the model

    @property
    def max_bytes(self) -> int:
        return self.max_mb * BYTES_PER_MB

    @model_validator(mode="after")
    def _somewhere(self) -> Source:
        if sum(map(bool, (self.bundled, self.url, self.export))) != 1:
            raise ValueError("want exactly one of bundled, url, export")
        if (self.url or "").endswith(".zip") != bool(self.member):
            raise ValueError("a .zip, and only a .zip, needs `member`, the file name inside it")
        if not self.sha256 and (self.bundled or (self.url or "").startswith("https://")):
            raise ValueError("a model that is bundled or downloaded needs its sha256")
        return self


class Input(_Table):
    """The image tensor: float32 NCHW, (pixel - mean) / std on 0–255 pixels in the given colour order."""

    name: str
    size_wh: tuple[Length, Length]
    colour: Literal["bgr", "rgb"]
    mean: Three = (0.0, 0.0, 0.0)
    std: Three = (1.0, 1.0, 1.0)
    fit: Literal["top-left", "centred", "crop"]  # letterbox placement; "crop" for what looks at one subject
    pad: int = Field(default=114, ge=0, le=255)  # grey level around the image


class Output(_Table):
    """One output tensor; "*" in the file, None here, is an axis of any length."""

    name: str
    shape: tuple[Annotated[Length | None, BeforeValidator(_any_length)], ...]


class Detect(_Table):
    """What a detector's outputs mean."""

    classes: Annotated[tuple[str, ...], BeforeValidator(_class_list), Field(min_length=1)]
    score: float = Field(ge=0, le=1)  # default threshold
    scores: dict[str, float] = {}  # thresholds of single classes
    nms_iou: float = Field(gt=0, le=1)
    vote_iou: float | None = Field(default=None, gt=0, le=1)  # from which boxes share their edges with the best one
    strides: tuple[int, ...] = (8, 16, 32)

    @model_validator(mode="after")
    def _known(self) -> Detect:
        if unknown := set(self.scores) - set(self.classes):
            raise ValueError(f"detect.scores: {sorted(unknown)} not among classes {list(self.classes)}")
        return self

    def threshold(self, label: str) -> float:
        """The score from which a box is one of this class."""
        return self.scores.get(label, self.score)


class Subject(_Table):
    """How a detection and its mean keypoint score make a subject's score.

    sigmoid(detection · logit(detection score) + keypoints · logit(mean keypoint score) + offset); fitted to photographs
    with the starter detector, so that it is the share of boxes that show a subject.
    """

    detection: float = Field(gt=0)
    keypoints: float = Field(ge=0)
    offset: float
    score: float = Field(ge=0, le=1)  # from which a subject is shown


class Pose(_Table):
    """What a pose model's outputs mean."""

    schema_name: str = Field(alias="schema")
    padding: float = Field(default=1.25, ge=1, le=2)  # box growth before the crop
    split: float = Field(default=2.0, gt=0)  # SimCC bins per input pixel
    score: float = Field(default=0.3, ge=0)  # keypoints below are drawn faintly; all are published
    subject: Subject | None = None  # None: keypoint scores are no probabilities, the detection alone counts

    @model_validator(mode="after")
    def _known(self) -> Pose:
        if self.schema_name not in SCHEMAS:
            raise ValueError(f"pose.schema is {self.schema_name!r}; want one of {sorted(SCHEMAS)}")
        return self


class Lift(_Table):
    """What a 3D model's volume means: J·D channels, that of joint j at depth d being j·D + d."""

    schema_name: str = Field(alias="schema")
    padding: float = Field(default=1.25, ge=1, le=2)  # box growth before the crop
    depth: Length  # D, bins along z
    span_mm: float = Field(default=2000.0, gt=0)  # that they cover, half of it before the root

    @model_validator(mode="after")
    def _known(self) -> Lift:
        rooted = sorted(name for name, schema in SCHEMAS.items() if schema.root)
        if self.schema_name not in rooted:
            raise ValueError(f"lift.schema is {self.schema_name!r}; want one of {rooted}")
        return self


class Root(_Table):
    """What RootNet's outputs mean: the root's place in cells of the crop, and its depth over k."""

    padding: float = Field(default=1.25, ge=1, le=2)  # box growth before the crop
    cells: Length = 64
    error: float | None = Field(
        default=None, gt=0
    )  # of depths, as a share: two in three are nearer; None: not measured


class Tolerance(_Table):
    """How far an engine may be from the FP32 model before it is refused."""

    shift_px: float = Field(default=2.0, ge=0)  # of a sure keypoint or of a root, in px of the net's input
    shift_mm: float = Field(default=1.0, ge=0)  # of a joint from the root, at the size of the golden subject
    depth: float = Field(default=0.005, ge=0)  # share of a root's depth
    iou: float = Field(default=0.95, ge=0, le=1)  # of a box with its counterpart
    score: float = Field(default=0.03, ge=0)


class Int8(_Table):
    """What INT8 needs to know of one model file; `python -m tools.precision` measures it. Beside the card."""

    sha256: Sha256  # of the FP32 file that it was measured on
    ranges: dict[str, Annotated[float, Field(gt=0)]]  # largest magnitude of each activation that is quantised
    fp32: tuple[str, ...] = ()  # names of the convolutions that INT8 would ruin
    tolerance: Tolerance  # instead of the card's
    measured: dict[str, float | str] = {}


class Card(_Table):
    """One model of the catalogue."""

    name: Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9_-]{0,62}$")]
    summary: str
    licence: str
    task: Task
    family: Family
    source: Source
    input: Input
    outputs: tuple[Output, ...]
    detect: Detect | None = None
    pose: Pose | None = None
    lift: Lift | None = None
    root: Root | None = None
    fp32: tuple[str, ...] = ()  # beginnings of the names of nodes that FP16 would ruin
    int8: Int8 | None = None  # of NAME.int8.json beside the card; None: there is no INT8 of it
    tolerance: Tolerance = Tolerance()
    measured: dict[str, float | str] = {}  # accuracy figures and what they were measured on

    @model_validator(mode="after")
    def _complete(self) -> Card:
        tables = {"detect": self.detect, "pose": self.pose, "lift": self.lift, "root": self.root}
        if [task for task, table in tables.items() if table is not None] != [self.task]:
            raise ValueError(f"task is {self.task!r}; want exactly the table [{self.task}]")
        if TASKS.get(self.family, "detect") != self.task:
            raise ValueError(f"family {self.family!r} does not do task {self.task!r}")
        if (self.input.fit == "crop") != (self.task != "detect"):
            raise ValueError(f"input.fit is {self.input.fit!r}, which is not how a {self.task} model is fed")
        return self

    @property
    def precisions(self) -> tuple[Precision, ...]:
        """What the model can be prepared in."""
        return ("fp16", "fp32") if self.int8 is None else ("int8", "fp16", "fp32")

    def engine_precisions(self, wanted: str) -> tuple[Precision, ...]:
        """In what engines are built of it, the wanted one first, then what is used where that fails.

        `wanted` is the configuration's `compute.precision`: what is not for engines gives FP16. INT8 is tried of every
        model: where the card has none, its preparation says so.
        """
        if wanted == "int8":
            return ("int8", "fp16")
        return ("fp32",) if wanted == "fp32" else ("fp16",)

    def in_precision(self, precision: str) -> Card:
        """The card with the tolerance of that precision."""
        if precision != "int8" or self.int8 is None:
            return self
        return self.model_copy(update={"tolerance": self.int8.tolerance})

    @property
    def padding(self) -> float | None:
        """How much a subject's box grows before the crop; None: the whole image is looked at."""
        table = self.pose or self.lift or self.root
        return table.padding if table else None

    @property
    def batches(self) -> tuple[int, ...]:
        """How many images one call of the model takes, in rising order: one for a detector, or up to so many subjects.

        Of a 3D model as many people as have their volumes in MAX_VOLUMES_BYTES; one where the card's batch is one.
        """
        if self.task in {"detect", "pose"}:
            return (1,) if self.task == "detect" else POSE_BATCHES
        if any(output.shape[0] == 1 for output in self.outputs):
            return (1,)
        person_bytes = max(prod(axis or 1 for axis in output.shape) * FP32_BYTES for output in self.outputs)
        return tuple(n for n in PERSON_BATCHES if n == 1 or n * person_bytes <= MAX_VOLUMES_BYTES)

    def describes(
        self, inputs: Mapping[str, tuple[Axis, ...]], outputs: Mapping[str, tuple[Axis, ...]], *, takes: str = "float32"
    ) -> None:
        """Compare with a live session's tensors; raise `CardError` naming the first difference.

        `takes` is the type of numbers that go in, as numpy calls it.
        """
        width, height = self.input.size_wh
        wanted = {self.input.name: (None, 3, height, width)}
        self._compare("input", wanted, inputs)
        if extra := sorted(inputs.keys() - wanted.keys()):
            raise CardError(f"model {self.name}: inputs {extra} are not in the card, which has one. {_DO}")
        self._compare("output", {o.name: o.shape for o in self.outputs}, outputs)
        if takes != "float32":
            raise CardError(
                f"model {self.name}: input {self.input.name!r} takes {takes}, and is given float32; "
                "export it in single precision (without half=True, --fp16 or quantisation of its input)"
            )

    def _compare(self, role: str, wanted: Mapping[str, tuple[Axis, ...]], got: Mapping[str, tuple[Axis, ...]]) -> None:
        for name, shape in wanted.items():
            live = got.get(name)
            if live is None:
                raise CardError(f"model {self.name}: no {role} {name!r}; the file has {sorted(got)}. {_DO}")
            clash = any(a is not None and b is not None and a != b for a, b in zip(shape, live, strict=False))
            if len(live) != len(shape) or clash:
                raise CardError(f"model {self.name}: {role} {name!r} is {live}, the card says {shape}. {_DO}")
