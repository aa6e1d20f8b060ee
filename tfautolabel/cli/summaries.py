"""Shows results in words and tables."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tfautolabel.cli.console import row, show, table
from tfautolabel.runs.files import (
    AUDIT_LIST,
    MODELS,
    PREDICTIONS_CSV,
    PREDICTIONS_PARQUET,
    RECORD,
    UNREADABLE,
    VERSION,
)

if TYPE_CHECKING:
    from tfautolabel.jobs import AuditResult, DemoResult, ModelMeasures, RunResult
    from tfautolabel.jobs.merge import LabelResult
    from tfautolabel.measures import Evaluation
    from tfautolabel.trust import AnswersNeeded


def show_run(result: RunResult) -> None:
    """Shows first what was asked for, then classes, counts, quality, accepted labels, and the files."""
    counts, cross_validation = result.record["counts"], result.record["cross_validation"]
    classes = table("class", "labelled", "predicted", "accepted")
    for name, count in counts["classes"].items():
        classes.add_row(
            *row(name, f"{count['labelled']:,}", f"{count['predicted']:,}", f"{count['accepted']:,}")
        )
    reused, engine = counts["features_reused"], result.record["engine"]
    show(
        *_earned(result),
        *_answer(result),
        classes,
        "",
        _accuracy(cross_validation),
        *_one_label(cross_validation.get("one_label", [])),
        *_shift(result.record),
        *_baseline(result),
        f"accepted   {_share(counts['accepted'], counts['to_label'])} labels {_by_what(result)}",
        *_reasons(counts["reasons"]),
        *_few(result.record["unlike"]),
        *_pool(result),
        *_meta(result),
        *_rules(result),
        *_descriptions(result),
        *_estimate(result),
        _set_aside(counts["unreadable"]),
        f"features   {counts['features_computed']:,} computed, {reused:,} reused, in "
        f"{result.record['seconds']['features']:.1f} s with {result.record['backbone']['handle']}",
        f"           on the {engine['device'].upper()} in {engine['precision']}: "
        + ("`tfautolabel doctor` says why not more" if engine["name"] == "cpu" else engine["why"]),
        "",
        f"labels     {result.out / PREDICTIONS_CSV}, {result.out / PREDICTIONS_PARQUET}",
        f"unreadable {result.out / UNREADABLE}",
        f"model      {result.model}",
        f"record     {result.out / RECORD}",
        f"report     {result.report}",
        *_command(result),
    )


def _accuracy(cross_validation: dict[str, Any]) -> str:
    """Returns the line about the cross-validation."""
    if not cross_validation["examples"]:
        return "accuracy   unknown: no label is a person's; `tfautolabel audit` asks for some"
    low, high = cross_validation["accuracy_interval_95"]
    drawn = " that were drawn at random" if cross_validation.get("drawn") else ""
    return (
        f"accuracy   {cross_validation['accuracy']:.1%} on the {cross_validation['examples']:,} labelled "
        f"examples{drawn}, each predicted without having been seen (95 % interval {low:.1%} to {high:.1%})"
    )


def _pool(result: RunResult) -> list[str]:
    """Returns a line about what the examples without labels were worth, if the head could learn from them."""
    found = result.record["transfer"].get("pool")
    return [] if found is None else [f"head       {found['why']}"]


def _meta(result: RunResult) -> list[str]:
    """Returns a line about what a meta-learner was worth, if there was one."""
    found = result.record["transfer"].get("meta")
    if found is None:
        return []
    said = [f"earlier    {found['why']}"]
    return [*said, f"           {found['on_earlier']}"] if "on_earlier" in found else said


def _rules(result: RunResult) -> list[str]:
    """Returns lines about the rules, if there were any."""
    found = result.record.get("rules")
    if not found:
        return []
    said = [
        f"rules      {len(found['rules']):,} vote on {_share(found['covered'], found['examples'])} examples; "
        f"{found['by_rules']:,} labels are theirs too",
        f"           {found['why']}",
        *([f"           {found['votes']['why']}"] if "votes" in found else []),
    ]
    return [*said, *(f"           {finding}" for finding in found["findings"])]


def _descriptions(result: RunResult) -> list[str]:
    """Returns lines about the descriptions of classes, if there were any."""
    found = result.record.get("descriptions")
    if not found:
        return []
    return [f"described  {found['why']}"]


def _shift(record: dict[str, Any]) -> list[str]:
    """Returns lines about what differs between the labelled examples and the pool."""
    from tfautolabel.measures.shift import Shift

    if not record["shift"]:
        return []
    shift = Shift.from_dict(record["shift"])
    shares = [f"shares     {said}" for said in shift.sentences(list(record["counts"]["classes"]))]
    return [*shares, *(f"differs    {said}" for said in shift.differences)]


def _one_label(names: list[str]) -> list[str]:
    """Returns lines about the classes that cross-validation cannot judge."""
    if not names:
        return []
    label = "its one label is" if len(names) == 1 else "their one label is"
    return [f"           {', '.join(names)} cannot be judged: {label} wrong whenever it is held out"]


def show_demo(result: DemoResult) -> None:
    """Shows what was done, the results, and what to open."""
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
        f"Open {result.run.out / PREDICTIONS_CSV} next, or label other pictures with the model:",
        f"  tfautolabel label {result.run.model} {result.photos} --out more-labels.csv",
    )


def show_labels(result: LabelResult) -> None:
    """Shows counts, and where the files are."""
    counts = (
        f"accepted   {_share(result.accepted, result.total)} labels",
        *_reasons(result.reasons),
        _set_aside(len(result.unreadable)),
    )
    if not result.merged:
        show(*counts, "This shard is labelled. When all others are, this command writes the file:")
        show(f"  tfautolabel merge {shlex.quote(str(result.labels_file))}")
        return
    show(
        *counts,
        f"labels     {result.labels_file}",
        f"unreadable {result.unreadable_file}",
    )


def show_list(out: Path, file: Path, listed: int, needed: AnswersNeeded) -> None:
    """Shows where the list is, and how to continue."""
    show(
        f"{listed:,} items to look at are in {file}, in random order; write yes, no or the right label into "
        "the column correct, from the first row on; you may stop at any row. Then:",
        f"  tfautolabel audit {shlex.quote(str(out))} --audited {shlex.quote(str(file))}",
        "",
        needed.sentence(),
    )


def show_audit(out: Path, result: AuditResult) -> None:
    """Shows what the audit says, and how many more answers it needs."""
    from tfautolabel.trust.certificates import percent

    certificate = result.certificate
    looked_at = f"{result.answered:,} items were looked at, {result.wrong:,} of their labels were wrong"
    if certificate.kind == "certified":
        show(
            certificate.sentence(),
            "",
            looked_at,
            f"labels     {out / PREDICTIONS_CSV}, {out / PREDICTIONS_PARQUET}",
            f"model      {out / MODELS / VERSION}, which accepts labels from a confidence of "
            f"{certificate.threshold:.3f} on",
        )
        return
    if result.standing is not None:
        show(f"{result.standing.sentence()}; this stays, the other target is not reached", "")
    if result.state == "refuted":
        accepted = "" if result.standing is not None else ", so none is accepted"
        show(
            f"it cannot be certified that at most {percent(certificate.target_error)} are wrong: too many of "
            f"the surest labels are wrong{accepted}; label more examples, or ask for less with "
            "--target-error",
            "",
            looked_at,
        )
    else:
        show(
            f"not certified yet that at most {percent(certificate.target_error)} are wrong: "
            f"{result.needed.sentence()}",
            "",
            looked_at,
            f"  tfautolabel audit {shlex.quote(str(out))} -n {result.needed.to_list}",
        )


def show_measured(measured: ModelMeasures) -> None:
    """Shows an evaluation: the labels, the probabilities, baselines without a model, and the certificate."""
    show(f"learnt from        {measured.of_learnt()}")
    if measured.all_learnt:
        return
    show_evaluation(measured.evaluation)
    measures = table("measure", "value", "from", "to")
    for name, one in measured.probabilities.measures.items():
        cells = ("-" if value != value else f"{value:.3f}" for value in (one.value, one.low, one.high))
        measures.add_row(*row(name.replace("_", " "), *cells))
    show("", measures, "", f"without a model    {measured.majority:.3f} by {measured.majority_name}")
    show(
        f"accepted           {_share(measured.accepted, measured.evaluation.count)} labels", *measured.said()
    )


def show_evaluation(evaluation: Evaluation) -> None:
    """Shows accuracy, a row for each class, and the confusion matrix."""
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


def _earned(result: RunResult) -> list[str]:
    """Returns lines about what held-out labels do not support, and what to do about it."""
    from tfautolabel.report.next_steps import another_backbone
    from tfautolabel.trust.earned import Earned

    earned, classes = Earned.from_dict(result.record["earned"]), list(result.record["counts"]["classes"])
    said = earned.sentences(classes)
    if earned.nothing:
        said.insert(1, f"{earned.advice(classes)}{another_backbone(result.record['backbone'])}")
    return [*said, ""] if said else []


def _answer(result: RunResult) -> list[str]:
    """Returns a sentence about the target, if one was asked for, and what makes it certain."""
    found, listed = result.record["certificate"], result.record["audit"]["listed"]
    if found is None and not listed:
        return []
    from tfautolabel.trust import AnswersNeeded, Certificate

    file = result.out / AUDIT_LIST
    if found is None:
        needed = AnswersNeeded.from_dict(result.record["audit"]["needed"]).sentence()
        return [f"look at the {listed:,} items in {file} to learn how many labels are right: {needed}", ""]
    certificate = Certificate.from_dict(found)
    said = certificate.sentence()
    if certificate.kind == "impossible":
        from tfautolabel.trust.certificates import percent

        target = percent(certificate.target_error)
        said = f"with these labels it cannot be certified that at most {target} are wrong"
        if not listed:
            return [f"{said}; none is sure enough to be looked at: label more examples", ""]
    needed = AnswersNeeded.from_dict(result.record["audit"]["needed"]).sentence() if listed else ""
    return [said, f"look at the {listed:,} items in {file} to certify it: {needed}" if listed else "", ""]


def _command(result: RunResult) -> list[str]:
    """Returns how to continue if there is a list of items to look at."""
    if not result.record["audit"]["listed"]:
        return []
    file = result.out / AUDIT_LIST
    return [
        "",
        "Write yes, no or the right label into the column correct of the list, then:",
        f"  tfautolabel audit {shlex.quote(str(result.out))} --audited {shlex.quote(str(file))}",
    ]


def _estimate(result: RunResult) -> list[str]:
    """Returns what a target of 5 % would give, if no target was asked for."""
    found = result.record["estimate"]
    if found is None:
        return []
    from tfautolabel.trust import Certificate

    target = f"{found['target_error']:g}"
    if not Certificate.from_dict(found).possible:
        how = (
            "the audit tells"
            if result.record["audit"]["listed"]
            else f"--target-error {target} lists what to look at"
        )
        why = "too few labels for one" if found["kind"] == "impossible" else "none for another population"
        return [f"estimate   {why}; {how}"]
    share = _share(found["pool_accepted"], found["pool_size"])
    return [
        f"estimate   {share} labels would be accepted with --target-error {target}, by cross-validation, "
        "no guarantee"
    ]


def _baseline(result: RunResult) -> list[str]:
    from tfautolabel.report.transfer_verdict import transfer_verdict

    entries = [result.record["baseline"][name] for name in ("probe", "majority")]
    told = ", ".join(f"{one['accuracy']:.1%} {one['name']}" for one in entries if one)
    if not told:
        return []
    verdict = transfer_verdict(result.record["baseline"])
    helped = [] if verdict is None else [f"transfer   did it help? {verdict}"]
    return [f"without    {told}: what needs no pretrained model, on the same examples", *helped]


def _by_what(result: RunResult) -> str:
    settings = result.record["settings"]
    if settings["target_error"] is None:
        floor = result.record["earned"]["floor"] or 0.0
        return f"with confidence of at least {max(settings['min_confidence'], floor):.4g}"
    return f"for a target of {settings['target_error']:g} wrong ones"


def _reasons(reasons: dict[str, int]) -> list[str]:
    if not reasons:
        return []
    told = ", ".join(f"{count:,} {name.replace('_', ' ')}" for name, count in sorted(reasons.items()))
    return [f"others     {told}"]


def _few(gate: dict[str, Any] | None) -> list[str]:
    """Returns a line about the gate if there are too few labels to tell what is unlike them."""
    if gate is None or not gate.get("few"):
        return []
    return [
        f"unlike     at most {gate['refused']:.0%} are refused as unlike everything labelled, because so few "
        "labels do not show that more are"
    ]


def _share(part: int, whole: int) -> str:
    return f"{part:,} of {whole:,}" + (f" ({part / whole:.0%})" if whole else "")


def _set_aside(count: int) -> str:
    return f"set aside  {count:,} {'example' if count == 1 else 'examples'} that could not be read"
