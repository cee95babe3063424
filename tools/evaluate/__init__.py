"""Accuracy of the models on annotated photographs."""
