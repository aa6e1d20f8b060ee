"""All undocumented parts of keras-tuner that this package uses; each has a test.

If a new version breaks one of them, the test with its name in `tests/test_keras_tuner_internals.py` fails.
`Oracle._save_trial` and `Oracle._retry_queue` are used in `tuning/oracles.py`, which overrides them.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np


def is_tuner(value: object) -> bool:
    """Returns whether a value is a tuner, with or without its own loop of trials."""
    import keras_tuner

    return isinstance(value, keras_tuner.engine.base_tuner.BaseTuner)


def find_space(tuner: Any) -> None:
    """Builds a tuner's hypermodel until all of its hyperparameters are known."""
    tuner._populate_initial_space()


def tuner_file(tuner: Any) -> Path:
    """Returns where a tuner keeps its state."""
    return Path(tuner._get_tuner_fname())


def oracle_file(oracle: Any) -> Path:
    """Returns where an oracle keeps its state."""
    return Path(oracle._get_oracle_fname())


def trial_file(oracle: Any, trial_id: str) -> Path:
    """Returns where an oracle keeps a trial."""
    return Path(oracle._get_trial_dir(trial_id)) / "trial.json"


def random_values(oracle: Any) -> dict[str, Any]:
    """Returns the answer of an oracle that draws values at random: a status and the values."""
    found: dict[str, Any] = oracle._random_populate_space()
    return found


def tried_points(oracle: Any) -> tuple[np.ndarray, np.ndarray]:
    """Returns (t, d) points of the trials so far in the unit cube, and (t,) scores; lower is better."""
    points, scores = oracle._vectorize_trials()
    return points, scores


def gaussian_process(oracle: Any) -> Any:
    """Returns the scikit-learn regressor of a Bayesian oracle, not fitted."""
    return oracle._make_gpr()


def values_at(oracle: Any, point: np.ndarray) -> dict[str, Any]:
    """Returns the values of hyperparameters at a (d,) point of the unit cube."""
    found: dict[str, Any] = oracle._vector_to_values(point)
    return found


def was_tried(oracle: Any, values: dict[str, Any]) -> bool:
    """Returns whether a trial had these values."""
    return bool(oracle._duplicate(values))


def dimensions(oracle: Any) -> list[Any]:
    """Returns the hyperparameters that are not fixed, in the order of a point's coordinates."""
    return list(oracle._nonfixed_space())
