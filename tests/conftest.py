"""Fixtures that several test files use."""

import ctypes
import ctypes.util
import gc
import os
import subprocess
import sys
from pathlib import Path

import pytest

# A whole collection looks at all of TensorFlow's objects: a quarter of a second. `give_memory_back` has one
# where there is something to collect.
gc.set_threshold(*gc.get_threshold()[:2], 1_000)

# With --import-mode=importlib the tests' own folder is not importable otherwise.
sys.path.insert(0, str(Path(__file__).parent))


def pytest_collection_finish(session):
    """Leaves what the imports made out of all collections of garbage: a whole one costs then a fraction."""
    gc.collect()
    gc.freeze()


GROWTH = 300 * 2**20
"""Bytes by which a process may grow before its memory is given back."""

_last = 0


def resident():
    """The bytes of this process that are in memory, 0 where nobody can say."""
    try:
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    except OSError:
        return 0
    return pages * os.sysconf("SC_PAGE_SIZE")


@pytest.fixture(autouse=True)
def give_memory_back():
    """Graphs hold themselves in circles, and glibc keeps what was freed: gigabytes after some tests."""
    global _last
    yield
    if resident() > _last + GROWTH:
        gc.collect()
        library = ctypes.CDLL(ctypes.util.find_library("c"))
        if hasattr(library, "malloc_trim"):
            library.malloc_trim(0)
        _last = resident()


@pytest.fixture(autouse=True)
def graphs_as_they_are_made(request):
    """Runs graphs without TensorFlow's optimisations, which take longer here than the graphs: each runs once.

    Tests with real weights run them as users do, and so does every command and server that a test begins, and
    what asks for `optimised_graphs` because it compares with one of these.
    """
    if "tensorflow" in sys.modules:
        import tensorflow as tf

        real = request.node.get_closest_marker("packaged") is not None
        optimised = real or "optimised_graphs" in request.fixturenames
        tf.config.optimizer.set_experimental_options({"disable_meta_optimizer": not optimised})


@pytest.fixture
def optimised_graphs():
    """Has TensorFlow optimise the graphs of a test, see `graphs_as_they_are_made`."""


@pytest.fixture(autouse=True, scope="session")
def ready_checks():
    """Has each check of an exported model begin with TensorFlow loaded."""
    with pytest.MonkeyPatch.context() as patch:
        if hasattr(os, "fork"):
            from ready_checks import Popen

            patch.setattr(subprocess, "Popen", Popen)
        yield


@pytest.fixture
def own_checks(monkeypatch):
    """Has them be what they are for users: processes from their beginning."""
    python_has = next(each for each in subprocess.Popen.__mro__ if each.__module__ == "subprocess")
    monkeypatch.setattr(subprocess, "Popen", python_has)


@pytest.fixture(scope="session")
def store_server():
    """A store on loopback that speaks S3's protocol; see `stores.Store`."""
    from stores import running

    with running() as server:
        yield server


@pytest.fixture
def store(store_server):
    """The same with a new bucket, `store.bucket`, to which the environment leads."""
    from stores import bucket

    with bucket(store_server):
        yield store_server


@pytest.fixture
def image_module(tmp_path):
    """The folder of a small TF-Hub-format image module: 32 px in, 16 features out."""
    from hub_modules import make_image_module

    return make_image_module(tmp_path / "image_module")
