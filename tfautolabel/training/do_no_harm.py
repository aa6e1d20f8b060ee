"""Tuning that does no harm: a tuned backbone replaces the frozen one only if the labels support it.

Both are cross-validated on the same folds and compared example by example. Every fold repeats the whole
training of the tuned one.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np

from tfautolabel.backbones.backbone import Backbone
from tfautolabel.data import Dataset
from tfautolabel.data.atomic import atomic_write
from tfautolabel.data.folds import stratified_folds
from tfautolabel.measures import standard_error
from tfautolabel.training.backbone_training import BackboneTraining
from tfautolabel.training.contrastive import ContrastiveSettings, ContrastiveTuning
from tfautolabel.training.fine_tune import FineTuneSettings, FineTuning, calibrated_loss
from tfautolabel.training.first_state import FirstState
from tfautolabel.training.moving_part import DivergedError, OutOfTimeError
from tfautolabel.training.parameters import Snapshot

METHODS: dict[str, tuple[Any, Any]] = {
    "model": (FineTuning, FineTuneSettings),
    "contrastive": (ContrastiveTuning, ContrastiveSettings),
}
"""Name to the class that tunes and the class of its settings."""

NOISE = 1.28
"""How many standard errors a difference must exceed to count: a one-sided 90 % bound."""

DEMANDS = ("better", "not worse")
"""What cross-validation must say about a tuned backbone, beyond noise, so that it is kept."""


@dataclass(frozen=True)
class Comparison:
    """A comparison of the frozen and the tuned backbone on the same held-out examples.

    Attributes:
        frozen_accuracy: in [0, 1].
        tuned_accuracy: in [0, 1].
        frozen_log_loss: mean, in nats, after calibration.
        tuned_log_loss: mean, in nats, after calibration.
        gain: how much tuning lowers the log loss.
        noise: the standard error of the gain.
    """

    frozen_accuracy: float
    tuned_accuracy: float
    frozen_log_loss: float
    tuned_log_loss: float
    gain: float
    noise: float

    @property
    def is_better(self) -> bool:
        """Whether tuning lowers the loss beyond noise and does not make more mistakes."""
        return self.gain > NOISE * self.noise and self.tuned_accuracy >= self.frozen_accuracy

    @property
    def is_worse(self) -> bool:
        """Whether tuning harms beyond noise."""
        return self.gain < -NOISE * self.noise

    def __str__(self) -> str:
        return (
            f"cross-validated accuracy {self.frozen_accuracy:.1%} frozen, {self.tuned_accuracy:.1%} tuned; "
            f"log loss {self.frozen_log_loss:.3f} and {self.tuned_log_loss:.3f}, a gain of "
            f"{self.gain:+.3f} ± {self.noise:.3f}"
        )


@dataclass(frozen=True, eq=False)
class TransferResult:
    """The result of tuning.

    Attributes:
        kept: whether the tuned backbone and head are kept.
        reason: why, in a sentence.
        comparison: the result of cross-validation; None if it was not finished.
        out_of_fold: (n, k) float32, each example's probabilities from the tuned backbone and head that had
            not seen it; None if they are not kept.
        n_folds: how many folds the cross-validation has.
        epochs: after how many epochs the training stopped; None if it is not kept.
    """

    kept: bool
    reason: str
    comparison: Comparison | None
    out_of_fold: np.ndarray | None
    n_folds: int
    epochs: int | None

    def to_dict(self) -> dict[str, Any]:
        """Returns the result for a record, ready for JSON."""
        compared = None if self.comparison is None else asdict(self.comparison)
        return {"kept": self.kept, "reason": self.reason, "comparison": compared, "epochs": self.epochs}


def compare_and_keep(
    method: str,
    backbone: Backbone,
    head: keras.Model,
    dataset: Dataset,
    class_ids: np.ndarray,
    *,
    settings: FineTuneSettings | ContrastiveSettings | None = None,
    demand: str = "better",
    class_weight: dict[int, float] | None = None,
    n_folds: int = 3,
    seed: int = 0,
    groups: np.ndarray | None = None,
    until: float | None = None,
    checkpoints: Path | None = None,
    head_options: dict[str, Any] | None = None,
    advance: Callable[[int], None] = lambda _: None,
) -> TransferResult:
    """Tunes a backbone and a head if cross-validation supports it; else leaves them unchanged.

    Args:
        method: a key of `METHODS`.
        backbone: changed in place if the tuned one is kept.
        head: compiled and not trained on any of the examples; trained in place if the tuned one is kept.
        dataset: n labelled examples that can all be read.
        class_ids: (n,) int64 in [0, k).
        settings: the settings of the method.
        demand: "better" to keep what is better beyond noise, "not worse" to keep what is not worse.
        class_weight: class id to weight.
        n_folds: how many folds the cross-validation has.
        seed: determines folds, views and batches.
        groups: (n,) int64, equal for copies of one example, which are held out together.
        until: a time of `time.monotonic` at which everything must be over.
        checkpoints: a folder for states of exactly this training; it continues from them and removes them.
        head_options: options of `keras.Model.fit`, for a head that is trained step by step.
        advance: called after each of the `n_folds + 1` trainings.

    Returns:
        The result of tuning.

    Raises:
        ValueError: If method, demand or settings are not valid, or no parameter can be trained.
    """
    if method not in METHODS or demand not in DEMANDS:
        raise ValueError(
            f"method is one of {', '.join(METHODS)} and demand one of {', '.join(DEMANDS)}. Received: "
            f"{method!r} and {demand!r}"
        )
    kind, settings_kind = METHODS[method]
    settings = settings_kind() if settings is None else settings
    if not isinstance(settings, settings_kind):
        raise ValueError(f"settings of {method} are {settings_kind.__name__}. Received: {settings!r}")
    first_head, first_state = Snapshot(head.variables), FirstState(head)
    folds = stratified_folds(class_ids, n_folds, seed, groups=groups)
    tuned: TransferResult
    with kind(
        backbone, head, dataset, class_ids, settings,
        class_weight=class_weight, seed=seed, head_options=head_options,
    ) as tuning:  # fmt: skip
        kept = False
        try:
            tuned = _tune(tuning, folds, first_state, demand, until, checkpoints, advance)
            kept = tuned.kept
        except OutOfTimeError:
            tuned = _given_up("it would have taken longer than it may", folds)
        except DivergedError as error:
            tuned = _given_up(str(error), folds)
        finally:
            # Also after an interrupt: nobody can use a half-tuned backbone.
            if not kept:
                tuning.part.restart()
                first_head.restore()
    if checkpoints is not None:
        shutil.rmtree(checkpoints, ignore_errors=True)
    return tuned


def _given_up(reason: str, folds: np.ndarray) -> TransferResult:
    return TransferResult(False, reason, None, None, len(np.unique(folds)), None)


def _tune(
    tuning: BackboneTraining,
    folds: np.ndarray,
    first_state: FirstState,
    demand: str,
    until: float | None,
    checkpoints: Path | None,
    advance: Callable[[int], None],
) -> TransferResult:
    class_ids = tuning.part.class_ids
    names = np.unique(folds)
    frozen = np.zeros((len(folds), int(class_ids.max()) + 1), np.float32)
    held_out: list[tuple[np.ndarray, list[np.ndarray]]] = []
    for name in names:
        rows = np.flatnonzero(folds == name)
        others = np.flatnonzero(folds != name)
        first_state.restore()
        tuning.probe(others)
        frozen[rows] = keras.ops.convert_to_numpy(tuning.head(tuning.frozen[rows], training=False))
        first_state.restore()
        held_out.append((rows, _fold(tuning, others, rows, until, checkpoints, int(name))))
        advance(1)
    epochs, probabilities = _best_epoch(held_out, class_ids)
    comparison = compare(frozen, probabilities, class_ids)
    keep = comparison.is_better if demand == "better" else not comparison.is_worse
    if not keep:
        verdict = "worse" if demand == "not worse" else "not better"
        return TransferResult(
            False, f"it is {verdict} beyond noise: {comparison}", comparison, None, len(names), None
        )
    first_state.restore()
    tuning.run(
        np.arange(len(folds)),
        stop_after=epochs,
        until=until,
        checkpoint=None if checkpoints is None else checkpoints / "all.npz",
    )
    advance(1)
    verdict = "better" if demand == "better" else "not worse"
    return TransferResult(
        True, f"it is {verdict} beyond noise: {comparison}", comparison, probabilities, len(names), epochs
    )


def _fold(
    tuning: BackboneTraining,
    others: np.ndarray,
    rows: np.ndarray,
    until: float | None,
    checkpoints: Path | None,
    name: int,
) -> list[np.ndarray]:
    """Returns a fold's held-out probabilities after each epoch, computed or from an interrupted run."""
    if checkpoints is None:
        return tuning.run(others, rows, until=until)
    done = checkpoints / f"fold{name}.npz"
    if done.is_file():
        with np.load(done, allow_pickle=False) as kept:
            return [kept[place] for place in kept.files]
    predicted = tuning.run(others, rows, until=until, checkpoint=checkpoints / f"fold{name}.partial.npz")
    with atomic_write(done, "wb") as file:
        np.savez(file, *predicted)
    return predicted


