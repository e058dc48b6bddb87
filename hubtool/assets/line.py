"""Connections over which small files are asked for, one after the other.

Where thousands of files come, a queue of connections, a look whether one is alive and a timeout for each step take as
long as the bytes do. A line is taken and given back, and no more. TLS is urllib3's, and so is its connection.
"""

from __future__ import annotations

import select
import socket
from functools import partial
from typing import TYPE_CHECKING

from hubtool.assets.guard import Twin, addresses

if TYPE_CHECKING:
    from collections.abc import Callable

    from hubtool.assets.links import LinkPolicy
    from hubtool.assets.transport import Timeouts


class NotReachedError(OSError):
    """Nobody answers at any address of a host; the cause is what the last one failed of."""


class Line:
    """An open connection; one thread at a time uses it.

    Attributes:
        wire: What is written to and read from: a socket, or one with TLS.
        twin: With which a guard ends it.
    """

    __slots__ = ("_end", "_poll", "twin", "wire")

    def __init__(self, wire: socket.socket, twin: Twin, end: Callable[[], None]) -> None:
        """Take a connection; ``end`` closes it."""
        self.wire = wire
        self.twin = twin
        self._end = end
        self._poll = None
        if hasattr(select, "poll"):
            self._poll = select.poll()
            self._poll.register(wire, select.POLLIN)

    @property
    def is_silent(self) -> bool:
        """Whether nothing has come since the last answer; what comes unasked is its end, or not to be trusted."""
        if self._poll is not None:
            return not self._poll.poll(0)
        return not select.select([self.wire], [], [], 0)[0]

    def close(self) -> None:
        """Close it."""
        self._end()


def open_line(name: str, port: int, policy: LinkPolicy, timeouts: Timeouts) -> Line:
    """Connect to a server without TLS.

    Args:
        name: The host, as a link has it that the policy has allowed.
        port: The port.
        policy: Asked about each address that the name stands for.
        timeouts: How long the server may take.

    Raises:
        ForbiddenLinkError: If the name stands for an address that it must not stand for.
        socket.gaierror: If nobody knows the name.
        NotReachedError: If the server cannot be reached.
    """
    failed: OSError | None = None
    for family, address in addresses(name, port, policy):
        wire = socket.socket(family, socket.SOCK_STREAM)
        try:
            wire.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            wire.settimeout(timeouts.connect)
            wire.connect(address)
            wire.settimeout(timeouts.read)
            twin = Twin(wire)
        except OSError as error:
            wire.close()
            failed = error
        else:
            return Line(wire, twin, partial(_end, wire, twin))
    raise NotReachedError from failed


def _end(wire: socket.socket, twin: Twin) -> None:
    wire.close()
    twin.let_go()
