"""The main job: a folder of files and a few labels in; labels, a model and a record out."""

from __future__ import annotations

import hashlib
import json
import os
import platform
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tfautolabel._version import __version__
from tfautolabel.data import Dataset, Rejected, load_dataset, write_labels, write_rejected
from tfautolabel.data.atomic import atomic_write
from tfautolabel.labels import MIN_CONFIDENCE, Labels

if TYPE_CHECKING:
    from tfautolabel.features import Extraction
    from tfautolabel.labeler import Labeler

DEFAULT_BACKBONES = {"image": "packaged:efficientnet-lite0"}
"""Which backbone is taken for data of a modality when none is asked for."""


@dataclass(frozen=True, eq=False)
class RunResult:
    """What a run did.

    Attributes:
        out: the folder that holds the results.
        model: the version folder of the SavedModel.
        labels: the labels that were written.
        rejected: what was set aside.
        record: the content of run.json.
    """

    out: Path
    model: Path
    labels: Labels
    rejected: tuple[Rejected, ...]
    record: dict[str, Any]


def run(
    folder: str | os.PathLike[str],
    out: str | os.PathLike[str],
    *,
    labels: str | os.PathLike[str] | None = None,
    labelled: str | os.PathLike[str] | None = None,
    backbone: str | None = None,
    head: str = "linear",
    seed: int = 0,
    batch_size: int = 32,
    cache_dir: str | os.PathLike[str] | None = None,
    min_confidence: float = MIN_CONFIDENCE,
    class_weight: str | dict[str, float] | None = None,
    progress: bool = True,
) -> RunResult:
    """Labels a folder of files from a few labels, and exports the model that did it.

    Writes into `out`: labels.csv and labels.parquet, rejected.csv, model/1 (the SavedModel) and run.json.
    What an earlier run wrote there is replaced, each file once its successor is whole.

    Args:
        folder: any tree of files.
        out: made if it is not there.
        labels: a CSV file with the columns path and label for the few that are labelled; paths are relative
            to `folder`.
        labelled: instead of `labels`, a folder that has a folder per class.
        backbone: a string for `load_backbone`; by default one that suits the data.
        head: a key of `HEADS`.
        seed: decides everything random.
        batch_size: examples in one forward pass.
        cache_dir: where features are kept between runs.
        min_confidence: in [0, 1], labels less sure than this are not accepted.
        class_weight: "balanced", or a weight for each class name.
        progress: shows progress bars where standard error is a terminal.

    Returns:
        What was done.

    Raises:
        ValueError: If the input is not usable, with what was received and what is valid.
        FileNotFoundError: If a folder or file is not there, or weights may not be fetched.
        RuntimeError: If weights cannot be fetched, or the exported model fails its check.
    """
    if (labels is None) == (labelled is None):
        raise ValueError(
            "give either --labels, a CSV file with the columns path and label, or --labelled, a folder that "
            f"has a folder per class. Received: {'neither' if labels is None else 'both'}"
        )
    if not 0.0 <= min_confidence <= 1.0:
        raise ValueError(f"min_confidence must lie in [0, 1]. Received: min_confidence={min_confidence}")
    out = Path(out)
    _check_places(Path(folder), labelled, out)
    started = datetime.now(UTC)
    clock = _Clock()
    with clock("listing"):
        examples, pool, listed = _read_inputs(Path(folder), labels, labelled, out)
    # Only now, because importing TensorFlow takes seconds: a mistake in the input is told at once.
    from tfautolabel.backbones import load_backbone
    from tfautolabel.heads import HEADS
    from tfautolabel.labeler import Labeler

    if head not in HEADS:
        raise ValueError(f"head must be one of {', '.join(HEADS)}. Received: head={head!r}")
    with clock("backbone"):
        chosen = load_backbone(backbone or DEFAULT_BACKBONES[pool.modality])
        labeler = Labeler(
            chosen,
            examples.classes,
            head,
            seed=seed,
            batch_size=batch_size,
            cache_dir=cache_dir,
            min_confidence=min_confidence,
            progress=progress,
        )
    with clock("features"):
        examples_extraction = labeler.extract(examples)
        pool_extraction = labeler.extract(pool)
    with clock("head"):
        labeler.fit(examples, class_weight=class_weight, extraction=examples_extraction)
    with clock("labels"):
        given = labeler.label(pool, extraction=pool_extraction)
        labelled_rejected = _named_below(labelled, examples_extraction.rejected)
        rejected = tuple(sorted({*listed, *labelled_rejected, *pool_extraction.rejected}))
        write_labels(given, out / "labels.csv")
        write_labels(given, out / "labels.parquet")
        write_rejected(rejected, out / "rejected.csv")
    with clock("export"):
        model = labeler.export(out / "model" / "1", overwrite=True)
    record = {
        "started": started.isoformat(timespec="seconds"),
        "versions": _versions(),
        "inputs": _inputs(folder, labels, labelled, examples_extraction, pool_extraction),
        "settings": {
            "head": head,
            "seed": seed,
            "batch_size": batch_size,
            "min_confidence": min_confidence,
            "class_weight": class_weight,
        },
        "backbone": {"handle": chosen.handle, "fingerprint": chosen.fingerprint},
        "counts": _counts(labeler, examples, examples_extraction, pool_extraction, given, rejected),
        "cross_validation": labeler.cross_validation_,
        "seconds": clock.seconds,
    }
    with atomic_write(out / "run.json") as file:
        file.write(json.dumps(record, indent=2, ensure_ascii=False) + "\n")
    return RunResult(out, model, given, rejected, record)


