// A kernel's launch on the CPU.
#pragma once
#include <functional>

#include "cuda_fp16.h"

// Runs one call per thread of every block. Between two __syncthreads the threads of a block take turns in an order
// drawn from `seed`, so that one that is missing shows. Throws std::runtime_error when some threads of a block wait
// at __syncthreads and others have ended.
void launch(Dim3 grid, Dim3 block, unsigned seed, const std::function<void()>& thread);
