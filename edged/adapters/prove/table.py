"""Everything `edged prove` asks, in the order in which it is asked. A new question is a row here."""

from __future__ import annotations

from edged.adapters.prove import board, cameras, copies, engines, loops, plane, service, v4l2_modes
from edged.adapters.prove.probe import Probe

HOUR_S = 3600.0

PROBES = (
    Probe(name="identity", asks="What is this machine?", supports="", run=board.identity),
    Probe(name="nodes", asks="Which figures of health does this board show?", supports="", run=board.nodes),
    Probe(
        name="builds",
        asks="How long does an engine take to build, and how much memory at its peak?",
        supports="TensorRT engines, building",
        run=engines.builds,
        limit_s=4 * HOUR_S,
    ),
    Probe(
        name="proofs",
        asks="Does every engine do what its FP32 model does, in every batch size?",
        supports="TensorRT engines, running",
        run=engines.proofs,
        limit_s=HOUR_S,
    ),
    Probe(name="sessions", asks="What does a model cost alone, by batch size?", supports="", run=loops.sessions),
    Probe(
        name="loops",
        asks="What does a frame cost, from the camera's image to keypoints, with each model that is here?",
        supports="",
        run=loops.loops,
        limit_s=HOUR_S,
    ),
    Probe(
        name="plane",
        asks="What does a frame cost on the CUDA plane, what do graphs gain, and does it see what the CPU plane sees?",
        supports="CUDA plane",
        run=plane.plane,
    ),
    Probe(name="copies", asks="What does moving a frame cost?", supports="", run=copies.copies),
    Probe(
        name="v4l2-modes",
        asks="Does a camera's driver write into our memory (USERPTR), or only into its own (MMAP)?",
        supports="V4L2 (USB) cameras",
        run=v4l2_modes.modes,
    ),
    Probe(
        name="cameras",
        asks="How soon and how evenly do the configured cameras give frames?",
        supports="CSI (nvarguscamerasrc)",
        speaking="(csi)",
        run=cameras.cameras,
    ),
    Probe(
        name="heat",
        asks="How warm does it get, what does it draw, and does it keep its rate?",
        supports="",
        run=board.heat,
    ),
    Probe(
        name="service",
        asks="How soon is the daemon ready, how soon does it see, and how soon does it end?",
        supports="",
        run=service.service,
    ),
)
BY_NAME = {probe.name: probe for probe in PROBES}
