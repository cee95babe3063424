"""What the daemon is asked for while it runs: commands, and a new configuration."""
