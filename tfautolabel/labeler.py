"""The labeler: a few labelled examples in, labels for all the others and a servable model out."""

from __future__ import annotations

import json
import os
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np

from tfautolabel._version import __version__
from tfautolabel.backbones import Backbone, load_backbone
from tfautolabel.data import Dataset
from tfautolabel.data.atomic import atomic_write
from tfautolabel.export import export_saved_model
from tfautolabel.features import Extraction, extract_features
from tfautolabel.heads import build_head
from tfautolabel.labels import ABSTAIN, Labels, Rejected
from tfautolabel.measures import Evaluation, accuracy_interval, evaluate_predictions
from tfautolabel.training import train_head

MIN_CONFIDENCE = 0.8
"""Labels less sure than this are not accepted, unless the caller chooses another bound."""

_STATE, _HEAD, _BACKBONE = "labeler_state.json", "head.keras", "backbone"


def build_model(
    backbone: str | Backbone, head: str | keras.Model, classes: Sequence[str], *, seed: int = 0
) -> keras.Model:
    """The plain functional Keras model from encoded inputs to probabilities, for whoever wants Keras alone.

    Args:
        backbone: a string for `load_backbone`, or a backbone. It stays frozen.
        head: a key of `HEADS`, or a model from (n, d) features to (n, k) probabilities.
        classes: k names, at least 2.
        seed: decides the first weights of a head given by name.

    Returns:
        A model from (n,) strings, the encoded files, to (n, k) float32 probabilities; a row of zeros where an
        input cannot be read.

    Raises:
        ValueError: If the head or the classes do not fit.
    """
    backbone = load_backbone(backbone) if isinstance(backbone, str) else backbone
    _check_classes(classes)
    head = build_head(head, backbone.feature_dim, len(classes), seed) if isinstance(head, str) else head
    _check_head(head, backbone.feature_dim, len(classes))
    examples = keras.Input((), dtype="string", name="examples")
    pixels, readable = backbone.preprocessor(examples)
    features = backbone.network(pixels, training=False)
    probabilities = head(features)
    readable = keras.ops.cast(keras.ops.expand_dims(readable, -1), probabilities.dtype)
    return keras.Model(examples, probabilities * readable, name="labeler")


