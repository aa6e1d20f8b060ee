"""Requests to a Label Studio server: media of tasks and exports, from this server only.

A task's data is written by whoever may import tasks. Its addresses must not make this server fetch anything
else, and above all not send Label Studio's token elsewhere.
"""

from __future__ import annotations

import http.client
import re
import ssl
import time
from dataclasses import dataclass, field
from urllib.parse import quote, unquote, urljoin, urlsplit

MEDIA = ("/data/upload/", "/data/local-files/")
"""Where Label Studio keeps what was uploaded, and files of a local storage."""

_TOKEN = re.compile(r"[!-~]{1,4096}")
_HOST = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?|[0-9A-Fa-f:.]+")
_SAFE = "/%:?&=+,;@!$'()*~-._"
_REDIRECTS = (301, 302, 303, 307, 308)
_MAX_REDIRECTS = 3
_CHUNK = 1 << 16


@dataclass(frozen=True)
class StudioSite:
    """A Label Studio server, as it named itself.

    Attributes:
        scheme: "http" or "https".
        host: the name or address, in lower case.
        port: the port.
        base: the path before all others, without a slash at its end; mostly empty.
        token: what it wants in the header Authorization; never shown.
    """

    scheme: str
    host: str
    port: int
    base: str = ""
    token: str = field(default="", repr=False)

    @classmethod
    def named(cls, hostname: object, token: object) -> StudioSite:
        """Reads what Label Studio says of itself.

        Args:
            hostname: such as "http://localhost:8080".
            token: its legacy token; empty if it gave none.

        Raises:
            ValueError: If one of them is not valid; the message never holds the token.
        """
        try:
            parts = urlsplit(hostname if isinstance(hostname, str) else "")
            scheme, host, port = parts.scheme, parts.hostname or "", parts.port
        except ValueError:
            scheme, host, port, parts = "", "", None, urlsplit("")
        odd = parts.username is not None or parts.query or parts.fragment or "\\" in parts.path
        if scheme not in ("http", "https") or not _HOST.fullmatch(host) or odd:
            # Not shown: it may hold a password.
            raise ValueError("hostname must be an address such as http://localhost:8080. Received: another")
        if not isinstance(token, (str, type(None))) or (token and not _TOKEN.fullmatch(token)):
            raise ValueError("access_token must be ASCII without spaces. Received: another")
        return cls(scheme, host.lower(), port or _default_port(scheme), parts.path.rstrip("/"), token or "")

    def target(self, address: str) -> str:
        """Returns the path and query of a picture, sound or text that may be fetched.

        Args:
            address: as a task holds it: a path on this server, or a whole address.

        Raises:
            ValueError: If it leads elsewhere.
        """
        try:
            parts = urlsplit(address.strip())
            port = parts.port
        except ValueError as error:
            raise _refused(address) from error
        if parts.scheme or parts.netloc:
            place = (parts.scheme, (parts.hostname or "").lower(), port or _default_port(parts.scheme))
            if place != (self.scheme, self.host, self.port) or parts.username is not None:
                raise _refused(address)
        path = parts.path
        if self.base and not path.startswith(f"{self.base}/") and not parts.netloc:
            path = self.base + path
        segments = unquote(path).split("/")
        allowed = any(path.startswith(self.base + place) for place in MEDIA)
        if not allowed or "\\" in address or ".." in segments or "." in segments:
            raise _refused(address)
        return quote(path + (f"?{parts.query}" if parts.query else ""), safe=_SAFE)

    def media(self, address: str, max_bytes: int, seconds: float) -> bytes:
        """Fetches a picture, sound or text of a task.

        Args:
            address: as for `target`.
            max_bytes: more are refused.
            seconds: the time for all of it.

        Raises:
            ValueError: If the address leads elsewhere, also by a redirection, or the answer is too large, or
                no success.
            OSError: If the server cannot be reached, or is too slow.
        """
        target = self.target(address)
        until = time.monotonic() + seconds
        for _ in range(_MAX_REDIRECTS):
            content, leads_to = self._get(target, max_bytes, until)
            if leads_to is None:
                return content
            whole = urljoin(f"{self.scheme}://{_bracketed(self.host)}:{self.port}{target}", leads_to)
            target = self.target(whole)
        raise ValueError(f"media must not be redirected more than {_MAX_REDIRECTS} times")

    def export(self, project: int, max_bytes: int, seconds: float) -> bytes:
        """Fetches all tasks of a project with their annotations, as JSON.

        Args:
            project: its number.
            max_bytes: more are refused.
            seconds: the time for all of it.

        Raises:
            ValueError: If the answer is too large, or no success.
            OSError: If the server cannot be reached, or is too slow.
        """
        target = f"{self.base}/api/projects/{project:d}/export?exportType=JSON"
        content, leads_to = self._get(target, max_bytes, time.monotonic() + seconds)
        if leads_to is not None:
            raise ValueError("Label Studio must give the export itself. Received: a redirection")
        return content

    def _get(self, target: str, max_bytes: int, until: float) -> tuple[bytes, str | None]:
        """Returns a body, or where a redirection leads. No proxy of the environment is asked."""
        seconds = max(until - time.monotonic(), 0.01)
        connection = (
            http.client.HTTPConnection(self.host, self.port, timeout=seconds)
            if self.scheme == "http"
            else http.client.HTTPSConnection(
                self.host, self.port, timeout=seconds, context=ssl.create_default_context()
            )
        )
        headers = {"Authorization": f"Token {self.token}"} if self.token else {}
        try:
            connection.request("GET", target, headers={"Accept": "*/*", **headers})
            answer = connection.getresponse()
            if answer.status in _REDIRECTS:
                return b"", answer.headers.get("Location", "")
            if answer.status != 200:
                raise ValueError(f"Label Studio must give it with status 200. Received: {answer.status}")
            return _body(answer, max_bytes, until), None
        except http.client.HTTPException as error:
            raise OSError(f"Label Studio's answer is no HTTP ({type(error).__name__})") from error
        finally:
            connection.close()


def _body(answer: http.client.HTTPResponse, max_bytes: int, until: float) -> bytes:
    found = bytearray()
    while chunk := answer.read1(_CHUNK):
        found += chunk
        if len(found) > max_bytes:
            raise ValueError(f"media may have {max_bytes:,} bytes. Received: more")
        if time.monotonic() > until:
            raise TimeoutError("Label Studio's answer takes too long")
    if answer.length:
        raise OSError("Label Studio's answer ends too early")
    return bytes(found)


def _refused(address: str) -> ValueError:
    return ValueError(
        f"media must be at {' or '.join(MEDIA)} of the Label Studio server. Received: {address[:200]!r}"
    )


def _default_port(scheme: str) -> int:
    return 443 if scheme == "https" else 80


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host
