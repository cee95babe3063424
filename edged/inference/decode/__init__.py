"""Raw model outputs to boxes, keypoints and joints. Pure numpy: the definition of the kernels of the same names."""
