"""A data set: names, the labels that are known, and a way to read the bytes."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Sequence
from copy import copy
from typing import Any

import numpy as np

from tfautolabel._visible import visible
from tfautolabel.data.class_ids import (
    ClassIds,
    dense_ids,
    given_ids,
    held_ids,
    ids_at,
    labelled_rows,
    replaced_ids,
    unlabelled_rows,
)
from tfautolabel.data.in_memory import held_inputs, listed_inputs
from tfautolabel.data.label_values import Rules, class_key, is_label, label_rules, resolve
from tfautolabel.data.made_readable import made_readable
from tfautolabel.data.modality import MODALITIES
from tfautolabel.data.names import as_names, check_unique, shorten
from tfautolabel.data.picture_files import FrameReader
from tfautolabel.data.readers import Reader, ReadFailure, SelectedReader, read_rows
from tfautolabel.data.row_names import RowNames
from tfautolabel.data.row_runs import RowRuns, Rows
from tfautolabel.data.stratified import stratified_sample
from tfautolabel.data.tables.frames import in_order_of
from tfautolabel.data.tables.paths import check_labels_of_files
from tfautolabel.labels import ABSTAIN, Unreadable


class Dataset:
    """References to n examples, some of them labelled. The bytes are read on demand and never kept.

    Attributes:
        ids: (n,) str (NumPy's variable-width `StringDType`), unique; sorted when a loader listed a folder.
            Row numbers of a long table are a `RowNames`, which is read in the same way.
        class_ids: (n,) int64, an index into `classes`, or `ABSTAIN` (-1) where there is no label.
        classes: k class names; empty if nothing is labelled.
        modality: one of `MODALITIES`.
        notes: sentences that say what a loader guessed.
        unreadable: what was set aside when the source was listed. The whole data set and `.unlabelled` (the
            part that will be labelled and reported on) keep it. `.labelled`, `.subset` and `.split` do not,
            so that nothing is reported twice.

    Args:
        reader: gives the bytes of each of the n rows.
        ids: n names.
        class_ids: n indices into `classes`, or None if nothing is labelled.
        classes: k distinct names.
        modality: one of `MODALITIES`.
        unreadable: what was set aside.
        notes: what was guessed.

    Raises:
        ValueError: If lengths do not agree, ids or classes repeat, a class id is not valid, or the modality
            is not known.

    Examples:
        >>> dataset = Dataset.from_inputs([b"...", b"...", b"..."], ["cat", None, "dog"])
        >>> dataset
        Dataset(3 images, 2 labelled in 2 classes: cat, dog)
        >>> dataset.labelled.read([0])
        [b'...']
    """

    def __init__(
        self,
        reader: Reader,
        ids: Sequence[str] | np.ndarray | RowNames,
        class_ids: Sequence[int] | ClassIds | None = None,
        classes: Iterable[str] = (),
        *,
        modality: str = "image",
        unreadable: Iterable[Unreadable] = (),
        notes: Iterable[str] = (),
    ):
        self.reader = reader
        self.ids = _frozen(as_names(ids))
        n = len(self.ids)
        self._class_ids = held_ids(class_ids, n)
        self.classes = tuple(classes)
        self.modality = modality
        self.unreadable = tuple(unreadable)
        self.notes = tuple(notes)
        if modality not in MODALITIES:
            raise ValueError(f"modality must be one of {MODALITIES}. Received: modality={modality!r}")
        if len(reader) != n or len(self._class_ids) != n or given_ids(self._class_ids).ndim != 1:
            raise ValueError(
                f"reader, ids and class_ids must have one length. Received: {len(reader)} rows to read, "
                f"{n} ids, class_ids of shape {self.class_ids.shape}"
            )
        check_unique("ids", self.ids)
        check_unique("classes", self.classes)
        given = given_ids(self._class_ids)
        valid = (given >= ABSTAIN) & (given < len(self.classes))
        if not valid.all():
            raise ValueError(
                f"class_ids must lie in [-1, {len(self.classes) - 1}]. "
                f"Received: {np.unique(given[~valid])[:5].tolist()}"
            )

    @classmethod
    def from_inputs(
        cls,
        inputs: Sequence[Any],
        labels: Sequence[Any] | None = None,
        ids: Sequence[str] | None = None,
        modality: str | None = None,
        *,
        label_values: str = "usual",
        missing: Iterable[str] | None = None,
    ) -> Dataset:
        """Makes a data set from inputs in memory; the rows keep the order of `inputs`.

        Args:
            inputs: n encoded files, n texts, or n paths of files (which are read on demand).
            labels: n class names, see `with_labels`.
            ids: n distinct names; numbers by default.
            modality: one of `MODALITIES`; recognised by default. With "text" each str is a text, never a
                path.
            label_values: see `with_labels`.
            missing: see `with_labels`.

        Raises:
            ValueError: If the lengths do not agree, ids repeat, or strings are written as paths that lead to
                no file.
            TypeError: If an input has another type, or a label cannot be a label.
        """
        labels, inputs = in_order_of(inputs, labels), listed_inputs(inputs)
        if ids is None:
            # Leading zeros make the names sort in the order of the rows.
            width = len(str(max(len(inputs) - 1, 0)))
            ids = [f"{row:0{width}d}" for row in range(len(inputs))]
        held = held_inputs(inputs, modality)
        dataset = cls(held.reader, ids, modality=held.modality, notes=held.notes)
        if labels is None:
            return dataset
        return dataset.labelled_by(labels, label_rules(label_values, missing), depth=3)

    @property
    def class_ids(self) -> np.ndarray:
        """See the class; for a long table of which few rows have labels, each call makes it."""
        return dense_ids(self._class_ids)

    def __len__(self) -> int:
        return len(self.ids)

    def __repr__(self) -> str:
        parts = [f"{len(self):,} {_counted(self.modality, len(self))}"]
        if self.classes:
            shown = [*self.classes[:5], *(["…"] if len(self.classes) > 5 else [])]
            count = len(labelled_rows(self._class_ids))
            noun = "class" if len(self.classes) == 1 else "classes"
            parts.append(f"{count:,} labelled in {len(self.classes)} {noun}: {visible(', '.join(shown))}")
        if self.unreadable:
            parts.append(f"{len(self.unreadable):,} set aside")
        return f"Dataset({', '.join(parts)})"

    @property
    def labelled(self) -> Dataset:
        """The rows that have a label."""
        return self._select(labelled_rows(self._class_ids), ())

    @property
    def unlabelled(self) -> Dataset:
        """The rows that have no label, with the same `classes`, and `unreadable`."""
        return self._select(unlabelled_rows(self._class_ids), self.unreadable)

    rejected = property(lambda self: self.unreadable, doc="An earlier name of `unreadable`.")

    def read(
        self, rows: Sequence[int] | np.ndarray, sample_rate: int | None = None
    ) -> list[bytes | ReadFailure]:
        """Reads the bytes of some rows in parallel.

        Args:
            rows: m indices in [0, n), or an (n,) bool mask. All m values are in memory at once: read a large
                set in batches.
            sample_rate: the backbone's rate; needed only above `sound_files.READ_RATE` samples a second.

        Returns:
            m values in the order of `rows`: the bytes, or a `ReadFailure` with the reason where a row could
            not be read (it is returned, not raised). Texts lose a byte order mark; a text that is not UTF-8
            is a failure. FLAC, OGG, MP3, AIFF, AU, CAF and W64 sound becomes WAV with one channel. TIFF,
            HEIC, AVIF and DICOM pictures become PNG.

        Raises:
            ValueError: If a mask does not have length n.
            IndexError: If an index is outside [0, n).
            TypeError: If the rows are neither integers nor booleans.
        """
        ready = made_readable(self.modality, sample_rate)
        return read_rows(self.reader, self._row_indices(rows).tolist(), ready)

    def subset(self, rows: Sequence[int] | Sequence[bool] | np.ndarray) -> Dataset:
        """Returns some of the rows, in the order asked for, with the same `classes`.

        Args:
            rows: m distinct indices in [0, n), or an (n,) bool mask.

        Raises:
            ValueError: If a mask does not have length n, or an index repeats.
            IndexError: If an index is outside [0, n).
            TypeError: If the rows are neither integers nor booleans.
        """
        return self._select(self._row_indices(rows), ())

    def split(
        self, fraction: float = 0.2, *, seed: int = 0, stratified: bool = True
    ) -> tuple[Dataset, Dataset]:
        """Splits the rows at random into two parts; each part keeps the order of the whole.

        Args:
            fraction: in (0, 1), the second part's share of the rows, rounded to whole rows.
            seed: the same seed and data give the same parts.
            stratified: Give both parts each class in proportion. The larger part gets at least one example of
                every class, even if the smaller part then gets fewer rows than its share.

        Returns:
            Two data sets that share no row and together hold them all.

        Raises:
            ValueError: If the fraction is not in (0, 1).
        """
        if not 0.0 < fraction < 1.0:
            raise ValueError(f"fraction must lie between 0 and 1. Received: fraction={fraction}")
        n = len(self)
        second = round(n * fraction)
        smaller = min(second, n - second)
        rng = np.random.default_rng(seed)
        drawn = np.zeros(n, bool)
        if stratified:
            drawn[stratified_sample(self.class_ids, smaller, rng)] = True
        else:
            drawn[rng.permutation(n)[:smaller]] = True
        in_second = drawn if smaller == second else ~drawn
        return self.subset(~in_second), self.subset(in_second)

    def with_labels(
        self,
        labels: Sequence[Any],
        *,
        label_values: str = "usual",
        missing: Iterable[str] | None = None,
    ) -> Dataset:
        """Returns the same rows with other labels; `classes` are the sorted names that occur.

        Args:
            labels: n class names or whole numbers; None, NaN, an empty name or a word for "no label" where a
                row has none. Spellings that differ only in Unicode form, spaces or as numbers are one class.
            label_values: "usual", or "keep" to make each value a class as it is written.
            missing: words for "no label", instead of `label_values.MISSING`; () for none.

        Raises:
            ValueError: If there are not n labels, or one label names several classes.
            TypeError: If a value cannot be a label.
        """
        return self.labelled_by(labels, label_rules(label_values, missing), depth=3)

    def labelled_by(self, labels: Sequence[Any], rules: Rules, depth: int = 2) -> Dataset:
        """Does the same as `with_labels`, with rules that exist already.

        Args:
            labels: n labels.
            rules: how to read them.
            depth: a warning names the caller this many frames above.

        Raises:
            ValueError: If there are not n labels, one names several classes, or one file has two labels.
            TypeError: If a value cannot be a label.
        """
        labels = labels.tolist() if isinstance(labels, np.ndarray) else list(labels)
        if len(labels) != len(self):
            raise ValueError(f"one label a row, {len(self)} in all. Received: {len(labels)} labels")
        for row, label in enumerate(labels):
            if not is_label(label):
                raise TypeError(
                    f"a label must be a str, a number or None. Received: {label!r} for {self.ids[row]!r}"
                )
        names, notes, found = resolve(labels, "labels", rules)
        for warning in found:
            warnings.warn(warning, UserWarning, stacklevel=depth)
        classes = sorted({name for name in names if name})
        index = {name: class_id for class_id, name in enumerate(classes)}
        class_ids = np.array([index[name] if name else ABSTAIN for name in names], np.int64)
        check_labels_of_files(self.reader, class_ids, tuple(classes))
        return self._relabelled(class_ids, classes, notes)

    def with_classes(self, classes: Sequence[str]) -> Dataset:
        """Returns the same rows and labels, with class ids that index into another list of classes.

        Args:
            classes: distinct names in the wanted order; there may be more than occur here. Another spelling
                of a name (Unicode form, spaces, 1 and 1.0) counts as that name.

        Raises:
            ValueError: If a label that occurs here is not among `classes`, or a name repeats.
        """
        exact = {name: class_id for class_id, name in enumerate(classes)}
        by_key: dict[str, list[int]] = {}
        for class_id, name in enumerate(classes):
            by_key.setdefault(class_key(name), []).append(class_id)
        position = dict(exact)
        for name in self.classes:
            alike = by_key.get(class_key(name), [])
            if name not in exact and len(alike) == 1:
                position[name] = alike[0]
        used = [self.classes[class_id] for class_id in np.unique(given_ids(self._class_ids)) if class_id >= 0]
        unknown = [name for name in used if name not in position]
        if unknown:
            raise ValueError(
                f"labels that are none of the classes {shorten(classes)}. Received: {shorten(unknown)}"
            )
        # One place more than there are classes: ABSTAIN (-1) reads the last place, which holds ABSTAIN.
        new_ids = np.array([*(position.get(name, ABSTAIN) for name in self.classes), ABSTAIN], np.int64)
        return self._relabelled(replaced_ids(self._class_ids, new_ids), classes)

    def with_frame(self, frame: int | None) -> Dataset:
        """Returns the same rows; pictures with several frames that are converted will give another frame.

        Args:
            frame: from 1; None for the middle frame of DICOM and the first of other kinds.
        """
        changed = copy(self)
        changed.reader = self.reader if frame is None else FrameReader(self.reader, frame)
        return changed

    def with_notes(self, notes: Iterable[str]) -> Dataset:
        """Returns the same rows and labels, with more notes."""
        return self._relabelled(self._class_ids, self.classes, notes)

    def _relabelled(self, class_ids: ClassIds, classes: Iterable[str], notes: Iterable[str] = ()) -> Dataset:
        return Dataset(
            self.reader,
            self.ids,
            class_ids,
            classes,
            modality=self.modality,
            unreadable=self.unreadable,
            notes=(*self.notes, *notes),
        )

    def _select(self, rows: Rows, unreadable: Iterable[Unreadable]) -> Dataset:
        lazily = isinstance(rows, RowRuns) and isinstance(self.ids, RowNames)
        return Dataset(
            SelectedReader(self.reader, rows),
            self.ids[rows if lazily else np.asarray(rows)],
            ids_at(self._class_ids, rows),
            self.classes,
            modality=self.modality,
            unreadable=unreadable,
        )

    def _row_indices(self, rows: Sequence[int] | Sequence[bool] | np.ndarray) -> np.ndarray:
        """Checks rows given as indices or as a mask, and returns them as (m,) int64 indices."""
        given = np.asarray(rows)
        if given.dtype == bool:
            if given.shape != (len(self),):
                raise ValueError(f"a mask must have shape ({len(self)},). Received: shape {given.shape}")
            return np.flatnonzero(given)
        if given.size == 0:
            return np.zeros(0, np.int64)
        if given.ndim != 1 or not np.issubdtype(given.dtype, np.integer):
            raise TypeError(
                f"rows must be a list of integers or booleans. Received: {given.dtype} of shape {given.shape}"
            )
        # Elsewhere, negative indices count from the end; here -1 is ABSTAIN and most likely a mistake.
        if given.min() < 0 or given.max() >= len(self):
            raise IndexError(
                f"rows must lie in [0, {len(self) - 1}]. Received: rows from {given.min()} to {given.max()}"
            )
        return given.astype(np.int64)


def _frozen(ids: np.ndarray) -> np.ndarray:
    if not isinstance(ids, RowNames):
        ids.setflags(write=False)
    return ids


def _counted(modality: str, count: int) -> str:
    singular = {"audio": "clip"}.get(modality, modality)
    return singular if count == 1 else f"{singular}s"
