"""Reads files of fastText, in which each line has its labels before the text: `__label__spam Free entry`.

The format: https://fasttext.cc/docs/en/supervised-tutorial.html.
"""

from __future__ import annotations

import json
import re

from tfautolabel.data.tables.label_studio import one_or_list
from tfautolabel.data.tables.text_file import TemporaryCopy, TextFile

MARK = "__label__"
_FIRST = re.compile(rb"__label__[^\s,;]+[ \t]+\S")


def is_fasttext(start: bytes) -> bool:
    """Returns whether a file that begins with these bytes has labels before its texts."""
    return _FIRST.match(start) is not None


def labels_as_json_lines(text: TextFile) -> TextFile:
    """Makes a temporary copy with an object of text and label per line.

    Args:
        text: the file.
    """
    copy = TemporaryCopy(".jsonl")
    with open(text.path, encoding="utf-8-sig", errors="surrogateescape") as lines:
        for line in lines:
            words = line.split()
            if not words:
                copy.write(b"\n")
                continue
            count = next((place for place, word in enumerate(words) if not word.startswith(MARK)), len(words))
            rest = line.split(maxsplit=count)[count:]
            labels = one_or_list(word.removeprefix(MARK) for word in words[:count])
            # The tutorial of fastText writes a comma between label and text.
            row = {"text": "".join(rest).strip().removeprefix(", "), "label": labels}
            copy.write(json.dumps(row, ensure_ascii=False).encode("utf-8", "surrogateescape") + b"\n")
    copy.finish()
    note = f"{text.name}: each line begins with its label, as fastText writes it"
    return TextFile(copy.name, text.name, (*text.notes, note), copy)
