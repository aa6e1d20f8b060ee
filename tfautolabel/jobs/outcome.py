"""Fits, certifies and labels within a run, and makes the record's entries about this."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from tfautolabel._progress import working
from tfautolabel.backbones.plain import is_plain
from tfautolabel.data import Dataset, Unreadable, write_unreadable
from tfautolabel.data.class_descriptions import ClassDescriptions
from tfautolabel.export import RuleGraph
from tfautolabel.features import Extraction
from tfautolabel.jobs.baseline import measure_baselines
from tfautolabel.jobs.evidence import write_evidence
from tfautolabel.jobs.labelled_copies import LabelledCopies
from tfautolabel.jobs.part_features import extracted_by
from tfautolabel.jobs.plain_quantities import differences
from tfautolabel.jobs.rule_votes import RuleVotes
from tfautolabel.jobs.runners.contract import Runner
from tfautolabel.jobs.tally import Clock, Tally
from tfautolabel.labeler import Labeler
from tfautolabel.labeler.reading import ExtractParts
from tfautolabel.labeler.weak_labels import WeakLabels
from tfautolabel.labels import DESCRIPTION
from tfautolabel.measures import evaluate_probabilities
from tfautolabel.measures.shift import Shift
from tfautolabel.runs.candidates import candidates_writer
from tfautolabel.runs.files import EVIDENCE, UNREADABLE
from tfautolabel.runs.identity import RUN_ID, run_id
from tfautolabel.runs.inputs import Inputs, Source, named_below
from tfautolabel.runs.learnt import write_learnt
from tfautolabel.runs.predictions import predictions_writers
from tfautolabel.runs.record import versions
from tfautolabel.runs.said import Said, read_said
from tfautolabel.runs.settings import RunSettings
from tfautolabel.trust import Certificate
from tfautolabel.trust.acceptance import Acceptance
from tfautolabel.trust.certificates import with_pool

CHOSEN_EXAMPLES = "there is no comparison: it would be about chosen examples, which says little of the others"

NO_TRANSFER = "there is no comparison: the features come from no pretrained network"

NO_EXAMPLES = "there is no comparison: it would be about labelled examples, and there are none"

SAMPLE = 5_000
"""Examples of the pool that are read first, for the gate's comparison and for the report."""


@dataclass(frozen=True, eq=False)
class Done:
    """The results of labelling.

    Attributes:
        run_id: see `tfautolabel.runs.identity`.
        tally: the counts over the pool.
        labelled: (k,) int64, the number of readable labelled examples of each class.
        labelled_digest: the digest of their contents.
        unreadable: what was set aside.
        certificate: the statement of cross-validation about the target.
        acceptance: the rule by which labels were accepted.
        baselines: the accuracies without transfer.
        drawn: how many labelled examples were drawn at random; None if nothing is said about it.
        rules: the record of the rules; None without rules.
        graph: the rules that go into the model; None for none.
        shift: what differs between the labelled examples and the pool; None if there is too little.
        sampled: how many examples stood for how many, where the head and the gate look at the pool; None if
            they saw all of it.
    """

    run_id: str
    tally: Tally
    labelled: np.ndarray
    labelled_digest: str
    unreadable: tuple[Unreadable, ...]
    certificate: Certificate
    acceptance: Acceptance
    baselines: dict[str, Any]
    drawn: int | None = None
    rules: dict[str, Any] | None = None
    graph: RuleGraph | None = None
    shift: Shift | None = None
    sampled: dict[str, int] | None = None


