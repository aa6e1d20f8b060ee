"""Access control: refuses what a browser sends for a page of another site, and requests without the token."""

from __future__ import annotations

import base64
import binascii
import hmac
from functools import lru_cache

from tfautolabel.serving.exchange import Headers
from tfautolabel.serving.refusals import Refusal
from tfautolabel.serving.settings import Settings, is_loopback

OPEN = ("/", "/healthz")
"""Addresses that need no token: the page, which asks for the token itself, and the health check."""

HEALTH = "/health"
"""Label Studio's health check, open too where the server answers Label Studio."""

_BEARER, _BASIC = b"bearer ", b"basic "


class Access:
    """Decides from the headers of each request whether it may be answered.

    A page anywhere on the web can make its visitor's browser send requests to servers on the visitor's own
    machine. The page can send them directly: the header Origin shows this. Or the page's own name can point
    to 127.0.0.1 (DNS rebinding), so that the page can read the answers too: the header Host shows this.

    Args:
        settings: the address to listen at, further host names, the origins that may ask, and the token.
    """

    def __init__(self, settings: Settings) -> None:
        self._names = frozenset(name.lower() for name in settings.allow_host)
        # A server that other machines reach has names that it does not know; it relies on the token instead.
        self._checks_host = is_loopback(settings.host) or bool(self._names)
        origin = settings.allow_origin
        self._every_origin = origin == "*"
        self._origin = None if origin is None else origin.encode("ascii")
        self._token = None if settings.token is None else settings.token.encode("ascii")
        self._open = (*OPEN, HEALTH) if settings.label_studio else OPEN
        self._takes_basic = settings.label_studio
        self._is_known = lru_cache(maxsize=64)(self._find_known)

    def check(self, headers: Headers, method: str, path: str) -> None:
        """Refuses a request that must not be answered.

        Args:
            headers: header values by name; names are in lower case.
            method: the HTTP method.
            path: the path of the request.

        Raises:
            Refusal: If the host (403), the origin (403) or the token (401) is not right.
        """
        host = headers.get(b"host", b"")
        if self._checks_host and not self._is_known(host):
            raise Refusal(
                403,
                "this server answers to localhost, to addresses such as 127.0.0.1 and to what --allow-host "
                f"names. Received: Host {_shown(host)}",
            )
        origin = headers.get(b"origin")
        if origin is not None and not self._may_ask(origin, host):
            raise Refusal(
                403,
                "a page from elsewhere may ask if --allow-origin names its origin. "
                f"Received: Origin {_shown(origin)}",
            )
        if path in self._open or (method == "OPTIONS" and self._origin is not None):
            return
        self.check_token(headers)

    def check_token(self, headers: Headers) -> None:
        """Refuses a request without the token, if the server has one.

        Raises:
            Refusal: If the token is not right (401).
        """
        if not self.is_authorized(headers):
            raise Refusal(
                401,
                "this server needs its token, in the header Authorization: Bearer TOKEN or X-API-Key: TOKEN",
                {"www-authenticate": "Bearer"},
            )

    def is_authorized(self, headers: Headers) -> bool:
        """Returns whether a request has the right token; True if the server has no token."""
        if self._token is None:
            return True
        given = headers.get(b"authorization", b"")
        if self._takes_basic and given[: len(_BASIC)].lower() == _BASIC:
            given = _password(given[len(_BASIC) :])
        else:
            given = given[len(_BEARER) :].strip() if given[: len(_BEARER)].lower() == _BEARER else b""
        # Compares both in constant time, so that the time does not show how much of a token is right.
        bearer = hmac.compare_digest(given, self._token)
        return hmac.compare_digest(headers.get(b"x-api-key", b""), self._token) or bearer

    def _find_known(self, host: bytes) -> bool:
        """Returns whether a Host header names this server; browsers always send one, old clients may not."""
        name = _name_of(host.decode("latin-1"))
        return not host or name in self._names or is_loopback(name)

    def _may_ask(self, origin: bytes, host: bytes) -> bool:
        if self._every_origin or origin == self._origin:
            return True
        scheme, _, place = origin.partition(b"://")
        if scheme not in (b"http", b"https") or not place:
            return False
        return place == host or _name_of(place.decode("latin-1")) in self._names


def _password(encoded: bytes) -> bytes:
    """Returns the password of HTTP basic authentication, which Label Studio sends; the user is any."""
    try:
        return base64.b64decode(encoded.strip(), validate=True).partition(b":")[2]
    except binascii.Error:
        return b""


def _name_of(host: str) -> str:
    """Returns the name or address in a Host header, without the port."""
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host.partition(":")[0].lower()


def _shown(header: bytes) -> str:
    return repr(header[:100].decode("latin-1"))
