"""Draws Matplotlib figures as SVG with the colours of the page, light or dark."""

from __future__ import annotations

import io
import re
from collections.abc import Callable
from typing import Any

from markupsafe import Markup, escape

COLOURS = 8
"""The number of palette colours, `--c0` to `--c7`: after Okabe and Ito, safe for colour-blind readers."""

INK, LINE, PAPER = "#010203", "#040506", "#070809"
"""Placeholders; in the page, the page's own colours replace them."""

_PALETTE = tuple(f"#0a0b{number:02x}" for number in range(COLOURS))
_IN_PAGE = {INK: "currentColor", LINE: "var(--line)", PAPER: "var(--paper)"} | {
    colour: f"var(--c{number})" for number, colour in enumerate(_PALETTE)
}
_STYLE: dict[Any, Any] = {
    "svg.fonttype": "none",
    "text.parse_math": False,
    "font.family": "sans-serif",
    "font.size": 11.0,
    "text.color": INK,
    "axes.edgecolor": LINE,
    "axes.labelcolor": INK,
    "axes.facecolor": "none",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": LINE,
    "grid.linewidth": 0.6,
    "xtick.color": LINE,
    "ytick.color": LINE,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "figure.facecolor": "none",
    "savefig.facecolor": "none",
}


def colour(number: int) -> str:
    """Returns a colour of the palette for drawing."""
    return _PALETTE[number % COLOURS]


def draw(
    name: str, description: str, paint: Callable[[Any], None], width: float = 5.2, height: float = 3.8
) -> Markup:
    """Draws one pair of axes.

    Args:
        name: unique within a page; the same name and data give the same text.
        description: a text for readers who cannot see the figure.
        paint: draws on the `matplotlib.axes.Axes` that it gets.
        width: in inches; the page scales it.
        height: in inches.

    Returns:
        An `<svg>` element.
    """
    import matplotlib
    from matplotlib.figure import Figure

    stream = io.StringIO()
    with matplotlib.rc_context({**_STYLE, "svg.hashsalt": name}):
        figure = Figure(figsize=(width, height), layout="constrained")
        paint(figure.subplots())
        figure.savefig(stream, format="svg", metadata={"Date": None})
    return Markup(_for_page(stream.getvalue(), name, str(escape(description))))


def _for_page(text: str, name: str, description: str) -> str:
    """Turns an SVG file into an element: no prologue, no addresses, and ids that no other figure has."""
    text = re.sub(r"<metadata>.*?</metadata>", "", text[text.index("<svg") :], flags=re.DOTALL)
    text = re.sub(r'xlink:href="', 'href="', text)
    text = re.sub(r'\bid="', f'id="{name}-', text)
    text = re.sub(r'(url\(|href=")#', rf"\1#{name}-", text)
    for stand_in, real in _IN_PAGE.items():
        text = text.replace(stand_in, real)
    view = re.search(r'viewBox="[^"]*"', text)
    box = view.group(0) if view else ""
    opening = f'<svg class="plot" {box} role="img" aria-label="{description}">'
    return opening + text[text.index(">") + 1 :].strip()
