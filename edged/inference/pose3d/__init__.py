"""From keypoints in the picture to joints in space: the geometry of the 3DMPPE family, in numpy."""
