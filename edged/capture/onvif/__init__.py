"""Cameras of the network by ONVIF: found by WS-Discovery, asked for their serial numbers and streams.

Three requests need no library: those on the registry today bring zeep, lxml and an asynchronous HTTP client, and none
limits what a stranger's XML may hold.
"""
