import pytest

from tfautolabel.rules.code_files import rules_of


def test_labeling_functions_of_a_python_file_are_taken_in_order(tmp_path):
    path = tmp_path / "own.py"
    path.write_text(
        "from tfautolabel import labeling_function\n"
        "@labeling_function()\ndef second(text):\n    return 'b' if 'b' in text else None\n"
        "@labeling_function('first')\ndef other(text):\n    return 'a'\n"
        "again = second\nnumber = 3\n",
        encoding="utf-8",
    )
    assert [rule.name for rule in rules_of(path)] == ["second", "first"]


def test_code_is_run_only_from_files_that_say_so(tmp_path):
    code = "label,pattern\na,b\n"
    (tmp_path / "rules.csv").write_text(code, encoding="utf-8")
    assert [rule.name for rule in rules_of(tmp_path / "rules.csv")] == ["a: b"]
    (tmp_path / "rules.txt").write_text("raise SystemExit", encoding="utf-8")
    with pytest.raises(ValueError, match="the first line names the columns"):
        rules_of(tmp_path / "rules.txt")


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("x = 1", "must hold functions under"),
        ("1 / 0", "ZeroDivisionError: division"),
        ("def", "SyntaxError"),
    ],
)
def test_mistakes_name_the_file(tmp_path, code, said):
    path = tmp_path / "own.py"
    path.write_text(code, encoding="utf-8")
    with pytest.raises(ValueError, match=rf"own.py: .*{said}"):
        rules_of(path)
    with pytest.raises(FileNotFoundError, match="there is no file of rules"):
        rules_of(tmp_path / "none.py")


@pytest.mark.parametrize("name", ["rules", "rules.py"])
def test_a_folder_is_no_file_of_rules(tmp_path, name):
    (tmp_path / name).mkdir()
    with pytest.raises(ValueError, match="rules are in a file"):
        rules_of(tmp_path / name)
