"""The benchmark from data to report, with nets of known answers; a killed run is resumed."""

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper, save

from engines.card.schema import SCHEMAS
from engines.catalogue import HERE, load
from tests.support.small_nets import written
from tools.evaluate.benchmark import run
from tools.evaluate.benchmark.adapters import DATASETS, human36m, mupots, rendered
from tools.evaluate.benchmark.answers import predict
from tools.evaluate.benchmark.estimators import SubjectInput
from tools.evaluate.benchmark.models import Model, models
from tools.evaluate.benchmark.prepared import DatasetInfo, PreparedDataset, dataset_3d
from tools.evaluate.benchmark.score import comparable, score

JOINTS = ("pelvis", "left_hip", "right_hip")
LENS = np.array([1000.0, 1000.0, 320.0, 240.0])


def _data(folder: Path, count: int = 5) -> PreparedDataset:
    """Three joints in a plane at four metres, the pelvis in the middle of the box."""
    image = folder / "image.png"
    cv2.imwrite(str(image), np.full((480, 640, 3), 90, np.uint8))
    truth = np.tile(np.array([[0.0, 0, 4000], [-125, 0, 4000], [125, 0, 4000]]), (count, 1, 1))
    facts = DatasetInfo(name="h36m-p2", task="3d", subject="person", joints=JOINTS, complete=True)
    box = np.tile(np.array([120.0, 40.0, 521.0, 441.0]), (count, 1))  # 400 px once its last pixel counts: 500 grown
    return dataset_3d(facts, (str(image),), np.zeros(count, int), box, truth, intrinsics=np.tile(LENS, (count, 1)))


def _net(path: Path, bins: Any) -> Path:
    """A net of ConvNeXtPose-S's shape whose `JOINTS` lie in these bins, whatever it is shown."""
    path.parent.mkdir(parents=True, exist_ok=True)
    logits = np.zeros((18, 32, 32, 32), np.float32)
    for joint, (x, y, z) in zip(JOINTS, bins, strict=True):
        logits[SCHEMAS["h36m-18"].keypoints.index(joint), z, y, x] = 100
    shown = helper.make_tensor_value_info("image", TensorProto.FLOAT, [1, 3, 256, 256])
    out = helper.make_tensor_value_info("volume", TensorProto.FLOAT, [1, 576, 32, 32])
    nodes = [
        helper.make_node("ReduceMin", ["image"], ["least"], keepdims=0),
        helper.make_node("Min", ["least", "nought"], ["none"]),  # the image is at least 0
        helper.make_node("Add", ["logits", "none"], ["volume"]),
    ]
    known = [("logits", logits.reshape(1, 576, 32, 32)), ("nought", np.zeros((), np.float32))]
    weights = [numpy_helper.from_array(value, name) for name, value in known]
    graph = helper.make_graph(nodes, "known", [shown], [out], weights)
    save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9), path)
    return path


def _model(folder: Path, **changed: Any) -> Model:
    model = models(folder)["convnextpose-s"]
    fields = {name: getattr(model, name) for name in Model.__dataclass_fields__}
    return Model(**{**fields, **changed})


CENTRE = [[16, 16, 16]] * 3  # of 32 bins: the middle of the box, at the root's depth


def test_bins_become_millimetres(tmp_path: Path) -> None:
    bins = [[16, 16, 16], [18, 16, 16], [16, 16, 24]]  # 2 of 32 bins are 31.25 of 500 px, 8 in depth are 500 mm
    model = _model(tmp_path, weights=_net(tmp_path / "net.onnx", bins))
    answers = predict(model, _data(tmp_path), tmp_path / "answers.jsonl", lambda *_: None)
    wanted = np.array([[0, 0, 4000], [125, 0, 4000], [0, 0, 4500]])
    assert answers.points[0, [model.joints.index(joint) for joint in JOINTS]] == pytest.approx(wanted, abs=1e-3)


def test_rootnet_gets_the_crop_and_scale_of_the_daemon(tmp_path: Path) -> None:
    net = written(load()["rootnet"], tmp_path)
    answers = predict(models(tmp_path)["rootnet"], _data(tmp_path), tmp_path / "answers.jsonl", lambda *_: None)
    assert net.is_file()
    k = 2000 * 1000 / 500
    assert answers.points[0, 0] == pytest.approx([0, 0, (1 + 0.1 * 90 / 255) * k], rel=0.005)  # grey as the image is


def test_box_outside_the_image_has_a_nan_pose(tmp_path: Path) -> None:
    model = _model(tmp_path, weights=_net(tmp_path / "net.onnx", CENTRE))
    beside = SubjectInput(np.zeros((480, 640, 3), np.uint8), np.array([700.0, 0, 800, 100]), LENS, 4000.0)
    assert np.isnan(model.open(model.weights)(beside)).all()


