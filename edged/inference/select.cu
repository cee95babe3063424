// Which boxes are worth a pose, in px of the frame, and which pose model's they are. Definition: select.py.
#pragma once
#include "decode/nms.cu"

// As in select.py.
const float FAINT = 0.5f, FAINTEST = 0.18f, SAME = 0.5f, NEAR = 0.2f, BESIDE = 0.5f, EDGE = 0.015f, MISSED = 0,
            INCUMBENT = 1.5f;

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

__device__ inline bool is_hint(const Look& look, const Box& box) {
    return box.score < fmaxf(FAINT * look.sure[box.label], FAINTEST);
}

// Of the able ones among n boxes the one that shows a known subject: the first of those that fit best; -1: none does.
__device__ inline int showing(const Box& known, const Box* boxes, const bool* able, int n, float least) {
    int best = -1;
    float most = 0;
    for (int i = 0; i < n; i++) {
        const float shared = able[i] && boxes[i].label == known.label ? iou(boxes[i], known) : 0;
        if (shared > most) best = i, most = shared;
    }
    return most >= least ? best : -1;
}

__device__ inline bool is_leaving(const Look& look, const Box& box) {
    const float margin = EDGE * look.roi_w;
    return box.x0 <= look.roi_x + margin || box.x1 >= look.roi_x + look.roi_w - margin;
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
    __shared__ bool able[CANDIDATES], met[CANDIDATES], wanted[CANDIDATES], hint[CANDIDATES], pointing[CANDIDATES];
    __shared__ float value[CANDIDATES];
    __shared__ int count, hints;
    if (threadIdx.x == 0) count = hints = 0;
    const bool detect = look->detect;
    const int n = detect ? tally->kept : look->known_count, first = threadIdx.x, step = blockDim.x;
    for (int i = first; i < n; i += step) {
        box[i] = detect ? in_frame(*look, kept[i]) : look->known[i];
        able[i] = !is_hint(*look, box[i]);
        met[i] = pointing[i] = false;
    }
    __syncthreads();
    for (int k = first; detect && k < look->known_count; k += step) {
        if (!(look->known[k].score > MISSED)) continue;
        const int shown = showing(look->known[k], box, able, n, SAME);
        if (shown >= 0) met[shown] = true;
    }
    __syncthreads();
    for (int i = first; i < n; i += step) {
        const bool sure = box[i].score >= look->sure[box[i].label] && !is_empty(box[i]);
        wanted[i] = !detect || met[i] || sure;
        value[i] = rank_of(*look, box[i], met[i]);
        if (wanted[i]) atomicAdd(&count, 1);
    }
    __syncthreads();
    const bool crowded = detect && count > look->limit, bridging = detect && look->bridge && !crowded;
    for (int i = first; bridging && i < n; i += step) {  // what might be a known subject that nothing else shows
        hint[i] = !wanted[i] && !is_leaving(*look, box[i]);
        for (int j = 0; hint[i] && j < n; j++) hint[i] = !wanted[j] || iou(box[i], box[j]) < BESIDE;
    }
    __syncthreads();
    for (int k = first; bridging && k < look->known_count; k += step) {
        if (is_leaving(*look, look->known[k]) || showing(look->known[k], box, wanted, n, SAME) >= 0) continue;
        const int shown = showing(look->known[k], box, hint, n, NEAR);
        if (shown >= 0) pointing[shown] = true;
    }
    __syncthreads();
    const int room = look->limit - count;
    for (int i = first; i < n; i += step) {
        if (!wanted[i] && !pointing[i]) continue;
        int place = 0;
        if (!wanted[i]) {  // hints come last, as they were found
            for (int j = 0; j < i; j++) place += pointing[j];
            if (place >= room) continue;
            place += count;
            atomicAdd(&hints, 1);
        } else {
            for (int j = 0; j < n; j++)
                place += wanted[j] && (crowded ? value[j] > value[i] || (value[j] == value[i] && j < i) : j < i);
            if (crowded && place >= look->limit) continue;
        }
        chosen[place] = box[i];
    }
    __syncthreads();
    const int taken = crowded ? look->limit : count + hints;
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
