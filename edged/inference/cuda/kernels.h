// The structs that host and kernels share, byte for byte (layout.py is the same in numpy), and what all kernels use.
// Every kernel stands beside the Python file that defines what it computes, and has the name of its function.
#pragma once
#include <cuda_fp16.h>
#include <stdint.h>

#define KERNEL extern "C" __global__ void

const int MAX_CLASSES = 128;     // of a detector
const int MAX_CANDIDATES = 300;  // of non-maximum suppression, as in decode/nms.py
const int MAX_SUBJECTS = 64;     // in one frame, and most priors
const int MAX_MODELS = 4;        // pose models
const int MAX_LEVELS = 5;        // strides of a detector

enum Format { BGR, GRAY, YUYV, NV12 };      // as colour.PIXEL_FORMATS
enum Pick { SCORE, LARGEST, CENTRAL };      // as layout.PICKS

struct Box {
    float x0, y0, x1, y1, score;
    int label;
    int order;  // in which the numpy definition finds it: ties keep this order
    int spare;
};

// One frame and the parameters of its camera. In mapped memory; `copy` brings it to the device.
struct FrameParams {
    const uint8_t* pixels;
    int format, width, height, stride;  // Format, px, px, bytes
    int roi_x, roi_y, roi_w, roi_h;     // px of the frame
    int fit_x, fit_y, fit_w, fit_h;     // where the region lies in the detector's input, net px
    float fit_scale;                    // net px per frame px
    int detect;                         // 0: the priors are the boxes
    int max_subjects, pick;
    int posed[MAX_MODELS];              // rows of each pose model that are done: the next batch begins there
    int model_of[MAX_CLASSES];          // the pose model of a class; -1: none
    float min_output[MAX_CLASSES];      // least output of each class to decode: a logit where the model gives logits
    float threshold[MAX_CLASSES];       // least score of each class
    int prior_count;
    Box priors[MAX_SUBJECTS];           // subjects expected in this frame, px of the frame
};

// How far a frame has come. In device memory, all zero before the frame.
struct Counters {
    int found;                  // candidates above their threshold
    int kept;                   // after non-maximum suppression
    int selected;
    int rows[MAX_MODELS];       // selected boxes of each pose model
    int detector_faults;        // outputs of the detector that are not `is_sound`
    int pose_faults[MAX_MODELS];
    int spare;
    int histogram[256];         // pixels of each grey level
    unsigned long long laplacian, laplacian_squared;  // sums; the first is signed
};

// How a model is fed.
struct NetParams {
    int width, height, pad, rgb;  // px, px, grey level, 1: the tensor is RGB, 0: BGR
    float mean[3], std[3];        // of the tensor's channels, grey levels
    float padding;                // growth of a box before the crop, a factor
    float split;                  // SimCC bins per net px
};

// Where a detector's raw outputs lie.
struct HeadLayout {
    int classes, levels, anchors;
    int stride[MAX_LEVELS], width[MAX_LEVELS], height[MAX_LEVELS], first_anchor[MAX_LEVELS];
    float nms_iou;
    float vote_iou;  // above 1: boxes do not vote
    const void* scores[MAX_LEVELS];
    const void* distances[MAX_LEVELS];
};

__device__ inline float load(const __half* at) { return __half2float(*at); }
__device__ inline float load(const float* at) { return *at; }
__device__ inline void store(__half* at, float value) { *at = __float2half_rn(value); }
__device__ inline void store(float* at, float value) { *at = value; }

// Whether a model's output can be believed: not NaN, infinite, or where FP16 ends (check_finite in detectors.py).
__device__ inline bool is_sound(float x) { return fabsf(x) < 65504; }
template <typename T>
__device__ inline float load_checked(const T* at, int* faults) {
    const float value = load(at);
    if (!is_sound(value)) atomicAdd(faults, 1);
    return value;
}
__device__ inline int clamped(int x, int most) { return x < 0 ? 0 : x > most ? most : x; }

// `join` of the values of all threads of a block, for every thread. The block's size is a power of two.
template <typename V, typename Join>
__device__ inline V block_reduce(V own, V* shared, Join join) {
    __syncthreads();  // an earlier result in `shared` has been read
    shared[threadIdx.x] = own;
    for (int half = blockDim.x / 2; half; half /= 2) {
        __syncthreads();
        if (threadIdx.x < half) shared[threadIdx.x] = join(shared[threadIdx.x], shared[threadIdx.x + half]);
    }
    __syncthreads();
    return shared[0];
}