def label_pool(
    labeler: Labeler,
    inputs: Inputs,
    source: Source,
    out: Path,
    clock: Clock,
    say: Callable[[str], None],
    extraction: Extraction | None = None,
    graph: RuleGraph | None = None,
    runner: Runner | None = None,
) -> Done:
    """Fits the labeler, labels the pool part by part, and writes the labels and what was set aside.

    Args:
        labeler: a labeler that is not fitted yet.
        inputs: the labelled examples and the pool.
        source: their location, with the settings of the run.
        out: the folder to write into.
        clock: measures the time of each stage.
        say: is called with what was tuned.
        extraction: the result of `labeler.extract` for the labelled examples, so that it is not repeated.
        graph: the rules that the model is to hold; None for none.
        runner: extracts the features of the pool; None to do it in this process.
    """
    examples, n_classes, settings = inputs.examples, len(labeler.classes), source.settings
    sample, said = _sample(inputs.pool, labeler.seed, say), _said(source, inputs)
    if extraction is None:
        with clock("features"):
            extraction = labeler.extract(examples)
    rules = RuleVotes.of(labeler, inputs, source, clock, say, graph)
    weak = None if rules is None else rules.weak
    with clock("head"):
        _fit(labeler, examples, settings, extraction, sample, said, weak)
    shift = _explained(labeler, examples, sample, said)
    for learnt in (labeler.transfer_, labeler.transfer_.get("pool", {})):
        if "why" in learnt:
            say(learnt["why"])
    certificate = labeler.certify(
        settings.target, confidence=settings.certify_confidence, per_class=settings.per_class
    )
    estimate = labeler.acceptance
    if settings.target_error is None:
        labeler.accept_by(None)
    tally = Tally(n_classes)
    tally.add_features(extraction)
    # If the gate has seen the whole pool, the pool is not extracted again.
    seen = labeler.pool_extraction_ if sample is inputs.pool else None
    if seen is None and labeler.pool_extraction_ is not None:
        tally.add_sample(labeler.pool_extraction_)
    if rules is not None:
        tally.add_sample(rules.extraction)
    copies = LabelledCopies(extraction, examples.class_ids)
    with extracted_by(None if seen is not None else runner, labeler.reading, out) as extract_parts:
        in_order, found_id = _write_labels(
            labeler, inputs, source, extraction, seen, tally, estimate, out, clock, said, copies, rules,
            extract_parts,
        )  # fmt: skip
    copies.tell(say)
    write_unreadable(in_order, out / UNREADABLE)
    certificate = with_pool(certificate, labeler.classes, tally.predicted, tally.accepted_by_estimate)
    if settings.target_error is not None:
        labeler.accept_by(certificate)
    write_learnt(labeler.learnt_, extraction.digest, out)
    with clock("evidence"):
        _write_evidence(labeler, examples, extraction, sample, out, found_id)
    with clock("baseline"), working("measuring what does without transfer", labeler.progress):
        baselines = _baselines(labeler, examples.subset(extraction.rows), said)
    counts = np.bincount(examples.class_ids[extraction.rows], minlength=n_classes)
    return Done(
        found_id,
        tally,
        counts,
        extraction.digest,
        in_order,
        certificate,
        labeler.acceptance,
        baselines,
        None if said.drawn is None else len(labeler.fitted.held_out.judging.class_ids),
        None if rules is None else rules.record(labeler.rules_),
        None if rules is None else rules.weak.graph,
        shift,
        None if sample is inputs.pool else {"examples": len(sample), "of": len(inputs.pool)},
    )


def _fit(
    labeler: Labeler,
    examples: Dataset,
    settings: RunSettings,
    extraction: Extraction,
    sample: Dataset,
    said: Said,
    weak: WeakLabels | None,
) -> None:
    labeler.fit(
        examples,
        class_weight=settings.class_weight,
        sampling=settings.sampling,
        extraction=extraction,
        pool=sample,
        drawn=said.drawn,
        rules=weak,
    )


def _explained(labeler: Labeler, examples: Dataset, sample: Dataset, said: Said) -> Shift | None:
    """Returns what differs between the labelled examples and the pool, with what a person can see of it."""
    shift = labeler.fitted.shift
    if shift is None or shift.changed != "inputs":
        return shift
    if said.drawn is not None:
        examples = examples.subset(np.isin(np.asarray(examples.ids).astype(str), [*said.drawn]))
    return replace(shift, differences=tuple(differences(examples, sample, seed=labeler.seed)))


def _baselines(labeler: Labeler, known: Dataset, said: Said) -> dict[str, Any]:
    if is_plain(labeler.backbone.handle):
        return {"majority": None, "probe": None, "why": NO_TRANSFER}
    if said.drawn is not None or not len(known):
        why = CHOSEN_EXAMPLES if len(known) else NO_EXAMPLES
        return {"majority": None, "probe": None, "why": why}
    right = labeler.out_of_fold_.argmax(axis=1) == labeler.truth_
    return measure_baselines(known, labeler.classes, right, seed=labeler.seed)


def _write_labels(
    labeler: Labeler,
    inputs: Inputs,
    source: Source,
    extraction: Extraction,
    seen: Extraction | None,
    tally: Tally,
    estimate: Acceptance,
    out: Path,
    clock: Clock,
    said: Said,
    copies: LabelledCopies,
    rules: RuleVotes | None,
    extract_parts: ExtractParts | None,
) -> tuple[tuple[Unreadable, ...], str]:
    """Labels the pool part by part into its files; returns everything set aside, and the run's id."""
    unreadable = {*inputs.unreadable, *named_below(source.labelled, extraction.unreadable)}
    metadata: dict[str, str] = {}
    with ExitStack() as stack:
        writers = stack.enter_context(predictions_writers(out, metadata))
        write = [*(writer.write for writer in writers), stack.enter_context(candidates_writer(out, metadata))]
        found = labeler.extracted_parts(inputs.pool, extraction=seen, extract_parts=extract_parts)
        for part, labels in _timed(found, clock, "features"):
            with clock("labels"):
                labels = copies.label(part, labels.without(said.no_class))
                labels = labels if rules is None else rules.label(part, labels)
                if labeler.descriptions_ is not None and not len(inputs.examples):
                    labels = replace(
                        labels, origin=np.where(labels.origin == "model", DESCRIPTION, labels.origin)
                    )
                tally.add(part, labels, estimate)
                unreadable.update(part.unreadable)
                for write_part in write:
                    write_part(labels)
        in_order = tuple(sorted(unreadable))
        metadata[RUN_ID] = _run_id(
            labeler, source.settings, inputs.examples, extraction, tally, in_order, said, rules,
            source.descriptions,
        )  # fmt: skip
    return in_order, metadata[RUN_ID]


