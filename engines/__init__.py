"""engines: model catalogue, store and engine building. Knows nothing of `edged`."""
