"""Finds given labels that are probably wrong, and examples that occur more than once; it changes no label."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from tfautolabel.data import Dataset
from tfautolabel.data.learnt import contents_of
from tfautolabel.jobs.checked_files import check_checked, write_checked
from tfautolabel.jobs.label_check import LabelCheck
from tfautolabel.jobs.labeler_of import labeler_of
from tfautolabel.jobs.small_pictures import small_picture_vectors
from tfautolabel.jobs.tally import Clock
from tfautolabel.measures.duplicates import (
    Copies,
    NearPair,
    feature_vectors,
    group_numbers,
    near_pairs,
    same_content,
)
from tfautolabel.measures.label_quality import LabelQuality, judge_labels
from tfautolabel.runs.inputs import Place, Source, check_classes, read_examples
from tfautolabel.runs.lock import locked
from tfautolabel.runs.record import versions
from tfautolabel.runs.settings import RunSettings

if TYPE_CHECKING:
    from tfautolabel.labeler import Labeler

FORMAT_VERSION = 1
UNLIKE_SHARE = 0.02
"""The share of the labelled examples that is listed as the least like the others."""
FEWEST_UNLIKE = 3


def check_labels(
    data: object,
    out: Place | None = None,
    *,
    labels: Place | None = None,
    labelled: Place | None = None,
    settings: RunSettings = RunSettings(),  # noqa: B008 # frozen
    cache_dir: Place | None = None,
    progress: bool = True,
    say: Callable[[str], None] = lambda _: None,
) -> LabelCheck:
    """Checks given labels by a linear head that has not seen them, and finds copies.

    It changes nothing: which of the listed labels are wrong, a person decides.

    Each label is predicted by a head that has seen neither its example nor a copy or near copy of it.
    Into `out` it writes check_labels.csv (all labels, the worst first; corrected in the column given, it can
    be used as labels), duplicates.csv, unlike.csv, unreadable.csv and check_labels.json, each of them whole.

    Args:
        data: as for `run`; all of it may be labelled.
        out: a folder for the results; None to write nothing.
        labels: a table of labels, as for `run`.
        labelled: as for `run`; then only these examples are looked at, and of `data` only the name is
            recorded.
        settings: as for `run`; settings that matter only for the labels of other examples are ignored.
        cache_dir: the folder where features are kept between runs.
        progress: shows progress bars where standard error is a terminal.
        say: is called with each thing that was recognised, guessed or chosen, one sentence at a time.

    Returns:
        What was found.

    Raises:
        ValueError: If the input cannot be used, or a result would replace an input or a file of somebody
            else; the message says what was received and what is valid.
        FileNotFoundError: If a folder or file does not exist, or weights may not be downloaded.
        RuntimeError: If weights cannot be downloaded, or another process works on the folder.
        OSError: If a file cannot be written.
    """
    settings.check()
    source = Source(data, labels, labelled, settings)
    if out is None:
        return _check(source, None, cache_dir, progress, say)
    check_checked(Path(out), [data, labels, labelled])
    with locked(Path(out)):
        return _check(source, Path(out), cache_dir, progress, say)


def _check(
    source: Source, out: Path | None, cache_dir: Place | None, progress: bool, say: Callable[[str], None]
) -> LabelCheck:
    settings, started, clock = source.settings, datetime.now(UTC), Clock()
    with clock("listing"):
        listed = read_examples(source, out)
    for note in listed.notes:
        say(note)
    examples = listed.labelled
    check_classes(examples.classes, listed.notes)
    with clock("backbone"):
        labeler, choice = labeler_of(settings, examples, cache_dir=cache_dir, progress=progress, say=say)
    found, digest = _examined(labeler, examples, settings, clock)
    unreadable = tuple(sorted({*listed.unreadable, *found.unreadable}))
    found = replace(found, unreadable=unreadable, out=out)
    inputs = source.described(examples.modality, digest, "")
    record = {
        "format_version": FORMAT_VERSION,
        "started": started.isoformat(timespec="seconds"),
        "versions": versions(),
        "inputs": {name: value for name, value in inputs.items() if value},
        "notes": list(listed.notes),
        "settings": settings.to_dict(),
        "backbone": {
            "handle": labeler.backbone.handle,
            "fingerprint": labeler.backbone.fingerprint,
            "choice": choice,
        },
        "engine": labeler.engine.to_dict(),
        **found.counts(),
        "seconds": clock.seconds,
    }
    found = replace(found, record=record)
    if out is not None:
        write_checked(found, out)
    return found


def _examined(
    labeler: Labeler, labelled: Dataset, settings: RunSettings, clock: Clock
) -> tuple[LabelCheck, str]:
    """Returns what is found in labelled examples, and the digest of their contents."""
    with clock("features"):
        labelled, extraction, given = labeler.labelled_features(labelled)
        # Back to the order of the data.
        back = np.argsort(extraction.rows)
        extraction = replace(extraction, rows=extraction.rows[back], features=extraction.features[back])
        given, examples = given[back], labelled.subset(extraction.rows)
    with clock("duplicates"):
        contents = contents_of(labelled, extraction.contents)
        copies = same_content([contents[row] for row in extraction.rows.tolist()], given)
        near = _near_copies(examples, extraction.features, copies)
        links = [*(one.rows for one in copies), *(np.array(pair[:2]) for pair in near)]
        groups = group_numbers(len(given), links)
    with clock("head"):
        out_of_fold = _held_out(labeler, extraction.features, given, groups, settings)
        quality = judge_labels(given, out_of_fold, groups=groups)
        unlike, scores = _most_unlike(extraction.features, given, settings.seed)
    why = _reasons(examples, labeler.classes, given, quality, out_of_fold, copies, near, unlike)
    found = LabelCheck(
        examples, labeler.classes, given, out_of_fold, quality, _with_reasons_first(quality, given, why), why,
        tuple(copies), tuple(near), unlike, scores, extraction.unreadable, None, {},
    )  # fmt: skip
    return found, extraction.digest


def _held_out(
    labeler: Labeler, features: np.ndarray, given: np.ndarray, groups: np.ndarray, settings: RunSettings
) -> np.ndarray:
    """Returns (n, k) float32: each example's probabilities from a head that has seen none of its group."""
    from tfautolabel.training import train_head
    from tfautolabel.training.class_weights import class_weights

    weights = class_weights(settings.class_weight, given, labeler.classes, settings.sampling)
    labeler.compile(optimizer="lbfgs")
    trained = train_head(
        labeler.head, features, given, class_weight=weights, seed=settings.seed, groups=groups
    )
    return trained.out_of_fold


