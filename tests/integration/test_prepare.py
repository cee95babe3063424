"""Models prepared for TensorRT: the same bytes every time, one type per node, and as good as before."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("onnx", reason="needs onnx; install edged[dev]")
pytest.importorskip("onnxruntime", reason="needs ONNX Runtime; install edged[cpu]")

import numpy as np
import onnx
import onnxruntime as ort

from edged.inference.cpu.onnxruntime import OnnxRunner
from edged.inference.decode import ALL_DECODERS
from engines.card import Card
from engines.catalogue import load
from engines.errors import BuildFailed, CardError
from engines.golden import golden_inputs
from engines.prepare import prepare
from engines.prepare.graph import fold
from engines.prepare.model import BATCH_AXIS, Batch, PreparedModel
from engines.store.model_store import ModelStore
from engines.verify.selftest import selftest
from tests.support.int8 import with_int8

CARDS = load(None)
BUNDLED = [name for name, card in CARDS.items() if card.source.bundled]


def made(name: str, batch: Batch = 1, **options: Any) -> PreparedModel:
    card = CARDS[name]
    return prepare(card, ModelStore(Path("absent")).path(card).read_bytes(), batch=batch, **options)


@pytest.mark.parametrize("name", BUNDLED)
def test_same_model_gives_the_same_bytes(name: str) -> None:
    assert made(name).onnx == made(name).onnx


@pytest.mark.parametrize("name", BUNDLED)
def test_fp16_is_as_good_as_fp32_on_the_golden_input(name: str) -> None:
    half, whole = made(name), made(name, precision="fp32", io="fp32")
    proof = selftest(CARDS[name], OnnxRunner(half.onnx), OnnxRunner(whole.onnx), ALL_DECODERS.get(half.family))
    assert proof.passed, proof.faults
    assert len(half.onnx) < 0.6 * len(whole.onnx)


@pytest.mark.parametrize("batch", [1, (1, 4, 8)])
@pytest.mark.parametrize("name", BUNDLED)
def test_no_node_mixes_types(name: str, batch: Batch) -> None:
    model = onnx.load_model_from_string(made(name, batch).onnx)
    graph = onnx.shape_inference.infer_shapes(model, strict_mode=True).graph
    kinds = {v.name: v.type.tensor_type.elem_type for v in (*graph.value_info, *graph.input, *graph.output)}
    kinds |= {weight.name: weight.data_type for weight in graph.initializer}
    floats = {onnx.TensorProto.FLOAT, onnx.TensorProto.FLOAT16}
    mixed = [
        node.name
        for node in graph.node
        if node.op_type not in ("Cast", "Resize") and len({kinds.get(name) for name in node.input} & floats) > 1
    ]
    assert mixed == []


def test_fixed_batch_is_in_every_tensor_and_dynamic_batch_is_open() -> None:
    fixed, open_ = made("rtmpose-t-lsp14", 4), made("rtmpose-t-lsp14", (1, 4, 8))
    assert [tensor.shape[0] for tensor in (*fixed.inputs, *fixed.outputs)] == [4, 4, 4]
    assert [tensor.shape[0] for tensor in (*open_.inputs, *open_.outputs)] == [None, None, None]


def test_reductions_stay_in_fp32_and_so_do_the_peaks() -> None:
    pose = made("rtmpose-t-lsp14")
    assert any("ReduceL2" in name for name in pose.islands)
    assert ({tensor.dtype for tensor in pose.inputs}, {tensor.dtype for tensor in pose.outputs}) == (
        {"float16"},
        {"float32"},
    )


def quantised() -> bytes:
    """The starter's pose model with one weight in INT8, as a quantiser writes it."""
    model = onnx.load_model_from_string(ModelStore(Path("absent")).path(CARDS["rtmpose-t-lsp14"]).read_bytes())
    weight = next(one for one in model.graph.initializer if len(one.dims) == 4)
    values = onnx.numpy_helper.to_array(weight)
    int8 = onnx.numpy_helper.from_array(np.clip(values * 50, -127, 127).astype(np.int8), "w8")
    scale = onnx.numpy_helper.from_array(np.array(0.02, np.float32), "w8_scale")
    model.graph.node.insert(0, onnx.helper.make_node("DequantizeLinear", ["w8", "w8_scale"], [weight.name]))
    model.graph.initializer.remove(weight)
    model.graph.initializer.extend([int8, scale])
    return bytes(model.SerializeToString())


