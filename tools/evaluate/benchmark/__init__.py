"""Benchmark of models on annotated datasets: prepare, find the weights, infer, score, report."""
