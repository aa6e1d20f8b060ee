"""The labeler: a few labelled examples in, labels for all the others and a servable model out."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import keras
import numpy as np

from tfautolabel._progress import working
from tfautolabel.backbones import Backbone
from tfautolabel.data import Dataset, Learnt
from tfautolabel.data.folds import content_order
from tfautolabel.export import export_saved_model
from tfautolabel.features import Extraction, extract_features
from tfautolabel.labeler.checks import check_counts, warn_of_language
from tfautolabel.labeler.judging import can_be_judged, cross_validation_of
from tfautolabel.labeler.model import as_backbone, as_head, build_model, check_classes
from tfautolabel.labeler.storage import restore_labeler, save_labeler
from tfautolabel.labeler.transfer import check_transfer, copy_parameters, tune_labeler
from tfautolabel.labeler.trusting import Trusting
from tfautolabel.labels import ABSTAIN, MIN_CONFIDENCE, check_min_confidence
from tfautolabel.measures.classification import warn_of_left_out
from tfautolabel.training import ContrastiveSettings, FineTuneSettings, train_head
from tfautolabel.training.class_weights import class_weights
from tfautolabel.training.do_no_harm import TransferResult
from tfautolabel.training.feature_transfer import untrained_copy
from tfautolabel.training.first_state import FirstState
from tfautolabel.training.parameters import Snapshot
from tfautolabel.trust import Calibration, fit_calibration


class Labeler(Trusting):
    """Labels data from a few examples: a backbone and a small head trained on its features.

    Args:
        backbone: a string for `load_backbone`, such as "packaged:efficientnet-lite0", a SavedModel's folder,
            or a `Backbone`.
        classes: k names, at least 2; class ids index into them.
        head: "linear", "mlp", or a `keras.Model` from (n, d) features to (n, k) probabilities.
        seed: decides everything random: folds, first weights, order of the batches.
        batch_size: examples in one forward pass of the backbone.
        cache_dir: where features are kept between runs; the package's cache by default.
        min_confidence: in [0, 1], labels less sure than this become `ABSTAIN`.
        transfer: what learns: "feature", the head only; "model", part of the backbone with it, see
            `fine_tune`; "contrastive", the backbone and then the head, see `contrastive_tune`; "auto", what
            the labels and the time allow. Whatever it is, the frozen backbone stays where cross-validation
            says that it is better beyond noise, with "auto" also where it does not say that tuning is.
        transfer_settings: `FineTuneSettings` or `ContrastiveSettings`, for "model" and "contrastive".
        time_budget: seconds that tuning may take, or as "10m"; None for ten minutes with "auto", else for no
            bound. Tuning that would take longer is given up.
        progress: shows progress bars where standard error is a terminal.

    Attributes:
        backbone: the feature extractor, after `fit` with its tuned parameters where they are kept.
        classes: as received, a tuple.
        head: the Keras model on features.
        fit_options: of `keras.Model.fit`, used where `fit` is given no others; see `replace_head`.
        model: the Keras model from encoded inputs to probabilities, which shares the head's weights.
        out_of_fold_: after `fit`, (m, k) float32: calibrated probabilities of each labelled example from a
            labeler that has not seen it, in the order of the examples that could be read.
        calibration_: after `fit`, the `Calibration` that probabilities go through.
        truth_: after `fit`, (m,) int64, the classes of the examples of `out_of_fold_`.
        unlike_, earned_: after `fit`, the `UnlikeGate` or None, and what held-out labels bear out, `Earned`.
        pool_extraction_: after `fit` with a pool, what `extract` gave for it.
        certificate_: after `certify`, its `Certificate`, by which labels are accepted from then on.
        transfer_: after `fit`, a record of what was tuned, or why nothing was.
        cross_validation_: after `fit`, accuracy on those, its 95 % interval, the counts, and the classes that
            cannot be judged, because the one label that they have is wrong whenever it is held out.
        rejected_, learnt_: after `fit`, labelled examples that could not be read, and what was learnt from.

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
        transfer: str = "feature",
        transfer_settings: FineTuneSettings | ContrastiveSettings | None = None,
        time_budget: str | float | None = None,
        progress: bool = True,
    ) -> None:
        check_classes(classes)
        check_min_confidence(min_confidence)
        check_transfer(transfer, transfer_settings, time_budget)
        self.backbone = as_backbone(backbone)
        self.classes = tuple(classes)
        self.head = as_head(head, self.backbone.feature_dim, len(self.classes), seed)
        self.seed = seed
        self.batch_size = batch_size
        self.cache_dir = cache_dir
        self.min_confidence = min_confidence
        self.transfer = transfer
        self.transfer_settings = transfer_settings
        self.time_budget = time_budget
        self.progress = progress
        self.calibration_ = Calibration.identity(len(self.classes))
        self.unlike_ = None
        self.pool_extraction_ = None
        self.certificate_ = None
        self.transfer_: dict[str, Any] = {}
        self.fit_options: dict[str, Any] = {}
        self._fitted = False
        self._foreign = False
        self._first_weights = [(weight, weight.numpy()) for weight in self.head.variables]
        self._first_state: tuple[Any, FirstState] | None = None
        self._first_backbone: Snapshot | None = None

    @property
    def model(self) -> keras.Model:
        """The functional Keras model from encoded inputs to probabilities, made of this labeler's parts."""
        return build_model(self.backbone, self.served_head, self.classes)

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
        sampling: str = "unknown",
        extraction: Extraction | None = None,
        pool: Dataset | None = None,
        **fit_options: Any,
    ) -> Any:
        """Trains the head, and the backbone where `transfer` says so, and cross-validates both.

        Every call starts from the first weights: what an earlier call has seen would make the
        cross-validation too good.

        Args:
            labelled: examples with labels; those without are ignored, those that cannot be read set aside.
            class_weight: "balanced" to let every class weigh the same in all, or a weight by class name; by
                default each counts for the share that it is believed to have.
            sampling: how the labelled examples came about: "random", drawn from what is to be labelled, so
                that their classes have its shares; "chosen", so that their shares say nothing; or "unknown":
                classes weigh nearly the same until they have hundreds of labels.
            extraction: what `extract` gave for `labelled`, to spare looking it up again.
            pool: some of what is to be labelled, a random sample of a few thousand at most, against which
                the gate tells what is unlike the labelled examples; these themselves by default.
            **fit_options: of `keras.Model.fit`, such as epochs and callbacks, for gradient training.

        Returns:
            The `keras.callbacks.History`.

        Raises:
            ValueError: If a label is none of the classes, a class has no example that can be read, or an
                argument is not valid.
        """
        labelled, extraction, class_ids = self.labelled_features(labelled, extraction)
        self._foreign = warn_of_language(self.backbone.handle, labelled)
        warn_of_left_out(len(labelled), extraction.rejected)
        self.rejected_, self.learnt_ = extraction.rejected, Learnt.of(labelled, extraction.contents)
        examples, back = labelled.subset(extraction.rows), np.argsort(extraction.rows)
        weights = class_weights(class_weight, class_ids, self.classes, sampling)
        fit_options = self.fit_options | fit_options
        if not getattr(self.head, "compiled", False):
            self.compile()
        self._restart()
        blank = untrained_copy(self.head, extraction.features)
        training = train_head(
            self.head,
            extraction.features,
            class_ids,
            class_weight=weights,
            seed=self.seed,
            **fit_options,
        )
        out_of_fold, n_folds, kind = training.out_of_fold, training.n_folds, "auto"
        self.transfer_ = {"asked": self.transfer, "method": "feature"}
        if self.transfer != "feature":
            tuning = self._tune(examples, class_ids, extraction, blank, weights, fit_options)
            if tuning is not None and tuning.out_of_fold is not None:
                out_of_fold, n_folds, kind = tuning.out_of_fold, tuning.n_folds, "temperature"
                if tuning.kept:
                    extraction = self.extract(examples)
        self._finish_fit(out_of_fold, class_ids, n_folds, kind, weights)
        self._fit_gate(extraction.features, class_ids, pool)
        # What others see is in the order of the examples as they were given.
        self.out_of_fold_, self.truth_ = self.out_of_fold_[back], self.truth_[back]
        self._labelled_unlike = self._labelled_unlike[back]
        return training.history

    def labelled_features(
        self, labelled: Dataset, extraction: Extraction | None = None
    ) -> tuple[Dataset, Extraction, np.ndarray]:
        """What a head learns from, on the backbone as it was before any tuning.

        Args:
            labelled: as `fit` takes it.
            extraction: as `fit` takes it.

        Returns:
            The labelled examples with this labeler's classes; what was extracted from them, its rows and
            features in an order that their contents decide, so that the order of the labels changes
            nothing; and (m,) int64, the classes in the same order.

        Raises:
            ValueError: If a label is none of the classes, or a class has no example that can be read.
        """
        labelled = (labelled.labelled if extraction is None else labelled).with_classes(self.classes)
        if self._restart_backbone() or extraction is None:
            extraction = self.extract(labelled)
        class_ids = labelled.class_ids[extraction.rows]
        if (class_ids == ABSTAIN).any():
            raise ValueError("an extraction must hold labelled examples only. Received: some have no label")
        check_counts(class_ids, self.classes, extraction.rejected)
        order = content_order(extraction.features, class_ids)
        extraction = replace(extraction, rows=extraction.rows[order], features=extraction.features[order])
        return labelled, extraction, class_ids[order]

    def replace_head(self, head: keras.Model, **fit_options: Any) -> None:
        """Takes another head, such as a tuned one, in place of that which is there; `fit` trains it.

        Args:
            head: compiled and untrained, from (n, d) features to (n, k) probabilities.
            **fit_options: of `keras.Model.fit`, which `fit` then uses where it is given no others.
        """
        self.head = as_head(head, self.backbone.feature_dim, len(self.classes), self.seed)
        self.fit_options = fit_options
        self._first_weights = [(weight, weight.numpy()) for weight in head.variables]
        self._first_state = None
        self._fitted = False

    def copy_parameters(self, source: Labeler, scope: str = "all") -> None:
        """Takes over part of what another task's labeler has learnt in its backbone, as the start for `fit`.

        Args:
            source: a labeler with a backbone of the same architecture.
            scope: "all", "first:n" or "last:n" for the first or the last n blocks, or "norm".

        Raises:
            ValueError: If the architectures differ or the scope selects nothing.
        """
        self._restart_backbone()
        copy_parameters(self.backbone, source.backbone, scope)
        self._fitted = False

    def _tune(
        self,
        examples: Dataset,
        class_ids: np.ndarray,
        extraction: Extraction,
        blank: keras.Model,
        weights: dict[int, float] | None,
        fit_options: dict[str, Any],
    ) -> TransferResult | None:
        """Tunes the backbone where that helps, and takes the head that belongs to it."""
        before = Snapshot(self.backbone.network.weights)
        options = {key: value for key, value in fit_options.items() if key != "callbacks"}
        tuning, self.transfer_ = tune_labeler(
            self, examples, class_ids, extraction.digest, blank, weights, options
        )
        if tuning is not None and tuning.kept:
            self._first_backbone = before
            self.head.set_weights(blank.get_weights())
        return tuning

    def _finish_fit(
        self,
        out_of_fold: np.ndarray,
        class_ids: np.ndarray,
        n_folds: int,
        kind: str,
        weights: dict[int, float] | None,
    ) -> None:
        """Calibrates by the out-of-fold probabilities and measures what they say."""
        per_example = np.array([1.0 if weights is None else weights[int(c)] for c in class_ids])
        judged = can_be_judged(class_ids, len(self.classes))
        self.calibration_ = fit_calibration(
            out_of_fold[judged], class_ids[judged], kind, sample_weight=per_example[judged], seed=self.seed
        )
        self.out_of_fold_, self.truth_ = self.calibration_.apply(out_of_fold), class_ids
        self.cross_validation_ = cross_validation_of(self.out_of_fold_, class_ids, self.classes, n_folds)
        self._fitted = True

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

        known = {
            "head": self.head.name,
            "cross_validation": self.cross_validation_,
            "calibration": self.calibration_.to_dict(),
            "transfer": self.transfer_,
            "certificate": None if self.certificate_ is None else self.certificate_.to_dict(),
            "min_confidence": float(self.min_confidence),
        }
        with working("exporting the model and checking it", self.progress):
            return export_saved_model(
                folder, self.backbone, self.served_head, self.classes, self.acceptance, self.unlike_,
                predict, known | (details or {}), overwrite,
            )  # fmt: skip

    def save(self, folder: str | os.PathLike[str]) -> None:
        """Writes backbone, head and settings, so that `Labeler.load` can go on from here.

        The folder appears whole, or stays as it was if the process dies or an error ends this.

        Args:
            folder: new, empty, or that of an earlier `save`, which is replaced.

        Raises:
            RuntimeError: If the labeler is not fitted.
            FileExistsError: If the folder holds something else.
            OSError: If it cannot be written.
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

    def _restart_backbone(self) -> bool:
        """Puts a tuned backbone back to where it was before; returns whether it was tuned."""
        if self._first_backbone is None:
            return False
        self._first_backbone.restore()
        self._first_backbone = None
        return True

    def _restart(self) -> None:
        """Puts the head and its optimizer back to where they were before the first fit."""
        for variable, value in self._first_weights:
            variable.assign(value)
        if self._first_state is None or self._first_state[0] is not self.head.optimizer:
            self._first_state = self.head.optimizer, FirstState(self.head)
        self._first_state[1].restore()
