// The sums that tell whether a frame can be believed, over every second row of the letterboxed image in grey.
// Definition: gate.py.
#pragma once
#include "cuda/kernels.h"

__device__ inline int mirrored(int i, int n, bool mirror) {
    if (i < 0) return mirror ? 1 : 0;
    if (i >= n) return mirror ? n - 2 : n - 1;
    return i;
}

// Grid: columns of the net's input by half its rows. All sums are whole numbers, whatever order they are added in.
KERNEL gate(const Look* look, const Net* net, const uint8_t* grey, Tally* tally) {
    __shared__ int histogram[256];
    __shared__ unsigned long long sum, squares;
    const int thread = threadIdx.y * blockDim.x + threadIdx.x, threads = blockDim.x * blockDim.y;
    for (int i = thread; i < 256; i += threads) histogram[i] = 0;
    if (thread == 0) sum = squares = 0;
    __syncthreads();
    const int x = blockIdx.x * blockDim.x + threadIdx.x, y = blockIdx.y * blockDim.y + threadIdx.y;
    const int columns = look->fit_w, rows = (look->fit_h + 1) / 2;
    if (x < columns && y < rows) {
        const uint8_t* image = grey + look->fit_y * net->width + look->fit_x;
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
        if (histogram[i]) atomicAdd(&tally->histogram[i], histogram[i]);
    if (thread == 0) {
        atomicAdd(&tally->laplacian, sum);
        atomicAdd(&tally->laplacian_squared, squares);
    }
}
