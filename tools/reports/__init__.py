"""The reports of all tools, and their writer."""
