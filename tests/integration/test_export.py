"""Checkpoints of the published shapes load, and their ONNX equals the net. Random weights only."""

import hashlib
import io
import os
import pickle
import re
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest

torch = pytest.importorskip("torch", reason="needs torch, which only a workstation has")

from edged.inference.cpu.onnxruntime import OnnxRunner  # noqa: E402
from edged.inference.decode.heatmap3d import soft_argmax  # noqa: E402
from edged.inference.decode.simcc import simcc  # noqa: E402
from engines.card import Card  # noqa: E402
from engines.catalogue import load as catalogue  # noqa: E402
from engines.catalogue import read as read_card  # noqa: E402
from engines.golden import golden_inputs  # noqa: E402
from engines.prepare import prepare  # noqa: E402
from engines.verify.accuracy import accuracy_diff  # noqa: E402
from tools.export import __main__ as command  # noqa: E402
from tools.export import checkpoint  # noqa: E402
from tools.export.families import CONVNEXT, CheckpointError  # noqa: E402
from tools.export.onnx_file import Normalised, write  # noqa: E402
from tools.nets.convnextpose import ConvNeXtPose  # noqa: E402
from tools.nets.integral import Integral  # noqa: E402
from tools.nets.mobilehumanpose import LARGE, SMALL, MobileHumanPose  # noqa: E402
from tools.nets.rootnet import RootNet  # noqa: E402
from tools.nets.rtmdet import RtmDet  # noqa: E402
from tools.nets.rtmpose import RtmPose  # noqa: E402

WIDE, DEEP = CONVNEXT[48]
BODY, LARGER = (48, (384, 512)), (108, (576, 768))  # cells and bins of RTMPose's crops
CNX, MHP = "convnextpose", "mobilehumanpose"
NETS: dict[str, tuple[str, Callable[[], Any], int, int]] = {  # by card: family, make, keys, elements
    "convnextpose-xs": (CNX, lambda: ConvNeXtPose(*CONVNEXT[40], 128, 576, 32), 194, 3534140),
    "convnextpose-s": (CNX, lambda: ConvNeXtPose(WIDE, DEEP, 256, 576, 32), 260, 7448954),
    "convnextpose-m": (CNX, lambda: ConvNeXtPose(WIDE, DEEP, 256, 1152, 64), 260, 7596986),
    "convnextpose-l": (CNX, lambda: ConvNeXtPose(WIDE, DEEP, 512, 1152, 64), 260, 8391354),
    "own-convnextpose-s-muco": (CNX, lambda: ConvNeXtPose(WIDE, DEEP, 256, 672, 32), 260, 7473626),
    "rootnet": ("rootnet", RootNet, 340, 34052346),
    "mobilehumanpose": (MHP, lambda: MobileHumanPose(SMALL, 576), 397, 3541530),
    "mobilehumanpose-muco": (MHP, lambda: MobileHumanPose(SMALL, 672), 397, 3566202),
    "mobilehumanpose-large": (MHP, lambda: MobileHumanPose(LARGE, 1152), 397, 4114938),
    "integral-r50": ("integral", lambda: Integral(50, 1152), 338, 34346104),
    "integral-r152": ("integral", lambda: Integral(152, 1296), 950, 69117294),
    "own-rtmpose-t-body17": ("rtmpose", lambda: RtmPose(0.375, (1, 1, 1, 1), 17, *BODY), 218, 0),
    "own-rtmpose-s-halpe26": ("rtmpose", lambda: RtmPose(0.5, (1, 2, 2, 1), 26, *BODY), 254, 0),
    "own-rtmpose-m-ap10k": ("rtmpose", lambda: RtmPose(0.75, (2, 4, 4, 2), 17, 64, (512, 512)), 362, 0),
    "own-rtmpose-l-body17": ("rtmpose", lambda: RtmPose(1.0, (3, 6, 6, 3), 17, *BODY), 470, 0),
    "own-rtmpose-x-body17-384x288": ("rtmpose", lambda: RtmPose(1.25, (4, 8, 8, 4), 17, *LARGER), 578, 0),
    "own-rtmdet-nano-person": ("rtmdet", lambda: RtmDet(0.25, (1, 2, 2, 1), (1, 64), 1, light=True), 698, 0),
    "own-rtmdet-tiny-coco": ("rtmdet", lambda: RtmDet(0.375, (1, 1, 1, 1), (1, 96), 80, light=False), 476, 0),
    "own-rtmdet-m-person": ("rtmdet", lambda: RtmDet(0.75, (2, 4, 4, 2), (2, 192), 1, light=False), 692, 0),
    "rtmdet-m-coco": ("rtmdet", lambda: RtmDet(0.75, (2, 4, 4, 2), (2, 192), 80, light=False), 692, 0),
    "own-rtmdet-l-coco": ("rtmdet", lambda: RtmDet(1.0, (3, 6, 6, 3), (3, 256), 80, light=False), 872, 0),
}
WRITTEN = list(NETS)  # by the command; each takes seconds: a net of every kind unless EXPORTS=all
if os.environ.get("EXPORTS") != "all":
    WRITTEN = ["convnextpose-xs", "own-convnextpose-s-muco", "rootnet", "mobilehumanpose-large", "integral-r50"]
    WRITTEN += ["own-rtmpose-t-body17", "own-rtmdet-nano-person", "own-rtmdet-tiny-coco"]
