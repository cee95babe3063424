"""The device itself: health, problems, throttle, recovery of cameras, watchdog, doctor, metrics."""
