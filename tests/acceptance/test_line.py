"""The connections over which small files are asked for: by real sockets, with a server that says what it is told."""

from __future__ import annotations

import os
import socket
import threading
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, Any

import pytest

from hubtool.assets.guard import addresses
from hubtool.assets.line import Line, NotReachedError, open_line
from hubtool.assets.links import LinkPolicy
from hubtool.assets.transport import Timeouts, Whole
from hubtool.assets.web import HttpTransport
from hubtool.errors import FetchError, ForbiddenLinkError, UnknownHostError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PLAIN = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"

Talk = list[bytes]
"""What is said over one connection: one piece after each request; after the last one it is closed."""


class Server:
    """Listens on this machine, and says over each connection what it was given for it.

    Attributes:
        place: Where it listens.
        opened: How many connections were made to it.
        gone: Set whenever a connection was closed from here.
    """

    def __init__(self, talks: list[Talk]) -> None:
        self._talks = talks
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.place: tuple[str, int] = self._listening.getsockname()
        self.opened = 0
        self.gone = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    @property
    def link(self) -> str:
        return f"http://{self.place[0]}:{self.place[1]}/a"

    def _run(self) -> None:
        for talk in self._talks:
            try:
                wire, _ = self._listening.accept()
            except OSError:
                return
            self.opened += 1
            with wire:
                for piece in talk:
                    asked = b""
                    while b"\r\n\r\n" not in asked and (came := wire.recv(1000)):
                        asked += came
                    if not asked:
                        break
                    wire.sendall(piece)
            self.gone.set()

    def close(self) -> None:
        self._listening.close()


@contextmanager
def serving(*talks: Talk) -> Iterator[Server]:
    with closing(Server([*talks])) as server:
        yield server


@pytest.fixture(autouse=True)
def no_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing says by which proxy, or with which login, servers are to be asked."""
    for name in [name for name in os.environ if name.lower().endswith("_proxy")] + ["NETRC"]:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))


def ask(transport: HttpTransport, link: str) -> bytes:
    """Ask for a file that must come in the quick way."""
    came = transport.open_small(link)
    assert isinstance(came, Whole)
    return bytes(came.data)


def ask_anyhow(transport: HttpTransport, link: str) -> bytes:
    """Ask for a file in the quick way, and take it in whatever way it comes."""
    came = transport.open_small(link)
    if isinstance(came, Whole):
        return bytes(came.data)
    with came as body:
        return b"".join(body)


def descriptors() -> int:
    return len(os.listdir("/proc/self/fd")) if os.path.isdir("/proc/self/fd") else 0  # noqa: PTH208, PTH112


def test_one_connection_for_one_file_after_the_other() -> None:
    before = descriptors()
    with serving([PLAIN, PLAIN, PLAIN]) as server, closing(HttpTransport()) as transport:
        assert [ask(transport, server.link) for _ in range(3)] == [b"hello"] * 3
        assert server.opened == 1
    assert descriptors() == before


def test_a_connection_that_the_server_closed_is_not_used_again() -> None:
    with serving([PLAIN], [PLAIN]) as server, closing(HttpTransport()) as transport:
        assert ask(transport, server.link) == b"hello"
        assert server.gone.wait(10)
        assert ask(transport, server.link) == b"hello"
        assert server.opened == 2


def test_a_connection_that_says_something_unasked_is_not_used_again() -> None:
    wrong = PLAIN.replace(b"hello", b"wrong")
    with serving([PLAIN + wrong, b""], [PLAIN]) as server, closing(HttpTransport()) as transport:
        # What comes with the answer makes it no plain one; what comes after it may be taken for the next one.
        assert ask_anyhow(transport, server.link) == b"hello"
        assert ask(transport, server.link) == b"hello"


def test_the_servers_wish_to_close_is_heard() -> None:
    closing_answer = PLAIN.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n")
    with (
        serving([closing_answer, b"HTTP/1.1 500 no\r\n\r\n"], [PLAIN]) as server,
        closing(HttpTransport()) as transport,
    ):
        assert [ask(transport, server.link) for _ in range(2)] == [b"hello"] * 2
        assert server.opened == 2


def test_nobody_is_there() -> None:
    with serving() as server:
        link = server.link
    before = descriptors()
    with closing(HttpTransport()) as transport, pytest.raises(FetchError, match="cannot be reached") as caught:
        transport.open_small(link)
    assert caught.value.reached is False
    assert caught.value.passing
    assert descriptors() == before


def test_a_server_that_accepts_no_connection_in_time() -> None:
    """Its queue is full: what is asked for after that is neither taken nor refused."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen(0)
        host, port = listening.getsockname()
        waiting = []
        try:
            for _ in range(4):
                one = socket.socket()
                one.setblocking(False)
                one.connect_ex((host, port))
                waiting.append(one)
            timeouts = Timeouts(connect=0.3)
            with pytest.raises(NotReachedError) as failed:
                open_line(host, port, LinkPolicy(), timeouts)
            assert isinstance(failed.value.__cause__, TimeoutError)
            with (
                closing(HttpTransport(timeouts=timeouts)) as transport,
                pytest.raises(FetchError, match="does not accept a connection in time") as caught,
            ):
                transport.open_small(f"http://{host}:{port}/a")
            assert caught.value.reached is False
        finally:
            for one in waiting:
                one.close()


