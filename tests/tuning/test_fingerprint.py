import functools
import random
import subprocess
import sys
import textwrap
import threading

import keras
import keras_tuner
import numpy as np
import pytest

from tfautolabel.tuning import HeadHyperModel, fingerprint
from tfautolabel.tuning.fingerprint import UnknowableError, fingerprint_of

SCALE = 2
OPEN = threading.Lock()


def closed(value):
    def build(hp):
        return [value for _ in range(3)]

    return build


def uses_a_global(hp):
    return SCALE


def uses_a_lock(hp):
    return OPEN


def hypermodel(body="return 1", width=3, constant=1):
    """A class made anew, as another run of the same script would make it."""
    source = f"""
    class Own(keras_tuner.HyperModel):
        CONSTANT = {constant}
        def __init__(self, width):
            super().__init__()
            self.width = width
        def build(self, hp):
            {body}
        @staticmethod
        def size(): return 5
    """
    found = {"keras_tuner": keras_tuner, "__name__": "script"}
    exec(textwrap.dedent(source), found)
    return found["Own"](width)


@pytest.mark.parametrize(
    ("one", "same", "others"),
    [
        (closed(1), closed(1), [closed(2), closed(1.0), closed("1"), closed([1])]),
        (lambda hp: hp + 1, lambda hp: hp + 1, [lambda hp: hp + 2, lambda hp: hp - 1, lambda hp: 1]),
        (lambda hp, a=1: a, lambda hp, a=1: a, [lambda hp, a=2: a, lambda hp, *, a=1: a]),
        (functools.partial(pow, 2), functools.partial(pow, 2), [functools.partial(pow, 3)]),
        (closed(np.arange(3)), closed(np.arange(3)), [closed(np.arange(3.0)), closed(np.arange(3)[::-1])]),
        (closed({1, 2}), closed({2, 1}), [closed({1, 3}), closed([1, 2])]),
        (hypermodel(), hypermodel(), [hypermodel("return 2"), hypermodel(width=4), hypermodel(constant=2)]),
        (closed(random.Random(1)), closed(random.Random(1)), [closed(random.Random(2))]),
        (HeadHyperModel(8, 3, 30), HeadHyperModel(8, 3, 30), [HeadHyperModel(8, 3, 30, kinds=("mlp",))]),
        (keras.optimizers.Adam(0.1), keras.optimizers.Adam(0.1), [keras.optimizers.Adam(0.2)]),
    ],
)  # fmt: skip
def test_what_does_the_same_has_one_fingerprint_and_what_does_not_another(one, same, others):
    assert fingerprint_of(one) == fingerprint_of(same)
    assert len({fingerprint_of(each) for each in [one, *others]}) == 1 + len(others)


def test_the_names_that_a_function_uses_count(monkeypatch):
    before = fingerprint_of(uses_a_global)
    assert fingerprint_of(uses_a_global) == before
    monkeypatch.setattr(sys.modules[__name__], "SCALE", 3)
    assert fingerprint_of(uses_a_global) != before


def test_the_weights_of_a_network_count():
    head = keras.Sequential([keras.Input((2,)), keras.layers.Dense(2)])
    before = fingerprint_of(closed(head))
    again = keras.Sequential([keras.Input((2,)), keras.layers.Dense(2)])
    again.set_weights(head.get_weights())
    assert fingerprint_of(closed(again)) == before
    head.layers[0].bias.assign([0.0, 1.0])
    assert fingerprint_of(closed(head)) != before


def test_what_cannot_be_compared_is_refused_and_named():
    with pytest.raises(
        UnknowableError, match=r"OPEN, which the function uses_a_lock uses, is a _thread.lock"
    ):
        fingerprint_of(uses_a_lock)
    with pytest.raises(UnknowableError, match="generator"):
        fingerprint_of(closed(number for number in range(3)))


def test_a_word_of_its_own_decides():
    class Own:
        lock = OPEN

        def fingerprint(self):
            return "one"

    assert fingerprint_of(closed(Own())) == fingerprint_of(closed(Own()))


def test_what_holds_itself_ends():
    values = [1]
    values.append(values)
    assert fingerprint_of(closed(values)) != fingerprint_of(closed([1, [1]]))


def test_another_process_finds_the_same():
    code = (
        f"import runpy; f = runpy.run_path({fingerprint.__file__!r})['fingerprint_of']\n"
        "def make(v):\n def build(hp): return v, {'a', 'b'}, [x for x in 'ab']\n return build\n"
        "print(f(make({'x', 'y'})))"
    )
    found = {
        subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=True,
            env={"PYTHONHASHSEED": seed, "TF_CPP_MIN_LOG_LEVEL": "3"},
        ).stdout
        for seed in ("1", "2")
    }  # fmt: skip
    assert len(found) == 1
