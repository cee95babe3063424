"""Checks discovery with the real Home Assistant on a real broker: `make homeassistant`, as root on Debian or Ubuntu.

`__main__` publishes examples and compares what Home Assistant makes of them; `instance` is that Home Assistant.
"""
