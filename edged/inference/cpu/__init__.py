"""The backend on the CPU: OpenCV for pixels, ONNX Runtime for models."""
