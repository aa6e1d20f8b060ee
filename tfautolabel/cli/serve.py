"""The command that serves exported models over HTTP."""

from __future__ import annotations

import logging
import math
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Annotated

import typer

from tfautolabel.cli.console import give_back_standard_error, show_warnings_plainly, silence_native_code
from tfautolabel.serving.settings import Settings, is_loopback

if TYPE_CHECKING:
    from tfautolabel.serving.places import Place

LEVELS = ("debug", "info", "warning", "error")
DEFAULTS = Settings()
THREADS = ("model", "json", "loading", "media")
"""The prefix of the server's thread names."""


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
        str,
        typer.Option("--host", help="Address to listen at; 0.0.0.0 lets other machines in, with --token."),
    ] = DEFAULTS.host,
    port: Annotated[int, typer.Option("--port", help="Port to listen at; 0 for a free one.")] = DEFAULTS.port,
    grpc_port: Annotated[
        int | None,
        typer.Option(
            "--grpc-port",
            help="Answer TensorFlow Serving's gRPC protocol too, at this port, which is 8500 there; 0 for a "
            "free one. Needs the extra grpc.",
        ),
    ] = None,
    workers: Annotated[
        int,
        typer.Option(
            "--workers",
            help="Processes that answer at the port; the cores are shared out among them, and each holds the "
            "models and has the limits for itself.",
        ),
    ] = DEFAULTS.workers,
    poll: Annotated[
        float, typer.Option("--poll", help="Seconds between two looks for new versions.")
    ] = DEFAULTS.poll,
    keep: Annotated[
        int, typer.Option("--keep", help="How many of each model's newest versions are served.")
    ] = DEFAULTS.keep,
    max_batch: Annotated[
        int, typer.Option("--max-batch", help="Rows in one call of a model; requests are merged up to it.")
    ] = DEFAULTS.max_batch,
    batch_wait: Annotated[
        float, typer.Option("--batch-wait", min=0, help="Milliseconds that a request waits for others.")
    ] = DEFAULTS.batch_wait * 1000,
    max_queue: Annotated[
        int,
        typer.Option(
            "--max-queue", help="Rows that may wait or be computed; with more, requests get status 503."
        ),
    ] = DEFAULTS.max_queue,
    merge_all: Annotated[
        bool,
        typer.Option(
            "--merge-all",
            help="Merge and split requests for SavedModels of another origin too, which must then take each "
            "row for itself.",
        ),
    ] = DEFAULTS.merge_all,
    threads: Annotated[int, typer.Option("--threads", help="Calls of models at once.")] = DEFAULTS.threads,
    max_body: Annotated[
        float, typer.Option("--max-body", help="Megabytes of a request's body; larger ones get status 413.")
    ] = DEFAULTS.max_body / 1e6,
    max_instances: Annotated[
        int, typer.Option("--max-instances", help="Rows in one request; more get status 400.")
    ] = DEFAULTS.max_instances,
    timeout: Annotated[
        float,
        typer.Option("--timeout", help="Seconds for a request to arrive (408), and to be answered (504)."),
    ] = DEFAULTS.timeout,
    grace: Annotated[
        int, typer.Option("--grace", help="Seconds that requests have to end when the server stops.")
    ] = DEFAULTS.grace,
    allow_origin: Annotated[
        str | None,
        typer.Option(
            "--allow-origin",
            help="Origin of web pages elsewhere that may ask (CORS), such as https://example.org, or *; "
            "others get status 403.",
        ),
    ] = None,
    allow_host: Annotated[
        list[str] | None,
        typer.Option(
            "--allow-host",
            help="Name by which the server is known beside localhost, such as models.example.org; again for "
            "another. Requests with other names get status 403.",
        ),
    ] = None,
    token: Annotated[
        str | None,
        typer.Option(
            "--token",
            envvar="TFAUTOLABEL_TOKEN",
            help="What each request must bring in Authorization: Bearer TOKEN or X-API-Key: TOKEN; else it "
            "gets status 401. Others on this machine can read a command's options, not its environment.",
        ),
    ] = None,
    no_token: Annotated[
        bool, typer.Option("--no-token", help="Let everybody who reaches the server use it.")
    ] = DEFAULTS.no_token,
    log_level: Annotated[
        str, typer.Option("--log-level", help="debug, info, warning or error; lines of JSON on stderr.")
    ] = "info",
    log_requests: Annotated[bool, typer.Option("--log-requests", help="Log each request.")] = False,
    label_studio: Annotated[
        bool,
        typer.Option(
            "--label-studio",
            help="Answer as a model of Label Studio too: predictions for its tasks, and its Train button "
            "runs again with its answers. Of its own media it reads files and uploads; --token is the "
            "password of HTTP basic there.",
        ),
    ] = False,
) -> None:
    """Serve exported models with TensorFlow Serving's REST and gRPC protocols, and a page to try them."""
    if log_level not in LEVELS:
        raise ValueError(f"log_level must be one of {', '.join(LEVELS)}. Received: {log_level!r}")
    from tfautolabel._optional import require_extra

    require_extra("serve")  # reported before TensorFlow loads
    from tfautolabel.runs.outputs import check_model
    from tfautolabel.serving.places import find_places

    settings = Settings(
        host=host,
        port=port,
        grpc_port=grpc_port,
        workers=workers,
        poll=poll,
        keep=keep,
        max_batch=max_batch,
        batch_wait=batch_wait / 1000,
        max_queue=max_queue,
        merge_all=merge_all,
        threads=threads,
        max_body=_bytes(max_body),
        max_instances=max_instances,
        timeout=timeout,
        grace=grace,
        allow_host=tuple(allow_host or ()),
        allow_origin=allow_origin,
        token=token,
        no_token=no_token,
        log_requests=log_requests,
        label_studio=label_studio,
    )
    settings.check()
    places = find_places(paths)
    for place in places:
        check_model(place.path)
    _log_lines_of_json(log_level)
    if token is None and not is_loopback(host):
        reach = {"host": host, "port": port}
        logging.getLogger("tfautolabel.serving").warning(
            "everybody who gets here can use these models", extra=reach
        )
    _run(places, settings, partial(_begin_worker, log_level))


def _run(places: Sequence[Place], settings: Settings, begin_worker: Callable[[], None]) -> None:
    if settings.workers > 1:
        from tfautolabel.serving.supervisor import serve_in_workers

        give_back_standard_error()  # the workers silence their own
        serve_in_workers(places, settings, begin_worker)
        return
    # uvicorn stops gracefully on a signal and then raises it again for the earlier handler.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: sys.exit(0))
    from tfautolabel.serving.server import serve as run_server

    try:
        run_server(places, settings)
    finally:
        _leave_calls()


def _begin_worker(log_level: str) -> None:
    """Sets up a worker's process as the command is set up."""
    silence_native_code()
    show_warnings_plainly()
    _log_lines_of_json(log_level)


def _bytes(megabytes: float) -> int:
    if not math.isfinite(megabytes):
        raise ValueError(f"max_body must be a number of megabytes. Received: max_body={megabytes}")
    return int(megabytes * 1e6)


def _leave_calls() -> None:
    """Ends the process if model calls still run after the grace period; Python would wait for them."""
    own = [thread for thread in threading.enumerate() if thread.name.startswith(THREADS)]
    until = time.monotonic() + 1.0
    for thread in own:
        thread.join(max(until - time.monotonic(), 0.0))
    if any(thread.is_alive() for thread in own):
        logging.shutdown()
        sys.stderr.flush()
        os._exit(0)


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