PARAMETERS = {  # in millions, as published; heads that levels share are counted once
    "own-rtmpose-t-body17": 3.34,
    "own-rtmpose-m-ap10k": 13.62,
    "own-rtmpose-l-body17": 27.66,
    "own-rtmdet-nano-person": 0.994,
    "own-rtmdet-tiny-coco": 4.9,
    "rtmdet-m-coco": 24.71,
    "own-rtmdet-l-coco": 52.3,
}


def joints(name: str) -> int:
    return 21 if name.endswith("muco") else 18


def kept(name: str, folder: Path, *, old: bool = False) -> tuple[Path, dict[str, Any]]:
    """A checkpoint as its authors would have written it."""
    torch.manual_seed(1)
    state = NETS[name][1]().state_dict()
    named = {f"module.{k}": w for k, w in state.items() if not (old and k.endswith("num_batches_tracked"))}
    torch.save({"epoch": 1, "network": named}, folder / "x.pth.tar", _use_new_zipfile_serialization=not old)
    return folder / "x.pth.tar", state


@pytest.mark.parametrize("old", [False, True], ids=["zip", "old format"])
@pytest.mark.parametrize("name", NETS)
def test_checkpoint_of_the_published_shape_loads(name: str, old: bool, tmp_path: Path) -> None:
    family, _, keys, elements = NETS[name]
    path, state = kept(name, tmp_path, old=old)
    assert len(state) == keys
    assert not elements or sum(w.numel() for w in state.values()) == elements
    loaded = checkpoint.load(family, checkpoint.read(path), joints(name))
    assert name.removeprefix("own-") == loaded.name
    assert all(torch.equal(w, loaded.net.state_dict()[k]) for k, w in state.items())


@pytest.mark.parametrize("name", PARAMETERS)
def test_parameters_are_as_many_as_published(name: str) -> None:
    named = dict(NETS[name][1]().named_parameters())
    light = any("cls_convs.0.0.depthwise_conv" in key for key in named)
    again = [k for k in named if k.endswith(".conv.weight") and "_convs." in k and "bbox_head" in k and not light]
    shared = sum(named[k].numel() for k in again if ".0" not in k.split("_convs")[1][:2])
    count = sum(w.numel() for w in named.values()) - shared
    assert count / 1e6 == pytest.approx(PARAMETERS[name], rel=0.005)


def card_of(name: str, folder: Path) -> Card:
    """The one that was written, or else the catalogue's."""
    return read_card(folder / f"{name}.toml") if name.startswith("own-") else catalogue()[name]


