import warnings

import pytest

from tfautolabel.data import Dataset
from tfautolabel.labeler.checks import warn_of_language


def test_texts_in_another_language_are_warned_of():
    texts = Dataset.from_inputs(["这家餐馆的服务很好", "太差了，再也不来了", "fine"])
    with pytest.warns(
        UserWarning, match=r"most texts are Chinese.*packaged:minilm-l6 .*take packaged:e5-small"
    ):
        assert warn_of_language("packaged:minilm-l6", texts)


def test_no_warning_where_there_is_no_reason():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert not warn_of_language("packaged:minilm-l6", Dataset.from_inputs(["It was late.", "a b"]))
        assert not warn_of_language("packaged:e5-small", Dataset.from_inputs(["太差了"]))
        assert not warn_of_language("packaged:minilm-l6", Dataset.from_inputs([b"\xff\xd8\xff"]))
        assert not warn_of_language("packaged:minilm-l6", Dataset.from_inputs([b"\xff\xfe"], modality="text"))
        assert not warn_of_language("hub:x", Dataset.from_inputs(["太差了"]))
