"""Pictures of alerts: a still and a clip each, bounded on disk."""
