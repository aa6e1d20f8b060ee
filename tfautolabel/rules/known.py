"""What is known of an example besides its input: columns of its table, its name, folder, size and length."""

from __future__ import annotations

import io
import os
import wave
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from tfautolabel.data import Dataset, ReadFailure
from tfautolabel.rules.contract import Part

ID, NAME, FOLDER = "id", "name", "folder"
SIZE, DURATION, LENGTH = "size", "duration", "length"
OF_ALL = (ID, NAME, FOLDER, SIZE)
OF_MODALITY = {"text": (LENGTH,), "audio": (DURATION,)}


def names_known(modality: str) -> tuple[str, ...]:
    """Returns what is known of each example of a modality, whatever table it comes from."""
    return (*OF_ALL, *OF_MODALITY.get(modality, ()))


class KnownRow(Mapping[str, Any]):
    """What is known of one example, found when it is asked for.

    Args:
        examples: p examples.
        row: which of them, in [0, p).
        columns: the values of columns, which go before what has the same name.

    Attributes:
        columns: as given.
    """

    def __init__(self, examples: Dataset, row: int, columns: Mapping[str, Any]) -> None:
        self._examples = examples
        self._row = row
        self.columns = columns

    def __getitem__(self, name: str) -> Any:
        if name in self.columns:
            return self.columns[name]
        if name not in names_known(self._examples.modality):
            raise KeyError(name)
        own = str(self._examples.ids[self._row])
        if name == ID:
            return own
        if name in (NAME, FOLDER):
            return path_part(own, name)
        value = None
        if name != SIZE or size_of(self._examples, self._row, None) is None:
            (value,) = self._examples.read([self._row])
        if isinstance(value, ReadFailure):
            return None
        return measured(name, self._examples, self._row, value)

    def __iter__(self) -> Iterator[str]:
        yield from dict.fromkeys((*self.columns, *names_known(self._examples.modality)))

    def __len__(self) -> int:
        return sum(1 for _ in self)


def known_of(part: Part, field: str, place: str) -> Sequence[Any]:
    """Returns one thing that is known of each example of a part; None where it is not.

    Args:
        part: p examples.
        field: the name of a column, or one of `names_known`.
        place: where the rule stands, for the message.

    Raises:
        ValueError: If nothing has that name; the message lists what has.
    """
    if not len(part):
        return []
    rows, known = part.rows, names_known(part.examples.modality)
    own = rows[0].columns if isinstance(rows[0], KnownRow) else set(rows[0]) - set(known)
    if field in own:
        return [row[field] for row in rows]
    if field not in known:
        raise ValueError(
            f"{place}: field must be 'text', one of {_listed(known)}, or a column of the table"
            f"{_columns_said(rows[0], known)}. Received: {field!r}"
        )
    ids: list[str] = part.examples.ids.tolist()
    if field == ID:
        return ids
    if field in (NAME, FOLDER):
        return [path_part(name, field) for name in ids]
    return [measured(field, part.examples, row, value) for row, value in enumerate(part.inputs)]


def path_part(own: str, name: str) -> str:
    """Returns the name of a file without its ending, or the folders above it, from an example's id."""
    path = own.replace("\\", "/")
    return os.path.splitext(os.path.basename(path))[0] if name == NAME else os.path.dirname(path)


def measured(name: str, examples: Dataset, row: int, value: str | bytes | None) -> float | None:
    """Returns the size in bytes, the duration in seconds or the length in characters of one example.

    Args:
        name: `SIZE`, `DURATION` or `LENGTH`.
        examples: p examples.
        row: which of them.
        value: its input; None only for the size of a file.
    """
    if name == SIZE:
        return size_of(examples, row, value)
    if name == LENGTH:
        text = value.decode("utf-8") if isinstance(value, bytes) else value
        return None if text is None else len(text)
    return duration_of(value) if isinstance(value, bytes) else None


def size_of(examples: Dataset, row: int, value: str | bytes | None) -> int | None:
    """Returns how many bytes a file has, or else the input; None if only the input would tell."""
    if examples.modality != "text" and hasattr(examples.reader, "size"):
        return int(examples.reader.size(row)) or None
    if value is None:
        return None
    content: bytes = value.encode("utf-8", "surrogatepass") if isinstance(value, str) else value
    return len(content)


def duration_of(sound: bytes) -> float | None:
    """Returns how many seconds a WAV file lasts; None if its header does not say."""
    try:
        with wave.open(io.BytesIO(sound)) as file:
            seconds: float = file.getnframes() / file.getframerate()
            return seconds
    except (wave.Error, EOFError, ZeroDivisionError, ValueError, RuntimeError):
        return _of_chunks(sound)


def _of_chunks(sound: bytes) -> float | None:
    """Returns the duration of WAV of kinds that the module `wave` does not read, such as floats."""
    place, rate = 12, 0
    while place + 8 <= len(sound) and sound[:4] == b"RIFF":
        name, size = sound[place : place + 4], int.from_bytes(sound[place + 4 : place + 8], "little")
        if name == b"fmt " and place + 20 <= len(sound):
            rate = int.from_bytes(sound[place + 16 : place + 20], "little")
        if name == b"data":
            return min(size, len(sound) - place - 8) / rate if rate else None
        place += 8 + size + size % 2
    return None


def _listed(names: Sequence[str]) -> str:
    return ", ".join(map(repr, names))


def _columns_said(row: Mapping[str, Any], known: Sequence[str]) -> str:
    own = [name for name in row if name not in known]
    return f" ({_listed(own[:20])})" if own else ", where there is one"
