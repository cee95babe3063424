"""One file per kind of camera. A camera's libraries are imported with its file, never with this package."""
