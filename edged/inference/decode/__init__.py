"""From raw engine outputs to boxes and keypoints, in net pixels. Pure numpy: the definition of every kernel."""
