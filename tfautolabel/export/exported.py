"""Labels with an exported SavedModel, without Keras and without downloading a backbone."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from tfautolabel._ahead import map_ahead
from tfautolabel._errors import named
from tfautolabel._forks import refuse_after_fork
from tfautolabel._model_folder import DESCRIPTION, newest_version, read_description
from tfautolabel._progress import progress_of
from tfautolabel.data import Dataset, Learnt, ReadFailure, Unreadable
from tfautolabel.data.learnt import learnt_rows, rows_to_measure
from tfautolabel.data.remote_models import local_model
from tfautolabel.data.row_groups import read_ahead
from tfautolabel.export.population import Seen, other_population_of
from tfautolabel.export.requirements import import_requirements
from tfautolabel.features.batches import Example, byte_lengths, even_batches
from tfautolabel.labels import Labels, check_min_confidence
from tfautolabel.measures import Evaluation, evaluate_predictions
from tfautolabel.measures.classification import warn_of_left_out
from tfautolabel.measures.shift import other_population, sample_of
from tfautolabel.preprocessors import why_unreadable
from tfautolabel.trust import Certificate
from tfautolabel.trust.acceptance import Acceptance
from tfautolabel.trust.binomial import check_levels
from tfautolabel.trust.labelled import Judged, counted

_TRIES = 3
"""The number of attempts to load a model that is replaced during loading."""

PART_ROWS = 16_384
"""The number of rows to label at a time."""

MAX_BYTES = 32 * 1024 * 1024
"""The most encoded bytes in one call: enough for a batch of anything except very long clips."""


class ExportedLabeler:
    """A SavedModel that `Labeler.export` wrote, ready to label.

    Attributes:
        folder: the model's folder.
        classes: k class names.
        modality: the modality of its inputs.
        min_confidence: the lowest accepted confidence if nothing was certified.
        acceptance: the rule for which labels are accepted, unless the caller gives another.
        certificate: the guarantee for the accepted labels, or None.
        description: the content of labeler.json.
    """

    def __init__(self, folder: Path, description: dict[str, Any], model: Any) -> None:
        self.folder = folder
        self.description = description
        self.classes = tuple(description["classes"])
        self.modality = description["modality"]
        self.min_confidence = float(description["min_confidence"])
        self._model = model  # functions do not keep their variables alive
        self._serve = model.signatures["serving_default"]
        # Models of earlier versions have no gate, and one threshold for all classes.
        self._judge = getattr(model, "judge", None) or (lambda examples: self._serve(examples=examples))
        self.acceptance = (
            Acceptance.from_dict(description["acceptance"])
            if "acceptance" in description
            else Acceptance.by_confidence(self.min_confidence, len(self.classes))
        )
        found = description.get("certificate")
        self.certificate = None if found is None else Certificate.from_dict(found)

    @property
    def sample_rate(self) -> int | None:
        """Returns the samples per second that the backbone takes, or None if it takes no sound."""
        rate: int | None = self.description.get("preprocessor", {}).get("sample_rate")
        return rate

    @property
    def module(self) -> Any:
        """Returns the loaded SavedModel, with the functions of `LabelingModule`."""
        return self._model

    def predict(self, examples: Sequence[bytes]) -> np.ndarray:
        """Returns the (n, k) float32 probabilities of n encoded files, with zeros for an unreadable file."""
        return np.asarray(
            self._serve(examples=tf.constant(list(examples), tf.string))["probabilities"].numpy()
        )

    def label(
        self,
        dataset: Dataset,
        *,
        min_confidence: float | None = None,
        batch_size: int = 32,
        progress: bool = True,
        advance: Callable[[int], None] | None = None,
    ) -> Labels:
        """Labels every example of a data set.

        Args:
            dataset: n examples, labelled or not.
            min_confidence: in [0, 1], instead of the thresholds that the model was exported with.
            batch_size: examples in one call.
            progress: whether to show a progress bar if standard error is a terminal.
            advance: replaces the bar; called with the number of newly finished examples.

        Returns:
            One row for each example that could be read, with the reason if the label is not accepted. The
            others are in `unreadable`.

        Raises:
            ValueError: If the modality does not fit or an argument is out of range.
        """
        refuse_after_fork()
        if dataset.modality != self.modality:
            raise ValueError(f"this model labels {self.modality} data. Received: {dataset.modality} data")
        if batch_size < 1:
            raise ValueError(f"batch_size must be at least 1. Received: batch_size={batch_size}")
        acceptance = self.acceptance
        if min_confidence is not None:
            check_min_confidence(min_confidence)
            above = acceptance.ood_above
            acceptance = Acceptance.by_confidence(min_confidence, len(self.classes), above)
        probabilities = np.zeros((len(dataset), len(self.classes)), np.float32)
        ood_score = np.full(len(dataset), np.nan, np.float32)
        reasons: dict[int, str] = {}
        with progress_of(len(dataset), "labelling", progress and advance is None) as bar:
            batches = self._batches(dataset, batch_size, reasons)
            # Two calls run at once. One decodes while the other is in the network.
            for batch, outputs in map_ahead(self._label_batch, batches, threads=2):
                for position, example in enumerate(batch):
                    probabilities[example.row] = outputs["probabilities"][position]
                    ood_score[example.row] = outputs["ood_score"][position]
                    if outputs["class_id"][position] < 0:
                        reasons[example.row] = self._why_unreadable(example.encoded)
                (advance or bar)(len(batch))
        kept = np.array([row for row in range(len(dataset)) if row not in reasons], np.int64)
        unreadable = [Unreadable(dataset.ids[row], reason) for row, reason in sorted(reasons.items())]
        found = probabilities[kept]
        return Labels.from_probabilities(
            dataset.ids[kept].tolist(),
            found,
            self.classes,
            unreadable=unreadable,
            reason=acceptance.reasons(found.max(axis=1), found.argmax(axis=1), ood_score[kept]),
            ood_score=ood_score[kept],
        )

    def label_parts(
        self,
        dataset: Dataset,
        *,
        min_confidence: float | None = None,
        batch_size: int = 32,
        progress: bool = True,
        part_rows: int = PART_ROWS,
    ) -> Iterator[Labels]:
        """Labels a data set part by part, with only one part in memory at a time.

        Args:
            dataset: n examples, labelled or not.
            min_confidence: in [0, 1], instead of the thresholds that the model was exported with.
            batch_size: examples in one call.
            progress: whether to show a progress bar if standard error is a terminal.
            part_rows: rows in a part.

        Yields:
            The result of `label` for each part, in the order of the data set.

        Raises:
            ValueError: If the modality does not fit or an argument is out of range.
        """
        with progress_of(len(dataset), "labelling", progress) as advance:
            for start in range(0, len(dataset), part_rows):
                part = dataset.subset(np.arange(start, min(start + part_rows, len(dataset))))
                yield self.label(part, min_confidence=min_confidence, batch_size=batch_size, advance=advance)

    def _label_batch(self, batch: list[Example]) -> tuple[list[Example], dict[str, np.ndarray]]:
        return batch, self._outputs(batch, "probabilities", "class_id", "ood_score")

    def _outputs(self, batch: list[Example], *names: str) -> dict[str, np.ndarray]:
        """Returns outputs of the model by their names; models of earlier versions give no score."""
        outputs = self._judge(tf.constant([example.encoded for example in batch], tf.string))
        found = {name: outputs[name].numpy() for name in names if name in outputs}
        return {"ood_score": np.full(len(batch), np.nan, np.float32)} | found

    def _batches(self, dataset: Dataset, size: int, reasons: dict[int, str]) -> Iterator[list[Example]]:
        """Yields the examples that can be read, as many as fit together; see `_readable`."""
        lengths = None if self.modality == "image" else byte_lengths
        return even_batches(self._readable(dataset, size, reasons), size, MAX_BYTES, lengths)

    def _readable(self, dataset: Dataset, count: int, reasons: dict[int, str]) -> Iterator[Example]:
        """Yields the examples whose bytes can be read, and writes to `reasons` why the others cannot."""
        for some in read_ahead(dataset, count, self.sample_rate):
            for row, value, _ in some:
                if isinstance(value, ReadFailure):
                    reasons[row] = str(value)
                else:
                    yield Example(row, value, b"")
            del some, value  # these must not stay in memory while the next ones are read

    def _why_unreadable(self, encoded: bytes) -> str:
        return why_unreadable(self.modality, encoded, **self.description["limits"])

    def evaluate(
        self,
        dataset: Dataset,
        *,
        batch_size: int = 32,
        progress: bool = True,
        learnt: Learnt | None = None,
    ) -> Evaluation:
        """Compares the labels with those of a labelled data set.

        Examples without a label are left out. Unreadable examples and training examples are also left out,
        with a warning. If all are training examples, they are measured, with a warning and `learnt_from` in
        the result.

        Args:
            dataset: examples whose labels are among `classes`.
            batch_size: examples in one call.
            progress: whether to show a progress bar if standard error is a terminal.
            learnt: the training examples, such as `Learnt.of(labelled)`. An export does not contain them.

        Raises:
            ValueError: If a label is not one of the classes, or no labelled example can be read.
        """
        labels, class_ids = self.label_known(dataset, batch_size=batch_size, progress=progress)
        learnt_from = learnt_rows(learnt, dataset, labels)
        kept = rows_to_measure(learnt_from)
        predicted, known = labels.probabilities[kept].argmax(axis=1), int((learnt_from & kept).sum())
        return evaluate_predictions(class_ids[kept], predicted, self.classes, learnt_from=known)

    def certify(
        self,
        target_error: float,
        *,
        confidence: float = 0.95,
        held_out: Dataset | None = None,
        pool: Dataset | None = None,
        per_class: bool = False,
    ) -> Certificate:
        """Finds out which labels can be accepted, and uses this rule from now on; see `Labeler.certify`.

        Args:
            target_error: in (0, 1), the highest allowed share of wrong labels among the accepted ones.
            confidence: in (0, 1).
            held_out: labelled examples that were not used in training. An export contains none.
            pool: the examples to label, to count how many are accepted. The certificate is refused if they
                are shown to be of another population.
            per_class: whether each predicted class gets its own threshold and meets the target.

        Raises:
            ValueError: If `held_out` is missing, a level is not in (0, 1), or a label is not one of the
                classes.
        """
        check_levels(target_error, confidence)
        if held_out is None:
            raise ValueError("an exported model holds no labelled examples: give held_out=. Received: none")
        labels, truth = self.label_known(held_out)
        above = self.acceptance.ood_above
        judged = Judged(labels.probabilities, truth, labels.ood_score > np.float32(above), "held_out")
        found = judged.certify(self.classes, target_error, confidence, per_class)
        if pool is not None:
            sides = [self.judge(sample_of(side)) for side in (held_out.labelled, pool)]
            other = other_population(*(side.features[~side.unlike] for side in sides))
            found = found if other is None else found.refused(other)
        self.acceptance = Acceptance.by_certificate(found, self.classes, self.min_confidence, above)
        self.certificate = found if pool is None else counted(found, self.classes, self.label_parts(pool))
        return self.certificate

    def other_population(self, dataset: Dataset, *, seed: int = 0) -> float | None:
        """Tests whether examples are unlike those the labels were judged on; see `other_population_of`."""
        return other_population_of(self.module, self.judge, dataset, seed=seed)

    def judge(self, dataset: Dataset, *, batch_size: int = 32) -> Seen:
        """Returns what the model sees in each example that can be read.

        Args:
            dataset: examples of the model's modality.
            batch_size: examples in one call.
        """
        parts = []
        for batch in self._batches(dataset, batch_size, {}):
            found = self._outputs(batch, "features", "class_id", "ood_score")
            if "features" not in found:  # a model of an earlier version
                encoded = tf.constant([example.encoded for example in batch], tf.string)
                found["features"] = self._model.signatures["features"](examples=encoded)["features"].numpy()
            could = found["class_id"] >= 0
            unlike = found["ood_score"] > np.float32(self.acceptance.ood_above)
            parts.append([column[could] for column in (found["features"], found["class_id"], unlike)])
        if not parts:
            return Seen(np.zeros((0, 1), np.float32), np.zeros(0, np.int64), np.zeros(0, bool))
        return Seen(*map(np.concatenate, zip(*parts, strict=True)))

    def label_known(
        self, dataset: Dataset, *, batch_size: int = 32, progress: bool = True
    ) -> tuple[Labels, np.ndarray]:
        """Labels examples that already have labels, for a comparison.

        Args:
            dataset: the same as for `evaluate`.
            batch_size: examples in one call.
            progress: whether to show a progress bar if standard error is a terminal.

        Returns:
            n labels of the model, and (n,) int64, the labels of the data set.

        Raises:
            ValueError: If a label is not one of the classes, or no labelled example can be read.
        """
        labelled = dataset.labelled.with_classes(self.classes)
        labels = self.label(labelled, batch_size=batch_size, progress=progress)
        warn_of_left_out(len(labelled), labels.unreadable)
        truth = dict(zip(labelled.ids, labelled.class_ids, strict=True))
        return labels, np.array([truth[name] for name in labels.ids], np.int64)


def load_exported(folder: str | os.PathLike[str]) -> ExportedLabeler:
    """Loads an exported SavedModel. This runs its graph: load only what you trust.

    Args:
        folder: a version folder, or a model's folder, whose highest version is used; or the address of one in
            a store, which is fetched into the cache.

    Returns:
        The model, ready to label.

    Raises:
        FileNotFoundError: If there is no exported model.
        MissingExtraError: If its graph needs a package that is not installed.
        ValueError: If it is damaged or has another format.
        RuntimeError: In a process that was forked after TensorFlow was used.
    """
    refuse_after_fork()
    folder = local_model(folder)
    for _ in range(_TRIES):
        version = newest_version(folder)
        before = _identity(version)
        try:
            loaded = _load(version)
        except (ValueError, FileNotFoundError):
            if _identity(version) == before:
                raise
            continue
        if _identity(version) == before:
            return loaded
    raise ValueError(f"the exported model is replaced again and again. Received: {folder}")


def _identity(folder: Path) -> tuple[int, int] | None:
    """Returns an identity of the folder, which changes if another folder replaces it.

    A load during the replacement could mix old and new files.
    """
    try:
        status = folder.stat()
    except FileNotFoundError:
        return None
    return status.st_ino, status.st_ctime_ns


def _load(folder: Path) -> ExportedLabeler:
    description = read_description(folder)
    import_requirements(description["requires"])
    try:
        model = tf.saved_model.load(os.fspath(folder))
        classes = [name.decode("utf-8") for name in model.class_names().numpy()]
    except (ValueError, OSError, KeyError, RuntimeError, AttributeError, tf.errors.OpError) as error:
        raise ValueError(
            f"the exported model cannot be loaded ({named(error)}). Received: {folder}; "
            f"`tfautolabel check {folder}` says more"
        ) from error
    if description["classes"] != classes:
        raise ValueError(
            f"{folder / DESCRIPTION} must list the classes that the model knows, {classes}. Received: "
            f"{description['classes']}"
        )
    return ExportedLabeler(folder, description, model)
