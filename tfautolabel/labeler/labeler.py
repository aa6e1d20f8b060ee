"""The labeler: a few labelled examples in, labels for all the others and a servable model out."""

from __future__ import annotations

import os
from collections.abc import Collection, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import keras
import numpy as np

from tfautolabel._precision import AUTO, check_device_and_precision
from tfautolabel.backbones import Backbone
from tfautolabel.data import Dataset, Learnt
from tfautolabel.export import RuleGraph
from tfautolabel.features import Extraction
from tfautolabel.features.engines import EngineChoice
from tfautolabel.labeler.by_fitted import ByFitted
from tfautolabel.labeler.checks import LanguageWarning
from tfautolabel.labeler.descriptions import Descriptions, described
from tfautolabel.labeler.examples import learnable, no_examples
from tfautolabel.labeler.exporting import export_fitted
from tfautolabel.labeler.fitted import Fitted
from tfautolabel.labeler.fitting import train
from tfautolabel.labeler.judging import judge_fit
from tfautolabel.labeler.mapped import mapped_head
from tfautolabel.labeler.model import as_backbone, as_head, build_model, check_classes
from tfautolabel.labeler.population import compared_with
from tfautolabel.labeler.reading import Reading
from tfautolabel.labeler.start import Start
from tfautolabel.labeler.storage import SETTINGS, Saved, restore_labeler, save_labeler
from tfautolabel.labeler.teacher import teacher_of
from tfautolabel.labeler.transfer import Plan, check_transfer, copy_parameters
from tfautolabel.labeler.weak_labels import Rules, WeakLabels
from tfautolabel.labels import MIN_CONFIDENCE, Unreadable, check_min_confidence
from tfautolabel.measures.classification import warn_of_left_out
from tfautolabel.training import ContrastiveSettings, FineTuneSettings, MetaLearner
from tfautolabel.training.class_weights import class_weights
from tfautolabel.trust import Certificate


