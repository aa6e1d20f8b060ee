import pytest

from tfautolabel import _cpu
from tfautolabel._cpu import cpu_flags, why_bf16_is_slow, why_no_bf16


@pytest.mark.parametrize(
    ("flags", "word"),
    [
        ({"avx2", "avx512f", "avx512_bf16"}, ""),
        ({"amx_bf16", "avx512f"}, ""),
        ({"asimd", "bf16"}, ""),
        ({"avx512f", "avx512_vnni"}, "neither avx512_bf16 nor AMX"),
        (set(), "Linux does not say"),
    ],
)
def test_bf16_needs_instructions(flags, word):
    found = why_no_bf16("Linux", frozenset(flags))
    assert (word in found) if word else found == ""


@pytest.mark.parametrize(
    ("text", "flags"),
    [
        (
            "processor : 0\nflags\t\t: fpu avx2 avx512f\n\nprocessor : 1\nflags : other\n",
            {"fpu", "avx2", "avx512f"},
        ),
        ("processor : 0\nFeatures\t: fp asimd bf16\n", {"fp", "asimd", "bf16"}),
        ("model name : no flags here\n", set()),
        (None, set()),
    ],
)
def test_flags_are_those_of_the_first_core(tmp_path, monkeypatch, text, flags):
    file = tmp_path / "cpuinfo"
    if text is not None:
        file.write_text(text)
    monkeypatch.setattr(_cpu, "CPUINFO", file)
    cpu_flags.cache_clear()
    try:
        assert cpu_flags() == flags
        assert why_bf16_is_slow() or "bf16" in flags
    finally:
        cpu_flags.cache_clear()
