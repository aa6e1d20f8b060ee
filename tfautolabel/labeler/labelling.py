"""Labelling with a backbone and a head that are fitted."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator, Sequence

import keras
import numpy as np

from tfautolabel._progress import progress_of
from tfautolabel.backbones import Backbone
from tfautolabel.data import Dataset, Learnt
from tfautolabel.data.learnt import rows_to_measure
from tfautolabel.features import Extraction, FeatureExtractor
from tfautolabel.heads.calibrated import calibrated_head
from tfautolabel.labeler.checks import warn_of_language
from tfautolabel.labels import Labels, check_min_confidence
from tfautolabel.measures import Evaluation, evaluate_predictions
from tfautolabel.measures.classification import warn_of_left_out
from tfautolabel.trust import Calibration, Certificate, UnlikeGate
from tfautolabel.trust.acceptance import Acceptance
from tfautolabel.trust.earned import Earned

_HEAD_ROWS = 4096
PART_ROWS = 16_384
"""Rows that are labelled at a time: their features are in memory together."""


class Labelling:
    """What a labeler does with its backbone, head and calibration once they are fitted; see `Labeler`."""

    backbone: Backbone
    head: keras.Model
    classes: tuple[str, ...]
    batch_size: int
    cache_dir: str | os.PathLike[str] | None
    min_confidence: float
    progress: bool
    calibration_: Calibration
    unlike_: UnlikeGate | None
    certificate_: Certificate | None
    learnt_: Learnt
    earned_: Earned
    _fitted: bool
    _foreign: bool

    @property
    def served_head(self) -> keras.Model:
        """The head and the calibration of its probabilities as one model; they share their weights."""
        calibration = self.calibration_
        if calibration.kind == "identity":
            return self.head
        return calibrated_head(self.head, self.backbone.feature_dim, calibration.scale, calibration.bias)

    @property
    def acceptance(self) -> Acceptance:
        """By which labels are accepted: certificate or confidence, what held-out labels bear out, gate."""
        return self._acceptance(None)

    def extract(self, dataset: Dataset) -> Extraction:
        """The features of every example, computed or from the cache, as `fit` and `label` use them."""
        with progress_of(len(dataset), "extracting features", self.progress) as advance:
            return self.extractor().extract(dataset, advance)

    def extractor(self) -> FeatureExtractor:
        """The backbone with its cache open, for several data sets one after the other."""
        return FeatureExtractor(self.backbone, batch_size=self.batch_size, cache_dir=self.cache_dir)

    def predict(self, data: Dataset | Sequence[bytes] | Sequence[str]) -> np.ndarray:
        """Probabilities of every class for every example.

        Args:
            data: n examples, or their encoded bytes, or texts.

        Returns:
            (n, k) float32, rows sum to 1; a row of zeros, and a warning, where an example cannot be read.

        Raises:
            RuntimeError: If the labeler is not fitted.
        """
        dataset = (
            data if isinstance(data, Dataset) else Dataset.from_inputs(data, modality=self.backbone.modality)
        )
        extraction, probabilities = self._probabilities(dataset)
        if extraction.rejected:
            first = extraction.rejected[0]
            warnings.warn(
                f"{len(extraction.rejected):,} of {len(dataset):,} examples could not be read and have zeros "
                f"for probabilities; the first is {first.id}: {first.reason}",
                stacklevel=2,
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
            min_confidence: in [0, 1], instead of the certificate's threshold or, where `certify` was not
                called, of the labeler's own; then accepted without regard to what held-out labels bear out.
            extraction: what `extract` gave for `pool`, to spare looking it up again.

        Returns:
            One row for each example that could be read, `ABSTAIN` where the label is not accepted, with the
            reason: not sure enough, unlike all that was labelled, not earned (see `earned_`), or not
            certified; the others are in `rejected`. A certificate that is impossible accepts nothing.

        Raises:
            RuntimeError: If the labeler is not fitted.
            ValueError: If `min_confidence` is not in [0, 1].
        """
        acceptance = self._acceptance(min_confidence)
        if extraction is None:
            self._foreign = self._foreign or warn_of_language(self.backbone.handle, pool)
        extraction, probabilities = self._probabilities(pool, extraction)
        ood_score = None if self.unlike_ is None else self.unlike_.score(extraction.features)
        reason = acceptance.reasons(probabilities.max(axis=1), probabilities.argmax(axis=1), ood_score)
        return Labels.from_probabilities(
            pool.ids[extraction.rows],
            probabilities,
            self.classes,
            rejected=extraction.rejected,
            reason=reason,
            ood_score=ood_score,
        )

    def label_parts(
        self,
        pool: Dataset,
        *,
        min_confidence: float | None = None,
        part_rows: int = PART_ROWS,
        extraction: Extraction | None = None,
    ) -> Iterator[tuple[Extraction, Labels]]:
        """Labels a pool part by part, so that however large it is, one part at a time is in memory.

        Args:
            pool: examples; labels that they may have are not looked at.
            min_confidence: in [0, 1]; as in `label`.
            part_rows: rows in a part.
            extraction: what `extract` gave for all of `pool`, which then is one part and not looked up again.

        Yields:
            What `extract` and `label` give for each part, in the order of the pool.

        Raises:
            RuntimeError: If the labeler is not fitted.
            ValueError: If `min_confidence` is not in [0, 1].
        """
        self._check_fitted()
        self._foreign = self._foreign or warn_of_language(self.backbone.handle, pool)
        if extraction is not None:
            yield extraction, self.label(pool, min_confidence=min_confidence, extraction=extraction)
            return
        extractor = self.extractor()
        with progress_of(len(pool), "labelling", self.progress) as advance:
            for start in range(0, len(pool), part_rows):
                part = pool.subset(np.arange(start, min(start + part_rows, len(pool))))
                extraction = extractor.extract(part, advance)
                yield extraction, self.label(part, min_confidence=min_confidence, extraction=extraction)

    def evaluate(self, dataset: Dataset) -> Evaluation:
        """Measures the labels against known ones.

        Examples without a label are left out, and with a warning those that cannot be read and those that
        the labeler was fitted on, by their contents. If it was fitted on all of them, these are measured,
        with a warning and `learnt_from` in what is returned: that is no accuracy.

        Args:
            dataset: labelled examples.

        Raises:
            RuntimeError: If the labeler is not fitted.
            ValueError: If a label is none of the classes, or no labelled example can be read.
        """
        self._check_fitted()
        labelled = dataset.labelled.with_classes(self.classes)
        extraction, probabilities = self._probabilities(labelled)
        warn_of_left_out(len(labelled), extraction.rejected)
        learnt_from = self.learnt_.among(labelled, extraction.contents)[extraction.rows]
        kept = rows_to_measure(learnt_from)
        return evaluate_predictions(
            labelled.class_ids[extraction.rows][kept],
            probabilities[kept].argmax(axis=1),
            self.classes,
            learnt_from=int((learnt_from & kept).sum()),
        )

    def _acceptance(self, min_confidence: float | None) -> Acceptance:
        self._check_fitted()
        above = np.inf if self.unlike_ is None else self.unlike_.threshold
        chosen = self.min_confidence if min_confidence is None else min_confidence
        check_min_confidence(chosen)
        if min_confidence is not None:
            return Acceptance.by_confidence(chosen, len(self.classes), above)
        certificate = self.certificate_
        if certificate is None:
            return Acceptance.by_confidence(chosen, len(self.classes), above).after(self.earned_)
        rule = Acceptance.by_certificate(certificate, self.classes, chosen, above)
        # What examples that took no part in the fit certify needs no other evidence.
        return rule if certificate.kind == "certified" else rule.after(self.earned_, with_floor=False)

    def _probabilities(
        self, dataset: Dataset, extraction: Extraction | None = None
    ) -> tuple[Extraction, np.ndarray]:
        self._check_fitted()
        extraction = self.extract(dataset) if extraction is None else extraction
        return extraction, self._head_probabilities(extraction.features)

    def _head_probabilities(self, features: np.ndarray) -> np.ndarray:
        # Called part by part: each labeler's own `predict` would trace a graph for so small a network.
        starts, head = range(0, len(features), _HEAD_ROWS), self.served_head
        parts = [head(features[start : start + _HEAD_ROWS], training=False) for start in starts]
        empty = np.zeros((0, len(self.classes)), np.float32)
        return np.concatenate([empty, *map(keras.ops.convert_to_numpy, parts)])

    def _check_fitted(self) -> None:
        if not self._fitted:
            raise RuntimeError("this labeler is not fitted yet: call fit with labelled examples first")
