"""Files beside a card that git brought in place of the right ones are named for what they are."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import pytest

from hubtool import mismatch, settings
from hubtool.assets import fetch_asset, stored_checkpoint
from hubtool.card.validate.run import check_paths
from hubtool.digest import Digest
from hubtool.errors import AssetError, DigestError
from hubtool.hub import Hub
from hubtool.registry.published import site
from hubtool.store.store import Store
from hubtool.verification.asset_file import check_digest, measure
from tests.support.cards import write_card

if TYPE_CHECKING:
    from pathlib import Path

TEXT = b"one\ntwo\nthree\n"
DIGEST = hashlib.sha256(TEXT).hexdigest()


def pointer(digest: str = DIGEST, size: int = len(TEXT)) -> bytes:
    return f"version https://git-lfs.github.com/spec/v1\noid sha256:{digest}\nsize {size}\n".encode()


CASES = [
    pytest.param(pointer(), "a Git LFS pointer", "git lfs pull", id="pointer"),
    pytest.param(pointer().replace(b"\n", b"\r\n"), "a Git LFS pointer", "git lfs pull", id="pointer-crlf"),
    pytest.param(pointer("0" * 64), "to another file than the card names", "correct the card", id="other-pointer"),
    pytest.param(TEXT.replace(b"\n", b"\r\n"), "CRLF in place of LF", "-text", id="crlf"),
    pytest.param(b"", "empty", "put the right file there", id="empty"),
    pytest.param(b"four", "4 bytes, and the card says 14 bytes", "put the right file there", id="size"),
]


@pytest.mark.parametrize(("data", "what", "hint"), CASES)
def test_what_a_file_is(tmp_path: Path, data: bytes, what: str, hint: str) -> None:
    path = tmp_path / "file"
    path.write_bytes(data)
    found = mismatch.explain(path, Digest(DIGEST), len(TEXT))
    assert found is not None
    assert what in found.what
    assert hint in found.hint
    with pytest.raises(DigestError, match=what) as caught:
        Store(tmp_path / "home").verify_in_place(path, Digest(DIGEST), size=len(TEXT))
    assert hint in str(caught.value.hint)


def test_a_text_that_was_crlf(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(TEXT)
    found = mismatch.explain(path, Digest(hashlib.sha256(TEXT.replace(b"\n", b"\r\n")).hexdigest()), None)
    assert found is not None
    assert "LF in place of CRLF" in found.what


def test_of_an_ordinary_other_file_there_is_no_more_to_say(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(TEXT.upper())
    assert mismatch.explain(path, Digest(DIGEST), len(TEXT)) is None
    assert mismatch.explain(path, Digest(DIGEST), None) is None
    assert mismatch.explain(tmp_path / "absent", Digest(DIGEST), None) is None
    assert mismatch.explain(tmp_path, Digest(DIGEST), None) is None


@pytest.fixture(params=[case.values for case in CASES], ids=[case.id for case in CASES])
def card(tmp_path: Path, request: pytest.FixtureRequest) -> tuple[Path, bytes, str]:
    data, what, _ = request.param
    path = write_card(tmp_path / "registry", "lab/1.9/net", link="net.txt", content=TEXT)
    text = path.read_text().replace(f"{DIGEST}\n", f"{DIGEST}\n    asset-size: {len(TEXT)}\n")
    path.write_text(text)
    (path.parent / "net.txt").write_bytes(data)
    return path, data, what


def test_validate_names_it(card: tuple[Path, bytes, str]) -> None:
    path, _, what = card
    found = [one for one in check_paths([path]).diagnostics if one.code == "HT318"]
    assert [what in one.message for one in found] == [True]
    assert "asset-link" in found[0].source
    (path.parent / "net.txt").write_bytes(TEXT)
    assert not [one for one in check_paths([path]).diagnostics if one.code in ("HT314", "HT318")]


def test_loading_and_publishing_name_it(card: tuple[Path, bytes, str], tmp_path: Path) -> None:
    path, data, what = card
    registry = tmp_path / "registry"
    environ = {"HOME": str(tmp_path), "HUBTOOL_HOME": str(tmp_path / "home"), "HUBTOOL_REGISTRY": str(registry)}
    hub = Hub.open(settings.load(environ, tmp_path))
    found = hub.find("lab/1.9/net")
    with pytest.raises(AssetError, match=what):
        fetch_asset(hub, found, found.card.assets[0])
    with pytest.raises(AssetError, match=what):  # what `hubtool inspect` asks for
        stored_checkpoint(hub, "lab/1.9/net")
    what = what if len(data) != 4 else "14 bytes"
    with pytest.raises(AssetError, match=what):
        check_digest(found.card.assets[0], measure(path.parent / "net.txt"))
    (uid, why), *_ = site.publish(registry, tmp_path / "site").passed_over
    assert uid == "lab/1.9/net"
    assert (what if len(data) != 4 else "4 bytes, and the card says") in why
