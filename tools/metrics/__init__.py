"""Accuracy metrics of poses, in numpy, with their formulas.

oks    object keypoint similarity, AP and AR
plane  PCK, AUC, EPE: keypoints in pixels
space  MPJPE and its relatives, MRPE, 3DPCK: joints in mm
"""
