"""From a horse's keypoints to what a stable can act on: posture, behaviour, the day, alerts; in seconds and body lengths."""
