"""Fixes: what changes, what never does, and how it is written."""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING

import pytest

from hubtool.card import document, front_matter, vocabulary
from hubtool.card.files import uid_of_path
from hubtool.card.finding import Edit, Fix
from hubtool.card.rewrite import unified_diff
from hubtool.card.validate import autofix
from hubtool.card.validate.run import ValidateOptions, check_paths, fix_paths
from hubtool.card.values import plain_values
from hubtool.settings import DEFAULT_HOSTS
from tests.support import corpus

if TYPE_CHECKING:
    from pathlib import Path

    from hubtool.card.validate.selection import Selection

HOSTS = frozenset(DEFAULT_HOSTS)
BAD = b"""# t

---

# a comment: with a colon

license:   Apache2.0   # and one behind it

mindspore-version: 1.10\r
train-dataset: "imagenet2012"
evaluation: -
summary: of: it
author:\tsomebody
repo-link: <https://gitee.com/x>
update-time: 2022-8-1

---

Body:  \r
license: Apache2.0
"""
GOOD = b"""# t

---

# a comment: with a colon

license:   Apache-2.0   # and one behind it

mindspore-version: '1.10'\r
train-dataset: "ImageNet2012"
summary: 'of: it'
author: somebody
repo-link: https://gitee.com/x
update-time: 2022-08-01

---

Body:  \r
license: Apache2.0
"""


def fix(data: bytes, wanted: frozenset[str] | None = None) -> bytes:
    return autofix.fix_bytes(data, uid=None, hosts=HOSTS, wanted=wanted)[0]


def test_only_what_is_wrong_changes() -> None:
    data, fixed = autofix.fix_bytes(BAD, uid=None, hosts=HOSTS, wanted=None)
    assert data == GOOD
    assert fixed == {"HT108": 1, "HT201": 2, "HT208": 1, "HT210": 1, "HT211": 1, "HT213": 1, "HT309": 1}
    assert fix(data) == data


def test_only_what_is_wanted_is_fixed() -> None:
    assert fix(BAD, frozenset({"HT211"})) == BAD.replace(b"Apache2.0   #", b"Apache-2.0   #")
    assert fix(BAD, frozenset()) == BAD


def test_what_is_suppressed_is_not_mended() -> None:
    data = b"<!-- hubtool: ignore HT -->\n" + BAD
    assert fix(data) == data


def facts(data: bytes) -> dict[str, object]:
    """Return the facts of a card, spelt in one way; what says nothing is no fact."""
    card = document.parse(data)
    values = plain_values(front_matter.read(card.front_matter or "", 0))
    found: dict[str, object] = {}
    for key, value in values.items():
        if not isinstance(value, str):
            found[key] = str(value).replace("<", "").replace(">", "").lower()
        elif not vocabulary.says_nothing(value):
            known = {"train-dataset": vocabulary.dataset, "license": vocabulary.licence, "module-type": vocabulary.task}
            text = known[key](value) or value if key in known else value.strip().strip("<>")
            found[key] = "-".join(part.zfill(2) for part in text.split("-")) if key == "update-time" else text
    return found


@pytest.mark.slow
def test_the_corpus_keeps_its_facts_and_bodies() -> None:
    changed = 0
    for path in corpus():
        data = path.read_bytes()
        uid = uid_of_path(path)
        fixed, counts = autofix.fix_bytes(data, uid=uid, hosts=HOSTS, wanted=None)
        again, nothing = autofix.fix_bytes(fixed, uid=uid, hosts=HOSTS, wanted=None)
        assert again == fixed, path
        assert not nothing, path
        before, after = document.parse(data), document.parse(fixed)
        assert (after.bom, after.head, after.fence, after.body) == (before.bom, before.head, before.fence, before.body)
        old, new = facts(data), facts(fixed)
        assert {key: new.get(key) for key in old} == old, path
        lines = (before.front_matter or "").splitlines()
        assert [line for line in lines if line.startswith("#")] == [
            line for line in (after.front_matter or "").splitlines() if line.startswith("#")
        ]
        changed += bool(counts)
    assert changed == 2915


def test_a_translated_card_is_fixed_whole() -> None:
    for path in corpus():
        if path.stem.endswith("_cn"):
            fixed = fix(path.read_bytes())
            found = front_matter.read(document.parse(fixed).front_matter or "", 0)
            assert found.faults == ()
            assert "mindspore-version" in facts(fixed)


