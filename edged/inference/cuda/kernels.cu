// All kernels, compiled as one (`make kernels`), in the order in which a frame meets them.
#include "letterbox.cu"
#include "image_quality.cu"
#include "decode/detectors.cu"
#include "decode/nms.cu"
#include "select.cu"
#include "crop.cu"
#include "decode/simcc.cu"
#include "decode/heatmap3d.cu"

// Copies n words: parameters out of mapped memory, results into it. One block.
KERNEL copy(const int* from, int* to, int n) {
    for (int i = threadIdx.x; i < n; i += blockDim.x) to[i] = from[i];
}