@pytest.mark.parametrize("name", WRITTEN)
def test_exported_file_matches_its_card_and_the_net(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    family, make, *_ = NETS[name]
    path, state = kept(name, tmp_path)
    words = ["export", family, str(path), "--out", str(tmp_path), "--joints", str(joints(name))]
    monkeypatch.setattr("sys.argv", words)
    assert command.main() == 0
    out, file, card = capsys.readouterr().out, tmp_path / f"{name}.onnx", card_of(name, tmp_path)
    assert hashlib.sha256(file.read_bytes()).hexdigest() in out
    assert f"edged models import {name} {name}.onnx" in out
    facts = {fact.key: fact.value for fact in onnx.load(file).metadata_props}
    assert facts["name"] == name
    session = onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])
    card.describes(
        *({node.name: shape(node) for node in nodes} for nodes in (session.get_inputs(), session.get_outputs()))
    )
    net = make()
    net.load_state_dict(state)
    white = 255.0 if family == "integral" else 1.0
    asked = (Normalised(net, white) if card.task in {"lift", "root"} else net).eval()
    shown = golden_inputs(card)[1]
    with torch.no_grad():
        wanted = asked(torch.from_numpy(shown))
    wanted = [one.numpy() for one in (wanted if isinstance(wanted, tuple) else [wanted])]
    got = session.run([output.name for output in card.outputs], {card.input.name: shown})
    for ours, theirs in zip(got, wanted, strict=True):
        assert np.abs(ours - theirs).max() <= 1e-4 * np.abs(theirs).max()
    decoded(card, got, wanted)


def shape(node: Any) -> tuple[int | None, ...]:
    return tuple(axis if isinstance(axis, int) else None for axis in node.shape)


def decoded(card: Card, got: list[Any], wanted: list[Any]) -> None:
    """The daemon's decoder on what ONNX Runtime gives, against PyTorch's own arithmetic on what the net gives."""
    if card.lift is not None:
        depth = card.lift.depth
        cells = torch.from_numpy(wanted[0]).double().unflatten(1, (-1, depth))
        share = cells.flatten(2).softmax(2).view_as(cells)
        axes = (share.sum((2, 3)), share.sum((2, 4)), share.sum((3, 4)))
        places = torch.stack([one @ torch.arange(one.shape[2]).double() for one in axes], 2)
        np.testing.assert_allclose(soft_argmax(got[0], cells.shape[1]), places.numpy(), rtol=1e-4)
    if card.pose is not None:
        ours, theirs = (simcc(one[0], one[1], card.pose.split) for one in (got, wanted))
        np.testing.assert_allclose(ours[..., 2], theirs[..., 2], rtol=1e-3, atol=1e-5)


def awake(net: Any, shown: list[Any], white: float) -> None:
    """Norms that have seen pictures, and activations that vary by e: untrained volumes are flat, and hide any error."""
    whole, crops = Normalised(net, white), torch.from_numpy(np.concatenate(shown))
    norms = [module for module in net.modules() if isinstance(module, torch.nn.BatchNorm2d)]
    for norm in norms:
        norm.momentum = None  # the mean of what is seen
    last = [module for module in net.modules() if isinstance(module, torch.nn.Conv2d)][-1]
    with torch.no_grad():
        whole.train()(crops)
        spread = whole.eval()(crops).std()
        last.weight /= spread
        last.bias /= spread


@pytest.mark.parametrize("name", ["convnextpose-xs", "convnextpose-m", "mobilehumanpose", "integral-r50", "rootnet"])
def test_in_half_precision_joints_stay_within_a_millimetre(name: str, tmp_path: Path) -> None:
    torch.manual_seed(1)
    net = NETS[name][1]()
    if name == "rootnet":
        net.root.depth_layer.bias.data.fill_(1.0)  # gamma is about 1, and a share of nothing means nothing
    else:
        awake(net, golden_inputs(catalogue()[name]), 255.0 if name.startswith("integral") else 1.0)
    write(checkpoint.load(NETS[name][0], net.state_dict()), tmp_path / "net.onnx")
    card, data = catalogue()[name], (tmp_path / "net.onnx").read_bytes()
    whole = OnnxRunner(prepare(card, data, batch=1, precision="fp32", io="fp32").onnx)
    half = prepare(card, data, batch=1)
    assert half.islands
    assert {tensor.dtype for tensor in half.outputs} == {"float32"}  # what the soft-argmax reads
    shown = golden_inputs(card)[1]
    apart = accuracy_diff(card, soft_argmax, whole.run(shown), OnnxRunner(half.onnx).run(shown))
    assert apart.violations(card.tolerance) == [], apart


