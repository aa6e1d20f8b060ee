import subprocess
import sys

import pytest

from tfautolabel.backbones.torch_source.references import Reference, build, origin, parse


@pytest.fixture
def weights(tmp_path):
    file = tmp_path / "weights.safetensors"
    file.touch()
    return file


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("torchvision.models.resnet18", "torchvision.models.resnet18"),
        ("torchvision.models:resnet18", "torchvision.models.resnet18"),
        ("nets:make", "nets.make"),
    ],
)
def test_forms(text, path, weights):
    assert parse(text) == Reference(path, None)
    assert parse(f"{text}:{weights}") == Reference(path, weights)


@pytest.mark.parametrize(
    "text", ["resnet18", "", "nets.", "nets.2d", "a b.c", "nets:", "./nets.py:make", "nets/x"]
)
def test_what_names_no_callable(text):
    with pytest.raises(ValueError, match=f"torch:PACKAGE.* Received: {text!r}"):
        parse(text)


def test_weights_that_are_none(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"no file absent\.pt\. Received: 'nets\.make:absent\.pt'"):
        parse("nets.make:absent.pt")
    with pytest.raises(ValueError, match=r"ends in \.safetensors, \.pt.* Received: 'nets\.make:weights\.h5'"):
        parse("nets.make:weights.h5")


@pytest.fixture
def package(tmp_path, monkeypatch):
    """A package that says so when it is imported."""
    folder = tmp_path / "somebodys_nets"
    folder.mkdir()
    (folder / "__init__.py").write_text("raise RuntimeError('imported')\n")
    (folder / "nets.py").write_text("def make(): return 1\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    return folder


def test_origin_of_source_is_its_content_and_nothing_is_run(package):
    first = origin("somebodys_nets.nets.make")
    assert first.startswith("source ")
    assert origin("somebodys_nets.nets.make") == first
    (package / "nets.py").write_text("def make(): return 2\n")
    assert origin("somebodys_nets.nets.make") != first


def test_origin_of_an_installed_package_is_its_version():
    import numpy

    assert origin("numpy.random.default_rng") == f"numpy=={numpy.__version__}"


def test_origin_of_what_is_not_there():
    assert origin("no_such_package.make") is None


def test_build_draws_the_same_weights_and_leaves_the_random_state_alone():
    torch = pytest.importorskip("torch")
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    first = build("torch_networks.residual").state_dict()
    torch.testing.assert_close(torch.rand(3), expected)
    torch.testing.assert_close(build("torch_networks.Residual").state_dict(), first)


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("torch_networks.absent", "torch_networks has no absent"),
        ("no_such_package.nets.make", "no_such_package.nets must be a module that Python finds"),
        ("torch_networks.no_module", r"must give a torch\.nn\.Module\. Received: int"),
        ("torch_networks.LITE0_STAGES", "path of a callable. Received: .* which is list"),
        ("torch_networks.needs_an_argument", "called with nothing: .*'classes'"),
    ],
)
def test_what_gives_no_module(path, message):
    pytest.importorskip("torch")
    with pytest.raises(ValueError, match=message):
        build(path)


def test_missing_dependency_of_the_users_module_is_said_as_it_is(tmp_path, monkeypatch):
    pytest.importorskip("torch")
    (tmp_path / "incomplete_nets.py").write_text("import no_such_dependency\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(ModuleNotFoundError, match="no_such_dependency"):
        build("incomplete_nets.make")


def test_parsing_needs_no_torch():
    code = (
        "import sys; sys.modules['torch'] = None\n"
        "from tfautolabel.backbones.torch_source.references import origin, parse\n"
        "parse('numpy.random.default_rng'); origin('numpy.random'); print('fine')"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "fine\n"
