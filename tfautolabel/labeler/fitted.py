"""A fitted labeler: everything that labels come from, and no method that changes it."""

from __future__ import annotations

import functools
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import keras
import numpy as np

from tfautolabel._progress import progress_of
from tfautolabel.data import Dataset, Learnt
from tfautolabel.data.folds import content_order
from tfautolabel.data.learnt import rows_to_measure
from tfautolabel.features import Extraction
from tfautolabel.heads.calibrated import calibrated_head
from tfautolabel.heads.meta import MetaHead
from tfautolabel.heads.voting import voted_head
from tfautolabel.labeler.checks import LanguageWarning
from tfautolabel.labeler.judging import HeldOut, cross_validation_of
from tfautolabel.labeler.reading import ExtractParts, Reading
from tfautolabel.labeler.voting import Voting
from tfautolabel.labels import Labels, check_min_confidence
from tfautolabel.measures import Evaluation, evaluate_predictions
from tfautolabel.measures.classification import warn_of_left_out
from tfautolabel.measures.shift import Shift, other_population, sample_of
from tfautolabel.trust import Calibration, Certificate, OodGate, calibrate_sets
from tfautolabel.trust.acceptance import Acceptance
from tfautolabel.trust.binomial import check_levels
from tfautolabel.trust.earned import Earned
from tfautolabel.trust.labelled import Judged, counted
from tfautolabel.trust.reference import Reference

_HEAD_ROWS = 4096
PART_ROWS = 16_384
"""How many rows are labelled at a time; their features are in memory together."""


