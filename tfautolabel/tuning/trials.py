"""The results of the trials of a search: a table, a picture, and TensorBoard logs."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tfautolabel.data.atomic import atomic_write
from tfautolabel.data.writers import unix_csv
from tfautolabel.tuning.cross_validation import ACCURACY, OBJECTIVE

DEFAULT = "default"
"""The name of the trial with the original head or settings."""


@dataclass(frozen=True)
class TrialRow:
    """The result of one trial.

    Attributes:
        name: keras-tuner's number, or "default" for the original head or settings.
        status: "COMPLETED", "FAILED", or another status of keras-tuner.
        loss: cross-validated log loss in nats; None if the trial failed.
        accuracy: cross-validated, in [0, 1]; None if the trial failed or did not measure it.
        values: its hyperparameters.
        error: for a failed trial, the exception and the first line of its message; else "".
    """

    name: str
    status: str
    loss: float | None
    accuracy: float | None
    values: dict[str, Any]
    error: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Returns the row, ready for JSON."""
        return {
            "trial": self.name,
            "status": self.status,
            "log_loss": self.loss,
            "accuracy": self.accuracy,
            "hyperparameters": self.values,
            "error": self.error,
        }


def row_of(trial: Any) -> TrialRow:
    """Returns the row of a `keras_tuner.engine.trial.Trial`."""
    values = {
        name: value
        for name, value in trial.hyperparameters.values.items()
        if not name.startswith("tuner/") or name == "tuner/epochs"
    }
    if trial.status != "COMPLETED":
        return TrialRow(str(trial.trial_id), trial.status, None, None, values, _cause(trial.message))
    return TrialRow(
        str(trial.trial_id), trial.status, _metric(trial, OBJECTIVE), _metric(trial, ACCURACY), values
    )


def _metric(trial: Any, name: str) -> float | None:
    return float(trial.metrics.get_best_value(name)) if trial.metrics.exists(name) else None


def _cause(message: str | None) -> str:
    """Returns the first line of the exception at the end of a traceback."""
    lines = (message or "").strip().splitlines()
    at_margin = [line for line in lines if line and not line[0].isspace()]
    # Everything after the last "Traceback" and its indented lines belongs to the exception.
    starts = [n for n, line in enumerate(at_margin) if line.startswith("Traceback")]
    said = at_margin[starts[-1] + 1 :] if starts else at_margin
    return said[0].strip() if said else ("the objective is not a number" if message is None else "")


def check_completed(rows: Sequence[TrialRow]) -> None:
    """Refuses a search without a completed trial.

    Raises:
        RuntimeError: If no trial was completed.
    """
    if any(row.status == "COMPLETED" for row in rows):
        return
    causes = list(dict.fromkeys(row.error for row in rows if row.error))
    told = causes[0] if causes else "there was no trial"
    raise RuntimeError(f"none of the {len(rows)} trials of the search was completed, because of {told}")


def write_trials(rows: Sequence[TrialRow], folder: Path) -> None:
    """Writes trials.csv, trials.json and trials.svg."""
    names = list(dict.fromkeys(name for row in rows for name in row.values))
    with atomic_write(folder / "trials.csv") as file:
        writer = unix_csv(file)
        writer.writerow(["trial", "status", "log_loss", "accuracy", *names, "error"])
        for row in rows:
            measured = ["" if value is None else f"{value:.6g}" for value in (row.loss, row.accuracy)]
            cells = [row.values.get(name, "") for name in names]
            writer.writerow([row.name, row.status, *measured, *cells, row.error])
    with atomic_write(folder / "trials.json") as file:
        file.write(json.dumps([row.to_dict() for row in rows], indent=1, ensure_ascii=False) + "\n")
    draw_trials(rows, folder / "trials.svg")


_COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7")  # Okabe and Ito's, for colour-blind people too


def draw_trials(rows: Sequence[TrialRow], path: Path) -> None:
    """Draws the log loss of each trial, the best so far, and the default; draws failed trials as crosses."""
    import matplotlib
    from matplotlib.figure import Figure

    searched = [row for row in rows if row.name != DEFAULT]
    done = [(number, row) for number, row in enumerate(searched) if row.loss is not None]
    kinds = list(dict.fromkeys(str(row.values.get("kind", "trial")) for _, row in done))
    with matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": "trials", "text.parse_math": False}):
        figure = Figure(figsize=(7.2, 4.0), layout="constrained")
        axes = figure.subplots()
        for kind, colour in zip(kinds, _COLOURS * len(kinds), strict=False):
            own = [(n, row.loss) for n, row in done if str(row.values.get("kind", "trial")) == kind]
            places, losses = zip(*own, strict=True)
            axes.scatter(places, losses, 36, color=colour, label=kind, zorder=3)
        best: list[float] = []
        for _, row in done:
            best.append(min([*best[-1:], row.loss or 0.0]))
        if done:
            axes.step([n for n, _ in done], best, where="post", color="#555555", label="best so far")
        for row in rows:
            if row.name == DEFAULT and row.loss is not None:
                axes.axhline(row.loss, color="#555555", linestyle="--", linewidth=1, label="default")
        failed = [number for number, row in enumerate(searched) if row.status == "FAILED"]
        floor = axes.get_ylim()[0]
        axes.scatter(failed, [floor] * len(failed), 40, marker="x", color="#b00020", label="failed")
        axes.set(xlabel="trial", ylabel="cross-validated log loss")
        axes.spines[["top", "right"]].set_visible(False)
        axes.legend(frameon=False, fontsize=8)
        with atomic_write(path, "wb") as file:
            figure.savefig(file, format="svg", metadata={"Date": None})


def log_trial(row: TrialRow, folder: Path) -> None:
    """Writes a trial for TensorBoard, with its hyperparameters for the HParams page."""
    import tensorflow as tf
    from tensorboard.plugins.hparams import api

    target = folder / row.name
    for old in target.glob("events.out.tfevents.*"):
        old.unlink()  # a trial that ran again after a kill is still one trial
    writer = tf.summary.create_file_writer(str(target))
    with writer.as_default():
        api.hparams({name: _plain(value) for name, value in row.values.items()}, trial_id=row.name)
        for name, value in ((OBJECTIVE, row.loss), (ACCURACY, row.accuracy)):
            if value is not None:
                tf.summary.scalar(name, value, step=0)
        if row.error:
            tf.summary.text("error", row.error, step=0)
    writer.close()


def _plain(value: object) -> Any:
    return value if isinstance(value, (bool, int, float, str)) else str(value)
