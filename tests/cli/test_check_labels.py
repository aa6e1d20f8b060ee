import pytest
from command import assert_one_sentence, tfautolabel
from hub_modules import make_image_module
from separable import write_folder_per_class


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    base = tmp_path_factory.mktemp("place")
    make_image_module(base / "module")
    write_folder_per_class(base / "labelled", 8)
    (base / "labelled" / "red" / "003.png").rename(base / "labelled" / "blue" / "red.png")
    return base


def check(place, *options):
    return tfautolabel(
        "check-labels", place / "labelled", "--out", place / "out", "--backbone", place / "module",
        "--cache-dir", place / "cache", *options,
    )  # fmt: skip


def test_it_says_what_to_check_and_where_all_is(place):
    done = check(place)
    assert done.returncode == 0, done.stderr
    assert "first: about 1 of them is wrong." in done.stdout
    assert "blue/red.png" in done.stdout
    assert "Nothing was changed" in done.stdout
    for name in ("check_labels.csv", "duplicates.csv", "unlike.csv", "unreadable.csv"):
        assert str(place / "out" / name) in done.stdout
        assert (place / "out" / name).exists()
    again = check(place, "--quiet")
    assert (again.returncode, again.stdout) == (0, ""), again.stderr


def test_a_mistake_is_one_sentence(place):
    (place / "out").mkdir(exist_ok=True)
    assert_one_sentence(check(place, "--label-values", "some"), "--label-values must be")
    assert_one_sentence(check(place, "--labels", place / "none.csv"), "none.csv")
