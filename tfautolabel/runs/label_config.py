"""The labelling interface of a Label Studio project: which classes it offers for which kind of input.

A project describes it in XML, the label config (https://labelstud.io/tags). Here it has one `<Choices>` and
one `<Text>`, `<Image>` or `<Audio>`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from xml.etree import ElementTree

from tfautolabel._version import __version__

MAX_CONFIG = 1 << 20
"""Characters of a label config; a thousand classes take less than a tenth."""

MODALITY_OF = {"Text": "text", "Image": "image", "Audio": "audio", "AudioPlus": "audio"}
TAG_OF = {"text": "Text", "image": "Image", "audio": "Audio"}

_KEYS = "1234567890qwetyopasdfgjklxcvbnm"
"""Keys for the first classes; Label Studio itself uses the letters that are left out."""


@dataclass(frozen=True)
class LabelConfig:
    """What a label config says.

    Attributes:
        modality: "text", "image" or "audio".
        key: the entry of a task's data that holds the text, or where the picture or sound is.
        object_name: the name of the `<Text>`, `<Image>` or `<Audio>`.
        choices_name: the name of the `<Choices>`.
        classes: the choices, in order.
        is_address: whether the entry of a text holds an address.
    """

    modality: str
    key: str
    object_name: str
    choices_name: str
    classes: tuple[str, ...]
    is_address: bool = False

    def prediction(self, label: str | None, score: float, model_version: str) -> dict[str, Any]:
        """Returns a prediction in Label Studio's format.

        Args:
            label: one of the classes; None if nothing can be predicted, which gives an empty result.
            score: the label's confidence, in [0, 1].
            model_version: what Label Studio shows beside it.
        """
        choice = {
            "from_name": self.choices_name,
            "to_name": self.object_name,
            "type": "choices",
            "value": {"choices": [label]},
        }
        result = [] if label is None else [choice]
        return {"model_version": model_version, "score": round(float(score), 4), "result": result}


def model_version(run_id: str | None) -> str:
    """Returns the name of a model in Label Studio; it changes with each run."""
    return f"tfautolabel {__version__}" + (f" {run_id[:12]}" if run_id else "")


def make_label_config(modality: str, classes: Sequence[str]) -> tuple[LabelConfig, str]:
    """Returns the label config for a model, and its XML.

    Args:
        modality: "text", "image" or "audio".
        classes: k names; the first ones get keys.
    """
    config = LabelConfig(modality, modality, "item", "label", tuple(classes))
    view = ElementTree.Element("View")
    shown = {"name": config.object_name, "value": f"${config.key}"}
    ElementTree.SubElement(view, TAG_OF[modality], shown | ({"zoom": "true"} if modality == "image" else {}))
    settings = {"name": config.choices_name, "toName": config.object_name, "choice": "single"}
    choices = ElementTree.SubElement(view, "Choices", settings | {"showInLine": "true"})
    for number, name in enumerate(classes):
        key = {"hotkey": _KEYS[number]} if number < len(_KEYS) else {}
        ElementTree.SubElement(choices, "Choice", {"value": name} | key)
    ElementTree.indent(view)
    return config, ElementTree.tostring(view, encoding="unicode") + "\n"


def parse_label_config(xml: object) -> LabelConfig:
    """Reads a label config.

    Args:
        xml: the text that Label Studio sends.

    Raises:
        ValueError: If it is not valid, or not for one choice about one text, picture or sound.
    """
    if not isinstance(xml, str) or not xml.strip():
        raise ValueError("a label config must be XML. Received: none")
    if len(xml) > MAX_CONFIG:
        raise ValueError(f"a label config may have {MAX_CONFIG:,} characters. Received: {len(xml):,}")
    # Entities of a document type can grow without limit, or read files. Without one there are none.
    if "<!DOCTYPE" in xml or "<!ENTITY" in xml:
        raise ValueError("a label config must have no document type. Received: <!DOCTYPE or <!ENTITY")
    try:
        root = ElementTree.fromstring(xml)
    except (ElementTree.ParseError, ValueError) as error:
        raise ValueError(f"a label config must be valid XML. Received: one with {error}") from error
    choices = _the_one(root, ("Choices",))
    shown = _the_one(root, tuple(MODALITY_OF))
    name, value = shown.get("name", ""), shown.get("value", "")
    if not name or not choices.get("name") or choices.get("toName") != name:
        raise ValueError(
            f"<Choices> and <{shown.tag}> must have names, and toName must lead from one to the other. "
            f"Received: name={choices.get('name')!r} toName={choices.get('toName')!r}, and name={name!r}"
        )
    if not value.startswith("$") or len(value) < 2:
        raise ValueError(
            f'<{shown.tag}> must name an entry of the data, such as value="$text". Received: value={value!r}'
        )
    given = [one.get("alias") or one.get("value") or "" for one in choices.iter("Choice")]
    classes = tuple(dict.fromkeys(given))
    if len(classes) < 2 or len(classes) < len(given) or not all(classes):
        raise ValueError(
            "<Choices> must list two classes or more, each with a value of its own. "
            f"Received: {', '.join(map(repr, given[:10])) or 'none'}"
        )
    is_address = shown.tag == "Text" and shown.get("valueType") == "url"
    return LabelConfig(MODALITY_OF[shown.tag], value[1:], name, str(choices.get("name")), classes, is_address)


def check_label_config(config: LabelConfig, modality: str, classes: Sequence[str]) -> None:
    """Refuses a label config that does not match a model.

    Args:
        config: the label config.
        modality: what the model takes.
        classes: what the model predicts.

    Raises:
        ValueError: If the model takes something else, or the classes are not the same.
    """
    if config.modality != modality:
        raise ValueError(
            f"the model takes <{TAG_OF[modality]}>. Received: a label config with <{TAG_OF[config.modality]}>"
        )
    unknown = [name for name in config.classes if name not in set(classes)]
    missing = [name for name in classes if name not in set(config.classes)]
    if unknown or missing:
        told = [
            f"{what} {', '.join(map(repr, names[:5]))}{' and more' if len(names) > 5 else ''}"
            for what, names in (
                ("the model does not know", unknown),
                ("the label config does not offer", missing),
            )
            if names
        ]
        raise ValueError(f"the choices must be the classes of the model. Received: {'; '.join(told)}")


def _the_one(root: ElementTree.Element, tags: Sequence[str]) -> ElementTree.Element:
    found = [one for one in root.iter() if one.tag in tags]
    if len(found) != 1:
        words = " or ".join(f"<{tag}>" for tag in tags if tag != "AudioPlus")
        raise ValueError(f"a label config must have one {words}. Received: {len(found)}")
    return found[0]
