// What kernels and host share: the host writes these, byte for byte (adapters/cuda/layout.py).
// Every kernel stands beside the Python file that defines what it computes, and has its name.
#pragma once
#include <cuda_fp16.h>
#include <stdint.h>

#define KERNEL extern "C" __global__ void

const int CLASSES = 128;     // most classes of a detector
const int CANDIDATES = 300;  // of non-maximum suppression, as in decode/nms.py
const int SUBJECTS = 64;     // most in one frame, and most known ones
const int MODELS = 4;        // most pose models
const int LEVELS = 5;        // most strides of a detector

enum Format { BGR, GRAY, YUYV, NV12 };
enum Pick { SCORE, LARGEST, CENTRAL };

struct Box {
    float x0, y0, x1, y1, score;
    int label;
    int order;  // that the numpy definition finds it in: ties keep it
    int spare;
};

// One frame, and what is looked for in it. In mapped memory: read in place, a few hundred bytes a frame.
struct Look {
    const uint8_t* pixels;
    int format, width, height, stride;  // px, px, px, bytes
    int roi_x, roi_y, roi_w, roi_h;     // px of the frame
    int fit_x, fit_y, fit_w, fit_h;     // where the part looked at lies in the detector's input, net px
    float fit_scale;                    // net px per frame px
    int detect;                         // 0: the known boxes are taken as they are
    int limit, pick;
    int first[MODELS];       // rows of each pose model that were posed before
    int model_of[CLASSES];   // which pose model poses a class; -1: none does
    float faint[CLASSES];    // least output of each class worth decoding: a logit, where the model gives logits
    float sure[CLASSES];     // least score of each class
    int known_count;
    Box known[SUBJECTS];     // subjects expected in this frame
};

// How far a frame has come. In device memory, all zero before the frame.
struct Tally {
    int found;              // candidates that passed their threshold
    int kept;               // after non-maximum suppression
    int chosen;
    int rows[MODELS];       // chosen boxes of each pose model
    int detector_faults;    // NaN and infinities among the detector's outputs
    int pose_faults[MODELS];
    int spare;
    int histogram[256];     // grey levels, for the gate
    unsigned long long laplacian, laplacian_squared;  // sums; the first is signed
};

// How a model is fed.
struct Net {
    int width, height, pad, rgb;  // rgb: the colour order of the tensor; 0 is BGR
    float mean[3], std[3];        // of the tensor's channels
    float padding;                // growth of a box before the crop
    float split;                  // SimCC bins per net px
};

// A detector's raw heads.
struct Heads {
    int classes, levels, anchors;
    int stride[LEVELS], width[LEVELS], height[LEVELS], first[LEVELS];  // first: anchors of the levels before
    float nms_iou;
    const void* scores[LEVELS];
    const void* distances[LEVELS];
};

__device__ inline float number(const __half* at) { return __half2float(*at); }
__device__ inline float number(const float* at) { return *at; }
__device__ inline void store(__half* at, float value) { *at = __float2half_rn(value); }
__device__ inline void store(float* at, float value) { *at = value; }

__device__ inline bool wild(float x) { return !(fabsf(x) <= 3.402823466e38f); }  // NaN or infinite
__device__ inline int clamped(int x, int most) { return x < 0 ? 0 : x > most ? most : x; }

// What the threads of a block, a power of two of them, have between them: for every thread, and as often as wanted.
template <typename V, typename Join>
__device__ inline V joined(V own, V* shared, Join join) {
    __syncthreads();  // what lay there before was read
    shared[threadIdx.x] = own;
    for (int half = blockDim.x / 2; half; half /= 2) {
        __syncthreads();
        if (threadIdx.x < half) shared[threadIdx.x] = join(shared[threadIdx.x], shared[threadIdx.x + half]);
    }
    __syncthreads();
    return shared[0];
}
