"""The rules of docs/DESIGN.md that the source shows: each is a function, tried on bad examples too."""

import ast
import graphlib
import re
import subprocess
import sys
from pathlib import Path

import pytest

import tfautolabel

PACKAGE = Path(tfautolabel.__file__).parent
NAME = "tfautolabel"
MAX_LINES = 400
ROWS = (
    (
        "data",
        "labels",
        "_optional",
        "_cache",
        "_wheels",
        "_durable",
        "_lock",
        "_scratch",
        "_progress",
        "_ahead",
        "_cores",
        "_cpu",
        "_gpus",
        "_precision",
        "_errors",
        "_forks",
        "_version",
        "_visible",
        "_durations",
        "_model_folder",
        "_keras_internals",
        "_keras_tuner_internals",
        "_tensorflow_internals",
    ),
    ("preprocessors",),
    ("backbones", "heads", "rules", "trust", "measures"),
    ("features",),
    ("training", "export"),
    ("labeler",),
    ("active", "explain", "tuning"),
    ("runs",),
    ("report",),
    ("jobs",),
    ("serving",),
    ("review",),
    ("cli",),
)
ROW_OF = {name: row for row, names in enumerate(ROWS) for name in names}
OPTIONAL = {
    "PIL",
    "ai_edge_litert",
    "datasets",
    "grpc",
    "grpc_health",
    "httptools",
    "huggingface_hub",
    "kagglehub",
    "keras_hub",
    "onnx",
    "onnxruntime",
    "openpyxl",
    "openvino",
    "orjson",
    "pandas",
    "polars",
    "prometheus_client",
    "ray",
    "simplejpeg",
    "soundfile",
    "tensorflow_serving",
    "tensorflow_text",
    "tf2onnx",
    "torch",
    "transformers",
    "uvicorn",
}
FILES = {path.relative_to(PACKAGE).as_posix(): path.read_text("utf-8") for path in PACKAGE.rglob("*.py")}


def module_of(file):
    """`heads/linear.py` to `tfautolabel.heads.linear`."""
    parts = file.removesuffix(".py").split("/")
    return ".".join([NAME, *(parts[:-1] if parts[-1] == "__init__" else parts)])


