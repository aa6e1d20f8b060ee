"""Learns from the answers in Label Studio, in a process of its own, so that the server goes on answering."""

from __future__ import annotations

import logging
import multiprocessing
import tempfile
import threading
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from tfautolabel.serving.refusals import first_sentence
from tfautolabel.serving.studio_site import StudioSite

_log = logging.getLogger("tfautolabel.serving")
MAX_EXPORT = 1 << 30
EXPORT_SECONDS = 600.0
"""Limits for a project's export."""

Refit = Callable[[Path, Path], None]
"""Runs again: takes the folder of a run and an export of Label Studio."""


class Training:
    """Refits the model of a run, one at a time.

    Args:
        run: the folder of the run that the served model belongs to; None if it belongs to none.
        refit: what does it; by default `tfautolabel.jobs.refit` in a new process.
    """

    def __init__(self, run: Path | None, refit: Refit | None = None) -> None:
        self.run = run
        self._process: Any = None
        self._refit = self._in_a_process if refit is None else refit
        self._busy = threading.Lock()
        self._thread: threading.Thread | None = None
        self._closed = False

    def start(self, site: StudioSite, project: int) -> bool:
        """Begins in the background; returns whether nothing was going on yet.

        Args:
            site: where the answers are.
            project: the number of the project there.
        """
        if not self._busy.acquire(blocking=False):
            return False
        self._thread = threading.Thread(
            target=self._learn, args=(site, project), name="training", daemon=True
        )
        self._thread.start()
        return True

    def wait(self, seconds: float) -> None:
        """Waits for what goes on."""
        if self._thread is not None:
            self._thread.join(seconds)

    def close(self) -> None:
        """Stops what goes on; a run that is stopped leaves its folder as it was."""
        self._closed = True
        if self._process is not None:
            self._process.terminate()

    def _learn(self, site: StudioSite, project: int) -> None:
        try:
            _log.info("training began", extra={"project": project})
            with tempfile.TemporaryDirectory(prefix="tfautolabel-") as folder:
                export = Path(folder) / "export.json"
                export.write_bytes(site.export(project, MAX_EXPORT, EXPORT_SECONDS))
                self._refit(self.run or Path(), export)
            _log.info("training ended", extra={"project": project})
        except Exception as error:  # a failed training must never stop the server
            if not self._closed:
                message = first_sentence(error)
                message = message.replace(site.token, "…") if site.token else message
                _log.error("training failed", extra={"project": project, "error": message})
        finally:
            self._busy.release()

    def _in_a_process(self, run: Path, export: Path) -> None:
        context = multiprocessing.get_context("spawn")
        ours, theirs = context.Pipe(duplex=False)
        self._process = context.Process(target=_refit_there, args=(run, export, theirs), daemon=True)
        self._process.start()
        theirs.close()
        try:
            failed = ours.recv()
        except EOFError as error:
            raise RuntimeError("the process that trains ended without a result") from error
        finally:
            self._process.join()
            self._process = None
            ours.close()
        if failed is not None:
            raise RuntimeError(failed)


def _refit_there(run: Path, export: Path, result: Connection) -> None:
    """Runs again, and sends None or the sentence that says why not."""
    try:
        from tfautolabel.jobs.refit import refit

        refit(run, export, progress=False)
    except Exception as error:  # whatever it is, the server says it
        result.send(first_sentence(error))
    else:
        result.send(None)
