"""Rules in a Python file of the user's: its code is run, and its labeling functions are taken."""

from __future__ import annotations

import os
import runpy
from collections.abc import Callable, Sequence

from tfautolabel.rules.contract import Rule
from tfautolabel.rules.files import check_is_file, read_rules
from tfautolabel.rules.functions import LabelingFunction

CODE = ".py"


def rules_of(path: str | os.PathLike[str], say: Callable[[str], None] = lambda _: None) -> tuple[Rule, ...]:
    """Reads a file of rules; or if its name ends in .py, runs it and takes its labeling functions.

    Args:
        path: the file.
        say: is told if code is run.

    Raises:
        ValueError: If there is no rule in it, a rule is not valid, or its code fails.
        FileNotFoundError: If there is no such file.
    """
    shown = os.fspath(path)
    if not shown.lower().endswith(CODE):
        return read_rules(path)
    check_is_file(shown)
    say(f"{shown}: its code is run")
    try:
        found = runpy.run_path(shown)
    except Exception as error:
        said = str(error).partition("\n")[0]
        raise ValueError(f"{shown}: its code must run ({type(error).__name__}: {said})") from error
    rules = tuple(dict.fromkeys(value for value in found.values() if isinstance(value, LabelingFunction)))
    if not rules:
        raise ValueError(f"{shown}: must hold functions under @labeling_function(). Received: none")
    return rules


def check_known_classes(rules: Sequence[Rule], known: Sequence[str], path: str | os.PathLike[str]) -> None:
    """Refuses rules that leave open what the classes are.

    Args:
        rules: of the file.
        known: the names of the classes that labels show.
        path: the file.

    Raises:
        ValueError: If neither labels nor all rules name classes: what the code may vote for later cannot be
            seen.
    """
    silent = [rule.name for rule in rules if not rule.classes]
    if silent and not known:
        raise ValueError(
            f"{os.fspath(path)}: without labels, each function says what it votes for: "
            f"@labeling_function(classes=[…]). Received: {silent[0]!r} without classes"
        )
