"""Finds a repository's folder in huggingface_hub's cache, and downloads it if it is not there."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from tfautolabel._cache import offline
from tfautolabel._optional import require

PATTERNS = ("*.json", "*.txt", "*.model", "*.safetensors", "*_Dense/pytorch_model.bin")
"""The files to download. The last are small, and often the only form of a dense layer after a model."""

PICKLED = ("pytorch_model.bin", "pytorch_model-*.bin")
"""Downloaded only if there is nothing better."""


def find_folder(reference: str) -> Path:
    """Returns the folder of a checkpoint.

    Args:
        reference: a folder, or OWNER/NAME or OWNER/NAME@REVISION on the Hub. `HF_ENDPOINT`, `HF_TOKEN` and
            `HF_HOME` are huggingface_hub's own variables.

    Raises:
        ValueError: If the reference is neither a folder nor a repository name.
        FileNotFoundError: If the repository is not cached and may not be fetched.
        RuntimeError: If it cannot be fetched; the message says why.
        MissingExtraError: If huggingface_hub is not installed.
    """
    folder = Path(reference).expanduser()
    if folder.is_dir():
        return folder
    parts = reference.partition("@")[0].split("/")
    if len(parts) > 2 or not all(parts) or reference.startswith((".", "~")):
        raise ValueError(
            "hf: is followed by a folder that is there, or by a repository as OWNER/NAME or "
            f"OWNER/NAME@REVISION. Received: {reference!r}"
        )
    found = _snapshot(reference, PATTERNS)
    if not any(found.glob("*.safetensors")):
        found = _snapshot(reference, PICKLED)
    return found


def _snapshot(reference: str, patterns: tuple[str, ...]) -> Path:
    hub = require("huggingface_hub", extra="hf")
    name, _, revision = reference.partition("@")
    # Read on each call. huggingface_hub reads it only once, when it is imported.
    server = os.environ.get("HF_ENDPOINT") or require("huggingface_hub.constants", extra="hf").ENDPOINT
    local_only = offline()
    try:
        folder = hub.snapshot_download(
            name,
            revision=revision or None,
            allow_patterns=list(patterns),
            local_files_only=local_only,
            endpoint=server,
        )
        return Path(folder)
    except Exception as error:
        failure = _failure(error, reference, server, local_only)
        if failure is None:
            raise
        raise failure from error


def _failure(error: Exception, reference: str, server: str, local_only: bool) -> Exception | None:
    """Returns what to raise instead of huggingface_hub's error, or None for an unrelated error."""
    errors = require("huggingface_hub.errors", extra="hf")
    if isinstance(error, errors.HFValidationError):
        return ValueError(f"a repository is named OWNER/NAME or OWNER/NAME@REVISION. Received: {reference!r}")
    if isinstance(error, errors.LocalEntryNotFoundError) and local_only:
        return FileNotFoundError(
            f"{reference} is no folder and not, or not in full, in the cache of huggingface_hub, and "
            "TFAUTOLABEL_OFFLINE forbids fetching it: load it once with a network, or give a folder"
        )
    reason = _reason(error, errors, server)
    if reason is None:
        return None
    return RuntimeError(f"the repository could not be fetched: {reason}. Received: {reference!r}")


def _reason(error: Exception, errors: Any, server: str) -> str | None:
    """Returns the reason as one clause."""
    if isinstance(error, errors.GatedRepoError):
        return "its owner gives access on request: ask for it on its page, then set HF_TOKEN"
    if isinstance(error, errors.RevisionNotFoundError):
        return "it has no such revision"
    # The Hub answers 401 for a missing repository, so that it does not reveal private ones.
    status = getattr(getattr(error, "response", None), "status_code", None)
    if isinstance(error, errors.RepositoryNotFoundError) or status == 401:
        return (
            f"it is no folder, and {server} has no public repository of that name; for a private one set "
            "HF_TOKEN"
        )
    if isinstance(error, errors.LocalEntryNotFoundError):
        return f"{server} does not answer as it should, and the cache holds no full copy"
    # The other error classes depend on the HTTP library that huggingface_hub uses.
    library = type(error).__module__.partition(".")[0]
    if isinstance(error, OSError) or library.startswith(("httpx", "httpcore", "requests", "huggingface_hub")):
        return str(error).strip().partition("\n")[0][:300].rstrip(".") or type(error).__name__
    return None