def test_all_outputs_are_of_one_type_where_an_island_has_one_of_them() -> None:
    card = CARDS["rtmpose-t-lsp14"].model_copy(update={"fp32": ("/score_1/",)})
    half = prepare(card, ModelStore(Path("absent")).path(card).read_bytes(), batch=1)
    graph = onnx.load_model_from_string(half.onnx).graph
    assert [value.type.tensor_type.elem_type for value in graph.output] == [onnx.TensorProto.FLOAT] * 2


def test_quantised_model_is_no_model_for_an_engine() -> None:
    with pytest.raises(CardError, match=r"is quantised \(DequantizeLinear\): ONNX Runtime runs it"):
        prepare(CARDS["rtmpose-t-lsp14"], quantised(), batch=1)


def lsp(change: Callable[[onnx.ModelProto], None]) -> bytes:
    """The starter's pose model of people, changed."""
    model = onnx.load_model_from_string(ModelStore(Path("absent")).path(CARDS["rtmpose-t-lsp14"]).read_bytes())
    change(model)
    return bytes(model.SerializeToString())


def in_fp16_inside(model: onnx.ModelProto) -> None:
    weight = next(one for one in model.graph.initializer if one.data_type == onnx.TensorProto.FLOAT)
    values = onnx.numpy_helper.to_array(weight).astype(np.float16)
    weight.CopyFrom(onnx.numpy_helper.from_array(values, weight.name))


def casting(model: onnx.ModelProto) -> None:
    name = model.graph.input[0].name
    nodes = [
        onnx.helper.make_node("Cast", [name], ["half"], to=onnx.TensorProto.FLOAT16),
        onnx.helper.make_node("Cast", ["half"], ["back"], to=onnx.TensorProto.FLOAT),
    ]
    for node in model.graph.node:
        node.input[:] = ["back" if one == name else one for one in node.input]
    for node in reversed(nodes):
        model.graph.node.insert(0, node)


@pytest.mark.parametrize("change", [in_fp16_inside, casting])
def test_model_that_is_not_fp32_throughout_is_no_model_for_an_engine(
    change: Callable[[onnx.ModelProto], None],
) -> None:
    with pytest.raises(CardError, match=r"computes in float16 in places.*export the model in FP32"):
        prepare(CARDS["rtmpose-t-lsp14"], lsp(change), batch=1)


def test_int8_has_no_zero_points_weights_per_channel_and_fp32_biases() -> None:
    data = lsp(lambda model: None)
    card = with_int8(CARDS["rtmpose-t-lsp14"], data)
    made_int8 = prepare(card, data, batch=1, precision="int8")
    model = onnx.load_model_from_string(made_int8.onnx)
    onnx.checker.check_model(model, full_check=True)
    weights = {weight.name: onnx.numpy_helper.to_array(weight) for weight in model.graph.initializer}
    makers = {name: node for node in model.graph.node for name in node.output}
    convolutions = [node for node in model.graph.node if node.op_type == "Conv"]
    for node in convolutions:
        assert makers[makers[node.input[0]].input[0]].op_type == "QuantizeLinear"
        int8, scale, zero = (weights[name] for name in makers[node.input[1]].input)
        assert int8.dtype == np.int8
        assert np.abs(int8).max() <= 63
        assert scale.shape == int8.shape[:1]
        assert not zero.any()
        assert all(weights[name].dtype == np.float32 for name in node.input[2:])
    assert (len(convolutions), made_int8.islands) == (38, ())
    assert len(made_int8.onnx) < 0.5 * len(made("rtmpose-t-lsp14", precision="fp32", io="fp32").onnx)


