"""Plain answers: what is read in the quick way, and what is left to the libraries."""

from __future__ import annotations

import ctypes
import http.client
import mmap
import os
import subprocess
import sys

import pytest

from hubtool.assets.plain import MOST, Answer, Begun, Reader, fields, hand_over, request, understand

PLAIN = b"HTTP/1.1 200 OK\r\nServer: x\r\nContent-Length: 5\r\n\r\nhello"


class Pieces:
    """A connection whose bytes come in pieces of a size, and which perhaps fails after them, once."""

    def __init__(self, data: bytes, size: int, failure: OSError | None = None) -> None:
        self.left = data
        self.size = size
        self.failure = failure

    def recv_into(self, buffer: memoryview, /) -> int:
        if not self.left and self.failure is not None:
            failure, self.failure = self.failure, None
            raise failure
        piece = self.left[: min(self.size, len(buffer))]
        self.left = self.left[len(piece) :]
        buffer[: len(piece)] = piece
        return len(piece)


def read(data: bytes, size: int = 1 << 20) -> tuple[bytes, bool] | Begun:
    answer = Reader().read(Pieces(data, size))
    return answer if isinstance(answer, Begun) else (bytes(answer.body), answer.stays)


@pytest.mark.parametrize("size", [1, 2, 3, 7, 64, 1 << 20])
def test_an_answer_in_pieces(size: int) -> None:
    assert read(PLAIN, size) == (b"hello", True)


def test_one_reader_reads_many() -> None:
    reader = Reader()
    for content in (b"a" * MOST, b"", b"bc"):
        head = b"HTTP/1.1 200 OK\r\ncontent-length:%d\r\n\r\n" % len(content)
        answer = reader.read(Pieces(head + content, 10_000))
        assert isinstance(answer, Answer)
        assert (bytes(answer.body), answer.stays) == (content, True)


@pytest.mark.parametrize("size", [1000, 16 << 10, 1 << 30])
@pytest.mark.parametrize("count", [0, 1, (16 << 10) - 50, 16 << 10, 100_000, MOST])
def test_a_file_that_is_still_coming_begins_with_a_page(count: int, size: int) -> None:
    head = b"HTTP/1.1 200 OK\r\ncontent-length:%d\r\n\r\n" % count
    content = os.urandom(count)
    reader = Reader()
    for _ in range(2):
        answer = reader.read(Pieces(head + content, size))
        assert isinstance(answer, Answer)
        assert answer.body == content
        if count >= 16 << 10:
            assert ctypes.addressof(ctypes.c_char.from_buffer(answer.body)) % mmap.PAGESIZE == 0
    if count:
        begun = reader.read(Pieces(head + content[:-1], size))
        assert isinstance(begun, Begun)
        assert begun.data == head + content[:-1]


@pytest.mark.parametrize(
    "data",
    [
        b"",
        PLAIN[:-1],
        PLAIN[:20],
        PLAIN + b"!",
        b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % (MOST + 1) + b"a" * (MOST + 1),
        b"HTTP/1.1 200 OK\r\nA: " + b"b" * 20_000 + b"\r\nContent-Length: 0\r\n\r\n",
        b"a" * 100_000,
    ],
    ids=["nothing", "cut off", "half a head", "too much", "large", "long head", "no head"],
)
def test_what_is_not_plain_is_handed_over_as_it_came(data: bytes) -> None:
    for size in (1000, 1 << 20):
        wire = Pieces(data, size)
        begun = Reader().read(wire)
        assert isinstance(begun, Begun)
        assert begun.data + wire.left == data


def test_python_reads_what_is_handed_over() -> None:
    content = b"a" * (MOST + 1)
    wire = Pieces(b"HTTP/1.1 200 OK\r\nX: y\r\nContent-Length: %d\r\n\r\n" % len(content) + content, 5000)
    begun = Reader().read(wire)
    assert isinstance(begun, Begun)
    ends = []
    response = hand_over(begun, wire, lambda: ends.append(1))
    assert (response.status, response.getheader("x"), ends) == (200, "y", [])
    assert response.read() == content
    assert ends == [1]


