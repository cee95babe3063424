// CUDA C++ as plain C++: a kernel compiled with this in the place of NVIDIA's header runs on the CPU, a block at a
// time, its threads as fibers that change over at __syncthreads. Only what our kernels use is here.
#pragma once
#include <math.h>
#include <stddef.h>
#include <stdint.h>

#define __global__
#define __device__
#define __shared__ static thread_local  // of the block that this thread of the driver is running

struct Dim3 {
    unsigned x, y, z;
};
extern thread_local Dim3 threadIdx, blockIdx, blockDim, gridDim;

void __syncthreads();

template <typename T>
inline T atomicAdd(T* at, T value) {
    const T before = *at;
    *at = before + value;
    return before;
}

struct __half {
    _Float16 value;
};
inline float __half2float(__half h) { return h.value; }
inline __half __float2half_rn(float x) { return {(_Float16)x}; }
