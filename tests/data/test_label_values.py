import unicodedata

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tfautolabel.data import Dataset, load_dataset
from tfautolabel.data.label_values import (
    MISSING,
    Rules,
    class_key,
    class_name,
    label_rules,
    label_text,
    resolve,
)
from tfautolabel.labels import ABSTAIN


def read(values, rules=None):
    return resolve(values, "labels", rules or Rules())


def labels_of(dataset):
    return [None if c == ABSTAIN else dataset.classes[c] for c in dataset.class_ids.tolist()]


@pytest.mark.parametrize("word", MISSING)
def test_words_for_no_label(word):
    for spelled in (word, word.upper(), word.capitalize(), f" {word} "):
        names, notes, warned = read(["ham", spelled, "spam"])
        assert names == ["ham", None, "spam"]
        assert class_name(spelled) in notes[0]
        assert "label_values='keep' (--label-values keep)" in notes[0]
        assert warned == ()
        assert read(["ham", spelled, "spam"], label_rules("keep"))[0] == ["ham", spelled.strip(), "spam"]
        assert read(["ham", spelled, "spam"], label_rules(missing=()))[0][1] == class_name(spelled)


@pytest.mark.parametrize(
    "spelled",
    [
        "(no label)",
        "[Unlabeled]",
        "<none>",
        "__unlabelled__",
        "unlabeled.",
        "N/A.",
        "sem r\u00f3tulo",
        "N / A",
        "\u00abnone\u00bb",
        "\u201cNot available\u201d",
    ],
)
def test_marks_and_accents_around_words_for_no_label(spelled):
    assert read(["ham", spelled, "spam"])[0] == ["ham", None, "spam"]
    own = label_rules(missing=["no label", "unlabeled", "unlabelled", "none", "n/a", "sem rotulo"])
    assert read(["ham", spelled, "spam"], own)[0] == ["ham", class_name(spelled), "spam"]


@pytest.mark.parametrize(
    ("values", "names", "said"),
    [
        (["0", "1", "\u22121"], ["0", "1", None], "rows labelled"),
        (["ham", "UNK", "spam"], ["ham", "UNK", "spam"], "'UNK' is taken for a class"),
        ([0, 1, -1], ["0", "1", None], "rows labelled '-1' (1 row) are taken for rows without a label"),
        (["0", "2", "-1", "-1.0"], ["0", "2", None, None], "'-1' (1 row), '-1.0' (1 row) are taken"),
        (["1", "2", "3", "-100"], ["1", "2", "3", None], "'-100' (1 row) are taken"),
        (["-1", "1", "1"], ["-1", "1", "1"], "'-1' is taken for a class"),
        (["-2", "-1", "0"], ["-2", "-1", "0"], "'-1' is taken for a class"),
        ([-1, -1], ["-1", "-1"], "'-1' is taken for a class"),
        (["-1", "low", "high"], ["-1", "low", "high"], "'-1' is taken for a class"),
        (["0", "1", "-999", "-1"], ["0", "1", None, None], "'-999' (1 row), '-1' (1 row) are taken"),
        (["-1.5", "0.5"], ["-1.5", "0.5"], ""),
        (["low", "missing", "Unknown"], ["low", "missing", "Unknown"], "'Unknown' and 'missing' is taken"),
    ],
)
def test_numbers_and_words_that_may_be_no_label(values, names, said):
    found, notes, _ = read(values)
    assert found == names
    assert said in " ".join(notes)
    assert bool(notes) == bool(said)


