"""Commands to a running daemon, and what a new configuration changes."""
