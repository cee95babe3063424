"""From a horse's keypoints to what a stable acts on: posture, behaviour, the day, alerts. Seconds, body lengths."""
