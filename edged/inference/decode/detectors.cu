// Candidates from a detector's raw heads, in net px. Definition: detectors.py.
//
// A thread per anchor. Candidates come in any order; `order` is the one of the definition. Whatever is read and is
// NaN or infinite is counted as a fault, and the host gives the frame up.
#pragma once
#include "cuda/kernels.h"

struct Winner {
    int label;
    float value;
};

// The best class, the first of equals. `gap` lies between one class's scores and the next one's.
template <typename T>
__device__ inline Winner winner(const T* scores, int classes, size_t gap, float factor, int* faults) {
    Winner best = {0, -INFINITY};
    for (int c = 0; c < classes; c++) {
        const float value = number(scores + c * gap) * factor;
        if (wild(value)) atomicAdd(faults, 1);
        if (value > best.value) best = {c, value};
    }
    return best;
}

__device__ inline int level_of(const Heads& heads, int anchor) {
    int level = 0;
    while (level + 1 < heads.levels && anchor >= heads.first[level + 1]) level++;
    return level;
}

__device__ inline void found(Tally* tally, Box* candidates, Box box) {
    if (wild(box.x0) || wild(box.y0) || wild(box.x1) || wild(box.y1)) atomicAdd(&tally->detector_faults, 1);
    candidates[atomicAdd(&tally->found, 1)] = box;
}

template <typename T>
__device__ inline void rtmdet(const Look& look, const Heads& heads, Tally* tally, Box* candidates) {
    const int anchor = blockIdx.x * blockDim.x + threadIdx.x;
    if (anchor >= heads.anchors) return;
    const int level = level_of(heads, anchor);
    const int cell = anchor - heads.first[level], cells = heads.width[level] * heads.height[level];
    const T* scores = (const T*)heads.scores[level] + cell;
    const Winner best = winner(scores, heads.classes, cells, 1, &tally->detector_faults);
    if (!(best.value >= look.faint[best.label])) return;
    const T* ltrb = (const T*)heads.distances[level] + cell;
    const float x = (float)(cell % heads.width[level]) * heads.stride[level];
    const float y = (float)(cell / heads.width[level]) * heads.stride[level];
    const float left = number(ltrb), top = number(ltrb + cells);
    const float right = number(ltrb + 2 * cells), bottom = number(ltrb + 3 * cells);
    const float score = 1 / (1 + expf(-best.value));
    found(tally, candidates, {x - left, y - top, x + right, y + bottom, score, best.label, anchor, 0});
}

// Raw (N, 5 + C): centre and size in stride units, objectness, class scores.
template <typename T>
__device__ inline void yolox(const Look& look, const Heads& heads, Tally* tally, Box* candidates) {
    const int anchor = blockIdx.x * blockDim.x + threadIdx.x;
    if (anchor >= heads.anchors) return;
    const T* raw = (const T*)heads.scores[0] + (size_t)anchor * (5 + heads.classes);
    const Winner best = winner(raw + 5, heads.classes, 1, number(raw + 4), &tally->detector_faults);
    if (!(best.value >= look.faint[best.label])) return;
    const int level = level_of(heads, anchor);
    const int cell = anchor - heads.first[level], stride = heads.stride[level];
    const float cx = (number(raw) + cell % heads.width[level]) * stride;
    const float cy = (number(raw + 1) + cell / heads.width[level]) * stride;
    const float half_w = expf(number(raw + 2)) * stride / 2, half_h = expf(number(raw + 3)) * stride / 2;
    found(tally, candidates, {cx - half_w, cy - half_h, cx + half_w, cy + half_h, best.value, best.label, anchor, 0});
}

// Raw (4 + C, N): centre and size in net px, class scores.
template <typename T>
__device__ inline void yolov8(const Look& look, const Heads& heads, Tally* tally, Box* candidates) {
    const int anchor = blockIdx.x * blockDim.x + threadIdx.x;
    if (anchor >= heads.anchors) return;
    const T* raw = (const T*)heads.scores[0] + anchor;
    const size_t gap = heads.anchors;
    const Winner best = winner(raw + 4 * gap, heads.classes, gap, 1, &tally->detector_faults);
    if (!(best.value >= look.faint[best.label])) return;
    const float cx = number(raw), cy = number(raw + gap), half_w = number(raw + 2 * gap) / 2, half_h = number(raw + 3 * gap) / 2;
    found(tally, candidates, {cx - half_w, cy - half_h, cx + half_w, cy + half_h, best.value, best.label, anchor, 0});
}

// Boxes (N, 4) and class scores (N, C), decoded inside the engine.
template <typename T>
__device__ inline void boxes(const Look& look, const Heads& heads, Tally* tally, Box* candidates) {
    const int anchor = blockIdx.x * blockDim.x + threadIdx.x;
    if (anchor >= heads.anchors) return;
    const T* scores = (const T*)heads.scores[0] + (size_t)anchor * heads.classes;
    const Winner best = winner(scores, heads.classes, 1, 1, &tally->detector_faults);
    if (!(best.value >= look.faint[best.label])) return;
    const T* xyxy = (const T*)heads.distances[0] + (size_t)anchor * 4;
    found(tally, candidates,
          {number(xyxy), number(xyxy + 1), number(xyxy + 2), number(xyxy + 3), best.value, best.label, anchor, 0});
}

#define FAMILY(name)                                                                                       \
    KERNEL name##_f16(const Look* look, const Heads* heads, Tally* tally, Box* candidates) {               \
        name<__half>(*look, *heads, tally, candidates);                                                    \
    }                                                                                                      \
    KERNEL name##_f32(const Look* look, const Heads* heads, Tally* tally, Box* candidates) {               \
        name<float>(*look, *heads, tally, candidates);                                                     \
    }
FAMILY(rtmdet)
FAMILY(yolox)
FAMILY(yolov8)
FAMILY(boxes)
