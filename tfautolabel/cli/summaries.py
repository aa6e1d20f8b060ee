"""Results in words and tables."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from tfautolabel.cli.console import row, show, table

if TYPE_CHECKING:
    from tfautolabel.jobs import DemoResult, RunResult
    from tfautolabel.measures import Evaluation


def show_run(result: RunResult) -> None:
    """Classes, counts, how good, how much was accepted, and where everything is."""
    counts, cross_validation = result.record["counts"], result.record["cross_validation"]
    classes = table("class", "labelled", "predicted", "accepted")
    for name, count in counts["classes"].items():
        classes.add_row(
            *row(name, f"{count['labelled']:,}", f"{count['predicted']:,}", f"{count['accepted']:,}")
        )
    low, high = cross_validation["accuracy_interval_95"]
    reused = counts["features_reused"]
    show(
        classes,
        "",
        f"accuracy   {cross_validation['accuracy']:.1%} on the {cross_validation['examples']:,} labelled "
        f"examples, each predicted without having been seen (95 % interval {low:.1%} to {high:.1%})",
        f"accepted   {_share(counts['accepted'], counts['to_label'])} labels with confidence of at least "
        f"{result.record['settings']['min_confidence']:g}",
        _set_aside(counts["rejected"]),
        f"features   {counts['features_computed']:,} computed, {reused:,} reused, in "
        f"{result.record['seconds']['features']:.1f} s with {result.record['backbone']['handle']}",
        "",
        f"labels     {result.out / 'labels.csv'}, {result.out / 'labels.parquet'}",
        f"rejected   {result.out / 'rejected.csv'}",
        f"model      {result.model}",
        f"record     {result.out / 'run.json'}",
    )


def show_demo(result: DemoResult) -> None:
    """What was done, what came out, and what to open."""
    total, correct = result.evaluation.count, round(result.evaluation.accuracy * result.evaluation.count)
    show(
        f"192 tiles were cut from photographs of brick, grass and gravel into {result.photos}.",
        f"30 of them were labelled in {result.labels_file}; the other {total} were labelled from those 30:",
        "",
    )
    show_run(result.run)
    show(
        "",
        f"truth      {correct} of {total} labels are right: the demo knows what it cut, the labeler did not",
        "",
        f"Open {result.run.out / 'labels.csv'} next, or label other pictures with the model:",
        f"  tfautolabel label {result.run.model} {result.photos} --out more-labels.csv",
    )


def show_labels(accepted: int, total: int, rejected: int, labels_file: Path, rejected_file: Path) -> None:
    """Counts, and where the files are."""
    show(
        f"accepted   {_share(accepted, total)} labels",
        _set_aside(rejected),
        f"labels     {labels_file}",
        f"rejected   {rejected_file}",
    )


def show_evaluation(evaluation: Evaluation) -> None:
    """Accuracy, a row for each class, and the confusion matrix."""
    low, high = evaluation.accuracy_interval
    measures = table("class", "precision", "recall", "F1", "examples")
    for name, precision, recall, f1, support in zip(
        evaluation.classes,
        evaluation.precision,
        evaluation.recall,
        evaluation.f1,
        evaluation.support,
        strict=True,
    ):
        measures.add_row(*row(name, f"{precision:.3f}", f"{recall:.3f}", f"{f1:.3f}", f"{support:,}"))
    confusion = table("true \\ predicted", *evaluation.classes)
    for name, counts in zip(evaluation.classes, evaluation.confusion, strict=True):
        confusion.add_row(*row(name, *(f"{count:,}" for count in counts)))
    show(
        f"accuracy           {evaluation.accuracy:.3f} (95 % interval {low:.3f} to {high:.3f}, "
        f"{evaluation.count:,} examples)",
        f"balanced accuracy  {evaluation.balanced_accuracy:.3f}",
        "",
        measures,
        "",
        confusion,
    )


def show_backbones() -> None:
    """The packaged backbones, a row each."""
    from tfautolabel.backbones.packaged import PACKAGED

    names = "backbone", "data", "languages", "speed", "features", "MB", "licence", "cached"
    listing = table(*names, numbers_from=8, whole={"backbone"})
    for name, backbone in PACKAGED.items():
        listing.add_row(
            *row(
                f"packaged:{name}",
                backbone.modality,
                backbone.languages,
                backbone.speed,
                backbone.feature_dim,
                backbone.download_mb,
                backbone.licence,
                "yes" if backbone.is_cached() else "no",
            )
        )
    show(listing, "", *(f"{name}: {backbone.description}" for name, backbone in PACKAGED.items()))
    show(*(f"{name}: {backbone.note}" for name, backbone in PACKAGED.items() if backbone.note))
    show(
        *(
            f'{name}: needs pip install "tfautolabel[{backbone.extra}]"'
            for name, backbone in PACKAGED.items()
            if backbone.extra
        )
    )


def _share(part: int, whole: int) -> str:
    return f"{part:,} of {whole:,}" + (f" ({part / whole:.0%})" if whole else "")


def _set_aside(count: int) -> str:
    return f"set aside  {count:,} {'example' if count == 1 else 'examples'} that could not be read"
