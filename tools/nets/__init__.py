"""The nets in PyTorch, each defined once, with the names of its published checkpoints; for export and for training."""
