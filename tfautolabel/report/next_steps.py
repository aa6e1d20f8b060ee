"""Says what to do after a run, the most useful step first, with commands to copy."""

from __future__ import annotations

import shlex
from dataclasses import replace
from typing import Any, NamedTuple

from tfautolabel.data.class_descriptions import ClassDescriptions
from tfautolabel.runs.contents import RunRecord
from tfautolabel.runs.files import AUDIT_LIST, MODELS, PREDICTIONS_CSV
from tfautolabel.trust import AnswersNeeded


class Step(NamedTuple):
    """One step to take.

    Attributes:
        title: the step in the imperative.
        text: the reason and the way to do it.
        command: a command for a shell; empty if there is none.
    """

    title: str
    text: str
    command: str = ""


def next_steps(run: RunRecord, suspects: int, unlike: int) -> list[Step]:
    """Returns the next steps after a run.

    Args:
        run: the run.
        suspects: how many given labels may be wrong.
        unlike: how many examples are unlike all labelled examples.
    """
    counts = run.record["counts"]
    accepted, left = counts["accepted"], counts["to_label"] - counts["accepted"]
    state = (run.record.get("audit") or {}).get("state")
    again = run_command(run)
    steps = []
    other = run.earned is not None and run.earned.other_population is not None and state != "certified"
    if run.earned is not None and run.earned.nothing and not other and state != "certified":
        advice = run.earned.advice(run.classes)
        text = f"Then {advice}{another_backbone(run.record['backbone'])}."
        steps.append(Step("Label more before any label is accepted", text, again))
    if suspects:
        steps.append(_suspects_step(suspects, again))
    audit = _audit_step(run)
    if audit is not None:
        # A user with a target wants to know first how to certify it.
        steps.insert(0 if run.settings.target_error is not None else len(steps), audit)
    elif other:
        steps.insert(0, _other_population_step(run, again))
    elif left:
        steps.append(_unsure_step(left, again))
    if unlike:
        steps.append(_unlike_step(unlike))
    if audit is None and accepted and state != "refuted" and not _is_certified(run):
        steps.append(_sample_step(run))
    return [*steps, *_use_steps(run, accepted)]


def _suspects_step(suspects: int, again: str) -> Step:
    return Step(
        f"Check {suspects:,} given {'label' if suspects == 1 else 'labels'}",
        "The model, which had not seen them, is sure of another class. Correct those that are wrong "
        "where your labels are, then run again; features are cached, so this is quick.",
        again,
    )


def _unsure_step(left: int, again: str) -> Step:
    return Step(
        "Label more of what the model is unsure of",
        f"{left:,} labels were not accepted. Label some of the least sure ones below, "
        "of every class, and run again.",
        again,
    )


def _unlike_step(unlike: int) -> Step:
    return Step(
        f"Look at {unlike:,} {'item' if unlike == 1 else 'items'} unlike anything labelled",
        "If they form a class of their own, label a few of them; if they do not belong to the data, "
        "leave them out.",
    )


def _sample_step(run: RunRecord) -> Step:
    """This step comes before the labels are used, because the number of wrong labels is unknown."""
    return Step(
        "Check a random sample of the labels",
        "Nothing is certified yet about how many of them are wrong. This lists items that are drawn "
        "at random; your answers certify it.",
        f"tfautolabel audit {_quoted(run.out)}",
    )


def _other_population_step(run: RunRecord, again: str) -> Step:
    return Step(
        "Let a person look at some of these labels",
        "What was labelled here is unlike the labelled examples, so they say little of how many labels are "
        "right. An audit draws items at random; the answers tell it, and certify labels where they can. "
        f"Better still, label some of these items and run again: {again}",
        f"tfautolabel audit {_quoted(run.out)}",
    )


