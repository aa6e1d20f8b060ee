"""Packages whose operations the graph of a model uses."""

from __future__ import annotations

from collections.abc import Sequence

from tfautolabel._optional import require

EXTRAS = {"tensorflow-text": ("tensorflow_text", "text")}
"""Distributions that a graph may need: the module to import, and the extra that installs it."""


def import_requirements(requires: Sequence[str]) -> None:
    """Imports the packages whose operations a model's graph uses.

    Args:
        requires: names of distributions, as in labeler.json.

    Raises:
        MissingExtraError: If one is not installed; the message is the command that installs it.
    """
    for name in requires:
        if name in EXTRAS:
            require(*EXTRAS[name])
