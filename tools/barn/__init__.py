"""Stalls that do not exist: a horse's day as keypoints with known behaviour, to hold `edged.behaviour.horse` against."""
