// The pose model's input: crops around the selected boxes, from the frame where it lies in memory.
// Definition: crop.py.
#pragma once
#include "colour.cu"

// As crop.Crop.
struct Crop {
    float cx, cy, width, height;
};

__device__ inline Crop around(const Box& box, const NetParams& net) {
    const float width = (box.x1 - box.x0) * net.padding, height = (box.y1 - box.y0) * net.padding;
    const float aspect = (float)net.width / net.height;
    const float w = fmaxf(width, height * aspect), h = fmaxf(height, width / aspect);
    return {(box.x0 + box.x1) / 2, (box.y0 + box.y1) / 2, fmaxf(w, 1e-3f), fmaxf(h, 1e-3f)};
}

// Black outside the frame.
__device__ inline Pixel pixel_or_black(const FrameParams& params, int x, int y) {
    if (x < 0 || y < 0 || x >= params.width || y >= params.height) return {{0, 0, 0}};
    return pixel_of(params, x, y);
}

// Grid: the net's input by rows of the batch. rows: the selected boxes of this model's classes; tensor (B, 3, H, W).
template <typename T>
__device__ inline void cropped(
    const FrameParams& params, const NetParams& net, const Box* selected, const int* rows, int count, int first,
    T* tensor) {
    const int x = blockIdx.x * blockDim.x + threadIdx.x, y = blockIdx.y * blockDim.y + threadIdx.y;
    const int row = first + blockIdx.z, plane = net.width * net.height;
    if (x >= net.width || y >= net.height || row >= count) return;
    const Crop crop = around(selected[rows[row]], net);
    const float scale = crop.width / net.width;
    const float u = fminf(fmaxf((x - net.width / 2.0f) * scale + crop.cx, -1), params.width);
    const float v = fminf(fmaxf((y - net.height / 2.0f) * scale + crop.cy, -1), params.height);
    const int left = (int)floorf(u), top = (int)floorf(v);
    const float fx = u - left, fy = v - top;
    const Pixel a = pixel_or_black(params, left, top), b = pixel_or_black(params, left + 1, top);
    const Pixel c = pixel_or_black(params, left, top + 1), d = pixel_or_black(params, left + 1, top + 1);
    int mixed[3];
    for (int k = 0; k < 3; k++) {
        const float above = a.channel[k] * (1 - fx) + b.channel[k] * fx;
        const float below = c.channel[k] * (1 - fx) + d.channel[k] * fx;
        mixed[k] = (int)rintf(above * (1 - fy) + below * fy);
    }
    store_normalised(tensor + (size_t)blockIdx.z * 3 * plane, plane, y * net.width + x, net, mixed);
}

KERNEL crop_f16(
    const FrameParams* params, const NetParams* net, const Box* selected, const int* rows, const Counters* counters,
    int model, __half* tensor) {
    cropped(*params, *net, selected, rows, counters->rows[model], params->posed[model], tensor);
}

KERNEL crop_f32(
    const FrameParams* params, const NetParams* net, const Box* selected, const int* rows, const Counters* counters,
    int model, float* tensor) {
    cropped(*params, *net, selected, rows, counters->rows[model], params->posed[model], tensor);
}