def test_known_error_is_reported(tmp_path: Path) -> None:
    data = _data(tmp_path)
    model = _model(tmp_path, weights=_net(tmp_path / "net.onnx", CENTRE))
    figures = score(model, data, predict(model, data, tmp_path / "a.jsonl", lambda *_: None)).figures
    assert figures["MPJPE mm"] == pytest.approx(250 / 3)  # both hips at the pelvis
    assert figures["MPJAE deg"] == pytest.approx(90)  # of limbs without length
    assert "MRPE mm" not in figures  # the root was given


class Killed(Exception):
    pass


def _dying(model: Model, after: int, calls: list[int]) -> Model:
    def opened(path: Path) -> Any:
        estimate = model.open(path)

        def once(question: SubjectInput) -> Any:
            calls.append(1)
            if len(calls) > after:
                raise Killed
            return estimate(question)

        return once

    fields = {name: getattr(model, name) for name in Model.__dataclass_fields__}
    return Model(**{**fields, "open": opened})


def test_killed_run_resumes_with_the_missing_answers(tmp_path: Path) -> None:
    data, path = _data(tmp_path), tmp_path / "answers.jsonl"
    model = _model(tmp_path, weights=_net(tmp_path / "net.onnx", CENTRE))
    with pytest.raises(Killed):
        predict(_dying(model, 4, []), data, path, lambda *_: None)  # one to warm up, three answered
    with path.open("a") as file:
        file.write('{"i": 3, "poi')  # torn by the kill
    calls: list[int] = []
    answers = predict(_dying(model, 99, calls), data, path, lambda *_: None)
    assert len(calls) == 1 + 2
    assert np.isfinite(answers.points).all()


def test_answers_of_other_weights_are_not_reused(tmp_path: Path) -> None:
    data, path = _data(tmp_path), tmp_path / "answers.jsonl"
    predict(_model(tmp_path, weights=_net(tmp_path / "net.onnx", CENTRE)), data, path, lambda *_: None)
    other = _net(tmp_path / "net.onnx", [[18, 16, 16]] * 3)
    answers = predict(_model(tmp_path, weights=other), data, path, lambda *_: None)
    assert answers.points[0, 0, 0] == pytest.approx(125)


def test_complete_answers_need_no_inference(tmp_path: Path) -> None:
    data, path = _data(tmp_path), tmp_path / "answers.jsonl"
    model = _model(tmp_path, weights=_net(tmp_path / "net.onnx", CENTRE))
    predict(model, data, path, lambda *_: None)
    assert np.isfinite(predict(_dying(model, 0, []), data, path, lambda *_: None).points).all()


def test_prepared_data_survives_saving(tmp_path: Path) -> None:
    data = _data(tmp_path)
    data.save(tmp_path / "kept.npz")
    back = PreparedDataset.read(tmp_path / "kept.npz")
    assert back.info == data.info
    assert back.key == data.key


def _human36m(folder: Path) -> Path:
    """Two frames of subject 11, one of them a 64th; the camera stands turned by a quarter and three metres away."""
    world = {str(i): (np.arange(51.0).reshape(17, 3) + i).tolist() for i in (64, 65)}
    image = {"file_name": "a.png", "cam_idx": 1, "action_idx": 2, "subaction_idx": 1, "width": 640, "height": 480}
    parts = {
        "data": {
            "images": [{"id": i, "frame_idx": i, **image} for i in (64, 65)],
            "annotations": [{"image_id": i, "bbox": [10, 20, 30, 40]} for i in (64, 65)],
        },
        "camera": {"1": {"R": [[0, -1, 0], [1, 0, 0], [0, 0, 1]], "t": [0, 0, 3000], "f": [900, 901], "c": [320, 240]}},
        "joint_3d": {"2": {"1": world}},
    }
    (folder / "annotations").mkdir(parents=True)
    for part, document in parts.items():
        (folder / "annotations" / f"Human36M_subject11_{part}.json").write_text(json.dumps(document))
    return folder


def test_human36m_is_every_64th_frame_in_the_cameras_frame(tmp_path: Path) -> None:
    data = human36m.protocol1(_human36m(tmp_path))
    assert data.truth.shape == (1, 17, 3)
    assert data.truth[0, 1].tolist() == [-(4 + 64), 3 + 64, 5 + 64 + 3000]
    assert data.intrinsics[0].tolist() == [900, 901, 320, 240]
    assert data.box_xyxy[0].tolist() == [10, 20, 40, 60]
    assert not data.info.complete


def test_mupots_omits_invalid_people(tmp_path: Path) -> None:
    joints = np.ones((17, 3)).tolist()
    marks = [{"image_id": 7, "is_valid": valid, "bbox": [1, 2, 3, 4], "keypoints_cam": joints} for valid in (0, 1)]
    images = [{"id": 7, "file_name": "TS1/a.jpg", "intrinsic": [1, 2, 3, 4]}]
    (tmp_path / "MuPoTS-3D.json").write_text(json.dumps({"images": images, "annotations": marks}))
    assert len(mupots.people(tmp_path)) == 1


