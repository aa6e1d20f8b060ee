"""Finds or downloads the folder of a module's URL in TensorFlow Hub's cache.

tensorflow_hub's own resolver has four problems. It accepts a half-filled folder as a module. It waits up to
twenty minutes for the lock of a dead process. It does not notice a connection that ends early. It unpacks
without a limit. This resolver uses the same cache layout (a folder named by the SHA-1 of the URL, and a
`.descriptor.txt` next to it), so both find each other's modules. It needs no lock: each download has its own
folder, which is renamed in one step. The protocol: https://www.tensorflow.org/hub/hosting.
"""

from __future__ import annotations

import datetime
import email.message
import hashlib
import http.client
import os
import shutil
import socket
import ssl
import tempfile
import time
import urllib.error
import urllib.parse
import urllib.request
from http.cookiejar import CookieJar
from pathlib import Path
from typing import IO, Any

from tfautolabel._cache import offline
from tfautolabel.backbones.kaggle.names import kaggle_handle
from tfautolabel.backbones.modules.archives import unpack
from tfautolabel.data.atomic import atomic_folder, atomic_write

FORMATS = ("COMPRESSED", "UNCOMPRESSED", "AUTO")
"""Valid values of TFHUB_MODEL_LOAD_FORMAT. AUTO means COMPRESSED."""

TIMEOUT = 60.0
"""Seconds without a byte after which a connection counts as broken."""

ABANDONED = 24 * 3600.0
"""Seconds after which an unfinished download of tensorflow_hub is removed."""


def cache_folder() -> Path:
    """Returns the folder in TFHUB_CACHE_DIR, else tfhub_modules in the folder for temporary files."""
    chosen = os.environ.get("TFHUB_CACHE_DIR")
    return Path(chosen).expanduser() if chosen else Path(tempfile.gettempdir(), "tfhub_modules")


def cached_folder(url: str) -> Path | None:
    """Returns a module's folder in the cache, or None if it is missing or incomplete."""
    folder = _target(url)
    return folder if is_module(folder) else None


def is_module(folder: Path) -> bool:
    """Returns whether a folder holds the graph of a module."""
    return (folder / "saved_model.pb").is_file()


def fetch(url: str) -> Path:
    """Returns the folder of the module at a URL, from the cache or downloaded into it.

    Args:
        url: begins with http:// or https://. The request adds `?tf-hub-format=compressed`. The answer is a
            tar archive, possibly after redirects.

    Raises:
        FileNotFoundError: If the module is not cached and TFAUTOLABEL_OFFLINE forbids fetching.
        RuntimeError: If it cannot be fetched; the message says why.
        ValueError: If TFHUB_MODEL_LOAD_FORMAT has an invalid value.
    """
    if folder := cached_folder(url):
        return folder
    if offline():
        raise FileNotFoundError(
            f"{url} is not in tensorflow_hub's cache and TFAUTOLABEL_OFFLINE is set: load it once on a "
            "machine with a network, and copy the folder that TFHUB_CACHE_DIR names"
        )
    _check_format(url)
    target = _target(url)
    try:
        # An existing folder may come from a process that died half-way. It is replaced in one step.
        with atomic_folder(target) as partial:
            _clear_abandoned(target)
            _download(url, partial)
            if not is_module(partial):
                content = sorted(path.name for path in partial.iterdir())[:10]
                raise ValueError(f"the archive holds no saved_model.pb but {content}")
            if is_module(target):
                raise _Quicker
        _describe(url, target)
    except _Quicker:
        pass
    except (OSError, ValueError, http.client.HTTPException) as error:
        raise RuntimeError(
            f"the module could not be fetched: {_reason(error)}{_elsewhere(url)}. Received: {url!r}"
        ) from error
    return target


class _Quicker(Exception):  # noqa: N818 - no error
    """Another process has put the module into the cache in the meantime."""


def _target(url: str) -> Path:
    return cache_folder() / hashlib.sha1(url.encode(), usedforsecurity=False).hexdigest()


