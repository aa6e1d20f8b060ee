"""The labeler: a few labelled examples in, labels for all the others and a servable model out."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np

from tfautolabel._progress import progress_of
from tfautolabel.backbones import Backbone
from tfautolabel.data import Dataset
from tfautolabel.export import export_saved_model
from tfautolabel.features import Extraction, FeatureExtractor, extract_features
from tfautolabel.labeler.checks import check_counts, warn_of_language
from tfautolabel.labeler.model import as_backbone, as_head, build_model, check_classes
from tfautolabel.labeler.storage import restore_labeler, save_labeler
from tfautolabel.labels import ABSTAIN, MIN_CONFIDENCE, Labels, check_min_confidence
from tfautolabel.measures import Evaluation, accuracy_interval, evaluate_predictions
from tfautolabel.measures.classification import warn_of_left_out
from tfautolabel.training import train_head
from tfautolabel.training.class_weights import class_weights
from tfautolabel.training.first_state import FirstState

_HEAD_ROWS = 4096
PART_ROWS = 16_384
"""Rows that are labelled at a time: their features are in memory together."""


class Labeler:
    """Labels data from a few examples: a frozen backbone and a small head trained on its features.

    Args:
        backbone: a string for `load_backbone`, such as "packaged:efficientnet-lite0", a SavedModel's folder,
            or a `Backbone`.
        classes: k names, at least 2; class ids index into them.
        head: "linear", "mlp", or a `keras.Model` from (n, d) features to (n, k) probabilities.
        seed: decides everything random: folds, first weights, order of the batches.
        batch_size: examples in one forward pass of the backbone.
        cache_dir: where features are kept between runs; the package's cache by default.
        min_confidence: in [0, 1], labels less sure than this become `ABSTAIN`.
        progress: shows progress bars where standard error is a terminal.

    Attributes:
        backbone: the feature extractor.
        classes: as received, a tuple.
        head: the Keras model on features.
        model: the Keras model from encoded inputs to probabilities, which shares the head's weights.
        out_of_fold_: after `fit`, (m, k) float32: the probabilities of each labelled example from a head that
            has not seen it, in the order of the examples that could be read.
        cross_validation_: after `fit`, accuracy on those, its 95 % interval, and the counts.
        rejected_: after `fit`, labelled examples that could not be read.

    Raises:
        ValueError: If an argument is out of range or does not fit the others.
    """

    def __init__(
        self,
        backbone: str | os.PathLike[str] | Backbone,
        classes: Sequence[str],
        head: str | keras.Model = "linear",
        *,
        seed: int = 0,
        batch_size: int = 32,
        cache_dir: str | os.PathLike[str] | None = None,
        min_confidence: float = MIN_CONFIDENCE,
        progress: bool = True,
    ) -> None:
        check_classes(classes)
        check_min_confidence(min_confidence)
        self.backbone = as_backbone(backbone)
        self.classes = tuple(classes)
        self.head = as_head(head, self.backbone.feature_dim, len(self.classes), seed)
        self.seed = seed
        self.batch_size = batch_size
        self.cache_dir = cache_dir
        self.min_confidence = min_confidence
        self.progress = progress
        self._fitted = False
        self._foreign = False
        self._first_weights = [(weight, weight.numpy()) for weight in self.head.variables]
        self._first_state: tuple[Any, FirstState] | None = None

    @property
    def model(self) -> keras.Model:
        """The functional Keras model from encoded inputs to probabilities, made of this labeler's parts."""
        return build_model(self.backbone, self.head, self.classes)

    def compile(self, optimizer: Any = "adam", loss: Any = None, metrics: Any = None, **options: Any) -> None:
        """Chooses how `fit` trains the head; without it each head is trained in its own default way.

        Args:
            optimizer: any Keras optimizer; for the linear head also "lbfgs", its default, which solves the
                head as the convex problem that it is.
            loss: sparse categorical cross-entropy by default.
            metrics: accuracy by default.
            **options: of `keras.Model.compile`.
        """
        self.head.compile(
            optimizer=optimizer,
            loss=loss or "sparse_categorical_crossentropy",
            metrics=["accuracy"] if metrics is None else metrics,
            **options,
        )

    def fit(
        self,
        labelled: Dataset,
        *,
        class_weight: str | dict[str, float] | None = None,
        extraction: Extraction | None = None,
        **fit_options: Any,
    ) -> Any:
        """Trains the head on the labelled examples and cross-validates it.

        Every call starts from the head's first weights: what an earlier call has seen would make the
        cross-validation too good.

        Args:
            labelled: examples with labels; those without are ignored, those that cannot be read set aside.
            class_weight: "balanced" to let every class weigh the same in all, or a weight by class name.
            extraction: what `extract` gave for `labelled`, to spare looking it up again.
            **fit_options: of `keras.Model.fit`, such as epochs and callbacks, for gradient training.

        Returns:
            The `keras.callbacks.History`.

        Raises:
            ValueError: If a label is none of the classes, or a class has no example that can be read.
        """
        labelled = (labelled.labelled if extraction is None else labelled).with_classes(self.classes)
        extraction = self.extract(labelled) if extraction is None else extraction
        class_ids = labelled.class_ids[extraction.rows]
        if (class_ids == ABSTAIN).any():
            raise ValueError(
                "an extraction for fit must hold labelled examples only. Received: some have no label"
            )
        check_counts(class_ids, self.classes, extraction.rejected)
        self._foreign = warn_of_language(self.backbone.handle, labelled)
        warn_of_left_out(len(labelled), extraction.rejected)
        weights = class_weights(class_weight, class_ids, self.classes)
        if not getattr(self.head, "compiled", False):
            self.compile()
        self._restart()
        training = train_head(
            self.head,
            extraction.features,
            class_ids,
            class_weight=weights,
            seed=self.seed,
            **fit_options,
        )
        self.out_of_fold_ = training.out_of_fold
        correct = int(np.count_nonzero(training.out_of_fold.argmax(axis=1) == class_ids))
        self.cross_validation_ = {
            "accuracy": correct / len(class_ids),
            "accuracy_interval_95": list(accuracy_interval(correct, len(class_ids))),
            "examples": len(class_ids),
            "folds": training.n_folds,
        }
        self.rejected_ = extraction.rejected
        self._fitted = True
        return training.history

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
            min_confidence: in [0, 1]; by default the labeler's.
            extraction: what `extract` gave for `pool`, to spare looking it up again.

        Returns:
            One row for each example that could be read, `ABSTAIN` where the label is not sure enough; the
            others are in `rejected`.

        Raises:
            RuntimeError: If the labeler is not fitted.
            ValueError: If `min_confidence` is not in [0, 1].
        """
        threshold = self.min_confidence if min_confidence is None else min_confidence
        check_min_confidence(threshold)
        if extraction is None:
            self._foreign = self._foreign or warn_of_language(self.backbone.handle, pool)
        extraction, probabilities = self._probabilities(pool, extraction)
        return Labels.from_probabilities(
            pool.ids[extraction.rows], probabilities, self.classes, threshold, rejected=extraction.rejected
        )

    def label_parts(
        self, pool: Dataset, *, min_confidence: float | None = None, part_rows: int = PART_ROWS
    ) -> Iterator[tuple[Extraction, Labels]]:
        """Labels a pool part by part, so that however large it is, one part at a time is in memory.

        Args:
            pool: examples; labels that they may have are not looked at.
            min_confidence: in [0, 1]; by default the labeler's.
            part_rows: rows in a part.

        Yields:
            What `extract` and `label` give for each part, in the order of the pool.

        Raises:
            RuntimeError: If the labeler is not fitted.
            ValueError: If `min_confidence` is not in [0, 1].
        """
        self._check_fitted()
        self._foreign = self._foreign or warn_of_language(self.backbone.handle, pool)
        extractor = self.extractor()
        with progress_of(len(pool), "labelling", self.progress) as advance:
            for start in range(0, len(pool), part_rows):
                part = pool.subset(np.arange(start, min(start + part_rows, len(pool))))
                extraction = extractor.extract(part, advance)
                yield extraction, self.label(part, min_confidence=min_confidence, extraction=extraction)

    def evaluate(self, dataset: Dataset) -> Evaluation:
        """Measures the labels against known ones.

        Examples without a label are left out, and with a warning those that cannot be read.

        Args:
            dataset: labelled examples that the labeler was not fitted on.

        Raises:
            RuntimeError: If the labeler is not fitted.
            ValueError: If a label is none of the classes, or no labelled example can be read.
        """
        self._check_fitted()
        labelled = dataset.labelled.with_classes(self.classes)
        extraction, probabilities = self._probabilities(labelled)
        warn_of_left_out(len(labelled), extraction.rejected)
        return evaluate_predictions(
            labelled.class_ids[extraction.rows], probabilities.argmax(axis=1), self.classes
        )

    def export(
        self,
        folder: str | os.PathLike[str],
        *,
        overwrite: bool = False,
        details: dict[str, Any] | None = None,
    ) -> Path:
        """Writes a SavedModel that needs nothing but TensorFlow, and checks it; see `export_saved_model`.

        Args:
            folder: the version folder, such as saved_models/flowers/1, or the model's folder, in which the
                next number is taken.
            overwrite: whether a version that is there already is replaced.
            details: further entries for its labeler.json.

        Returns:
            The version folder.

        Raises:
            RuntimeError: If the labeler is not fitted.
            FileExistsError: If the version is there already and `overwrite` is False.
            CheckFailure: If the SavedModel does not give what `predict` gives.
        """
        self._check_fitted()

        def predict(encoded: list[bytes]) -> np.ndarray:
            examples = Dataset.from_inputs(encoded, modality=self.backbone.modality)
            extraction = extract_features(examples, self.backbone, use_cache=False, progress=False)
            whole = np.zeros((len(encoded), len(self.classes)), np.float32)
            whole[extraction.rows] = self._head_probabilities(extraction.features)
            return whole

        known = {"head": self.head.name, "cross_validation": self.cross_validation_}
        return export_saved_model(
            folder,
            self.backbone,
            self.head,
            self.classes,
            self.min_confidence,
            predict,
            known | (details or {}),
            overwrite,
        )

    def save(self, folder: str | os.PathLike[str]) -> None:
        """Writes backbone, head and settings, so that `Labeler.load` can go on from here.

        Args:
            folder: made if it is not there; what an earlier `save` wrote in it is replaced.

        Raises:
            RuntimeError: If the labeler is not fitted.
        """
        self._check_fitted()
        save_labeler(self, folder)

    @classmethod
    def load(
        cls, folder: str | os.PathLike[str], *, cache_dir: str | os.PathLike[str] | None = None
    ) -> Labeler:
        """Reads what `save` wrote; a head of your own classes needs them imported first, as Keras says.

        Args:
            folder: the folder given to `save`. A SavedModel in it runs its graph: load only what you trust.
            cache_dir: where features are kept between runs.

        Raises:
            FileNotFoundError: If there is no saved labeler.
        """
        return restore_labeler(cls, folder, cache_dir)

    def _restart(self) -> None:
        """Puts the head and its optimizer back to where they were before the first fit."""
        for variable, value in self._first_weights:
            variable.assign(value)
        if self._first_state is None or self._first_state[0] is not self.head.optimizer:
            self._first_state = self.head.optimizer, FirstState(self.head)
        self._first_state[1].restore()

    def _probabilities(
        self, dataset: Dataset, extraction: Extraction | None = None
    ) -> tuple[Extraction, np.ndarray]:
        self._check_fitted()
        extraction = self.extract(dataset) if extraction is None else extraction
        return extraction, self._head_probabilities(extraction.features)

    def _head_probabilities(self, features: np.ndarray) -> np.ndarray:
        # Called part by part: each labeler's own `predict` would trace a graph for so small a network.
        starts = range(0, len(features), _HEAD_ROWS)
        parts = [self.head(features[start : start + _HEAD_ROWS], training=False) for start in starts]
        empty = np.zeros((0, len(self.classes)), np.float32)
        return np.concatenate([empty, *map(keras.ops.convert_to_numpy, parts)])

    def _check_fitted(self) -> None:
        if not self._fitted:
            raise RuntimeError("this labeler is not fitted yet: call fit with labelled examples first")
