"""The labeler: a few labelled examples in, labels for all the others and a servable model out."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import keras
import numpy as np

from tfautolabel.backbones import Backbone
from tfautolabel.data import Dataset, Learnt
from tfautolabel.data.folds import content_order
from tfautolabel.features import Extraction
from tfautolabel.labeler.checks import LanguageWarning, check_counts
from tfautolabel.labeler.exporting import export_fitted
from tfautolabel.labeler.fitted import Fitted, of_fitted
from tfautolabel.labeler.fitting import train
from tfautolabel.labeler.judging import judge_fit
from tfautolabel.labeler.model import as_backbone, as_head, build_model, check_classes
from tfautolabel.labeler.reading import Reading
from tfautolabel.labeler.start import Start
from tfautolabel.labeler.storage import SETTINGS, Saved, restore_labeler, save_labeler
from tfautolabel.labeler.transfer import Plan, check_transfer, copy_parameters
from tfautolabel.labels import ABSTAIN, MIN_CONFIDENCE, Rejected, check_min_confidence
from tfautolabel.measures.classification import warn_of_left_out
from tfautolabel.training import ContrastiveSettings, FineTuneSettings
from tfautolabel.training.class_weights import class_weights
from tfautolabel.trust import Certificate


class Labeler:
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
        fitted_: after `fit`, all that labels come from, a `Fitted`; None before. Its parts can be read here
            too: `calibration_`, `ood_gate_` (its gate), `earned_`, `certificate_`, `learnt_`,
            `cross_validation_`, and of the held-out labelled examples, in the order in which they were
            given, `out_of_fold_` and `truth_`.
        transfer_: after `fit`, a record of what was tuned, or why nothing was.
        rejected_: after `fit`, labelled examples that could not be read.
        pool_extraction_: after `fit` with a pool, what `extract` gave for it.

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
        self.fitted_: Fitted | None = None
        self.pool_extraction_: Extraction | None = None
        self.rejected_: tuple[Rejected, ...] = ()
        self.transfer_: dict[str, Any] = {}
        self.fit_options: dict[str, Any] = {}
        self._language = LanguageWarning()
        self._start = Start(self.head)

    @property
    def fitted(self) -> Fitted:
        """`fitted_`, with the settings of this moment.

        Raises:
            RuntimeError: If the labeler is not fitted.
        """
        if self.fitted_ is None:
            raise RuntimeError("this labeler is not fitted yet: call fit with labelled examples first")
        return replace(self.fitted_, reading=self.reading, min_confidence=self.min_confidence)

    @property
    def reading(self) -> Reading:
        """How this labeler reads examples, by its settings at this moment."""
        return Reading(self.backbone, self.batch_size, self.cache_dir, self.progress)

    def extract(self, dataset: Dataset) -> Extraction:
        """The features of every example, computed or from the cache, as `fit` and `label` use them."""
        return self.reading.extract(dataset)

    predict = of_fitted(Fitted.predict)
    label = of_fitted(Fitted.label)
    label_parts = of_fitted(Fitted.label_parts)
    extracted_parts = of_fitted(Fitted.extracted_parts)
    evaluate = of_fitted(Fitted.evaluate)
    prediction_sets = of_fitted(Fitted.prediction_sets)

    acceptance = property(lambda self: self.fitted.acceptance, doc=Fitted.acceptance.__doc__)
    certificate_ = property(lambda self: self.fitted.certificate, lambda self, one: self.accept_by(one))
    calibration_ = property(lambda self: self.fitted.calibration)
    ood_gate_ = property(lambda self: self.fitted.gate)
    earned_ = property(lambda self: self.fitted.earned)
    learnt_ = property(lambda self: self.fitted.learnt)
    out_of_fold_ = property(lambda self: self.fitted.held_out.probabilities)
    truth_ = property(lambda self: self.fitted.held_out.class_ids)
    cross_validation_ = property(lambda self: self.fitted.cross_validation)

    @property
    def served_head(self) -> keras.Model:
        """The head and the calibration of its probabilities as one model; they share their weights."""
        return self.head if self.fitted_ is None else self.fitted_.served_head

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
        self._language.once(self.backbone.handle, labelled)
        warn_of_left_out(len(labelled), extraction.rejected)
        self.rejected_, learnt = extraction.rejected, Learnt.of(labelled, extraction.contents)
        examples, back = labelled.subset(extraction.rows), np.argsort(extraction.rows)
        weights = class_weights(class_weight, class_ids, self.classes, sampling)
        fit_options = self.fit_options | fit_options
        if not getattr(self.head, "compiled", False):
            self.compile()
        self.restart()
        plan = Plan(
            self.transfer, self.transfer_settings, self.time_budget, self.seed, self.cache_dir, self.progress
        )
        trained = train(
            plan, self.reading, self.head, self._start, examples, extraction, class_ids, self.classes,
            weights, fit_options,
        )  # fmt: skip
        self.transfer_ = trained.record
        self.pool_extraction_ = None if pool is None else self.extract(pool)
        background = None if self.pool_extraction_ is None else self.pool_extraction_.features
        calibration, gate, earned, held_out = judge_fit(
            trained, class_ids, background, weights, self.min_confidence, self.seed
        )
        # What others see is in the order of the examples as they were given.
        self.fitted_ = Fitted(
            self.reading, self.head, self.classes, calibration, gate, earned, held_out.in_order(back), learnt,
            self.min_confidence, self.seed, self._language,
        )  # fmt: skip
        return trained.history

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
        if self._start.restart_backbone() or extraction is None:
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
        before, self._start = self._start, Start(self.head)
        self._start.backbone = before.backbone
        self.fitted_ = None

    def copy_parameters(self, source: Labeler, scope: str = "all") -> None:
        """Takes over part of what another task's labeler has learnt in its backbone, as the start for `fit`.

        Args:
            source: a labeler with a backbone of the same architecture.
            scope: "all", "first:n" or "last:n" for the first or the last n blocks, or "norm".

        Raises:
            ValueError: If the architectures differ or the scope selects nothing.
        """
        self._start.restart_backbone()
        copy_parameters(self.backbone, source.backbone, scope)
        self.fitted_ = None

    def restart(self) -> None:
        """Puts backbone, head and its optimizer back to before the first fit; `fit` is next."""
        self.fitted_ = None
        self._start.restart_backbone()
        self._start.restart_head()

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
        return export_fitted(self.fitted, folder, overwrite, {"transfer": self.transfer_} | (details or {}))

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
        settings = {name: getattr(self, name) for name in SETTINGS}
        save_labeler(
            Saved(settings, self.fitted, self._start, self.transfer_, self.rejected_, self.fit_options),
            folder,
        )

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
        saved = restore_labeler(folder, cache_dir)
        fitted = saved.fitted
        labeler = cls(
            fitted.reading.backbone, fitted.classes, fitted.head, cache_dir=cache_dir, **saved.settings
        )
        labeler.fitted_, labeler._start, labeler.transfer_ = fitted, saved.start, saved.transfer
        labeler.rejected_, labeler.fit_options = saved.rejected, saved.fit_options
        return labeler

    def certify(
        self,
        target_error: float,
        *,
        confidence: float = 0.95,
        held_out: Dataset | None = None,
        pool: Dataset | None = None,
        per_class: bool = False,
    ) -> Certificate:
        """Finds out which labels can be accepted, and accepts by that from here on; see `Fitted.certify`.

        Returns:
            The certificate, which is also kept as `certificate_`.

        Raises:
            RuntimeError: If the labeler is not fitted.
            ValueError: If a level is not in (0, 1), or a label of `held_out` is none of the classes.
        """
        certificate = self.fitted.certify(
            target_error, confidence=confidence, held_out=held_out, pool=pool, per_class=per_class
        )
        self.accept_by(certificate)
        return certificate

    def accept_by(self, certificate: Certificate | None) -> None:
        """Accepts labels by a certificate from here on; None for by their confidence.

        Raises:
            RuntimeError: If the labeler is not fitted.
        """
        self.fitted_ = replace(self.fitted, certificate=certificate)
