"""Classes that a run knows without a label of each: from rules, and from descriptions."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from tfautolabel.data import Dataset
from tfautolabel.data.class_descriptions import ClassDescriptions
from tfautolabel.data.label_lookalikes import lookalikes
from tfautolabel.data.label_values import class_key

if TYPE_CHECKING:
    from tfautolabel.rules.contract import Rule


class Known(NamedTuple):
    """Examples with the classes that are known now.

    Attributes:
        examples: the labelled examples.
        pool: the examples to label.
        notes: sentences that say what was understood.
        rules: the rules of the run.
    """

    examples: Dataset
    pool: Dataset
    notes: tuple[str, ...]
    rules: tuple[Rule, ...]

    def with_classes(self, classes: Sequence[str]) -> Known:
        """Returns the same examples with these classes."""
        return self._replace(
            examples=self.examples.with_classes(classes), pool=self.pool.with_classes(classes)
        )


def with_rules(known: Known, file: str | os.PathLike[str], say: Callable[[str], None]) -> Known:
    """Adds rules; their classes and those of the labels are the classes of the run.

    Args:
        known: the examples.
        file: as `rules_of` takes it, like `say`.
        say: is called with a sentence before code is run.

    Raises:
        ValueError: If the rules cannot be read, or have no class in common with the labels.
    """
    # Imported late: a run without rules need not wait for the engines of their patterns.
    from tfautolabel.rules.apply import new_classes
    from tfautolabel.rules.code_files import check_known_classes, rules_of

    examples, notes = known.examples, [*known.notes]
    rules = rules_of(file, say)
    check_known_classes(rules, examples.classes, file)
    new, of_rules = new_classes(rules, examples.classes), [c for rule in rules for c in rule.classes]
    if examples.classes and new:
        if len(new) == len(new_classes(rules, ())):
            raise ValueError(
                f"rules and labels must be about the same classes. Received: rules in {os.fspath(file)} for "
                f"{', '.join(sorted(new))}, labels of {', '.join(examples.classes)}"
            )
        notes.append(f"classes without a label, which only rules know: {', '.join(sorted(new))}")
    of_labels = np.bincount(examples.class_ids, minlength=len(examples.classes)).tolist()
    totals = Counter(dict(zip(examples.classes, of_labels, strict=True))) + Counter(of_rules)
    found = known.with_classes(sorted([*examples.classes, *new]))
    return found._replace(notes=(*notes, *lookalikes(totals)), rules=rules)


def described_classes(classes: Sequence[str], descriptions: ClassDescriptions) -> list[str]:
    """Returns the classes that are described, in order, written as the labels are.

    Args:
        classes: the classes of the labels.
        descriptions: of these classes and perhaps others.

    Raises:
        ValueError: If there is a label of a class without a description.
    """
    written = {class_key(name): name for name in classes}
    described = [written.get(class_key(name), name) for name in descriptions.texts]
    others = sorted({*classes} - {*described})
    if others:
        where = "descriptions" if descriptions.file is None else descriptions.file
        raise ValueError(
            f"{where}: every class needs a description. Received: labels of {', '.join(others)}, and "
            f"descriptions of {', '.join(described)}"
        )
    return sorted(described)


def with_descriptions(known: Known, descriptions: ClassDescriptions) -> Known:
    """Adds descriptions; their classes are the classes of the run.

    Raises:
        ValueError: If there is a label or a rule of a class without a description.
    """
    labelled = known.examples.classes
    classes, notes = described_classes(labelled, descriptions), known.notes
    unlabelled = sorted({*classes} - {*labelled})
    if len(known.examples) and unlabelled:
        notes = (*notes, f"classes without a label, which are only described: {', '.join(unlabelled)}")
    return known.with_classes(classes)._replace(notes=notes)
