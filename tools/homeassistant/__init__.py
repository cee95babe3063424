"""Checks discovery with the real Home Assistant: `make homeassistant`, on a workstation with Python 3.13."""
