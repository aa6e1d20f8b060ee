import keras
import keras_tuner
import numpy as np
import pytest

from tfautolabel import _keras_tuner_internals as internals
from tfautolabel.tuning.oracles import make_oracle


def build(hp):
    hp.Float("x", 0.0, 1.0)
    hp.Choice("kind", ["a", "b", "c"])
    hp.Fixed("always", 1)
    return keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])


@pytest.fixture
def tuner(tmp_path):
    oracle = make_oracle("bayesian", keras_tuner.Objective("loss", "min"), 4, seed=0)
    return keras_tuner.Tuner(oracle, build, directory=tmp_path, project_name="search")


def tried(tuner, scores):
    for number, score in enumerate(scores):
        trial = tuner.oracle.create_trial(f"tuner{number}")
        tuner.oracle.update_trial(trial.trial_id, {"loss": score})
        trial.status = "COMPLETED"
        tuner.oracle.end_trial(trial)
        yield trial


def test_is_tuner(tuner):
    assert internals.is_tuner(tuner)
    assert not internals.is_tuner(tuner.oracle)
    assert not internals.is_tuner("random")


def test_find_space(tuner):
    names = [hp.name for hp in tuner.oracle.get_space().space]
    assert sorted(names) == ["always", "kind", "x"]
    tuner.oracle.hyperparameters = keras_tuner.HyperParameters()
    internals.find_space(tuner)
    assert sorted(hp.name for hp in tuner.oracle.get_space().space) == sorted(names)


def test_files(tuner, tmp_path):
    (trial,) = tried(tuner, [1.0])
    tuner.save()
    assert internals.tuner_file(tuner).parent == tmp_path / "search"
    assert internals.tuner_file(tuner).is_file()
    # These two are written by `_save_trial` and `save`, which our own oracles override.
    assert internals.oracle_file(tuner.oracle).is_file()
    assert internals.trial_file(tuner.oracle, trial.trial_id).is_file()


def test_retry_queue(tuner):
    assert tuner.oracle._retry_queue == []


def test_random_values(tuner):
    found = internals.random_values(tuner.oracle)
    assert found["status"] == "RUNNING"
    assert 0 <= found["values"]["x"] <= 1
    assert found["values"]["kind"] in ("a", "b", "c")


def test_points(tuner):
    oracle = tuner.oracle
    trials = list(tried(tuner, [3.0, 1.0]))
    points, scores = internals.tried_points(oracle)
    assert scores.tolist() == [3.0, 1.0]
    assert [hp.name for hp in internals.dimensions(oracle)] == ["x", "kind"]
    assert points.shape == (2, 2)
    for point, trial in zip(points, trials, strict=True):
        values = internals.values_at(oracle, point)
        assert values["kind"] == trial.hyperparameters.values["kind"]
        assert values["x"] == pytest.approx(trial.hyperparameters.values["x"])
        assert internals.was_tried(oracle, trial.hyperparameters.values)
    assert not internals.was_tried(oracle, {"x": 2.0, "kind": "a", "always": 1})


def test_gaussian_process(tuner):
    process = internals.gaussian_process(tuner.oracle).set_params(n_restarts_optimizer=0)
    process.fit([[0.0], [1.0]], [0.0, 1.0])
    mean, deviation = process.predict(np.array([[1.0]]), return_std=True)
    assert mean[0] == pytest.approx(1.0, abs=0.1)
    assert deviation[0] >= 0
