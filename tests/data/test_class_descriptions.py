"""Reads what classes are, in words, from mappings and files."""

import pytest

from tfautolabel.data.class_descriptions import ClassDescriptions


def test_yaml_and_a_table_say_the_same(tmp_path):
    (tmp_path / "one.yaml").write_text("good:\n  - I love it\n  - Great\n'no': It is bad\n", "utf-8")
    (tmp_path / "two.csv").write_text(
        "Label;Description\ngood;I love it\nno;It is bad\ngood;Great\n", "utf-8"
    )
    one, two = (ClassDescriptions.read(tmp_path / name) for name in ("one.yaml", "two.csv"))
    assert one.texts == {"good": ("I love it", "Great"), "no": ("It is bad",)} == two.texts
    assert one.digest == two.digest != ClassDescriptions.of({"good": "I love it", "no": "It is bad"}).digest
    assert one.for_classes(["no", "good"]) == (("It is bad",), ("I love it", "Great"))


def test_names_alone_are_words():
    found = ClassDescriptions.of_names(["lost_card", "other"])
    assert found.texts == {"lost_card": ("lost card",), "other": ("other",)}
    assert found.names_only


def test_the_record_gives_the_same_descriptions():
    found = ClassDescriptions.of({"a": ["x", "y"], "b": "z"}, "some.yaml")
    assert ClassDescriptions.from_record(found.to_record()) == found
    assert ClassDescriptions.from_record(None) is None


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"a": "x"}, "at least two classes. Received: a"),
        ({"a": "x", "b": " "}, "an empty text for 'b'"),
        ({"a": "x", "b": []}, "none for 'b'"),
        ({"a": "x", " a": "y"}, "Received: 'a' and 'a'"),
    ],
)
def test_what_describes_nothing_is_refused(given, said):
    with pytest.raises(ValueError, match=said):
        ClassDescriptions.of(given)


@pytest.mark.parametrize("given", [{"a": 1, "b": "x"}, {"a": ["x", 2], "b": "x"}, {1: "x", "b": "y"}])
def test_a_description_is_a_text(given):
    with pytest.raises(TypeError, match="Received"):
        ClassDescriptions.of(given)


def test_classes_and_descriptions_must_agree():
    found = ClassDescriptions.of({"a": "x", "b": "y"}, "some.yaml")
    with pytest.raises(ValueError, match=r"some.yaml: every class needs a description. Received: none for c"):
        found.for_classes(["a", "c"])
    with pytest.raises(ValueError, match="Received: descriptions of b"):
        found.for_classes(["a"])


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("x.yaml", "a: x\na: y\nb: z\n", "'a' twice"),
        ("x.yaml", "- a\n- b\n", "maps each class"),
        ("x.yaml", "a: [x\nb: y\n", "line 2"),
        ("x.yaml", "a: x\nb: {c: d}\n", "x.yaml: a description is a text"),
        ("x.csv", "label,pattern\na,x\n", "has the columns label and description"),
        ("x.csv", "label,description\na,x\nb,\n", "line 3: a row has a label and a description"),
    ],
)
def test_a_file_that_says_something_else_is_refused_with_its_place(tmp_path, name, content, said):
    (tmp_path / name).write_text(content, "utf-8")
    with pytest.raises(ValueError, match=said):
        ClassDescriptions.read(tmp_path / name)


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(FileNotFoundError, match="no file of descriptions"):
        ClassDescriptions.read(tmp_path / "none.yaml")
