import base64
import contextlib
import json

import numpy as np
import pytest
import tensorflow as tf
from pictures import PICTURES
from separable import CLASSES, NAMES, picture

from tfautolabel._model_folder import read_description
from tfautolabel.export import CheckFailure, saved_model
from tfautolabel.export.labeling_module import LabelingModule
from tfautolabel.preprocessors import ImagePreprocessor

OUTPUTS = {"label", "class_id", "confidence", "accepted", "probabilities"}
FORMATS = {
    "jpeg": {"kind": "JPEG", "quality": 95},
    "png": {},
    "gif": {"kind": "GIF"},
    "bmp": {"kind": "BMP"},
    "webp": {"kind": "WEBP", "lossless": True},
}


def call(served, inputs, signature="serving_default"):
    outputs = served.signatures[signature](examples=tf.constant(inputs, tf.string, shape=[len(inputs)]))
    return {name: value.numpy() for name, value in outputs.items()}


def text(labels):
    return [label.decode("utf-8") for label in labels]


def test_the_signatures_are_the_documented_ones(served):
    assert set(served.signatures) == {"serving_default", "features"}
    for name, expected in (
        (
            "serving_default",
            {
                "label": ([None], "string"),
                "class_id": ([None], "int64"),
                "confidence": ([None], "float32"),
                "accepted": ([None], "bool"),
                "probabilities": ([None, 3], "float32"),
            },
        ),
        ("features", {"features": ([None, 16], "float32"), "readable": ([None], "bool")}),
    ):
        signature = served.signatures[name]
        assert signature.structured_input_signature == (
            (),
            {"examples": tf.TensorSpec([None], tf.string, name="examples")},
        )
        outputs = signature.structured_outputs
        assert {key: (spec.shape.as_list(), spec.dtype.name) for key, spec in outputs.items()} == expected


@pytest.mark.parametrize("name", FORMATS)
def test_it_gives_what_the_labeler_gives_for_every_format(labeler, served, name):
    inputs = [picture(colour, number, **FORMATS[name]) for number in (50, 51) for colour in CLASSES]
    outputs, expected = call(served, inputs), labeler.predict(inputs)
    assert text(outputs["label"]) == [NAMES[i] for i in expected.argmax(axis=1)] == [*NAMES] * 2
    np.testing.assert_allclose(outputs["probabilities"], expected, atol=1e-4)
    np.testing.assert_array_equal(outputs["class_id"], outputs["probabilities"].argmax(axis=1))
    np.testing.assert_array_equal(outputs["confidence"], outputs["probabilities"].max(axis=1))
    np.testing.assert_array_equal(outputs["accepted"], outputs["confidence"] >= np.float32(0.7))
    features = call(served, inputs, "features")
    assert features["readable"].all()
    np.testing.assert_allclose(
        labeler.head.predict(features["features"], verbose=0), outputs["probabilities"], atol=1e-5
    )


def test_it_gives_what_the_labeler_gives_for_every_kind_of_picture(labeler, served):
    inputs = [make() for make in PICTURES.values()]
    outputs, expected = call(served, inputs), labeler.predict(inputs)
    assert expected.any(axis=1).all()
    np.testing.assert_allclose(outputs["probabilities"], expected, atol=1e-4)
    np.testing.assert_array_equal(outputs["class_id"], expected.argmax(axis=1))


def test_broken_pictures_do_not_touch_the_others(served):
    good = [picture(name, 60) for name in CLASSES]
    broken = [b"", b"no picture", good[0][:100], picture("red", 60, kind="JPEG")[:-200]]
    mixed = [broken[0], good[0], broken[1], broken[2], good[1], good[2], broken[3]]
    outputs, alone = call(served, mixed), call(served, good)
    for name in OUTPUTS:
        np.testing.assert_array_equal(outputs[name][[1, 4, 5]], alone[name])
    spoilt = [0, 2, 3, 6]
    assert outputs["label"][spoilt].tolist() == [b""] * 4
    assert outputs["class_id"][spoilt].tolist() == [-1] * 4
    assert outputs["accepted"][spoilt].tolist() == [False] * 4
    assert not outputs["confidence"][spoilt].any()
    assert not outputs["probabilities"][spoilt].any()
    features = call(served, mixed, "features")
    assert features["readable"].tolist() == [False, True, False, False, True, True, False]
    assert not features["features"][spoilt].any()


