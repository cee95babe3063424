// One pixel of a frame in memory, as BGR. Definition: colour.py.
#pragma once
#include "cuda/kernels.h"

struct Pixel {
    int channel[3];  // blue, green, red
};

__device__ inline int to_byte(int scaled) { return clamped(scaled >> 20, 255); }

__device__ inline Pixel from_yuv(int y, int u, int v) {
    const int light = (y > 16 ? y - 16 : 0) * 1220542 + (1 << 19), blue = u - 128, red = v - 128;
    return {{to_byte(light + 2116026 * blue), to_byte(light - 409993 * blue - 852492 * red), to_byte(light + 1673527 * red)}};
}

// x and y must lie in the frame.
__device__ inline Pixel pixel_of(const FrameParams& params, int x, int y) {
    const uint8_t* row = params.pixels + (size_t)y * params.stride;
    switch (params.format) {
        case BGR: return {{row[3 * x], row[3 * x + 1], row[3 * x + 2]}};
        case GRAY: return {{row[x], row[x], row[x]}};
        case YUYV: {
            const uint8_t* pair = row + 4 * (x >> 1);
            return from_yuv(pair[2 * (x & 1)], pair[1], pair[3]);
        }
        default: {  // NV12: the chroma plane follows the luma plane
            const uint8_t* uv = params.pixels + (size_t)(params.height + (y >> 1)) * params.stride + (x & ~1);
            return from_yuv(row[x], uv[0], uv[1]);
        }
    }
}

// Writes the three channels of one pixel, from BGR grey levels.
template <typename T>
__device__ inline void store_normalised(T* tensor, int plane, int at, const NetParams& net, const int* bgr) {
    for (int c = 0; c < 3; c++) store(tensor + c * plane + at, (bgr[net.rgb ? 2 - c : c] - net.mean[c]) / net.std[c]);
}