@dataclass(frozen=True, eq=False)
class Fitted:
    """A fitted labeler.

    Attributes:
        reading: turns examples into features.
        head: the Keras model on features, before the calibration.
        classes: k names.
        calibration: corrects the head's probabilities.
        gate: refuses examples unlike all labelled ones; None if there were too few labels for a gate.
        earned: what held-out labels support.
        held_out: the held-out predictions for the labelled examples.
        learnt: the examples that the labeler has learnt from.
        min_confidence: in [0, 1], labels with a lower confidence are not accepted.
        seed: determines the random numbers for sets of labels.
        language: warns once about texts in a language that the backbone was not trained on.
        certificate: the certificate that accepts labels; None to accept labels by confidence.
        voting: makes labels depend on the votes of rules on the example too; None if they do not.
        shift: what differs between the labelled examples and the pool of the fit; None if there was too
            little to compare.
        reference: what the pool of the fit looks like, so that a model can notice other examples; None
            without a pool, or for a small one.
    """

    reading: Reading
    head: keras.Model
    classes: tuple[str, ...]
    calibration: Calibration
    gate: OodGate | None
    earned: Earned
    held_out: HeldOut
    learnt: Learnt
    min_confidence: float
    seed: int
    language: LanguageWarning
    certificate: Certificate | None = None
    voting: Voting | None = None
    shift: Shift | None = None
    reference: Reference | None = None

    @functools.cached_property
    def served_head(self) -> keras.Model:
        """The head and the calibration as one model, which shares the head's weights.

        It takes features, and with `voting` votes too.
        """
        calibration = self.calibration
        head = self.head.served() if isinstance(self.head, MetaHead) else self.head
        if self.voting is not None:
            mixing = self.voting.mixing
            return voted_head(head, self.head.normalization, mixing, calibration.scale, calibration.bias)
        if calibration.kind == "identity":
            return head
        feature_dim = self.reading.backbone.feature_dim
        return calibrated_head(head, feature_dim, calibration.scale, calibration.bias)

    @property
    def cross_validation(self) -> dict[str, Any]:
        """The cross-validation for a record; see `cross_validation_of`."""
        return cross_validation_of(self.held_out, self.classes)

    @property
    def acceptance(self) -> Acceptance:
        """The rule that accepts labels, from certificate or confidence, held-out labels and gate."""
        return self._acceptance(None)

    def predict(self, data: Dataset | Sequence[bytes] | Sequence[str]) -> np.ndarray:
        """Returns the probability of every class for every example.

        Args:
            data: n examples, or their encoded bytes, or texts.

        Returns:
            (n, k) float32, rows sum to 1; a row of zeros, and a warning, if an example cannot be read.

        Raises:
            RuntimeError: Of a `Labeler`, if it is not fitted.
        """
        modality = self.reading.backbone.modality
        dataset = data if isinstance(data, Dataset) else Dataset.from_inputs(data, modality=modality)
        extraction, probabilities = self.probabilities(dataset)
        if extraction.unreadable:
            first = extraction.unreadable[0]
            warnings.warn(
                f"{len(extraction.unreadable):,} of {len(dataset):,} examples could not be read and have "
                f"zeros for probabilities; the first is {first.id}: {first.reason}",
                stacklevel=3,
            )
        whole = np.zeros((len(dataset), len(self.classes)), np.float32)
        whole[extraction.rows] = probabilities
        return whole

    def label(
        self, pool: Dataset, *, min_confidence: float | None = None, extraction: Extraction | None = None
    ) -> Labels:
        """Labels every example of the pool.

        Args:
            pool: examples; labels that they may have are not looked at.
            min_confidence: in [0, 1], replaces the certificate's threshold, or the labeler's own without a
                certificate. Labels are then accepted even if held-out labels do not support it.
            extraction: the result of `extract` for `pool`, so that it need not be looked up again.

        Returns:
            One row for each example that could be read; the other examples are in `unreadable`. A label that
            is not accepted has the class id `ABSTAIN` and a reason: not sure enough, unlike all labelled
            examples, not earned (see `earned_`), or not certified. An impossible certificate accepts nothing.

        Raises:
            RuntimeError: Of a `Labeler`, if it is not fitted.
            ValueError: If `min_confidence` is not in [0, 1].
        """
        acceptance = self._acceptance(min_confidence)
        if extraction is None:
            self.language.once(self.reading.backbone.handle, pool)
        extraction, probabilities = self.probabilities(pool, extraction)
        ood_score = None if self.gate is None else self.gate.score(extraction.features)
        reason = acceptance.reasons(probabilities.max(axis=1), probabilities.argmax(axis=1), ood_score)
        return Labels.from_probabilities(
            pool.ids[extraction.rows],
            probabilities,
            self.classes,
            unreadable=extraction.unreadable,
            reason=reason,
            ood_score=ood_score,
        )

    def label_parts(
        self, pool: Dataset, *, min_confidence: float | None = None, part_rows: int = PART_ROWS
    ) -> Iterator[Labels]:
        """Labels a pool part by part, so that only one part of even a large pool is in memory.

        Args:
            pool: examples; any labels that they have are ignored.
            min_confidence: in [0, 1]; as in `label`.
            part_rows: how many rows a part has.

        Yields:
            What `label` returns for each part, in the order of the pool.

        Raises:
            RuntimeError: Of a `Labeler`, if it is not fitted.
            ValueError: If `min_confidence` is not in [0, 1].
        """
        for _, labels in self.extracted_parts(pool, min_confidence=min_confidence, part_rows=part_rows):
            yield labels

    def extracted_parts(
        self,
        pool: Dataset,
        *,
        min_confidence: float | None = None,
        part_rows: int = PART_ROWS,
        extraction: Extraction | None = None,
        extract_parts: ExtractParts | None = None,
    ) -> Iterator[tuple[Extraction, Labels]]:
        """Like `label_parts`, but yields the result of `extract` for each part too.

        Args:
            pool: examples.
            min_confidence: in [0, 1]; as in `label`.
            part_rows: how many rows a part has.
            extraction: the result of `extract` for all of `pool`; the pool is then one part.
            extract_parts: extracts the parts, elsewhere perhaps; by default this process does.
        """
        self.language.once(self.reading.backbone.handle, pool)
        if extraction is not None:
            yield extraction, self.label(pool, min_confidence=min_confidence, extraction=extraction)
            return

        def parts() -> Iterator[Dataset]:
            for start in range(0, len(pool), part_rows):
                yield pool.subset(np.arange(start, min(start + part_rows, len(pool))))

        with progress_of(len(pool), "labelling", self.reading.progress) as advance:
            found = (extract_parts or self.reading.extract_parts)(parts(), advance)
            for part, extraction in zip(parts(), found, strict=True):
                yield extraction, self.label(part, min_confidence=min_confidence, extraction=extraction)

    def evaluate(self, dataset: Dataset) -> Evaluation:
        """Measures the predicted labels against known ones.

        Leaves out examples without a label. With a warning, it also leaves out examples that cannot be read
        and examples that the labeler was fitted on, recognised by their contents. If the labeler was fitted
        on all of them, it measures these, with a warning and `learnt_from` in the result: that is not an
        accuracy.

        Args:
            dataset: labelled examples.

        Raises:
            RuntimeError: Of a `Labeler`, if it is not fitted.
            ValueError: If a label is none of the classes, or no labelled example can be read.
        """
        labelled = dataset.labelled.with_classes(self.classes)
        extraction, probabilities = self.probabilities(labelled)
        warn_of_left_out(len(labelled), extraction.unreadable)
        learnt_from = self.learnt.among(labelled, extraction.contents)[extraction.rows]
        kept = rows_to_measure(learnt_from)
        return evaluate_predictions(
            labelled.class_ids[extraction.rows][kept],
            probabilities[kept].argmax(axis=1),
            self.classes,
            learnt_from=int((learnt_from & kept).sum()),
        )

    def certify(
        self,
        target_error: float,
        *,
        confidence: float = 0.95,
        held_out: Dataset | None = None,
        pool: Dataset | None = None,
        per_class: bool = False,
    ) -> Certificate:
        """Finds which labels can be accepted so that at most a given share of them is wrong.

        From now on, a `Labeler` and the models that it exports accept labels by this certificate: labels with
        at least the certificate's threshold as confidence, for examples that are not unlike all labelled
        ones. If no certificate is possible (`possible` is False), nothing is accepted, unless `label` gets a
        `min_confidence`.

        With `held_out` the statement is certified: it holds with the confidence, if these examples were drawn
        at random from the same source as the pool and took no part in `fit`. Without `held_out` it is
        estimated from the cross-validation of the labelled examples, and it is no guarantee. Both are about
        labels that pass the gate.

        A certificate holds for its population only: it is refused if `pool`, or without `held_out` the pool
        of the fit, is shown to be of another population than these labelled examples.

        Args:
            target_error: in (0, 1), the largest share of wrong labels among the accepted ones.
            confidence: in (0, 1).
            held_out: labelled examples that `fit` has not seen.
            pool: the examples to label, to count how many of them are accepted and, with `held_out`, to
                compare both.
            per_class: whether each predicted class gets its own threshold and meets the target.

        Returns:
            The certificate.

        Raises:
            ValueError: If a level is not in (0, 1), or a label of `held_out` is none of the classes.
        """
        check_levels(target_error, confidence)
        seen = self.held_out.judging
        judged = Judged(seen.probabilities, seen.class_ids, seen.refused, "out_of_fold")
        other = self.earned.other_population
        if held_out is not None:
            labelled = held_out.labelled.with_classes(self.classes)
            extraction, probabilities = self.probabilities(labelled)
            truth, refused = labelled.class_ids[extraction.rows], self.refuses(extraction.features)
            judged = Judged(probabilities, truth, refused, "held_out")
            other = None if pool is None else self._other_population(judged, extraction.features, pool)
        certificate = judged.certify(self.classes, target_error, confidence, per_class)
        certificate = certificate if other is None else certificate.refused(other)
        if pool is None:
            return certificate
        return counted(certificate, self.classes, replace(self, certificate=certificate).label_parts(pool))

    def prediction_sets(
        self, pool: Dataset, *, coverage: float = 0.9, method: str = "lac", per_class: bool = False
    ) -> tuple[np.ndarray, Labels]:
        """Returns for each example a set of classes that contains the right one with a stated probability.

        These are conformal sets, calibrated with the out-of-fold probabilities of the labelled examples
        (cross-conformal prediction, Vovk, arXiv 1208.0806). Split conformal prediction guarantees the
        coverage on average over examples drawn like the labelled ones. Here the labeler that makes the sets
        has seen all labelled examples, so it is surer than the cross-validated ones. The coverage therefore
        holds only approximately, without a proof.

        Args:
            pool: examples; any labels that they have are ignored.
            coverage: in (0, 1), how often the right class is in the set.
            method: "lac" for the smallest sets, "aps" or "raps" for sets that are larger for hard examples.
            per_class: whether the coverage must hold within each class.

        Returns:
            (n, k) bool, and the n labels that `label` returns; one row for each example that could be read.

        Raises:
            RuntimeError: Of a `Labeler`, if it is not fitted.
            ValueError: If the method is unknown or the coverage is not in (0, 1).
        """
        seen = self.held_out.judging
        order = content_order(seen.probabilities, seen.class_ids)
        sets = calibrate_sets(
            seen.probabilities[order],
            seen.class_ids[order],
            coverage,
            method,
            per_class=per_class,
            seed=self.seed,
        )
        labels = self.label(pool)
        return sets.sets(labels.probabilities), labels

    def refuses(self, features: np.ndarray) -> np.ndarray:
        """Returns (n,) bool: which of (n, d) features the gate refuses; none without a gate."""
        return np.zeros(len(features), bool) if self.gate is None else self.gate.refuses(features)

    def _other_population(self, judged: Judged, features: np.ndarray, pool: Dataset) -> float | None:
        """Returns the p-value that shows that a pool is of another population than (n, d) held-out features.

        Shares of the classes that differ are enough: what was certified holds for the mixture of all classes.
        """
        of_pool = self.reading.extract(sample_of(pool, self.seed)).features
        sides = features[~judged.refused], of_pool[~self.refuses(of_pool)]
        return other_population(*sides, seed=self.seed)

    def probabilities(
        self, dataset: Dataset, extraction: Extraction | None = None
    ) -> tuple[Extraction, np.ndarray]:
        """Returns the features of the readable examples, and their (m, k) float32 probabilities."""
        self.reading.check_same(extraction)
        extraction = self.reading.extract(dataset) if extraction is None else extraction
        votes = None
        if self.voting is not None:
            votes = self.voting.graph.votes(dataset.subset(extraction.rows))
        return extraction, self._of_features(extraction.features, votes)

    def _of_features(self, features: np.ndarray, votes: np.ndarray | None) -> np.ndarray:
        """Returns the (n, k) float32 probabilities for (n, d) features and, with `voting`, (n, m) votes."""
        # Calls the small network part by part: `predict` would trace a graph for each labeler.
        starts, head = range(0, len(features), _HEAD_ROWS), self.served_head

        def called(rows: slice) -> Any:
            return head(features[rows] if votes is None else [features[rows], votes[rows]], training=False)

        parts = [called(slice(start, start + _HEAD_ROWS)) for start in starts]
        empty = np.zeros((0, len(self.classes)), np.float32)
        return np.concatenate([empty, *map(keras.ops.convert_to_numpy, parts)])

    def _acceptance(self, min_confidence: float | None) -> Acceptance:
        above = np.inf if self.gate is None else self.gate.threshold
        # Without any person's label, a confidence is not calibrated: a bound on it would mean nothing.
        own = self.min_confidence if self.earned.labels else 0.0
        chosen = own if min_confidence is None else min_confidence
        check_min_confidence(chosen)
        if min_confidence is not None:
            return Acceptance.by_confidence(chosen, len(self.classes), above)
        if self.certificate is None:
            return Acceptance.by_confidence(chosen, len(self.classes), above).after(self.earned)
        rule = Acceptance.by_certificate(self.certificate, self.classes, chosen, above)
        # A certificate from examples that took no part in the fit needs no further evidence.
        return rule if self.certificate.kind == "certified" else rule.after(self.earned, with_floor=False)
