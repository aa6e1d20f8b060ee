"""Rules in a file, for people who do not program: a table or YAML with a label and a pattern a rule."""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tfautolabel.data.label_values import class_name
from tfautolabel.data.tables.csv_dialect import DELIMITERS
from tfautolabel.data.tables.excel import as_csv, is_workbook
from tfautolabel.data.tables.text_file import TextFile, is_binary, open_text
from tfautolabel.rules.contract import OneClassVotes, Part, RuleFailure, Vote
from tfautolabel.rules.kinds import KINDS, TEXT, USUAL_FIELDS, Line, usual_kind

COLUMNS = ("label", "pattern", "kind", "field", "rule", "name")
"""The columns of a file of rules; `rule` and `name` mean the same, and only the first two are needed."""

ENDINGS = (".yaml", ".yml")
SHOWN_PATTERN = 30


class FileRule:
    """A rule of a file: it votes for one class where its test holds.

    Args:
        line: the rule as it is written, with its kind, field and name.

    Raises:
        ValueError: If its pattern is not valid; the message names the line.
        FileNotFoundError: If its list of terms is not there.
    """

    def __init__(self, line: Line) -> None:
        self.line = line
        self.name = line.name
        self.classes: tuple[str, ...] = (line.label,)
        self.field = line.field
        self.test = KINDS[line.kind](line)

    def __repr__(self) -> str:
        return f"FileRule({self.name!r}: {self.line.kind} {self.line.pattern!r} for {self.line.label!r})"

    def vote(self, part: Part) -> Sequence[Vote | RuleFailure]:
        """See `tfautolabel.rules.contract.Rule`.

        Raises:
            ValueError: If there is no such field; the message lists those that are there.
        """
        label, answers = self.line.label, self.test(part)
        if isinstance(answers, np.ndarray):
            return OneClassVotes(label, answers)
        return [
            label if answer is True else answer if isinstance(answer, RuleFailure) else None
            for answer in answers
        ]


def read_rules(path: str | os.PathLike[str]) -> tuple[FileRule, ...]:
    r"""Reads a file of rules; docs/rules.md describes the format.

    A table (CSV with any usual delimiter and encoding, or an Excel sheet) has the columns `label` and
    `pattern`, and may have `kind` (a key of `KINDS`), `field` (what is looked at) and `rule` (its name).
    YAML (a name that ends in .yaml or .yml) is a list of mappings with these keys, or maps each class to its
    keywords.

    Args:
        path: the file.

    Returns:
        Its rules in order.

    Raises:
        FileNotFoundError: If there is no such file, or a list of terms that it names is not there.
        ValueError: If a rule is not valid; the message names the file, the line and what is valid.
        MissingExtraError: If it is a workbook and openpyxl is not installed.

    Examples:
        >>> import pathlib, tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     file = pathlib.Path(folder, "rules.csv")
        ...     _ = file.write_text("label,pattern\ngood,lovely\nbad,waste of money\n")
        ...     [rule.name for rule in read_rules(file)]
        ['good: lovely', 'bad: waste of money']
    """
    shown = os.fspath(path)
    check_is_file(shown)
    with open(shown, "rb") as file:
        start = file.read(1 << 16)
    if start.startswith(b"PK\x03\x04") and is_workbook(shown):
        read = _table(_content(as_csv(shown)), shown, "row")
    elif is_binary(start):
        raise ValueError(f"{shown}: rules are a CSV, Excel or YAML file. Received: binary content")
    elif shown.lower().endswith(ENDINGS):
        read = _yaml(_content(open_text(shown)), shown)
    else:
        read = _table(_content(open_text(shown)), shown, "line")
    folder = os.path.dirname(os.path.abspath(shown))
    lines = [_line(place, values, folder) for place, values in read]
    if not lines:
        raise ValueError(f"{shown}: holds no rules; one line a rule is expected below 'label,pattern'")
    return tuple(map(FileRule, _named(lines)))


def check_is_file(path: str) -> None:
    """Refuses a file of rules that is not there, or is a folder.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is a folder.
    """
    if os.path.isdir(path):
        raise ValueError(f"rules are in a file. Received: the folder {path!r}")
    if not os.path.isfile(path):
        raise FileNotFoundError(f"there is no file of rules {path!r}")


Written = Iterator[tuple[str, Mapping[str, str]]]
"""Where each rule stands, and what stands there, by column."""


def _content(file: TextFile) -> str:
    # The object is held until all is read: a converted copy goes with it.
    return Path(file.path).read_bytes().decode("utf-8-sig", "replace")


def _table(text: str, shown: str, word: str) -> Written:
    before = 0
    if text[:4].lower() == "sep=":  # Excel writes this line
        before = 1
        text = text.partition("\n")[2]
    delimiter, names = _header(text, shown)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    header = False
    while True:
        place = f"{shown}: {word} {reader.line_num + 1 + before}"
        try:
            cells = next(reader, None)
        except csv.Error as error:
            raise ValueError(f"{place}: is not valid CSV ({error})") from error
        if cells is None:
            return
        cells = [cell.strip() for cell in cells]
        if not any(cells):
            continue
        if not header:
            header = True
            continue
        if any(cells[len(names) :]):
            raise ValueError(
                f"{place}: a rule has at most {len(names)} cells, {', '.join(names)}; put a pattern with a "
                f"{delimiter!r} between double quotes. Received: {len(cells)} cells"
            )
        yield place, dict(zip(names, cells, strict=False))


