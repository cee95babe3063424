#!/bin/sh
# torch 2.13.0, torch.onnx.export: some functions become others, and neither exporter says so. Both leave out
# avg_pool2d's divisor_override. The new one (dynamo=True) keeps the last of the values that scatter_reduce should take
# the mean of. The old one (dynamo=False) keeps the last of the rows that index_put(accumulate=True) should add to one
# place, rounds integer // towards zero, leaves out the threshold of softplus, and makes NaN of atan2(0, 0), which is
# what the direction of a gradient, or of a flow, is wherever the image is flat.
#
# Seen (torch, and ONNX Runtime 1.32.0 with the exported model):
#   new, avg_pool2d of four ones, divisor_override=1: [4.0], [1.0]
#   old, avg_pool2d of four ones, divisor_override=1: [4.0], [1.0]
#   new, scatter_reduce, mean of 2 and 4: [3.0], [4.0]
#   old, index_put, 2 and 4 added to 0: [6.0], [4.0]
#   old, -7 // 2: [-4], [-3]
#   old, softplus of 2, threshold=1: [2.0], [2.13]
#   old, atan2(0, 0): [0.0], [nan]
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check torch==2.13.0 onnxscript==0.7.2 onnxruntime==1.32.0 \
    onnx==1.23.2 numpy==2.4.6
"$folder/venv/bin/python" - 2>"$folder/notes" <<'PYTHON' || { cat "$folder/notes"; exit 1; }
import io

import onnxruntime
import torch
import torch.nn.functional as F

ones, pair, zero = torch.ones(1, 1, 2, 2), torch.tensor([2.0, 4.0]), torch.zeros(1)
place = torch.tensor([0, 0])


def pool(x):
    return F.avg_pool2d(x, 2, divisor_override=1)


def mean(x):
    return torch.zeros(1).scatter_reduce(0, place, x, "mean", include_self=False)


def add(x):
    return torch.zeros(1).index_put((place,), x, accumulate=True)


def both(function, inputs, new):
    class Model(torch.nn.Module):
        def forward(self, *values):
            return function(*values)

    file = io.BytesIO()
    exported = torch.onnx.export(Model().eval(), inputs, None if new else file, dynamo=new, verbose=False)
    data = exported.model_proto.SerializeToString() if new else file.getvalue()
    session = onnxruntime.InferenceSession(data, providers=["CPUExecutionProvider"])
    feeds = {entry.name: value.numpy() for entry, value in zip(session.get_inputs(), inputs, strict=True)}
    answers = function(*inputs).numpy(), session.run(None, feeds)[0]
    return [[round(value, 2) for value in answer.ravel().tolist()] for answer in answers]


for what, function, inputs, new, wanted in (
    ("avg_pool2d of four ones, divisor_override=1", pool, (ones,), True, "[4.0], [1.0]"),
    ("avg_pool2d of four ones, divisor_override=1", pool, (ones,), False, "[4.0], [1.0]"),
    ("scatter_reduce, mean of 2 and 4", mean, (pair,), True, "[3.0], [4.0]"),
    ("index_put, 2 and 4 added to 0", add, (pair,), False, "[6.0], [4.0]"),
    ("-7 // 2", lambda x: x // 2, (torch.tensor([-7]),), False, "[-4], [-3]"),
    ("softplus of 2, threshold=1", lambda x: F.softplus(x, threshold=1), (torch.tensor([2.0]),), False, "[2.0], [2.13]"),
    ("atan2(0, 0)", torch.atan2, (zero, zero), False, "[0.0], [nan]"),
):
    found = ", ".join(map(str, both(function, inputs, new)))
    print(f"{'new' if new else 'old'}, {what}: {found}")
    assert found == wanted, found
PYTHON
