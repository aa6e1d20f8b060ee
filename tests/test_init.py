import ast
import subprocess
import sys
from pathlib import Path

import pytest

import tfautolabel


def test_all_names_exactly_what_is_exported():
    assert set(tfautolabel.__all__) == {"__version__", *tfautolabel._HOMES}
    assert len(tfautolabel.__all__) == len(set(tfautolabel.__all__))
    assert dir(tfautolabel) == sorted(tfautolabel.__all__)


def test_type_checkers_are_told_of_the_same_names_in_the_same_homes():
    tree = ast.parse(Path(tfautolabel.__file__).read_text("utf-8"))
    (block,) = (node for node in tree.body if isinstance(node, ast.If))
    told = {name.asname: line.module for line in block.body for name in line.names}
    assert told == {name: f"tfautolabel.{home}" for name, home in tfautolabel._HOMES.items()}


@pytest.mark.parametrize("name", tfautolabel.__all__)
def test_every_name_resolves_to_what_its_home_calls_so(name):
    value = getattr(tfautolabel, name)
    assert value is not None
    if name in tfautolabel._HOMES:
        home = sys.modules[f"tfautolabel.{tfautolabel._HOMES[name]}"]
        assert getattr(home, name) is value
        assert name in getattr(home, "__all__", [name])


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="has no attribute 'Labeller'"):
        tfautolabel.Labeller  # noqa: B018


def test_importing_the_package_and_the_command_line_imports_no_tensorflow():
    code = (
        "import sys, tfautolabel, tfautolabel.cli; "
        "heavy = {'tensorflow', 'keras', 'sklearn', 'scipy', 'pyarrow', 'tensorflow_hub'}; "
        "print(*sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, "\n", "")
