// The sums behind brightness, contrast and sharpness, over every second row of the letterboxed image in grey.
// Definition: image_quality.py.
#pragma once
#include "cuda/kernels.h"

__device__ inline int mirrored(int i, int n, bool mirror) {
    if (i < 0) return mirror ? 1 : 0;
    if (i >= n) return mirror ? n - 2 : n - 1;
    return i;
}

// Grid: columns of the net's input by half its rows. Integer sums: their order does not matter.
KERNEL image_quality(const FrameParams* params, const NetParams* net, const uint8_t* grey, Counters* counters) {
    __shared__ int histogram[256];
    __shared__ unsigned long long sum, squares;
    const int thread = threadIdx.y * blockDim.x + threadIdx.x, threads = blockDim.x * blockDim.y;
    for (int i = thread; i < 256; i += threads) histogram[i] = 0;
    if (thread == 0) sum = squares = 0;
    __syncthreads();
    const int x = blockIdx.x * blockDim.x + threadIdx.x, y = blockIdx.y * blockDim.y + threadIdx.y;
    const int columns = params->fit_w, rows = (params->fit_h + 1) / 2;
    if (x < columns && y < rows) {
        const uint8_t* image = grey + params->fit_y * net->width + params->fit_x;
        const bool mirror = columns > 1 && rows > 1;
        const int step = 2 * net->width, here = image[y * step + x];
        const int above = image[mirrored(y - 1, rows, mirror) * step + x], below = image[mirrored(y + 1, rows, mirror) * step + x];
        const int left = image[y * step + mirrored(x - 1, columns, mirror)], right = image[y * step + mirrored(x + 1, columns, mirror)];
        const long long laplacian = above + below + left + right - 4 * here;
        atomicAdd(&histogram[here], 1);
        atomicAdd(&sum, (unsigned long long)laplacian);
        atomicAdd(&squares, (unsigned long long)(laplacian * laplacian));
    }
    __syncthreads();
    for (int i = thread; i < 256; i += threads)
        if (histogram[i]) atomicAdd(&counters->histogram[i], histogram[i]);
    if (thread == 0) {
        atomicAdd(&counters->laplacian, sum);
        atomicAdd(&counters->laplacian_squared, squares);
    }
}
