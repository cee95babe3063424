"""How the starter models are trained: `python -m tools.train detector|person|horse`. Needs PyTorch; CPU or GPU.

Weights are exported by `tools.export`, and replace the ones in `engines/starter` by hand, when they are better.
"""
