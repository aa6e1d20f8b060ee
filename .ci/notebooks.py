"""Executes the notebooks, each in a kernel of its own, from a clean state; fails where a cell does.

What comes out goes to a scratch folder and is thrown away, so that a run leaves the tree as it was. With
--write it takes the place of the outputs in notebooks/, which is how they are renewed:

    pip install -e '.[test]'
    python .ci/notebooks.py [--write] [NAME ...]        # 1-pictures 2-texts …; all by default
    python .ci/notebooks.py --part 1/2                  # every second one; another process has the others
"""

from __future__ import annotations

import argparse
import os
import pathlib
import re
import sys
import tempfile
import time

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError

FOLDER = pathlib.Path(__file__).resolve().parent.parent / "notebooks"
CELL_SECONDS = 400
"""No cell takes longer, even where weights and data have to be fetched first and others share the machine."""

NATIVE = re.compile(r"^(WARNING: All log messages before absl|[IWE]\d{4} )")
"""What TensorFlow's native code says on standard error, and not the notebooks."""

METADATA = {
    "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
    "language_info": {"name": "python"},
}


def execute(notebook: nbformat.NotebookNode) -> None:
    """Runs all cells in a new kernel, in the folder of the notebooks, and keeps small outputs only."""
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
    NotebookClient(
        notebook,
        timeout=CELL_SECONDS,
        kernel_name="python3",
        record_timing=False,
        resources={"metadata": {"path": str(FOLDER)}},
    ).execute()
    notebook.metadata = METADATA
    for cell in notebook.cells:
        cell.metadata = {}
        if cell.cell_type == "code":
            cell.outputs = _small(cell.outputs)


def _small(outputs: list[nbformat.NotebookNode]) -> list[nbformat.NotebookNode]:
    """Pictures without their description, and one piece of text for neighbouring pieces of a stream."""
    kept: list[nbformat.NotebookNode] = []
    for output in outputs:
        if output.output_type in ("display_data", "execute_result"):
            output.metadata = {}
            if "image/png" in output.data:
                output.data = {"image/png": output.data["image/png"]}
        elif output.output_type == "stream":
            if output.name == "stderr":
                output.text = "".join(
                    line for line in output.text.splitlines(keepends=True) if not NATIVE.search(line)
                )
            if not output.text.strip():
                continue
            # Addresses of objects differ from run to run.
            output.text = re.sub(r"0x[0-9a-f]{8,}", "0x…", output.text)
            if kept and kept[-1].output_type == "stream" and kept[-1].name == output.name:
                kept[-1].text += output.text
                continue
        kept.append(output)
    return kept


def main() -> None:
    """Executes what is asked for and says how long each took."""
    names = sorted(path.stem for path in FOLDER.glob("*.ipynb"))
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"among {', '.join(names)}")
    parser.add_argument("--write", action="store_true", help="renew the outputs in notebooks/")
    parser.add_argument("--part", default="1/1", metavar="I/N", help="every nth one, from the ith")
    arguments = parser.parse_args()
    if not (part := re.fullmatch(r"([1-9])/([1-9])", arguments.part)) or part[1] > part[2]:
        parser.error(f"--part must be such as 1/2. Received: {arguments.part}")
    chosen = (arguments.names or names)[int(part[1]) - 1 :: int(part[2])]
    unknown = sorted(set(arguments.names) - set(names))
    if unknown:
        parser.error(f"notebooks are {', '.join(names)}. Received: {', '.join(unknown)}")
    failed = []
    begin = time.perf_counter()
    with tempfile.TemporaryDirectory(prefix="tfautolabel-notebooks-") as scratch:
        # What the notebooks put into temporary files is gone afterwards too.
        os.environ["TMPDIR"] = scratch
        for name in chosen:
            notebook = nbformat.read(FOLDER / f"{name}.ipynb", as_version=4)
            start = time.perf_counter()
            try:
                execute(notebook)
            except (CellExecutionError, CellTimeoutError, DeadKernelError) as error:
                failed.append(name)
                sys.stderr.write(f"{name}: {error}\n")
            sys.stdout.write(f"{name}: {time.perf_counter() - start:.0f} s\n")
            sys.stdout.flush()
            target = FOLDER if arguments.write and name not in failed else pathlib.Path(scratch)
            nbformat.write(notebook, target / f"{name}.ipynb")
    sys.stdout.write(f"all: {time.perf_counter() - begin:.0f} s\n")
    if failed:
        sys.exit(f"notebooks that failed: {', '.join(failed)}")


if __name__ == "__main__":
    main()
