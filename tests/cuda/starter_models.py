"""The models of the package that the CUDA backend is tried with."""

from __future__ import annotations

from pathlib import Path

ROOT = Path(__file__).parents[2]
STARTER = ROOT / "engines/starter"
DETECTOR = ("det-person-horse", "det_person_horse.onnx")
POSES = {
    "person": ("rtmpose-t-coco17", "rtmpose_person_t.onnx"),
    "horse": ("rtmpose-t-ap10k-horse", "rtmpose_horse_t.onnx"),
}
