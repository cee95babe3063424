"""`[models]`, `[compute]` and `[engines]`: which models run, on what, and how their TensorRT engines are built."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import Literal

from pydantic import Field, model_validator

from edged.config.types import FilePath, Flag, Int, Name, Section, unit

STARTER_LIFT, STARTER_ROOT = "lift-person-t", "rootnet-person-t"  # people in space, and how far away


class ModelsConfig(Section):
    """Which models run, and where they are stored."""

    detector: Name = Field("det-person-horse", description="Catalogue card of the detector.")
    pose: dict[str, Name] = Field(
        {"person": "rtmpose-t-coco17", "horse": "rtmpose-t-ap10k-horse"},
        description="Catalogue card of the pose model for each class. A class without one gets boxes only. Those of "
        "classes that no camera publishes are not loaded.",
    )
    lift: Name | None = Field(
        None,
        description="Catalogue card of the 3D model, for cameras with `lift = true`. It works for people only. Left "
        "out: the starter model, with its RootNet. None is loaded unless a camera has `lift`.",
        examples=["convnextpose-s"],
    )
    root: Name | None = Field(
        None,
        description="Catalogue card of RootNet, which estimates how far away people are, for the model in `lift`. Left "
        "out: estimated from the size of their boxes.",
        examples=["rootnet"],
    )
    store: FilePath = Field(
        Path("/var/lib/edged/models"), description="Directory of downloaded models and built engines."
    )
    mirror: FilePath | None = Field(
        None,
        description="Directory searched for model files before any download, for devices without internet access.",
        examples=["/media/usb/models"],
    )
    catalogue: FilePath | None = Field(
        None, description="Directory of additional model cards (*.toml).", examples=["/etc/edged/catalogue"]
    )

    @model_validator(mode="after")
    def _check_root(self) -> ModelsConfig:
        if self.root is not None and self.lift is None:
            raise ValueError("root must come with a 3D model; give models.lift too")
        return self

    def in_use(self, *, lifts: bool, classes: Collection[str] | None = None) -> ModelsConfig:
        """Those that are loaded: pose models of these classes, 3D models only where people are lifted.

        classes  None: all; also where none of them has a pose model
        The 3D models are the starter pair unless one is named.
        """
        pose = {label: name for label, name in self.pose.items() if classes is None or label in classes} or self.pose
        if not lifts:
            return self.model_copy(update={"pose": pose, "lift": None, "root": None})
        pair = {} if self.lift else {"lift": STARTER_LIFT, "root": STARTER_ROOT}
        return self.model_copy(update={"pose": pose, **pair})

    @property
    def card_names(self) -> tuple[str, ...]:
        """The cards of all models in use."""
        return tuple(name for name in (self.detector, *self.pose.values(), self.lift, self.root) if name is not None)


class ComputeConfig(Section):
    """What the models run on."""

    backend: Literal["auto", "cpu", "cuda"] = Field(
        "auto",
        description="`cuda`: frames stay on the GPU; an error without one. `cpu`: frames stay in main memory. "
        "`auto`: `cuda` as soon as every model has an engine, else `cpu`.",
    )
    threads: Int = Field(
        0,
        ge=0,
        le=64,
        json_schema_extra=unit("threads"),
        description="Inference threads on the CPU; 0: as many as the process may use CPUs.",
    )
    cpu_runtime: Literal["auto", "onnxruntime", "openvino"] = Field(
        "auto",
        description="What runs models on the CPU. `auto`: the faster one of those that are installed, by a trial of a "
        "few seconds at the first start.",
    )
    precision: Literal["auto", "fp32", "fp16", "int8", "bf16"] = Field(
        "auto",
        description="`auto`: FP16 in TensorRT engines, FP32 on the CPU. `int8`: for models whose card has it; on the "
        "CPU where the trial finds it faster and close enough to FP32. `bf16`: on CPUs that have it, with OpenVINO.",
    )

    @model_validator(mode="after")
    def _check_precision(self) -> ComputeConfig:
        if self.precision == "bf16" and self.cpu_runtime == "onnxruntime":
            raise ValueError("precision = 'bf16' wants OpenVINO; leave out cpu_runtime, or choose another precision")
        return self


class EnginesConfig(Section):
    """How TensorRT engines are built."""

    tensorrt: Literal["auto", "off", "tensorrt-rtx"] = Field(
        "auto",
        description="`auto`: engines are built in the background where TensorRT and a GPU are present. "
        "`tensorrt-rtx`: build with TensorRT for RTX instead. `off`: build none.",
    )

    optimization_level: Int = Field(
        3,
        ge=0,
        le=5,
        description="TensorRT's optimization level: 0 builds fastest, 5 runs fastest.",
    )
    workspace_mb: Int = Field(
        0,
        ge=0,
        le=65536,
        json_schema_extra=unit("MB"),
        description="GPU memory that a build may use; lower it on small boards. 0: chosen for the board.",
    )
    quick_first: Flag = Field(
        False,
        description="Build every engine at level 0 first, to use the GPU soonest, then again at `optimization_level`.",
    )
    quota_mb: Int = Field(
        2048,
        ge=0,
        le=1048576,
        json_schema_extra=unit("MB"),
        description="Disk space for engines kept for a rollback; engines in use are never removed.",
    )
