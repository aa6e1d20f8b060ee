"""What can be said of a labeler's labels: certificates, sets of labels, and what is unlike all of them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from tfautolabel.data import Dataset
from tfautolabel.data.folds import content_order
from tfautolabel.features import Extraction
from tfautolabel.labeler.labelling import Labelling
from tfautolabel.labels import Labels
from tfautolabel.trust import Certificate, calibrate_sets, certify, fit_unlike_gate
from tfautolabel.trust.binomial import check_levels
from tfautolabel.trust.earned import judge
from tfautolabel.trust.unlike import enough_to_judge

REFUSED = 0.02
"""The share of examples like the labelled ones that the gate may refuse, from 49 labels on; with fewer it
refuses what is more unlike than each of them was when it was held out."""


class Trusting(Labelling):
    """What a fitted labeler can say of its labels; see `Labeler`."""

    out_of_fold_: np.ndarray
    truth_: np.ndarray
    pool_extraction_: Extraction | None
    seed: int
    _labelled_unlike: np.ndarray

    def certify(
        self,
        target_error: float,
        *,
        confidence: float = 0.95,
        held_out: Dataset | None = None,
        pool: Dataset | None = None,
        per_class: bool = False,
    ) -> Certificate:
        """Finds out which labels can be accepted so that at most a share of them is wrong.

        From here on `label` and the exported model accept by the certificate: labels whose confidence is at
        least its threshold and that are not unlike all that was labelled. If none can be given
        (`kind == "impossible"`), nothing is accepted, unless `label` is given a `min_confidence`.

        With `held_out` the statement is certified: it holds with the confidence, if those examples were drawn
        at random from where the pool comes from and took no part in `fit`. Without them it is estimated from
        the cross-validation of the labelled examples, and no guarantee. Both speak of labels that the gate
        lets pass.

        Args:
            target_error: in (0, 1), the share of wrong labels among the accepted ones.
            confidence: in (0, 1).
            held_out: labelled examples that `fit` has not seen.
            pool: what is to be labelled; only to count how much of it is accepted.
            per_class: whether each predicted class gets a threshold of its own and meets the target.

        Returns:
            The certificate, which is also kept as `certificate_`.

        Raises:
            RuntimeError: If the labeler is not fitted.
            ValueError: If a level is not in (0, 1), or a label of `held_out` is none of the classes.
        """
        self._check_fitted()
        check_levels(target_error, confidence)
        if held_out is None:
            probabilities, truth, source = self.out_of_fold_, self.truth_, "out_of_fold"
            unlike = self._labelled_unlike
        else:
            labelled = held_out.labelled.with_classes(self.classes)
            extraction, probabilities = self._probabilities(labelled)
            truth, source = labelled.class_ids[extraction.rows], "held_out"
            unlike = self._unlike(extraction.features)
        probabilities, truth = probabilities[~unlike], truth[~unlike]
        predicted = probabilities.argmax(axis=1)
        certificate = certify(
            probabilities.max(axis=1),
            predicted == truth,
            target_error=target_error,
            confidence=confidence,
            source=source,
            per_class=per_class,
            predicted=predicted,
            classes=self.classes,
        )
        self.certificate_ = certificate
        if pool is not None:
            self.certificate_ = self._counted(certificate, pool)
        return self.certificate_

    def label_sets(
        self, pool: Dataset, *, coverage: float = 0.9, method: str = "lac", per_class: bool = False
    ) -> tuple[np.ndarray, Labels]:
        """For each example a set of classes that holds the right one with a stated probability.

        Conformal sets, calibrated with the out-of-fold probabilities of the labelled examples
        (cross-conformal prediction, Vovk, arXiv 1208.0806). Split conformal prediction guarantees the
        coverage on average over examples drawn like the labelled ones. Here the labeler that makes the sets
        has seen all of them and is surer than those that were cross-validated, so the coverage holds nearly
        and is not proved.

        Args:
            pool: examples; labels that they may have are not looked at.
            coverage: in (0, 1), how often the right class is in the set.
            method: "lac" for the smallest sets, "aps" or "raps" for sets that grow where it is hard.
            per_class: whether the coverage is to hold within each class.

        Returns:
            (n, k) bool, and the n labels that `label` gives; one row for each example that could be read.

        Raises:
            RuntimeError: If the labeler is not fitted.
            ValueError: If the method is unknown or the coverage is not in (0, 1).
        """
        self._check_fitted()
        order = content_order(self.out_of_fold_, self.truth_)
        sets = calibrate_sets(
            self.out_of_fold_[order],
            self.truth_[order],
            coverage,
            method,
            per_class=per_class,
            seed=self.seed,
        )
        labels = self.label(pool)
        return sets.sets(labels.probabilities), labels

    def _fit_gate(self, features: np.ndarray, class_ids: np.ndarray, pool: Dataset | None) -> None:
        """Learns what the labelled examples look like; what was certified before holds no longer."""
        self.pool_extraction_ = None if pool is None else self.extract(pool)
        background = None if self.pool_extraction_ is None else self.pool_extraction_.features
        self.unlike_ = (
            fit_unlike_gate(features, class_ids, background, refused=REFUSED, seed=self.seed)
            if enough_to_judge(class_ids)
            else None
        )
        self._labelled_unlike = self._unlike(features)
        self.certificate_ = None
        self._judge()

    def _judge(self) -> None:
        """Finds out what the out-of-fold probabilities bear out."""
        self.earned_ = judge(
            self.out_of_fold_,
            self.truth_,
            self._labelled_unlike,
            self.min_confidence,
            guarded=self.unlike_ is not None,
        )

    def _unlike(self, features: np.ndarray) -> np.ndarray:
        gate = self.unlike_
        return np.zeros(len(features), bool) if gate is None else gate.refuses(features)

    def _counted(self, certificate: Certificate, pool: Dataset) -> Certificate:
        predicted, accepted = np.zeros((2, len(self.classes)), np.int64)
        for _, labels in self.label_parts(pool):
            predicted += np.bincount(labels.probabilities.argmax(axis=1), minlength=len(self.classes))
            accepted += np.bincount(labels.class_ids[labels.accepted], minlength=len(self.classes))
        return with_pool(certificate, self.classes, predicted, accepted)


def with_pool(
    certificate: Certificate, classes: tuple[str, ...], predicted: np.ndarray, accepted: np.ndarray
) -> Certificate:
    """A certificate that also says how much of a pool is accepted by it.

    Args:
        certificate: without a pool.
        classes: k names.
        predicted: (k,) int64, labels of the pool by their class.
        accepted: (k,) int64, those of them that are accepted.
    """
    per_class = certificate.per_class and {
        name: replace(
            certificate.per_class[name],
            coverage=float(accepted[number] / max(predicted[number], 1)),
            pool_accepted=int(accepted[number]),
            pool_size=int(predicted[number]),
        )
        for number, name in enumerate(classes)
    }
    total = int(predicted.sum())
    return replace(
        certificate,
        coverage=float(accepted.sum() / max(total, 1)),
        pool_accepted=int(accepted.sum()),
        pool_size=total,
        per_class=per_class,
    )
