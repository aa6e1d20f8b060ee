"""Makes text safe for a terminal: characters that a terminal would obey become visible escapes."""

from __future__ import annotations

import re

_OBEYED = "\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff"
"""Matches both sets of control characters, writing direction marks, line separators and lone surrogates."""

_CONTROL = re.compile(f"[{_OBEYED}]")


def visible(text: str) -> str:
    r"""Returns a text in one line that cannot control a terminal.

    File names, ids, labels and library messages about them come from the author of the data. An escape
    sequence in them can overwrite printed text, fill the clipboard or change the window's title. A direction
    mark can show `gpj.exe` as `exe.jpg`.

    Args:
        text: text from any source.

    Examples:
        >>> visible("a\x1b[31m.jpg"), visible("été\n")
        ('a\\x1b[31m.jpg', 'été\\n')
    """
    return text if text.isprintable() and text.isascii() else _CONTROL.sub(_escape, text)


def visible_json(text: str) -> str:
    r"""Returns JSON text that cannot control a terminal; keeps its values and its line feeds.

    Args:
        text: the result of `json.dumps`.

    Examples:
        >>> visible_json('"\x9b31m"')
        '"\\u009b31m"'
    """
    if text.isascii() and "\x7f" not in text:
        return text  # json.dumps escapes the first set
    return _CONTROL.sub(lambda found: "\n" if found[0] == "\n" else f"\\u{ord(found[0]):04x}", text)


def _escape(found: re.Match[str]) -> str:
    return found[0].encode("unicode_escape").decode("ascii")
