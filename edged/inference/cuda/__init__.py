"""The CUDA plane: from a frame in memory to keypoints without a detour over the host. Only here is pycuda known."""