@pytest.mark.parametrize(
    ("values", "names"),
    [
        (["1", "1.0", "2"], ["1", "1", "2"]),
        (["1.0", "1.5", "1"], ["1", "1.5", "1"]),
        (["1.0", "2.0"], ["1.0", "2.0"]),
        (["1.1", "1.10"], ["1.1", "1.10"]),
        (["007", "7"], ["007", "7"]),
        (["True", "true", "true", "False"], ["true", "true", "true", "False"]),
        ([True, False, "True"], ["True", "False", "True"]),
        (["new  york", "new york", "new\u00a0york", "new york\u200b"], ["new york"] * 4),
        (["\ufefftea", "tea"], ["tea", "tea"]),
        (["cafe\u0301", "caf\u00e9"], ["caf\u00e9"] * 2),
        (["c", "c++", "c#"], ["c", "c++", "c#"]),
        (["+", "-"], ["+", "-"]),
        (["++", "--", "+"], ["++", "--", "+"]),
        (["good", "-", "bad"], ["good", None, "bad"]),
        (["fine", "to_label", "Not-Annotated"], ["fine", None, None]),
        (["\u2764", "\u2764\ufe0f", "\u2764\ufe0f"], ["\u2764\ufe0f"] * 3),
        (["[nan]", "[None]", "set()", "['cat']"], [None, None, None, "cat"]),
        (["array(['cat'], dtype=object)", "{'dog'}", "('cow',)"], ["cat", "dog", "cow"]),
        (['{"choices": ["cat"]}', '{"name": "dog"}'], ["cat", "dog"]),
        (["C", "C++", "C#", "hot dog"], ["C", "C++", "C#", "hot dog"]),
        (["Paris, France", "Lyon, France"], ["Paris, France", "Lyon, France"]),
        (["['cat']", '["dog"]', "[]", "[sport]"], ["cat", "dog", None, "[sport]"]),
        ([["cat"], ("dog",), [], {"cow"}], ["cat", "dog", None, "cow"]),
        ([np.int64(3), np.float32(3), np.str_("x"), float("nan"), None], ["3", "3", "x", None, None]),
    ],
)
def test_spellings_of_one_class(values, names):
    assert read(values)[0] == names


def test_merged_spellings_are_named_with_their_counts():
    _, notes, _ = read(["1", "1.0", "1.0"])
    assert notes == (
        "labels: '1' (1 row), '1.0' (2 rows) are spellings of one class, '1'; label_values='keep' "
        "(--label-values keep) keeps them apart",
    )
    _, notes, _ = read(["caf\u00e9", "cafe\u0301"])
    assert "'caf\\xe9' (1 row), 'cafe\\u0301' (1 row)" in notes[0]


@pytest.mark.parametrize(
    "alike",
    [("Cat", "cat"), ("new york", "new_york"), ("A.B", "a b"), ("ｃat", "cat"), ("spam.", "spam"),
     ("'spam'", "spam"), ("c\u0430t", "cat"), ("01", "1"), ("0.50", "0.5"), ("1e0", "1"), ("1,5", "1.5")],
)  # fmt: skip
def test_lookalikes_are_kept_apart_and_named(alike):
    names, _, (warning,) = read([*alike, "dog"])
    assert names == [*alike, "dog"]
    assert "differ in case or spelling only" in warning
    for name in alike:
        assert f"{name!r} (1 row)" in warning or f"{name!a} (1 row)" in warning
    with pytest.warns(UserWarning, match="differ in case or spelling only"):
        Dataset.from_inputs([b"", b"", b""], [*alike, "dog"])


def test_truth_in_words_and_in_numbers_is_said():
    assert "'TRUE' (1 row), '1' (2 rows)" in read(["TRUE", "1", "0", "1"])[2][0]
    assert read(["True", "1", "cat"])[2] == ()


def test_classes_that_are_made_of_others_are_said():
    names, _, (warning,) = read(["hot", "dog", "hot dog"])
    assert names == ["hot", "dog", "hot dog"]
    assert "'hot dog' (1 row)" in warning
    assert read(["да", "не", "нет"])[2] == ()


@pytest.mark.parametrize(
    "several",
    [
        ["cat|dog", "cow"],
        ["cat | dog", "cow"],
        [["cat", "dog"], "cow"],
        ["['cat', 'dog']", "cow"],
        ["['cat' 'dog']", "cow"],
        ['["cat", "dog"]', "cow"],
        ["[1 0 0]", "cow"],
        ["cat, dog", "cat", "dog"],
        ["cat;dog", "dog;cow", "cow;cat"],
        ["cat; dog", "dog", "cow"],
        ["action,comedy", "comedy,drama"],
        ["cat/dog", "cat", "dog"],
        [{"cat": 1}, "dog"],
        ["cat#dog", "cat", "dog"],
        ["cat::dog", "cat", "dog"],
        ["cat\ndog", "cat", "dog"],
        ["[cat, dog]", "[cat]", "[dog]"],
        ["{cat,dog}", "{cat}", "dog"],
        ['{"choices": ["cat", "dog"]}', "cat"],
    ],
)
def test_several_labels_are_refused(several):
    with pytest.raises(ValueError, match=r"one label at most\. Received: .* \(1 row\)") as refusal:
        read(several)
    assert "--label-values keep" in str(refusal.value)
    kept = read(several, label_rules("keep"))[0]
    assert kept == [label_text(value) for value in several]


