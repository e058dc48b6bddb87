"""`hubtool serve`: what it answers, and what it never shows; and a client that has nothing but a mirror."""

from __future__ import annotations

import hashlib
import http.client
import os
import select
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest

from hubtool.errors import MirrorError
from hubtool.mirror.serve import Server, serving
from hubtool.store.store import Store
from tests.support import ROOT
from tests.support.cards import write_card, write_local
from tests.support.server import serving as origin

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.support.cli import Cli

CONTENT = bytes(range(256)) * 4000
DIGEST = hashlib.sha256(CONTENT).hexdigest()
BLOB = f"/blobs/sha256/{DIGEST[:2]}/{DIGEST}"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "mirror"
    blob = folder / BLOB[1:]
    blob.parent.mkdir(parents=True)
    blob.write_bytes(CONTENT)
    (folder / "index.json").write_text('{"version": 1}')
    (folder / "cards/p/1.9").mkdir(parents=True)
    (folder / "cards/p/1.9/模型+x.md").write_text("# card", encoding="utf-8")
    (folder / "empty").write_bytes(b"")
    (folder / "cards/empty.md").write_bytes(b"")
    (folder / ".hubtool").mkdir()
    (folder / ".hubtool/secret").write_text("secret")
    (folder / "other.txt").write_text("secret")
    (tmp_path / "outside.md").write_text("secret")
    (folder / "cards/link.md").symlink_to(tmp_path / "outside.md")
    (folder / "cards/loop.md").symlink_to(folder / "cards/loop.md")
    os.mkfifo(folder / "cards/pipe.md")
    return folder


@pytest.fixture
def server(root: Path) -> Iterator[Server]:
    with serving(root, idle=2.0) as one:
        yield one


def ask(server: Server, path: str, method: str = "GET", **headers: str) -> tuple[int, dict[str, str], bytes]:
    connection = http.client.HTTPConnection(*server.address, timeout=10)
    try:
        connection.putrequest(method, path, skip_accept_encoding=True)
        for name, value in headers.items():
            connection.putheader(name.replace("_", "-"), value)
        connection.endheaders()
        answer = connection.getresponse()
        return answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read()
    finally:
        connection.close()


def test_files(server: Server) -> None:
    status, headers, body = ask(server, BLOB)
    assert (status, body) == (200, CONTENT)
    assert headers["etag"] == f'"{DIGEST}"'
    assert headers["content-length"] == str(len(CONTENT))
    assert headers["accept-ranges"] == "bytes"
    assert "immutable" in headers["cache-control"]
    assert headers["content-type"] == "application/octet-stream"
    status, headers, body = ask(server, "/cards/p/1.9/%E6%A8%A1%E5%9E%8B+x.md?x=y")
    assert (status, body, headers["content-type"]) == (200, b"# card", "text/markdown; charset=utf-8")
    status, headers, body = ask(server, "/index.json", "HEAD")
    assert (status, headers["content-length"], headers["cache-control"], body) == (200, "14", "no-cache", b"")
    assert ask(server, "/cards/empty.md")[::2] == (200, b"")


@pytest.mark.parametrize(
    ("asked", "start", "end"),
    [
        ("bytes=0-0", 0, 1),
        ("bytes=10-19", 10, 20),
        ("bytes=1000-", 1000, len(CONTENT)),
        ("bytes=-7", len(CONTENT) - 7, len(CONTENT)),
        ("bytes=-99999999", 0, len(CONTENT)),
        ("bytes=5-99999999", 5, len(CONTENT)),
    ],
)
def test_ranges(server: Server, asked: str, start: int, end: int) -> None:
    status, headers, body = ask(server, BLOB, Range=asked)
    assert (status, body) == (206, CONTENT[start:end])
    assert headers["content-range"] == f"bytes {start}-{end - 1}/{len(CONTENT)}"
    status, headers, body = ask(server, BLOB, "HEAD", Range=asked)
    assert (status, headers["content-length"], body) == (206, str(end - start), b"")


@pytest.mark.parametrize("asked", ["bytes=x", "bytes=1-0", "items=0-1", "bytes=--1", "bytes=" + "9" * 30])
def test_ranges_that_are_none(server: Server, asked: str) -> None:
    status, _, body = ask(server, BLOB, Range=asked)
    assert status in (400, 416)
    assert len(body) < 100


@pytest.mark.parametrize(
    ("path", "asked"), [(BLOB, f"bytes={len(CONTENT)}-"), (BLOB, "bytes=-0"), ("/cards/empty.md", "bytes=0-")]
)
def test_ranges_that_cannot_be_had(server: Server, path: str, asked: str) -> None:
    status, headers, body = ask(server, path, Range=asked)
    assert (status, body) == (416, b"")
    assert headers["content-range"].startswith("bytes */")


