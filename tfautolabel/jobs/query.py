"""Writes a list of the examples whose labels teach most, for a person to fill in."""

from __future__ import annotations

import os
import textwrap
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from tfautolabel.data.addresses import is_remote, place_of
from tfautolabel.data.atomic import atomic_write
from tfautolabel.data.class_descriptions import ClassDescriptions
from tfautolabel.data.writers import as_utf8, unix_csv
from tfautolabel.labels import ABSTAIN
from tfautolabel.runs.audit_list import guarded
from tfautolabel.runs.described_classes import described_classes
from tfautolabel.runs.files import RECORD
from tfautolabel.runs.inputs import Place, Source, load_by
from tfautolabel.runs.outputs import check_no_run, check_outputs
from tfautolabel.runs.record import read_record
from tfautolabel.runs.said import read_said, write_drawn
from tfautolabel.runs.settings import RunSettings

if TYPE_CHECKING:
    from tfautolabel.data import Dataset
    from tfautolabel.labeler import Labeler

COLUMNS = ("id", "label", "reason")
"""A person fills in the second column. Texts follow in a column of their own; files have their names."""
TEXT = "text"
SHOWN = 500
"""The most characters of a text."""
KNOWN = "It has this label already."
SAMPLE = 5_000
"""So many examples without a label teach a head at most."""
STRATEGY = "uncertainty-herding"


@dataclass(frozen=True)
class QueryResult:
    """A list to fill in.

    Attributes:
        file: where it is.
        asked: how many examples it asks about.
        known: how many labels that were there before follow below them.
        classes: the names of the classes so far.
        source: the data, and the settings for the run that learns from the answers.
        out: the folder of the run that it belongs to; None without one.
    """

    file: Path
    asked: int
    known: int
    classes: tuple[str, ...]
    source: Source
    out: Path | None


def query_list(
    data: Place,
    file: Place,
    n: int,
    *,
    labels: Place | None = None,
    labelled: Place | None = None,
    descriptions: ClassDescriptions | None = None,
    strategy: str = STRATEGY,
    settings: RunSettings = RunSettings(),  # noqa: B008 # frozen
    overwrite: bool = False,
    cache_dir: Place | None = None,
    progress: bool = True,
    say: Callable[[str], None] = lambda _: None,
) -> QueryResult:
    """Chooses examples to ask a person about, and writes them with an empty column for the label.

    With labels of two classes or more, or descriptions, the head of the settings learns from them, and from
    the pool if it can, on features of the frozen backbone; the examples are chosen by its doubt. Without,
    they are chosen to stand for most others. Some are drawn at random; see `tfautolabel.active.query`. The
    labels that were there before follow below the questions, so that the filled file holds all labels and can
    be handed to `run` as its labels.

    Args:
        data: the folder of a run, whose data, labels and settings are taken; or a folder or table, labelled
            in part or not at all.
        file: the CSV file to write, with the columns of `COLUMNS`.
        n: how many examples to ask about, at least 1.
        labels: as for `run`; not for the folder of a run.
        labelled: as for `run`; not for the folder of a run.
        descriptions: as for `run`; not for the folder of a run.
        strategy: a key of `tfautolabel.active.QUERY_STRATEGIES`.
        settings: how the data are read, and with which backbone and seed; not for the folder of a run.
        overwrite: whether a file that exists is replaced.
        cache_dir: where features are kept between runs.
        progress: shows progress bars where standard error is a terminal.
        say: is called with what was guessed or chosen.

    Returns:
        What was written.

    Raises:
        FileExistsError: If the file exists, which may hold answers.
        FileNotFoundError: If the data does not exist.
        ValueError: If an argument is not valid, or there is nothing to ask about.
        OSError: If the file cannot be written.
    """
    from tfautolabel.active.strategies import strategy_of

    strategy_of(strategy)
    if n < 1:
        raise ValueError(f"a query asks about one example at least. Received: n={n}")
    file, out = Path(file), None
    check_no_run(file)
    check_outputs([file], [data, labels, labelled])
    if file.exists() and not overwrite:
        raise FileExistsError(
            f"{file} exists and may hold answers: name another file, or replace it with overwrite=True "
            "(--overwrite)"
        )
    if not is_remote(data) and (Path(data) / RECORD).is_file():
        if (labels, labelled, descriptions) != (None, None, None) or settings != RunSettings():
            raise ValueError(
                "the folder of a run names its own data, labels and settings. Received: "
                f"{os.fspath(data)}, and others besides"
            )
        out = Path(data)
        source = _of_run(out)
    else:
        source = Source(data, labels, labelled, settings, None, descriptions)
    told = None if source.descriptions is None else source.descriptions.file
    pool, apart = _read(source, [file, *(Path(place) for place in (out, told) if place is not None)])
    for note in pool.notes:
        say(note)
    if not (pool.class_ids == ABSTAIN).any():
        raise ValueError(f"there must be an example without a label. Received: {source.name}, which has none")
    from tfautolabel.active.query import query

    labeler = _labeler(source, pool, apart, cache_dir, progress, say)
    found = query(labeler, pool, n, strategy=strategy, labelled=apart, seed=source.settings.seed)
    known = np.flatnonzero(pool.class_ids != ABSTAIN)
    with atomic_write(file) as stream:
        writer = unix_csv(stream)
        texts = _texts(pool, found.rows) if pool.modality == "text" else []
        writer.writerow([*COLUMNS, *([TEXT] if texts else [])])
        for number, (name, reason) in enumerate(zip(found.ids.tolist(), found.reasons, strict=True)):
            writer.writerow([as_utf8(name), "", reason, *texts[number : number + 1]])
        for name, class_id in zip(pool.ids[known].tolist(), pool.class_ids[known].tolist(), strict=True):
            writer.writerow([as_utf8(name), as_utf8(pool.classes[class_id]), KNOWN, *([""] if texts else [])])
    before = read_said(source, [*map(str, pool.ids)])
    given = [name for name in map(str, pool.ids[known]) if before.drawn is None or name in before.drawn]
    write_drawn(file, [*map(str, pool.ids[found.drawn]), *given])
    classes = pool.classes if apart is None else apart.classes
    if source.descriptions is not None:
        classes = tuple(described_classes(classes, source.descriptions))
    return QueryResult(file, len(found.ids), len(known), classes, source, out)


