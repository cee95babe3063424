"""From a horse's keypoints to posture, behaviours, days and findings. Times in seconds, lengths in body lengths."""
