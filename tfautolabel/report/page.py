"""Renders templates to one self-contained HTML file."""

from __future__ import annotations

import os
import unicodedata
from pathlib import Path
from typing import Any

import jinja2

from tfautolabel._version import __version__
from tfautolabel.data.atomic import atomic_write


def write_page(template: str, path: str | os.PathLike[str], **values: Any) -> Path:
    """Renders a template into a file and escapes all values.

    Args:
        template: the name of a file in templates/.
        path: the file; missing folders are made.
        **values: the values that the template shows.

    Returns:
        The path of the file.

    Raises:
        OSError: If the file cannot be written.
    """
    page = _environment().get_template(template).render(version=__version__, **values)
    with atomic_write(path) as file:
        file.write(page)
    return Path(path)


def readable(text: str) -> str:
    r"""Replaces control characters, which HTML does not allow, by the replacement character.

    Examples:
        >>> readable("a\x00b\nc")
        'a\ufffdb\nc'
    """
    if text.isprintable():
        return text
    return "".join(
        "\ufffd" if unicodedata.category(letter) in ("Cc", "Cs") and letter not in "\n\t" else letter
        for letter in text
    )


def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("tfautolabel.report"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=lambda value: readable(value) if type(value) is str else value,
    )
    environment.filters |= {
        "count": lambda number: f"{number:,}",
        "share": lambda share: "–" if share is None else f"{100 * share:.1f}\u00a0%",
        "capitalize_first": lambda sentence: sentence[:1].upper() + sentence[1:],
        "decimal": lambda number: "–" if number is None else f"{number:.3f}",
    }
    return environment
