// The soft-argmax of a volume head, in FP32. Definition: heatmap3d.py.
#pragma once
#include "cuda/kernels.h"

struct Moments {
    float weight, x, y, z;
};

// Grid: joints by subjects; a block of a power of two, 256 at most. volume (N, J·D, H, W); size: D, H, W;
// places (N, J, 3) x, y, z in bins; NaN where a value of the joint is not `is_sound`.
template <typename T>
__device__ inline void soft_argmax(const int* size, const T* volume, float* places) {
    __shared__ float highest[256];
    __shared__ Moments moments[256];
    const int depth = size[0], height = size[1], width = size[2], cells = depth * height * width;
    const size_t joint = (size_t)blockIdx.y * gridDim.x + blockIdx.x;
    const T* cell = volume + joint * cells;
    float most = -INFINITY;
    for (int i = threadIdx.x; i < cells; i += blockDim.x) {
        const float raw = load(cell + i), value = is_sound(raw) ? raw : NAN;
        most = value > most || value != value ? value : most;
    }
    most = block_reduce(most, highest, [](float a, float b) { return a != a ? a : b != b || b > a ? b : a; });
    Moments own = {0, 0, 0, 0};
    for (int i = threadIdx.x; i < cells; i += blockDim.x) {
        const float weight = expf(load(cell + i) - most);
        own.weight += weight;
        own.x += weight * (i % width);
        own.y += weight * (i / width % height);
        own.z += weight * (i / (width * height));
    }
    own = block_reduce(own, moments, [](Moments a, Moments b) {
        return Moments{a.weight + b.weight, a.x + b.x, a.y + b.y, a.z + b.z};
    });
    if (threadIdx.x) return;
    places[3 * joint] = own.x / own.weight;
    places[3 * joint + 1] = own.y / own.weight;
    places[3 * joint + 2] = own.z / own.weight;
}

KERNEL soft_argmax_f16(const int* size, const __half* volume, float* places) { soft_argmax(size, volume, places); }
KERNEL soft_argmax_f32(const int* size, const float* volume, float* places) { soft_argmax(size, volume, places); }
