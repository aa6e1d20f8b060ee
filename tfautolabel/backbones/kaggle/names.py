"""Maps modules of tfhub.dev to their names on Kaggle, where they moved in November 2023."""

from __future__ import annotations

import re
import urllib.parse

_SIZE = r"(\d{3}_\d{3})"

_RULES: tuple[tuple[str, str], ...] = (
    (
        rf"google/imagenet/mobilenet_(v[12])_{_SIZE}/(feature_vector|classification)",
        r"google/mobilenet-\1/\2-\3",
    ),
    (
        rf"google/imagenet/mobilenet_v3_(large|small)_{_SIZE}/(feature_vector|classification)",
        r"google/mobilenet-v3/\1-\2-\3",
    ),
    (r"google/tf2-preview/mobilenet_v2/feature_vector", r"google/mobilenet-v2/tf2-preview-feature-vector"),
    (r"google/imagenet/resnet_v2_(50|101|152)/feature_vector", r"google/resnet-v2/\1-feature-vector"),
    (r"google/universal-sentence-encoder", r"google/universal-sentence-encoder/universal-sentence-encoder"),
    (
        r"google/universal-sentence-encoder-(large|multilingual|multilingual-large)",
        r"google/universal-sentence-encoder/\1",
    ),
    (r"google/yamnet", r"google/yamnet/yamnet"),
    (r"google/nnlm-([a-z]{2}-dim\d+(?:-with-normalization)?)", r"google/nnlm/\1"),
    (r"tensorflow/bert_((?:en_uncased|en_cased|multi_cased)_preprocess)", r"tensorflow/bert/\1"),
    (r"tensorflow/bert_((?:en_uncased|en_cased|multi_cased)_L-\d+_H-\d+_A-\d+)", r"tensorflow/bert/\1"),
    (r"tensorflow/small_bert/(bert_en_uncased_L-\d+_H-\d+_A-\d+)", r"tensorflow/bert/\1"),
)
"""Maps publisher and name on tfhub.dev to owner, model and variation on Kaggle.

There, `_` becomes `-` and letters become lower case. Versions start again at 1.
"""

_PAGE = re.compile(
    r"models/([\w.-]+)/([\w.-]+)(?:/frameworks)?/([A-Za-z0-9]+)(?:/variations)?/([\w.-]+)"
    r"(?:/(?:versions/)?(\d+))?"
)


def kaggle_handle(url: str) -> str | None:
    """Returns the `kaggle:` handle of a module, if its name follows a known rule.

    Args:
        url: a URL of tfhub.dev, or of a model's page on Kaggle.

    Examples:
        >>> kaggle_handle("https://tfhub.dev/google/imagenet/mobilenet_v2_100_224/feature_vector/5")
        'kaggle:google/mobilenet-v2/tensorFlow2/100-224-feature-vector'
        >>> kaggle_handle("https://www.kaggle.com/models/google/yamnet/TensorFlow2/yamnet/1")
        'kaggle:google/yamnet/tensorFlow2/yamnet/1'
        >>> kaggle_handle("https://tfhub.dev/somebody/something/1") is None
        True
    """
    parts = urllib.parse.urlsplit(url)
    path = parts.path.strip("/")
    host = (parts.hostname or "").removeprefix("www.")
    if host == "kaggle.com" and (page := _PAGE.fullmatch(path)):
        owner, model, framework, variation, version = page.groups()
        framework = framework[0].lower() + framework[1:]
        return "kaggle:" + "/".join(filter(None, (owner, model, framework, variation, version)))
    if host != "tfhub.dev":
        return None
    name = re.sub(r"/\d+$", "", path)
    for pattern, target in _RULES:
        if found := re.fullmatch(pattern, name):
            owner, model, variation = found.expand(target).lower().replace("_", "-").split("/")
            return f"kaggle:{owner}/{model}/tensorFlow2/{variation}"
    return None