def test_int8_leaves_out_what_its_card_names_and_computes_nearly_the_same() -> None:
    data = lsp(lambda model: None)
    name = next(node.name for node in onnx.load_model_from_string(data).graph.node if node.op_type == "Conv")
    card = with_int8(CARDS["rtmpose-t-lsp14"], data, fp32=(name,))
    quantised, whole = (prepare(card, data, batch=1, precision=kind, io="fp32") for kind in ("int8", "fp32"))
    assert quantised.islands == (name,)
    tensor = golden_inputs(card)[1]
    found, wanted = (OnnxRunner(model.onnx).run(tensor)[0] for model in (quantised, whole))
    assert 0 < np.abs(found - wanted).mean() < 0.3 * np.abs(wanted).mean()


@pytest.mark.parametrize(
    ("card", "error"),
    [
        (CARDS["rtmpose-t-lsp14"].model_copy(update={"int8": None}), "its card has no INT8; want one of fp16, fp32"),
        (
            with_int8(CARDS["rtmpose-t-lsp14"], b""),
            "measured on e3b0c442.*other weights have other ranges",
        ),
    ],
    ids=["no ranges", "other weights"],
)
def test_int8_wants_ranges_of_this_very_file(card: Card, error: str) -> None:
    with pytest.raises(CardError, match=error):
        prepare(card, lsp(lambda model: None), batch=1, precision="int8")


def test_int8_raises_an_old_opset_to_the_one_with_scales_per_channel() -> None:
    text = """<ir_version: 6, opset_import: ["" : 11]> net (float[n, 3, 256, 192] input) => (float[n, 1, 4, 256, 192] y)
        <float[4, 3, 1, 1] kernel = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12}>
        { x = Conv(input, kernel) y = Unsqueeze<axes = [1]>(x) }"""
    data = bytes(onnx.parser.parse_model(text).SerializeToString())
    card = with_int8(CARDS["rtmpose-t-lsp14"], data)
    quantised, whole = (prepare(card, data, batch=1, precision=kind, io="fp32") for kind in ("int8", "fp32"))
    model = onnx.load_model_from_string(quantised.onnx)
    onnx.checker.check_model(model, full_check=True)
    assert (model.opset_import[0].version, [node.op_type for node in model.graph.node][-1]) == (13, "Unsqueeze")
    found, wanted = (OnnxRunner(one.onnx).run(golden_inputs(card)[1])[0] for one in (quantised, whole))
    assert found.shape == (1, 1, 4, 256, 192)
    assert np.abs(found - wanted).mean() < 0.1 * np.abs(wanted).mean()


def test_operator_that_onnx_does_not_know_is_an_error_of_the_model() -> None:
    model = onnx.load_model_from_string(ModelStore(Path("absent")).path(CARDS["rtmpose-t-lsp14"]).read_bytes())
    weight = model.graph.initializer[0].name
    model.graph.node.insert(0, onnx.helper.make_node("NoSuchOperator", [weight], ["made"]))
    model.graph.node.append(onnx.helper.make_node("Identity", ["made"], ["more"]))
    model.graph.output.append(onnx.helper.make_tensor_value_info("more", onnx.TensorProto.FLOAT, None))
    with pytest.raises(CardError, match="rtmpose-t-lsp14: cannot be prepared for an engine"):
        prepare(CARDS["rtmpose-t-lsp14"], model.SerializeToString(), batch=1)


def folded(graph: str, opset: int) -> onnx.GraphProto:
    model = onnx.parser.parse_model(f'<ir_version: 8, opset_import: ["" : {opset}]> {graph}')
    fold(model)
    return model.graph


