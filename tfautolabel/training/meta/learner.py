"""The meta-learner: learns a map of one backbone's features from earlier labelled sets."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tfautolabel._precision import FLOAT32
from tfautolabel._scratch import restore
from tfautolabel._version import __version__
from tfautolabel.backbones import Backbone, load_backbone
from tfautolabel.data import Dataset, Learnt
from tfautolabel.data.atomic import atomic_folder
from tfautolabel.features import extract_features
from tfautolabel.training.meta.maml import first_order_maml
from tfautolabel.training.meta.prototypes import prototypes
from tfautolabel.training.meta.ridge import ridge
from tfautolabel.training.meta.tasks import Task, common_power, normalized
from tfautolabel.training.meta.whitening import whitening
from tfautolabel.training.meta.worth import worth_of

METHODS: dict[str, Callable[[list[Task], int], np.ndarray]] = {
    "whitening": whitening,
    "prototypes": prototypes,
    "ridge": ridge,
    "maml": first_order_maml,
}
"""Name to a function of tasks, whose features have length one, and a seed that returns a (d, d) matrix."""

FORMAT_VERSION = 1
STATE, MAP = "meta_learner.json", "map.npz"


class MetaLearner:
    """Learns from earlier labelled sets how to scale a backbone's features.

    `Labeler(..., meta_learner=...)` then weighs a head on the scaled features against the plain head, by
    held-out labels of its own task.

    Args:
        backbone: whose features these are: a string for `load_backbone`, or a `Backbone`.
        method: a key of `METHODS`.
        seed: determines everything random.

    Attributes:
        fingerprint: identifies the backbone; other features are refused.
        feature_dim: d.
        matrix_: after `fit`, the map, (d, d) float32; None before.
        power_: the power that features are raised to before the map.
        tasks_: for each task the number of its "examples" and "classes".
        worth_: what maps like this one are worth on the earlier sets, as `worth_of` measures it.
        learnt_: the contents of the examples in data sets; of features it knows none.

    Raises:
        ValueError: If the method is unknown.
    """

    def __init__(
        self, backbone: str | os.PathLike[str] | Backbone, method: str = "whitening", *, seed: int = 0
    ) -> None:
        if method not in METHODS:
            raise ValueError(f"method must be one of {', '.join(METHODS)}. Received: method={method!r}")
        own = backbone if isinstance(backbone, Backbone) else load_backbone(os.fspath(backbone))
        self.method, self.seed = method, seed
        self.handle, self.fingerprint, self.feature_dim = own.handle, own.fingerprint, own.feature_dim
        self._backbone: Backbone | None = own
        self.matrix_: np.ndarray | None = None
        self.power_ = 1.0
        self.tasks_: list[dict[str, int]] = []
        self.worth_: dict[str, Any] = {}
        self.learnt_ = Learnt()

    def fit(
        self,
        tasks: Sequence[Dataset | Task | tuple[np.ndarray, np.ndarray]],
        *,
        cache_dir: str | os.PathLike[str] | None = None,
        progress: bool = True,
    ) -> MetaLearner:
        """Learns the map.

        Args:
            tasks: at least one earlier set: a labelled `Dataset`, whose examples without a label are left
                out, or this backbone's features (n, d) with integer class ids (n,). They should not hold the
                examples that a later labeler learns from: its held-out labels would not be held out. Of data
                sets it knows the contents, and such a labeler does not use the map; of features it does not.
            cache_dir: where features are kept between runs.
            progress: shows progress bars where standard error is a terminal.

        Returns:
            The learner itself.

        Raises:
            ValueError: If there is no task, or one does not fit.
        """
        if not len(tasks):
            raise ValueError("a meta-learner learns from one task or more. Received: no task")
        known = []
        self.learnt_ = Learnt()
        for number, task in enumerate(tasks, 1):
            try:
                known.append(self._task(task, cache_dir, progress))
            except ValueError as error:
                raise ValueError(f"task {number}: {error}") from error
        self.power_ = common_power(known)
        ready = [normalized(task, self.power_) for task in known]
        self.matrix_ = METHODS[self.method](ready, self.seed)
        self.worth_ = worth_of(known, METHODS[self.method], self.seed)
        self.tasks_ = [
            {"examples": len(task.class_ids), "classes": len(np.unique(task.class_ids))} for task in known
        ]
        return self

    def _task(self, task: Any, cache_dir: str | os.PathLike[str] | None, progress: bool) -> Task:
        if isinstance(task, Dataset):
            known = self._extracted(task, cache_dir, progress)
        else:
            known = task if isinstance(task, Task) else Task(*task)
        if known.features.shape[1] != self.feature_dim:
            raise ValueError(
                f"features of {self.handle} have shape (n, {self.feature_dim}). Received: shape "
                f"{known.features.shape}"
            )
        return known

    def _extracted(self, labelled: Dataset, cache_dir: str | os.PathLike[str] | None, progress: bool) -> Task:
        if self._backbone is None:
            self._backbone = load_backbone(self.handle)
            self._check(self._backbone)
        examples = labelled.labelled
        # The map goes with a backbone, wherever it is used, so it is learnt in the precision of all machines.
        found = extract_features(
            examples, self._backbone, cache_dir=cache_dir, progress=progress, precision=FLOAT32
        )
        self.learnt_ = Learnt(self.learnt_.hashes | Learnt.of(examples, found.contents).hashes)
        return Task(found.features, examples.class_ids[found.rows])

    def map_for(self, backbone: Backbone) -> np.ndarray:
        """Returns the map for a backbone's features, (d, d) float32, and refuses another backbone.

        Raises:
            ValueError: If the fingerprint differs.
            RuntimeError: If nothing is learnt yet.
        """
        if self.matrix_ is None:
            raise RuntimeError("this meta-learner has learnt nothing yet: call fit with labelled sets first")
        self._check(backbone)
        return self.matrix_

    def _check(self, backbone: Backbone) -> None:
        if backbone.fingerprint != self.fingerprint:
            raise ValueError(
                f"a meta-learner is for the backbone that it learnt with, {self.handle} with fingerprint "
                f"{self.fingerprint[:12]}. Received: {backbone.handle} with {backbone.fingerprint[:12]}"
            )

    def save(self, folder: str | os.PathLike[str]) -> None:
        """Writes a folder with the map, its method and the backbone's fingerprint.

        Args:
            folder: new, empty, or the folder of an earlier `save`, which is replaced.

        Raises:
            RuntimeError: If nothing is learnt yet.
            FileExistsError: If the folder holds something else.
            OSError: If it cannot be written.
        """
        if self.matrix_ is None:
            raise RuntimeError("this meta-learner has learnt nothing yet: call fit with labelled sets first")
        state = {
            "format_version": FORMAT_VERSION,
            "tfautolabel": __version__,
            "method": self.method,
            "seed": self.seed,
            "backbone": self.handle,
            "fingerprint": self.fingerprint,
            "feature_dim": self.feature_dim,
            "power": self.power_,
            "tasks": self.tasks_,
            "worth": self.worth_,
            "learnt": sorted(self.learnt_.hashes),
        }
        with atomic_folder(folder, own=(STATE, MAP)) as new:
            np.savez(new / MAP, matrix=self.matrix_)
            (new / STATE).write_text(json.dumps(state, indent=2, ensure_ascii=False) + "\n", "utf-8")

    @classmethod
    def load(cls, folder: str | os.PathLike[str]) -> MetaLearner:
        """Reads what `save` wrote, without the backbone.

        Raises:
            FileNotFoundError: If there is no saved meta-learner.
            ValueError: If it is damaged or has another format.
        """
        folder = Path(folder)
        restore(folder)
        if not (folder / STATE).is_file() or not (folder / MAP).is_file():
            raise FileNotFoundError(
                f"a saved meta-learner is a folder with {STATE} and {MAP}. Received: {folder}"
            )
        state = _read(folder / STATE)
        learner = cls.__new__(cls)
        learner._backbone = None
        try:
            learner.method, learner.seed = str(state["method"]), int(state["seed"])
            learner.handle, learner.fingerprint = str(state["backbone"]), str(state["fingerprint"])
            learner.feature_dim, learner.power_ = int(state["feature_dim"]), float(state["power"])
            learner.tasks_ = [dict(task) for task in state["tasks"]]
            learner.worth_ = dict(state.get("worth", {}))
            learner.learnt_ = Learnt(frozenset(map(str, state["learnt"])))
            with np.load(folder / MAP, allow_pickle=False) as arrays:
                matrix = np.asarray(arrays["matrix"], np.float32)
        except (KeyError, TypeError, ValueError, OSError, EOFError) as error:
            raise ValueError(f"{folder} does not hold a whole meta-learner ({error!r})") from error
        size = learner.feature_dim
        if matrix.shape != (size, size) or not np.isfinite(matrix).all():
            raise ValueError(
                f"{folder / MAP} must hold a finite matrix of shape ({size}, {size}). Received: shape "
                f"{matrix.shape}"
            )
        learner.matrix_ = matrix
        return learner


def _read(file: Path) -> dict[str, Any]:
    try:
        state = dict(json.loads(file.read_text("utf-8")))
    except (ValueError, TypeError) as error:
        raise ValueError(f"{file} does not describe a meta-learner ({error})") from error
    if state.get("format_version") != FORMAT_VERSION:
        raise ValueError(
            f"this version reads format {FORMAT_VERSION}. Received: {file} of format "
            f"{state.get('format_version')!r}"
        )
    return state