def test_pickled_objects_in_a_checkpoint_are_not_executed(tmp_path: Path) -> None:
    class History:
        """As frameworks pickle them: not importable where the file is read."""

        def __reduce__(self) -> Any:
            return eval, ("__import__('pathlib').Path('ran').touch()",)

    state = RootNet().state_dict()
    meta = {"sigmas": np.ones(17), "history": History(), "kinds": {float}}
    torch.save({"meta": meta, "state_dict": state, "optimizer": {"state": [History()]}}, tmp_path / "x.pth")
    weights = checkpoint.read(tmp_path / "x.pth")
    assert weights.keys() == state.keys()
    assert not Path("ran").exists()


def zipped() -> bytes:
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w") as file:
        file.writestr("a.txt", "nothing")
    return held.getvalue()


FILES = {
    "empty": (b"", "an empty file"),
    "text": (b"epoch: 1\nloss: 2\n", "no PyTorch file"),
    "web page": (b"<!DOCTYPE html><html>quota exceeded</html>", "a web page"),
    "another zip": (zipped(), "a .zip that is none of PyTorch's"),
    "noise": (np.random.default_rng(0).bytes(5000), "no PyTorch file"),
    "a pickle": (pickle.dumps({"a": 1}), "no PyTorch file|without tensors"),
    "an ONNX file": ((Path(__file__).parents[2] / "engines/starter/det_person_horse.onnx").read_bytes(), "no PyTorch"),
}


def refused(path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setattr("sys.argv", ["export", "rootnet", str(path), "--out", str(path.parent / "out")])
    assert command.main() == 2
    return capsys.readouterr().err


@pytest.mark.parametrize("name", FILES)
def test_file_of_another_kind_is_named(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    path, (data, wanted) = tmp_path / "x.pth.tar", FILES[name]
    path.write_bytes(data)
    assert re.search(f"^{re.escape(str(path))}: got .*({wanted})", refused(path, capsys, monkeypatch))
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("old", [False, True], ids=["zip", "old format"])
@pytest.mark.parametrize("share", [0.02, 0.5, 0.999])
def test_truncated_checkpoint_is_rejected(
    share: float, old: bool, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    path, _ = kept("convnextpose-xs", tmp_path, old=old)
    data = path.read_bytes()
    path.write_bytes(data[: int(share * len(data))])
    assert "not all of one" in refused(path, capsys, monkeypatch)


def test_missing_checkpoint_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "No such file" in refused(tmp_path / "absent.pth", capsys, monkeypatch)
    assert "Is a directory" in refused(tmp_path, capsys, monkeypatch)


def test_checkpoint_of_another_family_is_rejected() -> None:
    with pytest.raises(CheckpointError, match="another family"):
        checkpoint.load("integral", {"backbone.first_conv.0.weight": torch.zeros(1)})


def test_weights_of_another_shape_are_named() -> None:
    state = RootNet().state_dict()
    state["root.depth_layer.weight"] = torch.zeros(3, 2048, 1, 1)
    with pytest.raises(CheckpointError, match=r"depth_layer\.weight is \(3, 2048, 1, 1\), want \(1, 2048, 1, 1\)"):
        checkpoint.load("rootnet", state)


def test_unnamed_keypoints_are_exported_without_a_card(tmp_path: Path) -> None:
    whole = checkpoint.load("rtmpose", RtmPose(0.375, (1, 1, 1, 1), 133, *BODY).state_dict())
    lines = list(command.export_files(whole, tmp_path))
    assert lines[-1].startswith("no card")
    assert [path.name for path in tmp_path.iterdir()] == ["own-rtmpose-t-133.onnx"]
