"""Checkpoints of the published shapes load, and their ONNX says what the net says. Random weights only."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest

torch = pytest.importorskip("torch", reason="needs torch, which only a workstation has")

from edged.decode.heatmap3d import expected  # noqa: E402
from tools.export import checkpoint  # noqa: E402
from tools.export.nets.convnextpose import ConvNeXtPose  # noqa: E402
from tools.export.nets.integral import Integral  # noqa: E402
from tools.export.nets.mobilehumanpose import LARGE, SMALL, MobileHumanPose  # noqa: E402
from tools.export.nets.rootnet import RootNet  # noqa: E402
from tools.export.onnx_file import write  # noqa: E402

WIDE, DEEP = checkpoint.CONVNEXT[48]
NETS: dict[str, tuple[Callable[[], Any], int, int, str]] = {  # make, keys, elements, variant
    "convnextpose-xs": (lambda: ConvNeXtPose(*checkpoint.CONVNEXT[40], 128, 576, 32), 194, 3534140, "xs"),
    "convnextpose-s": (lambda: ConvNeXtPose(WIDE, DEEP, 256, 576, 32), 260, 7448954, "s"),
    "convnextpose-m": (lambda: ConvNeXtPose(WIDE, DEEP, 256, 1152, 64), 260, 7596986, "m"),
    "convnextpose-l": (lambda: ConvNeXtPose(WIDE, DEEP, 512, 1152, 64), 260, 8391354, "l"),
    "rootnet": (RootNet, 340, 34052346, "r50"),
    "mobilehumanpose": (lambda: MobileHumanPose(SMALL, 576), 397, 3541530, "small"),
    "mobilehumanpose-large": (lambda: MobileHumanPose(LARGE, 1152), 397, 4114938, "large"),
    "integral-50": (lambda: Integral(50, 1152), 338, 34346104, "r50"),
    "integral-152": (lambda: Integral(152, 1296), 950, 69117294, "r152"),
}


@pytest.mark.parametrize("old", [False, True], ids=["zip", "old format"])
@pytest.mark.parametrize("name", NETS)
def test_a_checkpoint_of_the_published_shape_loads(name: str, old: bool, tmp_path: Path) -> None:
    make, keys, elements, variant = NETS[name]
    state = make().state_dict()
    assert (len(state), sum(w.numel() for w in state.values())) == (keys, elements)
    kept = {f"module.{k}": w for k, w in state.items() if not (old and k.endswith("num_batches_tracked"))}
    torch.save({"epoch": 1, "network": kept}, tmp_path / "x.tar", _use_new_zipfile_serialization=not old)
    loaded = checkpoint.load(name.split("-", maxsplit=1)[0], checkpoint.read(tmp_path / "x.tar"))
    assert loaded.variant == variant
    assert all(torch.equal(w, loaded.net.state_dict()[k]) for k, w in state.items())


@pytest.mark.parametrize("name", ["convnextpose-xs", "mobilehumanpose", "rootnet"])
def test_the_onnx_file_says_what_the_net_says(name: str, tmp_path: Path) -> None:
    torch.manual_seed(1)
    family = name.split("-", maxsplit=1)[0]
    loaded = checkpoint.load(family, NETS[name][0]().state_dict())
    write(family, loaded, tmp_path / "net.onnx")
    rgb = np.random.default_rng(1).integers(0, 256, (1, 3, 256, 256)).astype(np.float32)
    session = onnxruntime.InferenceSession(tmp_path / "net.onnx", providers=["CPUExecutionProvider"])
    got = session.run(None, {"image": rgb})
    scale = np.array([0.229, 0.224, 0.225], np.float32)[:, None, None]
    mean = np.array([0.485, 0.456, 0.406], np.float32)[:, None, None]
    with torch.no_grad():
        wanted = loaded.net(torch.from_numpy((rgb - mean) / scale))
    for ours, theirs in zip(got, wanted if loaded.depth == 0 else [wanted], strict=True):
        assert np.abs(ours - theirs.numpy()).max() <= 1e-4 * np.abs(theirs.numpy()).max()
    if loaded.depth:
        places = wanted.view(1, 18, -1).softmax(2).view(1, 18, 32, 32, 32)
        x = places.sum((2, 3)) @ torch.arange(32.0)
        np.testing.assert_allclose(expected(got[0], 18)[..., 0], x.numpy(), rtol=1e-4)


def test_another_familys_file_is_refused_in_words() -> None:
    with pytest.raises(checkpoint.CheckpointError, match="another family"):
        checkpoint.load("integral", {"backbone.first_conv.0.weight": torch.zeros(1)})