def test_conditions(server: Server, root: Path) -> None:
    _, headers, _ = ask(server, "/index.json")
    tag, date = headers["etag"], headers["last-modified"]
    for asked in (tag, f'"x", {tag}', f"W/{tag}", "*"):
        assert ask(server, "/index.json", If_None_Match=asked)[::2] == (304, b"")
    assert ask(server, "/index.json", If_None_Match='"x"')[0] == 200
    assert ask(server, "/index.json", If_Modified_Since=date)[0] == 304
    assert ask(server, "/index.json", If_Modified_Since="Mon, 01 Jan 2001 00:00:00 GMT")[0] == 200
    assert ask(server, "/index.json", If_Modified_Since="yesterday")[0] == 200
    assert ask(server, "/index.json", If_None_Match='"x"', If_Modified_Since=date)[0] == 200
    assert ask(server, BLOB, Range="bytes=0-3", If_Range=f'"{DIGEST}"')[::2] == (206, CONTENT[:4])
    assert ask(server, BLOB, Range="bytes=0-3", If_Range='"other"')[::2] == (200, CONTENT)
    # A file that was replaced has another tag, also within one second and with one size.
    new = root / "new"
    new.write_text('{"version": 2}')
    new.replace(root / "index.json")
    assert ask(server, "/index.json", If_None_Match=tag)[0] == 200


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/other.txt",
        "/empty",
        "/.hubtool/secret",
        "/cards",
        "/cards/",
        "/cards/link.md",
        "/cards/loop.md",
        "/cards/pipe.md",
        "/cards/../other.txt",
        "/cards/%2e%2e/other.txt",
        "/cards/..%2fother.txt",
        "/cards/..%5cother.txt",
        "/cards//p/1.9/x.md",
        "/cards/%00",
        "/cards/%ff",
        "/../outside.md",
        "//etc/passwd",
        "/blobs/../../outside.md",
        "/cards/" + "a" * 5000,
        "http://127.0.0.1/index.json",
        "index.json",
    ],
)
def test_nothing_else_is_shown(server: Server, path: str) -> None:
    for method in ("GET", "HEAD"):
        status, _, body = ask(server, path, method)
        assert status == 404
        assert b"secret" not in body


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "PROPFIND"])
def test_it_is_read_only(server: Server, root: Path, method: str) -> None:
    before = sorted(root.rglob("*"))
    status, headers, _ = ask(server, BLOB, method)
    assert (status, headers["allow"]) == (405, "GET, HEAD")
    assert sorted(root.rglob("*")) == before


@pytest.mark.parametrize(
    "sent", [b"\x00" * 100, b"GET\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n", b"GET /" + b"a" * 100_000, b"A: b\r\n" * 10_000]
)
def test_what_is_not_http(server: Server, sent: bytes) -> None:
    with socket.create_connection(server.address, timeout=10) as connection:
        # The server may have hung up at any of these: EPIPE, ECONNRESET, or ENOTCONN, which is no ConnectionError.
        # What it may not do is to leave the client waiting.
        try:
            connection.sendall(sent)
            connection.shutdown(socket.SHUT_WR)
            while connection.recv(65536):
                pass
        except TimeoutError:
            raise
        except OSError:
            pass
    assert ask(server, "/index.json")[0] == 200


def test_a_body_is_no_next_request(server: Server) -> None:
    hidden = b"GET /index.json HTTP/1.1\r\nHost: x\r\n\r\n"
    sent = b"GET /cards/empty.md HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % len(hidden) + hidden
    with socket.create_connection(server.address, timeout=10) as connection:
        connection.sendall(sent)
        received = b""
        while block := connection.recv(65536):
            received += block
    assert received.count(b"HTTP/1.1 ") == 1


def test_connections_are_kept_and_bounded(root: Path) -> None:
    with serving(root, connections=4, idle=1.0) as server:
        connection = http.client.HTTPConnection(*server.address, timeout=10)
        for _ in range(3):
            connection.request("GET", "/index.json")
            assert connection.getresponse().read() == b'{"version": 1}'
        first = connection.sock
        assert first is not None
        connection.close()
        # Clients that say nothing hold all places, but not for ever.
        silent = [socket.create_connection(server.address) for _ in range(4)]
        start = time.monotonic()
        assert ask(server, "/index.json")[0] == 503
        while ask(server, "/index.json")[0] != 200:
            assert time.monotonic() - start < 60
            time.sleep(0.1)
        for one in silent:
            one.close()
    assert not any(thread.name == "hubtool-serve" for thread in threading.enumerate())


