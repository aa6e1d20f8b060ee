"""A session that begins with descriptions instead of labels."""

import numpy as np
from hub_modules import make_text_module

import tfautolabel as tal
from tfautolabel.data.class_descriptions import ClassDescriptions
from tfautolabel.runs import RunSettings


def test_the_first_questions_are_asked_by_the_descriptions_and_the_run_learns_from_them(tmp_path):
    words = {"good": ("good", "great"), "bad": ("bad", "poor")}
    texts = [
        " ".join(words[("good", "bad")[number % 2]][number // 2 >> bit & 1] for bit in range(6))
        for number in range(60)
    ]
    (tmp_path / "texts.csv").write_text("id,text\n" + "".join(f"r{i:02d},{t}\n" for i, t in enumerate(texts)))
    module = str(make_text_module(tmp_path / "module"))
    options = {"cache_dir": tmp_path / "cache", "progress": False}
    told = ClassDescriptions.of({"good": ["good great", "great great"], "bad": "bad poor"})
    review = tal.open_review(
        tmp_path / "texts.csv", tmp_path / "out", descriptions=told,
        settings=RunSettings(backbone=module), **options,
    )  # fmt: skip
    assert review.classes == ("bad", "good")
    assert review.material.told.shape == (60, 2)
    assert np.allclose(review.material.told.sum(axis=1), 1, atol=1e-5)
    shown = review.next("anna")
    review.answer("anna", shown, "good" if int(shown.id[1:]) % 2 == 0 else "bad")
    review.answers.close()
    again = tal.open_review(tmp_path / "out", **options)
    assert again.material.source.descriptions == told
    result = tal.finish_review(again, **options)
    again.answers.close()
    assert set(result.record["descriptions"]["shares"]) == {"descriptions", "both"}
