"""Requests merged, split and tried alone, with the real thread pool and event loop."""

import asyncio
import gc
import threading
import weakref

import numpy as np
import pytest
import tensorflow as tf

from tfautolabel.serving.batching import Batching
from tfautolabel.serving.refusals import Refusal
from tfautolabel.serving.servable import Signature


class Model:
    """Stands in for a servable: anything that can be told apart."""

    name, version = "model", 1


class Doubling:
    """A function of rows that notes what it was called with."""

    def __init__(self, function=lambda x: {"y": x * 2}):
        self.sizes, self.function, self.gate = [], function, threading.Event()
        self.gate.set()

    def __call__(self, x):
        self.sizes.append(int(x.shape[0]))
        assert self.gate.wait(30)
        return self.function(x)

    def signature(self, has_rows=True):
        return Signature("s", self, {"x": tf.TensorSpec([None, None], tf.float32)}, ("y",), has_rows)


def rows(*values, width=1):
    return {"x": np.repeat(np.array(values, np.float32)[:, None], width, axis=1)}


def run(coroutine_of, **settings):
    async def main():
        batching = Batching(**{"max_rows": 8, "max_wait": 0.05, "threads": 1, **settings})
        try:
            return await asyncio.wait_for(coroutine_of(batching), 30)
        finally:
            batching.close()

    return asyncio.run(main())


def test_requests_are_merged_and_get_their_own_rows():
    function, model = Doubling(), Model()

    async def ask(batching):
        requests = [rows(*range(number, number + count)) for number, count in ((0, 3), (10, 1), (20, 4))]
        return await asyncio.gather(*(batching.run(model, function.signature(), each) for each in requests))

    found = run(ask)
    assert function.sizes == [8]
    assert [each["y"][:, 0].tolist() for each in found] == [[0, 2, 4], [20], [40, 42, 44, 46]]


def test_a_batch_that_is_not_full_waits_no_longer_than_allowed():
    function = Doubling()
    found = run(lambda batching: batching.run(Model(), function.signature(), rows(1, 2)), max_wait=0.01)
    assert found["y"][:, 0].tolist() == [2, 4]


def test_larger_requests_are_split():
    function = Doubling()
    found = run(lambda batching: batching.run(Model(), function.signature(), rows(*range(20))))
    assert function.sizes == [8, 8, 4]
    assert found["y"][:, 0].tolist() == list(range(0, 40, 2))


def test_other_models_and_shapes_are_kept_apart():
    function, one, other = Doubling(), Model(), Model()

    async def ask(batching):
        signature = function.signature()
        await asyncio.gather(
            batching.run(one, signature, rows(1)),
            batching.run(other, signature, rows(1)),
            batching.run(one, signature, rows(1, width=2)),
            batching.run(one, signature, rows(1)),
        )

    run(ask)
    assert sorted(function.sizes) == [1, 1, 2]


def test_what_has_no_rows_is_never_merged():
    function = Doubling()

    async def ask(batching):
        signature = function.signature(has_rows=False)
        await asyncio.gather(*(batching.run(Model(), signature, rows(1, 2)) for _ in range(3)))

    run(ask)
    assert function.sizes == [2, 2, 2]


def test_a_function_that_turns_out_not_to_give_rows_is_asked_again_alone():
    function, model = Doubling(lambda x: {"y": tf.reduce_sum(x, keepdims=True)}), Model()

    async def ask(batching):
        signature = function.signature()
        first = await asyncio.gather(*(batching.run(model, signature, rows(1, 2)) for _ in range(2)))
        return [*first, await batching.run(model, signature, rows(*range(20)))]

    found = run(ask)
    assert [each["y"].tolist() for each in found] == [[[3]], [[3]], [[190]]]
    assert function.sizes == [4, 2, 2, 20]


def test_one_bad_request_spoils_no_other():
    def fail(x):
        if float(tf.reduce_max(x)) > 9:
            raise tf.errors.InvalidArgumentError(None, None, "too large")
        return {"y": x}

    async def ask(batching):
        requests = [rows(1), rows(10), rows(2)]
        runs = (batching.run(model, function.signature(), each) for each in requests)
        return await asyncio.gather(*runs, return_exceptions=True)

    function, model = Doubling(fail), Model()
    good, bad, other = run(ask)
    assert (good["y"].tolist(), other["y"].tolist()) == ([[1]], [[2]])
    assert (type(bad), bad.status, bad.message) == (Refusal, 400, "too large")