class Labeler:
    """Labels data from a few examples: a frozen backbone and a small head trained on its features.

    Args:
        backbone: a string for `load_backbone`, such as "packaged:efficientnet-lite0", or a `Backbone`.
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
        backbone: str | Backbone,
        classes: Sequence[str],
        head: str | keras.Model = "linear",
        *,
        seed: int = 0,
        batch_size: int = 32,
        cache_dir: str | os.PathLike[str] | None = None,
        min_confidence: float = MIN_CONFIDENCE,
        progress: bool = True,
    ) -> None:
        _check_classes(classes)
        if not 0.0 <= min_confidence <= 1.0:
            raise ValueError(f"min_confidence must lie in [0, 1]. Received: min_confidence={min_confidence}")
        self.backbone = load_backbone(backbone) if isinstance(backbone, str) else backbone
        self.classes = tuple(classes)
        self.head = (
            build_head(head, self.backbone.feature_dim, len(self.classes), seed) if isinstance(head, str) else head
        )
        _check_head(self.head, self.backbone.feature_dim, len(self.classes))
        self.seed = seed
        self.batch_size = batch_size
        self.cache_dir = cache_dir
        self.min_confidence = min_confidence
        self.progress = progress
        self._fitted = False

    @property
    def model(self) -> keras.Model:
        """The functional Keras model from encoded inputs to probabilities, made of this labeler's parts."""
        return build_model(self.backbone, self.head, self.classes)

    def compile(self, optimizer: Any = "adam", loss: Any = None, metrics: Any = None, **options: Any) -> None:
        """Chooses how `fit` trains the head; without it each head is trained in its own default way.

        Args:
            optimizer: any Keras optimizer; for the linear head also "lbfgs", its default, which solves the head
                as the convex problem that it is.
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

        Args:
            labelled: examples with labels; those without are ignored, those that cannot be read set aside.
            class_weight: "balanced" to let every class weigh the same in all, or a weight for each class name.
            extraction: what `extract` gave for `labelled`, to spare looking it up again.
            **fit_options: of `keras.Model.fit`, such as epochs and callbacks, for gradient training.

        Returns:
            The `keras.callbacks.History`.

        Raises:
            ValueError: If a label is none of the classes, or a class has no example that can be read.
        """
        if extraction is None:
            labelled = labelled.labelled
            extraction = self.extract(labelled)
        class_ids = labelled.with_classes(self.classes).class_ids[extraction.rows]
        if (class_ids == ABSTAIN).any():
            raise ValueError("an extraction for fit must hold labelled examples only. Received: some have no label")
        self._check_counts(class_ids, extraction)
        if not getattr(self.head, "compiled", False):
            self.compile()
        training = train_head(
            self.head,
            extraction.features,
            class_ids,
            class_weight=self._class_weights(class_weight, class_ids),
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
        return extract_features(
            dataset,
            self.backbone,
            batch_size=self.batch_size,
            cache_dir=self.cache_dir,
            progress=self.progress,
        )

    def predict(self, data: Dataset | Sequence[bytes]) -> np.ndarray:
        """Probabilities of every class for every example.

        Args:
            data: n examples, or their encoded bytes.

        Returns:
            (n, k) float32, rows sum to 1; a row of zeros, and a warning, where an example cannot be read.

        Raises:
            RuntimeError: If the labeler is not fitted.
        """
        dataset = data if isinstance(data, Dataset) else Dataset.from_inputs(list(data), modality=self.backbone.modality)
        extraction, probabilities = self._probabilities(dataset)
        if extraction.rejected:
            first = extraction.rejected[0]
            warnings.warn(
                f"{len(extraction.rejected):,} of {len(dataset):,} examples could not be read and have zeros for "
                f"probabilities; the first is {first.id}: {first.reason}",
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
            One row for each example that could be read, `ABSTAIN` where the label is not sure enough; the others
            are in `rejected`.

        Raises:
            RuntimeError: If the labeler is not fitted.
            ValueError: If `min_confidence` is not in [0, 1].
        """
        extraction, probabilities = self._probabilities(pool, extraction)
        threshold = self.min_confidence if min_confidence is None else min_confidence
        return Labels.from_probabilities(
            pool.ids[extraction.rows], probabilities, self.classes, threshold, rejected=extraction.rejected
        )

    def evaluate(self, dataset: Dataset) -> Evaluation:
        """Measures the labels against known ones; examples without a label or unreadable are left out.

        Args:
            dataset: labelled examples that the labeler was not fitted on.

        Raises:
            RuntimeError: If the labeler is not fitted.
            ValueError: If a label is none of the classes, or no labelled example can be read.
        """
        labelled = dataset.labelled.with_classes(self.classes)
        extraction, probabilities = self._probabilities(labelled)
        return evaluate_predictions(
            labelled.class_ids[extraction.rows], probabilities.argmax(axis=1), self.classes
        )

    def export(
        self, folder: str | os.PathLike[str], *, overwrite: bool = False, details: dict[str, Any] | None = None
    ) -> Path:
        """Writes a SavedModel that needs nothing but TensorFlow, and checks it; see `export_saved_model`.

        Args:
            folder: the version folder, such as saved_models/flowers/1, or the model's folder, in which the next
                number is taken.
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
        folder = Path(folder)
        self.backbone.save(folder / _BACKBONE)
        self.head.save(folder / _HEAD)
        state = {
            "format_version": 1,
            "tfautolabel": __version__,
            "classes": list(self.classes),
            "seed": self.seed,
            "batch_size": self.batch_size,
            "min_confidence": self.min_confidence,
            "cross_validation": self.cross_validation_,
            "out_of_fold": self.out_of_fold_.tolist(),
            "rejected": [list(pair) for pair in self.rejected_],
        }
        with atomic_write(folder / _STATE) as file:
            json.dump(state, file, indent=2)

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
        folder = Path(folder)
        if not (folder / _STATE).is_file():
            raise FileNotFoundError(
                f"a saved labeler is a folder with {_STATE}. Received: {folder}; an exported SavedModel is read by "
                "load_labeler"
            )
        state = json.loads((folder / _STATE).read_text(encoding="utf-8"))
        labeler = cls(
            Backbone.load(folder / _BACKBONE),
            state["classes"],
            keras.saving.load_model(folder / _HEAD),
            seed=state["seed"],
            batch_size=state["batch_size"],
            cache_dir=cache_dir,
            min_confidence=state["min_confidence"],
        )
        labeler.cross_validation_ = state["cross_validation"]
        labeler.out_of_fold_ = np.array(state["out_of_fold"], np.float32)
        labeler.rejected_ = tuple(Rejected(*pair) for pair in state["rejected"])
        labeler._fitted = True
        return labeler

    def _probabilities(
        self, dataset: Dataset, extraction: Extraction | None = None
    ) -> tuple[Extraction, np.ndarray]:
        self._check_fitted()
        extraction = self.extract(dataset) if extraction is None else extraction
        return extraction, self._head_probabilities(extraction.features)

    def _head_probabilities(self, features: np.ndarray) -> np.ndarray:
        if not len(features):
            return np.zeros((0, len(self.classes)), np.float32)
        return np.asarray(self.head.predict(features, batch_size=4096, verbose=0), np.float32)

    def _check_fitted(self) -> None:
        if not self._fitted:
            raise RuntimeError("this labeler is not fitted yet: call fit with labelled examples first")

    def _check_counts(self, class_ids: np.ndarray, extraction: Extraction) -> None:
        counts = np.bincount(class_ids, minlength=len(self.classes))
        missing = [self.classes[class_id] for class_id in np.flatnonzero(counts == 0)]
        if missing:
            unread = f"; {len(extraction.rejected)} labelled examples could not be read" if extraction.rejected else ""
            raise ValueError(
                f"every class needs a labelled example that can be read. Received: none of {', '.join(missing)}{unread}"
            )
        single = [self.classes[class_id] for class_id in np.flatnonzero(counts == 1)]
        if single:
            warnings.warn(
                f"only one labelled example of {', '.join(single)}: its class cannot be cross-validated, and more "
                "examples will help most there",
                stacklevel=3,
            )

    def _class_weights(self, given: str | dict[str, float] | None, class_ids: np.ndarray) -> dict[int, float] | None:
        if given is None:
            return None
        if given == "balanced":
            counts = np.bincount(class_ids, minlength=len(self.classes))
            return {i: len(class_ids) / (len(self.classes) * int(count)) for i, count in enumerate(counts)}
        if isinstance(given, str) or set(given) - set(self.classes) or min(given.values(), default=1.0) <= 0.0:
            raise ValueError(
                f"class_weight is 'balanced' or a positive number for names among {', '.join(self.classes)}. "
                f"Received: class_weight={given!r}"
            )
        return {i: float(given.get(name, 1.0)) for i, name in enumerate(self.classes)}


def _check_classes(classes: Sequence[str]) -> None:
    if isinstance(classes, str) or len(set(classes)) != len(classes) or len(classes) < 2 or not all(classes):
        raise ValueError(f"classes are at least two distinct names. Received: classes={classes!r}")


def _check_head(head: keras.Model, feature_dim: int, n_classes: int) -> None:
    """Runs the head on made-up features, which tells more than its declared shapes."""
    features = np.random.default_rng(0).normal(size=(2, feature_dim)).astype(np.float32)
    try:
        output = keras.ops.convert_to_numpy(head(features, training=False))
    except ValueError as error:
        raise ValueError(f"the head does not take features of shape (n, {feature_dim}): {error}") from error
    if output.shape != (2, n_classes):
        raise ValueError(
            f"the head must give shape (n, {n_classes}), one probability a class. Received: (n, {output.shape[1:]})"
        )
    if output.min() < 0.0 or not np.allclose(output.sum(axis=1), 1.0, atol=1e-3):
        raise ValueError("the head must give probabilities: end it in a softmax. Received: rows that do not sum to 1")
