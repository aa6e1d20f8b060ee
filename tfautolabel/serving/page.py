"""The page at / where a person can try a model, and the data that it needs."""

from __future__ import annotations

import base64
import hashlib
import re
from functools import cache
from importlib import resources
from typing import Any

from tfautolabel.serving.exchange import Answer, json_answer
from tfautolabel.serving.models import ServedModels
from tfautolabel.serving.refusals import Refusal

_POLICY = (
    "default-src 'none'; script-src {script}; style-src {style}; connect-src 'self'; img-src blob:; "
    "media-src blob:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


@cache
def page() -> Answer:
    """Returns the page: one file that sends requests only to this server; its policy allows no others."""
    text = resources.files("tfautolabel.serving").joinpath("templates/page.html").read_text("utf-8")
    policy = _POLICY.format(script=_hash_of("script", text), style=_hash_of("style", text))
    headers = {
        "content-security-policy": policy,
        "permissions-policy": "microphone=(self), camera=(), geolocation=()",
        "referrer-policy": "no-referrer",
        "cache-control": "no-cache",
    }
    return Answer(text.encode("utf-8"), "text/html; charset=utf-8", 200, headers)


def models_of_page(models: ServedModels) -> Answer:
    """Returns what the page shows: the models, their newest versions, classes and signatures."""
    found: list[dict[str, Any]] = []
    for name in models.names():
        try:
            servable = models.get(name)
        except Refusal:  # released at this moment
            continue
        description = servable.description or {}
        found.append(
            {
                "name": name,
                "version": str(servable.version),
                "modality": description.get("modality", ""),
                "classes": description.get("classes", []),
                "signatures": {key: sorted(each.inputs) for key, each in servable.signatures.items()},
            }
        )
    return json_answer({"models": found})


def _hash_of(tag: str, text: str) -> str:
    found = re.search(f"<{tag}>(.*?)</{tag}>", text, re.DOTALL)
    content = found.group(1) if found else ""
    digest = base64.b64encode(hashlib.sha256(content.encode("utf-8")).digest()).decode("ascii")
    return f"'sha256-{digest}'"
