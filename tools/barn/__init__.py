"""Simulated stall-days: keypoints of a horse with known behaviour, for comparison with `edged.behaviour.horse`."""