def looked_up(found: dict[bytes, list[str]], monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """Let names stand for addresses, which no name server here can be made to say; return those that were asked for."""
    asked: list[bytes] = []

    def lookup(host: bytes, port: int, **_: Any) -> list[Any]:
        asked.append(host)
        if host not in found:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (one, port)) for one in found[host]]

    monkeypatch.setattr(socket, "getaddrinfo", lookup)
    return asked


def test_an_address_is_checked_and_then_used(monkeypatch: pytest.MonkeyPatch) -> None:
    with serving([PLAIN]) as server:
        port = server.place[1]
        asked = looked_up({b"lab": ["127.0.0.2", "127.0.0.1"], b"else": ["10.1.2.3"]}, monkeypatch)
        policy = LinkPolicy.of([f"http://lab:{port}"])
        with closing(HttpTransport(policy)) as transport:
            # Nobody listens at the first address; the second one is tried, and the name is looked up once.
            assert ask(transport, f"http://lab:{port}/a") == b"hello"
        assert asked == [b"lab"]
        assert addresses("lab", port, policy) == [
            (socket.AF_INET, ("127.0.0.2", port)),
            (socket.AF_INET, ("127.0.0.1", port)),
        ]
        plain = LinkPolicy(hosts=frozenset({"else"}), plain=frozenset({f"else:{port}"}))
        with (
            closing(HttpTransport(plain)) as transport,
            pytest.raises(ForbiddenLinkError, match=r"private address 10\.1\.2\.3"),
        ):
            transport.open_small(f"http://else:{port}/a")
        with (
            closing(HttpTransport(LinkPolicy.of([f"http://nobody:{port}"]))) as transport,
            pytest.raises(UnknownHostError, match="Name or service not known"),
        ):
            transport.open_small(f"http://nobody:{port}/a")


HANGS = [b"HTTP/1.1 200 OK\r\n", b""]  # half a head, and then it waits for another request


def test_a_line_that_gets_on_too_slowly_is_ended() -> None:
    before = descriptors()
    with serving(HANGS) as server, closing(HttpTransport(timeouts=Timeouts(stall=0.5))) as transport:
        with pytest.raises(FetchError, match=r"fewer than 65536 bytes came in 0\.5 seconds"):
            ask_anyhow(transport, server.link)
        assert server.gone.wait(10)
    assert descriptors() == before


def test_a_line_is_ended_from_outside() -> None:
    before = descriptors()
    with serving(HANGS) as server, closing(HttpTransport()) as transport:
        timer = threading.Timer(0.3, transport.abort)
        timer.start()
        with pytest.raises(FetchError, match="the transfer was ended"):
            ask_anyhow(transport, server.link)
        timer.join()
        assert server.gone.wait(10)
    assert descriptors() == before


def test_a_line_is_silent_until_something_comes() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        line = Line(ours, None, lambda: None)  # type: ignore[arg-type]  # nobody ends it
        silent = [line.is_silent]
        theirs.sendall(b"x")
        silent.append(line.is_silent)
        ours.recv(1)
        silent.append(line.is_silent)
        theirs.close()
        silent.append(line.is_silent)
    assert silent == [True, False, True, False]