def _use_steps(run: RunRecord, accepted: int) -> list[Step]:
    """Returns the steps to use the labels, if there are any, and the model."""
    model = _quoted(run.out / MODELS)
    labels = Step(
        "Use the labels",
        f"{run.out / PREDICTIONS_CSV} has a row for each item; take those with accepted = true.",
    )
    return [
        *([labels] if accepted else []),
        Step(
            "Label new data with this model",
            "The exported model holds the backbone; it needs nothing else.",
            f"tfautolabel label {model} NEW_DATA --out more-labels.csv",
        ),
        Step(
            "Measure it on labels that it has not seen",
            "An accuracy on a random sample of your own data is worth more than any estimate here.",
            f"tfautolabel evaluate {model} TEST_DATA --labels test-labels.csv",
        ),
    ]


def another_backbone(backbone: dict[str, Any]) -> str:
    """Suggests what to try besides more labels, with the results of other backbones if they were compared.

    Args:
        backbone: the entry of run.json about the backbone.
    """
    others = (backbone.get("choice") or [])[1:]
    if not backbone.get("choice"):
        return "; or compare the packaged backbones on your labels with --backbone auto"
    if not others:
        return ""
    taken = backbone["choice"][0]
    for one in others:
        if one["handle"].startswith("plain:") and _suits_better(one, taken):
            return f"; these labels do better without transfer: --backbone {one['handle']}"
    told = ", ".join(f"{one['handle']} ({_share_right(one)})" for one in others)
    return f"; other backbones were no better: {told}"


def _suits_better(one: dict[str, Any], other: dict[str, Any]) -> bool:
    """Returns whether a trial was better than another: by heads if both have one, else by nearest means."""
    if one["accuracy"] is None or other["accuracy"] is None:
        return bool(one["nearest_mean"] > other["nearest_mean"])
    return bool(one["log_loss"] - one["accuracy"] < other["log_loss"] - other["accuracy"])


def _share_right(trial: dict[str, Any]) -> str:
    if trial.get("accuracy") is None:  # nearest means were enough to judge it
        return f"{trial['nearest_mean']:.1%} right by nearest class means"
    return f"{trial['accuracy']:.1%} right when held out"


def _audit_step(run: RunRecord) -> Step | None:
    """Returns the next step of an audit; None if it is finished or nobody asked for one."""
    out, file = _quoted(run.out), run.out / AUDIT_LIST
    left = sum(not item.answer for item in run.audit)
    state = run.record.get("audit") or {}
    needed = AnswersNeeded.from_dict(state["needed"]) if state.get("needed") else None
    if left and state.get("state") != "certified":
        return Step(
            f"Look through the audit list of {left:,} {'item' if left == 1 else 'items'}",
            f"They were drawn at random: {file}. "
            + (f"{_capital(needed.sentence())}. " if needed is not None else "")
            + "Write yes, no or the right label beside each, then:",
            f"tfautolabel audit {out} --audited {_quoted(file)}",
        )
    if state.get("state") == "undecided" and needed is not None:
        more = needed.to_list - needed.answered
        return Step(
            f"Look at {more:,} more {'item' if more == 1 else 'items'}",
            f"{_capital(needed.sentence())}. This lists them, below those that were answered:",
            f"tfautolabel audit {out} -n {needed.to_list}",
        )
    return None


def _capital(sentence: str) -> str:
    return sentence[:1].upper() + sentence[1:]


def _is_certified(run: RunRecord) -> bool:
    return run.certificate is not None and run.certificate.kind == "certified"


def run_command(run: RunRecord) -> str:
    """Returns the command that repeats the run, with the options that decide its results.

    If the backbone was chosen on the data, the command names the chosen one.
    """
    inputs = run.record["inputs"]
    words = ["tfautolabel", "run", _quoted(inputs["data"])]
    for name in ("labels", "labelled", "rules"):
        if inputs.get(name) is not None:
            words += [f"--{name}", _quoted(inputs[name])]
    described = ClassDescriptions.from_record(inputs.get("descriptions"))
    words += [] if described is None else described.words()
    settings = run.settings
    if settings.backbone in (None, "auto"):
        settings = replace(settings, backbone=run.record["backbone"].get("handle"))
    return " ".join([*words, "--out", _quoted(run.out), *settings.words()])


def _quoted(value: object) -> str:
    return shlex.quote(str(value))
