"""What each model can be computed in: the FP32 islands of FP16, and the ranges of INT8, both by measurement."""
