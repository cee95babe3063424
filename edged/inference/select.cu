// Which boxes are posed, in px of the frame, and by which pose model. Definition: select.py.
#pragma once
#include "decode/nms.cu"

const float PRIOR_IOU = 0.5f, PRIOR_WEIGHT = 1.5f;  // as in select.py

__device__ inline float within(float at, float length) { return fminf(fmaxf(at, 0), length); }

// Letterbox.to_image, clipped to the region, then moved into the frame.
__device__ inline Box in_frame(const FrameParams& params, Box box) {
    box.x0 = within((box.x0 - params.fit_x) / params.fit_scale, params.roi_w) + params.roi_x;
    box.y0 = within((box.y0 - params.fit_y) / params.fit_scale, params.roi_h) + params.roi_y;
    box.x1 = within((box.x1 - params.fit_x) / params.fit_scale, params.roi_w) + params.roi_x;
    box.y1 = within((box.y1 - params.fit_y) / params.fit_scale, params.roi_h) + params.roi_y;
    return box;
}

// Wholly outside the region.
__device__ inline bool is_empty(const Box& box) { return box.x1 <= box.x0 || box.y1 <= box.y0; }

__device__ inline bool is_near_prior(const FrameParams& params, const Box& box) {
    bool near = false;
    for (int k = 0; k < params.prior_count; k++)
        near |= params.priors[k].label == box.label && iou(box, params.priors[k]) >= PRIOR_IOU;
    return near;
}

__device__ inline float rank_of(const FrameParams& params, const Box& box, bool near) {
    if (params.pick == SCORE) return box.score;
    float value;
    if (params.pick == LARGEST) {
        value = (box.x1 - box.x0) * (box.y1 - box.y0);
    } else {
        const float dx = (box.x0 + box.x1) / 2 - (params.roi_x + params.roi_x + params.roi_w) / 2.0f;
        const float dy = (box.y0 + box.y1) / 2 - (params.roi_y + params.roi_y + params.roi_h) / 2.0f;
        value = 1 / (1 + hypotf(dx, dy));
    }
    return near ? value * PRIOR_WEIGHT : value;
}

// One block. selected (MAX_SUBJECTS) in frame px; rows (MAX_MODELS, MAX_SUBJECTS): the selected boxes of each pose model.
KERNEL select_detections(const FrameParams* params, Counters* counters, const Box* kept, Box* selected, int* rows) {
    __shared__ Box box[MAX_CANDIDATES];
    __shared__ bool wanted[MAX_CANDIDATES];
    __shared__ float value[MAX_CANDIDATES];
    __shared__ int count;
    if (threadIdx.x == 0) count = 0;
    __syncthreads();
    const bool detect = params->detect;
    const int n = detect ? counters->kept : params->prior_count, first = threadIdx.x, step = blockDim.x;
    for (int i = first; i < n; i += step) {
        box[i] = detect ? in_frame(*params, kept[i]) : params->priors[i];
        const bool near = detect && is_near_prior(*params, box[i]);
        wanted[i] = !detect || (!is_empty(box[i]) && (near || box[i].score >= params->threshold[box[i].label]));
        value[i] = rank_of(*params, box[i], near);
        if (wanted[i]) atomicAdd(&count, 1);
    }
    __syncthreads();
    const bool crowded = detect && count > params->max_subjects;
    for (int i = first; i < n; i += step) {
        if (!wanted[i]) continue;
        int place = 0;
        for (int j = 0; j < n; j++)
            place += wanted[j] && (crowded ? value[j] > value[i] || (value[j] == value[i] && j < i) : j < i);
        if (!crowded || place < params->max_subjects) selected[place] = box[i];
    }
    __syncthreads();
    const int taken = crowded ? params->max_subjects : count;
    for (int i = first; i < taken; i += step) {
        const int model = params->model_of[selected[i].label];
        if (model < 0) continue;
        int place = 0;
        for (int j = 0; j < i; j++) place += params->model_of[selected[j].label] == model;
        rows[model * MAX_SUBJECTS + place] = i;
        atomicAdd(&counters->rows[model], 1);
    }
    if (first == 0) counters->selected = taken;
}
