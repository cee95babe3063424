"""The reports that the tools write, and the one writer of them all."""
