"""Sockets: one for a server, or one for each of several processes at the same port."""

from __future__ import annotations

import socket
import sys

BACKLOG = 2048
"""How many connections may wait until they are accepted."""

SPREADS = sys.platform == "linux" and hasattr(socket, "SO_REUSEPORT")
"""Whether the system spreads connections over the sockets of one port; others have the option and do not."""


def listen(host: str, port: int) -> socket.socket:
    """Returns a socket, bound before the models load, so that a port in use is reported at once.

    Args:
        host: name or address.
        port: 0 for a free one.

    Raises:
        OSError: If the port is in use or there is no such address.
    """
    return _bound(host, port, is_shared=False)


class SharedPort:
    """A port at which several processes listen, each with a socket of its own where the system can do that.

    A process that ends then takes only the connections with it that it had. Else all have the same socket.
    The port is held until `close`, also while no process listens.

    Args:
        host: name or address.
        port: 0 for a free one.

    Attributes:
        host: the address.
        port: the number.

    Raises:
        OSError: If the port is in use or there is no such address.
    """

    def __init__(self, host: str, port: int) -> None:
        # A port that may be shared is shared with whatever else listens there, and nobody says so. The first
        # socket does not share, and therefore finds out.
        self._held = listen(host, port)
        self.host, self.port = self._held.getsockname()[:2]
        if SPREADS:
            self._held.close()
            self._held = _bound(self.host, self.port, is_shared=True)

    def socket(self) -> socket.socket:
        """Returns a bound socket for a process, which does not listen yet."""
        return _bound(self.host, self.port, is_shared=True) if SPREADS else self._held.dup()

    def check(self) -> None:
        """Looks again whether anybody listens, before the first process does.

        Raises:
            OSError: If the port is in use.
        """
        if SPREADS:
            listen(self.host, self.port).close()

    def close(self) -> None:
        """Gives the port back."""
        self._held.close()


def _bound(host: str, port: int, is_shared: bool) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        address = socket.getaddrinfo(host, port, family, socket.SOCK_STREAM)[0][4]
        # If the protocol is named, asyncio sends at once (TCP_NODELAY); else each answer may wait 40 ms.
        bound = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        try:
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if is_shared:
                bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            bound.bind(address)
        except OSError:
            bound.close()
            raise
    except OSError as error:
        raise OSError(f"cannot listen at {host} port {port} ({error.strerror or error})") from error
    bound.set_inheritable(True)
    return bound
