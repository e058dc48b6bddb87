"""Cards of every kind: valid, mutated, random bytes."""

from __future__ import annotations

import codecs
import time

from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from hubtool.card import check, document, fixing, front_matter, model, rules, schema, vocabulary
from hubtool.errors import CardError
from hubtool.settings import DEFAULT_HOSTS
from hubtool.uid import Uid

HOSTS = frozenset(DEFAULT_HOSTS)
UID = Uid.parse("hub/1.9/tiny")
RELAXED = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])

WORDS = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=12)
PLAIN = st.sampled_from(
    [
        "a",
        "1.9",
        "1.10",
        "010",
        "2022-10-11",
        "2022-8-1",
        "2022/8/1",
        "2022-02-30",
        "Apache2.0",
        "apache-2.0",
        "N/A",
        "-",
        "no",
        "imagenet2012",
        "CIFAR-10",
        "x: y",
        "x:",
        "'q'",
        '"q"',
        "'1.10'",
        "@x",
        "*x",
        "&x y",
        "!t x",
        "[a, b",
        "{a: b}",
        "| ",
        "> x",
        "<https://gitee.com/x>",
        "http://gitee.com/x.ckpt",
        "https://example.org/x.onnx",
        "ABCDEF0123456789",
        "a" * 64,
        "True",
        "yes",
        "# c",
        "a # c",
        "模型：一",
        "\ta",
        "a\tb",
        "top1acc76.97 | top5acc93.44",
        "very good",
        ".CKPT",
        "v1.9",
        "",
    ]
)
KEYS = st.sampled_from(
    [
        *schema.known_keys(),
        "模型名称",
        "许可证",
        "Model_Name",
        "licence",
        "vit-repo-link",
        "unknown",
        "asset-link",
        "train-datasets",
    ]
)
COLONS = st.sampled_from([": ", ":", "：", ":\t", ":   ", " : "])
ENDS = st.sampled_from(["", " ", "\t", "  # note", " # note: x"])
BLANKS = st.sampled_from(["", "\n", "\n\n", "# a comment: x\n", "<<<<<<< a\n"])


@st.composite
def entries(draw: st.DrawFn) -> str:
    key, colon, end = draw(KEYS), draw(COLONS), draw(ENDS)
    kind = draw(st.integers(0, 5))
    if kind == 0:
        dash = draw(st.sampled_from(["- ", "-\n    ", "  - ", "-   "]))
        inner = "\n    ".join(
            f"{draw(KEYS | st.sampled_from(schema.known_keys('asset')))}: {draw(PLAIN)}" for _ in range(2)
        )
        return f"asset:\n\n{dash}{inner}\n"
    if kind == 1:
        return f"{key}: |\n  block: text  \n\n  # no comment\n"
    return f"{key}{colon}{draw(PLAIN | WORDS)}{end}\n"


@st.composite
def cards(draw: st.DrawFn) -> bytes:
    lines = "".join(part for _ in range(draw(st.integers(0, 8))) for part in (draw(entries()), draw(BLANKS)))
    title = draw(st.sampled_from(["# tiny\n\n", "# Other name\n", "", "<!-- hubtool: ignore HT2 -->\n# t\n", "text\n"]))
    body = draw(
        st.sampled_from(
            ["", "\n## Usage\n\n```python\nload('hub/1.9/x')\n", "\n---\n", "\n#### x\n[a](b)\n", "\n# t\n<!--\n"]
        )
        | WORDS
    )
    text = f"{title}---\n{lines}---\n{body}"
    if draw(st.booleans()):
        text = text.replace("\n", "\r\n")
    return draw(st.sampled_from([b"", codecs.BOM_UTF8])) + text.encode("utf-8", "surrogatepass")


@st.composite
def mutated(draw: st.DrawFn) -> bytes:
    data = bytearray(draw(cards()))
    for _ in range(draw(st.integers(1, 4))):
        place = draw(st.integers(0, len(data)))
        data[place : place + draw(st.integers(0, 6))] = draw(st.binary(max_size=6))
    return bytes(data)


ANY = cards() | mutated() | st.binary(max_size=300)


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
    mended, _ = fixing.fix_bytes(data, uid=UID, hosts=HOSTS, wanted=None)
    again, applied = fixing.fix_bytes(mended, uid=UID, hosts=HOSTS, wanted=None)
    assert again == mended
    assert not applied
    before, after = document.parse(data), document.parse(mended)
    if before.front_matter is None:
        assert mended == data
        return
    assert (after.bom, after.head, after.fence, after.body) == (before.bom, before.head, before.fence, before.body)
    old = schema.values(front_matter.read(before.front_matter, 0))
    new = schema.values(front_matter.read(after.front_matter or "", 0))
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

    mended, _ = fixing.fix_bytes(data, uid=UID, hosts=HOSTS, wanted=None)
    # What becomes readable may turn out to be wrong.
    assert errors(mended) <= errors(data) or unread(mended) < unread(data)


@RELAXED
@given(cards(), st.data())
def test_the_front_matter_keeps_comments_and_the_order_of_keys(data: bytes, drawn: st.DataObject) -> None:
    wanted = frozenset(drawn.draw(st.sets(st.sampled_from(sorted(rules.load())))))
    mended, _ = fixing.fix_bytes(data, uid=UID, hosts=HOSTS, wanted=wanted)
    before, after = document.parse(data), document.parse(mended)
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