def test_the_queue_is_bounded():
    function, model = Doubling(), Model()
    function.gate.clear()

    async def ask(batching):
        signature = function.signature()
        waiting = [asyncio.ensure_future(batching.run(model, signature, rows(1, 2))) for _ in range(5)]
        await asyncio.sleep(0)
        assert batching.waiting == 10
        with pytest.raises(Refusal) as refused:
            await batching.run(model, signature, rows(1))
        function.gate.set()
        await asyncio.gather(*waiting)
        assert batching.waiting == 0
        return refused.value

    refusal = run(ask, max_queue=10)
    assert (refusal.status, refusal.headers) == (503, {"retry-after": "1"})


def test_requests_without_rows_count_in_the_queue():
    function, model = Doubling(), Model()
    function.gate.clear()

    async def ask(batching):
        signature, none = function.signature(), {"x": np.zeros((0, 1), np.float32)}
        waiting = [asyncio.ensure_future(batching.run(model, signature, none)) for _ in range(3)]
        await asyncio.sleep(0)
        with pytest.raises(Refusal, match="queue"):
            await batching.run(model, signature, none)
        function.gate.set()
        await asyncio.gather(*waiting)
        return batching.waiting

    assert run(ask, max_queue=3) == 0


def test_who_has_given_up_is_kept_no_longer():
    function, model = Doubling(), Model()
    function.gate.clear()

    async def ask(batching):
        signature = function.signature()
        first = asyncio.ensure_future(batching.run(model, signature, rows(1)))
        await asyncio.sleep(0.05)
        kept = []
        for number in range(5):
            request = rows(number)
            kept.append(weakref.ref(request["x"]))
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(batching.run(model, signature, request), 0.01)
            del request
        gc.collect()
        found = [reference() for reference in kept], dict(batching._groups)
        function.gate.set()
        await first
        return found

    assert run(ask, max_wait=0.0) == ([None] * 5, {})


def test_pieces_that_do_not_fit_together_are_computed_together():
    """Such as a model that pads each row to the longest one of its call."""
    function = Doubling(lambda x: {"y": tf.tile(x, [1, tf.cast(tf.reduce_max(x), tf.int32)])})
    found = run(lambda batching: batching.run(Model(), function.signature(), rows(*range(1, 13))))
    assert found["y"].shape == (12, 12)
    assert function.sizes[-1] == 12


def test_who_has_given_up_is_not_computed():
    function, model = Doubling(), Model()
    function.gate.clear()

    async def ask(batching):
        signature = function.signature()
        first = asyncio.ensure_future(batching.run(model, signature, rows(1)))
        await asyncio.sleep(0.05)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(batching.run(model, signature, rows(2)), 0.01)
        function.gate.set()
        await first
        await batching.run(model, signature, rows(3))

    run(ask, max_wait=0.0)
    assert function.sizes == [1, 1]


def too_small(most):
    """What a GPU does that has memory for so many rows."""

    def function(x):
        if x.shape[0] > most:
            raise tf.errors.ResourceExhaustedError(None, None, "OOM when allocating tensor")
        return {"y": x * 2}

    return function


@pytest.mark.parametrize("most", [1, 3])
def test_rows_that_do_not_fit_into_memory_are_tried_in_smaller_calls(most):
    function, model = Doubling(too_small(most)), Model()

    async def ask(batching):
        answers = await asyncio.gather(
            *(batching.run(model, function.signature(), rows(*range(count))) for count in (5, 3, 20))
        )
        function.sizes.clear()
        answers.append(await batching.run(model, function.signature(), rows(*range(6))))
        return answers, batching.waiting

    answers, waiting = run(ask)
    for answer, count in zip(answers, (5, 3, 20, 6), strict=True):
        np.testing.assert_array_equal(answer["y"][:, 0], 2 * np.arange(count))
    assert max(function.sizes) <= most  # it does not try again what did not fit
    assert waiting == 0


def test_one_row_that_does_not_fit_into_memory_is_refused():
    function = Doubling(too_small(0))
    with pytest.raises(Refusal, match="OOM when allocating") as refused:
        run(lambda batching: batching.run(Model(), function.signature(), rows(1, 2)))
    assert refused.value.status == 429
    assert function.sizes[:2] == [2, 1]
