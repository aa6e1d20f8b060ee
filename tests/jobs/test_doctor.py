import json

import pytest
from command import tfautolabel

from tfautolabel.jobs import doctor
from tfautolabel.jobs.doctor import examine, why_fewer_cores


@pytest.mark.parametrize(
    ("machine", "granted", "affinity", "limit", "word"),
    [
        (8, 8, 8, None, ""),
        (8, 2, 2, None, "affinity"),
        (8, 2, 8, None, "control group"),
        (8, 2, 8, "2", "LOKY_MAX_CPU_COUNT"),
        (8, 2, 2, "4", "affinity"),
    ],
)
def test_fewer_cores_have_a_reason(machine, granted, affinity, limit, word):
    found = why_fewer_cores(machine, granted, affinity, limit)
    assert (word in found) if word else found == ""


def test_what_is_found_is_of_this_machine(monkeypatch):
    monkeypatch.setattr(doctor, "granted_cores", lambda: 1)
    monkeypatch.setattr(doctor.os, "cpu_count", lambda: 4)
    facts = {fact.name: fact for fact in examine(measure=False)}
    assert facts["cores"].value == "1 of 4 are used"
    assert facts["cores"].why
    assert facts["GPU"].value
    assert facts["bf16"].value
    assert facts["engine"].value == ("CPU in float32" if facts["GPU"].why else "GPU in float16")
    assert not {"efficientnet-lite0", "minilm-l6"} & set(facts)


def test_a_decoder_that_is_missing_has_its_command(monkeypatch):
    (found,) = [fact for fact in examine(measure=False) if fact.name == "JPEG files"]
    assert (found.why, "libjpeg-turbo" in found.value) == ("", True)
    monkeypatch.setattr("tfautolabel.preprocessors.pictures.plain_jpeg.is_installed", lambda: False)
    (missing,) = [fact for fact in examine(measure=False) if fact.name == "JPEG files"]
    assert 'pip install "tfautolabel[fast]"' in missing.why


def test_a_backbone_without_weights_is_not_measured(monkeypatch, tmp_path):
    monkeypatch.setenv("TFAUTOLABEL_CACHE", str(tmp_path))
    (fact,) = [fact for fact in examine() if fact.name == "efficientnet-lite0"]
    assert fact.value == "not measured"
    assert "tfautolabel backbones fetch efficientnet-lite0" in fact.why


@pytest.mark.packaged
def test_a_backbone_with_weights_is_measured(monkeypatch):
    monkeypatch.setattr(doctor, "MEASURED", ("efficientnet-lite0",))
    monkeypatch.setattr(doctor, "SECONDS", 0.01)
    (fact,) = [fact for fact in examine() if fact.name == "efficientnet-lite0"]
    rate, *words = fact.value.split()
    assert float(rate.replace(",", "")) > 1
    assert words[:3] == ["pictures", "a", "second"]
    assert words[-2:] == ["network", "alone"]


def test_the_command_shows_the_same():
    done = tfautolabel("doctor", "--no-measure", "--json")
    assert done.returncode == 0
    names = [fact["name"] for fact in json.loads(done.stdout)]
    assert {"tensorflow", "cores", "GPU", "bf16", "engine", "cache"} < set(names)


def test_each_modality_has_an_ordinary_example():
    assert doctor._example("image").startswith(b"\xff\xd8")
    assert doctor._example("audio").startswith(b"RIFF")
    assert doctor._example("text").count(b" ") == doctor.TOKENS
