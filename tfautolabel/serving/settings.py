"""How a server runs."""

from __future__ import annotations

import ipaddress
import math
import re
from dataclasses import dataclass, field

MIN_TOKEN = 8
"""The least number of characters; a shorter token is easy to guess."""

_TOKEN = re.compile(f"[!-~]{{{MIN_TOKEN},}}")
_HOST_NAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?|[0-9A-Fa-f:]*:[0-9A-Fa-f:.]*")


@dataclass(frozen=True)
class Settings:
    """How a server runs.

    Attributes:
        host: the address to listen at.
        port: 0 for a free one.
        grpc_port: the port for gRPC, 0 for a free one; None for a server without gRPC.
        workers: how many processes answer; each holds the models and has these limits for itself.
        poll: seconds between two checks of the folders.
        keep: how many of each model's newest versions are served.
        max_batch: the most rows in one call of a model.
        batch_wait: how many seconds a request waits for others.
        merge_all: whether requests for models from other sources are merged and split too.
        max_queue: how many rows may wait or be computed.
        threads: how many calls of models run at once.
        max_body: the most bytes of a request's body.
        max_instances: the most rows of a request.
        timeout: seconds for reading a request, and again for its answer.
        grace: seconds that requests have to end when the server stops.
        allow_host: further host names of the server, without a port; localhost and addresses such as
            127.0.0.1 always work. If it is empty and the server listens at another address, all names work.
        allow_origin: the origin of pages elsewhere that may ask and read the answers, or None.
        token: the token that each request must have, or None.
        no_token: whether everybody who can reach the server may use it; required to serve other machines
            without a token.
        log_requests: whether each request is logged.
        label_studio: whether the server also answers as a model of Label Studio.
    """

    host: str = "127.0.0.1"
    port: int = 8501
    grpc_port: int | None = None
    workers: int = 1
    poll: float = 2.0
    keep: int = 1
    max_batch: int = 64
    batch_wait: float = 0.002
    merge_all: bool = False
    max_queue: int = 4096
    threads: int = 2
    max_body: int = 64_000_000
    max_instances: int = 1024
    timeout: float = 30.0
    grace: int = 30
    allow_host: tuple[str, ...] = ()
    allow_origin: str | None = None
    token: str | None = field(default=None, repr=False)
    no_token: bool = False
    log_requests: bool = False
    label_studio: bool = False

    def check(self) -> None:
        """Refuses values that make no sense.

        Raises:
            ValueError: If one is out of range.
        """
        for name in ("poll", "timeout"):
            if not 0 < getattr(self, name) < math.inf:
                raise ValueError(
                    f"{name} must be more than 0 seconds. Received: {name}={getattr(self, name)}"
                )
        for name in ("workers", "keep", "max_batch", "max_queue", "threads", "max_body", "max_instances"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1. Received: {name}={getattr(self, name)}")
        for name in ("batch_wait", "grace"):
            if not 0 <= getattr(self, name) < math.inf:
                raise ValueError(f"{name} must be at least 0 seconds. Received: {name}={getattr(self, name)}")
        if self.allow_origin not in (None, "*") and not (
            "://" in self.allow_origin and self.allow_origin.isascii() and self.allow_origin.isprintable()
        ):
            raise ValueError(
                "allow_origin must be an origin as browsers send it, such as https://xn--r8jz45g.jp, or *. "
                f"Received: allow_origin={self.allow_origin!r}"
            )
        for name in ("port", "grpc_port"):
            if not 0 <= (getattr(self, name) or 0) <= 65535:
                raise ValueError(f"{name} must be from 0 to 65535. Received: {name}={getattr(self, name)}")
        for name in self.allow_host:
            if not _HOST_NAME.fullmatch(name):
                raise ValueError(
                    "allow_host must be a name or an address without a port, such as models.example.org. "
                    f"Received: allow_host={name!r}"
                )
        if self.workers > 1 and self.label_studio:
            raise ValueError(
                "workers must be 1 with label_studio, since what /setup tells and a training belong to one "
                f"process. Received: workers={self.workers}"
            )
        self._check_token()

    def _check_token(self) -> None:
        if self.token is not None and not _TOKEN.fullmatch(self.token):
            raise ValueError(
                f"token must have {MIN_TOKEN} characters or more of ASCII without spaces. "
                f"Received: a token of {len(self.token)} characters"
            )
        if self.token is not None and self.no_token:
            raise ValueError("no_token is for servers without a token. Received: no_token and a token")
        if self.token is None and not self.no_token and not is_loopback(self.host):
            raise ValueError(
                "a server that other machines reach needs a token, or no_token where all of them may use it. "
                f"Received: host={self.host!r} and no token"
            )


def is_loopback(host: str) -> bool:
    """Returns whether only this machine can reach an address, or a name for such an address.

    Examples:
        >>> is_loopback("127.0.0.1"), is_loopback("::1"), is_loopback("0.0.0.0"), is_loopback("example.org")
        (True, True, False, False)
    """
    if host.lower().rstrip(".") == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
