"""Parts of an audit: who is asked next, what is kept, which licence a text is, what is told from the cards alone."""

from __future__ import annotations

import json
import threading
import time
from typing import TYPE_CHECKING

import pytest

from hubtool.audit import judge, licences, plan
from hubtool.audit.plan import CardFacts, LinkTarget, RepositoryTarget, Use
from hubtool.audit.report import AuditReport
from hubtool.audit.schedule import Schedule
from hubtool.audit.state import AuditRecord, AuditState
from hubtool.card.model import Asset
from hubtool.card.repo_link import RepositoryPlace
from hubtool.digest import Digest
from hubtool.errors import ForbiddenLinkError, StoreError
from tests.support.world import APACHE, MIT

if TYPE_CHECKING:
    from pathlib import Path

A, B = "a" * 64, "b" * 64


# -- the schedule --------------------------------------------------------------------------------------------------


def test_hosts_take_turns_and_have_limits() -> None:
    work = [("slow", f"slow{at}") for at in range(4)] + [("fast", f"fast{at}") for at in range(2)]
    schedule = Schedule(work, per_host=1, rate=0)
    first, second = schedule.take(), schedule.take()
    assert {first, second} == {("slow", "slow0"), ("fast", "fast0")}
    schedule.done("fast")
    assert schedule.take() == ("fast", "fast1")  # `slow` has one at work, which is all that it may
    schedule.done("slow")
    assert schedule.take() == ("slow", "slow1")


def test_the_rate_of_a_host() -> None:
    now = [100.0]
    schedule = Schedule([("h", at) for at in range(3)], per_host=9, rate=4, clock=lambda: now[0])
    assert schedule.take() == ("h", 0)
    waiting = threading.Thread(target=lambda: taken.append(schedule.take()), daemon=True)
    taken: list[object] = []
    waiting.start()
    time.sleep(0.05)
    assert taken == []  # a quarter of a second has not passed
    now[0] += 0.25
    waiting.join(5)
    assert taken == [("h", 1)]


def test_work_that_is_given_back_waits_with_its_whole_host() -> None:
    now = [0.0]
    schedule = Schedule([("h", "a"), ("h", "b"), ("other", "c")], per_host=2, rate=0, clock=lambda: now[0])
    assert schedule.take() == ("h", "a")
    schedule.again("h", "a", 30.0)
    assert schedule.take() == ("other", "c")
    schedule.done("other")
    now[0] = 30.0
    assert schedule.take() == ("h", "b")
    assert schedule.take() == ("h", "a")
    schedule.done("h")
    schedule.done("h")
    assert schedule.take() is None


def test_the_end_wakes_those_that_wait() -> None:
    schedule = Schedule([("h", "a")], per_host=1, rate=0)
    assert schedule.take() == ("h", "a")
    taken: list[object] = []
    waiting = threading.Thread(target=lambda: taken.append(schedule.take()), daemon=True)
    waiting.start()
    schedule.end()
    waiting.join(5)
    assert taken == [None]


# -- the state -----------------------------------------------------------------------------------------------------


def record(key: str, at: float = 1.0, **seen: object) -> AuditRecord:
    return AuditRecord(key=key, at=at, deep=False, seen=seen, base={})


def test_an_interrupted_run_is_resumed(tmp_path: Path) -> None:
    path = tmp_path / "deep/state.jsonl"
    with AuditState(path=path) as state:
        state.begin(restart=False)
        state.add(record("one"))
        state.finish(["one"])
    with AuditState(path=path) as state:
        assert (set(state.known), state.fresh, state.resumed) == ({"one"}, set(), False)
        state.begin(restart=False)
        state.add(record("two", size=5))
    for _ in range(2):  # ended before it did anything, too
        with AuditState(path=path) as state:
            assert (set(state.known), state.fresh, state.resumed) == ({"one", "two"}, {"two"}, True)
            state.begin(restart=False)
    with AuditState(path=path) as state:
        state.begin(restart=True)
        assert (state.fresh, state.resumed) == (set(), False)
    with AuditState(path=path) as state:
        state.begin(restart=False)
        state.finish(["two"])
    with AuditState(path=path) as state:
        assert state.known == {"two": record("two", size=5)}
    assert sorted(one.name for one in path.parent.iterdir()) == ["state.jsonl", "state.jsonl.lock"]


@pytest.mark.parametrize(
    "junk", ["", "\n\n", "[]", "{", '{"key": 1}', "\0", '{"key": "x", "at": "soon", "seen": {}, "base": {}}', "é" * 99]
)
def test_lines_that_are_none(tmp_path: Path, junk: str) -> None:
    path = tmp_path / "state.jsonl"
    path.write_bytes(record("one").line().encode() + junk.encode("latin-1") + b"\n" + record("two").line().encode())
    with AuditState(path=path) as state:
        assert set(state.known) == {"one", "two"}