def test_report_names_results_missing_weights_and_disagreeing_sources(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _net(tmp_path / "weights/convnextpose-s.onnx", CENTRE)
    monkeypatch.setitem(DATASETS, "h36m-p2", DATASETS["h36m-p2"]._replace(prepare=lambda _: _data(tmp_path)))
    chosen = [model for name, model in models(tmp_path / "weights").items() if name in {"convnextpose-s", "rootnet"}]
    out = run.run(run.Run(models=chosen, data={"h36m-p2": tmp_path}, out=tmp_path / "out"), lambda *_: None)
    text = out.read_text()
    assert "| convnextpose-s | 0.59 | 5 | 3 of 3 | 83.3 |" in text
    assert "convnextpose-s: MPJPE mm 83.33: 60.9% worse than 51.8 (third party)" in text
    assert "rootnet: no weights here; checkpoint by hand" in text
    assert "- rootnet on h36m-p2, MRPE mm: 120 (the authors' README); 57 (circulated" in text
    document = json.loads((out.parent / "report.json").read_text())
    assert document["environment"]["python"]
    assert [r["status"] for r in document["sections"][0]["results"]] == ["scored", "no weights here"]


def test_missing_data_set_is_reported(tmp_path: Path) -> None:
    chosen = list(models(tmp_path).values())
    out = run.run(run.Run(models=chosen, data={"mupots": tmp_path}, out=tmp_path / "out"), lambda *_: None)
    assert "No data here; it needs MuPoTS-3D.json" in out.read_text()


def test_model_is_compared_only_on_data_of_its_task_and_subject(tmp_path: Path) -> None:
    known, facts = models(tmp_path), _data(tmp_path).info
    assert not comparable(known["rtmpose-t-lsp14"], facts)
    assert comparable(known["flat-rtmpose-t-lsp14"], facts)
    people = DatasetInfo(name="lsp", task="2d", subject="person", joints=("nose",), complete=True)
    assert not comparable(known["rtmpose-t-ap10k-horse"], people)


def test_first_inference_is_not_timed(tmp_path: Path) -> None:
    calls: list[int] = []
    model = _model(tmp_path, weights=_net(tmp_path / "net.onnx", CENTRE))
    answers = predict(_dying(model, 99, calls), _data(tmp_path), tmp_path / "a.jsonl", lambda *_: None)
    assert (len(calls), np.isfinite(answers.ms).sum()) == (6, 5)


def test_exported_model_with_a_site_card_is_evaluated(tmp_path: Path) -> None:
    text = (HERE / "convnextpose-s.toml").read_text().replace('name = "convnextpose-s"', 'name = "own-net"')
    (tmp_path / "own-net.toml").write_text(text)
    _net(tmp_path / "own-net.onnx", CENTRE)
    known = models(tmp_path, tmp_path)["own-net"]
    assert known.has_weights
    assert np.isfinite(predict(known, _data(tmp_path), tmp_path / "a.jsonl", lambda *_: None).points).all()


def test_depth_error_of_a_net_that_says_where_the_root_is(tmp_path: Path) -> None:
    data = _data(tmp_path)
    written(load()["rootnet"], tmp_path)
    model = models(tmp_path)["rootnet"]
    figures = score(model, data, predict(model, data, tmp_path / "a.jsonl", lambda *_: None)).figures
    assert figures["depth error %"] == pytest.approx(100 * 0.1 * 90 / 255, rel=0.2)  # grey as the image is
    assert figures["depth error p68 %"] == pytest.approx(figures["depth error %"])  # all alike


def test_starter_models_in_space_have_their_weights() -> None:
    known = models(Path("nowhere"))
    assert known["lift-person-t"].has_weights
    assert known["rootnet-person-t"].has_weights
    assert not known["rootnet"].has_weights


def test_portraits_are_people_of_the_family_over_photographs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("numba", reason="needs the renderer: pip install edged[synth]")
    from tools.train.photographs import Photographs

    class Backgrounds:
        rows = (0,)

        def image(self, row: int) -> Any:
            return np.full((300, 400, 3), (10, 200, 30), np.uint8)

    monkeypatch.setattr(Photographs, "read", lambda folder, split: Backgrounds())
    monkeypatch.setattr(rendered, "PORTRAITS_COUNT", 1)
    data = rendered.portraits(tmp_path)
    image = cv2.imread(data.images[0])
    assert image is not None
    assert image[0, 0].tolist() == [10, 200, 30]
    fx, fy, cx, cy = data.intrinsics[0]
    x, y, z = data.truth[0].T
    seen = np.stack([x / z * fx + cx, y / z * fy + cy], axis=1)
    x0, y0, x1, y1 = data.box_xyxy[0]
    inside = (seen[:, 0] > x0 - 12) & (seen[:, 0] < x1 + 12) & (seen[:, 1] > y0 - 12) & (seen[:, 1] < y1 + 12)
    assert inside.all()
    assert comparable(models(tmp_path)["lift-person-t"], data.info)
