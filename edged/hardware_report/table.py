"""Everything `edged prove` asks, in the order in which it is asked. A new question is a row here."""

from __future__ import annotations

from edged.hardware_report import board, cameras, copies, engines, loops, plane, service, v4l2_modes
from edged.hardware_report.probe import Probe

HOUR_S = 3600.0

PROBES = (
    Probe(name="identity", question="What is this machine?", support_row="", run=board.identity),
    Probe(name="nodes", question="Which figures of health does this board show?", support_row="", run=board.nodes),
    Probe(
        name="builds",
        question="How long does an engine take to build, and how much memory at its peak?",
        support_row="TensorRT engines, building",
        run=engines.builds,
        timeout_s=4 * HOUR_S,
    ),
    Probe(
        name="proofs",
        question="Does every engine do what its FP32 model does, in every batch size?",
        support_row="TensorRT engines, running",
        run=engines.selftests,
        timeout_s=HOUR_S,
    ),
    Probe(name="sessions", question="What does a model cost alone, by batch size?", support_row="", run=loops.sessions),
    Probe(
        name="loops",
        question="What does a frame cost, from the camera's image to keypoints, with each model that is here?",
        support_row="",
        run=loops.loops,
        timeout_s=HOUR_S,
    ),
    Probe(
        name="plane",
        question="What does a frame cost on the CUDA plane, what do graphs gain, and does it see what the CPU plane sees?",
        support_row="CUDA plane",
        run=plane.cuda_backend,
    ),
    Probe(name="copies", question="What does moving a frame cost?", support_row="", run=copies.copies),
    Probe(
        name="v4l2-modes",
        question="Does a camera's driver write into our memory (USERPTR), or only into its own (MMAP)?",
        support_row="V4L2 (USB) cameras",
        run=v4l2_modes.v4l2_modes,
    ),
    Probe(
        name="cameras",
        question="How soon and how evenly do the configured cameras give frames?",
        support_row="CSI (nvarguscamerasrc)",
        subject_part="(csi)",
        run=cameras.cameras,
    ),
    Probe(
        name="heat",
        question="How warm does it get, what does it draw, and does it keep its rate?",
        support_row="",
        run=board.heat,
    ),
    Probe(
        name="service",
        question="How soon is the daemon ready, how soon does it see, and how soon does it end?",
        support_row="",
        run=service.service,
    ),
)
BY_NAME = {probe.name: probe for probe in PROBES}
