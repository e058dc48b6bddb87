"""Repo-links: what they name, and what is refused before git sees it."""

from __future__ import annotations

import pytest

from hubtool.card.model import strip_brackets
from hubtool.card.repository import RepositoryPlace, parse_repo_link
from hubtool.errors import ArgumentError
from tests.support import shared_folder


@pytest.mark.parametrize(
    ("link", "place"),
    [
        (
            "https://gitee.com/mindspore/models/tree/r1.9/official/nlp/bert",
            ("https://gitee.com/mindspore/models", "r1.9", "official/nlp/bert"),
        ),
        (
            "https://github.com/mindspore-lab/mindcv/tree/v0.5.0/",
            ("https://github.com/mindspore-lab/mindcv", "v0.5.0", ""),
        ),
        ("https://github.com/a/b.git", ("https://github.com/a/b", None, "")),
        ("https://gitlab.com/a/b/-/tree/main/x", ("https://gitlab.com/a/b", "main", "x")),
        ("http://127.0.0.1:80/a/b/tree/main/x", ("http://127.0.0.1:80/a/b", "main", "x")),
        ("file:///srv/models/tree/main/x/y", ("file:///srv/models", "main", "x/y")),
    ],
)
def test_links(link: str, place: tuple[str, str | None, str]) -> None:
    url, revision, folder = place
    assert parse_repo_link(link) == RepositoryPlace(url=url, revision=revision, folder=folder)


@pytest.mark.parametrize(
    "link",
    [
        "", "x", "ext::sh -c id", "ssh://git@github.com/a/b", "git@github.com:a/b", "https://github.com/", "https://github.com/a",
        "https://user:secret@github.com/a/b", "https://github.com/a/b/tree/-x/y", "https://github.com/a/b/tree/main/../..",
        "https://github.com/a/b/tree/main/.git/hooks", "https://github.com/a/b/tree/main/%2e%2e/x",
        "https://github.com/a/b/tree/main/x%0ay", "https://github.com/a/b/issues/1", "https://[::1/a/b",
    ],
)  # fmt: skip
def test_what_is_refused(link: str) -> None:
    with pytest.raises(ArgumentError) as caught:
        parse_repo_link(link)
    assert "secret" not in str(caught.value)


def test_every_repo_link_of_the_corpus_is_read() -> None:
    root = shared_folder() / "corpus"
    links = set()
    for path in root.rglob("*.md"):
        for line in path.read_text(encoding="utf-8").splitlines():
            key, _, value = line.partition(":")
            if key.endswith("repo-link") and value.strip():
                links.add(strip_brackets(value))
    assert len(links) > 1500
    for link in links:
        place = parse_repo_link(link)
        assert place.revision
