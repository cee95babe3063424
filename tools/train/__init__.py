"""Training of the starter models: `python -m tools.train detector|person|horse|lift`. Needs PyTorch; CPU or GPU.

Weights are exported by `tools.export`; better ones are copied to `engines/starter` by hand.
"""
