"""What an error of somebody else's code says, in one line, for a message of this package."""

from __future__ import annotations


def first_line(error: BaseException) -> str:
    r"""Returns the first line of an error's message.

    Examples:
        >>> first_line(ValueError("no such node\n  at line 3"))
        'no such node'
    """
    return str(error).strip().partition("\n")[0]


def named(error: BaseException) -> str:
    """Returns an error's type and the first line of its message.

    Examples:
        >>> named(KeyError("classes"))
        "KeyError: 'classes'"
    """
    return f"{type(error).__name__}: {first_line(error)}"
