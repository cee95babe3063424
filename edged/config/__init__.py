"""The configuration: from files, environment and credentials to one validated tree; explained and printed."""
