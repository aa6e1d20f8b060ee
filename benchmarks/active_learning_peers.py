"""scikit-activeml's strategies as ours: a process of the environment that has it, asked batch after batch."""

from __future__ import annotations

import pickle
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from tfautolabel.active import Chosen, PoolState

PEERS = ("Badge", "TypiClust", "ProbCover", "CoreSet", "UncertaintySampling", "DropQuery")
"""Classes of `skactiveml.pool`; UncertaintySampling is given the margin, which is its best one here."""

WORKER = """
import pickle, sys, warnings
import numpy as np
from skactiveml import pool
from skactiveml.classifier import SklearnClassifier
from sklearn.linear_model import LogisticRegression

warnings.simplefilter("ignore")
known = {}
while True:
    try:
        name, key, X, y, candidates, n, k, seed = pickle.load(sys.stdin.buffer)
    except EOFError:
        break
    options = {"method": "margin_sampling"} if name == "UncertaintySampling" else {}
    if key not in known:  # ProbCover keeps what it has found out about a pool
        known.clear()
        if name == "ProbCover":
            options["n_classes"] = k
        known[key] = getattr(pool, name)(random_state=seed, **options)
    strategy, given = known[key], {}
    if name in ("Badge", "UncertaintySampling", "DropQuery"):
        head = LogisticRegression(C=16, max_iter=1000)
        given["clf"] = SklearnClassifier(head, classes=list(range(k)), random_state=seed)
    rows = strategy.query(X, y, candidates=candidates, batch_size=n, **given)
    pickle.dump(np.asarray(rows), sys.stdout.buffer)
    sys.stdout.buffer.flush()
"""


class Peers:
    """Runs the worker.

    Args:
        python: the interpreter of an environment with scikit-activeml.
    """

    def __init__(self, python: str | Path) -> None:
        self.process = subprocess.Popen(
            [str(python), "-c", WORKER], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )

    def strategy(self, name: str, truth: np.ndarray, n_classes: int, seed: int) -> Callable[..., Chosen]:
        """Returns a peer's strategy; it is told the answers, which our contract does not hold."""

        def choose(state: PoolState, n: int, **_: Any) -> Chosen:
            answers = np.full(len(truth), np.nan)
            answers[state.labelled] = truth[state.labelled]
            units = state.geometry.units(np.arange(len(truth)))
            asked = (name, (name, seed, len(truth)), units, answers, state.open, n, n_classes, seed)
            pickle.dump(asked, self.process.stdin)
            self.process.stdin.flush()
            return Chosen.alike(pickle.load(self.process.stdout), name)

        return choose

    def version(self) -> str:
        """The version of scikit-activeml there."""
        told = [self.process.args[0], "-c", "import skactiveml; print(skactiveml.__version__)"]
        return subprocess.run(told, capture_output=True, text=True, check=True).stdout.strip()

    def close(self) -> None:
        self.process.stdin.close()
        self.process.wait()
