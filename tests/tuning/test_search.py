import csv
import json
import signal
import subprocess
import sys
from pathlib import Path

import keras
import keras_tuner
import numpy as np
import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

import tfautolabel as tal
from tfautolabel.tuning.cross_validation import CrossValidated

sys.path.insert(0, str(Path(__file__).parent))

from small_search import CLASSES, D, Stopping, labeler, made_up, search


def check_same(result, expected):
    """Trial names, hyperparameters and losses are the same, and so is what came out."""
    assert [(row.name, row.values) for row in result.rows] == [
        (row.name, row.values) for row in expected.rows
    ]
    losses = [[row.loss for row in one.rows] for one in (result, expected)]
    assert losses[0] == pytest.approx(losses[1], rel=1e-4)
    assert (result.best, result.hyperparameters, result.kept) == (
        expected.best,
        expected.hyperparameters,
        expected.kept,
    )


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A random search of eight trials that nothing interrupts."""
    return search(tmp_path_factory.mktemp("whole"), "random", 8)


def test_a_killed_search_ends_as_an_unbroken_one(whole, tmp_path):
    script = Path(__file__).with_name("small_search.py")
    done = subprocess.run(
        [sys.executable, script, tmp_path, "random", "8", "5"], capture_output=True, timeout=240, check=False
    )
    assert done.returncode == -signal.SIGKILL, done.stderr[-2000:]
    statuses = [
        json.loads(file.read_text())["status"] for file in sorted(tmp_path.glob("trials/*/trial.json"))
    ]
    assert statuses == [*["COMPLETED"] * 4, "RUNNING"]
    again = search(tmp_path, "random", 8)
    check_same(again, whole)
    # The four that were done were not run again: four more, and the finals of three on two sets of folds.
    assert Stopping.judged <= 4 + 6 + 1


@pytest.mark.parametrize(("tuner", "trials", "stop_at"), [("bayesian", 13, 12), ("hyperband", 26, 24)])
def test_an_interrupted_search_of_every_kind_does(tuner, trials, stop_at, tmp_path):
    def interrupt(*_):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        search(tmp_path / "broken", tuner, trials, stop_at, interrupt, ("linear",))
    again = search(tmp_path / "broken", tuner, trials, kinds=("linear",))
    check_same(again, search(tmp_path / "whole", tuner, trials, kinds=("linear",)))
    if tuner == "hyperband":
        assert {row.values["tuner/epochs"] for row in again.rows[1:]} == {4, 15}


@pytest.mark.filterwarnings("ignore:.* held the trials of another search")
def test_more_trials_go_on_and_other_examples_begin_anew(whole, tmp_path):
    first = search(tmp_path, "random", 3)
    more = search(tmp_path, "random", 5)
    assert more.rows[:4] == first.rows
    data, extraction = made_up(seed=1)
    other = tal.tune_head(
        labeler(), data, hypermodel=Stopping(D, 3, 30), trials=2, out=tmp_path, extraction=extraction
    )
    assert len(other.rows) == 3


def small_head(width, log=None):
    """A function that builds heads, which differ in what its closure holds."""

    def build(hp):
        if log is not None:
            log.write("built")
        rate = hp.Choice("rate", [0.1, 0.2])
        head = keras.Sequential(
            [keras.Input((D,)), keras.layers.Dense(width), keras.layers.Dense(3, "softmax")]
        )
        head.compile(keras.optimizers.Adam(rate), "sparse_categorical_crossentropy")
        return head

    return build


def test_a_search_with_another_hypermodel_takes_over_no_trial(tmp_path, monkeypatch):
    data, extraction = made_up()
    judged = []
    monkeypatch.setattr(
        CrossValidated, "out_of_fold",
        lambda self, hp, head, seed=None: judged.append(seed) or np.full((30, 3), 1 / 3, np.float32),
    )  # fmt: skip

    def tuned(width, log=None):
        judged.clear()
        found = tal.tune_head(
            labeler(), data, hypermodel=small_head(width, log), trials=2, out=tmp_path, extraction=extraction
        )
        return found.made_before, judged.count(None)

    assert tuned(4) == (0, 2)
    assert tuned(4) == (2, 0), "the same function, made again, goes on"
    with pytest.warns(UserWarning, match=r"moved to earlier-1 in it \(the hypermodel differs\)"):
        assert tuned(5) == (0, 2)
    assert len(list((tmp_path / "earlier-1" / "trials").glob("trial_*"))) == 2
    assert (tmp_path / "earlier-1" / "trials.csv").is_file()
    for _ in range(2):
        with (
            (tmp_path / "log.txt").open("w") as log,
            pytest.warns(UserWarning, match=r"cannot be gone on with later, because the hypermodel cannot"),
        ):
            assert tuned(5, log) == (0, 2), "what cannot be compared takes nothing over"


def test_a_tuner_with_trials_of_another_search_is_refused(tmp_path):
    data, extraction = made_up()
    options = {"max_trials": 1, "seed": 1, "directory": tmp_path, "project_name": "own"}
    first = keras_tuner.RandomSearch(Failing([]), "val_loss", **options)
    tal.tune_head(labeler(), data, tuner=first, extraction=extraction)
    again = keras_tuner.RandomSearch(Failing([]), "val_loss", **options)
    assert tal.tune_head(labeler(), data, tuner=again, extraction=extraction).made_before == 1
    other = keras_tuner.RandomSearch(Failing([0.3]), "val_loss", **options)
    with pytest.raises(ValueError, match=r"a tuner must be new .*\(the hypermodel differs\)"):
        tal.tune_head(labeler(), data, tuner=other, extraction=extraction)


def test_the_seed_decides_the_trials(whole):
    data, extraction = made_up()
    other = tal.tune_head(
        labeler(seed=3), data, hypermodel=Stopping(D, 3, 30, seed=3), trials=2, extraction=extraction
    )
    assert other.rows[1].values != whole.rows[1].values


def test_table_picture_and_logs_hold_all_trials(whole):
    with (whole.out / "trials.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["trial"] for row in rows] == ["default", *map(str, range(8))]
    assert [float(row["log_loss"]) for row in rows] == pytest.approx(
        [row.loss for row in whole.rows], abs=1e-5
    )
    assert json.loads((whole.out / "trials.json").read_text())[0]["trial"] == "default"
    picture = (whole.out / "trials.svg").read_text()
    assert "default" in picture
    assert "best so far" in picture
    logged = EventAccumulator(str(whole.out / "tensorboard" / "3")).Reload()
    assert set(logged.Tags()["tensors"]) >= {"val_loss", "val_accuracy"}
    assert "_hparams_/session_start_info" in logged.summary_metadata


class Failing(keras_tuner.HyperModel):
    """Fails in training with some of the values, or with all."""

    def __init__(self, failing):
        super().__init__()
        self.failing = failing

    def build(self, hp):
        rate = hp.Choice("rate", [0.1, 0.2, 0.3])
        head = keras.Sequential([keras.Input((D,)), keras.layers.Dense(3, "softmax")])
        head.compile(keras.optimizers.Adam(rate), "sparse_categorical_crossentropy")
        return head

    def fit_options(self, hp):
        if hp.get("rate") in self.failing:
            raise ValueError(f"no head at {hp.get('rate')}\nand more of it")
        return {"epochs": 2, "batch_size": 16}


def test_a_failing_trial_shows_its_cause(tmp_path):
    data, extraction = made_up()
    result = tal.tune_head(
        labeler(), data, hypermodel=Failing([0.2]), trials=3, out=tmp_path, extraction=extraction
    )
    found = {row.values.get("rate"): (row.status, row.error) for row in result.rows[1:]}
    assert found[0.2] == ("FAILED", "ValueError: no head at 0.2")
    assert found[0.1] == found[0.3] == ("COMPLETED", "")
    assert "no head at 0.2" in (tmp_path / "trials.csv").read_text()
    assert result.to_dict()["failed"] == 1


def test_a_search_in_which_all_fails_raises_the_cause_and_leaves_the_head(tmp_path):
    data, extraction = made_up()
    own = labeler()
    head = own.head
    with pytest.raises(RuntimeError, match=r"none of the 3 trials .* because of ValueError: no head at 0"):
        tal.tune_head(
            own, data, hypermodel=Failing([0.1, 0.2, 0.3]), trials=5, out=tmp_path, extraction=extraction
        )
    assert own.head is head
    assert (tmp_path / "trials.csv").read_text().count("FAILED") == 3


def test_a_better_head_goes_into_the_labeler_and_is_trained_saved_and_loaded(tmp_path):
    data, extraction = made_up(30, noise=1.0)
    own = labeler(untrained())
    before = own.head
    result = tal.tune_head(
        own, data, trials=4, hypermodel=tal.HeadHyperModel(D, 3, 90, kinds=("linear",)), extraction=extraction
    )
    assert result.kept
    assert own.head is not before
    assert result.finals[result.best]["gain"] > 0
    own.fit(data, extraction=extraction)
    assert own.cross_validation_["accuracy"] > 0.7
    own.save(tmp_path / "saved")
    loaded = tal.Labeler.load(tmp_path / "saved")
    np.testing.assert_allclose(loaded.head(extraction.features), own.head(extraction.features), atol=1e-6)


def untrained():
    """A head that hardly learns."""
    head = keras.Sequential([keras.Input((D,)), keras.layers.Dense(3, "softmax")])
    head.compile(keras.optimizers.SGD(1e-6), "sparse_categorical_crossentropy")
    return head


def test_a_worse_head_does_not_replace_the_default():
    data, extraction = made_up()
    own = labeler()
    before = own.head
    result = tal.tune_head(own, data, hypermodel=lambda hp: untrained_of(hp), trials=2, extraction=extraction)
    assert not result.kept
    assert result.best == "default"
    assert own.head is before
    assert "stays" in result.reason


def untrained_of(hp):
    hp.Choice("nothing", [1, 2])
    return untrained()


def test_a_network_is_trained_by_fit_as_the_search_says(tmp_path):
    data, extraction = made_up(30)
    own = labeler(untrained())
    model = tal.HeadHyperModel(D, 3, 90, kinds=("mlp",))
    result = tal.tune_head(own, data, hypermodel=model, trials=2, extraction=extraction)
    assert result.kept
    assert own.fit_options == result.fit_options
    assert len(own.fit(data, extraction=extraction).epoch) == result.fit_options["epochs"]


class OwnTuner(keras_tuner.RandomSearch):
    """A user's tuner of a kind of its own."""

    ended = 0

    def on_trial_end(self, trial):
        super().on_trial_end(trial)
        self.ended += 1


