"""What a person sees while working: how far the labels are, and what that rests on."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any

import numpy as np

from tfautolabel.measures.agreement import Agreement, measure_agreement
from tfautolabel.review.learner import Lesson
from tfautolabel.review.settings import ReviewSettings
from tfautolabel.runs.ledger import Ledger, Verdict, seconds_an_answer
from tfautolabel.trust import AnswersNeeded, answers_needed
from tfautolabel.trust.earned import judge

UNCHANGED = 0.985
"""If the last refits left at least this share of the labels as they were, stopping is reasonable."""
ROUNDS = 3


@dataclass(frozen=True, eq=False)
class Panel:
    """What a refit found.

    Attributes:
        fits: how many refits there were.
        lesson: what was learnt; None before there are two classes with labels.
        accuracy: share of right labels among the randomly asked ones, the 95 % interval, and their number;
            None without one.
        accepted: the share of the other examples that `run` would accept by these labels; None without a
            lesson.
        accepted_why: why it is not more; "" if nothing speaks against it.
        needed: how many answers a certificate would need; None if no label is sure enough.
        unchanged: for the last refits, the share of examples whose label stayed the same.
    """

    fits: int = 0
    lesson: Lesson | None = None
    accuracy: tuple[float, float, float, int] | None = None
    accepted: float | None = None
    accepted_why: str = ""
    needed: AnswersNeeded | None = None
    unchanged: tuple[float, ...] = ()


def panel_of(before: Panel, lesson: Lesson | None, labelled: np.ndarray, settings: ReviewSettings) -> Panel:
    """Returns what a refit found.

    Args:
        before: the panel of the refit before.
        lesson: what was learnt.
        labelled: (n,) int64, the rows with a label; what is said about the others leaves them out.
        settings: target, confidence and seed.
    """
    if lesson is None:
        return Panel(before.fits, None)
    others = np.setdiff1d(np.arange(len(lesson.probabilities)), labelled)
    accepted, why, needed = None, "", None
    if len(others):
        accepted, why = _accepted(lesson, others, settings)
        confidence = lesson.confidence[others]
        sure = confidence[confidence >= np.float32(settings.min_confidence)]
        if len(sure):
            needed = answers_needed(
                sure,
                np.zeros(0, bool),
                target_error=settings.target_error,
                confidence=settings.certify_confidence,
            )
    return Panel(
        before.fits + 1, lesson, lesson.accuracy(), accepted, why, needed, _unchanged(before, lesson, others)
    )


def _accepted(lesson: Lesson, others: np.ndarray, settings: ReviewSettings) -> tuple[float, str]:
    """Returns the share of the others that a run would accept, and why it is not more."""
    earned = judge(
        lesson.out_of_fold,
        lesson.class_ids,
        np.zeros(len(lesson.rows), bool),
        settings.min_confidence,
        drawn=lesson.drawn,
    )
    chances = lesson.probabilities[others]
    sure = chances.max(axis=1) >= np.float32(earned.lowest(settings.min_confidence))
    accepted = sure & ~earned.refused()[chances.argmax(axis=1)]
    return float(accepted.mean()), "; ".join(earned.sentences(lesson.classes))


def _unchanged(before: Panel, lesson: Lesson, others: np.ndarray) -> tuple[float, ...]:
    if before.lesson is None or not len(others):
        return ()
    was = np.array(before.lesson.classes)[before.lesson.predicted[others]]
    now = np.array(lesson.classes)[lesson.predicted[others]]
    return (*before.unchanged, float((was == now).mean()))[-ROUNDS:]


@dataclass(frozen=True, eq=False)
class Status:
    """How far the work is.

    Attributes:
        answered: examples with a class from a person.
        skipped: examples that were only skipped.
        cannot_tell: examples that nobody can tell.
        none_of_these: examples of none of the classes.
        left: examples without a label and without an answer.
        planned: how many answers the person has in mind.
        seconds_left: how long the planned answers will take, by the median of the last ones; None before
            that.
        classes: class name to number of labels, with labels that were given.
        panel: what the last refit found.
        settings: what the session promises.
        agreement: how far people agree; None as long as no example has two answers.
        disputed: on how many examples people differ.
        problem: why the last refit failed; "" otherwise.
    """

    answered: int
    skipped: int
    cannot_tell: int
    none_of_these: int
    left: int
    planned: int
    seconds_left: float | None
    classes: dict[str, int]
    panel: Panel
    settings: ReviewSettings
    agreement: Agreement | None
    disputed: int
    problem: str = ""

    @classmethod
    def of(
        cls,
        ledger: Ledger,
        labels: dict[str, str],
        panel: Panel,
        settings: ReviewSettings,
        total: int,
        problem: str = "",
    ) -> Status:
        """Counts what a ledger holds.

        Args:
            ledger: the answers.
            labels: id to class of each labelled example.
            panel: what the last refit found.
            settings: the session's.
            total: how many examples there are.
            problem: why the last refit failed.
        """
        verdicts = ledger.verdicts("teach")
        kinds = Counter(verdict.kind for verdict in verdicts)
        counted = Counter(labels.values())
        done = kinds["label"]
        each = seconds_an_answer(
            [event for verdict in verdicts[-50:] for event in ledger.answers(verdict.item)]
        )
        planned = min(settings.planned, total)
        return cls(
            answered=done,
            skipped=kinds["skip"],
            cannot_tell=kinds["cannot_tell"],
            none_of_these=kinds["none_of_these"],
            left=total - len({*labels, *(verdict.item for verdict in verdicts if _is_final(verdict))}),
            planned=planned,
            seconds_left=None if each is None else max(planned - done, 0) * each,
            classes={name: counted[name] for name in ledger.classes},
            panel=panel,
            settings=settings,
            agreement=measure_agreement(_shared(ledger)),
            disputed=len(ledger.disputed("teach")),
            problem=problem,
        )

    @property
    def may_stop(self) -> bool:
        """Whether the last refits hardly changed a label, and each class has one. It is a hint, no proof."""
        rounds = self.panel.unchanged
        return len(rounds) == ROUNDS and min(rounds) >= UNCHANGED and all(self.classes.values())

    def stop_sentence(self) -> str:
        """Says what the last refits changed, and why that proves nothing; "" before there were enough."""
        if len(self.panel.unchanged) < ROUNDS:
            return ""
        least = min(self.panel.unchanged)
        hint = "You may stop" if self.may_stop else "The labels still change"
        return (
            f"{hint}: the last {ROUNDS} rounds left at least {least:.1%} of the labels as they were. A model "
            "that no longer changes can still be wrong; only an audit proves how often."
        )

    def needed_sentence(self) -> str:
        """Says how many answers a certificate needs; "" if that is not known yet."""
        needed, settings = self.panel.needed, self.settings
        if needed is None or needed.if_right is None:
            return ""
        return (
            f"After labelling, about {needed.if_right} answers about labels drawn at random certify that at "
            f"most {settings.target_error:.0%} of the accepted labels are wrong, if those labels are right."
        )

    def to_dict(self) -> dict[str, Any]:
        """Returns the status as plain values, ready for JSON."""
        panel, accuracy = self.panel, self.panel.accuracy
        agreement = self.agreement
        return {
            "answered": self.answered,
            "skipped": self.skipped,
            "cannot_tell": self.cannot_tell,
            "none_of_these": self.none_of_these,
            "left": self.left,
            "planned": self.planned,
            "seconds_left": self.seconds_left,
            "classes": [{"name": name, "count": count} for name, count in self.classes.items()],
            "fits": panel.fits,
            "accuracy": accuracy and dict(zip(("value", "low", "high", "n"), accuracy, strict=True)),
            "accepted": None
            if panel.accepted is None
            else {"share": panel.accepted, "why": panel.accepted_why},
            "needed": None
            if not self.needed_sentence()
            else {
                "answers": panel.needed.if_right if panel.needed else None,
                "target_error": self.settings.target_error,
                "sentence": self.needed_sentence(),
            },
            "stop": None
            if not self.stop_sentence()
            else {
                "hint": self.may_stop,
                "unchanged": list(panel.unchanged),
                "sentence": self.stop_sentence(),
            },
            "agreement": None
            if agreement is None
            else {
                "percent": agreement.percent,
                "kappa": None if np.isnan(agreement.kappa) else agreement.kappa,
                "kind": agreement.kind,
                "items": agreement.items,
                "disputed": self.disputed,
            },
            "problem": self.problem,
        }


def _is_final(verdict: Verdict) -> bool:
    return verdict.kind != "skip"


def _shared(ledger: Ledger) -> list[dict[str, str]]:
    """For each example with two answers or more, person to answer."""
    groups = (ledger.answers(item) for item in ledger.items())
    return [
        {event.who: event.label or event.kind for event in group if event.kind != "skip"}
        for group in groups
        if len(group) > 1
    ]
