"""What goes on in front of the cameras, in seconds rather than frames: states, daily totals, alerts."""
