"""`hubtool publish` to a real bucket, and to one that refuses, fills up or loses the connection."""

from __future__ import annotations

import os
import urllib.request
from typing import TYPE_CHECKING

import pytest

from hubtool.mirror import layout
from hubtool.publish import blobs
from hubtool.verification.asset_file import AssetFile
from tests.support.publishing import BRANCH, CONTENT, DIGEST, UID, Maintainer, draft, maintainer_at
from tests.support.seaweed import watching

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.support.cli import Cli
    from tests.support.seaweed import Bucket

LARGE = 24 << 20


@pytest.fixture
def desk(cli: Cli, bucket: Bucket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Maintainer]:
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    for name, value in bucket.environ.items():
        monkeypatch.setenv(name, value)
        cli.environ[name] = value
    with maintainer_at(cli, tmp_path) as one:
        yield one


@pytest.fixture
def place(tmp_path: Path) -> str:
    return f"s3://public/{tmp_path.name.lower().replace('_', '-')}"


def test_a_bucket_says_what_links_begin_with(desk: Maintainer, bucket: Bucket, place: str) -> None:
    arguments = (desk.card, "--asset", desk.asset, "--blobs", place, "--registry", desk.checkout, "--unproven")
    done = desk.cli("publish", *arguments, "--push", "--json")
    assert done.code == 0, done.err
    link = done.json["assets"][0]["link"]
    folder = place.removeprefix("s3://")
    assert link == f"{bucket.endpoint}/{folder}/blobs/sha256/{DIGEST[:2]}/{DIGEST}#net.ckpt"
    with urllib.request.urlopen(link) as answer:  # noqa: S310 - the bucket of this test
        assert answer.read() == CONTENT
    again = desk.cli("publish", *arguments, "--push", "--json")
    assert again.json["assets"] == [{"link": link, "written": False}]
    # Nothing of the credentials is anywhere in what others see.
    told = done.out + done.err + desk.show(BRANCH)
    assert "tests-secret" not in told
    assert "AWS" not in told
    opened = blobs.open_blobs(place)
    assert len(opened.files("blobs")) == 1


def test_a_private_bucket_keeps_the_card_back(desk: Maintainer) -> None:
    done = desk.cli(
        *("publish", desk.card, "--asset", desk.asset, "--blobs", "s3://mirrors/private"),
        *("--registry", desk.checkout, "--unproven", "--push"),
    )
    assert done.code == 1
    assert "files in s3://mirrors/private cannot be fetched" in done.err
    assert "everybody may read" in done.err
    assert desk.branches() == ["main"]
    # It is said before the upload, and what asked is taken away again.
    opened = blobs.open_blobs("s3://mirrors/private")
    assert layout.blobs(opened) == {}
    listed = opened.files("")
    assert not [name for name in listed if "readable" in name]


@pytest.mark.parametrize(
    "fault",
    ["refused", "lost", "wrong-key", *(pytest.param(name, marks=pytest.mark.slow) for name in ("full", "absent"))],
)
def test_a_bucket_that_fails(desk: Maintainer, bucket: Bucket, place: str, tmp_path: Path, fault: str) -> None:
    """Each failure comes in the middle of a large file; nothing of it is visible, and the next run completes it."""
    content = os.urandom(LARGE)
    draft(desk.card.parents[2], UID, content)
    # No checkpoint is read of a card for MindSpore Lite.
    text = desk.card.read_text().replace("used-for: inference\n", "used-for: inference\nmindspore-lite: true\n")
    desk.card.write_text(text.replace("file-format: ckpt", "file-format: mslite").replace("net.ckpt", "net.ms"))
    asset = tmp_path / "net.ms"
    asset.write_bytes(content)
    arguments: tuple[str | Path, ...] = (desk.card, "--asset", asset, "--blobs", place)
    arguments += ("--registry", desk.checkout, "--unproven", "--push")
    parts = 0
    with watching(bucket.endpoint) as watched:

        def fail(method: str, path: str) -> int:
            nonlocal parts
            if method not in ("PUT", "POST") or "/blobs/" not in path:
                return 0
            parts += 1
            if parts < 3:
                return 0
            if fault == "lost":
                raise ConnectionResetError
            return {"refused": 403, "full": 507}.get(fault, 0)

        watched.fault = fail
        environ = {"AWS_ENDPOINT_URL": watched.url}
        if fault == "absent":
            arguments = tuple("s3://no-such-bucket-here/x" if one == place else one for one in arguments)
            environ["AWS_ENDPOINT_URL"] = "http://127.0.0.1:9"
        elif fault == "wrong-key":
            environ["AWS_SECRET_ACCESS_KEY"] = "wrong-HIDDEN"  # noqa: S105 - no secret, and it must not be shown
        more = ("--link-base", f"{bucket.endpoint}/{place[5:]}")
        broken = desk.cli("publish", *arguments, *more, timeout=300, **environ)
    assert broken.code == 1, broken.out
    assert "HIDDEN" not in broken.err
    assert "hint: " in broken.err
    assert "s3://" in broken.err
    assert (desk.branches(), desk.branches(desk.checkout)) == (["main"], ["main"])
    opened = blobs.open_blobs(place)
    assert layout.blobs(opened) == {}
    arguments = (desk.card, "--asset", asset, "--blobs", place, *arguments[5:])
    done = desk.cli("publish", *arguments, "--json")
    assert done.code == 0, done.err
    opened = blobs.open_blobs(place)
    (digest,) = layout.blobs(opened)
    blobs.verify(opened, AssetFile(path=asset, digest=digest, size=LARGE))