def _near_copies(examples: Dataset, features: np.ndarray, copies: list[Copies]) -> list[NearPair]:
    """Returns pairs that are nearly the same, of pictures by their pixels; of copies, only the first."""
    repeated = {row for one in copies for row in one.rows[1:].tolist()}
    rows = np.array([row for row in range(len(examples)) if row not in repeated], np.int64)
    if examples.modality == "image":
        vectors = small_picture_vectors(examples.subset(rows))
        pairs = near_pairs(vectors[:, 0], vectors[:, 1:])
    else:
        pairs = near_pairs(feature_vectors(features[rows]))
    return [NearPair(int(rows[first]), int(rows[second]), distance) for first, second, distance in pairs]


def _most_unlike(features: np.ndarray, given: np.ndarray, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Returns the rows that are the least like the others, and (n,) float32 scores, if there are enough."""
    # Imported late: it needs scikit-learn, and mistakes in the input show first.
    from tfautolabel.trust.ood import enough_to_judge, held_out_scores

    if not enough_to_judge(given):
        return np.zeros(0, np.int64), np.full(len(given), np.nan, np.float32)
    scores = held_out_scores(features, given, seed=seed)
    # The only example of a class rightly is unlike the others.
    rows = np.flatnonzero(np.bincount(given)[given] > 1)
    count = min(max(FEWEST_UNLIKE, round(UNLIKE_SHARE * len(rows))), len(rows))
    return rows[np.argsort(-scores[rows], kind="stable")][:count], scores


def _reasons(
    examples: Dataset,
    classes: tuple[str, ...],
    given: np.ndarray,
    quality: LabelQuality,
    out_of_fold: np.ndarray,
    copies: list[Copies],
    near: list[NearPair],
    unlike: np.ndarray,
) -> tuple[str, ...]:
    """Returns what speaks against each label; "" where nothing does."""
    found: list[list[str]] = [[] for _ in given]
    ids = examples.ids
    if quality.number is not None:
        for row in np.flatnonzero(quality.likelier != given).tolist():
            likelier = quality.likelier[row]
            sure, own = out_of_fold[row, likelier], quality.scores[row]
            found[row].append(f"{classes[likelier]} is likelier: {sure:.2f} against {own:.2f}")
    for one in copies:
        for row in one.rows.tolist() if one.conflicting else ():
            other = next(other for other in one.rows.tolist() if given[other] != given[row])
            found[row].append(f"the same content as {ids[other]}, which is given {classes[given[other]]}")
    for first, second, _ in near:
        for row, other in ((first, second), (second, first)) if given[first] != given[second] else ():
            found[row].append(f"nearly the same as {ids[other]}, which is given {classes[given[other]]}")
    for row in unlike.tolist():
        found[row].append("among the least like the others")
    return tuple("; ".join(reasons) for reasons in found)


def _with_reasons_first(quality: LabelQuality, given: np.ndarray, why: tuple[str, ...]) -> np.ndarray:
    """Returns the order of `quality`, but rows with some other reason come before those without any."""
    contradicted = quality.likelier != given
    rank = np.where(contradicted, 0, np.where([bool(reason) for reason in why], 1, 2))
    return quality.order[np.argsort(rank[quality.order], kind="stable")]
