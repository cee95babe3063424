#!/bin/sh
# TrackEval 1.3.0, CLEAR: Frag is to count how often a subject that was followed is lost and found again. A frame in
# which the tracker reports nothing is passed over before "followed in the frame before" is brought up to date, so a gap
# counts only if something else is reported in it, another subject or a false alarm: with one subject in view, as in a
# stall, Frag is 0 however often the track breaks. And where the ground truth itself leaves the view and comes back,
# that is one more, so that a result equal to the ground truth has fragments as soon as somebody else is in view.
# py-motmetrics 1.4.0 has what one would expect. MOTA is the same in both.
#
# Seen (60 frames; fragments by TrackEval and by py-motmetrics; MOTA of both):
#   lost in 10-14, 25-29 and 40-44, nothing else reported: 0, 3; 0.75
#   the same, a false alarm in frame 12: 1, 3; 0.73
#   the same, a false alarm in frames 12, 27 and 42: 3, 3; 0.70
#   two subjects, one out of view in 10-14, the result equals the truth: 1, 0; 1.00
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check trackeval==1.3.0 motmetrics==1.4.0 pandas==3.1.1 \
    numpy==2.4.6 scipy==1.17.1
"$folder/venv/bin/python" -W ignore - <<'PYTHON'
import motmetrics
import numpy
from trackeval.metrics import CLEAR

FRAMES, LOST = range(60), {*range(10, 15), *range(25, 30), *range(40, 45)}


def evaluate(subjects, tracks):
    """Fragments by both and MOTA; of each frame the numbers in view, and the tracks, which lie exactly on theirs."""
    near = [numpy.equal.outer(seen, found) for seen, found in zip(subjects, tracks, strict=True)]
    clear = CLEAR({"PRINT_CONFIG": False}).eval_sequence({
        "num_timesteps": len(FRAMES),
        "num_gt_ids": len(set(sum(subjects, []))),
        "num_tracker_ids": len(set(sum(tracks, []))),
        "num_gt_dets": sum(map(len, subjects)),
        "num_tracker_dets": sum(map(len, tracks)),
        "gt_ids": [numpy.array(row, int) for row in subjects],
        "tracker_ids": [numpy.array(row, int) for row in tracks],
        "similarity_scores": [on.reshape(len(a), len(b)) * 1.0 for on, a, b in zip(near, subjects, tracks, strict=True)],
    })
    events = motmetrics.MOTAccumulator(auto_id=True)
    for seen, found, on in zip(subjects, tracks, near, strict=True):
        events.update(seen, found, numpy.where(on, 0.0, numpy.nan))
    other = motmetrics.metrics.create().compute(events, metrics=["num_fragmentations", "mota"]).iloc[0]
    assert abs(other.mota - clear["MOTA"]) < 1e-9, (other, clear)
    return f"{clear['Frag']:.0f}, {other.num_fragmentations:.0f}; {clear['MOTA']:.2f}"


def alarmed(frames):
    return [[0] * (frame not in LOST) + [1] * (frame in frames) for frame in FRAMES]


alone = [[0] for _ in FRAMES]
out = [[0] * (not 10 <= frame < 15) + [1] for frame in FRAMES]
for what, subjects, tracks, wanted in (
    ("lost in 10-14, 25-29 and 40-44, nothing else reported", alone, alarmed(()), "0, 3; 0.75"),
    ("the same, a false alarm in frame 12", alone, alarmed((12,)), "1, 3; 0.73"),
    ("the same, a false alarm in frames 12, 27 and 42", alone, alarmed((12, 27, 42)), "3, 3; 0.70"),
    ("two subjects, one out of view in 10-14, the result equals the truth", out, out, "1, 0; 1.00"),
):
    found = evaluate(subjects, tracks)
    print(f"{what}: {found}")
    assert found == wanted, found
PYTHON
