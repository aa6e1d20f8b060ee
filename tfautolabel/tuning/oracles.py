"""keras-tuner's oracles, which here come back from a killed process exactly as they were.

As they are, they forget a random state, read trials in the order of the file system, count a trial that was
written before the oracle itself was, and may be killed while half a file is written.
"""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import Any

import keras_tuner
import numpy as np
from keras_tuner import oracles
from sklearn.exceptions import ConvergenceWarning

from tfautolabel._keras_tuner_internals import (
    dimensions,
    gaussian_process,
    oracle_file,
    random_values,
    trial_file,
    tried_points,
    values_at,
    was_tried,
)
from tfautolabel.data.atomic import atomic_write

CANDIDATES = 400
"""Points among which the Gaussian process chooses, half of them near the best trials."""

RESTARTS = 2
"""Of the fit of its one length scale, for which keras-tuner takes twenty."""

HYPERBAND_EPOCHS, HYPERBAND_FACTOR = 60, 4
"""With these, Hyperband's first bracket has 22 trials of 4 epochs, the best 6 of 15 and the best 2 of 60."""


class _Resumable(keras_tuner.Oracle):
    """Writes whole files only, and reads them in their order."""

    trials: dict[str, Any]
    _retry_queue: list[str]

    def save(self) -> None:
        """As keras-tuner's, whole or not at all."""
        _write(oracle_file(self), self.get_state())

    def _save_trial(self, trial: Any) -> None:
        _write(trial_file(self, trial.trial_id), trial.get_state())

    def reload(self) -> None:
        """As keras-tuner's, without trials that were begun after the state was written."""
        super().reload()
        self.trials = {name: self.trials[name] for name in self.start_order}
        # Between the two times that the end of a trial is written, it counts as over and as running.
        self._retry_queue = [name for name in self._retry_queue if name not in self.end_order]


class _Random(_Resumable, oracles.RandomSearchOracle):
    pass


class _Bayesian(_Resumable, oracles.BayesianOptimizationOracle):
    """Takes the most promising of many random points: the search for a better one still takes seconds."""

    def populate_space(self, trial_id: str) -> dict[str, Any]:  # noqa: ARG002
        """Values that the Gaussian process promises the most of, and that were not tried."""
        done = [trial for trial in self.trials.values() if trial.status == "COMPLETED"]
        if len(done) < self.num_initial_points:
            return random_values(self)
        known, scores = tried_points(self)
        process = gaussian_process(self).set_params(n_restarts_optimizer=RESTARTS)
        with warnings.catch_warnings():
            # A length scale at its bound is no news to whoever waits for a head.
            warnings.simplefilter("ignore", ConvergenceWarning)
            process.fit(known, scores)
        # A generator that depends on nothing but the seed and the trial needs no state to be kept.
        rng = np.random.default_rng([self.seed, len(self.trials)])
        near = known[np.argsort(scores)[: CANDIDATES // 100]]
        around = np.repeat(near, CANDIDATES // (2 * len(near)), axis=0)
        around = np.clip(around + rng.normal(0.0, 0.1, around.shape), 0.0, 1.0)
        points = np.concatenate([around, rng.uniform(size=(CANDIDATES // 2, known.shape[1]))])
        proposed = [values_at(self, point) for point in points]
        mean, deviation = process.predict(np.array([self._point(v) for v in proposed]), return_std=True)
        for number in np.argsort(mean - self.beta * deviation, kind="stable"):
            if not was_tried(self, proposed[number]):
                return {"status": "RUNNING", "values": proposed[number]}
        return {"status": "STOPPED", "values": None}

    def _point(self, values: dict[str, Any]) -> list[float]:
        """Values in the unit cube; what does not count with them is at its default, as for trials."""
        space = dimensions(self)
        return [hp.value_to_prob(values.get(hp.name, hp.default)) for hp in space]


class _Hyperband(_Resumable, oracles.HyperbandOracle):
    pass


def check_name(name: str) -> None:
    """Refuses a name that no search has.

    Raises:
        ValueError: If it is none of `ORACLES`.
    """
    if name not in ORACLES:
        raise ValueError(
            f"tuner must be one of {', '.join(ORACLES)}, or a keras_tuner.Tuner. Received: {name!r}"
        )


def make_oracle(name: str, objective: object, trials: int, seed: int) -> keras_tuner.Oracle:
    """An oracle by name.

    Args:
        name: a key of `ORACLES`.
        objective: a `keras_tuner.Objective`.
        trials: how many there are to be.
        seed: at least 0.

    Raises:
        ValueError: If the name is unknown.
    """
    check_name(name)
    # To keras-tuner a seed of 0 is none. A trial that failed once fails again; no failure ends the search.
    shared = {"objective": objective, "seed": seed + 1, "max_consecutive_failed_trials": trials + 1}
    oracle = ORACLES[name](**shared, **_OPTIONS.get(name, {}))
    oracle.max_trials = trials
    return oracle


ORACLES: dict[str, Any] = {"random": _Random, "bayesian": _Bayesian, "hyperband": _Hyperband}
"""The searches that have names."""

_OPTIONS: dict[str, dict[str, Any]] = {
    # keras-tuner's own number, three for each hyperparameter, is more than all trials of a usual search.
    "bayesian": {"num_initial_points": 10},
    "hyperband": {
        "max_epochs": HYPERBAND_EPOCHS,
        "factor": HYPERBAND_FACTOR,
        "hyperband_iterations": None,
    },
}


def _write(path: str | Path, state: dict[str, Any]) -> None:
    with atomic_write(path) as file:
        json.dump(state, file, indent=1)