def test_what_came_before_a_failure_is_not_lost() -> None:
    failure = ConnectionResetError("away")
    wire = Pieces(PLAIN[:-2], 20, failure)
    begun = Reader().read(wire)
    assert begun == Begun(PLAIN[:-2], failure)
    response = hand_over(begun, wire, lambda: None)
    assert response.read1(100) == b"hel"
    with pytest.raises(ConnectionResetError, match="away"):
        response.read1(100)
    with pytest.raises(ConnectionResetError, match="away"):
        Reader().read(Pieces(PLAIN[:30], 20, failure))


def test_what_is_no_http_is_closed() -> None:
    ends = []
    with pytest.raises(http.client.BadStatusLine):
        hand_over(Begun(b"SSH-2.0\r\n"), Pieces(b"", 1), lambda: ends.append(1))
    assert ends == [1]


def test_whether_the_connection_stays() -> None:
    assert understand(b"HTTP/1.1 200 OK\r\nContent-Length: 7\r\nConnection: Keep-Alive") == (7, "", True)
    assert understand(b"HTTP/1.1 200 OK\r\nContent-Length: 7\r\nConnection: close") == (7, "", False)


def test_the_kind() -> None:
    assert understand(b"HTTP/1.1 200 OK\r\nContent-Type: text/html; a\r\nContent-Length: 7") == (
        7,
        "text/html; a",
        True,
    )


@pytest.mark.parametrize(
    "head",
    [
        b"HTTP/1.1 200 OK",
        b"HTTP/1.0 200 OK\r\nContent-Length: 5",
        b"HTTP/1.1 206 Partial Content\r\nContent-Length: 5",
        b"HTTP/1.1 404 Not Found\r\nContent-Length: 5",
        b"HTTP/1.1 2000 OK\r\nContent-Length: 5",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 5",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5, 5",
        b"HTTP/1.1 200 OK\r\nContent-Length: +5",
        b"HTTP/1.1 200 OK\r\nContent-Length: -5",
        b"HTTP/1.1 200 OK\r\nContent-Length: 0x5",
        b"HTTP/1.1 200 OK\r\nContent-Length: \xb2",
        b"HTTP/1.1 200 OK\r\nContent-Length : 5",
        b"HTTP/1.1 200 OK\r\n Content-Length: 5",
        b"HTTP/1.1 200 OK\r\nA: b\r\n c\r\nContent-Length: 5",
        b"HTTP/1.1 200 OK\r\nA: b\nContent-Length: 5",
        b"HTTP/1.1 200 OK\r\nA: b\rc\r\nContent-Length: 5",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Encoding: gzip",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: upgrade",
    ],
)
def test_what_is_left_to_the_libraries(head: bytes) -> None:
    assert understand(head) is None


def test_requests() -> None:
    assert request("/a/b?c=%2F", "example.org:8443", fields({"Accept": "*/*"})) == (
        b"GET /a/b?c=%2F HTTP/1.1\r\nHost: example.org:8443\r\nAccept: */*\r\n\r\n"
    )


@pytest.mark.parametrize("target", ["", "a", "/a b", "/a\r\nHost: b", "/\u00e9", "/%2f", "/%zz", "/a[b]", "/a\n"])
def test_targets_that_need_encoding_are_left_to_the_libraries(target: str) -> None:
    assert request(target, "example.org", "") is None


FORKED = """
import os
from hubtool.assets.plain import Reader
from tests.unit.test_plain import PLAIN, Pieces

reader = Reader()
answer = reader.read(Pieces(PLAIN, 100))
child = os.fork()
if child == 0:
    other = reader.read(Pieces(PLAIN.replace(b"hello", b"HELLO"), 100))
    os._exit(0 if bytes(other.body) == b"HELLO" else 1)
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
assert bytes(answer.body) == b"hello", bytes(answer.body)
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs a system that forks")
def test_a_forked_process_reads_into_memory_of_its_own() -> None:
    done = subprocess.run([sys.executable, "-c", FORKED], capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (0, "")
