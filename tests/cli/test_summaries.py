from tfautolabel.cli.summaries import _few


def test_the_summary_says_when_too_few_labels_tell_what_is_unlike_them():
    (line,) = _few({"refused": 0.02, "few": True})
    assert "at most 2% are refused" in line
    assert _few({"refused": 0.02, "few": False}) == _few({"refused": 0.02}) == _few(None) == []
