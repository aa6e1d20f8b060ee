"""The command that opens the page where a person answers."""

from __future__ import annotations

import socket
import webbrowser
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tfautolabel.cli.console import remark, say, show
from tfautolabel.cli.options import (
    BatchSize,
    CacheDir,
    Describe,
    Labels,
    Quiet,
    Reading,
    Sampling,
    Seed,
    descriptions_of,
    listed_classes,
    with_reading,
)
from tfautolabel.review.settings import PORT, ReviewSettings
from tfautolabel.runs import RunSettings
from tfautolabel.runs.files import REPORT

if TYPE_CHECKING:
    from tfautolabel.review.session import Review
    from tfautolabel.serving.settings import Settings

DEFAULTS = RunSettings()
ASKS = ReviewSettings()


@with_reading
def review(
    data: Annotated[
        Path,
        typer.Argument(
            help="Folder of files or a table, as for run; or, without --out, a folder that run, review or "
            "check-labels wrote."
        ),
    ],
    out: Annotated[Path | None, typer.Option("--out", help="Folder for the answers and the results.")] = None,
    classes: Annotated[
        str | None,
        typer.Option("--classes", help="Names of the classes, such as rust,clean; more can be added."),
    ] = None,
    labels: Labels = None,
    describe: Describe = None,
    *,
    reading: Reading,
    sampling: Sampling = DEFAULTS.sampling,
    seed: Seed = DEFAULTS.seed,
    batch_size: BatchSize = DEFAULTS.batch_size,
    cache_dir: CacheDir = None,
    strategy: Annotated[
        str, typer.Option("--strategy", help="How examples are chosen; see `tfautolabel query --help`.")
    ] = ASKS.strategy,
    refit_after: Annotated[
        int, typer.Option("--refit-after", min=1, help="Answers between two times that the model learns.")
    ] = ASKS.batch_size,
    random_share: Annotated[
        float,
        typer.Option(
            "--random-share", help="0 to 1: the share asked at random, which the accuracy comes from."
        ),
    ] = ASKS.random_share,
    overlap: Annotated[
        float, typer.Option("--overlap", help="0 to 1: the share of examples that two people answer.")
    ] = ASKS.overlap,
    planned: Annotated[
        int, typer.Option("--planned", min=1, help="How many answers you plan to give.")
    ] = ASKS.planned,
    target_error: Annotated[
        float | None, typer.Option("--target-error", help="As for run; the page shows how far it is.")
    ] = DEFAULTS.target_error,
    host: Annotated[
        str, typer.Option("--host", help="Address to listen at; 0.0.0.0 lets other machines in, with a link.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option("--port", help="Port to listen at; 0 for a free one.")] = PORT,
    allow_host: Annotated[
        list[str] | None, typer.Option("--allow-host", help="Name by which other machines know this one.")
    ] = None,
    browser: Annotated[bool, typer.Option("--browser/--no-browser", help="Whether to open the page.")] = True,
    finish: Annotated[
        bool,
        typer.Option("--finish", help="Open no page: label the rest with the answers so far, as run does."),
    ] = False,
    quiet: Quiet = False,
) -> None:
    """Open a page that asks the examples that teach most, learns from the answers and labels the rest."""
    from tfautolabel._optional import require_extra
    from tfautolabel.review.server import page_settings
    from tfautolabel.serving.ports import listen

    settings = RunSettings(
        **reading,
        sampling=sampling,
        seed=seed,
        batch_size=batch_size,
        target_error=target_error,
    )
    asks = ReviewSettings(
        strategy=strategy,
        batch_size=refit_after,
        random_share=random_share,
        overlap=overlap,
        planned=planned,
        target_error=settings.target,
        sampling=sampling,
        seed=seed,
    )
    server = page_settings(host, port, tuple(allow_host or ()))
    asks.check()
    listening = None
    if not finish:
        require_extra("serve")  # reported before TensorFlow loads, as an address in use is
        listening = listen(host, port)
    from tfautolabel.review.opening import open_review

    session = open_review(
        data,
        out,
        labels=labels,
        classes=listed_classes(classes),
        descriptions=descriptions_of(describe, None),
        settings=None if out is None and settings == RunSettings() else settings,
        review=asks,
        cache_dir=cache_dir,
        progress=not quiet,
        say=remark(quiet),
    )
    if finish:
        _finish(session, cache_dir, quiet)
    else:
        _serve(session, server, cache_dir, browser, listening)
    session.answers.close()


def _finish(session: Review, cache_dir: Path | None, quiet: bool) -> None:
    from tfautolabel.cli import summaries
    from tfautolabel.review.finishing import finish_review

    result = finish_review(session, cache_dir=cache_dir, progress=not quiet, say=remark(quiet))
    if not quiet:
        summaries.show_run(result)


def _serve(
    session: Review, server: Settings, cache_dir: Path | None, browser: bool, listening: socket.socket | None
) -> None:
    from tfautolabel.review.finishing import finisher
    from tfautolabel.review.server import serve_review

    def ready(address: str) -> None:
        show(f"Open {address}")
        show("The link works once. Ctrl+C stops; every answer is kept, and the same command goes on.")
        if browser and not webbrowser.open(address):
            say("no browser could be opened: open the address yourself")

    report = session.answers.file.parent / REPORT
    finish = finisher(session, cache_dir)
    serve_review(session, server, finish=finish, report=report, on_ready=ready, listening=listening)
