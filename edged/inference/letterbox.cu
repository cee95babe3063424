// The detector's input, from the frame where it lies in memory; and the same in grey for image_quality.cu.
// Definition: letterbox.py.
#pragma once
#include "colour.cu"

// The pixels between which output i of `length` lies, bilinear with pixel centres at .5 and clamped edges.
struct Taps {
    int low, high;
    unsigned share;  // of the high one, in 1 / (2 * length)
};

__device__ inline Taps taps(int i, int length, int size) {
    const int whole = 2 * length, at = clamped((2 * i + 1) * size - length, (size - 1) * whole);
    const int low = at / whole;
    return {low, clamped(low + 1, size - 1), (unsigned)(at - low * whole)};
}

// In integers: equal to the definition to the last bit.
__device__ inline Pixel resized(const FrameParams& params, int u, int v) {
    const Taps x = taps(u, params.fit_w, params.roi_w), y = taps(v, params.fit_h, params.roi_h);
    const int left = params.roi_x + x.low, right = params.roi_x + x.high, top = params.roi_y + y.low, low = params.roi_y + y.high;
    const Pixel a = pixel_of(params, left, top), b = pixel_of(params, right, top);
    const Pixel c = pixel_of(params, left, low), d = pixel_of(params, right, low);
    const unsigned across = 2 * params.fit_w, down = 2 * params.fit_h, whole = across * down;
    Pixel mixed;
    for (int k = 0; k < 3; k++) {
        const unsigned above = a.channel[k] * (across - x.share) + b.channel[k] * x.share;
        const unsigned below = c.channel[k] * (across - x.share) + d.channel[k] * x.share;
        mixed.channel[k] = (int)((above * (down - y.share) + below * y.share + whole / 2) / whole);
    }
    return mixed;
}

// Grid: the net's input. tensor (3, H, W); grey (H, W) uint8, written only where the image is.
template <typename T>
__device__ inline void letterboxed(const FrameParams& params, const NetParams& net, T* tensor, uint8_t* grey) {
    const int x = blockIdx.x * blockDim.x + threadIdx.x, y = blockIdx.y * blockDim.y + threadIdx.y;
    if (x >= net.width || y >= net.height) return;
    const int at = y * net.width + x, u = x - params.fit_x, v = y - params.fit_y;
    if (u < 0 || v < 0 || u >= params.fit_w || v >= params.fit_h) {
        const int around[3] = {net.pad, net.pad, net.pad};
        store_normalised(tensor, net.width * net.height, at, net, around);
        return;
    }
    const Pixel p = resized(params, u, v);
    store_normalised(tensor, net.width * net.height, at, net, p.channel);
    // OpenCV's weights of red, green and blue, in 1/2^15
    grey[at] = (uint8_t)((3735 * p.channel[0] + 19235 * p.channel[1] + 9798 * p.channel[2] + (1 << 14)) >> 15);
}

KERNEL letterbox_f16(const FrameParams* params, const NetParams* net, __half* tensor, uint8_t* grey) {
    letterboxed(*params, *net, tensor, grey);
}

KERNEL letterbox_f32(const FrameParams* params, const NetParams* net, float* tensor, uint8_t* grey) {
    letterboxed(*params, *net, tensor, grey);
}
