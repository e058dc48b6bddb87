"""Plain answers are read as Python's own client reads them, or not at all."""

from __future__ import annotations

import http.client
import io
from typing import Any, cast

from hypothesis import example, given
from hypothesis import strategies as st

from hubtool.assets.plain import understand

NAMES = st.sampled_from(
    ["Content-Length", "content-length", "Connection", "Transfer-Encoding", "Content-Type", "X", "X Y", ""]
)
TEXTS = st.one_of(
    st.sampled_from(["5", " 7 ", "close", "keep-alive", "chunked", "", "a, b", "+3", "1_0", "\u0665", "0", "\t2"]),
    st.text(st.characters(min_codepoint=9, max_codepoint=255), max_size=6),
)
LINES = st.builds("{}:{}".format, NAMES, TEXTS)
STATUS = st.sampled_from(["HTTP/1.1 200 OK", "HTTP/1.1 200 ", "HTTP/1.0 200 OK", "HTTP/1.1 204 No", "HTTP/1.1 200"])


class Connection:
    """As much of a connection as an HTTPResponse reads from."""

    def __init__(self, data: bytes) -> None:
        self.data = data

    def makefile(self, mode: str) -> io.BytesIO:
        assert mode == "rb"
        return io.BytesIO(self.data)


@given(STATUS, st.lists(LINES, max_size=5))
@example("HTTP/1.1 200 OK", ["Content-Length:5", "Connection:close"])
@example("HTTP/1.1 200 OK", ["Content-Length: 0", "Connection: keep-alive", "ETag: x"])
def test_nothing_is_read_otherwise(status: str, lines: list[str]) -> None:
    head = "\r\n".join([status, *lines]).encode("utf-8" if "\u0665" in str(lines) else "latin-1")
    found = understand(head)
    if found is None:
        return
    length, kind, stays = found
    body = b"abcdefghij" * (length // 10 + 1) if length < 10_000 else b""
    response = http.client.HTTPResponse(cast("Any", Connection(head + b"\r\n\r\n" + body)))
    response.begin()
    assert (response.status, response.length, response.will_close) == (200, length, not stays)
    assert kind == response.getheader("content-type", "")
    if length < 10_000:
        assert response.read() == body[:length]
