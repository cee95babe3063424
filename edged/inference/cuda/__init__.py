"""The CUDA backend: from a frame in memory to keypoints on the GPU. Only this folder imports pycuda."""
