"""edged: cameras in, keypoints and health out over MQTT."""

__version__ = "0.1.0"
