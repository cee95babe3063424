"""Cameras of the network by ONVIF: found by WS-Discovery, asked for their serial numbers and streams.

Three requests do without a library: onvif-zeep-async, the one that is kept today, brings zeep, lxml and an asynchronous
HTTP client; what a stranger's XML may hold would have to be limited before it in any case.
"""
