import time

import numpy as np
import pytest
from small_networks import changed, coloured, convolutional, values

import tfautolabel as tal
from tfautolabel.training import FineTuneSettings
from tfautolabel.training.moving_part import DivergedError, OutOfTimeError
from tfautolabel.tuning import fine_tuning
from tfautolabel.tuning.fine_tuning import FineTuneHyperModel, tune_fine_tuning

QUICK = FineTuneSettings(epochs=1, batch_size=6)


@pytest.fixture
def data():
    return coloured(4)


@pytest.fixture(scope="module")
def backbone():
    """One for all: a search leaves it as it was, and its preprocessor's graph is made once."""
    return convolutional()


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    return tmp_path_factory.mktemp("features")


@pytest.fixture
def labeler(data, backbone, cache):
    return tal.Labeler(
        backbone, data.classes, transfer="model", transfer_settings=QUICK, cache_dir=cache, progress=False
    )


class Training:
    """Stands for `FineTuning` where a test is about the search: its settings decide what it predicts."""

    def __init__(self, backbone, head, examples, class_ids, settings, **_):
        self.class_ids, self.settings, self.part, self.restarts = class_ids, settings, self, 0

    def __enter__(self):
        return self

    def __exit__(self, *_):
        assert self.restarts == 1, "the backbone is put back once, before it is let go"

    def restart(self):
        self.restarts += 1

    def run(self, rows, held_out, *, until=None):
        if until is not None and time.monotonic() > until:
            raise OutOfTimeError
        if self.settings.learning_rate is not None and self.settings.learning_rate > 1e3:
            raise DivergedError("it diverged: the loss of step 1 is not finite any more")
        rng = np.random.default_rng(abs(hash((self.settings.learning_rate, self.settings.pull))))
        scores = rng.random((len(held_out), 3)).astype(np.float32)
        scores[np.arange(len(held_out)), self.class_ids[held_out]] += self.settings.layer_decay
        return [scores / scores.sum(axis=1, keepdims=True)]


@pytest.fixture
def no_training(monkeypatch):
    monkeypatch.setattr(fine_tuning, "FineTuning", Training)


def shown(search):
    return [(row.name, row.status, row.loss, row.values) for row in search.rows]


def test_a_search_gives_settings_and_leaves_the_backbone_as_it_was(data, labeler, tmp_path):
    before, head = values(labeler.backbone.network), labeler.head
    found = tune_fine_tuning(labeler, data, trials=1, out=tmp_path / "out")
    assert changed(before, values(labeler.backbone.network)) == set()
    assert labeler.head is head
    assert labeler.transfer_settings == found.settings == FineTuneSettings(**found.to_dict()["settings"])
    assert found.settings.epochs == 1
    assert 0.0 <= found.to_dict()["accuracy"] <= 1.0
    assert [row.name for row in found.rows] == ["default", "0"]
    assert found.to_dict()["log_loss"] == min(row.loss for row in found.rows)
    assert found.in_time
    assert (tmp_path / "out" / "trials.csv").read_text().count("COMPLETED") == 2


def test_settings_that_no_trial_betters_stay(data, labeler, monkeypatch):
    losses = iter([0.1, 0.5, 0.4])
    monkeypatch.setattr(
        FineTuneHyperModel, "_measure", lambda *_: {"val_loss": next(losses), "val_accuracy": 0.5}
    )
    found = tune_fine_tuning(labeler, data, trials=2)
    assert found.best == "default"
    assert found.settings == labeler.transfer_settings == QUICK
    assert "the usual one was the best" in found.reason


@pytest.mark.usefixtures("no_training")
def test_settings_that_diverge_are_a_failed_trial(data, labeler):
    found = tune_fine_tuning(labeler, data, trials=2, settings=FineTuneSettings(learning_rate=1e6))
    assert [row.status for row in found.rows] == ["FAILED", "COMPLETED", "COMPLETED"]
    assert "not finite" in found.rows[0].error
    assert found.best in ("0", "1")
    assert "the usual way diverged" in found.reason


@pytest.mark.usefixtures("no_training")
def test_the_strength_of_augmentation_is_tuned_where_there_are_views(data, labeler):
    found = tune_fine_tuning(labeler, data, trials=8)
    strengths = {row.values["augment"] for row in found.rows}
    assert strengths <= {0.0, 0.3, 0.6, 1.0}
    assert len(strengths) > 1


@pytest.mark.usefixtures("no_training")
def test_a_search_goes_on_where_it_was(data, labeler, tmp_path, monkeypatch):
    whole = tune_fine_tuning(labeler, data, trials=3, out=tmp_path / "whole", settings=QUICK)
    tune_fine_tuning(labeler, data, trials=1, out=tmp_path / "parts", settings=QUICK)
    true, measured = FineTuneHyperModel._measure, []
    monkeypatch.setattr(
        FineTuneHyperModel, "_measure", lambda *given: measured.append(given[-1]) or true(*given)
    )
    again = tune_fine_tuning(labeler, data, trials=3, out=tmp_path / "parts", settings=QUICK)
    assert shown(again) == shown(whole)
    assert again.best == whole.best
    assert len(measured) == 2


@pytest.mark.usefixtures("no_training")
@pytest.mark.filterwarnings("ignore:.* held the trials of another search")
@pytest.mark.parametrize("change", ["class_weight", "settings"])
def test_another_search_in_the_folder_begins_anew(data, labeler, tmp_path, change):
    tune_fine_tuning(labeler, data, trials=1, out=tmp_path, settings=QUICK)
    other = {
        "class_weight": {"class_weight": dict.fromkeys(data.classes, 2.0) | {data.classes[0]: 1.0}},
        "settings": {"settings": FineTuneSettings(epochs=1, batch_size=4)},
    }[change]
    before = (tmp_path / "search.json").read_text()
    tune_fine_tuning(labeler, data, trials=1, out=tmp_path, **{"settings": QUICK} | other)
    assert (tmp_path / "search.json").read_text() != before
    assert (tmp_path / "earlier-1" / "search.json").read_text() == before


def test_without_time_the_settings_stay(data, labeler):
    found = tune_fine_tuning(labeler, data, trials=2, until=time.monotonic() - 1)
    assert found.rows == ()
    assert not found.in_time
    assert found.settings == labeler.transfer_settings == QUICK
    assert "could be tried in the time" in found.reason
    assert found.to_dict()["trials"] == 0


@pytest.mark.usefixtures("no_training")
def test_a_search_that_runs_out_of_time_comes_to_the_best_until_then(data, labeler, tmp_path, monkeypatch):
    true, calls = FineTuneHyperModel._measure, []

    def measure(self, head, settings):
        calls.append(settings)
        if len(calls) == 3:
            self.until = time.monotonic() - 1
        return true(self, head, settings)

    monkeypatch.setattr(FineTuneHyperModel, "_measure", measure)
    found = tune_fine_tuning(labeler, data, trials=5, out=tmp_path / "out")
    assert [row.name for row in found.rows] == ["default", "0"]
    assert not found.in_time
    assert "as far as time allowed" in found.reason


def test_a_frozen_backbone_has_nothing_to_tune(backbone):
    labeler = tal.Labeler(backbone, coloured().classes, progress=False)
    with pytest.raises(ValueError, match='transfer="model"'):
        tune_fine_tuning(labeler, coloured())