def test_one_process_at_a_time(tmp_path: Path) -> None:
    path = tmp_path / "state.jsonl"
    with AuditState(path=path), pytest.raises(StoreError, match="another audit"), AuditState(path=path):
        pass
    with AuditState(path=path):
        pass


# -- licences ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "name"),
    [
        (APACHE, "Apache-2.0"),
        (MIT, "MIT"),
        ("GNU GENERAL PUBLIC LICENSE\n   Version 3, 29 June 2007", "GPL-3.0-only"),
        ("GNU GENERAL PUBLIC LICENSE\n   Version 2, June 1991", "GPL-2.0-only"),
        ("GNU LESSER GENERAL PUBLIC LICENSE\nVersion 3 ... GNU General Public License", "LGPL-3.0-only"),
        ("Mulan Permissive Software License,\nVersion 2 (Mulan PSL v2)", "MulanPSL-2.0"),
        ("Redistribution and use in source and binary\nforms ... Neither the name of", "BSD-3-Clause"),
        ("Redistribution and use in source and binary forms", "BSD-2-Clause"),
        ("Attribution-NonCommercial 4.0 International", "CC-BY-NC-4.0"),
        ("Attribution 4.0 International", "CC-BY-4.0"),
        ("All rights reserved.", None),
        ("", None),
    ],
)
def test_licences_are_recognised(text: str, name: str | None) -> None:
    assert licences.recognise(text) == name


@pytest.mark.parametrize(
    ("stated", "found", "agree"),
    [
        ("Apache-2.0", "Apache-2.0", True),
        ("MIT", "Apache-2.0", False),
        ("GPL-3.0-or-later", "GPL-3.0-only", True),
        ("GPL-2.0-only", "GPL-3.0-only", False),
        ("", "MIT", True),
        ("MIT OR Apache-2.0", "MIT", True),
        ("LicenseRef-Own", "MIT", True),
    ],
)
def test_licences_agree(stated: str, found: str, agree: bool) -> None:
    assert licences.agree(stated, found) is agree


# -- the plan ------------------------------------------------------------------------------------------------------


def card(uid: str, *assets: tuple[str, str | None], place: RepositoryPlace | None = None) -> CardFacts:
    return CardFacts(
        uid=uid,
        assets=tuple(
            Asset(format="ckpt", link=link, digest=None if digest is None else Digest(digest))
            for link, digest in assets
        ),
        place=place,
        licence="MIT",
    )


def made(*cards: CardFacts) -> plan.AuditPlan:
    def check(link: str) -> str:
        if "bad" in link:
            raise ForbiddenLinkError("no")
        return link.lower()

    return plan.make(cards, check=check, check_repository=lambda _: None)


def test_each_link_and_repository_once() -> None:
    place = RepositoryPlace(url="https://h/o/r", revision="main", folder="x")
    found = made(
        card("p/1/a", ("https://h/x", A), ("beside.ckpt", A), place=place),
        card("p/1/b", ("https://H/x", A), ("https://bad/x", A), place=place.at("c" * 40)),
        card("p/1/c", ("https://bad/x", B), place=place),
    )
    assert [(one.link, one.uids) for one in found.links] == [("https://h/x", ("p/1/a", "p/1/b"))]
    (repository,) = found.repositories
    assert dict(repository.revisions) == {"main": (("p/1/a", "MIT"), ("p/1/c", "MIT")), "c" * 40: (("p/1/b", "MIT"),)}
    assert (found.cards, found.local) == (3, 1)
    assert [(one.kind, one.uids) for one in found.findings] == [("link-forbidden", ("p/1/b", "p/1/c"))]
    assert found.notes == ()


def test_duplicates_and_disagreements() -> None:
    found = made(
        card("p/1/a", ("https://h/x", A)),
        card("p/1/b", ("https://h/y", A[:8])),
        card("p/1/c", ("https://h/z", B[:8])),
        card("p/1/d", ("https://h/z", B)),
        card("p/1/e", ("https://h/w", "c" * 64)),
        card("p/1/f", ("https://h/w", "d" * 8)),
    )
    assert [(one.kind, one.target, one.uids) for one in found.notes] == [("duplicate", A, ("p/1/a", "p/1/b"))]
    assert [(one.kind, one.target) for one in found.findings] == [("digests-disagree", "https://h/w")]


# -- judging -------------------------------------------------------------------------------------------------------

