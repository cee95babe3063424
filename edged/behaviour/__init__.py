"""What goes on in front of the cameras, in seconds rather than frames: who is there, and what a person should know."""
