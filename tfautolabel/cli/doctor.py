"""The command that says what the machine has and what of it is used."""

from __future__ import annotations

import json
import sys
from typing import Annotated

import typer

from tfautolabel._visible import visible_json
from tfautolabel.cli.console import show


def doctor(
    measure: Annotated[
        bool, typer.Option("--measure/--no-measure", help="Run fetched backbones for a second each.")
    ] = True,
    as_json: Annotated[bool, typer.Option("--json", help="Machine-readable output.")] = False,
) -> None:
    """Say what this machine has (cores, GPU, versions, extras), what of it is used, and why not more."""
    from tfautolabel.jobs.doctor import examine

    if as_json:
        found = [fact._asdict() for fact in examine(measure)]
        sys.stdout.write(visible_json(json.dumps(found, indent=2, ensure_ascii=False)) + "\n")
        return
    for fact in examine(measure):
        show(f"{fact.name:<19} {fact.value}", *([f"{'':<19} {fact.why}"] if fact.why else []))
