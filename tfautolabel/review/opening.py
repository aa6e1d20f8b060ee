"""Opens a session: reads the data, extracts features, and goes on with what is in the folder already."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from tfautolabel.data import Dataset
from tfautolabel.data.addresses import in_full, place_of
from tfautolabel.data.class_descriptions import ClassDescriptions
from tfautolabel.jobs.checked_files import RECORD as CHECK_RECORD
from tfautolabel.labeler import select_backbone
from tfautolabel.labeler.choose import DEFAULT_BACKBONES
from tfautolabel.labeler.descriptions import DescribedClasses, DescribedPool, described
from tfautolabel.labeler.reading import Reading
from tfautolabel.review.after_run import lists_of_check, lists_of_run
from tfautolabel.review.material import Material
from tfautolabel.review.session import Review
from tfautolabel.review.settings import ReviewSettings
from tfautolabel.runs.answers import Answers
from tfautolabel.runs.described_classes import described_classes
from tfautolabel.runs.files import ANSWERS, RECORD
from tfautolabel.runs.inputs import Place, Source, check_source, load_by, make_folder
from tfautolabel.runs.record import read_record
from tfautolabel.runs.settings import RunSettings

_SESSION = "session"


def open_review(
    data: object,
    out: Place | None = None,
    *,
    labels: Place | None = None,
    classes: Sequence[str] = (),
    descriptions: ClassDescriptions | None = None,
    settings: RunSettings | None = None,
    review: ReviewSettings | None = None,
    cache_dir: Place | None = None,
    progress: bool = True,
    say: Callable[[str], None] = lambda _: None,
) -> Review:
    """Opens a session, a new one or one that goes on.

    Args:
        data: a folder, a file that holds a row for each example, or a frame; or, without `out`, a folder
            of results of `run`, `check_labels` or an earlier session, which names the data.
        out: the folder of results; the answers are in out/answers.sqlite.
        labels: a file of labels, to go on from.
        classes: names of classes, if there are no labels yet; more can be added later.
        descriptions: what each class is, in words. The first questions are chosen by them, and the run at the
            end learns from them too.
        settings: how data is read, the backbone, and what the labels will be held to; those of the earlier
            run or session by default.
        review: how the session asks.
        cache_dir: the folder where features are kept between runs.
        progress: shows progress bars where standard error is a terminal.
        say: is called with what was recognised or guessed.

    Returns:
        The session. Closing `answers` ends it.

    Raises:
        ValueError: If the data or an argument cannot be used.
        FileNotFoundError: If a folder or file does not exist, or weights may not be downloaded.
        RuntimeError: If weights cannot be downloaded.
        OSError: If the answers cannot be opened.
    """
    if out is None:
        if not isinstance(data, (str, os.PathLike)):
            raise ValueError("a session about a frame needs a folder for its results: out=…")
        out, data = Path(data), None
    out = Path(out)
    record = read_record(out) if (out / RECORD).is_file() else None
    source, known = _source(data, out, labels, settings, record)
    if descriptions is not None:
        source = replace(source, descriptions=descriptions)
    elif known.get("descriptions") and source.descriptions is None:
        source = replace(source, descriptions=ClassDescriptions.from_record(known["descriptions"]))
    check_source(replace(source, labels=source.labels or "auto") if source.is_folder else source, out)
    # The data is listed first, so that a mistake in it leaves no folder behind.
    everything = _listed(source, out, say)
    make_folder(out)
    answers = Answers(out / ANSWERS)
    classes = list(classes) or known.get("classes", [])
    if not classes and source.descriptions is not None:
        classes = described_classes(everything.classes, source.descriptions)
    if not classes and record is not None and source.knows_classes:
        classes = list(record["counts"]["classes"])  # rules and descriptions know classes without a label
    review = review or ReviewSettings(
        target_error=source.settings.target,
        certify_confidence=source.settings.certify_confidence,
        min_confidence=source.settings.min_confidence,
        sampling=source.settings.sampling,
        seed=source.settings.seed,
    )
    material = _material(source, everything, cache_dir, progress, say)
    if source.path is not None:
        facts = {
            "data": in_full(source.path),
            "labels": None if source.labels is None else in_full(source.labels),
            "classes": list(classes),
            "settings": source.settings.to_dict(),
            "rules": None if source.rules is None else os.path.abspath(source.rules),
            "descriptions": None if source.descriptions is None else source.descriptions.to_record(),
        }
        answers.set_facts({_SESSION: facts})
    lists = lists_of_check(out, material)
    if record is not None:
        lists |= lists_of_run(out, record, material)
    return Review(material, answers, classes=classes, settings=review, lists=lists)


def _listed(source: Source, out: Path, say: Callable[[str], None]) -> Dataset:
    """Returns all examples of a source, with the labels that they have."""
    labels: Any = source.labels
    if labels is None and not source.is_folder:
        labels = "auto"
    file = None if source.descriptions is None else source.descriptions.file
    exclude = [place_of(place) for place in (out, source.labels, source.rules, file) if place is not None]
    everything = load_by(source.settings, source.data, labels, exclude)
    for note in everything.notes:
        say(note)
    return everything


def _material(
    source: Source,
    everything: Dataset,
    cache_dir: Place | None,
    progress: bool,
    say: Callable[[str], None],
) -> Material:
    """Extracts the features of all examples."""
    settings = source.settings
    handle = settings.backbone or DEFAULT_BACKBONES[everything.modality]
    backbone, _ = select_backbone(
        handle, everything.labelled, long_text=settings.long_text, seed=settings.seed,
        batch_size=settings.batch_size, device=settings.device, cache_dir=cache_dir, progress=progress,
        say=say,
    )  # fmt: skip
    source = replace(source, settings=replace(settings, backbone=backbone.handle))
    reading = Reading(backbone, settings.batch_size, cache_dir, progress, settings.device, settings.precision)
    extraction = reading.extract(everything)
    unreadable = tuple(sorted({*everything.unreadable, *extraction.unreadable}))
    readable = everything.subset(extraction.rows)
    title = source.name if source.path is None else source.path.name or source.name
    told = None
    if source.descriptions is not None:
        texts = described(source.descriptions, described_classes(everything.classes, source.descriptions))
        where = DescribedClasses.of(texts or {}, backbone, reading.extract)
        told = DescribedPool(where, extraction.features).probabilities()
    return Material(readable, extraction.features, title, unreadable, everything.notes, source, told)


def _source(
    data: object, out: Path, labels: Place | None, settings: RunSettings | None, record: dict[str, Any] | None
) -> tuple[Source, dict[str, Any]]:
    """Returns where the data is, and what an earlier session knew."""
    earlier: dict[str, Any] = {}
    if (out / ANSWERS).is_file():
        store = Answers(out / ANSWERS)
        earlier = store.fact(_SESSION) or {}
        store.close()
    if data is not None:
        return Source(data, labels, None, settings or RunSettings()), earlier
    if earlier:
        known = settings or RunSettings.from_dict(earlier["settings"])
        where = labels or earlier["labels"]
        told = ClassDescriptions.from_record(earlier.get("descriptions"))
        return Source(earlier["data"], where, None, known, earlier.get("rules"), told), earlier
    if record is None and (out / CHECK_RECORD).is_file():
        record = json.loads((out / CHECK_RECORD).read_text(encoding="utf-8"))
    if record is None:
        raise FileNotFoundError(
            "a review goes on in a folder that `run`, `review` or `check-labels` wrote; to begin one, "
            f"give the data and out (--out). Received: {out}"
        )
    source = Source.with_backbone_of(record)
    if source.labelled is not None:
        source = replace(source, labelled=None, labels=None)
    return replace(source, labels=labels or source.labels, settings=settings or source.settings), earlier
