"""The notebooks as they are committed: whole, executed, small, listed. `.ci/notebooks.py` executes them."""

import json
import re
from pathlib import Path

import nbformat
import pytest

FOLDER = Path(__file__).parent.parent / "notebooks"
NOTEBOOKS = sorted(FOLDER.glob("*.ipynb"))
MACHINE_PATH = re.compile(r"/(?:home|root|tmp|opt|work|usr|var|Users|content)/|site-packages|[A-Z]:\\\\")


def read(path):
    return nbformat.reads(path.read_text(encoding="utf-8"), as_version=4)


def code_cells(path):
    return [cell for cell in read(path).cells if cell.cell_type == "code"]


def texts(output):
    """All that an output says to a reader."""
    if output.output_type == "stream":
        return output.text
    return "".join(value for kind, value in output.get("data", {}).items() if kind.startswith("text/"))


def test_they_stand_in_their_order():
    assert [path.stem for path in NOTEBOOKS] == [
        "1-pictures",
        "2-texts",
        "3-speech",
        "4-tuning",
        "5-serving",
        "6-review",
        "7-rules",
        "8-earlier",
    ]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
class TestNotebook:
    def test_is_valid_and_smaller_than_a_megabyte(self, path):
        nbformat.validate(json.loads(path.read_text(encoding="utf-8")))
        assert path.stat().st_size < 1_000_000

    def test_was_executed_in_order_without_an_error(self, path):
        cells = code_cells(path)
        assert [cell.execution_count for cell in cells] == list(range(1, len(cells) + 1))
        kinds = {output.output_type for cell in cells for output in cell.outputs}
        assert "error" not in kinds
        assert any("image/png" in output.get("data", {}) for cell in cells for output in cell.outputs)

    def test_says_nothing_on_standard_error(self, path):
        outputs = [output for cell in code_cells(path) for output in cell.outputs]
        assert not [output.text for output in outputs if output.get("name") == "stderr"]

    def test_shows_no_path_of_the_machine_that_ran_it(self, path):
        for cell in code_cells(path):
            for output in cell.outputs:
                assert not MACHINE_PATH.search(texts(output)), texts(output)

    def test_first_cell_installs_what_is_missing(self, path):
        first = code_cells(path)[0].source
        assert "%pip install" in first
        assert "find_spec" in first
        assert not code_cells(path)[0].outputs

    def test_imports_nothing_of_the_clone_but_the_package(self, path):
        source = "\n".join(cell.source for cell in code_cells(path))
        assert not re.search(r"^\s*(?:from|import) (?:benchmarks|tests|examples)\b", source, re.MULTILINE)

    def test_can_be_read_in_ten_minutes(self, path):
        # 200 words of prose a minute, and five seconds for a line of code.
        cells = read(path).cells
        words = sum(len(cell.source.split()) for cell in cells if cell.cell_type == "markdown")
        lines = sum(
            bool(re.search(r"\w", line))
            for cell in cells
            if cell.cell_type == "code"
            for line in cell.source.split("\n")
        )
        assert words / 200 + lines / 36 < 10

    def test_is_listed(self, path):
        assert f"({path.name})" in (FOLDER / "README.md").read_text(encoding="utf-8")