def test_marks_in_names_alone_separate_nothing():
    names = ["Paris, France", "Paris", "black; white", "grey", "AC/DC", "DC"]
    assert read(names)[0] == names


words = st.text(alphabet="abcé漢 ", min_size=1).map(class_name).filter(bool)


@settings(deadline=None)
@given(st.lists(words, min_size=1, max_size=5, unique=True), st.randoms(use_true_random=False))
def test_however_a_class_is_spelled_it_is_one(names, rng):
    values, meant = [], []
    for name in names:
        for form in ("NFC", "NFD"):
            spaces = rng.choice([" ", "  ", "\u00a0", "\t"])
            hidden = rng.choice(["", "\u200b", "\ufeff", "\u00ad"])
            values.append(
                hidden + unicodedata.normalize(form, name).replace(" ", spaces) + rng.choice(["", " "])
            )
            meant.append(name)
    assert read(values)[0] == meant
    assert len({class_key(value) for value in values}) == len(set(meant))


@settings(deadline=None)
@given(st.lists(st.one_of(st.text(), st.integers(), st.floats(), st.none(), st.lists(st.text()))))
def test_any_labels_are_read_or_refused_in_a_sentence(values):
    refusal = None
    try:
        names, _, _ = read(values)
    except ValueError as error:
        refusal = str(error)
    if refusal is not None:
        assert "one label at most" in refusal
        return
    assert len(names) == len(values)
    assert all(name is None or name == class_name(name) != "" for name in names)


def test_rules_are_checked():
    with pytest.raises(ValueError, match="label_values must be one of"):
        label_rules("other")
    with pytest.raises(TypeError, match="missing must be a list of words"):
        label_rules(missing="nan")


@pytest.mark.parametrize("how", ["table", "labels file", "mapping", "list"])
def test_labels_are_read_alike_wherever_they_stand(how, tmp_path):
    values = ["spam", "nan", "cafe\u0301", "caf\u00e9 ", "", "N/A"]
    for options, expected in (
        ({}, ["spam", None, "caf\u00e9", "caf\u00e9", None, None]),
        ({"missing": ["spam"]}, [None, "nan", "caf\u00e9", "caf\u00e9", None, "N/A"]),
        ({"label_values": "keep"}, ["spam", "nan", "cafe\u0301", "caf\u00e9", None, "N/A"]),
    ):
        table = tmp_path / "t.csv"
        rows = [f"text {n},{value}" for n, value in enumerate(values)]
        table.write_text("text,label\n" + "\n".join(rows), encoding="utf-8")
        labels = "auto"
        if how == "labels file":
            labels = tmp_path / "labels.csv"
            lines = [f"{n},{value}" for n, value in enumerate(values)]
            labels.write_text("id,label\n" + "\n".join(lines), encoding="utf-8")
        elif how == "mapping":
            labels = {str(n): value for n, value in enumerate(values)}
        elif how == "list":
            labels = values
        dataset = load_dataset(table, labels, **options)
        assert labels_of(dataset) == expected
        said = " ".join(dataset.notes)
        assert ("'nan' (1 row)" in said) == (options == {})


def test_classes_of_a_model_match_other_spellings():
    model = ("1", "café", "new york")
    data = Dataset.from_inputs([b"", b"", b""], ["1.0", "cafe\u0301", "new  york"])
    assert data.with_classes(model).class_ids.tolist() == [0, 1, 2]
    with pytest.raises(ValueError, match="none of the classes"):
        Dataset.from_inputs([b""], ["New York"]).with_classes(model)


@pytest.mark.parametrize("mark", "、，；／・")
def test_full_width_marks_separate_labels(mark):
    with pytest.raises(ValueError, match="names several"):
        read(["cat", "dog", f"cat{mark}dog"])
    assert read(["cat", "dog", f"cat{mark}bird"])[0][2] == f"cat{mark}bird"


@pytest.mark.parametrize(
    ("one", "other"),
    [("Q&A", "Q&amp;A"), ("t-shirt", "t\u2010shirt"), ("men's", "men\u2019s"), ("izmir", "\u0130zmir")],
)
def test_signs_that_look_alike_are_said(one, other):
    names, _, (warning,) = read([one, other, "dog"])
    assert names == [one, other, "dog"]
    assert "kept apart" in warning


def test_a_class_of_two_names_is_said():
    _, _, (warning,) = read(["cat", "dog", "cat and dog"])
    assert "made of the names of others" in warning
