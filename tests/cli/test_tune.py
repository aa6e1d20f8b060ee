import pytest
from command import assert_one_sentence, tfautolabel
from hub_modules import make_image_module
from separable import write_folder_per_class


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    base = tmp_path_factory.mktemp("place")
    make_image_module(base / "module")
    write_folder_per_class(base / "labelled", 4)
    return base


def tune(place, *options):
    return tfautolabel(
        "tune", place / "labelled", "--out", place / "out", "--backbone", place / "module", "--cache-dir",
        place / "cache", *options,
    )  # fmt: skip


def test_it_shows_the_trials_and_where_all_is(place):
    done = tune(place, "--trials", "2")
    assert done.returncode == 0, done.stderr
    assert "log loss" in done.stdout
    assert "default" in done.stdout
    assert "the best of 2 heads" in done.stdout
    assert "trials: 2 of 2 done" in done.stderr
    for name in ("trials.csv", "trials.svg", "tune.json", "model/1"):
        assert str(place / "out" / name) in done.stdout
        assert (place / "out" / name).exists()


def test_it_shows_the_ways_to_fine_tune(place):
    done = tune(place, "--trials", "1", "--transfer", "model", "--time-budget", "5m", "--balanced")
    assert done.returncode == 0, done.stderr
    assert "of the usual way to fine-tune and 1 others" in done.stdout
    assert done.stdout.count("log loss") >= 3
    assert (place / "out" / "fine_tuning" / "trials.csv").exists()


@pytest.mark.parametrize(
    ("options", "said"),
    [(["--tuner", "grid"], "random, bayesian, hyperband"), (["--trials", "0"], "at least 1")],
)
def test_a_mistake_is_one_sentence(place, options, said):
    before = sorted((place / "out").iterdir()) if (place / "out").exists() else []
    assert_one_sentence(tune(place, *options), said)
    assert sorted((place / "out").iterdir()) == before, "the trials of an earlier search stay where they are"
