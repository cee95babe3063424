// Which boxes are worth a pose, in px of the frame, and which pose model's they are. Definition: select.py.
#pragma once
#include "decode/nms.cu"

const float PRIOR_IOU = 0.5f, PRIOR_WEIGHT = 1.5f;  // as in select.py

__device__ inline float within(float at, float length) { return fminf(fmaxf(at, 0), length); }

// Letterbox.to_image, cut at the edges of the part looked at, then from there to the frame.
__device__ inline Box in_frame(const Look& look, Box box) {
    box.x0 = within((box.x0 - look.fit_x) / look.fit_scale, look.roi_w) + look.roi_x;
    box.y0 = within((box.y0 - look.fit_y) / look.fit_scale, look.roi_h) + look.roi_y;
    box.x1 = within((box.x1 - look.fit_x) / look.fit_scale, look.roi_w) + look.roi_x;
    box.y1 = within((box.y1 - look.fit_y) / look.fit_scale, look.roi_h) + look.roi_y;
    return box;
}

// Wholly outside: nothing was left of it, and it overlaps nothing.
__device__ inline bool is_empty(const Box& box) { return box.x1 <= box.x0 || box.y1 <= box.y0; }

__device__ inline bool is_near_prior(const Look& look, const Box& box) {
    bool near = false;
    for (int k = 0; k < look.known_count; k++)
        near |= look.known[k].label == box.label && iou(box, look.known[k]) >= PRIOR_IOU;
    return near;
}

__device__ inline float rank_of(const Look& look, const Box& box, bool near) {
    if (look.pick == SCORE) return box.score;
    float value;
    if (look.pick == LARGEST) {
        value = (box.x1 - box.x0) * (box.y1 - box.y0);
    } else {
        const float dx = (box.x0 + box.x1) / 2 - (look.roi_x + look.roi_x + look.roi_w) / 2.0f;
        const float dy = (box.y0 + box.y1) / 2 - (look.roi_y + look.roi_y + look.roi_h) / 2.0f;
        value = 1 / (1 + hypotf(dx, dy));
    }
    return near ? value * PRIOR_WEIGHT : value;
}

// One block. chosen (SUBJECTS) in frame px; rows (MODELS, SUBJECTS): which of them each pose model poses.
KERNEL best(const Look* look, Tally* tally, const Box* kept, Box* chosen, int* rows) {
    __shared__ Box box[CANDIDATES];
    __shared__ bool wanted[CANDIDATES];
    __shared__ float value[CANDIDATES];
    __shared__ int count;
    if (threadIdx.x == 0) count = 0;
    __syncthreads();
    const bool detect = look->detect;
    const int n = detect ? tally->kept : look->known_count, first = threadIdx.x, step = blockDim.x;
    for (int i = first; i < n; i += step) {
        box[i] = detect ? in_frame(*look, kept[i]) : look->known[i];
        const bool near = detect && is_near_prior(*look, box[i]);
        wanted[i] = !detect || (!is_empty(box[i]) && (near || box[i].score >= look->sure[box[i].label]));
        value[i] = rank_of(*look, box[i], near);
        if (wanted[i]) atomicAdd(&count, 1);
    }
    __syncthreads();
    const bool crowded = detect && count > look->limit;
    for (int i = first; i < n; i += step) {
        if (!wanted[i]) continue;
        int place = 0;
        for (int j = 0; j < n; j++)
            place += wanted[j] && (crowded ? value[j] > value[i] || (value[j] == value[i] && j < i) : j < i);
        if (!crowded || place < look->limit) chosen[place] = box[i];
    }
    __syncthreads();
    const int taken = crowded ? look->limit : count;
    for (int i = first; i < taken; i += step) {
        const int model = look->model_of[chosen[i].label];
        if (model < 0) continue;
        int place = 0;
        for (int j = 0; j < i; j++) place += look->model_of[chosen[j].label] == model;
        rows[model * SUBJECTS + place] = i;
        atomicAdd(&tally->rows[model], 1);
    }
    if (first == 0) tally->chosen = taken;
}
