// Candidates from a detector's raw heads, in net px. Definition: detectors.py.
//
// One thread per anchor. Candidates come in any order; `order` is that of the definition. Values that are not
// `is_sound` are counted as faults, and the host gives the frame up.
#pragma once
#include "cuda/kernels.h"

struct BestClass {
    int label;
    float value;
};

// The best class, the first of equals. `gap`: elements from one class's score to the next.
template <typename T>
__device__ inline BestClass best_class(const T* scores, int classes, size_t gap, float factor, int* faults) {
    BestClass best = {0, -INFINITY};
    for (int c = 0; c < classes; c++) {
        const float value = load_checked(scores + c * gap, faults) * factor;
        if (value > best.value) best = {c, value};
    }
    return best;
}

__device__ inline int level_of(const HeadLayout& heads, int anchor) {
    int level = 0;
    while (level + 1 < heads.levels && anchor >= heads.first_anchor[level + 1]) level++;
    return level;
}

__device__ inline void add_candidate(Counters* counters, Box* candidates, Box box) {
    candidates[atomicAdd(&counters->found, 1)] = box;
}

template <typename T>
__device__ inline void rtmdet(const FrameParams& params, const HeadLayout& heads, Counters* counters, Box* candidates) {
    const int anchor = blockIdx.x * blockDim.x + threadIdx.x;
    if (anchor >= heads.anchors) return;
    const int level = level_of(heads, anchor);
    const int cell = anchor - heads.first_anchor[level], cells = heads.width[level] * heads.height[level];
    const T* scores = (const T*)heads.scores[level] + cell;
    int* faults = &counters->detector_faults;
    const BestClass best = best_class(scores, heads.classes, cells, 1, faults);
    if (!(best.value >= params.min_output[best.label])) return;
    const T* ltrb = (const T*)heads.distances[level] + cell;
    const float x = (float)(cell % heads.width[level]) * heads.stride[level];
    const float y = (float)(cell / heads.width[level]) * heads.stride[level];
    const float left = load_checked(ltrb, faults), top = load_checked(ltrb + cells, faults);
    const float right = load_checked(ltrb + 2 * cells, faults), bottom = load_checked(ltrb + 3 * cells, faults);
    const float score = 1 / (1 + expf(-best.value));
    add_candidate(counters, candidates, {x - left, y - top, x + right, y + bottom, score, best.label, anchor, 0});
}

// Raw (N, 5 + C): centre and size in stride units, objectness, class scores.
template <typename T>
__device__ inline void yolox(const FrameParams& params, const HeadLayout& heads, Counters* counters, Box* candidates) {
    const int anchor = blockIdx.x * blockDim.x + threadIdx.x;
    if (anchor >= heads.anchors) return;
    const T* raw = (const T*)heads.scores[0] + (size_t)anchor * (5 + heads.classes);
    int* faults = &counters->detector_faults;
    const BestClass best = best_class(raw + 5, heads.classes, 1, load_checked(raw + 4, faults), faults);
    if (!(best.value >= params.min_output[best.label])) return;
    const int level = level_of(heads, anchor);
    const int cell = anchor - heads.first_anchor[level], stride = heads.stride[level];
    const float cx = (load_checked(raw, faults) + cell % heads.width[level]) * stride;
    const float cy = (load_checked(raw + 1, faults) + cell / heads.width[level]) * stride;
    const float half_w = expf(load_checked(raw + 2, faults)) * stride / 2;
    const float half_h = expf(load_checked(raw + 3, faults)) * stride / 2;
    if (!(half_w + half_h < INFINITY)) atomicAdd(faults, 1);
    add_candidate(
        counters, candidates, {cx - half_w, cy - half_h, cx + half_w, cy + half_h, best.value, best.label, anchor, 0});
}

// Raw (4 + C, N): centre and size in net px, class scores.
template <typename T>
__device__ inline void yolov8(const FrameParams& params, const HeadLayout& heads, Counters* counters, Box* candidates) {
    const int anchor = blockIdx.x * blockDim.x + threadIdx.x;
    if (anchor >= heads.anchors) return;
    const T* raw = (const T*)heads.scores[0] + anchor;
    const size_t gap = heads.anchors;
    int* faults = &counters->detector_faults;
    const BestClass best = best_class(raw + 4 * gap, heads.classes, gap, 1, faults);
    if (!(best.value >= params.min_output[best.label])) return;
    const float cx = load_checked(raw, faults), cy = load_checked(raw + gap, faults);
    const float half_w = load_checked(raw + 2 * gap, faults) / 2, half_h = load_checked(raw + 3 * gap, faults) / 2;
    add_candidate(
        counters, candidates, {cx - half_w, cy - half_h, cx + half_w, cy + half_h, best.value, best.label, anchor, 0});
}

// Boxes (N, 4) and class scores (N, C), decoded inside the engine.
template <typename T>
__device__ inline void boxes(const FrameParams& params, const HeadLayout& heads, Counters* counters, Box* candidates) {
    const int anchor = blockIdx.x * blockDim.x + threadIdx.x;
    if (anchor >= heads.anchors) return;
    const T* scores = (const T*)heads.scores[0] + (size_t)anchor * heads.classes;
    int* faults = &counters->detector_faults;
    const BestClass best = best_class(scores, heads.classes, 1, 1, faults);
    if (!(best.value >= params.min_output[best.label])) return;
    const T* xyxy = (const T*)heads.distances[0] + (size_t)anchor * 4;
    const float x0 = load_checked(xyxy, faults), y0 = load_checked(xyxy + 1, faults);
    const float x1 = load_checked(xyxy + 2, faults), y1 = load_checked(xyxy + 3, faults);
    add_candidate(counters, candidates, {x0, y0, x1, y1, best.value, best.label, anchor, 0});
}

#define FAMILY(name)                                                                                          \
    KERNEL name##_f16(                                                                                        \
        const FrameParams* params, const HeadLayout* heads, Counters* counters, Box* candidates) {            \
        name<__half>(*params, *heads, counters, candidates);                                                  \
    }                                                                                                         \
    KERNEL name##_f32(                                                                                        \
        const FrameParams* params, const HeadLayout* heads, Counters* counters, Box* candidates) {            \
        name<float>(*params, *heads, counters, candidates);                                                   \
    }
FAMILY(rtmdet)
FAMILY(yolox)
FAMILY(yolov8)
FAMILY(boxes)
