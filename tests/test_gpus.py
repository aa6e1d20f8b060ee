import pytest

from tfautolabel._gpus import why_no_gpu, why_none_visible


@pytest.mark.parametrize(
    ("system", "cuda_build", "driver", "visible", "word"),
    [
        ("Darwin", False, False, None, "packages for Darwin"),
        ("Linux", True, False, None, "no NVIDIA driver"),
        ("Linux", True, True, "-1", "CUDA_VISIBLE_DEVICES='-1' hides all GPUs"),
        ("Linux", True, True, "", "unset it"),
        ("Linux", False, True, "0", "made without CUDA"),
        ("Linux", True, True, None, "cannot load CUDA's libraries"),
    ],
)
def test_a_gpu_that_is_not_used_has_a_reason(system, cuda_build, driver, visible, word):
    assert word in why_no_gpu(system, cuda_build, driver, visible)


def test_the_reason_is_of_this_machine(monkeypatch):
    monkeypatch.setattr("platform.system", lambda: "Plan 9")
    assert why_none_visible() == "TensorFlow's packages for Plan 9 use no GPU"
