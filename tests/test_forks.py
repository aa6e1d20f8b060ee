import multiprocessing

import numpy as np
import pytest

from tfautolabel._forks import refuse_after_fork
from tfautolabel.backbones import load_backbone
from tfautolabel.export import load_exported


def _ask(queue):
    try:
        refuse_after_fork()
        queue.put("nothing")
    except RuntimeError as error:
        queue.put(str(error))


def _load(queue):
    found = []
    for load in (load_exported, load_backbone):
        try:
            load("nowhere")
        except (RuntimeError, ValueError, FileNotFoundError) as error:
            found.append(str(error))
    queue.put(" ".join(found))


def in_a_fork(target):
    context = multiprocessing.get_context("fork")
    queue = context.Queue()
    process = context.Process(target=target, args=(queue,), daemon=True)
    process.start()
    try:
        return queue.get(timeout=60)
    finally:
        process.kill()
        process.join()


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning", "ignore:.*fork.*:RuntimeWarning")
def test_a_fork_after_tensorflow_was_used_is_refused_at_once():
    import tensorflow as tf

    assert float(tf.reduce_sum(np.ones(3))) == 3
    refuse_after_fork()  # here it works
    assert "get_context('spawn')" in in_a_fork(_ask)
    assert in_a_fork(_load).count("get_context('spawn')") == 2, "loading hangs too"
