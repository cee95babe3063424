// The detector's input from the frame in memory, each pixel of which is read where it lies; and the same in grey
// for the gate. Definition: letterbox.py.
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

// In whole numbers, to the last bit as the definition has it.
__device__ inline Pixel resized(const Look& look, int u, int v) {
    const Taps x = taps(u, look.fit_w, look.roi_w), y = taps(v, look.fit_h, look.roi_h);
    const int left = look.roi_x + x.low, right = look.roi_x + x.high, top = look.roi_y + y.low, low = look.roi_y + y.high;
    const Pixel a = pixel_of(look, left, top), b = pixel_of(look, right, top);
    const Pixel c = pixel_of(look, left, low), d = pixel_of(look, right, low);
    const unsigned across = 2 * look.fit_w, down = 2 * look.fit_h, whole = across * down;
    Pixel mixed;
    for (int k = 0; k < 3; k++) {
        const unsigned above = a.channel[k] * (across - x.share) + b.channel[k] * x.share;
        const unsigned below = c.channel[k] * (across - x.share) + d.channel[k] * x.share;
        mixed.channel[k] = (int)((above * (down - y.share) + below * y.share + whole / 2) / whole);
    }
    return mixed;
}

// Grid: the net's input. tensor (3, H, W); grey (H, W) bytes, those around the image left alone.
template <typename T>
__device__ inline void letterboxed(const Look& look, const Net& net, T* tensor, uint8_t* grey) {
    const int x = blockIdx.x * blockDim.x + threadIdx.x, y = blockIdx.y * blockDim.y + threadIdx.y;
    if (x >= net.width || y >= net.height) return;
    const int at = y * net.width + x, u = x - look.fit_x, v = y - look.fit_y;
    if (u < 0 || v < 0 || u >= look.fit_w || v >= look.fit_h) {
        const int around[3] = {net.pad, net.pad, net.pad};
        store_normalised(tensor, net.width * net.height, at, net, around);
        return;
    }
    const Pixel p = resized(look, u, v);
    store_normalised(tensor, net.width * net.height, at, net, p.channel);
    // OpenCV's weights of red, green and blue, in 1/2^15
    grey[at] = (uint8_t)((3735 * p.channel[0] + 19235 * p.channel[1] + 9798 * p.channel[2] + (1 << 14)) >> 15);
}

KERNEL letterbox_f16(const Look* look, const Net* net, __half* tensor, uint8_t* grey) {
    letterboxed(*look, *net, tensor, grey);
}

KERNEL letterbox_f32(const Look* look, const Net* net, float* tensor, uint8_t* grey) {
    letterboxed(*look, *net, tensor, grey);
}