def test_a_batch_of_broken_pictures_only(served):
    assert call(served, [b"x", b""])["class_id"].tolist() == [-1, -1]


@pytest.mark.parametrize("size", [0, 1, 70])
def test_batches_of_any_size(served, size):
    inputs = [picture(CLASSES[i % 3], i) for i in range(size)]
    outputs = call(served, inputs)
    assert outputs["probabilities"].shape == (size, 3)
    assert {name: len(value) for name, value in outputs.items()} == dict.fromkeys(OUTPUTS, size)
    assert text(outputs["label"]) == [NAMES[i % 3] for i in range(size)]
    assert call(served, inputs, "features")["features"].shape == (size, 16)


def test_it_loads_as_tf_serving_does(exported):
    """Through a session and the names in the signature, with no Python objects behind them."""
    inputs = [picture("red"), b"broken", picture("green")]
    with tf.compat.v1.Session(graph=tf.Graph()) as session:
        meta = tf.compat.v1.saved_model.load(session, ["serve"], str(exported))
        signature = meta.signature_def["serving_default"]
        assert signature.method_name == "tensorflow/serving/predict"
        outputs = {name: info.name for name, info in signature.outputs.items()}
        got = session.run(outputs, {signature.inputs["examples"].name: inputs})
    assert text(got["label"]) == [NAMES[2], "", NAMES[1]]
    assert got["class_id"].tolist() == [2, -1, 1]
    assert got["probabilities"].shape == (3, 3)


def test_the_description_says_what_it_is(labeler, exported):
    description = json.loads((exported / "labeler.json").read_text(encoding="utf-8"))
    assert description["format_version"] == 1
    assert tuple(description["classes"]) == NAMES, "details must not replace what the model is"
    assert description["note"] == "ours"
    assert description["modality"] == "image"
    assert description["min_confidence"] == 0.7
    assert description["backbone"] == {
        "handle": labeler.backbone.handle,
        "fingerprint": labeler.backbone.fingerprint,
        "feature_dim": 16,
    }
    assert description["cross_validation"] == labeler.cross_validation_
    assert description["requires"] == ["tensorflow"]
    assert description["made_with"]["tensorflow"] == tf.__version__
    assert description["examples"][-1]["label"] == ""


def test_nothing_of_the_users_travels_with_the_model(labeler, exported):
    description = json.loads((exported / "labeler.json").read_text(encoding="utf-8"))
    recorded = [base64.b64decode(example["input"]) for example in description["examples"]]
    assert len(recorded) >= 5
    # The same bytes whatever the labeler has seen.
    assert recorded == ImagePreprocessor(8).recorded_examples()
    for file in exported.rglob("*"):
        content = file.read_bytes() if file.is_file() else b""
        assert not any(users[40:120] in content for users in labeler.users_pictures), file


@pytest.fixture(scope="module")
def traced(labeler):
    return LabelingModule(labeler.backbone, labeler.head, NAMES, labeler.acceptance)


@pytest.fixture
def unchecked(traced, monkeypatch):
    """Exports without the check and the tracing, which take seconds; the folders that would be checked."""
    seen = []
    monkeypatch.setattr(saved_model, "LabelingModule", lambda *_: traced)
    checked_by(monkeypatch, seen.append)
    return seen


def checked_by(monkeypatch, check):
    """Exports with another check than that in a process of its own."""

    class Check(contextlib.AbstractContextManager):
        def __exit__(self, *error):
            return None

        def run(self, folder):
            check(folder)

    monkeypatch.setattr(saved_model, "SelfCheck", Check)


def listing(folder):
    return sorted(path.name for path in folder.iterdir())


def test_versions_are_numbered(labeler, unchecked, tmp_path):
    assert labeler.export(tmp_path / "m") == tmp_path / "m" / "1"
    assert labeler.export(tmp_path / "m") == tmp_path / "m" / "2"
    assert labeler.export(tmp_path / "m" / "10") == tmp_path / "m" / "10"
    (tmp_path / "m" / "notes").mkdir()
    assert labeler.export(tmp_path / "m") == tmp_path / "m" / "11"
    assert listing(tmp_path / "m") == ["1", "10", "11", "2", "notes"]
    assert [folder.parent.parent for folder in unchecked] == [tmp_path / "m"] * 4, (
        "checked before it takes its place"
    )


