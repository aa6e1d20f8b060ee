"""An example as a person sees it."""

from __future__ import annotations

from dataclasses import dataclass

from tfautolabel.runs.answers import Event


@dataclass(frozen=True)
class Shown:
    """An example as a person sees it.

    Attributes:
        ticket: names the example and the purpose in an answer; it means the same after a restart.
        row: the example's row.
        id: the example's id.
        guess: the model's label; "" before there is a model.
        confidence: the model's confidence in it, in [0, 1].
        given: a label to look at; "" if there is none.
        answer: this person's earlier answer, or None.
        comment: the last comment about it.
    """

    ticket: str
    row: int
    id: str
    guess: str = ""
    confidence: float = 0.0
    given: str = ""
    answer: Event | None = None
    comment: str = ""
