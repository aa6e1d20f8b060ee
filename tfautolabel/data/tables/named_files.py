"""Tables whose ids are also file names, such as "id,breed" beside a folder of pictures."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress

from tfautolabel.data.located_files import NamedFiles
from tfautolabel.data.path_search import find_place
from tfautolabel.data.places import Place
from tfautolabel.data.tables.columns import INPUTS, Sample, first_known, words_of
from tfautolabel.data.tables.contract import Columns, Table

ID_WORDS = frozenset(("id", "ids", "uid", "uuid", "guid", "key", "code", "name", "names", "index"))
"""Words in the name of a column that names rows, and often their files too."""


def choose_with_files(
    table: Table,
    sample: Sample,
    folder: str | Place,
    choose: Callable[..., Columns],
    labels_wanted: bool,
) -> Columns:
    """Chooses the columns; ids that are file names become the input if no other column is one.

    Args:
        table: the table; its user named no input column.
        sample: values of its first rows.
        folder: the table's folder.
        choose: returns the columns; it accepts `input_column` and `label_column`.
        labels_wanted: whether the labels of the table itself are wanted.

    Raises:
        ValueError: If the input column cannot be found.
    """
    names = [name for name in table.columns if ID_WORDS & set(words_of(name))]
    if len(names) != 1 or len(table.columns) < 2 or first_known(INPUTS, table.columns):
        return choose()
    with suppress(ValueError):
        usual = choose()
        texts = _values(sample, usual.input)
        long = sum(len(text.split()) > 3 for text in texts) * 4 > len(texts)
        # These are texts, even if such files exist: they are long, or nearly all different.
        if usual.input != names[0] and (long or len(set(texts)) * 10 > 9 * len(texts)):
            return usual
    if place_of_names(_values(sample, names[0]), table.name, names[0], folder) is None:
        return choose()
    found = choose(input_column=names[0])
    others = [name for name in table.columns if name != names[0]]
    is_label = found.label is None and labels_wanted and len(others) == 1
    return choose(input_column=names[0], label_column=others[0]) if is_label else found


def place_of_names(
    values: list[str], source: str, column: str, folder: str | Place | None
) -> NamedFiles | None:
    """Finds the files that an id column names; None if there are none or the column is no id column."""
    if not ID_WORDS & set(words_of(column)):
        return None
    return find_place(values, f"{source}: column {column!r}", folder, named=True, refuse=False)


def _values(sample: Sample, column: str) -> list[str]:
    return [(row.get(column) or b"").decode("utf-8", "replace") for row in sample]
