"""Checks an exported SavedModel as a server would use it: moved, offline, with TensorFlow only."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import Self

from tfautolabel._model_folder import DESCRIPTION, GRAPH
from tfautolabel._scratch import temporary_folder
from tfautolabel.export import standalone_check

CHECK_SECONDS = 600


class CheckFailure(RuntimeError):  # noqa: N818 - names the event, as callers tell it from other RuntimeErrors
    """An exported SavedModel does not give what was recorded at its export."""


class SelfCheck:
    """A process with TensorFlow only that waits for an exported model and runs its recorded examples.

    Loading TensorFlow takes most of a check's time. So an export starts this process first and writes the
    model while it gets ready. The process has an empty home folder and no network. This is a context manager
    for one model.
    """

    def __init__(self) -> None:
        self._stack = ExitStack()
        self._scratch = scratch = self._stack.enter_context(temporary_folder())
        self._moved = scratch / "moved" / "1"
        home = scratch / "home"
        home.mkdir()
        kept = {
            name: os.environ[name] for name in ("PATH", "LD_LIBRARY_PATH", "SYSTEMROOT") if name in os.environ
        }
        environment = kept | {
            "HOME": str(home),
            "TMPDIR": os.fspath(scratch),
            "TFAUTOLABEL_CACHE": str(home / "none"),
        }
        script = os.fspath(standalone_check.__file__)
        self._process = subprocess.Popen(
            [sys.executable, "-I", script, str(self._moved), standalone_check.WAIT],
            env=environment,
            cwd=scratch,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        with self._stack, self._process:  # closes the pipes and waits for the process
            self._process.kill()

    def run(self, folder: str | os.PathLike[str]) -> int:
        """Checks a copy of an exported model; see `check_saved_model`."""
        folder = Path(folder)
        _check_is_export(folder)
        shutil.copytree(folder, self._moved)
        try:
            found, said = self._process.communicate("go\n", timeout=CHECK_SECONDS)
        except subprocess.TimeoutExpired as error:
            raise CheckFailure(f"{folder} was not loaded and run within {CHECK_SECONDS} s") from error
        if self._process.returncode != 0:
            last = said.strip().splitlines()[-1:] or [f"exit code {self._process.returncode}"]
            raise CheckFailure(f"{folder} cannot be checked: {last[0]}")
        result = json.loads(found.strip().splitlines()[-1])
        if result["failures"]:
            # The process saw a copy. The reader knows the original.
            sentences = "; ".join(result["failures"]).replace(os.fspath(self._moved), os.fspath(folder))
            raise CheckFailure(f"{folder} is not healthy: {sentences}")
        return int(result["examples"])


def check_saved_model(folder: str | os.PathLike[str]) -> int:
    """Opens a copy of the SavedModel in another process and runs its recorded examples.

    That process has only TensorFlow, an empty home folder and no network.

    Args:
        folder: a folder that `export_saved_model` wrote.

    Returns:
        The number of recorded examples, all with the recorded result.

    Raises:
        FileNotFoundError: If the folder holds no exported SavedModel.
        CheckFailure: If it does not load or an output differs. The message says what was found.
    """
    _check_is_export(Path(folder))
    with SelfCheck() as check:
        return check.run(folder)


def _check_is_export(folder: Path) -> None:
    if not folder.exists():
        raise FileNotFoundError(f"there is no folder {str(folder)!r}")
    for name in (GRAPH, DESCRIPTION):
        if not (folder / name).is_file():
            raise FileNotFoundError(
                f"an exported model is a folder with saved_model.pb and labeler.json. Received: {folder}, "
                f"which has no {name}"
            )