def test_a_diff_holds_the_cards_own_bytes() -> None:
    before = b"---\na: 1\r\nb: 2\n---\n" + b"x\n" * 5 + b"end"
    shown = unified_diff(before, before.replace(b"a: 1", b"a: 3"), "/hub/\u00e9.md")
    assert shown.decode() == (
        "--- a/hub/é.md\n+++ b/hub/é.md\n@@ -1,5 +1,5 @@\n ---\n-a: 1\r\n+a: 3\r\n b: 2\n ---\n x\n"
    )
    shown = unified_diff(b"a", b"b", "x.md")
    assert shown.endswith(b"-a\n\\ No newline at end of file\n+b\n\\ No newline at end of file\n")
    assert unified_diff(b"a", b"a", "x.md") == b""


def test_of_fixes_that_overlap_the_first_is_made() -> None:
    fixes = [
        ("HT002", Fix(edits=(Edit(2, 4, "y"),), title="")),
        ("HT001", Fix(edits=(Edit(0, 3, "x"), Edit(6, 7, "z")), title="")),
        ("HT003", Fix(edits=(Edit(8, 8, "!"),), title="")),
        ("HT004", Fix(edits=(Edit(5, 6, "touches"),), title="")),
    ]
    text, applied = autofix.apply("abcdefghij", fixes)
    assert text == "xdefzh!ij"
    assert applied == {"HT001": 1, "HT003": 1}


def run(path: Path, *, write: bool = True, selection: Selection | None = None) -> list[autofix.FixedCard]:
    options = ValidateOptions(selection=selection) if selection else ValidateOptions()
    return list(fix_paths([path], options, write=write, show=True))


def test_a_card_keeps_its_mode(tmp_path: Path) -> None:
    path = tmp_path / "a.md"
    path.write_bytes(BAD)
    path.chmod(0o640)
    (outcome,) = run(path)
    assert outcome.problem is None
    assert path.read_bytes() == GOOD
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    assert [one.name for one in tmp_path.iterdir()] == ["a.md"]
    assert run(path) == []


def test_what_is_only_shown_is_not_written(tmp_path: Path) -> None:
    path = tmp_path / "a.md"
    path.write_bytes(BAD)
    (outcome,) = run(path, write=False)
    assert b"+license:   Apache-2.0   # and one behind it\n" in outcome.diff
    assert path.read_bytes() == BAD


def test_a_link_stays_a_link(tmp_path: Path) -> None:
    (tmp_path / "hub").mkdir()
    real = tmp_path / "hub" / "real.md"
    real.write_bytes(BAD)
    link = tmp_path / "hub" / "link.md"
    link.symlink_to("real.md")
    (outcome,) = run(link)
    assert outcome.problem is None
    assert link.is_symlink()
    assert real.read_bytes() == GOOD


def test_a_link_out_of_the_folder_is_not_followed_to_write(tmp_path: Path) -> None:
    (tmp_path / "hub").mkdir()
    real = tmp_path / "real.md"
    real.write_bytes(BAD)
    (tmp_path / "hub" / "link.md").symlink_to(real)
    (outcome,) = run(tmp_path / "hub")
    assert "leads out" in str(outcome.problem)
    assert real.read_bytes() == BAD


def test_a_card_that_changes_meanwhile_is_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.md"
    path.write_bytes(BAD)
    fix_bytes = autofix.fix_bytes

    def slow(data: bytes, **options: object) -> object:
        path.write_bytes(b"another card\n")
        return fix_bytes(data, **options)  # type: ignore[arg-type]  # passed on as they came

    monkeypatch.setattr(autofix, "fix_bytes", slow)
    (outcome,) = run(path)
    assert "changed in the meantime" in str(outcome.problem)
    assert path.read_bytes() == b"another card\n"
    assert [one.name for one in tmp_path.iterdir()] == ["a.md"]


def test_a_full_or_closed_folder_is_a_problem_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.md"
    path.write_bytes(BAD)

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    (outcome,) = run(path)
    assert "No space left" in str(outcome.problem)
    assert path.read_bytes() == BAD
    assert [one.name for one in tmp_path.iterdir()] == ["a.md"]


def test_a_mended_card_has_nothing_to_mend(tmp_path: Path) -> None:
    path = tmp_path / "a.md"
    path.write_bytes(BAD)
    run(path)
    assert [found.code for found in check_paths([path]).diagnostics if found.fixable] == []
