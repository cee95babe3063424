"""From a frame to boxes and keypoints: pixels, models, decoders, on the CPU or the GPU. Knows no MQTT."""
