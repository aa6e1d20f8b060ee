"""Drops the blanks that some programs write between a closing quote and the delimiter."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator


def without_padding(lines: Iterable[str], delimiter: str, quote: str, spaced: bool) -> Iterator[str]:
    r"""Yields lines of delimited records without blanks after closing quotes; blanks within quotes stay.

    Args:
        lines: the lines; a quoted field may run over several.
        delimiter: the character between fields.
        quote: the quote character, which is doubled within quotes.
        spaced: whether blanks before an opening quote are allowed.

    Examples:
        >>> list(without_padding(['"a" ,"b, ""c"" ,d" , e\n'], ",", '"', False))
        ['"a","b, ""c"" ,d", e\n']
    """
    mark, end = re.escape(quote), re.escape(delimiter)
    blanks = "[ \\t]" if delimiter != "\t" else "[ ]"
    opening = re.compile(rf"{f'{blanks}*' if spaced else ''}{mark}")
    quoted = re.compile(rf"[^{mark}]*(?:{mark}{mark}[^{mark}]*)*{mark}(?!{mark})")
    padding = re.compile(rf"{blanks}+(?={end}|\r?\n|\Z)")
    within = False
    for line in lines:
        place, kept = 0, []
        while place < len(line):
            if not within and (begin := opening.match(line, place)):
                within = True
                kept.append(begin.group())
                place = begin.end()
            if within:
                content = quoted.match(line, place)
                if content is None:
                    kept.append(line[place:])
                    break
                within = False
                kept.append(content.group())
                place = content.end()
                if skipped := padding.match(line, place):
                    place = skipped.end()
            following = line.find(delimiter, place)
            following = len(line) if following < 0 else following + len(delimiter)
            kept.append(line[place:following])
            place = following
        yield "".join(kept)