def test_an_existing_version_is_replaced_only_on_demand(labeler, unchecked, tmp_path):
    version = labeler.export(tmp_path / "1")
    (version / "labeler.json").write_text("old")
    with pytest.raises(FileExistsError, match=r"or overwrite=True\. Received: .*1, which exists"):
        labeler.export(version)
    assert (version / "labeler.json").read_text() == "old"
    labeler.export(version, overwrite=True)
    assert (version / "labeler.json").read_text() != "old"
    assert (version / "saved_model.pb").is_file()
    assert listing(tmp_path) == ["1"]


def test_what_somebody_put_into_a_version_is_kept(labeler, unchecked, tmp_path):
    version = labeler.export(tmp_path / "1")
    (version / "assets.extra").mkdir()
    (version / "assets.extra" / "tf_serving_warmup_requests").write_bytes(b"mine")
    (version / "notes").write_text("mine")
    labeler.export(version, overwrite=True)
    assert (version / "assets.extra" / "tf_serving_warmup_requests").read_bytes() == b"mine"
    assert (version / "notes").read_text() == "mine"


def test_a_version_that_another_process_made_meanwhile_is_not_replaced(
    labeler, unchecked, monkeypatch, tmp_path
):
    def race(_):
        (tmp_path / "m" / "1").mkdir()
        (tmp_path / "m" / "1" / "saved_model.pb").write_text("theirs")

    checked_by(monkeypatch, race)
    with pytest.raises(FileExistsError, match="m/1 exists already"):
        labeler.export(tmp_path / "m")
    assert (tmp_path / "m" / "1" / "saved_model.pb").read_text() == "theirs"
    assert listing(tmp_path / "m") == ["1"]


def test_a_folder_of_something_else_is_never_replaced(labeler, unchecked, tmp_path):
    photos = tmp_path / "2024"
    photos.mkdir()
    (photos / "wedding.jpg").write_bytes(b"dear")
    with pytest.raises(FileExistsError, match="empty or hold an exported model"):
        labeler.export(photos, overwrite=True)
    assert (photos / "wedding.jpg").read_bytes() == b"dear"


def test_a_failed_check_leaves_the_old_version_and_nothing_else(labeler, unchecked, monkeypatch, tmp_path):
    version = labeler.export(tmp_path / "m")
    (version / "mark").touch()

    def fail(folder):
        raise CheckFailure(f"{folder} is not healthy: it does not run")

    checked_by(monkeypatch, fail)
    with pytest.raises(CheckFailure, match=f"^{version} is not healthy"):
        labeler.export(version, overwrite=True)
    with pytest.raises(CheckFailure):
        labeler.export(tmp_path / "m")
    assert listing(tmp_path / "m") == ["1"]
    assert (version / "mark").exists()


def test_a_full_disk_leaves_the_old_version_and_names_the_new_one(labeler, unchecked, monkeypatch, tmp_path):
    version = labeler.export(tmp_path / "m")
    (version / "mark").touch()

    def full(*_, **__):
        raise tf.errors.ResourceExhaustedError(None, None, "variables/x.tempstate1; No space left on device")

    monkeypatch.setattr(saved_model.tf.saved_model, "save", full)
    with pytest.raises(OSError, match=f"^{version} cannot be written: no space left on device$"):
        labeler.export(version, overwrite=True)
    assert listing(tmp_path / "m") == ["1"]
    assert (version / "mark").exists()


def test_a_version_that_was_set_aside_when_its_writer_died_is_found(labeler, unchecked, tmp_path):
    version = labeler.export(tmp_path / "m")
    aside = tmp_path / "m" / ".partial-0123456789ab-0123456789abcdef"
    aside.mkdir()
    (aside / "lock").touch()
    (aside / "belongs").write_text("1")
    version.rename(aside / "aside")
    assert read_description(version)["classes"] == list(NAMES)
    assert listing(tmp_path / "m") == ["1"]


def test_an_export_that_disagrees_with_predict_fails_its_check(labeler, tmp_path):
    with pytest.raises(CheckFailure, match=f"{tmp_path / '1'} is not healthy: .*recorded example 0"):
        saved_model.export_saved_model(
            tmp_path,
            labeler.backbone,
            labeler.head,
            NAMES,
            labeler.acceptance,
            None,
            lambda inputs: np.full((len(inputs), 3), 1 / 3, np.float32),
        )
    assert listing(tmp_path) == []
