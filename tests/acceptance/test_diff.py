"""`hubtool diff`: cards, locks, checkpoints and code, in real processes."""

from __future__ import annotations

import random
import re
import shutil
from typing import TYPE_CHECKING

import pytest

from hubtool.diff import cards
from hubtool.hub import Hub
from tests.support import ROOT
from tests.support.cards import write_card, write_local
from tests.support.checkpoints import ckpt, filled
from tests.support.git import git
from tests.support.repositories import code_card, repository
from tests.support.server import serving

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from hubtool.diff.model import CardDiff
    from tests.support.cli import Cli
    from tests.support.server import Server

OLD = ckpt([filled("a", (2, 3)), filled("gone", (1,)), filled("value", (4,))])
NEW = ckpt([filled("a", (3, 2)), filled("new", (1,)), filled("value", (4,), byte=2)])


@pytest.fixture
def server() -> Iterator[Server]:
    with serving() as one:
        yield one


def test_two_versions(cli: Cli) -> None:
    write_local(cli.registry, "tests/1.8/net", OLD)
    path = write_local(cli.registry, "tests/1.9/net", NEW, arguments={"num_labels": 9})
    path.write_text(path.read_text().replace("A model of the tests.\n\n## Usage", "Another one.\n\nMore.\n\n## Usage"))
    done = cli("diff", "tests/1.8/net", "tests/1.9/net", "--values", "--json")
    assert done.code == 1
    assert not done.json["same"]
    (card,) = done.json["cards"]
    fields = {one["key"]: (one["old"], one["new"]) for one in card["fields"]}
    assert fields == {
        "model-version": ("1.8", "1.9"),
        "mindspore-version": ("1.8", "1.9"),
        "network.arguments": ({}, None),
        "network.arguments.num_labels": (None, 9),
    }
    assert card["title"] is None
    # The text and the UID in the usage block.
    assert card["body"] == {"lines_added": 4, "lines_removed": 2}
    (asset,) = card["assets"]
    assert asset["change"] == "changed"
    assert [one["name"] for one in asset["tensors"]["removed"]] == ["gone"]
    assert [one["name"] for one in asset["tensors"]["added"]] == ["new"]
    assert asset["tensors"]["reshaped"][0]["new"] == {"dtype": "float32", "shape": [3, 2]}
    assert [(one["name"], one["differing"]) for one in asset["tensors"]["values"]] == [("value", 4)]
    text = cli("diff", "tests/1.8/net", "tests/1.9/net")
    assert text.code == 1
    assert "a  float32 [2, 3] -> float32 [3, 2]" in text.out
    assert "model-version: 1.8 -> 1.9" in text.out


def test_the_same_and_what_cannot_be_read(cli: Cli, tmp_path: Path) -> None:
    path = write_local(cli.registry, "tests/1.9/net", OLD)
    assert cli("lock", "tests/1.9/net").code == 0
    for old, new in (
        ("tests/1.9/net", str(path)),
        ("tests/1.9/net", "hub.lock"),
        ("hub.lock", "tests/1.9/net"),
        ("hub.lock", "hub.lock"),
        ("tests/1.9/net@hub.lock", "tests/1.9/net"),
    ):
        done = cli("diff", old, new)
        assert (done.code, done.out) == (0, "the same\n"), done.err
    (tmp_path / "bad.lock").write_text("lock-version = 7")
    for new in ("tests/1.9/none", "nothing", str(tmp_path / "bad.lock"), "tests/1.9/other@hub.lock", "a/b/c@none.lock"):
        done = cli("diff", "tests/1.9/net", new)
        assert done.code == 2, (new, done.out)
        assert "error" in done.err


def test_locks(cli: Cli) -> None:
    write_local(cli.registry, "tests/1.9/net", OLD)
    write_local(cli.registry, "tests/1.9/gone", OLD)
    assert cli("lock", "tests/1.9/*", "-o", "old.lock").code == 0
    assert cli("sync", "old.lock").code == 0
    write_local(cli.registry, "tests/1.9/net", NEW)
    write_local(cli.registry, "tests/1.9/new", NEW)
    assert cli("lock", "tests/1.9/net", "tests/1.9/new", "-o", "new.lock").code == 0
    done = cli("diff", "old.lock", "new.lock", "--json")
    assert done.code == 1, done.err
    assert (done.json["added"], done.json["removed"]) == (["tests/1.9/new"], ["tests/1.9/gone"])
    (card,) = done.json["cards"]
    assert len(card["pinned"]) == 2  # the card, and its checkpoint
    assert card["assets"][0]["tensors"]["added"][0]["name"] == "new"
    # Elsewhere, where the old card is not, the locks themselves are compared.
    shutil.rmtree(cli.home)
    again = cli("diff", "old.lock", "new.lock", "--json")
    assert again.code == 1
    (card,) = again.json["cards"]
    assert card["pinned"]
    assert "cannot be compared" in card["notes"][0]
    assert cli("diff", "tests/1.9/net@old.lock", "tests/1.9/net").code == 2


