"""Checks an exported SavedModel the way a server would meet it: moved, offline, with TensorFlow alone."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

from tfautolabel._scratch import temporary_folder
from tfautolabel.export import standalone_check

CHECK_SECONDS = 600


class CheckFailure(RuntimeError):  # noqa: N818 - names the event, as callers tell it from other RuntimeErrors
    """An exported SavedModel does not do what was recorded when it was made."""


def check_saved_model(folder: str | os.PathLike[str]) -> int:
    """Opens a copy of the SavedModel in another process and runs its recorded examples.

    That process has only TensorFlow, an empty home folder and no network.

    Args:
        folder: a folder that `export_saved_model` wrote.

    Returns:
        How many recorded examples gave what was recorded.

    Raises:
        FileNotFoundError: If the folder holds no exported SavedModel.
        CheckFailure: If it does not load or an output differs, with what was found.
    """
    folder = Path(folder)
    if not folder.exists():
        raise FileNotFoundError(f"there is no folder {str(folder)!r}")
    for name in ("saved_model.pb", "labeler.json"):
        if not (folder / name).is_file():
            raise FileNotFoundError(
                f"an exported model is a folder with saved_model.pb and labeler.json. Received: {folder}, "
                f"which has no {name}"
            )
    with temporary_folder() as scratch:
        moved = scratch / "moved" / "1"
        shutil.copytree(folder, moved)
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
        command = [sys.executable, "-I", os.fspath(standalone_check.__file__), str(moved)]
        try:
            done = subprocess.run(
                command, env=environment, cwd=scratch, capture_output=True, text=True, timeout=CHECK_SECONDS
            )
        except subprocess.TimeoutExpired as error:
            raise CheckFailure(f"{folder} was not loaded and run within {CHECK_SECONDS} s") from error
    if done.returncode != 0:
        last = done.stderr.strip().splitlines()[-1:] or [f"exit code {done.returncode}"]
        raise CheckFailure(f"{folder} cannot be checked: {last[0]}")
    result = json.loads(done.stdout.strip().splitlines()[-1])
    if result["failures"]:
        # The process saw a copy; the reader knows the original.
        found = "; ".join(result["failures"]).replace(os.fspath(moved), os.fspath(folder))
        raise CheckFailure(f"{folder} is not healthy: {found}")
    return result["examples"]
