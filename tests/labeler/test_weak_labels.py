import numpy as np
import pytest
from separable import CLASSES, picture
from small_networks import convolutional

import tfautolabel as tal
from tfautolabel.labeler.weak_labels import WeakLabels
from tfautolabel.rules import cast_votes


def rule_of(number):
    """A rule that knows the examples of one class by their names."""

    @tal.labeling_function(f"rule {number}", on="row", classes=[CLASSES[number]])
    def rule(row):
        return CLASSES[number] if int(row["id"]) % len(CLASSES) == number else tal.ABSTAIN

    return rule


@pytest.fixture(scope="module")
def backbone():
    return convolutional()


@pytest.fixture(scope="module")
def pool():
    return tal.Dataset.from_inputs([picture(name, number) for number in range(8) for name in CLASSES])


@pytest.fixture(scope="module")
def fitted(backbone, pool):
    labeler = tal.Labeler(backbone, CLASSES, progress=False)
    labeler.fit(None, rules=[rule_of(number) for number in range(len(CLASSES))], pool=pool)
    return labeler


def test_without_labels_nothing_is_accepted_and_it_says_why(fitted, pool):
    labels = fitted.label(pool)
    assert not labels.accepted.any()
    assert set(labels.reason) == {"not_earned"}
    assert "no label is a person's" in fitted.earned_.sentences(CLASSES)[0]
    assert fitted.cross_validation_["examples"] == 0
    assert fitted.certify(0.05).kind == "impossible"
    assert (labels.predicted == np.array(CLASSES * 8)).mean() > 0.9


def test_a_held_out_sample_certifies_what_came_from_rules(fitted):
    held_out = tal.Dataset.from_inputs(
        [picture(name, number) for number in range(50, 70) for name in CLASSES], list(CLASSES) * 20
    )
    assert fitted.certify(0.2, held_out=held_out).kind == "certified"
    assert fitted.label(held_out).accepted.any()
    fitted.accept_by(None)


def test_it_is_saved_and_loaded_with_what_was_learnt(fitted, pool, tmp_path):
    fitted.save(tmp_path / "saved")
    again = tal.Labeler.load(tmp_path / "saved")
    assert again.rules_ == fitted.rules_
    assert again.earned_ == fitted.earned_
    assert np.allclose(again.predict(pool), fitted.predict(pool), atol=1e-6)


def test_votes_that_were_cast_before_teach_the_same(fitted, backbone, pool):
    rules = [rule_of(number) for number in range(len(CLASSES))]
    labeler = tal.Labeler(backbone, CLASSES, progress=False)
    weak = WeakLabels.of(cast_votes(rules, pool, CLASSES, progress=False), labeler.extract(pool))
    assert weak.known.all()
    labeler.fit(None, rules=weak, pool=pool)
    assert np.allclose(labeler.predict(pool), fitted.predict(pool), atol=1e-5)


def test_refusals(backbone, pool):
    rules = [rule_of(0)]
    labeler = tal.Labeler(backbone, CLASSES, progress=False)
    with pytest.raises(ValueError, match="rules vote on examples: pool="):
        labeler.fit(None, rules=rules)
    with pytest.raises(ValueError, match="or a vote of a rule"):
        labeler.fit(None, rules=rules, pool=pool)
    with pytest.raises(ValueError, match="rules and class weights do not go together"):
        labeler.fit(None, rules=rules, pool=pool, class_weight="balanced")
    with pytest.raises(ValueError, match="head='linear'"):
        tal.Labeler(backbone, CLASSES, "mlp", progress=False).fit(None, rules=rules, pool=pool)
    with pytest.raises(ValueError, match="transfer='feature'"):
        tal.Labeler(backbone, CLASSES, transfer="model", progress=False).fit(None, rules=rules, pool=pool)
