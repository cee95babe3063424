"""Simulated stalls: a horse's day as keypoints with known behaviour, the truth for `edged.behaviour.horse`."""
