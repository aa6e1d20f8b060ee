"""What docs/, CONTRIBUTING.md and SECURITY.md say of the code is there."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
from test_architecture import FILES, ROWS, top_of

ROOT = Path(__file__).parents[1]
DESIGN = (ROOT / "docs" / "DESIGN.md").read_text("utf-8")
CONTRIBUTING = (ROOT / "CONTRIBUTING.md").read_text("utf-8")
ROOMS = {top_of(file) for file in FILES} - {"__init__", "__main__"}
DECISIONS = sorted((ROOT / "docs" / "decisions").glob("*.md"))
TEXTS = [ROOT / "CONTRIBUTING.md", ROOT / "SECURITY.md", ROOT / "docs" / "DESIGN.md", *DECISIONS]


def rows_of(text):
    """The layers that a text's table names, lowest first: "| 0 | `data`, `labels` |"."""
    found = {int(number): re.findall("`([a-z][a-z_]*)`", rooms) for number, rooms in re.findall(TABLE, text)}
    return [found[number] for number in sorted(found)]


TABLE = re.compile(r"^\| (\d+) \| (.*) \|$", re.MULTILINE)


def named_paths(text):
    """Paths between backticks, of files and folders, without those that a recipe lets one make."""
    quoted = re.findall(r"`([\w./-]+/[\w./-]*|[\w-]+\.(?:py|md|cfg|toml))`", text)
    return sorted(
        {name.rstrip("/") for name in quoted if not name.startswith(("/", "~", ".venv/", ".release/"))}
    )


def is_there(name):
    return any((folder / name).exists() for folder in (ROOT, ROOT / "tfautolabel"))


def test_the_layers_of_the_design_are_those_of_the_architecture_test():
    held = [[name for name in row if name in ROOMS and not name.startswith("_")] for row in ROWS]
    assert [sorted(row) for row in rows_of(DESIGN)] == [sorted(row) for row in held if row]


def test_each_room_has_a_line_that_says_what_it_holds():
    described = re.findall(r"^\| `([a-z_]+)` \| .+ \|$", DESIGN, re.MULTILINE)
    assert sorted(described) == sorted(name for name in ROOMS if not name.startswith("_"))


def test_a_room_without_a_row_is_found():
    assert rows_of("| 1 | `b` |\n| 0 | `a`, `c` |") == [["a", "c"], ["b"]]


@pytest.mark.parametrize("path", TEXTS, ids=lambda path: path.stem)
def test_paths_that_texts_name_are_there(path):
    text = path.read_text("utf-8")
    missing = [
        name
        for name in named_paths(text)
        if not is_there(name) and not list((ROOT / "tfautolabel").glob(f"*/**/{name}"))
    ]
    assert missing == []
    for target in re.findall(r"\]\(([^)#:]+)\)", text):
        assert (path.parent / target).exists()


def test_paths_that_are_not_there_are_found():
    assert named_paths("`heads/nowhere.py`, `setup.cfg`, `~/.cache/x`, `x = 1`") == [
        "heads/nowhere.py",
        "setup.cfg",
    ]
    assert is_there("heads/linear.py")
    assert not is_there("heads/nowhere.py")


def test_decisions_are_numbered_and_have_the_same_parts():
    assert [path.name[:4] for path in DECISIONS] == [f"{number + 1:04d}" for number in range(len(DECISIONS))]
    for path in DECISIONS:
        parts = re.findall("^## (.+)$", path.read_text("utf-8"), re.MULTILINE)
        assert parts[:2] == ["Context", "Decision"], path.name
        assert parts[-2:] == ["What speaks against it", "Consequences"], path.name


def recipes():
    """The recipes of CONTRIBUTING.md: their names and texts."""
    parts = re.split("^## ", CONTRIBUTING, flags=re.MULTILINE)
    return {part.partition("\n")[0]: part for part in parts if part.startswith("Add ")}


@pytest.mark.parametrize("name", recipes())
def test_a_recipe_has_three_steps_and_touches_few_files(name):
    text = recipes()[name]
    assert re.findall(r"^(\d)\. ", text, re.MULTILINE) == ["1", "2", "3"]
    touched = re.search(r"^Existing files that you touch: (.+?)\.\n", text, re.MULTILINE | re.DOTALL)
    files = re.findall("`([^`]+)`", touched[1])
    assert 1 <= len(files) <= 3
    assert [file for file in files if not (ROOT / file).is_file()] == []


def test_citations_of_the_design_name_its_place():
    cited = [
        f"{path.relative_to(ROOT)}: {line.strip()}"
        for folder in ("tests", "tfautolabel", "benchmarks", "examples", ".ci")
        for path in (ROOT / folder).rglob("*.py")
        if path != Path(__file__)
        for line in path.read_text("utf-8").splitlines()
        if "DESIGN.md" in line and "docs/DESIGN.md" not in line
    ]
    assert cited == []


def test_files_are_as_the_commit_hook_wants_them(tmp_path):
    check = [sys.executable, str(ROOT / ".ci" / "text_files.py")]
    # Of those that belong to the project: commands of the README leave others beside them.
    kept = {".md", ".toml", ".cfg", ".yaml"}
    names = [path.name for path in ROOT.iterdir() if path.suffix in kept or path.name == "LICENSE"]
    assert len(names) > 5
    assert subprocess.run([*check, *names], cwd=ROOT, capture_output=True, text=True).stderr == ""
    (tmp_path / "a.txt").write_bytes(b"a \r\nb")
    (tmp_path / "b.bin").write_bytes(bytes(1_000_001))
    told = subprocess.run([*check, "a.txt", "b.bin"], cwd=tmp_path, capture_output=True, text=True)
    assert told.returncode == 1
    assert told.stderr.splitlines() == [
        "a.txt: Windows line ends",
        "a.txt: no line end at its end",
        "b.bin: 1,000,001 bytes, more than 1,000,000",
    ]
