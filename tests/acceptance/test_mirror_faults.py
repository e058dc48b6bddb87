"""A sync whose sources do everything wrong that a server can, to a folder and to an object store."""

from __future__ import annotations

import hashlib
import random
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import pytest

from hubtool.hub import Hub
from hubtool.links import LinkPolicy
from hubtool.mirror.layout import blobs
from hubtool.mirror.open import open_destination
from hubtool.mirror.sync import sync
from hubtool.mirror.verify import verify
from hubtool.transfer.fetcher import Fetcher
from tests.acceptance.faults.bench import FAULTS, RETRIES, TIMEOUTS
from tests.support.cards import write_card
from tests.support.server import refusing, serving

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.cli import Cli
    from tests.support.server import Server

# These have names that nobody may look up here; the bench of faults meets them.
ELSEWHERE = ("tls-name", "301 https://intranet.example/a", "301 https://me:SECRET@other.example/a")
# What is not quite in order, and brings the right bytes all the same.
HARMLESS = ("no-length", "no-ranges", "etag-changed", "wrong-range")


def fetcher(self: Hub, **_: Any) -> Fetcher:
    """Begin a run that does not wait for as long as a real one does."""
    return Fetcher(self.store, policy=LinkPolicy(), connections=16, timeouts=TIMEOUTS, retries=RETRIES)


@pytest.mark.parametrize("kind", ["folder", pytest.param("s3", marks=[pytest.mark.s3, pytest.mark.slow])])
def test_every_fault_at_once(
    kind: str, environment: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    monkeypatch.setattr(Hub, "fetcher", fetcher)
    faults = [fault for fault in FAULTS if fault not in ELSEWHERE]
    with ExitStack() as stack:
        where = str(tmp_path / "mirror")
        if kind == "s3":
            for name, value in request.getfixturevalue("bucket").environ.items():
                monkeypatch.setenv(name, value)
            where = "s3://mirrors/faults"
        servers: dict[str, Server] = {}
        uids: dict[str, str] = {}
        for at, fault in enumerate(["", *faults]):
            content = random.Random(at).randbytes(600_000)  # noqa: S311 (no secret)
            uid = uids[fault] = f"tests/1.9/m{at}"
            server = servers[fault] = stack.enter_context(serving(content))
            server.default.fault = fault
            base = refusing() if fault == "refuse" else server.url
            write_card(environment.registry, uid, link=f"{base}/a?token=SECRET", content=content)
        place = open_destination(where)
        report = sync(Hub.open(), place, jobs=16)
        failed = {failure.uid: failure.reason for failure in report.failures}
        expected = {uids[fault] for fault in faults if fault not in HARMLESS}
        assert expected - {uids["gzip"]} <= set(failed) <= expected
        assert not report.complete
        for reason in failed.values():
            assert len(reason) > 20
            assert "SECRET" not in reason
        # Nothing wrong is visible: what is there is right, and the index says what is not.
        there = blobs(place)
        assert len(there) == len(uids) - len(failed)
        for digest in there:
            with place.blob(digest) as blocks:
                assert hashlib.sha256(b"".join(blocks)).hexdigest() == digest
        checked = verify(place, deep=True)
        assert len(checked.faults) == len(failed)
        # Once the servers are right, the next run brings what is left, and nothing else.
        for server in servers.values():
            server.default.fault = ""
        write_card(
            environment.registry,
            uids["refuse"],
            link=f"{servers['refuse'].url}/a",
            content=servers["refuse"].default.content,
        )
        again = sync(Hub.open(), place, jobs=16)
        assert again.failures == ()
        assert len(again.written) == len(failed)
        assert verify(place, deep=True).right
