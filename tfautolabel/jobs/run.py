"""The main job: labels data from a few labels, and writes labels, a model, a record and a report."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from tfautolabel.data import Unreadable
from tfautolabel.data.addresses import local_folder
from tfautolabel.data.class_descriptions import ClassDescriptions
from tfautolabel.jobs.candidates import list_items, say_ambiguous
from tfautolabel.jobs.labeler_of import labeler_of
from tfautolabel.jobs.rules_in_model import check_has_rules, graph_of_rules, settled
from tfautolabel.jobs.runners import runner_of
from tfautolabel.jobs.runners.contract import Runner, Workers
from tfautolabel.jobs.tally import Clock, Tally
from tfautolabel.jobs.tune import search_head
from tfautolabel.runs.candidates import read_candidates
from tfautolabel.runs.commit import Staging, staging
from tfautolabel.runs.files import AUDIT_LIST, MODELS, REPORT, TUNING, VERSION
from tfautolabel.runs.identity import RUN_ID, digests
from tfautolabel.runs.inputs import Place, Source, check_source, make_folder, read_inputs
from tfautolabel.runs.outputs import check_places
from tfautolabel.runs.record import FORMAT_VERSION, versions, write_record
from tfautolabel.runs.settings import RunSettings
from tfautolabel.trust import AuditDesign, answers_needed, design_audit


@dataclass(frozen=True, eq=False)
class RunResult:
    """The results of a run.

    Attributes:
        out: the folder that holds the results.
        model: the version folder of the SavedModel.
        report: the report, an HTML file.
        classes: k class names.
        unreadable: what was set aside.
        record: the content of run.json.
    """

    out: Path
    model: Path
    report: Path
    classes: tuple[str, ...]
    unreadable: tuple[Unreadable, ...]
    record: dict[str, Any]


def run(
    data: object,
    out: Place,
    *,
    labels: Place | None = None,
    labelled: Place | None = None,
    rules: Place | None = None,
    descriptions: ClassDescriptions | None = None,
    settings: RunSettings = RunSettings(),  # noqa: B008 # frozen
    cache_dir: Place | None = None,
    runner: str = "local",
    workers: int | None = None,
    address: str | None = None,
    progress: bool = True,
    say: Callable[[str], None] = lambda _: None,
) -> RunResult:
    """Labels data from a few labels, and exports the model that did it.

    It writes into `out`: predictions.csv and predictions.parquet, unreadable.csv, model/1 (the SavedModel),
    report.html and run.json. For an audit and the report, it also writes audit_pool.parquet, evidence.npz
    and, with a target, audit.csv (the labels to check). When all files are complete, they replace those of an
    earlier run together; see `tfautolabel.runs.commit`. The pool is labelled part by part, so memory does not
    limit its size.

    Args:
        data: a folder (any tree of files); or a CSV, TSV, JSONL, Parquet or TFRecord file, whose rows with a
            label are learnt from and whose other rows are labelled; or a frame as `load_dataset` takes them.
        out: the folder for the results; made if it does not exist.
        labels: a CSV file with the columns path and label for the few labelled examples; paths are relative
            to the folder.
        labelled: instead of `labels`, a folder with one folder per class, or another table.
        rules: a file of rules that vote for classes (see `read_rules`), or of Python code that ends in .py,
            which is run; with it, labels are not needed.
        descriptions: what each class is, in words; with them, labels are not needed either.
        settings: everything that decides the results besides the data.
        cache_dir: the folder where features are kept between runs.
        runner: where the features of a pool of more than 5,000 examples are computed: in this process
            ("local"), in several of this machine ("processes"), or on a Ray cluster that is there already
            ("ray").
        workers: how many processes compute at a time; chosen by the cores that are there by default.
        address: the cluster that "ray" joins; the one that this machine belongs to by default.
        progress: shows progress bars where standard error is a terminal.
        say: is called with each thing that was recognised, guessed or chosen, one sentence at a time.

    Returns:
        The results.

    Raises:
        ValueError: If the input cannot be used, or a result would replace an input or a file that no run
            wrote; the message says what was received and what is valid.
        FileNotFoundError: If a folder or file does not exist, or weights may not be downloaded.
        MissingExtraError: If an optional package is needed; the message is the command that installs it.
        RuntimeError: If weights cannot be downloaded, the exported model fails its check, or another process
            works on the folder.
        OSError: If a file cannot be written.
    """
    settings.check()
    # Even if this process will do it all: the arguments are checked.
    found = runner_of(runner, Workers(workers, address))
    out = local_folder(out)
    source = Source(data, labels, labelled, settings, rules, descriptions)
    check_source(source, out)
    check_has_rules(source)
    with staging(out) as staged:
        described = None if descriptions is None else descriptions.file
        check_places(out, [data, labels, labelled, rules, described])
        return _run(source, staged, cache_dir, None if runner == "local" else found, progress, say)


def _run(
    source: Source,
    staged: Staging,
    cache_dir: Place | None,
    runner: Runner | None,
    progress: bool,
    say: Callable[[str], None],
) -> RunResult:
    settings, out = source.settings, staged.out
    started = datetime.now(UTC)
    clock = Clock()
    with clock("listing"):
        inputs = read_inputs(source, out, say)
    # Imported late, because TensorFlow takes seconds to load: mistakes in the input show first.
    from tfautolabel.export.saved_model import keep_additions
    from tfautolabel.jobs.outcome import label_pool, outcome

    graph = graph_of_rules(inputs, settings, clock)
    with clock("backbone"):
        labeler, choice = labeler_of(
            settings, inputs.examples, len(inputs.pool), cache_dir=cache_dir, progress=progress, say=say,
            descriptions=source.descriptions,
        )  # fmt: skip
    tuned = extraction = None
    if settings.tune:
        make_folder(out / TUNING)
        with clock("tuning"):
            extraction = labeler.extract(inputs.examples)
            tuned = search_head(labeler, inputs.examples, extraction, settings, out / TUNING, say).to_dict()
    done = label_pool(labeler, inputs, source, staged.folder, clock, say, extraction, graph, runner)
    if done.rules is not None:
        say(done.rules["why"])
        if "votes" in done.rules:
            say(done.rules["votes"]["why"])
    if labeler.descriptions_ is not None:
        say(labeler.descriptions_["why"])
    _say_drawn(done.drawn, settings, say)
    _say_shortened(done.tally, say)
    with clock("export"):
        model = labeler.export(
            staged.folder / MODELS / VERSION,
            details={RUN_ID: done.run_id},
            rules=settled(settings.rules_in_model, done.graph, done.rules, say),
        )
        keep_additions(out / MODELS / VERSION, model)
    record = {
        "format_version": FORMAT_VERSION,
        "id": done.run_id,
        "started": started.isoformat(timespec="seconds"),
        "versions": versions(),
        "inputs": source.described(inputs.pool.modality, done.labelled_digest, done.tally.digest),
        "notes": list(inputs.notes),
        "settings": settings.to_dict(),
        "tuning": tuned,
        **outcome(labeler, choice, done, settings),
        "rules": done.rules,
        "descriptions": labeler.descriptions_,
        "audit": _first_list(staged, settings, labeler.classes, not done.labelled.any(), say),
        "seconds": clock.seconds,
        "files": digests(staged.folder),
    }
    write_record(record, staged.folder)
    from tfautolabel.report import Originals, render_report

    render_report(out, staged.folder, originals=Originals.of_run(inputs, record))
    staged.commit()
    return RunResult(out, out / MODELS / VERSION, out / REPORT, labeler.classes, done.unreadable, record)


def _first_list(
    staged: Staging,
    settings: RunSettings,
    classes: tuple[str, ...],
    unlabelled: bool,
    say: Callable[[str], None],
) -> dict[str, Any]:
    """Draws the items for an audit if there is a target, or no label; returns the entries for the record.

    Without a target, a list that `tfautolabel audit` drew for this same run stays.
    """
    # Labels that come from rules or descriptions alone can only be accepted after an audit.
    asked = unlabelled or settings.target_error is not None
    nothing = {"seed": settings.seed, "listed": 0, "design": None, "needed": None}
    if not (asked or (staged.out / AUDIT_LIST).is_file()):
        staged.will_replace(AUDIT_LIST)  # there is none, and the candidates need not be read
        return nothing
    candidates = read_candidates(staged.folder)
    if not len(candidates.scores):
        list_items(staged, candidates, 0, AuditDesign.simple(settings.seed), say)
        return nothing
    levels = {"target_error": settings.target, "confidence": settings.certify_confidence}
    design = design_audit(candidates.scores, seed=settings.seed, **levels)
    needed = answers_needed(candidates.scores, np.zeros(0, bool), design=design, **levels)
    if asked:
        say_ambiguous(classes, say)
    listed = list_items(staged, candidates, needed.to_list if asked else 0, design, say)
    if not listed:
        return nothing
    return nothing | {"listed": listed, "design": design.to_dict(), "needed": needed.to_dict()}


def _say_drawn(drawn: int | None, settings: RunSettings, say: Callable[[str], None]) -> None:
    if drawn is None and settings.sampling == "chosen":
        say(
            "the labelled examples were chosen, so the accuracy that is measured on them is not the accuracy "
            "on the others; an audit tells that"
        )
    if drawn is not None:
        say(
            f"{drawn:,} of the labelled examples were drawn at random: accuracy, calibration and what is "
            "accepted come from these only, because the others were chosen"
        )


def _say_shortened(tally: Tally, say: Callable[[str], None]) -> None:
    if tally.shortened:
        say(
            f"{tally.shortened:,} texts are longer than the backbone takes and were cut at its length; "
            'long_text="average" (--long-text average) takes the mean over all of a text'
        )