def _header(text: str, shown: str) -> tuple[str, list[str]]:
    """Returns the delimiter and the columns."""
    lines = (line for line in text.splitlines() if line.strip(" ,;\t|"))
    first = next(lines, "")
    for delimiter in DELIMITERS:
        row = next(csv.reader([first], delimiter=delimiter), [])
        names = [name.strip().lower() for name in row]
        while names and not names[-1]:
            names.pop()
        if "label" in names and "pattern" in names:
            unknown = [name for name in names if name not in COLUMNS]
            if unknown or len(set(names)) < len(names) or {"rule", "name"} <= set(names):
                break
            return delimiter, names
    raise ValueError(
        f"{shown}: the first line names the columns label and pattern, and if wanted kind, field and rule "
        f"(or name), once each. Received: {repr(first[:100]) if first else 'no line with words'}"
    )


def _yaml(text: str, shown: str) -> Written:
    import yaml

    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        mark = getattr(error, "problem_mark", None)
        where = "" if mark is None else f" line {mark.line + 1}:"
        said = getattr(error, "problem", None) or str(error).partition("\n")[0] or type(error).__name__
        raise ValueError(f"{shown}:{where} is not valid YAML ({said})") from error
    if root is None:
        return
    for node in root.value if isinstance(root, yaml.SequenceNode) else [root]:
        if not isinstance(node, yaml.MappingNode):
            raise _not_a_rule(node, shown)
        yield from _of_mapping(node, shown, "")


def _of_mapping(node: Any, shown: str, label: str) -> Written:
    """Yields the rule that a mapping holds, or those of a mapping from classes to their terms."""
    import yaml

    keys = [key.value if isinstance(key, yaml.ScalarNode) else "" for key, _ in node.value]
    if not label and "pattern" not in keys and "label" not in keys:
        for key, value in node.value:
            if not isinstance(key, yaml.ScalarNode):
                raise _not_a_rule(key, shown)
            yield from _of_class(key, value, shown)
        return
    place = _place(node, shown)
    values = {"label": label} if label else {}
    for key, value in node.value:
        name = key.value if isinstance(key, yaml.ScalarNode) else ""
        if name not in COLUMNS or name in values or not isinstance(value, yaml.ScalarNode):
            raise ValueError(
                f"{place}: a rule has the keys {', '.join(COLUMNS)}, each once and with one value. "
                f"Received: {str(name or 'another')[:60]!r}"
            )
        values[name] = value.value.strip()
    if {"rule", "name"} <= values.keys():
        raise ValueError(f"{place}: 'rule' and 'name' mean the same; give one of them")
    yield place, values


def _of_class(key: Any, value: Any, shown: str) -> Written:
    """Yields the rules for one class: all its terms together are one rule."""
    import yaml

    items = value.value if isinstance(value, yaml.SequenceNode) else [value]
    terms = []
    for item in items:
        if isinstance(item, yaml.MappingNode):
            yield from _of_mapping(item, shown, key.value)
        elif isinstance(item, yaml.ScalarNode) and item.value.strip():
            terms.append(item.value.strip())
        else:
            raise _not_a_rule(item, shown)
    if terms or not items:
        yield _place(key, shown), {"label": key.value, "pattern": "|".join(terms)}


def _place(node: Any, shown: str) -> str:
    return f"{shown}: line {node.start_mark.line + 1}"


def _not_a_rule(node: Any, shown: str) -> ValueError:
    return ValueError(
        f"{_place(node, shown)}: rules are a list of mappings with the keys label and pattern, or map each "
        f"class to its keywords, such as 'good: [great, lovely]'. Received: {node.tag.rpartition(':')[2]}"
    )


def _line(place: str, values: Mapping[str, str], folder: str) -> Line:
    """Checks what all kinds have in common."""
    label = class_name(values.get("label", ""))
    pattern = values.get("pattern", "")
    if not label or not pattern:
        raise ValueError(
            f"{place}: a rule has a label and a pattern. Received: label={label!r}, pattern={pattern!r}"
        )
    kind = values.get("kind", "").lower() or usual_kind(pattern)
    if kind not in KINDS:
        raise ValueError(f"{place}: kind must be one of {', '.join(KINDS)}, or empty. Received: {kind!r}")
    field = values.get("field", "") or USUAL_FIELDS.get(kind, TEXT)
    name = values.get("rule", "") or values.get("name", "")
    return Line(label, pattern, kind, field, name, place, folder)


def _named(lines: Sequence[Line]) -> list[Line]:
    """Gives a name to each rule that has none, and refuses rules that are written twice."""
    names: dict[str, str] = {}
    seen: dict[tuple[str, ...], str] = {}
    for line in lines:
        what = (line.label, line.kind, line.field, line.pattern)
        if what in seen:
            raise ValueError(
                f"{line.place}: the same rule stands in {seen[what].rpartition(': ')[2]} already, and would "
                f"count twice. Received: {line.pattern!r} for {line.label!r}"
            )
        seen[what] = line.place
        if line.name and line.name in names:
            raise ValueError(
                f"{line.place}: names of rules must be unique. Received: {line.name!r}, as in "
                f"{names[line.name].rpartition(': ')[2]}"
            )
        if line.name:
            names[line.name] = line.place
    named = []
    for line in lines:
        name = line.name or _made_name(line, names)
        names.setdefault(name, line.place)
        named.append(line._replace(name=name))
    return named


def _made_name(line: Line, taken: Mapping[str, str]) -> str:
    pattern = line.pattern
    if len(pattern) > SHOWN_PATTERN:
        pattern = f"{pattern[: SHOWN_PATTERN - 1]}…"
    field = line.field if line.kind in ("field", "min", "max") else ""
    between = {"field": f"{field} = ", "min": f"{field} ≥ ", "max": f"{field} ≤ "}.get(line.kind, "")
    plain = name = f"{line.label}: {between}{pattern}"
    number = 2
    while name in taken:
        name = f"{plain} ({number})"
        number += 1
    return name
