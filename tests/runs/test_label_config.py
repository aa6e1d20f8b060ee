import pytest

from tfautolabel.runs.label_config import (
    MAX_CONFIG,
    LabelConfig,
    check_label_config,
    make_label_config,
    model_version,
    parse_label_config,
)

XML = (
    '<View><Text name="item" value="$text"/><Choices name="label" toName="item" choice="single" '
    'showInLine="true"><Choice value="ham" hotkey="1"/><Choice value="spam" hotkey="2"/></Choices></View>'
)
CONFIG = LabelConfig("text", "text", "item", "label", ("ham", "spam"))


def test_the_config_of_a_project_is_read():
    assert parse_label_config(XML) == CONFIG
    assert parse_label_config(f'<?xml version="1.0" encoding="utf-16"?>{XML}') == CONFIG
    picture = XML.replace("<Text", '<Header value="?"/><Image').replace("$text", "$photo")
    assert parse_label_config(picture) == LabelConfig("image", "photo", "item", "label", ("ham", "spam"))
    assert parse_label_config(XML.replace('value="$text"', 'value="$t" valueType="url"')).is_address


@pytest.mark.parametrize("modality", ["text", "image", "audio"])
def test_what_is_made_is_read_back(modality):
    classes = ('a "b" <c> &amp;', "緑", *(f"class {number}" for number in range(40)))
    config, xml = make_label_config(modality, classes)
    assert parse_label_config(xml) == config
    assert config.classes == classes
    check_label_config(config, modality, classes[::-1])
    assert 'hotkey="1"' in xml
    assert xml.count("hotkey=") == len({part.partition('"')[0] for part in xml.split('hotkey="')[1:]}) == 31


@pytest.mark.parametrize(
    ("xml", "reason"),
    [
        (None, "must be XML"),
        (" ", "must be XML"),
        ("<View>", "valid XML"),
        ("\0", "valid XML"),
        ("\ud800", "valid XML"),
        (f"<View>{' ' * MAX_CONFIG}</View>", "characters"),
        ('<!DOCTYPE v [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]><View>&b;</View>', "no document type"),
        ('<!DOCTYPE v SYSTEM "file:///etc/passwd"><View/>', "no document type"),
        ("<View>&b;</View>", "undefined entity"),
        ("<a>" * 100_000 + "</a>" * 100_000, "one <Choices>"),
        (XML.replace("Choices", "Labels"), "one <Choices>. Received: 0"),
        (XML.replace("<Text", '<Image name="i" value="$i"/><Text'), "Received: 2"),
        (XML.replace('toName="item"', 'toName="other"'), "toName='other'"),
        (XML.replace("$text", "text"), "value='text'"),
        (XML.replace("spam", "ham"), "two classes or more"),
        (XML.replace('value="ham"', ""), "two classes or more"),
    ],
)
def test_other_configs_are_refused_in_a_sentence(xml, reason):
    with pytest.raises(ValueError, match=reason) as refused:
        parse_label_config(xml)
    assert len(str(refused.value)) < 400


def test_a_config_must_match_the_model():
    check_label_config(CONFIG, "text", ["spam", "ham"])
    with pytest.raises(ValueError, match="takes <Image>"):
        check_label_config(CONFIG, "image", ["spam", "ham"])
    with pytest.raises(ValueError, match="does not know 'ham'; the label config does not offer 'eggs'"):
        check_label_config(CONFIG, "text", ["spam", "eggs"])


def test_a_prediction_and_an_empty_one():
    assert CONFIG.prediction("spam", 0.97, "v1") == {
        "model_version": "v1",
        "score": 0.97,
        "result": [
            {"from_name": "label", "to_name": "item", "type": "choices", "value": {"choices": ["spam"]}}
        ],
    }
    assert CONFIG.prediction(None, 0.0, "v1") == {"model_version": "v1", "score": 0.0, "result": []}
    assert model_version("a" * 32).endswith(" aaaaaaaaaaaa")
    assert model_version(None) == model_version("")