class Labeler(ByFitted):
    """Labels data from a few examples: a backbone and a small head trained on its features.

    Args:
        backbone: a string for `load_backbone`, such as "packaged:efficientnet-lite0", a SavedModel's folder,
            or a `Backbone`.
        classes: k names, at least 2; class ids index into them.
        head: "linear", "auto", "mlp", or a `keras.Model` from (n, d) features to (n, k) probabilities.
        seed: determines everything random: folds, initial weights, order of the batches.
        batch_size: examples in one forward pass of the backbone.
        cache_dir: where features are kept between runs; the package's cache by default.
        min_confidence: in [0, 1], labels with a lower confidence become `ABSTAIN`.
        transfer: what learns: "feature", the head only; "model", part of the backbone with it, see
            `fine_tune`; "contrastive", the backbone and then the head, see `contrastive_tune`; "auto", what
            the labels and the time allow. The frozen backbone always stays if cross-validation says that it
            is better beyond noise; with "auto" it stays unless tuning is better beyond noise.
        transfer_settings: `FineTuneSettings` or `ContrastiveSettings`, for "model" and "contrastive".
        time_budget: the time for tuning in seconds, or as "10m"; None for ten minutes with "auto", else for
            no limit. Tuning stops without a result if it would take longer.
        progress: shows progress bars where standard error is a terminal.
        descriptions: what each class is, in words: class to a text or several. A backbone for texts, or CLIP,
            embeds them, and `fit` learns from them too; then it needs no labels.
        device: where features are computed: "auto", a GPU if TensorFlow sees one, "cpu" or "gpu".
        precision: in what: "auto", "float32", "bf16" (CPUs) or "float16" (GPUs); "auto" is float32 on a CPU,
            and on a GPU float16 if it gives the same features up to its precision. `engine` says the result.
        meta_learner: a fitted `MetaLearner` or its folder, for the heads "linear" and "auto": what it learnt
            from earlier sets counts as far as held-out labels support it.

    Attributes:
        backbone: the feature extractor; after `fit` with its tuned parameters if they are kept.
        classes: as received, a tuple.
        head: the Keras model on features.
        fit_options: options of `keras.Model.fit`, used if `fit` gets no others; see `replace_head`.
        model: the Keras model from encoded inputs to probabilities, which shares the head's weights.
        fitted_: after `fit`, a `Fitted` with all that labels come from; None before. Its parts can be read
            here too: `calibration_`, `ood_gate_` (its gate), `earned_`, `certificate_`, `learnt_`,
            `cross_validation_`, and for the held-out labelled examples, in the given order, `out_of_fold_`
            and `truth_`.
        transfer_: after `fit`, a record of what was tuned, or why nothing was; with the head "auto", under
            "pool" what the pool was worth, and with a meta-learner, under "meta" what that was worth.
        rules_, descriptions_: after `fit` with them, a record of what was learnt from them; else None.
        unreadable_: after `fit`, labelled examples that could not be read.
        pool_extraction_: after `fit` with a pool, the result of `extract` for it.

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
        descriptions: Descriptions | None = None,
        meta_learner: MetaLearner | str | os.PathLike[str] | None = None,
        device: str = AUTO,
        precision: str = AUTO,
    ) -> None:
        check_classes(classes)
        check_device_and_precision(device, precision)
        check_min_confidence(min_confidence)
        check_transfer(transfer, transfer_settings, time_budget)
        self.backbone, self.classes = as_backbone(backbone), tuple(classes)
        head = mapped_head(head, meta_learner, self.backbone, len(self.classes), seed, transfer)
        self.head = as_head(head, self.backbone.feature_dim, len(self.classes), seed)
        self.seed, self.batch_size, self.cache_dir = seed, batch_size, cache_dir
        self.min_confidence, self.time_budget, self.progress = min_confidence, time_budget, progress
        self.transfer, self.transfer_settings = transfer, transfer_settings
        self.device, self.precision = device, precision
        self.descriptions = described(descriptions, self.classes)
        self.fitted_: Fitted | None = None
        self.pool_extraction_: Extraction | None = None
        self.unreadable_: tuple[Unreadable, ...] = ()
        self.transfer_: dict[str, Any] = {}
        self.rules_: dict[str, Any] | None = None
        self.descriptions_: dict[str, Any] | None = None
        self.fit_options: dict[str, Any] = {}
        self._language, self._start = LanguageWarning(), Start(self.head)

    @property
    def fitted(self) -> Fitted:
        """`fitted_`, with the current settings.

        Raises:
            RuntimeError: If the labeler is not fitted.
        """
        if self.fitted_ is None:
            raise RuntimeError("this labeler is not fitted yet: call fit with labelled examples first")
        return replace(self.fitted_, reading=self.reading, min_confidence=self.min_confidence)

    @property
    def reading(self) -> Reading:
        """How this labeler reads examples, with its current settings."""
        return Reading(
            self.backbone, self.batch_size, self.cache_dir, self.progress, self.device, self.precision
        )

    @property
    def engine(self) -> EngineChoice:
        """What computes features, in which precision, and why; see `choose_engine`."""
        return self.reading.engine

    def extract(self, dataset: Dataset) -> Extraction:
        """Returns every example's features, computed or from the cache, as `fit` and `label` use them."""
        return self.reading.extract(dataset)

    @property
    def served_head(self) -> keras.Model:
        """The head and the calibration as one model, which shares the head's weights."""
        return self.head if self.fitted_ is None else self.fitted_.served_head

    @property
    def model(self) -> keras.Model:
        """The functional Keras model from encoded inputs to probabilities, made of this labeler's parts."""
        return build_model(self.backbone, self.served_head, self.classes)

    def compile(self, optimizer: Any = "adam", loss: Any = None, metrics: Any = None, **options: Any) -> None:
        """Chooses how `fit` trains the head; without it, each head is trained in its default way.

        Args:
            optimizer: any Keras optimizer; for the linear head also "lbfgs", its default, which solves the
                head as a convex problem.
            loss: sparse categorical cross-entropy by default.
            metrics: accuracy by default.
            **options: options of `keras.Model.compile`.
        """
        self.head.compile(
            optimizer=optimizer,
            loss=loss or "sparse_categorical_crossentropy",
            metrics=["accuracy"] if metrics is None else metrics,
            **options,
        )

    def fit(
        self,
        labelled: Dataset | None,
        *,
        class_weight: str | dict[str, float] | None = None,
        sampling: str = "unknown",
        extraction: Extraction | None = None,
        pool: Dataset | None = None,
        drawn: Collection[str] | None = None,
        rules: Rules | WeakLabels | None = None,
        **fit_options: Any,
    ) -> Any:
        """Trains the head, and the backbone if `transfer` says so, and cross-validates both.

        Args:
            labelled: examples with labels; ignores those without, and sets aside those that cannot be read.
                With rules or descriptions, there may be none: None.
            class_weight: "balanced" to give all classes the same total weight, or a weight by class name; by
                default each class counts for the share that it is believed to have.
            sampling: how the labelled examples were selected: "random", drawn from the examples to label, so
                their classes have the same shares; "chosen", so their shares say nothing; or "unknown":
                classes weigh nearly the same until they have hundreds of labels.
            extraction: the result of `extract` for `labelled`, so that it need not be looked up again.
            pool: a random sample of at most a few thousand examples to label; the gate compares examples with
                it to find those unlike the labelled ones. By default, the labelled ones replace it. The head
                "auto" learns from it too.
            drawn: ids of labelled examples that were drawn at random, if others were chosen. Calibration,
                accuracy and what is accepted then come from these only.
            rules: rules, or a file of them, that vote on the pool; the head learns from their votes too.
                Without labels, no label is accepted before an audit.
            **fit_options: options of `keras.Model.fit`, such as epochs and callbacks, for gradient training.

        Returns:
            The `keras.callbacks.History`.

        Raises:
            ValueError: If a label is none of the classes, a class has no example that can be read, or an
                argument is not valid.
        """
        labelled = no_examples(self.backbone.modality) if labelled is None else labelled
        teacher = teacher_of(
            rules, self.descriptions, self.head, self.transfer, class_weight, self.backbone, self.classes,
            self.extract, pool, labelled, self.progress,
        )  # fmt: skip
        known = None if teacher is None else teacher.known
        self.reading.check_same(extraction)
        labelled, extraction, class_ids = self.labelled_features(labelled, extraction, known)
        self._language.once(self.backbone.handle, labelled)
        warn_of_left_out(len(labelled), extraction.unreadable)
        self.unreadable_, learnt = extraction.unreadable, Learnt.of(labelled, extraction.contents)
        examples, back = labelled.subset(extraction.rows), np.argsort(extraction.rows)
        weights = class_weights(class_weight, class_ids, self.classes, sampling)
        fit_options = self.fit_options | fit_options
        if not getattr(self.head, "compiled", False):
            self.compile()
        self.restart()
        plan = Plan(
            self.transfer, self.transfer_settings, self.time_budget, self.seed, self.cache_dir, self.progress
        )
        first = None if pool is None else self.extract(pool)
        trained = train(
            plan, self.reading, self.head, self._start, examples, extraction, class_ids, self.classes,
            weights, fit_options, teacher, None if first is None else first.features,
        )  # fmt: skip
        self.transfer_, self.rules_, self.descriptions_ = trained.record, trained.rules, trained.descriptions
        self.pool_extraction_ = first if pool is None or self.transfer == "feature" else self.extract(pool)
        background = None if self.pool_extraction_ is None else self.pool_extraction_.features
        is_drawn = None if drawn is None else np.array([name in drawn for name in examples.ids], bool)
        calibration, gate, earned, held_out = judge_fit(
            trained, class_ids, background, weights, self.min_confidence, self.seed, is_drawn
        )
        # Public attributes are in the order in which the examples were given.
        fitted = Fitted(
            self.reading, self.head, self.classes, calibration, gate, earned, held_out.in_order(back), learnt,
            self.min_confidence, self.seed, self._language, voting=trained.voting,
        )  # fmt: skip
        known, now = extraction.features[back], self.pool_extraction_
        self.fitted_ = compared_with(fitted, known, weights, pool, first, now)
        return trained.history

    def labelled_features(
        self, labelled: Dataset, extraction: Extraction | None = None, known: np.ndarray | None = None
    ) -> tuple[Dataset, Extraction, np.ndarray]:
        """Returns what a head learns from, with the backbone as it was before any tuning.

        Args:
            labelled: as `fit` takes it, like `extraction`.
            extraction: see above.
            known: (k,) bool, the classes that need no labelled example; by default, all need one.

        Returns:
            The labelled examples with this labeler's classes; their extraction, in an order by their contents
            and not by the labels' order; and (m,) int64, the class ids in the same order.

        Raises:
            ValueError: If a label is none of the classes, or a class has no example that can be read.
        """
        extraction = None if self._start.restart_backbone() else extraction
        return learnable(labelled, extraction, self.classes, self.extract, known)

    def replace_head(self, head: keras.Model, **fit_options: Any) -> None:
        """Replaces the head with another one, such as a tuned one; `fit` trains it.

        Args:
            head: compiled and untrained, from (n, d) features to (n, k) probabilities.
            **fit_options: options of `keras.Model.fit`; `fit` uses them if it gets no others.
        """
        self.head = as_head(head, self.backbone.feature_dim, len(self.classes), self.seed)
        self.fit_options = fit_options
        before, self._start = self._start, Start(self.head)
        self._start.backbone = before.backbone
        self.fitted_ = None

    def copy_parameters(self, source: Labeler, scope: str = "all") -> None:
        """Copies parameters from the backbone of another task's labeler, as the start for `fit`.

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
        """Resets backbone, head and its optimizer to their state before the first fit; call `fit` next."""
        self.fitted_ = None
        self._start.restart_backbone()
        self._start.restart_head()

    def export(
        self,
        folder: str | os.PathLike[str],
        *,
        overwrite: bool = False,
        details: dict[str, Any] | None = None,
        rules: RuleGraph | None = None,
    ) -> Path:
        """Writes a SavedModel that needs nothing but TensorFlow, and checks it; see `export_saved_model`.

        Args:
            folder: the version folder, such as saved_models/flowers/1, or the model's folder, which then gets
                a version with the next number.
            overwrite: whether an existing version is replaced.
            details: further entries for its labeler.json.
            rules: vote in the model too, beside its labels; `tal.rule_graph` makes this of rules on texts.

        Returns:
            The version folder.

        Raises:
            RuntimeError: If the labeler is not fitted.
            FileExistsError: If the version exists and `overwrite` is False.
            CheckFailure: If the SavedModel does not give the same results as `predict`.
        """
        known = {"descriptions": self.descriptions_} | (details or {})
        return export_fitted(self.fitted, folder, overwrite, known, rules, self.transfer_)

    def save(self, folder: str | os.PathLike[str]) -> None:
        """Writes backbone, head and settings, so that `Labeler.load` can continue from here.

        The folder is written completely, or stays as it was if the process dies or an error occurs.

        Args:
            folder: new, empty, or the folder of an earlier `save`, which is replaced.

        Raises:
            RuntimeError: If the labeler is not fitted.
            FileExistsError: If the folder holds something else.
            OSError: If it cannot be written.
        """
        settings = {name: getattr(self, name) for name in SETTINGS}
        records = self.transfer_, self.rules_, self.descriptions_, self.unreadable_
        save_labeler(Saved(settings, self.fitted, self._start, *records, self.fit_options), folder)

    @classmethod
    def load(
        cls, folder: str | os.PathLike[str], *, cache_dir: str | os.PathLike[str] | None = None
    ) -> Labeler:
        """Reads what `save` wrote; if the head uses your own Keras classes, import them first.

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
        labeler.rules_, labeler.descriptions_ = saved.rules, saved.descriptions
        labeler.unreadable_, labeler.fit_options = saved.unreadable, saved.fit_options
        return labeler

    def accept_by(self, certificate: Certificate | None) -> None:
        """Accepts labels by a certificate from now on; None to accept them by their confidence.

        Raises:
            RuntimeError: If the labeler is not fitted.
        """
        self.fitted_ = replace(self.fitted, certificate=certificate)
