"""Registries under arbitrary input: searches, sources, entries, references, YAML scalars, published indexes."""

from __future__ import annotations

import json
import sqlite3
import string
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import yaml
from hypothesis import example, given, settings
from hypothesis import strategies as st

from hubtool.card import yaml_text
from hubtool.errors import ArgumentError
from hubtool.registry import index_file, reading, sources, words
from hubtool.registry.entry import CardEntry
from hubtool.registry.published import index as published_index
from hubtool.uid import Uid
from maintain.importing import facts, references, source, text
from maintain.importing.source import Refused

if TYPE_CHECKING:
    from pathlib import PurePosixPath

_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


class _OneCard:
    """An index with one card in it, as reading asks for one."""

    def __init__(self) -> None:
        self.connection = sqlite3.connect(":memory:")
        columns = ", ".join(words.Columns._fields)
        self.connection.execute(f"CREATE VIRTUAL TABLE word USING fts5 ({columns}, tokenize = {index_file.TOKENIZER})")

    def put(self, entry: CardEntry) -> None:
        columns = words.columns(entry)
        self.connection.execute("DELETE FROM word")
        marks = ",".join("?" * len(columns))
        self.connection.execute(f"INSERT INTO word VALUES ({marks})", columns)  # noqa: S608 - marks only

    def has(self, query: str) -> bool:
        return self.connection.execute("SELECT 1 FROM word WHERE word MATCH ?", [query]).fetchone() is not None

    def names(self, first: str) -> list[str]:
        return [name for name in ("b",) if name.startswith(first)]


@pytest.fixture(scope="module")
def one_card() -> _OneCard:
    """Return an index for one card."""
    return _OneCard()


@given(searched=st.text(max_size=60))
def test_any_text_is_a_query(one_card: _OneCard, searched: str) -> None:
    read = reading.read(searched, one_card)
    for term in (*read.terms, *read.optional):
        for _, query in term.queries():
            one_card.has(query)
    near = words.near(searched)
    if near is not None:
        one_card.has(near)


@example(summary="\u19b0", start=0, length=1)  # a letter since a later Unicode than SQLite's
@given(summary=st.text(min_size=1, max_size=60), start=st.integers(0, 59), length=st.integers(1, 10))
def test_what_is_in_a_summary_is_found(one_card: _OneCard, summary: str, start: int, length: int) -> None:
    # Every run of words, and every run of ideographs, of what is there.
    found = words.tokens(summary)
    part = found[start % len(found) :][:length] if found else []
    one_card.put(CardEntry(uid=Uid.parse("a/1/b"), digest="0" * 64, summary=summary))
    text = "".join(part) if all(len(one) == 1 and one > "⺀" for one in part) else " ".join(part)
    for term in reading.read(text, one_card).terms:
        if term.whole:  # a letter alone
            continue
        queries = [query for _, query in term.queries()]
        assert not queries or any(one_card.has(query) for query in queries), term


@given(value=st.text(max_size=80) | st.from_regex(r"[0-9][0-9a-f._:e+-]{0,8}", fullmatch=True))
def test_a_scalar_is_the_same_text_to_other_yaml_readers(value: str) -> None:
    if value.isprintable() and value:
        read = yaml.safe_load(f"key: {yaml_text.scalar(value)}\nother: 1\n")
        assert read == {"key": value, "other": 1}


@given(
    items=st.lists(
        st.builds(
            sources.RegistrySource,
            name=st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._-]{0,20}", fullmatch=True),
            kind=st.just("folder"),
            location=st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=40),
        ),
        max_size=4,
    )
)
@settings(deadline=None)
def test_added_registries_survive_their_file(
    tmp_path_factory: pytest.TempPathFactory, items: list[sources.RegistrySource]
) -> None:
    path = tmp_path_factory.mktemp("sources") / "registries.toml"
    sources.save(path, items)
    assert sources.load(path) == tuple(items)


@given(
    name=st.text(max_size=20),
    location=st.text(max_size=60),
    revision=st.none() | st.text(max_size=20),
    sub=st.text(max_size=20),
)
def test_a_source_is_read_or_refused(name: str, location: str, revision: str | None, sub: str) -> None:
    try:
        read = sources.parse(name, location, revision=revision, subfolder=sub, present=False)
    except (ArgumentError, ValueError):
        return
    assert read.kind in sources.KINDS
    assert not read.location.startswith("-")
    assert ".." not in Path(read.subfolder).parts
    assert read.folder(Path("/home")).parent == Path("/home/registries")


@given(value=_json)
def test_any_json_is_an_entry_or_none(value: object) -> None:
    entry = CardEntry.of_json(value)
    assert entry is None or CardEntry.of_json(json.loads(json.dumps(entry.as_json()))) == entry


@given(data=st.binary(max_size=200) | _json.map(lambda value: json.dumps(value).encode()))
def test_any_bytes_are_an_index_or_none(data: bytes) -> None:
    index = published_index.read_index(data)
    assert index is None or index.cards >= 0 or index.shards is not None


@given(uid=st.text(string.ascii_letters, min_size=1), width=st.integers(0, 6))
def test_the_shard_of_a_card_is_one_that_an_index_may_name(uid: str, width: int) -> None:
    name = published_index.shard_name(uid, width)
    assert published_index.SHARD.match(f"{name}-{'0' * 16}.json")
    assert name == "all" or len(name) == width


_MARKDOWN = st.lists(
    st.sampled_from(["## Citation", "- ", "1. ", "[1] ", "[a](https://arxiv.org/abs/1512.03385)", '"A Title Of It"'])
    | st.text(max_size=20),
    max_size=12,
).map("\n".join)


@given(body=_MARKDOWN)
def test_references_of_any_text(body: str) -> None:
    items = references.items(body, "name")
    found, unread = references.resolve(items, references.known(items))
    assert len(found) + len(unread) <= len(items) + sum(body.count(one.title) for one in found)
    for reference in found:
        assert reference.title == " ".join(reference.title.split())


_ENTRY = st.tuples(
    st.sampled_from(
        [
            "model-name",
            "mindspore-version",
            "evaluation",
            "asset",
            "train-dataset",
            "repo-link",
            "license",
            "模型名称",
            "x",
        ]
    ),
    st.sampled_from([": ", "：", ":"]),
    st.text(max_size=20) | st.sampled_from(["1.10", "-", "a: b", "[1]", "<https://gitee.com/a/b>", "{", "\n- a: b"]),
)


@given(entries=st.lists(_ENTRY, max_size=6))
def test_any_card_of_a_source_is_imported_or_refused(entries: list[tuple[str, str, str]]) -> None:
    lines = "".join(f"{key}{colon}{value}\n" for key, colon, value in entries)
    path: PurePosixPath = Uid.parse("a/1.0/b").path
    card = source.read(path, f"# t\n\n---\n\n{lines}\n---\n".encode("utf-8", "replace"))
    if isinstance(card, Refused):
        assert card.reason
        return
    known = facts.of_source(card, (), ())
    if "model-name" not in known.values:
        return
    written = text.write(known)
    seen = text.look(written)
    assert seen.marked
    assert seen.imported
    # Written again over itself, it is the same.
    assert text.write(known, seen) == written
