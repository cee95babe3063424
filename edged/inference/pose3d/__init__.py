"""3D poses of people: the geometry of the 3DMPPE family in numpy, and which boxes are lifted."""
