"""What each class means, in words: its name, a sentence, or several.

A backbone for texts places such words among the examples, so they can label without any label. Whole
sentences in the style of the data say more than names.
"""

from __future__ import annotations

import hashlib
import json
import os
import shlex
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tfautolabel.data.label_values import class_key, class_name
from tfautolabel.data.tables.open_table import open_table
from tfautolabel.data.tables.text_file import open_text

COLUMNS = ("label", "description")
"""The columns of a table of descriptions; a class may have several rows."""

YAML_ENDINGS = (".yaml", ".yml")
SHOWN = 60


@dataclass(frozen=True)
class ClassDescriptions:
    """The texts that say what each class is.

    Attributes:
        texts: class to its texts, at least one; the order of the classes is the order of class ids.
        file: the file that they come from, or None.
        names_only: whether no class has more than its own name.

    Raises:
        ValueError: If there are fewer than two classes, or a class has no text or an empty one.
    """

    texts: Mapping[str, tuple[str, ...]]
    file: str | None = None
    names_only: bool = False

    def __post_init__(self) -> None:
        where = "" if self.file is None else f"{self.file}: "
        if len(self.texts) < 2:
            raise ValueError(
                f"{where}descriptions are of at least two classes. Received: "
                f"{', '.join(self.texts) or 'none'}"
            )
        for name, texts in self.texts.items():
            if not texts or not all(text.strip() for text in texts):
                raise ValueError(
                    f"{where}each class has a description, a text that is not empty. Received: "
                    f"{'none' if not texts else 'an empty text'} for {name!r}"
                )

    @classmethod
    def of(cls, given: Mapping[str, str | Sequence[str]], file: str | None = None) -> ClassDescriptions:
        """Makes descriptions from a mapping of classes to a text or several.

        Raises:
            ValueError: See the class; also if two names are the same class.
            TypeError: If something is no text.
        """
        where = "" if file is None else f"{file}: "
        texts: dict[str, tuple[str, ...]] = {}
        seen: dict[str, str] = {}
        for key, value in given.items():
            listed = [value] if isinstance(value, str) else value
            if not isinstance(listed, (list, tuple)) or not all(isinstance(text, str) for text in listed):
                raise TypeError(
                    f"{where}a description is a text, or a list of texts. Received: {key!r}: "
                    f"{repr(value)[:SHOWN]}"
                )
            if not isinstance(key, str) or not class_name(key):
                raise TypeError(f"{where}the name of a class is a text. Received: {key!r}")
            name = class_name(key)
            if class_key(name) in seen:
                raise ValueError(
                    f"{where}each class is described in one place. Received: {seen[class_key(name)]!r} and "
                    f"{name!r}"
                )
            seen[class_key(name)] = name
            texts[name] = tuple(" ".join(unicodedata.normalize("NFC", text).split()) for text in listed)
        return cls(texts, file)

    @classmethod
    def of_names(cls, classes: Iterable[str]) -> ClassDescriptions:
        """Makes descriptions of the names alone; an underscore is a space.

        Examples:
            >>> ClassDescriptions.of_names(["lost_card", "other"]).texts
            {'lost_card': ('lost card',), 'other': ('other',)}
        """
        found = cls.of({name: name.replace("_", " ").strip() or name for name in classes})
        return cls(found.texts, None, names_only=True)

    @classmethod
    def read(cls, path: str | os.PathLike[str]) -> ClassDescriptions:
        """Reads a file: YAML that maps each class to a text or a list of them, or a table of `COLUMNS`.

        Args:
            path: the file; a name that ends in .yaml or .yml is YAML.

        Raises:
            FileNotFoundError: If there is no such file.
            ValueError: If it holds anything else; the message names the file and the place.
            MissingExtraError: If it is a workbook and openpyxl is not installed.
        """
        shown = os.fspath(path)
        if not os.path.isfile(shown):
            raise FileNotFoundError(f"there is no file of descriptions {shown!r}")
        given = _of_yaml(shown) if shown.lower().endswith(YAML_ENDINGS) else _of_table(shown)
        try:
            return cls.of(given, shown)
        except TypeError as error:
            raise ValueError(str(error)) from None

    @classmethod
    def from_record(cls, entries: dict[str, Any] | None) -> ClassDescriptions | None:
        """Restores what `to_record` returned; None for None."""
        if entries is None:
            return None
        texts = {name: tuple(texts) for name, texts in entries["texts"].items()}
        return cls(texts, entries["file"], entries["names_only"])

    def to_record(self) -> dict[str, Any]:
        """Returns plain values, ready for JSON."""
        texts = {name: list(texts) for name, texts in self.texts.items()}
        return {"texts": texts, "file": self.file, "names_only": self.names_only}

    @property
    def digest(self) -> str:
        """64 hexadecimal digits that change with any text or class, wherever they come from."""
        told = sorted([name, list(texts)] for name, texts in self.texts.items())
        return hashlib.sha256(json.dumps(told).encode()).hexdigest()

    def words(self) -> list[str]:
        """Returns the options of a command that gives these descriptions, quoted for a shell.

        Texts that are in no file have to be written into one first: DESCRIPTIONS stands for it.
        """
        if self.names_only:
            return ["--classes", shlex.quote(",".join(self.texts))]
        return ["--describe", "DESCRIPTIONS" if self.file is None else shlex.quote(self.file)]

    def for_classes(self, classes: Sequence[str]) -> tuple[tuple[str, ...], ...]:
        """Returns the texts of each class, in the order of the classes.

        Args:
            classes: k names.

        Raises:
            ValueError: If a class has no description, or a description is of none of the classes.
        """
        where = "" if self.file is None else f"{self.file}: "
        known = {class_key(name): texts for name, texts in self.texts.items()}
        missing = [name for name in classes if class_key(name) not in known]
        if missing:
            raise ValueError(
                f"{where}every class needs a description. Received: none for {', '.join(missing)}"
            )
        own = {class_key(name) for name in classes}
        others = [name for name in self.texts if class_key(name) not in own]
        if others:
            raise ValueError(
                f"{where}descriptions are of the classes {', '.join(classes)}. Received: descriptions of "
                f"{', '.join(others)}"
            )
        return tuple(known[class_key(name)] for name in classes)