def outcome(
    labeler: Labeler, choice: list[dict[str, Any]] | None, done: Done, settings: RunSettings
) -> dict[str, Any]:
    """Returns the entries of run.json about the backbone and the labels.

    A certificate that nobody asked for is called an "estimate": it did not decide which labels were accepted.
    """
    backbone, certificate = labeler.backbone, done.certificate.to_dict()
    gate, asked = labeler.ood_gate_, settings.target_error is not None
    seen = labeler.fitted.held_out.judging
    return {
        "backbone": {"handle": backbone.handle, "fingerprint": backbone.fingerprint, "choice": choice},
        "engine": labeler.engine.to_dict(),
        "counts": done.tally.counts(labeler.classes, done.labelled, len(done.unreadable)),
        "certificate": certificate if asked else None,
        "estimate": None if asked else certificate,
        "acceptance": done.acceptance.to_dict(),
        "earned": labeler.earned_.to_dict(),
        "unlike": None if gate is None else gate.to_dict(),
        "shift": None if done.shift is None else done.shift.to_dict(),
        "transfer": labeler.transfer_,
        "pool_sample": done.sampled,
        "calibration": labeler.calibration_.to_dict(),
        "cross_validation": labeler.cross_validation_,
        "evaluation": evaluate_probabilities(seen.class_ids, seen.probabilities, seed=labeler.seed).to_dict()
        if len(seen.class_ids)
        else None,
        "baseline": done.baselines,
    }


def _sample(pool: Dataset, seed: int, say: Callable[[str], None]) -> Dataset:
    if len(pool) <= SAMPLE:
        return pool
    rows = np.random.default_rng(seed).choice(len(pool), SAMPLE, replace=False)
    say(
        f"{SAMPLE:,} of the {len(pool):,} examples to label, drawn at random, stand for them where the head "
        "and the gate look at the pool, and on the map"
    )
    return pool.subset(np.sort(rows))


def _said(source: Source, inputs: Inputs) -> Said:
    if source.labels is None:
        return Said()  # and the names of a long table need not be made
    return read_said(source, [*map(str, inputs.examples.ids), *map(str, inputs.pool.ids)])


def _run_id(
    labeler: Labeler,
    settings: RunSettings,
    examples: Dataset,
    extraction: Extraction,
    tally: Tally,
    unreadable: tuple[Unreadable, ...],
    said: Said,
    rules: RuleVotes | None,
    descriptions: ClassDescriptions | None,
) -> str:
    chosen = {} if said == Said() else {"drawn": sorted(said.drawn or ()), "no_class": said.no_class}
    if rules is not None:
        chosen["votes"] = rules.digest
    if descriptions is not None:
        chosen["descriptions"] = descriptions.digest
    if settings.meta_learner is not None:
        # The map decides the results; where its folder is does not matter.
        chosen["meta_learner"] = labeler.head.map_digest()
    ids, class_ids = examples.ids[extraction.rows], examples.class_ids[extraction.rows]
    return run_id(
        # The weights identify the backbone, and what their precision was; where they are does not matter.
        settings.to_dict()
        | {"backbone": None, "device": None, "precision": labeler.engine.arithmetic}
        | chosen,
        versions(),
        labeler.backbone.fingerprint,
        (ids, labeler.classes, class_ids, extraction.digest),
        tally.digest,
        unreadable,
    )


def _write_evidence(
    labeler: Labeler, examples: Dataset, extraction: Extraction, sample: Dataset, out: Path, run_id: str
) -> None:
    """Stores results from features for the report; a tuned backbone gives its own features."""
    if labeler.transfer_.get("method") != "feature":
        extraction = labeler.extract(examples)
    of_pool = labeler.pool_extraction_
    if of_pool is None:
        return
    labels = labeler.label(sample, extraction=of_pool)
    with working("drawing a map for the report", labeler.progress):
        write_evidence(
            out / EVIDENCE,
            labelled_ids=examples.ids[extraction.rows],
            labelled_class_ids=labeler.truth_,
            labelled_features=extraction.features,
            out_of_fold=labeler.out_of_fold_,
            pool_ids=labels.ids,
            pool_features=of_pool.features,
            pool_predicted=labels.probabilities.argmax(axis=1),
            pool_confidence=labels.confidence,
            seed=labeler.seed,
            run_id=run_id,
        )


def _timed(items: Iterator[Any], clock: Clock, stage: str) -> Iterator[Any]:
    """Yields the same items and adds the time to make them to a stage."""
    end = object()
    while True:
        with clock(stage):
            item = next(items, end)
        if item is end:
            return
        yield item