def test_what_is_not_stored_is_fetched_when_asked(cli: Cli, server: Server) -> None:
    write_card(cli.registry, "tests/1.8/net", link=server.put("/old.ckpt", OLD), content=OLD)
    write_card(cli.registry, "tests/1.9/net", link=server.put("/new.ckpt", NEW), content=NEW)
    done = cli("diff", "tests/1.8/net", "tests/1.9/net", "--json")
    (card,) = done.json["cards"]
    assert card["assets"][0]["tensors"] is None
    assert sum("not stored" in note for note in card["notes"]) == 2
    assert server.requests == []
    done = cli("diff", "tests/1.8/net", "tests/1.9/net", "--fetch", "--json")
    assert done.code == 1
    (card,) = done.json["cards"]
    assert card["notes"] == []
    assert card["assets"][0]["tensors"]["same"] == 1
    write_card(cli.registry, "tests/2.0/net", link=server.put("/moved.ckpt", NEW), content=NEW)
    (moved,) = cli("diff", "tests/1.9/net", "tests/2.0/net", "--json").json["cards"]
    assert moved["assets"][0]["change"] == "moved"


@pytest.mark.skipif(shutil.which("git") is None, reason="the git program is not installed")
def test_code_between_two_commits(cli: Cli, tmp_path: Path) -> None:
    root = repository(tmp_path / "models")
    code_card(cli, root)
    assert cli("lock", "tests/1.9/net", "-o", "old.lock").code == 0
    folder = root / "research/net"
    (folder / "src/sizes.py").write_text("import os\nimport requests\nWIDTH = 3\nos.system('id')\n")
    (folder / "src/late.py").write_text("from src import sizes\n")
    (folder / "export.py").unlink()
    git(root, "add", "--all")
    git(root, "commit", "--quiet", "--all", "-m", "second")
    # Without --update, a branch stays what it was when it was first fetched here.
    assert cli("lock", "tests/1.9/net", "-o", "new.lock").code == 0
    assert cli("diff", "old.lock", "new.lock").code == 0
    assert cli("lock", "-o", "new.lock", "--update", HUBTOOL_OFFLINE="1").code == 1
    assert cli("lock", "-o", "new.lock", "--update").code == 0
    done = cli("diff", "old.lock", "new.lock", "--json")
    assert done.code == 1, done.err
    code = done.json["cards"][0]["code"]
    assert code["files"] == {"added": ["src/late.py"], "removed": ["export.py"], "changed": ["src/sizes.py"]}
    assert [(one["module"], one["touches"]) for one in code["new_modules"]] == [("os", None), ("requests", "network")]
    assert ("processes", "os.system(...)", "src/sizes.py", 4) in [
        (one["touches"], one["what"], one["path"], one["line"]) for one in code["new_touches"]
    ]
    assert code["old"]["tree"] != code["new"]["tree"]
    text = cli("diff", "old.lock", "new.lock")
    assert "now imports requests: network (src/sizes.py:2)" in text.out


CHANGES = {
    "title": (r"\A# (\S+)", r"# another"),
    "field": (r"^author: .*$", "author: Somebody Else"),
    "gone": (r"^license: .*\n", ""),
    "new": (r"^license:", "inference-time: 1 ms\nlicense:"),
    "nested": (r"^  verdict: .*$", "  verdict: not tried"),
    "text": (r"^## Introduction$", "## Introduction\n\nOne line more."),
    "digest": (r"(asset-sha256: )\w{8}", r"\g<1>00000000"),
    "moved": (r"(asset-link: https://[^/]+/)", r"\g<1>elsewhere/"),
    "commit": (r"^repo-revision: \w{40}", "repo-revision: " + "d" * 40),
}


def said(card: CardDiff) -> set[str]:
    """Return what of these is said to have changed."""
    keys = {
        "author": "field",
        "license": "gone",
        "inference-time": "new",
        "network.verdict": "nested",
        "repo-revision": "commit",
    }
    found = {keys.get(one.key, one.key) for one in card.fields}
    found |= {{"changed": "digest"}.get(one.kind, one.kind) for one in card.assets}
    found |= {"title"} if card.title else set()
    return found | ({"text"} if any(card.body) else set())


@pytest.mark.usefixtures("environment")
@pytest.mark.slow
def test_every_card_of_the_packaged_registry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Changes planted in a copy of the real cards are all told, and nothing else is."""
    copy = tmp_path / "copy"
    shutil.copytree(ROOT / "registry", copy)
    monkeypatch.setenv("HUBTOOL_REGISTRY", str(ROOT / "registry"))
    hub = Hub.open()
    paths = sorted(path for path in copy.rglob("*.md") if len(path.relative_to(copy).parts) in (3, 4))
    planted = 0
    numbers = random.Random(2026)  # noqa: S311 (nothing is kept secret by it)
    for path in paths:
        expected: set[str] = set()
        if numbers.random() < 0.1:
            text = path.read_text(encoding="utf-8")
            for name in numbers.sample(sorted(CHANGES), 2):
                pattern, new = CHANGES[name]
                changed, count = re.subn(pattern, new, text, count=1, flags=re.MULTILINE)
                # In a card that states no such thing, there is nothing to change.
                expected |= {name} if count and changed != text else set()
                text = changed
            path.write_text(text, encoding="utf-8")
            planted += len(expected)
        uid = path.relative_to(copy).as_posix().removesuffix(".md")
        found = cards.diff(hub, uid, str(path))
        # Another file at another link is told as one change.
        if {"digest", "moved"} <= expected:
            expected.discard("moved")
        assert said(found.cards[0]) == expected, uid
        assert found.same is (not expected)
    assert len(paths) > 2900
    assert planted > 300
