"""What a labeler gives by what it has fitted, under names of its own."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Concatenate, ParamSpec, Protocol, TypeVar

from tfautolabel.data import Dataset
from tfautolabel.labeler.fitted import Fitted
from tfautolabel.trust import Certificate


class HasFitted(Protocol):
    """An object that may be fitted."""

    @property
    def fitted(self) -> Fitted:
        """The fitted labeler; raises RuntimeError if there is none yet."""


P = ParamSpec("P")
R = TypeVar("R")


def of_fitted(method: Callable[Concatenate[Fitted, P], R]) -> Callable[Concatenate[HasFitted, P], R]:
    """Turns a method of `Fitted` into the same method of a class that has a `Fitted`."""

    @functools.wraps(method)
    def call(self: HasFitted, *args: P.args, **options: P.kwargs) -> R:
        return method(self.fitted, *args, **options)

    return call


class ByFitted:
    """Has a `fitted` and offers the methods and parts of it.

    Attributes:
        fitted: the `Fitted`, with the current settings.
    """

    @property
    def fitted(self) -> Fitted:
        """See the class; raises `RuntimeError` if there is none yet."""
        raise NotImplementedError

    def accept_by(self, certificate: Certificate | None) -> None:
        """Accepts labels by a certificate from now on; None to accept them by their confidence."""
        raise NotImplementedError

    def certify(
        self,
        target_error: float,
        *,
        confidence: float = 0.95,
        held_out: Dataset | None = None,
        pool: Dataset | None = None,
        per_class: bool = False,
    ) -> Certificate:
        """Finds which labels can be accepted, and accepts by that from now on; see `Fitted.certify`.

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