def _of_table(shown: str) -> dict[str, list[str]]:
    table = open_table(shown, COLUMNS)
    columns = {name.strip().lower(): name for name in table.columns}
    if not set(COLUMNS) <= columns.keys():
        raise ValueError(
            f"{shown}: a table of descriptions has the columns {' and '.join(COLUMNS)}. Received: "
            f"{', '.join(table.columns)}"
        )
    found: dict[str, list[str]] = {}
    for place, values, reason in table.records():
        if values is None:
            raise ValueError(f"{shown}: {place}: {reason}")
        label, text = (_text(values.get(columns[name])).strip() for name in COLUMNS)
        if not label or not text:
            raise ValueError(
                f"{shown}: {place}: a row has a label and a description. Received: label={label!r}, "
                f"description={text[:SHOWN]!r}"
            )
        found.setdefault(class_name(label), []).append(text)
    return found


def _text(value: Any) -> str:
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    return "" if value is None else str(value)


def _of_yaml(shown: str) -> dict[str, Any]:
    import yaml

    text = Path(open_text(shown).path).read_text("utf-8-sig")
    try:
        # As strings, so that a class named "no" or "1" keeps its name.
        found = yaml.load(text, Loader=yaml.BaseLoader)
        names = yaml.compose(text, Loader=yaml.BaseLoader)
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        mark = getattr(error, "problem_mark", None)
        where = "" if mark is None else f" line {mark.line + 1}:"
        said = getattr(error, "problem", None) or str(error).partition("\n")[0] or type(error).__name__
        raise ValueError(f"{shown}:{where} is not valid YAML ({said})") from error
    if not isinstance(found, dict):
        raise ValueError(
            f"{shown}: maps each class to a text or a list of texts, such as 'good: I love it'. Received: "
            f"{repr(found)[:SHOWN]}"
        )
    keys = [key.value for key, _ in names.value]
    twice = sorted({key for key in keys if keys.count(key) > 1})
    if twice:
        raise ValueError(f"{shown}: each class is described in one place. Received: {twice[0]!r} twice")
    return found
