"""Cards of every kind: valid, mutated, random bytes."""

from __future__ import annotations

import time

from hypothesis import example, given
from hypothesis import strategies as st

from hubtool.card import document, front_matter, model, rules, schema, vocabulary
from hubtool.card.validate import autofix, check
from hubtool.card.values import plain_values
from hubtool.errors import CardError
from hubtool.settings import DEFAULT_HOSTS
from hubtool.uid import Uid
from tests.support.strategies import ANY, RELAXED, cards

HOSTS = frozenset(DEFAULT_HOSTS)
UID = Uid.parse("hub/1.9/tiny")


@RELAXED
@given(ANY)
def test_a_check_never_raises_and_always_says_where(data: bytes) -> None:
    started = time.perf_counter()
    checked = check.check(data, path="a.md", uid=UID, hosts=HOSTS)
    assert time.perf_counter() - started < 1
    lines = data.decode("utf-8-sig", "replace").split("\n")
    for found in checked.diagnostics:
        assert found.code in rules.load()
        assert 1 <= found.line <= len(lines)
        assert found.column >= 1
        assert (found.end_line, found.end_column) >= (found.line, found.column)
        assert found.message
        assert found.message.isprintable()


@RELAXED
@given(ANY)
def test_a_round_trip_keeps_every_byte(data: bytes) -> None:
    card = document.parse(data)
    if not any(fault.code == "HT102" for fault in card.faults):
        assert card.to_bytes() == data
    assert card.text == f"{card.head}{card.front_matter or ''}{card.fence}{card.body}"


@RELAXED
@given(ANY)
def test_reading_gives_a_card_or_says_why_not(data: bytes) -> None:
    try:
        card = model.read(data, uid=UID)
    except CardError:
        return
    assert card.uid == UID
    assert isinstance(card.values, dict)


@RELAXED
@given(ANY)
def test_every_node_is_where_it_is_said_to_be(data: bytes) -> None:
    card = document.parse(data)
    found = front_matter.read(card.front_matter or "", card.front_matter_offset)
    for entry in found.entries:
        start, end = found.span(f"/{schema.escape(entry.key)}", key=True)
        written = card.text[start:end]
        if written[:1] not in "'\"&!*|>?":
            assert written == entry.key


@RELAXED
@example(b"# tiny\n\n---\nmodel-name: &x y\nmodel-name:&x y\n---\n")
@given(ANY)
def test_mending_twice_changes_nothing_and_loses_nothing(data: bytes) -> None:
    fixed, _ = autofix.fix_bytes(data, uid=UID, hosts=HOSTS, wanted=None)
    again, applied = autofix.fix_bytes(fixed, uid=UID, hosts=HOSTS, wanted=None)
    assert again == fixed
    assert not applied
    before, after = document.parse(data), document.parse(fixed)
    if before.front_matter is None:
        assert fixed == data
        return
    assert (after.bom, after.head, after.fence, after.body) == (before.bom, before.head, before.fence, before.body)
    old = plain_values(front_matter.read(before.front_matter, 0))
    new = plain_values(front_matter.read(after.front_matter or "", 0))
    for key, value in old.items():
        if key in new:
            continue
        renamed = vocabulary.key(key)
        assert renamed in new or (isinstance(value, str) and vocabulary.says_nothing(value)), (key, value)


@RELAXED
@given(cards())
def test_a_mended_card_has_no_more_errors(data: bytes) -> None:
    def errors(card: bytes) -> int:
        return sum(found.severity == "error" for found in check.check(card, path="", uid=UID, hosts=HOSTS).diagnostics)

    def unread(card: bytes) -> int:
        taken = document.parse(card)
        faults = front_matter.read(taken.front_matter or "", 0).faults
        return sum(fault.code == "HT201" for fault in faults)

    fixed, _ = autofix.fix_bytes(data, uid=UID, hosts=HOSTS, wanted=None)
    # What becomes readable may turn out to be wrong.
    assert errors(fixed) <= errors(data) or unread(fixed) < unread(data)


@RELAXED
@given(cards(), st.data())
def test_the_front_matter_keeps_comments_and_the_order_of_keys(data: bytes, drawn: st.DataObject) -> None:
    wanted = frozenset(drawn.draw(st.sets(st.sampled_from(sorted(rules.load())))))
    fixed, _ = autofix.fix_bytes(data, uid=UID, hosts=HOSTS, wanted=wanted)
    before, after = document.parse(data), document.parse(fixed)
    if before.front_matter is None:
        return
    old, new = before.front_matter.split("\n"), (after.front_matter or "").split("\n")
    comments = [line.strip() for line in old if line.startswith("#")]
    # A comment behind an entry that is taken out is one more.
    kept_comments = iter([line.strip() for line in new if line.startswith("#")])
    assert all(comment in kept_comments for comment in comments) or "|" in before.front_matter
    blank = [line for line in old if not line.strip()]
    assert len([line for line in new if not line.strip()]) >= len(blank)
    read = front_matter.read(before.front_matter, 0)
    if read.faults:
        return  # an entry that becomes readable may be the first of its key, and so change which place counts
    keys = [entry.key for entry in read.entries]
    kept = [entry.key for entry in front_matter.read(after.front_matter or "", 0).entries]
    names = [vocabulary.key(key) or key for key in kept]
    order = [name for name in (vocabulary.key(key) or key for key in keys) if name in names]
    assert [name for name in names if name in order][: len(order)] == list(dict.fromkeys(order)) or len(
        set(order)
    ) < len(order)