def imports_of(source, module="", is_package=False, only_at_import=False):
    """Dotted names that a source imports; only those met while the module itself is imported, if asked."""
    found = []

    def visit(node):
        if isinstance(node, ast.Import):
            found.extend(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            parts = module.split(".")
            base = parts[: len(parts) - node.level + is_package] if node.level else []
            origin = ".".join([*base, *([node.module] if node.module else [])])
            found.extend(f"{origin}.{alias.name}" for alias in node.names)
        if only_at_import:
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
                return
            if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
                for other in node.orelse:
                    visit(other)
                return
        for child in ast.iter_child_nodes(node):
            visit(child)

    visit(ast.parse(source))
    return found


def own_imports(file, files):
    """The package's own modules that a file imports, as their files."""
    by_module = {module_of(other): other for other in files}
    for name in imports_of(files[file], module_of(file), file.endswith("__init__.py")):
        if name == NAME or name.startswith(NAME + "."):
            # `from package import name` names a module or something in it.
            found = by_module.get(name) or by_module.get(name.rpartition(".")[0])
            yield found or name


def top_of(file):
    return file.split("/")[0].removesuffix(".py")


def unplaced(files):
    """Parts of the package that have no row."""
    return sorted({top_of(file) for file in files} - {"__init__", "__main__"} - set(ROW_OF))


def wrong_directions(files):
    """Imports that go up, or sideways to another package of the same row."""
    wrong = []
    for file in files:
        if file in ("__init__.py", "__main__.py"):
            continue
        for other in own_imports(file, files):
            here, there = top_of(file), top_of(other)
            if here == there:
                continue
            allowed = ROW_OF.get(there, 99) < ROW_OF.get(here, -1)
            # In the lowest row single files build on each other, as long as there is no circle.
            lowest = ROW_OF.get(here) == ROW_OF.get(there) == 0 and f"{there}.py" in files
            if not (allowed or lowest):
                wrong.append(f"{file} imports {other}")
    return sorted(wrong)


def circle(files):
    """Files that import each other in a circle, or None."""
    graph = {file: {other for other in own_imports(file, files) if other in files} for file in files}
    for file, others in graph.items():
        # A package's __init__ gathers its files; a file that names a sibling does not need it.
        others.discard(file)
    try:
        list(graphlib.TopologicalSorter(graph).static_order())
    except graphlib.CycleError as error:
        return error.args[1]
    return None


def too_long(files):
    return sorted(file for file, source in files.items() if len(source.splitlines()) > MAX_LINES)


def optional_imports(files):
    """Optional packages that are imported together with a module."""
    return sorted(
        f"{file} imports {name}"
        for file, source in files.items()
        for name in imports_of(source, only_at_import=True)
        if name.split(".")[0] in OPTIONAL
    )


MAX_BODY = 60


def body_lines(function):
    """Lines of a function besides its signature and its docstring."""
    body = function.body[1:] if ast.get_docstring(function, clean=False) is not None else function.body
    return body[-1].end_lineno - body[0].lineno + 1 if body else 0


def long_functions(files):
    return sorted(
        f"{file}: {node.name}"
        for file, source in files.items()
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and body_lines(node) > MAX_BODY
    )


def test_functions_are_short():
    assert long_functions(FILES) == []


INTERNALS = ("_keras_internals.py", "_keras_tuner_internals.py", "_tensorflow_internals.py")
"""Where what other packages keep to themselves is used; each use has a test of its own."""
PROMISED = {"_replace", "_fields", "_asdict", "_make", "_exit"}
SUBCLASSED = {"serving/http_protocol.py uses _unset_keepalive_if_required"}


def own_names(tree):
    """Names that a file gives to something."""
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield node.name
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.id
        elif (
            isinstance(node, ast.Attribute)
            and isinstance(node.ctx, ast.Store)
            and ast.unparse(node.value) in ("self", "cls")
        ):
            yield node.attr


def uses_of_internals(files):
    """Private parts of other packages, and modules that TensorFlow and Keras keep to themselves."""
    trees = {file: ast.parse(source) for file, source in files.items()}
    own = PROMISED.union(*map(own_names, trees.values()))
    found = set()
    for file, tree in trees.items():
        for node in ast.walk(tree):
            if isinstance(node, ast.Attribute) and re.match("_[^_]", node.attr) and node.attr not in own:
                found.add(f"{file} uses {node.attr}")
        for name in imports_of(files[file]):
            if re.match(r"(tensorflow\.(python|core)|keras(_tuner)?\.src)\b", name):
                found.add(f"{file} uses {name}")
    return sorted(use for use in found if use.split()[0] not in INTERNALS)


def test_internals_of_other_packages_are_in_files_of_their_own():
    assert set(uses_of_internals(FILES)) == SUBCLASSED
    assert set(INTERNALS) < set(FILES)


def test_every_part_has_a_row():
    assert unplaced(FILES) == []


def test_imports_go_down():
    assert wrong_directions(FILES) == []


def test_imports_make_no_circle():
    assert circle(FILES) is None


def test_files_are_short():
    assert too_long(FILES) == []


def test_optional_packages_are_imported_when_needed():
    assert optional_imports(FILES) == []


GOOD = {
    "__init__.py": "from tfautolabel.labeler import Labeler",
    "labels.py": "import numpy",
    "_cache.py": "",
    "_wheels.py": "from tfautolabel._cache import cache_dir",
    "data/__init__.py": "from tfautolabel.data.load import load",
    "data/load.py": "from tfautolabel.labels import Labels\nfrom tfautolabel import _cache",
    "heads/__init__.py": "from . import linear",
    "heads/linear.py": "import keras\nfrom .folds import folds",
    "heads/folds.py": "def f():\n    import PIL.Image",
    "features.py": "from tfautolabel.heads import linear\nimport tfautolabel.data.load",
    "labeler.py": "from tfautolabel.features import extract",
}


def test_checkers_accept_what_is_right():
    assert (unplaced(GOOD), wrong_directions(GOOD), circle(GOOD)) == ([], [], None)
    assert (too_long(GOOD), optional_imports(GOOD)) == ([], [])


@pytest.mark.parametrize(
    ("file", "source", "wrong"),
    [
        ("data/load.py", "from tfautolabel.heads import x", "data/load.py imports heads/__init__.py"),
        ("data/load.py", "def f():\n    import tfautolabel.labeler", "data/load.py imports labeler.py"),
        ("labels.py", "from tfautolabel.data import load", "labels.py imports data/load.py"),
        ("trust/gate.py", "from tfautolabel.heads.linear import x", "trust/gate.py imports heads/linear.py"),
        ("trust/gate.py", "from ..heads.linear import x", "trust/gate.py imports heads/linear.py"),
        ("heads/linear.py", "from tfautolabel import Labeler", "heads/linear.py imports __init__.py"),
        ("heads/linear.py", "from tfautolabel import features", "heads/linear.py imports features.py"),
        (
            "heads/linear.py",
            "from tfautolabel.nowhere import x",
            "heads/linear.py imports tfautolabel.nowhere.x",
        ),
    ],
)
def test_checker_finds_wrong_directions(file, source, wrong):
    assert wrong_directions({**GOOD, file: source}) == [wrong]


def test_checker_finds_circles():
    assert circle({**GOOD, "heads/folds.py": "from tfautolabel.heads.linear import x"})
    assert circle({**GOOD, "_cache.py": "from tfautolabel import _wheels"})
    assert circle({**GOOD, "heads/folds.py": "from tfautolabel.heads import linear"})


def test_checker_finds_parts_without_a_row():
    assert unplaced({**GOOD, "utils.py": "", "common/x.py": ""}) == ["common", "utils"]


def test_checker_finds_long_files():
    files = {"a.py": "x\n" * MAX_LINES, "b.py": "x\n" * (MAX_LINES + 1)}
    assert too_long(files) == ["b.py"]


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("import PIL.Image", True),
        ("from torch import nn", True),
        ("try:\n    import onnx\nexcept ImportError:\n    onnx = None", True),
        ("class A:\n    import pandas", True),
        ("def f():\n    import pandas", False),
        ("from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import pandas", False),
        ("import tensorflow\nfrom tfautolabel.data import datasets", False),
    ],
)
def test_checker_finds_optional_imports(source, found):
    assert bool(optional_imports({"a.py": source})) == found


