"""Text as a terminal may get it: what it would obey, and not show, stands there as an escape."""

from __future__ import annotations

import re

_OBEYED = "\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff"
"""Control characters of both sets, marks of the writing's direction, line separators, and lone surrogates."""

_CONTROL = re.compile(f"[{_OBEYED}]")


def visible(text: str) -> str:
    r"""A text in one line that can do nothing to a terminal.

    Names of files, ids, labels and what libraries say of them come from whoever made the data. An escape
    sequence in one can overwrite what was printed, fill the clipboard or change the window's title, and a
    mark of direction can show `gpj.exe` as `exe.jpg`.

    Args:
        text: of any origin.

    Examples:
        >>> visible("a\x1b[31m.jpg"), visible("été\n")
        ('a\\x1b[31m.jpg', 'été\\n')
    """
    return text if text.isprintable() and text.isascii() else _CONTROL.sub(_escape, text)


def visible_json(text: str) -> str:
    r"""The same for JSON, of which the values stay what they are; its own line feeds stay too.

    Args:
        text: as `json.dumps` gives it.

    Examples:
        >>> visible_json('"\x9b31m"')
        '"\\u009b31m"'
    """
    if text.isascii() and "\x7f" not in text:
        return text  # json.dumps escapes the first set
    return _CONTROL.sub(lambda found: "\n" if found[0] == "\n" else f"\\u{ord(found[0]):04x}", text)


def _escape(found: re.Match[str]) -> str:
    return found[0].encode("unicode_escape").decode("ascii")
