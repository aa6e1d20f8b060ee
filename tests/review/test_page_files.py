"""The files of the review page: small, whole, and complete in themselves."""

import re
from pathlib import Path

import pytest

import tfautolabel

PAGE = Path(tfautolabel.__file__).parent / "review" / "page"
FILES = {path.name: path.read_text("utf-8") for path in sorted(PAGE.iterdir())}
MODULES = {name: text for name, text in FILES.items() if name.endswith(".js")}
IMPORT = re.compile(r'^import \{ ([^}]*) \} from "\./([^"]+)";$', re.MULTILINE)
EXPORT = re.compile(r"^export (?:async )?(?:const|function|class) (\w+)", re.MULTILINE)


@pytest.mark.parametrize("name", FILES)
def test_a_file_is_short_and_needs_nothing_from_elsewhere(name):
    text = FILES[name]
    assert text.count("\n") <= 400
    assert not re.search(r"https?://", text)
    assert not re.search(r"\bon\w+=|\bstyle=|innerHTML|insertAdjacentHTML|\beval\(", text)


@pytest.mark.parametrize("name", MODULES)
def test_what_a_module_imports_is_there_and_is_used(name):
    text = MODULES[name]
    found = IMPORT.findall(text)
    assert len(found) == len(re.findall(r"^import\b", text, re.MULTILINE))
    for names, source in found:
        for each in names.split(", "):
            assert each in EXPORT.findall(MODULES[source]), f"{each} of {source}"
            assert len(re.findall(rf"\b{each}\b", text)) > 1, f"{each} is not used"


def test_every_module_and_what_it_exports_is_used():
    imported = {
        (source, each)
        for text in MODULES.values()
        for names, source in IMPORT.findall(text)
        for each in names.split(", ")
    }
    exported = {(name, each) for name, text in MODULES.items() for each in EXPORT.findall(text)}
    inside = {(name, each) for name, each in exported if len(re.findall(rf"\b{each}\b", MODULES[name])) > 1}
    assert exported - imported - inside == set()


def test_the_page_names_only_files_that_are_there():
    named = re.findall(r"/static/([\w.]+)", FILES["index.html"])
    assert named
    assert set(named) <= set(FILES)
