"""Rules that are written in Python: functions of one example, and models that exist already."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

import numpy as np

from tfautolabel.data import Dataset
from tfautolabel.labels import check_min_confidence
from tfautolabel.rules.contract import Part, RuleFailure, Vote

INPUT, ROW = "input", "row"
Preprocessor = Callable[[Any], Any]
"""From what a rule would get to what it gets instead."""


class LabelingFunction:
    """A function of one example as a rule; `labeling_function` makes it.

    Args:
        function: gives the name of a class or its id, or `ABSTAIN` (or None).
        name: the rule's name.
        resources: further keyword arguments of the function.
        pre: preprocessors, the first one first.
        on: "input" for the text or the encoded picture or clip; "row" for all that is known of an example.
        classes: the classes that it can vote for, if that is known.

    Call arguments:
        example: what the function takes, before the preprocessors.

    Returns:
        The function's vote.
    """

    def __init__(
        self,
        function: Callable[..., Vote],
        name: str,
        resources: Mapping[str, Any],
        pre: Sequence[Preprocessor],
        on: str,
        classes: Sequence[str],
    ) -> None:
        self.function = function
        self.name = name
        self.resources = dict(resources)
        self.pre = tuple(pre)
        self.on = on
        self.classes = tuple(classes)
        self.__doc__ = function.__doc__

    def __repr__(self) -> str:
        return f"LabelingFunction({self.name!r})"

    def __call__(self, example: Any) -> Vote:
        """See the class."""
        for step in self.pre:
            example = step(example)
        return self.function(example, **self.resources)

    def vote(self, part: Part) -> Sequence[Vote | RuleFailure]:
        """See `tfautolabel.rules.contract.Rule`."""
        return [self._vote(value) for value in _prepared(part, self.on, self.pre)]

    def _vote(self, value: Any) -> Vote | RuleFailure:
        if isinstance(value, RuleFailure):
            return value
        vote: Vote | RuleFailure = _tried(self.function, value, **self.resources)
        return vote


def labeling_function(
    name: str | None = None,
    *,
    resources: Mapping[str, Any] | None = None,
    pre: Sequence[Preprocessor] = (),
    on: str = INPUT,
    classes: Sequence[str] = (),
) -> Callable[[Callable[..., Vote]], LabelingFunction]:
    """Makes a rule from a function of one example; use it as a decorator, as in Snorkel.

    A function that raises an exception abstains for this example, and this is reported.

    Args:
        name: the rule's name; the function's by default.
        resources: further keyword arguments for the function, such as a list of terms.
        pre: functions from an example to what the function takes, applied in order. Rules that share the
            first ones share their results too: each is called once for an example.
        on: what the function takes: "input", a text (str) or an encoded picture or clip (bytes); or "row", a
            mapping with all that is known of an example: the columns of its table, and its metadata.
        classes: the classes that it can vote for; says earlier if one of them is misspelt.

    Returns:
        The decorator.

    Raises:
        ValueError: If `on` is neither "input" nor "row".
        TypeError: If the decorator has no parentheses.

    Examples:
        >>> from tfautolabel import ABSTAIN, labeling_function
        >>> @labeling_function(resources={"words": {"awful", "broken"}}, pre=[str.lower, str.split])
        ... def complaint(words_of_text, words):
        ...     return "bad" if words & set(words_of_text) else ABSTAIN
        >>> complaint("It came BROKEN"), complaint("It came")
        ('bad', -1)
    """
    if callable(name):
        raise TypeError("labeling_function has parentheses: @labeling_function(). Received: a function")
    if on not in (INPUT, ROW):
        raise ValueError(f"on must be {INPUT!r} or {ROW!r}. Received: on={on!r}")

    def decorate(function: Callable[..., Vote]) -> LabelingFunction:
        own = name or str(getattr(function, "__name__", "rule"))
        return LabelingFunction(function, own, resources or {}, pre, on, classes)

    return decorate


class Predicts(Protocol):
    """A model that can be a rule: a `Labeler`, or what `load_exported` gives."""

    classes: tuple[str, ...]

    def predict(self, data: Dataset) -> np.ndarray:
        """Returns (n, k) probabilities; a row of zeros for an example that cannot be read."""


class ModelRule:
    """A model as a rule; `model_rule` makes it."""

    def __init__(self, model: Predicts, name: str, min_confidence: float) -> None:
        self.model = model
        self.name = name
        self.classes = tuple(model.classes)
        self.min_confidence = min_confidence
        self._alone = threading.Lock()

    def vote(self, part: Part) -> Sequence[Vote | RuleFailure]:
        """See `tfautolabel.rules.contract.Rule`."""
        if not len(part):
            return []
        with self._alone:
            probabilities = self.model.predict(part.examples)
        sure = probabilities.max(axis=1)
        best = probabilities.argmax(axis=1)
        counts = (sure >= np.float32(self.min_confidence)) & (sure > 0.0)
        return [self.classes[one] if votes else None for one, votes in zip(best, counts, strict=True)]


def model_rule(model: Predicts, name: str = "model", *, min_confidence: float = 0.8) -> ModelRule:
    """Makes a rule from an existing model, such as the SavedModel of another task with the same classes.

    Args:
        model: a fitted `Labeler`, or what `load_exported` gives.
        name: the rule's name.
        min_confidence: in [0, 1]; below it, the rule abstains.

    Raises:
        ValueError: If `min_confidence` is not in [0, 1].
    """
    check_min_confidence(min_confidence)
    return ModelRule(model, name, min_confidence)


def _prepared(part: Part, on: str, pre: tuple[Preprocessor, ...]) -> Sequence[Any]:
    """Returns what a function takes, for each example of a part; the part keeps each step."""
    if not pre:
        return part.inputs if on == INPUT else part.rows
    found = part.prepared.get((on, pre))
    if found is None:
        before, step = _prepared(part, on, pre[:-1]), pre[-1]
        found = [value if isinstance(value, RuleFailure) else _tried(step, value) for value in before]
        part.prepared[(on, pre)] = found
    return found


def _tried(call: Callable[..., Any], value: Any, **options: Any) -> Any:
    """Returns a result, or the failure if the user's code raises anything."""
    try:
        return call(value, **options)
    except Exception as error:
        said = str(error).strip().splitlines()
        return RuleFailure(f"{type(error).__name__}: {said[0]}" if said else type(error).__name__)
