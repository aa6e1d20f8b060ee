"""Rewrites messages about a function's parameters for a user who typed options."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any


def flags_of(command: Any, words: Sequence[str]) -> dict[str, str]:
    """Returns the options of the typed command: parameter to flag.

    Args:
        command: the Click command, with all its subcommands.
        words: the words that the user typed after it.
    """
    for word in words:
        if word not in getattr(command, "commands", {}):
            break
        command = command.commands[word]
    found = {}
    for parameter in command.params:
        flags = [flag for flag in parameter.opts if flag.startswith("--")]
        if flags:
            found[parameter.name] = flags[0]
    return found


def with_flags(message: str, flags: Mapping[str, str]) -> str:
    """Returns a message with flags instead of parameter names.

    Args:
        message: the message of an error.
        flags: parameter to flag.

    Examples:
        >>> flags = {"max_batch": "--max-batch", "port": "--port"}
        >>> with_flags("max_batch must be at least 1. Received: max_batch=0", flags)
        '--max-batch must be at least 1. Received: --max-batch=0'
        >>> with_flags("port must be from 0 to 65535. Received: port=-1, a port", flags)
        '--port must be from 0 to 65535. Received: --port=-1, a port'
    """
    if not flags:
        return message
    # Longer names come first, because the first matching alternative wins.
    every = "|".join(map(re.escape, sorted(flags, key=len, reverse=True)))
    several_words = "|".join(re.escape(name) for name in sorted(flags, key=len, reverse=True) if "_" in name)
    # If a message names both, the typed one is enough.
    message = re.sub(rf"\b(?:{every})(?:=(?:'[^']*'|\"[^\"]*\"|\S+))? \((--[^()]+)\)", r"\1", message)
    # Plain words are parameters only in some places; quoted text and parts of a path never are.
    places = [rf"^(?:{every})(?= (?:must|is|needs)\b)", rf"(?<=Received: )(?:{every})(?==)"]
    if several_words:
        places.append(rf"(?<![\w/.'\"=-])(?:{several_words})(?![\w/'\"]|\.\w)")
    return re.sub("|".join(places), lambda found: flags[found[0]], message)