LINK = LinkTarget(link="https://h/x", uses=(Use(uid="p/1/a", digest=Digest(A), size=None),))


def kinds(target: LinkTarget | RepositoryTarget, seen: dict[str, object], base: dict[str, object]) -> list[str]:
    return [
        one.kind for one in judge.judge(target, AuditRecord(key=target.key, at=0, deep=False, seen=seen, base=base))
    ]


@pytest.mark.parametrize(
    ("seen", "base", "expected"),
    [
        ({}, {}, []),
        ({"size": 5, "etag": '"a"'}, {"size": 5, "etag": '"a"'}, []),
        ({"size": 5, "etag": '"a"', "modified": "now"}, {"etag": 'W/"a"', "modified": "then"}, []),
        ({"size": 6, "etag": '"b"'}, {"size": 5, "etag": '"a"'}, ["size-drifted"]),
        ({"etag": '"b"'}, {"etag": '"a"'}, ["bytes-changed"]),
        ({"etag": '"b"', "place": "https://cdn/x"}, {"etag": '"a"'}, []),
        ({"modified": "now"}, {"modified": "then"}, ["bytes-changed"]),
        ({"etag": '"b"', "sha256": A}, {"etag": '"a"'}, []),
        ({"etag": '"b"', "sha256": B, "size": 6}, {"size": 5}, ["digest-drifted"]),
        ({"fault": "link-gone", "message": "404"}, {"etag": '"a"'}, ["link-gone"]),
        ({"moved": "https://h/y", "fault": "link-gone"}, {}, ["link-moved", "link-gone"]),
    ],
)
def test_links_are_judged(seen: dict[str, object], base: dict[str, object], expected: list[str]) -> None:
    assert kinds(LINK, seen, base) == expected


def test_a_file_of_which_no_card_states_a_digest() -> None:
    target = LinkTarget(link="https://h/x", uses=(Use(uid="p/1/a", digest=None, size=7),))
    assert kinds(target, {"sha256": B, "size": 7}, {"sha256": B}) == []
    assert kinds(target, {"sha256": B, "size": 8}, {"sha256": A}) == ["digest-drifted", "size-drifted"]


def test_what_is_compared_next_time() -> None:
    first = judge.base(LINK, {"size": 5, "etag": '"a"'}, None)
    assert first == {"size": 5, "etag": '"a"'}
    before = AuditRecord(key=LINK.key, at=0, deep=False, seen={}, base=first)
    assert judge.base(LINK, {"size": 6, "etag": '"b"', "modified": "now"}, before) == {**first, "modified": "now"}
    assert judge.base(LINK, {"fault": "link-gone"}, before) == first
    assert judge.base(LINK, {"size": 6, "sha256": B}, before) == {**first, "sha256": B}
    assert judge.base(LINK, {"size": 6, "sha256": A}, before) == {"size": 6, "sha256": A}
    assert judge.base(LINK, {"size": 6}, before, accept=True) == {"size": 6}
    assert judge.base(LINK, {"size": 6, "place": "https://cdn/x"}, before) == first


def test_repositories_are_judged() -> None:
    target = RepositoryTarget(url="https://h/o/r", revisions=(("main", (("p/1/a", "MIT"),)), ("", (("p/1/b", ""),))))
    mit = {"file": "LICENSE", "sha256": A, "spdx": "MIT"}
    apache = {"file": "LICENSE", "sha256": B, "spdx": "Apache-2.0"}
    commits = {"main": "c" * 40, "": "c" * 40}
    good: dict[str, object] = {"commits": commits, "licences": {"main": mit, "": mit}}
    assert kinds(target, good, {"licences": {"main": mit}}) == []
    assert kinds(target, {**good, "commits": {"main": None, "": "c" * 40}}, {}) == ["revision-gone"]
    assert kinds(target, {**good, "licences": {"main": apache, "": apache}}, {"licences": {"main": mit}}) == [
        "licence-differs",
        "licence-changed",
    ]
    assert kinds(target, {**good, "licences": {"main": None, "": mit}}, {"licences": {"main": mit}}) == [
        "licence-changed",
        "licence-unknown",
    ]
    assert kinds(target, {"fault": "link-unreachable"}, {}) == ["repository-unreachable"]


def test_an_empty_report() -> None:
    empty = AuditReport(
        registries=("none",), begun=0.0, seconds=1.0, deep=False, plan=made(), looked=0, findings=(), notes=()
    )
    assert empty.clean
    assert "nothing is wrong" in empty.as_markdown()
    assert json.loads(json.dumps(empty.as_json()))["counts"]["cards"] == 0
