// Keypoints in px of the frame from SimCC activations: the highest bin along x and along y. Definition: simcc.py,
// and Crop.to_image.
#pragma once
#include "crop.cu"

struct Peak {
    float value;
    int bin;
};

// A NaN beats every number, and the lower bin of equals the higher one.
__device__ inline Peak higher(Peak a, Peak b) {
    const bool a_wild = a.value != a.value, b_wild = b.value != b.value;
    if (a_wild || b_wild) return a_wild && (!b_wild || a.bin < b.bin) ? a : b;
    return a.value > b.value || (a.value == b.value && a.bin < b.bin) ? a : b;
}

template <typename T>
__device__ inline Peak peak(const T* row, int bins, Peak* shared, int* faults) {
    Peak best = {-INFINITY, bins};
    for (int i = threadIdx.x; i < bins; i += blockDim.x) {
        const float value = number(row + i);
        if (wild(value)) atomicAdd(faults, 1);
        best = higher(best, {value, i});
    }
    return joined(best, shared, [](Peak a, Peak b) { return higher(a, b); });
}

// Grid: keypoints by rows of the batch; a block of a power of two, 128 at most. along_x (B, K, split·W), along_y
// (B, K, split·H); keypoints (SUBJECTS, K, 3) by this model's rows, in mapped memory.
template <typename T>
__device__ inline void decoded(
    const Look& look, const Net& net, const Box* chosen, const int* rows, Tally* tally, int model, const T* along_x,
    const T* along_y, float* keypoints) {
    __shared__ Peak peaks[128];
    const int k = blockIdx.x, count = gridDim.x, row = look.first[model] + blockIdx.y;
    if (row >= tally->rows[model]) return;
    const int across = (int)(net.split * net.width), down = (int)(net.split * net.height);
    const size_t at = (size_t)blockIdx.y * count + k;
    int* faults = &tally->pose_faults[model];
    const Peak x = peak(along_x + at * across, across, peaks, faults), y = peak(along_y + at * down, down, peaks, faults);
    if (threadIdx.x) return;
    const Window window = around(chosen[rows[row]], net);
    const float score = x.value != x.value || y.value != y.value ? NAN : fminf(x.value, y.value);
    const float scale = window.width / net.width;
    float* out = keypoints + ((size_t)row * count + k) * 3;
    out[0] = score <= 0 ? NAN : x.bin / net.split * scale + (window.cx - window.width / 2);
    out[1] = score <= 0 ? NAN : y.bin / net.split * scale + (window.cy - window.height / 2);
    out[2] = score;
}

KERNEL simcc_f16(
    const Look* look, const Net* net, const Box* chosen, const int* rows, Tally* tally, int model, const __half* along_x,
    const __half* along_y, float* keypoints) {
    decoded(*look, *net, chosen, rows, tally, model, along_x, along_y, keypoints);
}

KERNEL simcc_f32(
    const Look* look, const Net* net, const Box* chosen, const int* rows, Tally* tally, int model, const float* along_x,
    const float* along_y, float* keypoints) {
    decoded(*look, *net, chosen, rows, tally, model, along_x, along_y, keypoints);
}
