"""The field's measures of poses, in numpy, each documented to its formula.

oks    object keypoint similarity, AP and AR
plane  PCK, PCKh, AUC, EPE: keypoints in pixels
space  MPJPE and its relatives, MRPE, 3DPCK: joints in mm
"""
