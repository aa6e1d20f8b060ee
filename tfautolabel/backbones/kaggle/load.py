"""Loads backbones from Kaggle Models, TensorFlow Hub's new place: https://www.kaggle.com/models.

kagglehub knows the user's credentials and the address of the API, and its cache is shared. But this module
unpacks the model's archive itself, because kagglehub writes files under any name that the author gave, even
outside its cache, and unpacks without a limit.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any, NamedTuple

from tfautolabel._cache import offline
from tfautolabel._optional import require
from tfautolabel.backbones.hub.resolver import is_module
from tfautolabel.backbones.modules.archives import unpack
from tfautolabel.data.atomic import atomic_folder

FRAMEWORKS = ("tensorFlow2", "tensorFlow1")
"""The frameworks on Kaggle that hold SavedModels."""

_PATTERN = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*")

_REASONS = {
    401: "the credentials are not valid: set KAGGLE_API_TOKEN, or write ~/.kaggle/kaggle.json",
    403: "it asks for credentials or for consent: accept its terms on its page at kaggle.com/models, and set "
    "KAGGLE_API_TOKEN, or write ~/.kaggle/kaggle.json",
    404: "there is no such model",
}


class Handle(NamedTuple):
    """A model on Kaggle. A version of None means the newest."""

    owner: str
    model: str
    framework: str
    variation: str
    version: int | None


def parse(reference: str) -> Handle:
    """Reads `OWNER/MODEL/FRAMEWORK/VARIATION[/VERSION]`.

    Raises:
        ValueError: If it does not have that form or the framework holds no SavedModels.

    Examples:
        >>> parse("google/yamnet/TensorFlow2/yamnet/1")
        Handle(owner='google', model='yamnet', framework='tensorFlow2', variation='yamnet', version=1)
    """
    parts = reference.split("/")
    version = parts[4] if len(parts) == 5 else None
    if (
        len(parts) not in (4, 5)
        or not all(map(_PATTERN.fullmatch, parts))
        or (version is not None and (not version.isdecimal() or int(version) < 1))
    ):
        raise ValueError(
            "kaggle: is followed by OWNER/MODEL/FRAMEWORK/VARIATION, or by that and /VERSION, as in "
            f"kaggle:google/yamnet/tensorFlow2/yamnet/1. Received: {reference!r}"
        )
    known = {name.lower(): name for name in FRAMEWORKS}
    if parts[2].lower() not in known:
        raise ValueError(
            f"a Kaggle model's framework must be one of {', '.join(FRAMEWORKS)}; Keras models are for "
            f"kerashub:kaggle://OWNER/MODEL/keras/VARIATION. Received: {parts[2]!r} in {reference!r}"
        )
    number = None if version is None else int(version)
    return Handle(parts[0], parts[1], known[parts[2].lower()], parts[3], number)


def fetch_model(reference: str) -> Path:
    """Returns the folder of a model's SavedModel, from kagglehub's cache or downloaded into it.

    Args:
        reference: see `parse`.

    Raises:
        ValueError: If the reference is not valid.
        FileNotFoundError: If the model is not cached and TFAUTOLABEL_OFFLINE forbids fetching.
        RuntimeError: If it cannot be fetched; the message says why.
        MissingExtraError: If it is not cached and kagglehub is not installed.
    """
    handle = parse(reference)
    if handle.version is not None and _is_cached(handle):
        return _folder(handle)
    if offline():
        newest = _newest_cached(handle)
        if newest is None:
            raise FileNotFoundError(
                f"kaggle:{reference} is not in kagglehub's cache and TFAUTOLABEL_OFFLINE is set: load it "
                "once on a machine with a network, and copy the folder that KAGGLEHUB_CACHE names"
            )
        return _folder(newest)
    clients = require("kagglehub.clients", extra="kaggle")
    requests = require("requests", extra="kaggle")
    broken = require("urllib3.exceptions", extra="kaggle").HTTPError
    try:
        with clients.build_kaggle_client() as client:
            service = client.models.model_api_client
            if handle.version is None:
                handle = handle._replace(version=_newest(service, handle))
            if not _is_cached(handle):
                _download(service, handle)
    except requests.ConnectionError as error:
        newest = _newest_cached(handle) if handle.version is None else None
        if newest is None:
            reason = "the connection to Kaggle failed or broke off"
            raise RuntimeError(_message(reason, reference)) from error
        handle = newest
    except requests.HTTPError as error:
        code = error.response.status_code
        raise RuntimeError(_message(_REASONS.get(code, f"Kaggle answered {code}"), reference)) from error
    except broken as error:
        raise RuntimeError(_message("the connection ended before the archive did", reference)) from error
    except (requests.RequestException, OSError, ValueError) as error:
        reason = str(error).partition("\n")[0] or type(error).__name__
        raise RuntimeError(_message(reason, reference)) from error
    return _folder(handle)


def _message(reason: str, reference: str) -> str:
    return f"the model could not be fetched from Kaggle: {reason}. Received: 'kaggle:{reference}'"


def _cache() -> Path:
    return Path(os.environ.get("KAGGLEHUB_CACHE") or Path.home() / ".cache" / "kagglehub")


def _folder(handle: Handle) -> Path:
    """Returns kagglehub's folder for a version. A marker next to it says that it is complete."""
    return _cache().joinpath("models", *map(str, handle))


def _is_cached(handle: Handle) -> bool:
    folder = _folder(handle)
    return folder.with_name(f"{folder.name}.complete").is_file() and is_module(folder)


def _newest_cached(handle: Handle) -> Handle | None:
    if handle.version is not None:
        return handle if _is_cached(handle) else None
    names = [path.name for path in _folder(handle).parent.glob("*") if path.name.isdecimal()]
    versions = [handle._replace(version=int(name)) for name in names]
    return max(filter(_is_cached, versions), key=lambda one: one.version or 0, default=None)


def _newest(service: Any, handle: Handle) -> int:
    return int(service.get_model_instance(_request("ApiGetModelInstanceRequest", handle)).version_number)


def _request(kind: str, handle: Handle) -> Any:
    request = getattr(require("kagglesdk.models.types.model_api_service", extra="kaggle"), kind)()
    enums = require("kagglesdk.models.types.model_enums", extra="kaggle")
    request.owner_slug, request.model_slug = handle.owner, handle.model
    request.framework = enums.ModelFramework[f"MODEL_FRAMEWORK_TENSOR_FLOW_{handle.framework[-1]}"]
    request.instance_slug = handle.variation
    return request


def _download(service: Any, handle: Handle) -> None:
    """Downloads a version's archive and puts it into the cache in a single step."""
    request = _request("ApiDownloadModelInstanceVersionRequest", handle)
    request.version_number = handle.version
    folder = _folder(handle)
    with atomic_folder(folder) as partial:
        with service.download_model_instance_version(request) as response:
            length = response.headers.get("Content-Length", "")
            unpack(response.raw, partial, int(length) if length.isdecimal() else None)
        if not is_module(partial):
            content = sorted(path.name for path in partial.iterdir())[:10]
            raise ValueError(f"the archive holds no saved_model.pb but {content}")
    folder.with_name(f"{folder.name}.complete").touch()