def _texts(pool: Dataset, rows: np.ndarray) -> list[str]:
    """Returns the beginnings of texts in one line each, which no spreadsheet computes."""
    lines = []
    for value in pool.read(rows.tolist()):
        read = value.decode("utf-8", "replace") if isinstance(value, bytes) else ""
        lines.append(guarded(textwrap.shorten(read, SHOWN, placeholder=" …")))
    return lines


def _of_run(out: Path) -> Source:
    """Returns the data of a run, with the backbone that it used."""
    source = Source.with_backbone_of(read_record(out))
    if source.path is not None and not source.path.exists():
        raise FileNotFoundError(
            f"the data of a run must still be where it was. Received: {out}, whose data was {source.data}"
        )
    return source


def _read(source: Source, exclude: list[Path]) -> tuple[Dataset, Dataset | None]:
    """Lists the pool with the labels that it has, and labelled examples that lie elsewhere."""
    settings = source.settings
    if source.labelled is None:
        # Without a list of labels, the folders of a tree may have any meaning.
        labels = source.labels or (None if source.is_folder else "auto")
        return load_by(settings, source.data, labels, exclude), None
    place = place_of(source.labelled)
    apart = load_by(settings, place, "folder" if place.is_dir() else "auto", exclude)
    settings = replace(settings, modality=settings.modality or apart.modality, label_column=None)
    return load_by(settings, source.data, None, [*exclude, place]), apart.labelled


def _labeler(
    source: Source,
    pool: Dataset,
    apart: Dataset | None,
    cache_dir: Place | None,
    progress: bool,
    say: Callable[[str], None],
) -> Labeler:
    """Returns a labeler that has learnt from descriptions and labels, if there are two classes or more."""
    from tfautolabel.heads.contract import learns_from_pool
    from tfautolabel.jobs.labeler_of import labeler_of
    from tfautolabel.labeler import Labeler
    from tfautolabel.labeler.choose import DEFAULT_BACKBONES, select_backbone

    settings, described = source.settings, source.descriptions
    examples = pool.labelled if apart is None else apart
    if described is not None:
        examples = examples.with_classes(described_classes(examples.classes, described))
    if len(examples.classes) >= 2:
        settings = replace(settings, transfer="feature", tune=False, time_budget=None)
        open_rows = np.flatnonzero(pool.class_ids == ABSTAIN)
        labeler, _ = labeler_of(
            settings, examples, len(open_rows), cache_dir=cache_dir, progress=progress, say=say,
            descriptions=described,
        )  # fmt: skip
        # What a person was asked says nothing about the shares of the classes.
        chosen = np.random.default_rng(settings.seed).permutation(open_rows)[:SAMPLE]
        beside = None
        if described is not None or learns_from_pool(labeler.head):
            beside = pool.subset(np.sort(chosen))
        labeler.fit(examples, sampling="chosen", pool=beside)
        return labeler
    handle = settings.backbone
    if handle in (None, "auto"):
        handle = DEFAULT_BACKBONES[pool.modality]
        say(f"backbone: {handle}, since there are no labels yet to compare others on")
    backbone, _ = select_backbone(
        handle, examples, long_text=settings.long_text, seed=settings.seed, cache_dir=cache_dir
    )
    return Labeler(
        backbone, ("a", "b"), seed=settings.seed, batch_size=settings.batch_size, cache_dir=cache_dir,
        progress=progress, device=settings.device, precision=settings.precision,
    )  # fmt: skip