def test_checker_finds_long_functions():
    lines = "    x = 1\n" * MAX_BODY
    docstring = f'    """A.\n{lines}    """\n'
    short = f"def f(\n    a,\n    b,\n):\n{docstring}{lines}"
    within = "class A:\n" + "".join(f"    {line}\n" for line in short.splitlines())
    assert long_functions({"a.py": short, "b.py": within, "c.py": "def f():\n    ..."}) == []
    assert long_functions({"a.py": short + "    x = 2\n"}) == ["a.py: f"]


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("def f(layer):\n    return layer._inbound", ["a.py uses _inbound"]),
        ("class A(B):\n    def f(self):\n        return self._theirs", ["a.py uses _theirs"]),
        ("class A(B):\n    def f(self):\n        self._own = 1\n        return self._own", []),
        ("class A(B):\n    _own = 1\ndef f(a):\n    return a._own, a._replace(b=1), a.__class__", []),
        ("def f():\n    from tensorflow.python.eager import x", ["a.py uses tensorflow.python.eager.x"]),
        ("import keras.src.layers\nimport keras.layers", ["a.py uses keras.src.layers"]),
    ],
)
def test_checker_finds_internals(source, found):
    assert uses_of_internals({"a.py": source}) == found
    assert uses_of_internals({INTERNALS[0]: source}) == []


LIGHT = [NAME, f"{NAME}.data", *([f"{NAME}.cli"] if any(top_of(file) == "cli" for file in FILES) else [])]


def heavy_after(statement):
    """Which of the slow packages a fresh interpreter has loaded after a statement."""
    code = f"import sys\n{statement}\nprint(sorted({{'tensorflow', 'keras', 'sklearn'}} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return ast.literal_eval(done.stdout.splitlines()[-1])


@pytest.mark.parametrize("module", LIGHT)
def test_import_is_light(module):
    assert heavy_after(f"import {module}") == []


def test_checker_finds_heavy_imports():
    assert heavy_after("import sklearn") == ["sklearn"]
