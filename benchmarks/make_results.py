"""Renders RESULTS.md from the rows in results/*.json; it measures nothing.

python benchmarks/make_results.py [--results FOLDER] [--out FILE]
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from recording import RESULTS, read_rows

ORDER = (
    *(
        "accuracy",
        "few_labels",
        "auto_head",
        "sources",
        "unequal_labels",
        "active_learning",
        "dialect",
        "extraction",
        "decoding",
        "engines",
        "orientation",
        "text_throughput",
        "memory",
        "long_sounds",
        "rule_votes",
        "tutorial",
    ),
    *("linear_head", "startup", "hostile", "export_parity", "contrastive", "fine_tune", "do_no_harm"),
    *(
        "trust_validity",
        "audit_answers",
        "trust_calibration",
        "trust_conformal",
        "trust_unlike",
        "domain_shift",
        "trust_earned",
        "label_errors",
        "label_models",
        "rule_heads",
        "votes_at_prediction",
        "descriptions",
        "meta_learning",
        "review",
        "report",
        "tuning",
        "serving",
        "formats",
        "label_studio",
        "kills",
        "scale",
        "large_pools",
        "places",
    ),
)
HEADINGS = {
    "accuracy": "Accuracy with few labels: pictures",
    "few_labels": "Accuracy with few labels: texts and sound",
    "auto_head": "What the examples without labels are worth",
    "sources": "The choice of the source of features, and when transfer does not help",
    "unequal_labels": "Accuracy with few and unequal labels",
    "active_learning": "Questions to a person, against random ones",
    "dialect": "From Mandarin to Cantonese",
    "extraction": "Feature extraction",
    "decoding": "JPEG files before the network",
    "engines": "Engines: their speed, and what their precision does",
    "orientation": "Photographs that stand upright",
    "text_throughput": "Texts a second",
    "memory": "Memory",
    "long_sounds": "Memory for long sounds",
    "rule_votes": "Votes of rules",
    "tutorial": "From files to labels, against the TF-Hub tutorial",
    "linear_head": "Linear head, against scikit-learn",
    "startup": "Start and second run",
    "hostile": "Broken files",
    "kills": "Killed at any moment",
    "scale": "In processes, on a cluster, in shards",
    "large_pools": "Pools of millions",
    "places": "From a bucket",
    "export_parity": "Exported model",
    "contrastive": "Contrastive tuning, against SetFit",
    "fine_tune": "Fine-tuning",
    "do_no_harm": "Tuning that does no harm",
    "tuning": "Tuning heads",
    "serving": "The server",
    "formats": "TFLite and ONNX",
    "label_studio": "The real Label Studio",
    "trust_validity": "Certificates: how often they are wrong, and how much they accept",
    "audit_answers": "Audits: how many answers they need, and how often they are wrong",
    "trust_calibration": "Calibration",
    "trust_conformal": "Label sets",
    "trust_unlike": "What is unlike everything labelled",
    "domain_shift": "A pool of another population",
    "trust_earned": "Labels are accepted only where that was earned",
    "review": "Sessions with a person: certificates, the time of a key, kills",
    "label_errors": "Given labels that are wrong, and files that occur twice",
    "label_models": "Label models of rules, also where rules go wrong",
    "rule_heads": "Heads that learn from rules",
    "votes_at_prediction": "Votes at prediction, beside heads that learn from rules",
    "descriptions": "Descriptions of the classes, without labels and beside a few",
    "meta_learning": "Learning from earlier sets",
    "report": "Report",
}
COLUMNS = ("row", "measure", "bar", "result", "peer", "ratio")
INTRODUCTION = """# Results

Rendered by `python benchmarks/make_results.py` from `benchmarks/results/*.json`. How each row is
measured is in the docstring of its script; README.md here says how to run them. Peers are measured
beside us in the same run. Rates vary from run to run and machine to machine: compare the ratios.
"""


def render(folder: Path) -> str:
    """The whole of RESULTS.md."""
    found = {name: list(read_rows(folder / f"{name}.json").values()) for name in ORDER}
    rows = [row for name in ORDER for row in found[name]]
    parts = [INTRODUCTION, _summary(rows)]
    parts += [f"## {HEADINGS[name]}\n\n{_table(found[name])}" for name in ORDER if found[name]]
    parts.append(_origins(found))
    return "\n".join(parts)


def _summary(rows: list[dict[str, Any]]) -> str:
    barred = [row for row in rows if row["met"] is not None]
    missed = [row["row"] for row in barred if not row["met"]]
    verdict = f"{len(barred) - len(missed)} of {len(barred)} bars are met."
    return verdict + (f" Missed: {'; '.join(missed)}.\n" if missed else "\n")


def _table(rows: list[dict[str, Any]]) -> str:
    lines = ["| " + " | ".join([*COLUMNS, "met"]) + " |", "|" + "---|" * (len(COLUMNS) + 1)]
    met = {True: "yes", False: "**no**", None: ""}
    for row in rows:
        cells = [str(row[column] or "").replace("|", "\\|") for column in COLUMNS]
        lines.append("| " + " | ".join([*cells, met[row["met"]]]) + " |")
    return "\n".join(lines) + "\n"


def _origins(found: dict[str, list[dict[str, Any]]]) -> str:
    """Machine, versions and dates, once for each combination that rows were measured with."""
    lines = ["## Machine, versions, dates\n"]
    seen: dict[str, list[str]] = {}
    for name, rows in found.items():
        for row in rows:
            machine = {key: value for key, value in row["machine"].items() if key != "load_at_start"}
            seen.setdefault(json.dumps([machine, row["versions"]]), [])
            times = f"{name} {row['date']} UTC (load {row['machine']['load_at_start']}, {_settings(row)})"
            if times not in seen[json.dumps([machine, row["versions"]])]:
                seen[json.dumps([machine, row["versions"]])].append(times)
    for origin, times in seen.items():
        machine, packages = json.loads(origin)
        lines.append(
            f"{machine['cpu']}, {machine['cores']} cores, {machine['system']}; "
            + ", ".join(f"{package} {version}" for package, version in packages.items())
            + ".\n"
        )
        lines += [f"- {entry}" for entry in times]
    return "\n".join(lines) + "\n"


def _settings(row: dict[str, Any]) -> str:
    given = {key: value for key, value in row["settings"].items() if value not in (None, False)}
    return ", ".join(f"{key}={value}" for key, value in given.items())


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--results", type=Path, default=RESULTS)
    parser.add_argument("--out", type=Path, default=RESULTS.with_name("RESULTS.md"))
    arguments = parser.parse_args()
    arguments.out.write_text(render(arguments.results), encoding="utf-8")
    print(arguments.out)


if __name__ == "__main__":
    main()