def test_a_request_that_comes_byte_by_byte(root: Path) -> None:
    def ended(connection: socket.socket) -> bool:
        try:
            connection.sendall(b"G")
            time.sleep(0.1)
            return bool(select.select([connection], [], [], 0)[0]) and connection.recv(1) == b""
        except OSError:
            return True

    with serving(root, idle=1.0) as server, socket.create_connection(server.address) as connection:
        start = time.monotonic()
        while not ended(connection):
            assert time.monotonic() - start < 60
        assert time.monotonic() - start > 0.8
    # One that takes its time, but not more than it has, is answered.
    with serving(root, idle=30.0) as server, socket.create_connection(server.address) as slow:
        slow.settimeout(30)
        for part in (b"GET /index.json HT", b"TP/1.1\r\nHost: ", b"x\r\n\r\n"):
            slow.sendall(part)
            time.sleep(0.2)
        assert slow.recv(15) == b"HTTP/1.1 200 OK"


def opened(server: Server, kind: str) -> socket.socket:
    """Open a connection that will not end by itself."""
    connection = socket.socket(socket.AF_INET)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    connection.connect(server.address)
    if kind == "half a request":
        connection.sendall(b"GET /index.json HTTP/1.1\r\nHost: ")
    elif kind == "an answer unread":
        connection.sendall(b"GET /cards/large.md HTTP/1.1\r\nHost: x\r\n\r\n")
    return connection


def is_open(connection: socket.socket) -> bool:
    connection.setblocking(False)
    try:
        return connection.recv(1, socket.MSG_PEEK) != b""
    except BlockingIOError:
        return True
    except ConnectionError:
        return False


@pytest.mark.parametrize("kind", ["silence", "half a request", "an answer unread"])
def test_slow_clients_do_not_delay_others(root: Path, kind: str) -> None:
    (root / "cards/large.md").write_bytes(bytes(40_000_000))
    # Silent connections may stay for ten minutes: what is answered is answered before any of them ends by itself.
    with serving(root, idle=600.0) as server:
        slow = [opened(server, kind) for _ in range(200)]
        assert ask(server, "/index.json")[0] == 200
        assert all(is_open(one) for one in slow), "there is room for all"
        for one in slow:
            one.close()


@pytest.mark.parametrize("kind", ["silence", "half a request", "an answer unread"])
def test_a_client_that_does_nothing_loses_its_place(root: Path, kind: str) -> None:
    (root / "cards/large.md").write_bytes(bytes(40_000_000))
    with serving(root, idle=0.5, connections=2) as server, ExitStack() as stack:
        for _ in range(2):
            stack.callback(opened(server, kind).close)
        deadline = time.monotonic() + 30
        while ask(server, "/index.json")[0] != 200:
            assert time.monotonic() < deadline
            time.sleep(0.1)


NGINX = """
daemon off; pid {root}/../nginx.pid; error_log stderr error; {user}
events {{ worker_connections 64; }}
http {{
    access_log off; types {{ }} default_type application/octet-stream;
    client_body_temp_path {root}/../t1; proxy_temp_path {root}/../t2; fastcgi_temp_path {root}/../t3;
    uwsgi_temp_path {root}/../t4; scgi_temp_path {root}/../t5;
    {server}
}}
"""


@pytest.mark.skipif(shutil.which("nginx") is None, reason="nginx is not installed")
def test_a_mirror_behind_nginx(cli: Cli, tmp_path: Path) -> None:
    """The server block of docs/mirrors.md, as it stands there, but for its port and its folder."""
    content = os.urandom(2_000_000)
    write_local(cli.registry, "tests/1.9/beside", content)
    mirror = tmp_path / "mirror"
    assert cli("mirror", "sync", mirror).code == 0
    page = (ROOT / "docs/mirrors.md").read_text(encoding="utf-8")
    block = page.partition("```nginx\n")[2].partition("```")[0]
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    block = block.replace("listen 80", f"listen 127.0.0.1:{port}").replace("/srv/mirror", str(mirror))
    assert f"127.0.0.1:{port}" in block
    assert str(mirror) in block
    user = "user root;" if os.geteuid() == 0 else ""
    configuration = tmp_path / "nginx.conf"
    configuration.write_text(NGINX.format(root=mirror, user=user, server=block), encoding="utf-8")
    process = subprocess.Popen(["nginx", "-c", str(configuration)])
    try:
        deadline = time.monotonic() + 10
        while True:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            assert time.monotonic() < deadline, "nginx did not start"
            time.sleep(0.05)
        there = client(tmp_path, "lab")
        added = cli("registry", "add", "lab", f"http://127.0.0.1:{port}/", **there)  # type: ignore[arg-type] # text
        assert added.code == 0, added.err
        done = cli("fetch", "tests/1.9/beside", "--json", **there)  # type: ignore[arg-type] # the same
        assert done.code == 0, done.err
        assert hashlib.sha256(content).hexdigest() in done.out
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
        (mirror / ".hubtool").mkdir(exist_ok=True)
        (mirror / ".hubtool" / "secret").write_text("secret")
        connection.request("GET", "/.hubtool/secret")
        assert connection.getresponse().status == 404
        connection.close()
    finally:
        process.terminate()
        process.wait(10)