def _best_epoch(
    held_out: list[tuple[np.ndarray, list[np.ndarray]]], class_ids: np.ndarray
) -> tuple[int, np.ndarray]:
    """Returns the common epoch of all folds with the lowest calibrated loss, and its probabilities."""
    best, lowest, chosen = 0, np.inf, np.zeros((0, 0), np.float32)
    for epoch, probabilities in enumerate(probabilities_by_epoch(held_out)):
        loss = float(calibrated_loss(probabilities, class_ids).mean())
        if loss < lowest:
            best, lowest, chosen = epoch + 1, loss, probabilities
    return best, chosen


def probabilities_by_epoch(held_out: list[tuple[np.ndarray, list[np.ndarray]]]) -> list[np.ndarray]:
    """Returns all held-out probabilities, (n, k) float32, after each epoch that every fold has.

    Args:
        held_out: for each fold, the rows that it holds out, and their probabilities after each epoch.
    """
    count = sum(len(rows) for rows, _ in held_out)
    found = []
    for predicted in zip(*(predicted for _, predicted in held_out), strict=False):
        whole = np.zeros((count, predicted[0].shape[1]), np.float32)
        for (rows, _), probabilities in zip(held_out, predicted, strict=True):
            whole[rows] = probabilities
        found.append(whole)
    return found


def compare(frozen: np.ndarray, tuned: np.ndarray, class_ids: np.ndarray) -> Comparison:
    """Compares two sets of held-out probabilities, each with its own temperature.

    Args:
        frozen: (n, k).
        tuned: (n, k).
        class_ids: (n,) int64, the truth.
    """
    losses = [calibrated_loss(probabilities, class_ids) for probabilities in (frozen, tuned)]
    gains = losses[0] - losses[1]
    return Comparison(
        float((frozen.argmax(axis=1) == class_ids).mean()),
        float((tuned.argmax(axis=1) == class_ids).mean()),
        float(losses[0].mean()),
        float(losses[1].mean()),
        float(gains.mean()),
        standard_error(gains),
    )