@pytest.mark.parametrize("kind", [OwnTuner, keras_tuner.GridSearch])
def test_any_class_of_tuner_fits_in(kind, tmp_path):
    data, extraction = made_up()
    result = tal.tune_head(
        labeler(), data, hypermodel=Failing([]), tuner=kind, trials=2, out=tmp_path, extraction=extraction
    )
    assert [row.status for row in result.rows] == ["COMPLETED"] * 3
    assert type(result.tuner) is kind


@pytest.mark.parametrize("objective", ["val_accuracy", "val_loss"])
def test_a_tuner_brings_its_own_hypermodel_objective_and_trials(objective, tmp_path):
    tuner = OwnTuner(Failing([]), objective, max_trials=2, seed=1, directory=tmp_path, project_name="own")
    data, extraction = made_up()
    result = tal.tune_head(labeler(), data, tuner=tuner, extraction=extraction)
    assert len(result.rows) == 3
    assert tuner.ended == 2
    assert isinstance(tuner.hypermodel, CrossValidated)


class OwnFit(Failing):
    """Trains in a way of its own."""

    fitted = 0

    def fit(self, hp, model, x, y, **options):
        type(self).fitted += 1
        assert len(x) == len(y) == 24
        return model.fit(x, y, epochs=1, verbose=0)


