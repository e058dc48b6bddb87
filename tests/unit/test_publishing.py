"""Publishing, as far as it is pure: plans, links for reviews, the finished card."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from hubtool.card import model
from hubtool.digest import Digest, digest_file
from hubtool.errors import ArgumentError, AssetError, CardError, PublishError
from hubtool.git.checkout import Branch, CheckoutState, branch_of
from hubtool.git.remotes import Remote, review_link, without_secrets
from hubtool.publish import blobs, check_rows, draft
from hubtool.publish.change import RegistryChange, decide, message, next_steps
from hubtool.publish.write_links import PlacedAsset, write_links
from hubtool.uid import Uid
from hubtool.verification import asset_file
from hubtool.verification.asset_file import AssetFile
from tests.support.cards import write_card

UID = Uid.parse("tests/1.9/net")
REMOTE = Remote(name="origin", url="https://me:SECRET@gitee.com/owner/hub.git")

REVIEWS = {
    "https://gitee.com/owner/hub.git": "https://gitee.com/owner/hub/pull/new/owner:publish/a...owner:main",
    "git@gitee.com:owner/hub.git": "https://gitee.com/owner/hub/pull/new/owner:publish/a...owner:main",
    "https://github.com/owner/hub": "https://github.com/owner/hub/compare/main...publish/a?expand=1",
    "ssh://git@github.com:22/owner/hub.git": "https://github.com/owner/hub/compare/main...publish/a?expand=1",
    "https://token:SECRET@github.com/owner/hub.git": "https://github.com/owner/hub/compare/main...publish/a?expand=1",
    "https://gitlab.com/group/sub/hub.git": (
        "https://gitlab.com/group/sub/hub/-/merge_requests/new?merge_request%5Bsource_branch%5D=publish%2Fa"
        "&merge_request%5Btarget_branch%5D=main"
    ),
    "https://gitlab.example.org:8443/group/hub.git": (
        "https://gitlab.example.org:8443/group/hub/-/merge_requests/new?merge_request%5Bsource_branch%5D=publish%2Fa"
        "&merge_request%5Btarget_branch%5D=main"
    ),
    "https://git.example.org/owner/hub.git": None,
    "/srv/git/hub.git": None,
    "file:///srv/git/hub.git": None,
    "C:/git/hub.git": None,
    "https://github.com": None,
    "https://[broken/owner/hub": None,
    "": None,
}


@pytest.mark.parametrize(("url", "link"), REVIEWS.items())
def test_where_a_review_is_opened(url: str, link: str | None) -> None:
    assert review_link(url, "publish/a", "main") == link


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("https://me:SECRET@example.org/a.git", "https://example.org/a.git"),
        ("fatal: 'https://SECRET@example.org/a' is gone", "fatal: 'https://example.org/a' is gone"),
        ("see https://example.org/a?token=SECRET now", "see https://example.org/a?... now"),
        ("git@example.org:owner/hub.git", "git@example.org:owner/hub.git"),
    ],
)
def test_what_is_shown_of_a_url(text: str, shown: str) -> None:
    assert without_secrets(text) == shown


@pytest.mark.parametrize(
    ("url", "local"),
    [
        ("/srv/hub.git", True),
        ("file:///srv/hub", True),
        ("../hub", True),
        ("https://a.org/b/c", False),
        ("git@host:c/d", False),
    ],
)
def test_what_needs_no_network(url: str, local: bool) -> None:
    assert Remote(name="origin", url=url).is_local is local


@pytest.mark.parametrize(
    ("uid", "branch"),
    [
        ("mindspore/1.9/resnet50", "publish/mindspore-1.9-resnet50"),
        ("noah-cvlab/gpu/1.0/resnet50", "publish/noah-cvlab-gpu-1.0-resnet50"),
        ("a/1/b.lock", "publish/a-1-b_lock"),
        ("a/1/b..c...d", "publish/a-1-b_.c__.d"),
    ],
)
def test_branches_are_names_that_git_takes(uid: str, branch: str) -> None:
    assert branch_of("publish", Uid.parse(uid)) == branch


# -- where files are ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("place", "environ", "base"),
    [
        ("s3://bucket/a/b/", {"AWS_ENDPOINT_URL": "https://s3.example.org"}, "https://s3.example.org/bucket/a/b"),
        ("s3://bucket", {"AWS_REGION": "eu-west-1"}, "https://bucket.s3.eu-west-1.amazonaws.com"),
        ("/some/folder", {}, None),
    ],
)
def test_what_links_begin_with(place: str, environ: dict[str, str], base: str | None, tmp_path: Path) -> None:
    assert blobs.link_base(place, None, {"HOME": str(tmp_path), **environ}) == base
    assert blobs.link_base(place, "https://files.example.org/x/", {}) == "https://files.example.org/x"


@pytest.mark.parametrize(
    "given",
    [
        "http://example.org",
        "https://",
        "https://u:SECRET@h/",
        "https://h/?q=SECRET",
        "https://h/#f",
        "https://h/a b",
        "h",
    ],
)
def test_what_links_cannot_begin_with(given: str) -> None:
    with pytest.raises(ArgumentError) as caught:
        blobs.link_base("/folder", given)
    assert "SECRET" not in str(caught.value)


# -- the finished card -------------------------------------------------------------------------------------------------

HEAD = b"# net\n\n---\nmodel-name: net\n"
FILE = AssetFile(path=Path("net.ckpt"), digest="ab" * 32, size=12)
LINK = f"https://h/blobs/sha256/ab/{'ab' * 32}#net.ckpt"
CARDS = {
    "list": b"asset:\n  - file-format: ckpt\n    asset-link: old\n    asset-sha256: ''\nsummary: s\n---\n",
    "no digest": b"asset:\n- file-format: ckpt\n  asset-link: <https://h.invalid/a>  # soon\nsummary: s\n---\n",
    "empty digest": b'asset:\n  - asset-sha256:\n    asset-link: "old"\n    file-format: ckpt\n---\nbody\n',
    "flow": b"asset: [{file-format: ckpt, asset-link: old}]\nsummary: s\n---\n",
    "crlf": b"asset:\r\n  - file-format: ckpt\r\n    asset-link: old\r\nsummary: s\r\n---\r\nbody\r\n",
    "last": b"asset:\n  - file-format: ckpt\n    asset-link: old\n---",
    "bom": b"asset:\n  - file-format: ckpt\n    asset-link: old\n    asset-size: 1\n---\n",
}


@pytest.mark.parametrize("kind", CARDS)
def test_link_digest_and_size_are_written(kind: str) -> None:
    data = (b"\xef\xbb\xbf" if kind == "bom" else b"") + HEAD + CARDS[kind]
    if kind == "crlf":
        data = data.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")
    (asset,) = model.read(data).assets
    done = write_links(data, [PlacedAsset(asset=asset, file=FILE, link=LINK)], name="card")
    (after,) = model.read(done).assets
    assert (after.link, after.digest and after.digest.hex, after.size) == (LINK, FILE.digest, FILE.size)
    assert after.file_name == "net.ckpt"
    assert (kind == "crlf") == (b"\r\n" in done)
    if kind == "crlf":
        assert done.count(b"\n") == done.count(b"\r\n")
    # Nothing else changed: what is left after the three entries are taken out is what was there.
    lines = [line for line in done.split(b"\n") if not any(key in line for key in (b"asset-link", b"sha256", b"size"))]
    before = [line for line in data.split(b"\n") if not any(key in line for key in (b"asset-link", b"sha256", b"size"))]
    assert lines == before
    again = write_links(done, [PlacedAsset(asset=after, file=FILE, link=LINK)], name="card")
    assert again == done


def test_only_the_asset_that_is_meant_is_written(tmp_path: Path) -> None:
    data = (
        HEAD
        + b"asset:\n  - {file-format: txt}\n  - {file-format: txt, asset-link: a}\n"
        + b"  - {file-format: ckpt, asset-link: b}\n---\n"
    )
    one, two = model.read(data).assets
    done = write_links(data, [PlacedAsset(asset=two, file=FILE, link=None)], name="card")
    assert model.read(done).assets == (one, replace(two, digest=model.read(done).assets[1].digest, size=12))
    assert write_links(data, [], name="card") == data
    with pytest.raises(CardError, match="front matter"):
        write_links(b"no card", [], name=str(tmp_path))
    text = data.replace(b"{file-format: ckpt, asset-link: b}", b"file-format: ckpt\n    asset-link: |\n      b\n")
    block = PlacedAsset(asset=model.read(text).assets[1], file=FILE, link=LINK)
    with pytest.raises(CardError, match="one line"):
        write_links(text, [block], name="card")


def test_which_file_is_which_asset(tmp_path: Path) -> None:
    data = HEAD + (
        b"asset:\n"
        b"  - {file-format: ckpt, asset-link: 'https://h/net.ckpt', asset-sha256: " + b"a" * 64 + b"}\n"
        b"  - {file-format: txt, asset-link: 'https://h/vocab.txt'}\n"
        b"  - {file-format: txt, asset-link: 'https://h/blobs/x#labels%20two.txt'}\n---\n"
    )
    card = model.read(data)

    def file(name: str, digest: str) -> AssetFile:
        return AssetFile(path=tmp_path / name, digest=digest * 64, size=3)

    by_digest, vocab, labels = file("other", "a"), file("vocab.txt", "b"), file("labels two.txt", "c")
    assert asset_file.match(card, [vocab, by_digest, labels]) == {0: by_digest, 1: vocab, 2: labels}
    odd = file("epoch-9.ckpt", "d")
    assert asset_file.match(card, [odd]) == {0: odd}
    for files in ([by_digest, by_digest], [odd, by_digest], [odd, file("two.ckpt", "e")], [vocab, vocab]):
        with pytest.raises(ArgumentError):
            asset_file.match(card, files)
    with pytest.raises(AssetError, match="not the file that the card means"):
        asset_file.check_digest(card.assets[0], odd)


# -- the plan ----------------------------------------------------------------------------------------------------------


def change(tmp_path: Path, content: bytes = b"one", summary: str = "A model") -> RegistryChange:
    path = write_card(tmp_path, str(UID), link="https://gitee.com/a/b.ckpt", content=content)
    data = path.read_bytes().replace(b"summary: A model", f"summary: {summary}".encode())
    return RegistryChange(
        uid=UID, verb="Publish", branch="publish/x", path="r/x.md", files={"r/x.md": data}, message="m"
    )


def state(**more: object) -> CheckoutState:
    plain = {"remote": REMOTE, "unreachable": "", "base": "main", "head": Branch(commit="c", data=None)}
    return CheckoutState(**{**plain, "ours": None, "theirs": None, **more})  # type: ignore[arg-type] # given by name


def test_what_is_left_to_do(tmp_path: Path) -> None:
    mine = change(tmp_path)
    here = Branch(commit="h", data=mine.data)
    fresh = decide(mine, state(), push=True)
    assert (fresh.merged, fresh.commit, fresh.push, fresh.at_remote) == (False, None, True, False)
    committed = decide(mine, state(ours=here), push=True)
    assert (committed.commit, committed.push) == ("h", True)
    pushed = decide(mine, state(ours=here, theirs=Branch(commit="t", data=mine.data)), push=True)
    assert (pushed.commit, pushed.push, pushed.at_remote) == ("t", False, True)
    merged = decide(mine, state(head=Branch(commit="m", data=mine.data)), push=True)
    assert (merged.merged, merged.commit, merged.push) == (True, "m", False)
    unasked = decide(mine, state(unreachable="no route"), push=False)
    assert "SECRET" not in unasked.notes[0]
    assert "no route" in unasked.notes[0]


def test_what_is_in_the_way(tmp_path: Path) -> None:
    mine = change(tmp_path)
    text = Branch(commit="o", data=change(tmp_path, summary="Another model").data)
    bytes_ = Branch(commit="o", data=change(tmp_path, content=b"two").data)
    broken = Branch(commit="o", data=b"no card")
    nothing = Branch(commit="o", data=None)
    cases = [
        (state(head=text), "same assets and another text"),
        (state(head=bytes_), "new version is a new UID"),
        (state(head=broken), "other assets"),
        (state(ours=text), "another text"),
        (state(ours=bytes_), "git branch -D publish/x"),
        (state(ours=nothing), "does not have the card"),
        (state(theirs=bytes_), "ask the person who pushed it"),
        (state(theirs=nothing, ours=Branch(commit="h", data=mine.data)), "at https://gitee.com/owner/hub.git"),
        (state(unreachable="no route"), "cannot be reached: no route"),
        (state(remote=None), "no remote to push to"),
    ]
    for found, told in cases:
        with pytest.raises(PublishError) as caught:
            decide(mine, found, push=True)
        assert told in str(caught.value)
        assert "SECRET" not in str(caught.value)


def test_what_comes_next(tmp_path: Path) -> None:
    mine = change(tmp_path)
    step, link = next_steps(mine, state(), pushed=False)
    assert step.startswith("push it: git push origin publish/x; then ask for a review")
    assert "SECRET" not in step
    assert link == "https://gitee.com/owner/hub/pull/new/owner:publish/x...owner:main"
    assert next_steps(mine, state(remote=None), pushed=False) == ("merge the branch publish/x into main", None)


def test_a_message_is_lines_of_text() -> None:
    told = message("Publish", UID, "A\nmodel\x1b[31m.", ("Asset a: 1 byte",))
    assert told == "Publish tests/1.9/net\n\nA model [31m.\n\nAsset a: 1 byte\n"
    assert message("Withdraw", UID, "", ()) == "Withdraw tests/1.9/net\n"


@pytest.mark.parametrize("name", ["net.mindir", "vocab.txt", "net.onnx", "net.ckpt"])
def test_a_pointer_is_written_on_no_card_and_passes_no_check(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_bytes(b"version https://git-lfs.github.com/spec/v1\noid sha256:" + b"0" * 64 + b"\nsize 5\n")
    with pytest.raises(AssetError, match="is a Git LFS pointer and not the file itself") as caught:
        draft._file(path, tmp_path / "a.md", None)
    assert caught.value.hint is not None
    assert "git lfs pull" in caught.value.hint
    digest = digest_file(path)
    asset = model.Asset(link=name, format=path.suffix[1:], digest=Digest(digest), size=path.stat().st_size)
    row = check_rows.assets_row(
        [check_rows.AssetBytes(asset=asset, path=path, digest=digest, size=path.stat().st_size)]
    )
    assert row.state is check_rows.RowState.FAILED
    assert f"{name} is a Git LFS pointer" in row.reason
