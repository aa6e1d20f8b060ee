"""A labeler in another precision than float32: what it says, keeps, refuses and exports."""

import json

import numpy as np
import pytest
from small_networks import coloured, convolutional

import tfautolabel as tal
from tfautolabel.export import CheckFailure
from tfautolabel.features.engines import bf16
from tfautolabel.jobs.label import learnt_in_another_precision
from tfautolabel.labeler.exporting import check_difference


@pytest.fixture(scope="module")
def labelled():
    return coloured()


@pytest.fixture(scope="module")
def backbone():
    return convolutional()


@pytest.fixture(scope="module")
def fitted(backbone, labelled, tmp_path_factory):
    cache = tmp_path_factory.mktemp("cache")
    labeler = tal.Labeler(backbone, labelled.classes, precision="bf16", cache_dir=cache, progress=False)
    labeler.fit(labelled)
    return labeler


def test_the_head_is_fitted_in_the_precision(fitted, backbone, labelled):
    assert fitted.engine.to_dict() | {"why": ""} == {
        "name": "bf16", "device": "cpu", "precision": "bf16", "why": "",
    }  # fmt: skip
    found, right = fitted.extract(labelled), tal.extract_features(labelled, backbone, use_cache=False)
    assert (found.arithmetic, right.arithmetic) == ("bf16", "float32")
    assert found.reused == len(labelled), "fit has computed them"
    assert not np.array_equal(found.features, right.features)


def test_features_of_another_precision_are_refused(fitted, backbone, labelled):
    other = tal.extract_features(labelled, backbone, use_cache=False)
    message = "must be in this labeler's precision, bf16: .* Received: one in float32"
    with pytest.raises(ValueError, match=message):
        fitted.label(labelled, extraction=other)
    labeler = tal.Labeler(backbone, labelled.classes, precision="bf16")
    with pytest.raises(ValueError, match=message):
        labeler.fit(labelled, extraction=other)


def test_an_export_is_in_float32_and_says_what_the_labeler_was(fitted, labelled, tmp_path):
    model = tal.load_exported(fitted.export(tmp_path / "model"))
    engine = model.description["engine"]
    assert engine["precision"] == "bf16"
    assert 0 < engine["difference_to_model"] < 0.1
    np.testing.assert_allclose(
        model.predict(labelled.read(range(3))), fitted.predict(labelled.subset([0, 1, 2])), atol=0.1
    )
    (said,) = learnt_in_another_precision(model.description)
    assert said.startswith("this model was fitted to features in bf16 and computes in float32: ")
    assert learnt_in_another_precision({}) == [], "an export of an earlier version"


def test_a_model_that_differs_by_more_than_the_precision_is_no_export(fitted):
    right = np.full((2, 2), 0.5, np.float32)
    assert check_difference(fitted.engine, right, right) == 0.0
    for found in (right + np.float32(0.2), right * np.nan):
        with pytest.raises(CheckFailure, match=r"in bf16: .* differ by .*, at most 0\.1 is allowed"):
            check_difference(fitted.engine, right, found)


def test_a_saved_labeler_goes_on_in_its_precision(fitted, labelled, tmp_path):
    fitted.save(tmp_path / "saved")
    loaded = tal.Labeler.load(tmp_path / "saved", cache_dir=tmp_path / "cache")
    assert (loaded.precision, loaded.engine.precision) == ("bf16", "bf16")
    np.testing.assert_allclose(loaded.predict(labelled), fitted.predict(labelled), atol=1e-6)


def test_where_the_precision_is_missing_it_goes_on_in_float32(fitted, labelled, tmp_path, monkeypatch):
    fitted.save(tmp_path / "saved")
    expected = fitted.predict(labelled)
    monkeypatch.setattr(bf16, "_in_bf16", lambda graphs: False)
    with pytest.warns(
        UserWarning, match="precision=bf16, which cannot be used here; it goes on with the CPU in"
    ):
        loaded = tal.Labeler.load(tmp_path / "saved", cache_dir=tmp_path / "cache")
    assert loaded.engine.precision == "float32"
    np.testing.assert_allclose(loaded.predict(labelled), expected, atol=0.1)


def test_a_labeler_of_an_earlier_version_is_in_float32(fitted, tmp_path):
    fitted.save(tmp_path / "saved")
    file = tmp_path / "saved" / "labeler_state.json"
    state = json.loads(file.read_text())
    for name in ("engine", "device", "precision"):
        state.pop(name)
    file.write_text(json.dumps(state))
    loaded = tal.Labeler.load(tmp_path / "saved")
    assert (loaded.device, loaded.precision) == ("auto", "float32")
