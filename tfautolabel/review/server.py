"""The running page: uvicorn around the application, learning beside it."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tfautolabel._optional import require, require_extra
from tfautolabel.review.application import Application
from tfautolabel.review.background import Background
from tfautolabel.review.desk import Desk
from tfautolabel.review.finding import Finder
from tfautolabel.review.links import Links
from tfautolabel.review.session import Review
from tfautolabel.review.settings import PORT
from tfautolabel.serving.http_protocol import bounded_protocol
from tfautolabel.serving.ports import BACKLOG, listen
from tfautolabel.serving.server import KEEP_ALIVE_SECONDS
from tfautolabel.serving.settings import Settings

GRACE_SECONDS = 3
MAX_BODY = 4_000_000


def page_settings(host: str = "127.0.0.1", port: int = PORT, allow_host: tuple[str, ...] = ()) -> Settings:
    """Returns the settings of a page's server; its links stand for the token that other machines need.

    Args:
        host: the address to listen at.
        port: 0 for a free one.
        allow_host: further host names of the server.

    Raises:
        ValueError: If one is not valid.
    """
    settings = Settings(
        host=host, port=port, allow_host=allow_host, max_body=MAX_BODY, grace=GRACE_SECONDS, no_token=True
    )
    settings.check()
    return settings


def serve_review(
    review: Review,
    settings: Settings,
    *,
    finish: Callable[[str], str],
    report: Path,
    on_ready: Callable[[str], None] = lambda _: None,
    listening: socket.socket | None = None,
) -> None:
    """Serves the page of a session until SIGTERM or SIGINT.

    Args:
        review: the session.
        settings: how the server runs, see `page_settings`.
        finish: see `Background`.
        report: the report that finishing leaves.
        on_ready: is called with the address of the page, a link that works once.
        listening: a socket from `listen`, made before the data is read, so that an address in use is told at
            once; by default one is made here.

    Raises:
        MissingExtraError: If the extra is not installed.
        OSError: If the address is already in use.
    """
    require_extra("serve")
    listening = listening or listen(settings.host, settings.port)
    try:
        host, port = listening.getsockname()[:2]
        shown = f"[{host}]" if ":" in str(host) else host
        links = Links(review.answers, review.material.title)

        def invite() -> str:
            return f"http://{shown}:{port}/?token={links.make()}"

        background = Background(review, finish)
        finder = Finder(review.material, review.learner, review.settings.seed)
        desk = Desk(review, background, finder, invite)
        application = Application(desk, links, review.material, report, settings)
        listening.listen(BACKLOG)
        on_ready(invite())
        build_server(application, background, settings).run(sockets=[listening])
    finally:
        listening.close()


def build_server(application: Application, background: Background, settings: Settings) -> Any:
    """Returns a `uvicorn.Server` that has not started yet.

    Args:
        application: answers requests.
        background: learns while the server runs.
        settings: how it runs.
    """
    uvicorn = require("uvicorn", extra="serve")

    async def served(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "lifespan":
            await application(scope, receive, send)
            return
        await receive()
        background.start()
        await send({"type": "lifespan.startup.complete"})
        with contextlib.suppress(asyncio.CancelledError):
            await receive()
        background.stop()
        application.close()
        await send({"type": "lifespan.shutdown.complete"})

    config = uvicorn.Config(
        served,
        http=bounded_protocol(settings.timeout),
        ws="none",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=settings.grace,
    )
    return uvicorn.Server(config)