def test_constants_are_weights_whatever_attribute_holds_them() -> None:
    graph = folded(
        """g (float[1,8] x) => (float[a,b] y) {
        shape = Constant<value_ints = [2, 4]>() long = Reshape(x, shape)
        two = Constant<value_float = 2.0>() y = Mul(long, two) }""",
        17,
    )
    weights = {weight.name: onnx.numpy_helper.to_array(weight) for weight in graph.initializer}
    assert [node.op_type for node in graph.node] == ["Reshape", "Mul"]
    assert weights["shape"].tolist() == [2, 4]
    assert [weights[name].dtype.name for name in ("shape", "two")] == ["int64", "float32"]
    assert weights["two"].item() == 2


def test_what_the_reference_evaluator_computes_otherwise_is_not_folded() -> None:
    graph = folded(
        """g (float[1,3,4] x) => (float[1,3,4] y) {
        one = Constant<value = float[1,3,4] {1,1,1,1,1,1,1,1,1,1,1,1}>() share = Softmax(one) y = Mul(x, share) }""",
        11,  # over 3 and 4 together: a twelfth each
    )
    assert [node.op_type for node in graph.node] == ["Softmax", "Mul"]


@pytest.mark.parametrize(
    ("kind", "largest"), [(onnx.TensorProto.FLOAT, 1000.0), (onnx.TensorProto.FLOAT16, np.inf)], ids=["FP32", "FP16"]
)
def test_runner_rounds_where_the_graph_is_in_fp16(kind: int, largest: float) -> None:
    dtype = onnx.helper.tensor_dtype_to_np_dtype(kind)
    weights = [onnx.numpy_helper.from_array(np.array(value, dtype), f"w{value}") for value in (300, 1 / 300)]
    ends = [onnx.helper.make_tensor_value_info(name, kind, [1]) for name in ("x", "y")]
    nodes = [
        onnx.helper.make_node("Mul", ["x", weights[0].name], ["large"]),
        onnx.helper.make_node("Mul", ["large", weights[1].name], ["y"]),
    ]
    graph = onnx.helper.make_graph(nodes, "scales", ends[:1], ends[1:], weights)
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 17)], ir_version=9)
    typed = onnx.shape_inference.infer_shapes(model)
    assert OnnxRunner(typed.SerializeToString()).run(np.array([1000], np.float32))[0].tolist() == [
        pytest.approx(largest)
    ]


def test_prepared_model_that_onnx_runtime_refuses_is_a_failed_build() -> None:
    with pytest.raises(BuildFailed, match="ONNX Runtime refuses the prepared model"):
        OnnxRunner(b"no model")


def test_node_with_a_weight_beyond_fp16_stays_in_fp32() -> None:
    card = CARDS["rtmpose-t-lsp14"]
    model = onnx.load(str(ModelStore(Path("absent")).path(card)))
    weight = next(w for w in model.graph.initializer if len(w.dims) == 4)
    values = onnx.numpy_helper.to_array(weight).astype(np.float32)
    values.flat[0] = 1e6
    weight.CopyFrom(onnx.numpy_helper.from_array(values, weight.name))
    name = next(node.output[0] for node in model.graph.node if weight.name in node.input)  # stored in half precision
    user = next(node.name for node in model.graph.node if name in node.input)
    assert user in prepare(card, model.SerializeToString(), batch=1).islands


@pytest.mark.parametrize("data", [b"\x08", b"\xff" * 100, np.arange(50).tobytes()])
def test_file_that_is_not_onnx_is_named(data: bytes) -> None:
    with pytest.raises(CardError, match="rtmpose-t-lsp14"):
        prepare(CARDS["rtmpose-t-lsp14"], data, batch=1)


@pytest.mark.parametrize("name", BUNDLED)
def test_runtime_fixes_a_dynamic_batch_by_the_name_of_its_axis(name: str) -> None:
    options = ort.SessionOptions()
    options.add_free_dimension_override_by_name(BATCH_AXIS, 2)
    fixed = ort.InferenceSession(made(name, (1, 8, 8)).onnx, options, providers=["CPUExecutionProvider"])
    assert {tensor.shape[0] for tensor in (*fixed.get_inputs(), *fixed.get_outputs())} == {2}