def test_a_hypermodels_own_fit_is_cross_validated():
    data, extraction = made_up()
    OwnFit.fitted = 0
    result = tal.tune_head(labeler(), data, hypermodel=OwnFit([]), trials=1, extraction=extraction)
    assert OwnFit.fitted == 5 + 10
    assert result.rows[1].status == "COMPLETED"


@pytest.mark.parametrize(
    ("options", "error", "said"),
    [
        ({"trials": 0}, ValueError, "at least 1"),
        ({"tuner": "grid"}, ValueError, "random, bayesian, hyperband"),
        ({"tuner": dict}, TypeError, "keras_tuner.Tuner"),
        ({"n_folds": 1}, ValueError, "at least 2"),
    ],
)
def test_mistakes_are_told(options, error, said):
    data, extraction = made_up()
    with pytest.raises(error, match=said):
        tal.tune_head(labeler(), data, extraction=extraction, **options)


def test_a_head_for_other_classes_is_told():
    def build(hp):
        hp.Choice("x", [1, 2])
        head = keras.Sequential([keras.Input((D,)), keras.layers.Dense(2, "softmax")])
        head.compile("adam", "sparse_categorical_crossentropy")
        return head

    data, extraction = made_up()
    with pytest.raises(ValueError, match=rf"shape \(n, {len(CLASSES)}\)"):
        tal.tune_head(labeler(), data, hypermodel=build, trials=2, extraction=extraction)
