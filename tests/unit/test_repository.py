"""Repo-links: what they name, and what is refused before git sees it."""

from __future__ import annotations

import pytest

from hubtool.card.model import strip_brackets
from hubtool.card.repo_link import RepositoryPlace, check_repository_url, check_revision, parse_repo_link
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
        ("https://gitlab.example/group/sub/name/-/tree/main/x", ("https://gitlab.example/group/sub/name", "main", "x")),
        ("https://gitlab.example/group/sub/name/tree/main/x", ("https://gitlab.example/group/sub/name", "main", "x")),
        ("https://gitlab.example/group/sub/name.git", ("https://gitlab.example/group/sub/name", None, "")),
        ("https://github.com/a/b/tree/HEAD/x", ("https://github.com/a/b", None, "x")),
        ("file:///srv/models/tree/main/x/y", ("file:///srv/models", "main", "x/y")),
    ],
)
def test_links(link: str, place: tuple[str, str | None, str]) -> None:
    url, revision, folder = place
    assert parse_repo_link(link) == RepositoryPlace(url=url, revision=revision, folder=folder)


@pytest.mark.parametrize(
    "link",
    [
        "", "x", "ext::sh -c id", "ssh://git@github.com/a/b", "git@github.com:a/b", "https://github.com/",
        "https://github.com/a",
        "https://user:secret@github.com/a/b", "https://github.com/a/b/tree/-x/y",
        "https://github.com/a/b/tree/main/../..",
        "https://github.com/a/b/tree/main/.git/hooks", "https://github.com/a/b/tree/main/%2e%2e/x",
        "https://github.com/a/b/tree/main/x%0ay", "https://github.com/a/b/issues/1", "https://[::1/a/b",
        # Parts that a server may decode once more, resolve or join, so that another owner's repository is served.
        "https://gitee.com/mindspore/%252e%252e%252fevil/x/tree/main/y", "https://gitee.com/mindspore/%2e%2e/tree/main",
        "https://gitee.com/mindspore/../evil/tree/main", "https://gitee.com/mindspore/./models/tree/main/x",
        "https://gitee.com/mindspore//models/tree/main/x", "https://gitee.com//mindspore/models",
        "https://gitee.com/mindspore/a%2fb",
        "https://gitee.com/mindspore/models?x/tree/main", "https://gitee.com/mindspore/models#x",
        "https://gitee.com/mindspore\\models/x",
        "https://gitee.com/mindspore/a%25b", "https://gitee.com/mindspore/a%00b", "https://gitee.com/-x/models",
        "https://gitee.com/.x/models",
        "https://gitee.com/mind%20spore/models", "https://gitee.com/mindspore/models/tree/main/a%252fb",
        "https://gitee.com/m\u0456ndspore/models",
        "https://gitlab.example/group/../name/-/tree/main/x", "https://gitee.com/mindspore/models.git.git",
        "https://gitee.com:x/a/b", "https://gitee.com/mindspore/evil/repo/-/tree/main",
        "file:gitee.com/mindspore/models", "file:x/y", "file://gitee.com/mindspore/models",
        "file:///srv/../etc/tree/main", "file:///srv//x/tree/main",
        "file:///srv/%252e%252e/x/tree/main", "https://github.com/a/b/tree/%72efs%2fpull%2f7/x",
        "https://github.com/a/b/tree/main/%2Egit/x", "https://github.com/a/b/tree/main~1/x",
        "https://github.com/a/b/tree/main@%7b0%7d/x",
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


@pytest.mark.parametrize(
    "revision", ["a" * 40, "0" * 64, "main", "r1.9", "v0.5.0", "feature/x-1", "release_2", "deadbeef"]
)
def test_revisions(revision: str) -> None:
    check_revision(revision)


@pytest.mark.parametrize(
    "revision",
    [
        "", "refs/pull/7/head", "refs/heads/main", "pull/7/head", "merge-requests/3/head", "changes/01/1/1", "HEAD",
        "FETCH_HEAD", "@",
        "main@{1}", "main~2", "main^", "main:x", "a..b", "a...b", "-x", "--upload-pack=id", ".x", "x/.y", "x.lock",
        "x/", "/x", "x//y", "x.",
        "A" * 40, "a b", "a\nb", "x" * 201, "*", "x?", "a\\b",
    ],
)  # fmt: skip
def test_revisions_that_are_refused(revision: str) -> None:
    with pytest.raises(ArgumentError, match="is not a revision") as caught:
        check_revision(revision)
    assert "full commit id" in str(caught.value.hint)


@pytest.mark.parametrize(
    "url", ["https://h/a", "https://h/a/%2e%2e", "https://h/a/..", "https:///a/b", "h/a/b", "file://h/x", "file:///"]
)
def test_urls_of_no_repository(url: str) -> None:
    with pytest.raises(ArgumentError):
        check_repository_url(url)
