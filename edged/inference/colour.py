"""Camera formats as BGR: the numpy definition, equal to OpenCV's arithmetic to the last bit.

In memory, uint8: BGR (H, W, 3), GRAY (H, W), YUYV (H, W, 2), NV12 (H·3/2, W). Any thread.
"""

from __future__ import annotations

import numpy as np

from edged.frame import U8, PixelFormat, image_size

PIXEL_FORMATS: tuple[PixelFormat, ...] = ("bgr", "gray", "yuyv", "nv12")  # in the order of kernels.h

# ITU-R BT.601, limited range, in 1/2^20. Source: OpenCV, modules/imgproc/src/color_yuv.simd.hpp.
SHIFT = 20
Y_GAIN, U_TO_B, U_TO_G, V_TO_G, V_TO_R = 1220542, 2116026, -409993, -852492, 1673527


def to_bgr(image: U8, pixel_format: PixelFormat) -> U8:
    """(H, W, 3) uint8 BGR. Chroma is that of the pixel's pair or block, not interpolated."""
    if pixel_format == "bgr":
        return image
    if pixel_format == "gray":
        return np.repeat(image[..., None], 3, axis=2)
    if pixel_format == "yuyv":
        luma, chroma = image[..., 0], image[..., 1]
        u, v = np.repeat(chroma[:, 0::2], 2, axis=1), np.repeat(chroma[:, 1::2], 2, axis=1)
        return _from_yuv(luma, u, v)
    width, height = image_size(image, pixel_format)
    chroma = image[height:].reshape(height // 2, width // 2, 2).repeat(2, axis=0).repeat(2, axis=1)
    return _from_yuv(image[:height], chroma[..., 0], chroma[..., 1])


def _from_yuv(y: U8, u: U8, v: U8) -> U8:
    light = np.maximum(y.astype(np.int64) - 16, 0) * Y_GAIN + (1 << (SHIFT - 1))
    blue, red = u.astype(np.int64) - 128, v.astype(np.int64) - 128
    channels = (light + U_TO_B * blue, light + U_TO_G * blue + V_TO_G * red, light + V_TO_R * red)
    bgr: U8 = np.clip(np.stack(channels, axis=-1) >> SHIFT, 0, 255).astype(np.uint8)
    return bgr
