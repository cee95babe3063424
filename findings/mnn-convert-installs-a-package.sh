#!/bin/sh
# MNN 3.6.1: the command mnnconvert, before it reads a model, runs `pip install -U aliyun-log-python-sdk` if Python
# cannot import that. It takes the first pip in PATH, which need not be that of its own environment: from a virtual one
# that is not activated the package and nine others went into the system's Python (here a pip that only writes down what
# it is asked for stands there). It is for statistics: by MNN/tools/utils/log.py the machine's id, the arguments and the
# sizes of the model are sent to the maker after each conversion. Without it the model is converted all the same; so an
# image that is built without a network, or must be the same tomorrow, should have no pip in PATH, or a pinned one.
#
# Seen:
#   asked of pip: install -U aliyun-log-python-sdk
#   without it: Converted Success!
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check MNN==3.6.1 onnx==1.23.2 numpy==2.4.6
cd "$folder"
venv/bin/python - <<'PYTHON'
import onnx
from onnx import helper

values = [helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, [1, 4]) for name in ("x", "y")]
graph = helper.make_graph([helper.make_node("Relu", ["x"], ["y"])], "graph", values[:1], values[1:])
onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=10), "model.onnx")
PYTHON
mkdir commands
# A pip that installs nothing; so nothing is imported later on, and nothing is sent.
printf '#!/bin/sh\necho "$@" >>%s/asked\nexit 1\n' "$folder" >commands/pip
chmod +x commands/pip
PATH="$folder/commands:$PATH" venv/bin/mnnconvert -f ONNX --modelFile model.onnx --MNNModel model.mnn --bizCode MNN \
    >notes 2>&1
echo "asked of pip: $(sort -u asked)"
echo "without it: $(grep --only-matching 'Converted Success!' notes)"
test "$(sort -u asked)" = "install -U aliyun-log-python-sdk"
test -s model.mnn