class _Clock:
    """Seconds a stage."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    @contextmanager
    def __call__(self, stage: str) -> Iterator[None]:
        start = time.perf_counter()
        yield
        self.seconds[stage] = round(time.perf_counter() - start, 3)


def _check_places(folder: Path, labelled: str | os.PathLike[str] | None, out: Path) -> None:
    """Refuses folders that would make one thing be taken for another."""
    if out.exists() and not out.is_dir():
        raise ValueError(f"out must be a folder, or new. Received: {out}, which is a file")
    if _is_within(folder, out) and _is_within(out, folder):
        raise ValueError(f"out must be another folder than the one to label. Received: {out} for both")
    if labelled is not None and _is_within(folder, Path(labelled)):
        raise ValueError(
            "the folder to label must not be the labelled folder or lie in it, where its own folder would be "
            f"a class. Received: {folder} and {os.fspath(labelled)}"
        )


def _is_within(path: Path, folder: Path) -> bool:
    return Path(os.path.realpath(path)).is_relative_to(os.path.realpath(folder))


def _read_inputs(
    folder: Path, labels: str | os.PathLike[str] | None, labelled: str | os.PathLike[str] | None, out: Path
) -> tuple[Dataset, Dataset, tuple[Rejected, ...]]:
    """The labelled examples, the pool, and what was set aside while they were listed."""
    if labels is not None:
        everything = load_dataset(folder, Path(labels), exclude=[out])
        examples, pool = everything.labelled, everything.unlabelled
        listed = everything.rejected
    else:
        train = Path(labelled or "")
        examples = load_dataset(train, "folder", exclude=[out])
        pool = load_dataset(folder, None, exclude=[out, train])
        listed = (*_named_below(labelled, examples.rejected), *pool.rejected)
        examples = examples.labelled
    if len(examples.classes) < 2:
        found = ", ".join(examples.classes) or "none"
        raise ValueError(f"labels of at least two classes are needed. Received: {found}")
    if len(pool) == 0:
        raise ValueError(
            f"there must be something to label. Received: {folder}, in which every file has a label"
        )
    return examples, pool, listed


def _named_below(
    labelled: str | os.PathLike[str] | None, rejected: Sequence[Rejected]
) -> tuple[Rejected, ...]:
    """With the labelled folder's name in front: files below the other folder may have the same ids."""
    if labelled is None:
        return tuple(rejected)
    name = os.path.basename(os.path.realpath(labelled))
    return tuple(Rejected(f"{name}/{file_id}", reason) for file_id, reason in rejected)


def _versions() -> dict[str, str]:
    packages = ("tensorflow", "keras", "numpy", "scikit-learn")
    return {"tfautolabel": __version__, "python": platform.python_version()} | {
        package: version(package) for package in packages
    }


def _inputs(
    folder: str | os.PathLike[str],
    labels: str | os.PathLike[str] | None,
    labelled: str | os.PathLike[str] | None,
    examples: Extraction,
    pool: Extraction,
) -> dict[str, Any]:
    return {
        "folder": os.path.abspath(folder),
        "labels": None if labels is None else os.path.abspath(labels),
        "labels_sha256": None if labels is None else hashlib.sha256(Path(labels).read_bytes()).hexdigest(),
        "labelled": None if labelled is None else os.path.abspath(labelled),
        "labelled_contents_sha256": examples.digest,
        "pool_contents_sha256": pool.digest,
    }


def _counts(
    labeler: Labeler,
    examples: Dataset,
    examples_extraction: Extraction,
    pool_extraction: Extraction,
    labels: Labels,
    rejected: tuple[Rejected, ...],
) -> dict[str, Any]:
    read = examples.class_ids[examples_extraction.rows]
    predicted = labels.probabilities.argmax(axis=1)
    return {
        "labelled": len(read),
        "to_label": len(labels),
        "accepted": int(labels.accepted.sum()),
        "rejected": len(rejected),
        "features_computed": examples_extraction.computed + pool_extraction.computed,
        "features_reused": examples_extraction.reused + pool_extraction.reused,
        "classes": {
            name: {
                "labelled": int((read == class_id).sum()),
                "predicted": int((predicted == class_id).sum()),
                "accepted": int((labels.class_ids == class_id).sum()),
            }
            for class_id, name in enumerate(labeler.classes)
        },
    }
