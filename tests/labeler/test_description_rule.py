"""Descriptions as a rule among others."""

import numpy as np
import pytest
from hub_modules import make_text_module
from small_networks import convolutional

import tfautolabel as tal

TEXTS = {"bad": "bad poor", "good": ["good great", "great great"]}


@pytest.fixture(scope="module")
def module(tmp_path_factory):
    return str(make_text_module(tmp_path_factory.mktemp("module") / "text"))


@pytest.fixture(scope="module")
def pool():
    texts = ["good good", "great good", "bad bad", "poor bad", "poor poor", "great great"]
    return tal.Dataset.from_inputs(texts, modality="text")


def test_it_votes_on_every_example(module, pool, tmp_path):
    rule = tal.description_rule(TEXTS, module, cache_dir=tmp_path)
    votes = tal.apply_rules([rule], pool, progress=False)
    assert votes[:, 0].tolist() == [1, 1, 0, 0, 0, 1]
    assert tal.RuleAnalysis(votes, ("bad", "good"), [rule.name]).summary().rows


def test_a_labeler_with_rules_and_descriptions_takes_it_as_one_more(module, pool, tmp_path):
    @tal.labeling_function("great", classes=["good"])
    def great(text):
        return "good" if "great" in text else tal.ABSTAIN

    labeler = tal.Labeler(module, ("bad", "good"), descriptions=TEXTS, progress=False, cache_dir=tmp_path)
    labeler.fit(None, rules=[great], pool=pool)
    assert len(labeler.rules_["estimated_accuracies"]) == 2
    assert labeler.descriptions_ is None
    assert (labeler.predict(pool).argmax(axis=1) == np.array([1, 1, 0, 0, 0, 1])).all()


def test_a_backbone_that_reads_no_text_is_refused():
    with pytest.raises(ValueError, match="reads no text"):
        tal.description_rule(TEXTS, convolutional())
