import json

import numpy as np

from tfautolabel.trust import Certificate
from tfautolabel.trust.acceptance import Acceptance
from tfautolabel.trust.earned import Earned


def certificate(kind, threshold):
    return Certificate(kind, 0.05, 0.95, threshold, 100, 80, 0, 0.04, 0.8)


def test_the_reason_names_what_matters_most():
    rule = Acceptance(np.array([0.5, 0.9], np.float32), np.array([True, False]), 1.0)
    reasons = rule.reasons(
        np.array([0.6, 0.4, 0.95, 0.8, 0.99], np.float32),
        np.array([0, 0, 1, 1, 1]),
        np.array([0, 0, 1, 0, 1.5]),
    )
    assert reasons.tolist() == [
        "not_certified",
        "not_sure_enough",
        "",
        "not_sure_enough",
        "unlike_anything_labelled",
    ]


def test_an_impossible_certificate_accepts_nothing_until_an_audit_raises_the_threshold():
    rule = Acceptance.by_certificate(certificate("impossible", None), ["a", "b"], 0.8)
    assert np.isinf(rule.bounds).all()
    audited = rule.audited(certificate("certified", 0.9))
    assert audited.bounds.tolist() == [np.float32(0.9)] * 2
    assert np.isinf(audited.audited(certificate("impossible", None)).bounds).all()


def earned(floor=0.0, p_value=0.001, counts=(9, 9)):
    return Earned(18, 17, 0, 9, p_value, counts, guarded=True, floor=floor)


def test_what_is_not_earned_is_not_accepted_and_an_audit_may_look_at_it():
    rule = Acceptance.by_confidence(0.8, 2).after(earned(counts=(9, 1)))
    confidence, predicted = np.array([0.9, 0.9, 0.7], np.float32), np.array([0, 1, 1])
    assert rule.reasons(confidence, predicted).tolist() == ["", "not_earned", "not_sure_enough"]
    assert rule.bounds.tolist() == [np.float32(0.8), np.inf]
    assert np.isinf(Acceptance.by_confidence(0.8, 2).after(earned(p_value=0.2)).bounds).all()
    again = Acceptance.from_dict(json.loads(json.dumps(rule.to_dict())))
    assert again.bounds.tolist() == rule.bounds.tolist()
    assert rule.audited(certificate("certified", 0.85)).bounds.tolist() == [np.float32(0.85)] * 2


def test_held_out_errors_raise_the_threshold_but_not_that_of_a_certificate():
    rule = Acceptance.by_confidence(0.8, 2)
    assert rule.after(earned(floor=0.93)).bounds.tolist() == [np.float32(0.93)] * 2
    assert rule.after(earned(floor=0.93), with_floor=False).bounds.tolist() == [np.float32(0.8)] * 2
    assert np.isinf(rule.after(earned(floor=np.inf)).bounds).all()


def test_an_audit_never_lowers_a_threshold():
    rule = Acceptance.by_certificate(certificate("estimated", 0.95), ["a", "b"], 0.8)
    assert rule.audited(certificate("certified", 0.9)).bounds.tolist() == [np.float32(0.95)] * 2


def test_it_survives_json():
    for above in (2.5, np.inf):
        rule = Acceptance(np.array([0.1, 0.7], np.float32), np.array([False, True]), above)
        again = Acceptance.from_dict(json.loads(json.dumps(rule.to_dict())))
        assert again.bounds.tolist() == rule.bounds.tolist()
        assert again.ood_above == above


def test_a_rule_of_an_earlier_model_is_read():
    entries = Acceptance.by_confidence(0.5, 2, 1.5).to_dict()
    entries["unlike_above"] = entries.pop("ood_above")
    assert Acceptance.from_dict(entries).ood_above == 1.5
