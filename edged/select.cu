// Which boxes are worth a pose, in px of the frame, and which pose model's they are. Definition: select.py.
#pragma once
#include "decode/nms.cu"

const float FAINTEST = 0.18f, SAME = 0.5f, INCUMBENT = 1.5f;  // as in select.py

// Letterbox.to_image, then from the part looked at to the frame.
__device__ inline Box in_frame(const Look& look, Box box) {
    box.x0 = (box.x0 - look.fit_x) / look.fit_scale + look.roi_x;
    box.y0 = (box.y0 - look.fit_y) / look.fit_scale + look.roi_y;
    box.x1 = (box.x1 - look.fit_x) / look.fit_scale + look.roi_x;
    box.y1 = (box.y1 - look.fit_y) / look.fit_scale + look.roi_y;
    return box;
}

// Of n boxes the one that shows a known subject: the first of those that fit best; -1: none does.
__device__ inline int showing(const Box& known, const Box* boxes, int n) {
    int best = -1;
    float most = 0;
    for (int i = 0; i < n; i++) {
        const float shared = boxes[i].label == known.label && boxes[i].score >= FAINTEST ? iou(boxes[i], known) : 0;
        if (shared > most) best = i, most = shared;
    }
    return most >= SAME ? best : -1;
}

__device__ inline float rank_of(const Look& look, const Box& box, bool known) {
    if (look.pick == SCORE) return box.score;
    float value;
    if (look.pick == LARGEST) {
        value = (box.x1 - box.x0) * (box.y1 - box.y0);
    } else {
        const float dx = (box.x0 + box.x1) / 2 - (look.roi_x + look.roi_x + look.roi_w) / 2.0f;
        const float dy = (box.y0 + box.y1) / 2 - (look.roi_y + look.roi_y + look.roi_h) / 2.0f;
        value = 1 / (1 + hypotf(dx, dy));
    }
    return known ? value * INCUMBENT : value;
}

// One block. chosen (SUBJECTS) in frame px; rows (MODELS, SUBJECTS): which of them each pose model poses.
KERNEL best(const Look* look, Tally* tally, const Box* kept, Box* chosen, int* rows) {
    __shared__ Box box[CANDIDATES];
    __shared__ bool met[CANDIDATES], wanted[CANDIDATES];
    __shared__ float value[CANDIDATES];
    __shared__ int count;
    if (threadIdx.x == 0) count = 0;
    __syncthreads();
    const int n = look->detect ? tally->kept : look->known_count;
    for (int i = threadIdx.x; i < n; i += blockDim.x) {
        box[i] = look->detect ? in_frame(*look, kept[i]) : look->known[i];
        met[i] = false;
    }
    __syncthreads();
    for (int k = threadIdx.x; look->detect && k < look->known_count; k += blockDim.x) {
        const int shown = showing(look->known[k], box, n);
        if (shown >= 0) met[shown] = true;
    }
    __syncthreads();
    for (int i = threadIdx.x; i < n; i += blockDim.x) {
        wanted[i] = !look->detect || met[i] || box[i].score >= look->sure[box[i].label];
        value[i] = rank_of(*look, box[i], met[i]);
        if (wanted[i]) atomicAdd(&count, 1);
    }
    __syncthreads();
    const bool crowded = look->detect && count > look->limit;
    for (int i = threadIdx.x; i < n; i += blockDim.x) {
        if (!wanted[i]) continue;
        int place = 0;
        for (int j = 0; j < n; j++)
            place += wanted[j] && (crowded ? value[j] > value[i] || (value[j] == value[i] && j < i) : j < i);
        if (!crowded || place < look->limit) chosen[place] = box[i];
    }
    __syncthreads();
    const int taken = crowded ? look->limit : count;
    for (int i = threadIdx.x; i < taken; i += blockDim.x) {
        const int model = look->model_of[chosen[i].label];
        if (model < 0) continue;
        int place = 0;
        for (int j = 0; j < i; j++) place += look->model_of[chosen[j].label] == model;
        rows[model * SUBJECTS + place] = i;
        atomicAdd(&tally->rows[model], 1);
    }
    if (threadIdx.x == 0) tally->chosen = taken;
}
