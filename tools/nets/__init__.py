"""The nets, each defined once in PyTorch with the names of its published checkpoints: to be exported, and to be trained."""
