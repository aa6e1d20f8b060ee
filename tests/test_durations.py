import pytest

from tfautolabel._durations import seconds_of


@pytest.mark.parametrize(
    ("text", "seconds"), [("90", 90), ("90s", 90), ("1.5m", 90), ("1h30m", 5400), (5, 5)]
)
def test_budgets(text, seconds):
    assert seconds_of(text) == seconds


def test_no_budget_is_no_bound():
    assert seconds_of(None) is None


@pytest.mark.parametrize("text", ["soon", "", "0s", 0, -1, "10 m", "nan"])
def test_what_is_no_time_is_refused(text):
    with pytest.raises(ValueError, match=r"a time budget is a number of seconds, or as 90s"):
        seconds_of(text)
