from pathlib import Path

from command import assert_one_sentence, tfautolabel

EXAMPLES = Path(__file__).parents[2] / "examples"
COLUMNS = ("--input-column", "review", "--label-column", "verdict")


def check(rules, *options, **variables):
    return tfautolabel("rules", "check", rules, EXAMPLES / "reviews.csv", *options, **variables)


def test_it_shows_what_rules_do_in_80_columns(tmp_path):
    done = check(EXAMPLES / "rules.csv", *COLUMNS, "--out", tmp_path / "table.csv", COLUMNS="80")
    assert done.returncode == 0, done.stderr
    table = done.stdout.partition("\n\n")[0].splitlines()
    assert len(table) == 22
    assert max(map(len, table)) <= 80
    assert "rule 'love' never votes" in done.stdout
    assert str(tmp_path / "table.csv") in done.stdout.replace("\n", "")
    assert (tmp_path / "table.csv").read_text("utf-8").count("\n") == 22
    quiet = check(EXAMPLES / "rules.csv", *COLUMNS, "--quiet")
    assert (quiet.returncode, quiet.stdout, quiet.stderr) == (0, "", "")


def test_without_labels_it_says_what_is_missing(tmp_path):
    data = tmp_path / "data.csv"
    data.write_text("text\ngreat\nawful\nfine\n", encoding="utf-8")
    done = tfautolabel("rules", "check", EXAMPLES / "rules.csv", data, "--input-column", "text")
    assert "Without labels, nothing tells how often rules are right" in done.stdout
    assert "Correct" not in done.stdout


def test_mistakes_are_one_sentence(tmp_path):
    path = tmp_path / "rules.csv"
    path.write_text("label,pattern,kind\ngood,great\ngood,(,regex\n", encoding="utf-8")
    assert_one_sentence(check(path, *COLUMNS), f"{path}: line 3: the pattern of kind 'regex' must be")
    assert_one_sentence(check(tmp_path / "none.csv", *COLUMNS), "there is no file of rules")
    assert_one_sentence(
        check(EXAMPLES / "rules.csv", *COLUMNS, "--out", EXAMPLES / "rules.csv"), "--out must be another file"
    )
