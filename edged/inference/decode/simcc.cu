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
    const bool a_is_nan = a.value != a.value, b_is_nan = b.value != b.value;
    if (a_is_nan || b_is_nan) return a_is_nan && (!b_is_nan || a.bin < b.bin) ? a : b;
    return a.value > b.value || (a.value == b.value && a.bin < b.bin) ? a : b;
}

template <typename T>
__device__ inline Peak peak(const T* row, int bins, Peak* shared, int* faults) {
    Peak best = {-INFINITY, bins};
    for (int i = threadIdx.x; i < bins; i += blockDim.x) {
        best = higher(best, {load_checked(row + i, faults), i});
    }
    return block_reduce(best, shared, [](Peak a, Peak b) { return higher(a, b); });
}

// Grid: keypoints by rows of the batch; a block of a power of two, 128 at most. along_x (B, K, split·W), along_y
// (B, K, split·H); keypoints (MAX_SUBJECTS, K, 3) by this model's rows, in mapped memory.
template <typename T>
__device__ inline void decoded(
    const FrameParams& params, const NetParams& net, const Box* selected, const int* rows, Counters* counters, int model,
    const T* along_x, const T* along_y, float* keypoints) {
    __shared__ Peak peaks[128];
    const int k = blockIdx.x, count = gridDim.x, row = params.posed[model] + blockIdx.y;
    if (row >= counters->rows[model]) return;
    const int across = (int)(net.split * net.width), down = (int)(net.split * net.height);
    const size_t at = (size_t)blockIdx.y * count + k;
    int* faults = &counters->pose_faults[model];
    const Peak x = peak(along_x + at * across, across, peaks, faults), y = peak(along_y + at * down, down, peaks, faults);
    if (threadIdx.x) return;
    const Crop crop = around(selected[rows[row]], net);
    const float score = x.value != x.value || y.value != y.value ? NAN : fminf(x.value, y.value);
    const float scale = crop.width / net.width;
    float* out = keypoints + ((size_t)row * count + k) * 3;
    out[0] = score <= 0 ? NAN : x.bin / net.split * scale + (crop.cx - crop.width / 2);
    out[1] = score <= 0 ? NAN : y.bin / net.split * scale + (crop.cy - crop.height / 2);
    out[2] = score;
}

KERNEL simcc_f16(
    const FrameParams* params, const NetParams* net, const Box* selected, const int* rows, Counters* counters, int model,
    const __half* along_x, const __half* along_y, float* keypoints) {
    decoded(*params, *net, selected, rows, counters, model, along_x, along_y, keypoints);
}

KERNEL simcc_f32(
    const FrameParams* params, const NetParams* net, const Box* selected, const int* rows, Counters* counters, int model,
    const float* along_x, const float* along_y, float* keypoints) {
    decoded(*params, *net, selected, rows, counters, model, along_x, along_y, keypoints);
}
