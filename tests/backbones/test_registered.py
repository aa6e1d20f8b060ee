import ast
import re
from pathlib import Path

import pytest

from tfautolabel import backbones
from tfautolabel.backbones.registered import HOMES, PACKAGE, registered_class


def registered_in_source():
    """Class names to modules, of all that a saved backbone may name."""
    root = Path(backbones.__file__).parent.parent
    for file in sorted([*root.glob("backbones/**/*.py"), *root.glob("preprocessors/**/*.py")]):
        parts = file.relative_to(root.parent).with_suffix("").parts
        for node in ast.walk(ast.parse(file.read_text("utf-8"))):
            if isinstance(node, ast.ClassDef):
                marks = " ".join(ast.unparse(mark) for mark in node.decorator_list)
                if "register_keras_serializable" in marks:
                    yield node.name, ".".join(parts)


def test_the_table_has_all_that_are_registered_where_they_live():
    found = list(registered_in_source())
    assert len(found) == len(dict(found)), "a registered name is there once"
    assert dict(found) == HOMES


@pytest.mark.parametrize(
    "name",
    [
        "tfautolabel>UnitLength",
        "tfautolabel.backbones.networks.pooling.UnitLength",
        "tfautolabel.gone.UnitLength",
        "tfautolabel.backbones.preprocessors.wave.WavePreprocessor",
        "tfautolabel.backbones.preprocessors.strings.StringPreprocessor",
    ],
)
def test_a_name_or_an_old_path_leads_to_the_class(name):
    found, bare = registered_class(name), re.split("[>.]", name)[-1]
    assert f"{found.__module__}.{found.__name__}" == f"{HOMES[bare]}.{bare}"


@pytest.mark.parametrize("name", ["os.system", "tfautolabel>Missing", "other>UnitLength", "UnitLength", ""])
def test_others_are_refused(name):
    with pytest.raises(ValueError, match=r"is one of tfautolabel's own\. Received: "):
        registered_class(name)


def test_names_are_of_this_package():
    assert all(home.startswith(PACKAGE + ".") for home in HOMES.values())
