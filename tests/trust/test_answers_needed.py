import numpy as np
import pytest

from tfautolabel.trust import AnswersNeeded, answers_needed, certify_audited, design_audit


@pytest.fixture
def audit():
    scores = np.linspace(0.5, 1.0, 600).astype(np.float32)
    design = design_audit(scores, target_error=0.05)
    return scores, design, design.order(scores)


def passes(audit, correct):
    scores, design, order = audit
    found = certify_audited(scores, correct, order[: len(correct)], target_error=0.05, design=design)
    return found.kind == "certified"


@pytest.mark.parametrize("errors", [[], [3], [3, 20], [0, 1, 2, 40]])
def test_so_many_right_answers_certify_and_one_less_does_not(audit, errors):
    given = ~np.isin(np.arange(50 if errors else 0), errors)
    needed = answers_needed(audit[0], given, target_error=0.05, design=audit[1])
    whole = np.concatenate([given, np.ones(needed.more, bool)])
    assert passes(audit, whole)
    assert not passes(audit, whole[:-1])
    assert needed.if_right <= (needed.expected or needed.limit) <= 600
    assert needed.to_list <= 600


def test_each_further_right_answer_takes_one_off(audit):
    given = np.arange(40) != 7
    first = answers_needed(audit[0], given, target_error=0.05, design=audit[1])
    for more in (1, 20, first.more - 1):
        later = np.concatenate([given, np.ones(more, bool)])
        needed = answers_needed(audit[0], later, target_error=0.05, design=audit[1])
        assert needed.more == first.more - more


def test_more_errors_take_more_answers_up_to_none_that_would_do(audit):
    found = [
        answers_needed(audit[0], np.arange(60) >= wrong, target_error=0.05, design=audit[1])
        for wrong in (0, 1, 3)
    ]
    assert found[0].if_right < found[1].if_right < found[2].if_right
    hopeless = answers_needed(audit[0], np.zeros(600, bool), target_error=0.05, design=audit[1])
    assert hopeless.is_impossible
    assert "no number of answers would do" in hopeless.sentence()
    often = answers_needed(audit[0], np.arange(60) >= 10, target_error=0.05, design=audit[1])
    assert often.expected is None
    assert "no number up to 600 would do" in often.sentence()


def test_words():
    assert AnswersNeeded(0, 0, 62, 62, 100, 100).sentence().startswith("62 answers are needed if all")
    assert (
        AnswersNeeded(61, 0, 62, 62, 100, 100).sentence()
        == "1 more answer is needed, if it says that the label is right"
    )
    assert AnswersNeeded(62, 0, 62, 62, 100, 100).sentence() == "no more answers are needed"
    assert AnswersNeeded(5, 2, None, None, 20_000, 9_000).sentence().startswith("more than 9,000 answers")
    some = AnswersNeeded(70, 1, 93, 118, 200, 200)
    assert AnswersNeeded.from_dict(some.to_dict()) == some
    assert (some.more, some.to_list) == (23, 118)
    assert "about 48 if errors stay as frequent as they were (1 in 70)" in some.sentence()
