"""The kernel's V4L2 interface: structures and ioctl numbers. Source: linux/videodev2.h, 64-bit layout.

A number is derived from its structure's size, so that a wrong field changes it and the kernel refuses the call.
"""

from __future__ import annotations

import ctypes
import fcntl
from ctypes import c_char, c_int, c_int64, c_uint8, c_uint32, c_uint64

BUF_TYPE_VIDEO_CAPTURE = 1
FIELD_NONE = 1  # progressive
MEMORY_MMAP, MEMORY_USERPTR = 1, 2
BUF_FLAG_ERROR = 0x40  # the frame may be corrupt
CAP_VIDEO_CAPTURE, CAP_VIDEO_CAPTURE_MPLANE, CAP_STREAMING = 0x00000001, 0x00001000, 0x04000000


class Capability(ctypes.Structure):
    _fields_ = (
        ("driver", c_char * 16),
        ("card", c_char * 32),
        ("bus_info", c_char * 32),
        ("version", c_uint32),
        ("capabilities", c_uint32),  # of the whole device
        ("device_caps", c_uint32),  # of this node
        ("reserved", c_uint32 * 3),
    )


class PixFormat(ctypes.Structure):
    _fields_ = (
        ("width", c_uint32),
        ("height", c_uint32),
        ("pixelformat", c_uint32),  # FourCC
        ("field", c_uint32),
        ("bytesperline", c_uint32),
        ("sizeimage", c_uint32),
        ("colorspace", c_uint32),
        ("priv", c_uint32),
        ("flags", c_uint32),
        ("ycbcr_enc", c_uint32),
        ("quantization", c_uint32),
        ("xfer_func", c_uint32),
    )


class _FormatUnion(ctypes.Union):
    _fields_ = (("pix", PixFormat), ("raw_data", c_uint8 * 200), ("align", c_uint64))


class Format(ctypes.Structure):
    _fields_ = (("type", c_uint32), ("fmt", _FormatUnion))


class Fraction(ctypes.Structure):
    _fields_ = (("numerator", c_uint32), ("denominator", c_uint32))


class CaptureParm(ctypes.Structure):
    _fields_ = (
        ("capability", c_uint32),
        ("capturemode", c_uint32),
        ("timeperframe", Fraction),  # seconds
        ("extendedmode", c_uint32),
        ("readbuffers", c_uint32),
        ("reserved", c_uint32 * 4),
    )


class _ParmUnion(ctypes.Union):
    _fields_ = (("capture", CaptureParm), ("raw_data", c_uint8 * 200))


class StreamParm(ctypes.Structure):
    _fields_ = (("type", c_uint32), ("parm", _ParmUnion))


class RequestBuffers(ctypes.Structure):
    _fields_ = (
        ("count", c_uint32),
        ("type", c_uint32),
        ("memory", c_uint32),
        ("capabilities", c_uint32),
        ("flags", c_uint8),
        ("reserved", c_uint8 * 3),
    )


class TimeVal(ctypes.Structure):
    _fields_ = (("tv_sec", c_int64), ("tv_usec", c_int64))


class TimeCode(ctypes.Structure):
    _fields_ = (("type", c_uint32), ("flags", c_uint32), ("frames_to_userbits", c_uint8 * 8))


class _MemoryUnion(ctypes.Union):
    _fields_ = (("offset", c_uint32), ("userptr", c_uint64))


class Buffer(ctypes.Structure):
    _fields_ = (
        ("index", c_uint32),
        ("type", c_uint32),
        ("bytesused", c_uint32),
        ("flags", c_uint32),
        ("field", c_uint32),
        ("timestamp", TimeVal),
        ("timecode", TimeCode),
        ("sequence", c_uint32),
        ("memory", c_uint32),
        ("m", _MemoryUnion),
        ("length", c_uint32),
        ("reserved2", c_uint32),
        ("request_fd", c_int),
    )


READ, WRITE = 2, 1  # from the caller's side. Source: asm-generic/ioctl.h


def ioctl_number(direction: int, number: int, argument: type[ctypes.Structure] | type[c_int]) -> int:
    return direction << 30 | ctypes.sizeof(argument) << 16 | ord("V") << 8 | number


QUERYCAP = ioctl_number(READ, 0, Capability)
S_FMT = ioctl_number(READ | WRITE, 5, Format)
REQBUFS = ioctl_number(READ | WRITE, 8, RequestBuffers)
QUERYBUF = ioctl_number(READ | WRITE, 9, Buffer)
QBUF = ioctl_number(READ | WRITE, 15, Buffer)
DQBUF = ioctl_number(READ | WRITE, 17, Buffer)
STREAMON = ioctl_number(WRITE, 18, c_int)
STREAMOFF = ioctl_number(WRITE, 19, c_int)
G_PARM = ioctl_number(READ | WRITE, 21, StreamParm)
S_PARM = ioctl_number(READ | WRITE, 22, StreamParm)


def call(device: int, number: int, argument: ctypes.Structure | c_int) -> None:
    """One ioctl; the kernel writes its answer into `argument`. Raises OSError."""
    fcntl.ioctl(device, number, argument)
