"""The command that serves exported models over HTTP."""

from __future__ import annotations

import logging
import signal
import sys
from typing import Annotated

import typer

from tfautolabel.cli.console import say

LEVELS = ("debug", "info", "warning", "error")


def serve(
    paths: Annotated[
        list[str],
        typer.Argument(
            metavar="PATH...",
            help="Folder of models (saved_models/), of one model (saved_models/flowers) or of one version; "
            "NAME=PATH gives a model another name.",
        ),
    ],
    host: Annotated[
        str, typer.Option("--host", help="Address to listen at; 0.0.0.0 lets other machines in.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option("--port", help="Port to listen at; 0 for a free one.")] = 8501,
    poll: Annotated[float, typer.Option("--poll", help="Seconds between two looks for new versions.")] = 2.0,
    keep: Annotated[
        int, typer.Option("--keep", help="How many of each model's newest versions are served.")
    ] = 1,
    max_batch: Annotated[
        int, typer.Option("--max-batch", help="Rows in one call of a model; requests are merged up to it.")
    ] = 64,
    batch_wait: Annotated[
        float, typer.Option("--batch-wait", help="Milliseconds that a request waits for others.")
    ] = 2.0,
    max_queue: Annotated[
        int, typer.Option("--max-queue", help="Rows that may wait; with more, requests get status 503.")
    ] = 4096,
    threads: Annotated[int, typer.Option("--threads", help="Calls of models at once.")] = 2,
    max_body: Annotated[
        float, typer.Option("--max-body", help="Megabytes of a request's body; larger ones get status 413.")
    ] = 64.0,
    max_instances: Annotated[
        int, typer.Option("--max-instances", help="Rows in one request; more get status 400.")
    ] = 1024,
    timeout: Annotated[
        float,
        typer.Option("--timeout", help="Seconds for a request to arrive (408), and to be answered (504)."),
    ] = 30.0,
    grace: Annotated[
        int, typer.Option("--grace", help="Seconds that requests have to end when the server stops.")
    ] = 30,
    allow_origin: Annotated[
        str | None,
        typer.Option(
            "--allow-origin",
            help="Origin of web pages that may read the answers (CORS), such as https://example.org, or *.",
        ),
    ] = None,
    log_level: Annotated[
        str, typer.Option("--log-level", help="debug, info, warning or error; lines of JSON on stderr.")
    ] = "info",
    log_requests: Annotated[bool, typer.Option("--log-requests", help="Log each request.")] = False,
) -> None:
    """Serve exported models with TensorFlow Serving's REST protocol, and a page to try them."""
    if log_level not in LEVELS:
        raise ValueError(f"log_level must be one of {', '.join(LEVELS)}. Received: {log_level!r}")
    from tfautolabel._optional import require

    require("uvicorn", extra="serve")  # told before TensorFlow has been waited for
    from tfautolabel.serving.places import find_places
    from tfautolabel.serving.settings import Settings

    settings = Settings(
        host=host,
        port=port,
        poll=poll,
        keep=keep,
        max_batch=max_batch,
        batch_wait=batch_wait / 1000,
        max_queue=max_queue,
        threads=threads,
        max_body=int(max_body * 1e6),
        max_instances=max_instances,
        timeout=timeout,
        grace=grace,
        allow_origin=allow_origin,
        log_requests=log_requests,
    )
    settings.check()
    places = find_places(paths)
    _log_lines_of_json(log_level)
    if not (host == "localhost" or host.startswith("127.") or host == "::1"):
        say(f"warning: everybody who reaches {host} port {port} can use these models", style="yellow")
    # uvicorn stops gracefully on a signal and then raises it again for whoever was there before.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: sys.exit(0))
    from tfautolabel.serving.server import serve as run_server

    run_server(places, settings)


def _log_lines_of_json(level: str) -> None:
    from tfautolabel.serving.logs import JsonLines

    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines())
    for name, lowest in (
        ("tfautolabel.serving", level),
        ("uvicorn", max(level, "warning", key=LEVELS.index)),
    ):
        logger = logging.getLogger(name)
        logger.handlers = [handler]
        logger.setLevel(lowest.upper())
        logger.propagate = False
