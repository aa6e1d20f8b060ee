import keras_tuner
import numpy as np
import pytest

from tfautolabel.tuning.oracles import make_oracle
from tfautolabel.tuning.tuners import open_tuner

OBJECTIVE = keras_tuner.Objective("val_loss", "min")


class Bowl(keras_tuner.HyperModel):
    """A function of two numbers with one lowest point, and of one that does not count."""

    def build(self, hp):
        return [hp.Float("x", -1.0, 1.0), hp.Float("y", 1e-3, 1.0, sampling="log"), hp.Choice("z", [1, 2])]

    def fit(self, hp, model, *args, **kwargs):
        x, y, _ = model
        return {"val_loss": (x - 0.4) ** 2 + 0.1 * (np.log(y) - np.log(0.1)) ** 2}


def searched(name, folder, trials=30, seed=0):
    tuner = open_tuner(make_oracle(name, OBJECTIVE, trials, seed), Bowl(), folder, overwrite=False)
    tuner.search(verbose=0)
    return tuner.oracle


def test_what_the_gaussian_process_proposes_is_better_than_chance(tmp_path):
    proposed = {
        name: np.mean(
            [
                [
                    trial.score
                    for trial in searched(name, tmp_path / f"{name}{seed}", 24, seed).trials.values()
                ]
                for seed in (0, 1)
            ],
            axis=0,
        )[-8:]
        for name in ("random", "bayesian")
    }
    assert proposed["bayesian"].mean() < 0.5 * proposed["random"].mean()


@pytest.mark.parametrize("name", ["random", "bayesian", "hyperband"])
def test_a_search_has_as_many_trials_as_were_asked_for_and_none_twice(name, tmp_path):
    oracle = searched(name, tmp_path, trials=14)
    values = [tuple(sorted(trial.hyperparameters.values.items())) for trial in oracle.trials.values()]
    assert len(values) == len(set(values)) == 14


def test_a_seed_of_zero_is_a_seed(tmp_path):
    values = [
        [trial.hyperparameters.values for trial in searched("random", tmp_path / place, 3).trials.values()]
        for place in ("a", "b")
    ]
    assert values[0] == values[1]


def test_a_trial_that_was_written_before_its_oracle_is_made_again(tmp_path):
    whole = searched("random", tmp_path / "whole", 5)
    searched("random", tmp_path / "broken", 3)
    orphan = tmp_path / "broken" / "trials" / "trial_3"
    orphan.mkdir()
    first = tmp_path / "broken" / "trials" / "trial_0" / "trial.json"
    (orphan / "trial.json").write_text(first.read_text().replace('"trial_id": "0"', '"trial_id": "3"'))
    again = searched("random", tmp_path / "broken", 5)
    assert [trial.hyperparameters.values for trial in again.trials.values()] == [
        trial.hyperparameters.values for trial in whole.trials.values()
    ]


def test_unknown_names_are_refused():
    with pytest.raises(ValueError, match="random, bayesian, hyperband"):
        make_oracle("grid", OBJECTIVE, 3, 0)