def _check_format(url: str) -> None:
    chosen = os.environ.get("TFHUB_MODEL_LOAD_FORMAT", "") or "AUTO"
    if chosen not in FORMATS:
        raise ValueError(f"TFHUB_MODEL_LOAD_FORMAT must be one of {', '.join(FORMATS)}. Received: {chosen!r}")
    if chosen == "UNCOMPRESSED":
        raise RuntimeError(
            "TFHUB_MODEL_LOAD_FORMAT=UNCOMPRESSED reads modules in place, from Google Cloud Storage, and a "
            f"backbone needs the files themselves: set it to COMPRESSED. Received: {url!r}"
        )


def _download(url: str, folder: Path) -> None:
    parts = urllib.parse.urlsplit(url)
    query = [*urllib.parse.parse_qsl(parts.query), ("tf-hub-format", "compressed")]
    asked = urllib.parse.urlunsplit(parts._replace(query=urllib.parse.urlencode(query)))
    with _opener().open(asked, timeout=TIMEOUT) as response:
        length = response.headers.get("Content-Length", "")
        unpack(response, folder, int(length) if length.isdecimal() else None)


class _Redirects(urllib.request.HTTPRedirectHandler):
    """Follows redirects only to HTTP or HTTPS, and never from HTTPS to HTTP."""

    def redirect_request(
        self,
        req: urllib.request.Request,
        fp: IO[bytes],
        code: int,
        msg: str,
        headers: email.message.Message,
        newurl: str,
    ) -> urllib.request.Request | None:
        allowed = ("https",) if req.type == "https" else ("http", "https")
        if urllib.parse.urlsplit(newurl).scheme not in allowed:
            raise ValueError(f"it is redirected to {newurl}, which is not {' or '.join(allowed)}")
        return super().redirect_request(req, fp, code, msg, headers, newurl)  # type: ignore[arg-type]


def _opener() -> urllib.request.OpenerDirector:
    """Returns an opener that keeps cookies and uses environment variables for proxies and certificates."""
    context = ssl.create_default_context()
    if os.environ.get("TFHUB_DISABLE_CERT_VALIDATION") == "true":
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    handlers: list[Any] = [
        urllib.request.HTTPCookieProcessor(CookieJar()),
        urllib.request.HTTPSHandler(context=context),
        _Redirects(),
    ]
    return urllib.request.build_opener(*handlers)


def _describe(url: str, target: Path) -> None:
    lines = [
        f"Module: {url}",
        f"Download Time: {datetime.datetime.now()}",
        f"Downloader Hostname: {socket.gethostname()} (PID:{os.getpid()})",
    ]
    with atomic_write(target.with_name(f"{target.name}.descriptor.txt")) as file:
        file.write("\n".join(lines))


def _clear_abandoned(target: Path) -> None:
    for left in target.parent.glob(f"{target.name}.*.tmp"):
        if left.is_dir() and time.time() - left.stat().st_mtime > ABANDONED:
            shutil.rmtree(left, ignore_errors=True)


def _reason(error: Exception) -> str:
    """Returns the reason as one clause."""
    if isinstance(error, urllib.error.HTTPError):
        return f"the server answered {error.code} {str(error.reason).partition(chr(10))[0]}"
    if isinstance(error, urllib.error.URLError):
        return f"there is no connection ({error.reason})"
    if isinstance(error, TimeoutError):
        return f"the server sent nothing for {TIMEOUT:.0f} seconds"
    if isinstance(error, http.client.IncompleteRead):
        return "the connection ended before the archive did"
    return str(error).partition("\n")[0] or type(error).__name__


def _elsewhere(url: str) -> str:
    """Returns, as a clause, where else a module of tfhub.dev or Kaggle may be."""
    host = urllib.parse.urlsplit(url).hostname or ""
    if host.removeprefix("www.") not in ("tfhub.dev", "kaggle.com"):
        return ""
    known = kaggle_handle(url)
    if known:
        return f"; the same module is {known}"
    return (
        "; tfhub.dev's modules have moved to Kaggle, search https://www.kaggle.com/models and give "
        "kaggle:OWNER/MODEL/tensorFlow2/VARIATION"
    )