def test_many_clients_at_once(root: Path) -> None:
    with serving(root, connections=100) as server:
        wrong: list[object] = []

        def work() -> None:
            for _ in range(5):
                found = ask(server, BLOB)
                if found[::2] != (200, CONTENT):
                    wrong.append(found[0])

        threads = [threading.Thread(target=work) for _ in range(24)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert wrong == []


def test_a_client_that_goes_away(server: Server) -> None:
    for _ in range(5):
        with socket.create_connection(server.address) as connection:
            connection.sendall(f"GET {BLOB} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
            connection.recv(100)
    assert ask(server, BLOB)[2] == CONTENT


def test_places_that_cannot_be_served(tmp_path: Path, root: Path, server: Server) -> None:
    with pytest.raises(MirrorError, match="is not a folder"):
        Server(tmp_path / "nowhere")
    with pytest.raises(MirrorError, match="cannot listen on") as caught:
        Server(root, port=server.address[1])
    assert caught.value.hint == "choose another --port"
    for host in ("192.0.2.1", "nosuch.invalid", "a" * 70):
        with pytest.raises(MirrorError, match="cannot listen on") as caught:
            Server(root, host=host)
        assert caught.value.hint == "give a name or an address of this machine as --host"


# -- a client that has nothing but a mirror ------------------------------------------------------------------------


def started(cli: Cli, root: Path) -> tuple[subprocess.Popen[str], str]:
    """Run `hubtool serve` as a process; return it and its link."""
    process = subprocess.Popen(
        [sys.executable, "-m", "hubtool", "serve", str(root), "--port", "0", "--quiet"],
        cwd=cli.folder,
        env=cli.environ,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    return process, process.stdout.readline().split(" ", maxsplit=1)[0]


def ended(process: subprocess.Popen[str]) -> None:
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=20)
    assert process.returncode == 130
    assert "Traceback" not in err


def test_packages_that_are_missing_are_named(cli: Cli, root: Path) -> None:
    hidden = "import sys; sys.modules['starlette'] = None; from hubtool.cli import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", hidden, "serve", str(root)],
        cwd=cli.folder,
        env=cli.environ,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert done.returncode == 1
    assert "needs the packages starlette and uvicorn" in done.stderr
    assert "pip install 'starlette" in done.stderr
    assert "Traceback" not in done.stderr


def test_it_ends_while_a_client_reads_slowly(cli: Cli, root: Path) -> None:
    (root / "cards/large.md").write_bytes(bytes(40_000_000))
    process, link = started(cli, root)
    host, _, port = link.removeprefix("http://").rstrip("/").partition(":")
    with socket.create_connection((host, int(port)), timeout=10) as connection:
        connection.sendall(b"GET /cards/large.md HTTP/1.1\r\nHost: x\r\n\r\n")
        assert connection.recv(15) == b"HTTP/1.1 200 OK"
        ended(process)


def test_it_ends_as_it_is_asked_to(cli: Cli, root: Path) -> None:
    for sent, code, said in ((signal.SIGTERM, 0, ""), (signal.SIGINT, 130, "interrupted")):
        process, link = started(cli, root)
        host, _, port = link.removeprefix("http://").rstrip("/").partition(":")
        with socket.create_connection((host, int(port)), timeout=10):  # one that says nothing
            process.send_signal(sent)
            out, err = process.communicate(timeout=20)
        assert (process.returncode, out, err.strip()) == (code, "", said)


def test_a_folder_that_is_no_mirror_is_served_with_a_warning(cli: Cli, tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    (folder / "cards").mkdir(parents=True)
    (folder / "cards" / "a.md").write_bytes(b"a card")
    process, link = started(cli, folder)
    host, _, port = link.removeprefix("http://").rstrip("/").partition(":")
    connection = http.client.HTTPConnection(host, int(port), timeout=10)
    connection.request("GET", "/cards/a.md")
    assert connection.getresponse().read() == b"a card"
    connection.close()
    process.send_signal(signal.SIGTERM)
    _, err = process.communicate(timeout=20)
    assert process.returncode == 0
    assert err.startswith(f"warning: {folder} has no index.json")
    assert err.count("\n") == 1


def client(tmp_path: Path, name: str) -> dict[str, str]:
    """Return the variables of a machine of its own: no cards, nothing stored, and every proxy leads nowhere."""
    empty = tmp_path / f"{name}-registry"
    empty.mkdir()
    nowhere = dict.fromkeys(("HTTPS_PROXY", "HTTP_PROXY", "ALL_PROXY"), "http://127.0.0.1:9")
    return {
        **nowhere,
        "HUBTOOL_HOME": str(tmp_path / f"{name}-home"),
        "HUBTOOL_REGISTRY": str(empty),
        "XDG_CONFIG_HOME": str(tmp_path / f"{name}-config"),
    }


def test_a_client_with_only_a_mirror(cli: Cli, tmp_path: Path) -> None:
    whole, short, beside = (os.urandom(300_000) for _ in range(3))
    with origin() as far:
        write_card(cli.registry, "tests/1.9/whole", link=far.put("/whole.ckpt", whole), content=whole)
        cut = hashlib.sha256(short).hexdigest()[:8]
        write_card(cli.registry, "tests/1.9/short", link=far.put("/short.ckpt", short), content=short, digest=cut)
        write_local(cli.registry, "tests/1.9/beside", beside)
        assert cli("mirror", "sync", tmp_path / "mirror").code == 0
        lock = tmp_path / "short.lock"
        assert cli("lock", "tests/1.9/short", "-o", lock).code == 0
    # The origin is gone.
    process, link = started(cli, tmp_path / "mirror")
    try:
        there = client(tmp_path, "lab")
        added = cli("registry", "add", "lab", link, **there)  # type: ignore[arg-type] # the variables are text
        assert added.code == 0, added.err
        assert cli("registry", "sync", **there).code == 0  # type: ignore[arg-type] # the same
        # Which file a short digest means, a mirror cannot say; a lock, or the card's own link, does.
        alone = cli("fetch", "tests/1.9/short", **there)  # type: ignore[arg-type] # the same
        assert (alone.code, "short.ckpt" in alone.err) == (1, True)
        held = {**there, "HUBTOOL_LOCK": str(lock)}
        for name, content in (("whole", whole), ("short", short), ("beside", beside)):
            environ = held if name == "short" else there
            done = cli("fetch", f"tests/1.9/{name}", "--json", **environ)  # type: ignore[arg-type] # the same
            assert done.code == 0, done.err
            assert hashlib.sha256(content).hexdigest() in done.out
        # The cards from elsewhere, the assets from the mirror.
        other = client(tmp_path, "other")
        other |= {"HUBTOOL_REGISTRY": str(cli.registry), "HUBTOOL_MIRRORS": link}
        assert cli("fetch", "tests/1.9/whole", **other).code == 0  # type: ignore[arg-type] # the same
    finally:
        ended(process)
    # What came is there without the mirror as well.
    assert cli("fetch", "tests/1.9/short", HUBTOOL_OFFLINE="1", **held).code == 0  # type: ignore[arg-type] # the same
    assert len(list(Store(tmp_path / "lab-home").blobs())) == 3


@pytest.mark.mindspore
def test_a_network_is_loaded_from_a_mirror(cli: Cli, tmp_path: Path) -> None:
    """The embedded model, by way of a mirror that hubtool serves, on a machine that has nothing else."""
    from hubtool import resources

    uid = "hubtool/2.10/tinybert_bilstmcrf_toyner"
    if not (resources.registry_folder() / f"{uid}.md").is_file():
        pytest.skip("the embedded model is not there yet")
    synced = cli("mirror", "sync", tmp_path / "mirror", "--uid", uid, HUBTOOL_REGISTRY=str(resources.registry_folder()))
    assert synced.code == 0, synced.err
    process, link = started(cli, tmp_path / "mirror")
    try:
        there = client(tmp_path, "lab")
        allowed = ("--allow-publisher", "hubtool")
        assert cli("registry", "add", "lab", link, *allowed, **there).code == 0  # type: ignore[arg-type] # the variables are text
        done = cli("load", uid, "--smoke", "--json", **there)  # type: ignore[arg-type] # the same
        assert done.code == 0, done.err
        assert done.json["uid"] == uid
    finally:
        ended(process)
