// Non-maximum suppression: candidates sorted, best first; then those that no better one overlaps.
// Definition: nms.py.
#pragma once
#include "cuda/kernels.h"

__device__ inline float area(const Box& box) { return fmaxf(box.x1 - box.x0, 0) * fmaxf(box.y1 - box.y0, 0); }

// Empty boxes overlap nothing.
__device__ inline float iou(const Box& a, const Box& b) {
    const float width = fmaxf(fminf(a.x1, b.x1) - fmaxf(a.x0, b.x0), 0);
    const float height = fmaxf(fminf(a.y1, b.y1) - fmaxf(a.y0, b.y0), 0);
    const float shared = width * height, total = area(a) + area(b) - shared;
    return total > 0 ? shared / total : 0;
}

__device__ inline bool beats(const Box& a, const Box& b) {
    return a.score > b.score || (a.score == b.score && a.order < b.order);
}

// One thread per candidate counts those that beat it: that is its place, and the same on every run.
// Grid: the detector's anchors. ordered (MAX_CANDIDATES).
KERNEL rank(const Counters* counters, const Box* candidates, Box* ordered) {
    const int i = blockIdx.x * blockDim.x + threadIdx.x, n = counters->found;
    if (i >= n) return;
    const Box own = candidates[i];
    int place = 0;
    for (int j = 0; j < n && place < MAX_CANDIDATES; j++) place += beats(candidates[j], own);
    if (place < MAX_CANDIDATES) ordered[place] = own;
}

// The mean edges, by score, of the boxes of its class that overlap it enough; in double, so that no order of adding shows.
__device__ inline Box voted(const Box& own, const Box* boxes, int count, float vote_iou) {
    Box mean = own;
    double x0 = 0, y0 = 0, x1 = 0, y1 = 0, total = 0;
    for (int j = 0; j < count; j++) {
        const Box& other = boxes[j];
        if (other.label != own.label || iou(own, other) < vote_iou) continue;
        x0 += double(other.score) * other.x0;
        y0 += double(other.score) * other.y0;
        x1 += double(other.score) * other.x1;
        y1 += double(other.score) * other.y1;
        total += other.score;
    }
    if (total > 0) {
        mean.x0 = float(x0 / total);
        mean.y0 = float(y0 / total);
        mean.x1 = float(x1 / total);
        mean.y1 = float(y1 / total);
    }
    return mean;
}

// One block. kept (MAX_CANDIDATES), best first.
KERNEL nms(const HeadLayout* heads, Counters* counters, const Box* ordered, Box* kept) {
    const int WORDS = (MAX_CANDIDATES + 31) / 32;
    __shared__ unsigned rival[MAX_CANDIDATES][WORDS];  // bit j of row i: i suppresses j
    __shared__ unsigned alive[WORDS];
    const int n = counters->found < MAX_CANDIDATES ? counters->found : MAX_CANDIDATES;
    for (int i = threadIdx.x; i < n; i += blockDim.x) {
        for (int word = 0; word < WORDS; word++) {
            unsigned bits = 0;
            for (int j = 32 * word; j < 32 * word + 32 && j < n; j++)
                if (j > i && ordered[i].label == ordered[j].label && iou(ordered[i], ordered[j]) > heads->nms_iou) bits |= 1u << (j & 31);
            rival[i][word] = bits;
        }
    }
    for (int word = threadIdx.x; word < WORDS; word += blockDim.x) alive[word] = ~0u;
    __syncthreads();
    if (threadIdx.x == 0)
        for (int i = 0; i < n; i++)
            if (alive[i >> 5] >> (i & 31) & 1)
                for (int word = i >> 5; word < WORDS; word++) alive[word] &= ~rival[i][word];
    __syncthreads();
    for (int i = threadIdx.x; i < n; i += blockDim.x) {
        if (!(alive[i >> 5] >> (i & 31) & 1)) continue;
        int place = 0;
        for (int j = 0; j < i; j++) place += alive[j >> 5] >> (j & 31) & 1;
        kept[place] = voted(ordered[i], ordered, n, heads->vote_iou);
        atomicAdd(&counters->kept, 1);
    }
}
