"""Code of repositories: real git repositories, by file and over HTTP on this machine, hostile ones among them."""

from __future__ import annotations

import json
import os
import resource
import shutil
import subprocess
import sys
import time
from itertools import chain, repeat
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from hubtool.card.repo_link import RepositoryPlace
from hubtool.errors import ArgumentError, FetchError, ForbiddenLinkError, OfflineError
from hubtool.git import hardened
from hubtool.git.code import CodeStore
from hubtool.git.code_files import tree_digest
from hubtool.links import LinkPolicy
from hubtool.registry import git as registry_git
from hubtool.registry.sources import RegistrySource
from hubtool.store.store import Store
from tests.support import wait_until
from tests.support.git import git, serving_git
from tests.support.server import serving

if TYPE_CHECKING:
    from tests.support.server import Answer, Request

pytestmark = pytest.mark.skipif(shutil.which("git") is None, reason="the git program is not installed")


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """Return a repository with two model folders, and everything in it that could do harm."""
    root = tmp_path / "owner" / "models"
    (root / "official" / "bert" / "src").mkdir(parents=True)
    (root / "official" / "resnet").mkdir()
    git(root, "init", "--quiet", "--initial-branch=main", ".")
    # The attributes are for whoever checks out; this repository itself takes the files as they are.
    (root / ".git/info/attributes").write_text("* -text -ident -filter -working-tree-encoding\n")
    (root / "official/bert/src/model.py").write_text("VALUE = 1\n")
    (root / "official/bert/crlf.py").write_bytes(b"a = 1\r\nb = 2\n")
    (root / "official/bert/export.py").write_text("print('$Id$')\n")
    (root / "official/resnet/model.py").write_text("VALUE = 2\n")
    (root / "official/bert/passwd").symlink_to("/etc/passwd")
    (root / "official/bert/up").symlink_to("../resnet")
    (root / ".gitattributes").write_text("*.py text eol=crlf ident filter=evil working-tree-encoding=UTF-16\n")
    git(root, "add", "--all", "--force")
    git(root, "commit", "--quiet", "-m", "first")
    git(root, "config", "uploadpack.allowFilter", "true")
    git(root, "config", "uploadpack.allowAnySHA1InWant", "true")
    return root


@pytest.fixture
def codes(tmp_path: Path) -> CodeStore:
    return CodeStore(Store(tmp_path / "home"), LinkPolicy(), offline=False)


def place(root: Path, revision: str | None = "main", folder: str = "official/bert") -> RepositoryPlace:
    return RepositoryPlace(url=root.as_uri(), revision=revision, folder=folder)


def test_a_folder_at_a_branch_is_fetched_once_and_recorded(repository: Path, codes: CodeStore) -> None:
    commit = git(repository, "rev-parse", "HEAD")
    code = codes.fetch(place(repository))
    assert code.commit == commit
    assert code.files == ("crlf.py", "export.py", "src/model.py")
    assert code.left_out == ("passwd", "up")
    # The repository's attributes rewrote nothing.
    assert (code.path / "crlf.py").read_bytes() == b"a = 1\r\nb = 2\n"
    assert (code.path / "export.py").read_text() == "print('$Id$')\n"
    assert tree_digest(code.path) == code.tree
    assert not os.access(code.path / "export.py", os.W_OK) or os.geteuid() == 0
    assert not list((codes.store.root / "temporary").glob("*.code.part"))

    # The branch moves on: what was recorded stays, and needs no network.
    (repository / "official/bert/src/model.py").write_text("VALUE = 3\n")
    git(repository, "commit", "--quiet", "-am", "second")
    assert CodeStore(codes.store, LinkPolicy(), offline=True).fetch(place(repository)) == code
    newer = codes.fetch(place(repository, git(repository, "rev-parse", "HEAD")))
    assert newer.tree != code.tree
    assert (newer.path / "src/model.py").read_text() == "VALUE = 3\n"


def test_equal_folders_are_stored_once(repository: Path, codes: CodeStore) -> None:
    first = codes.fetch(place(repository))
    (repository / "README.md").write_text("x")
    git(repository, "add", "README.md")
    git(repository, "commit", "--quiet", "-m", "elsewhere")
    second = codes.fetch(place(repository, git(repository, "rev-parse", "HEAD")))
    assert second.commit != first.commit
    assert second.path == first.path


def test_over_http(repository: Path, codes: CodeStore) -> None:
    git(repository.parent, "clone", "--quiet", "--bare", repository.as_uri(), "bare.git")
    bare = repository.parent / "bare.git"
    git(bare, "config", "uploadpack.allowFilter", "true")
    with serving_git(repository.parent.parent) as web:
        there = RepositoryPlace(url=f"{web.url}/owner/bare.git", revision="main", folder="official/resnet")
        code = codes.fetch(there)
        assert code.files == ("model.py",)
        # This server gives no commit that is not the tip of a branch; it is found all the same.
        old = git(repository, "rev-parse", "HEAD")
        assert codes.fetch(there.at(old)).tree == code.tree


def test_a_commit_below_the_tip_of_a_server_that_gives_tips_only(repository: Path, codes: CodeStore) -> None:
    old = git(repository, "rev-parse", "HEAD")
    (repository / "official/bert/src/model.py").write_text("VALUE = 3\n")
    git(repository, "commit", "--quiet", "-am", "second")
    git(repository, "config", "uploadpack.allowAnySHA1InWant", "false")
    git(repository, "config", "uploadpack.allowReachableSHA1InWant", "false")
    code = codes.fetch(place(repository, old))
    assert code.commit == old
    assert (code.path / "src/model.py").read_text() == "VALUE = 1\n"


def test_code_that_was_changed_in_the_store_is_fetched_again(repository: Path, codes: CodeStore) -> None:
    code = codes.fetch(place(repository))
    model = code.path / "src/model.py"
    model.chmod(0o644)
    model.write_text("import os\n")
    assert codes.find(place(repository)) is None
    assert codes.fetch(place(repository)) == code
    assert model.read_text() == "VALUE = 1\n"
    (code.path / "sitecustomize.py").write_text("")
    assert codes.find(place(repository)) is None


def test_a_link_in_the_stored_code_is_seen(repository: Path, codes: CodeStore, tmp_path: Path) -> None:
    (tmp_path / "evil").mkdir()
    (tmp_path / "evil" / "__init__.py").write_text("")
    for name in ("scipy", "src/more"):
        code = codes.fetch(place(repository))
        (code.path / name).symlink_to(tmp_path / "evil")
        assert codes.find(place(repository)) is None, name
    assert (tmp_path / "evil" / "__init__.py").is_file()


def test_a_pinned_tree_must_be_that_tree(repository: Path, codes: CodeStore) -> None:
    code = codes.fetch(place(repository))
    assert codes.fetch(place(repository), tree=code.tree) == code
    with pytest.raises(FetchError, match="has the tree digest"):
        codes.fetch(place(repository), tree="0" * 64)


def test_no_hook_no_submodule_no_filter_runs(repository: Path, codes: CodeStore, tmp_path: Path) -> None:
    proof = tmp_path / "proof"
    script = f"#!/bin/sh\ntouch {proof}\n"
    for name in ("post-checkout", "post-merge", "reference-transaction", "pre-auto-gc"):
        hook = repository / ".git/hooks" / name
        hook.parent.mkdir(exist_ok=True)
        hook.write_text(script)
        hook.chmod(0o755)
    (repository / ".gitmodules").write_text(
        f'[submodule "x"]\n\tpath = official/bert/x\n\turl = ext::sh -c touch% {proof}\n'
    )
    git(
        repository,
        "update-index",
        "--add",
        "--cacheinfo",
        f"160000,{git(repository, 'rev-parse', 'HEAD')},official/bert/x",
    )
    git(repository, "add", ".gitmodules")
    (repository / ".git/hooks/reference-transaction").unlink()
    git(repository, "commit", "--quiet", "-m", "submodule")
    code = codes.fetch(place(repository))
    assert not proof.exists()
    assert "x" in code.left_out
    assert not (code.path / "x").exists()


@pytest.mark.parametrize(
    ("revision", "folder", "part"),
    [
        ("gone", "official/bert", "git fetch failed"),
        ("0" * 40, "official/bert", "git"),
        ("main", "official/moved", "has no folder 'official/moved'"),
        ("main", "official/bert/export.py", "has no folder"),
    ],
)
def test_what_is_not_there(repository: Path, codes: CodeStore, revision: str, folder: str, part: str) -> None:
    with pytest.raises(FetchError, match=part):
        codes.fetch(place(repository, revision, folder))
    assert not list((codes.store.root / "temporary").glob("*"))


def test_a_repository_that_is_gone_or_empty(codes: CodeStore, tmp_path: Path) -> None:
    with pytest.raises(FetchError, match="git fetch failed"):
        codes.fetch(place(tmp_path / "gone"))
    git(tmp_path, "init", "--quiet", "empty")
    with pytest.raises(FetchError, match="git fetch failed"):
        codes.fetch(place(tmp_path / "empty"))


@pytest.mark.parametrize(
    "url", ["ext::sh -c id", "--upload-pack=id", "ssh://h/x", "git://h/x", "fd::1", "http://example.org/a/b"]
)
def test_transports_that_are_refused(codes: CodeStore, url: str) -> None:
    with pytest.raises(ArgumentError):
        codes.fetch(RepositoryPlace(url=url, revision="main", folder=""))


def test_hosts_that_are_not_allowed(codes: CodeStore) -> None:
    with pytest.raises(ForbiddenLinkError, match=r"example\.org"):
        codes.fetch(RepositoryPlace(url="https://example.org/a/b", revision="main", folder=""))


@pytest.mark.parametrize("revision", ["--upload-pack=id", "main..other"])
def test_revisions_that_are_refused(repository: Path, codes: CodeStore, revision: str) -> None:
    with pytest.raises(ArgumentError):
        codes.fetch(place(repository, revision))


def test_offline(repository: Path, codes: CodeStore) -> None:
    with pytest.raises(OfflineError):
        CodeStore(codes.store, LinkPolicy(), offline=True).fetch(place(repository))


def pull_request(repository: Path) -> str:
    """Make a commit that only refs/pull/7/head names, as a forge keeps the pull request of a stranger."""
    git(repository, "checkout", "--quiet", "--detach")
    (repository / "official/bert/src/model.py").write_text("VALUE = 'evil'\n")
    git(repository, "commit", "--quiet", "-am", "a stranger's")
    commit = git(repository, "rev-parse", "HEAD")
    git(repository, "update-ref", "refs/pull/7/head", commit)
    git(repository, "checkout", "--quiet", "main")
    return commit


@pytest.mark.parametrize(
    "revision", ["refs/pull/7/head", "pull/7/head", "HEAD", "main~1", "main@{0}", "refs/heads/main"]
)
def test_a_revision_is_a_commit_or_the_plain_name_of_a_branch_or_tag(
    repository: Path, codes: CodeStore, revision: str
) -> None:
    pull_request(repository)
    with pytest.raises(ArgumentError, match="is not a revision"):
        codes.fetch(place(repository, revision))


def test_a_short_commit_id_is_no_revision(repository: Path, codes: CodeStore) -> None:
    short = git(repository, "rev-parse", "HEAD")[:10]
    with pytest.raises(ArgumentError, match="looks like an abbreviated commit id"):
        codes.fetch(place(repository, short))


@pytest.mark.parametrize("filters", ["true", "false"])
def test_a_commit_of_a_pull_request_is_refused(repository: Path, codes: CodeStore, filters: str) -> None:
    git(repository, "config", "uploadpack.allowFilter", filters)
    commit = pull_request(repository)
    with pytest.raises(FetchError, match="on no branch and no tag"):
        codes.fetch(place(repository, commit))
    assert codes.find(place(repository, commit)) is None
    # Once it is merged, it is the organisation's.
    git(repository, "merge", "--quiet", "--ff-only", commit)
    (repository / "later").write_text("x")
    git(repository, "add", "later")
    git(repository, "commit", "--quiet", "-m", "later")
    assert (codes.fetch(place(repository, commit)).path / "src/model.py").read_text() == "VALUE = 'evil'\n"


def test_a_commit_of_a_pull_request_is_refused_over_http(repository: Path, codes: CodeStore) -> None:
    commit = pull_request(repository)
    old = git(repository, "rev-parse", "main")
    (repository / "later").write_text("x")
    git(repository, "add", "later")
    git(repository, "commit", "--quiet", "-m", "later")
    git(repository, "tag", "-a", "-m", "one", "v1", old)
    with serving_git(repository.parent.parent) as web:
        there = RepositoryPlace(url=f"{web.url}/owner/models", revision=commit, folder="official/bert")
        with pytest.raises(FetchError, match="on no branch and no tag"):
            codes.fetch(there)
        assert codes.fetch(there.at(old)).commit == old
        assert codes.fetch(there.at("v1")).commit == old


def test_a_record_that_does_not_say_what_it_is_about_is_not_believed(repository: Path, codes: CodeStore) -> None:
    commit = git(repository, "rev-parse", "HEAD")
    code = codes.fetch(place(repository, commit))
    (record,) = (codes.store.root / "code" / "records").glob("*.json")
    whole = json.loads(record.read_text())
    assert whole == {
        "url": repository.as_uri(),
        "commit": commit,
        "folder": "official/bert",
        "tree": code.tree,
        "reachable": True,
        "left-out": ["passwd", "up"],
    }
    for key in ("url", "commit", "folder", "tree", "reachable"):
        record.write_text(json.dumps({name: value for name, value in whole.items() if name != key}))
        assert codes.find(place(repository, commit)) is None, key
    record.write_text(json.dumps(whole))
    assert codes.find(place(repository, commit)) == code


def test_code_of_another_store_is_not_believed(repository: Path, codes: CodeStore, tmp_path: Path) -> None:
    codes.fetch(place(repository))
    shared = CodeStore(Store(tmp_path / "mine", shared=(codes.store.root,)), LinkPolicy(), offline=True)
    assert shared.find(place(repository)) is None


def tree_bomb(root: Path, *, empty: bool = False) -> Path:
    """Make a repository of some kilobytes whose folder "bomb" stands for 10 thousand million files or folders."""
    root.mkdir(parents=True)
    git(root, "init", "--quiet", "--initial-branch=main", ".")

    def make(kind: str, oid: str) -> str:
        mode = "040000" if kind == "tree" else "100644"
        lines = "".join(f"{mode} {kind} {oid}\tn{number}\n" for number in range(100, 200))
        return subprocess.run(
            ["git", "mktree"], cwd=root, input=lines, text=True, capture_output=True, check=True
        ).stdout.strip()

    blob = subprocess.run(
        ["git", "hash-object", "-w", "--stdin"], cwd=root, input="x", text=True, capture_output=True, check=True
    ).stdout.strip()
    tree = git(root, "hash-object", "-w", "-t", "tree", os.devnull) if empty else make("blob", blob)
    for _ in range(4):
        tree = make("tree", tree)
    good = make("blob", blob)
    top = subprocess.run(
        ["git", "mktree"],
        cwd=root,
        input=f"040000 tree {tree}\tbomb\n040000 tree {good}\tgood\n",
        text=True,
        capture_output=True,
        check=True,
    ).stdout.strip()
    git(root, "update-ref", "refs/heads/main", git(root, "commit-tree", "-m", "bomb", top))
    git(root, "config", "uploadpack.allowFilter", "true")
    return root


@pytest.mark.parametrize("empty", [False, True])
def test_a_tree_bomb_is_ended_while_it_is_listed(codes: CodeStore, tmp_path: Path, *, empty: bool) -> None:
    root = tree_bomb(tmp_path / "bombs" / "bomb", empty=empty)
    before = time.monotonic()
    for folder in ("bomb", ""):
        with pytest.raises(FetchError, match="more than 80,000 files and folders"):
            codes.fetch(place(root, "main", folder))
    # What stands beside the folder that is wanted is not expanded.
    assert len(codes.fetch(place(root, "main", "good")).files) == 100
    assert time.monotonic() - before < 60
    assert resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss < 1 << 20  # KiB


@pytest.mark.slow
def test_a_tree_bomb_as_a_registry(tmp_path: Path) -> None:
    root = tree_bomb(tmp_path / "bombs" / "bomb")
    source = RegistrySource(name="x", kind="git", location=root.as_uri())
    before = time.monotonic()
    with pytest.raises(FetchError, match="more than"):
        registry_git.sync(source, tmp_path / "home", policy=LinkPolicy())
    assert time.monotonic() - before < 60


def test_git_ends_when_hubtool_is_killed(tmp_path: Path) -> None:
    """Kill a fetch from a server that never answers, with the signal that nothing can catch."""
    with serving() as server:
        server.default.fault = "silent"
        url = f"{server.url}/a/b"
        program = (
            "from pathlib import Path; from hubtool.git import hardened as git; "
            f"git.run(('ls-remote', {url!r}), folder=Path({str(tmp_path)!r}), url={url!r})"
        )
        process = subprocess.Popen([sys.executable, "-c", program], cwd=Path(__file__).parents[2])
        wait_until(lambda: server.requests)  # git's helper is there, and waits for an answer
        process.kill()
        process.wait()
        wait_until(lambda: not server.open_connections)  # the helper is gone, and so is its connection


def test_a_login_is_used_for_the_hosts_that_the_user_named_only(
    repository: Path, codes: CodeStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = tmp_path / "user"
    home.mkdir()
    (home / ".netrc").write_text("machine 127.0.0.1 login me password secret\n")
    (home / ".netrc").chmod(0o600)
    (home / ".gitconfig").write_text('[url "file:///nowhere/"]\n\tinsteadOf = http://\n')
    monkeypatch.setenv("HOME", str(home))
    with serving_git(repository.parent.parent, login="me:secret") as web:
        there = RepositoryPlace(url=f"{web.url}/owner/models", revision="main", folder="official/resnet")
        for named in ("", "example.org", "127.0.0.1:1"):
            monkeypatch.setenv("HUBTOOL_LOGIN_HOSTS", named)
            with pytest.raises(FetchError, match="git fetch failed") as caught:
                codes.fetch(there)
            assert "HUBTOOL_LOGIN_HOSTS" in str(caught.value.hint)
        assert set(web.headers("authorization")) == {None}
        monkeypatch.setenv("HUBTOOL_LOGIN_HOSTS", web.url.removeprefix("http://"))
        assert codes.fetch(there).files == ("model.py",)


def test_a_server_that_talks_without_end_is_left(repository: Path, tmp_path: Path) -> None:
    """Serve the sideband of a fetch whose messages never end."""

    def packet(data: bytes) -> bytes:
        return f"{len(data) + 4:04x}".encode() + data

    able = b"\0side-band-64k shallow filter allow-reachable-sha1-in-want allow-tip-sha1-in-want\n"
    oid = git(repository, "rev-parse", "HEAD").encode()
    refs = packet(b"# service=git-upload-pack\n") + b"0000" + packet(oid + b" refs/heads/main" + able) + b"0000"
    message = packet(b"\x02" + b"x" * 60000 + b"\n")

    def answer(request: Request) -> Answer:
        if request.method == "GET":
            return 200, {"Content-Type": "application/x-git-upload-pack-advertisement"}, refs
        return 200, {"Content-Type": "application/x-git-upload-pack-result"}, chain([packet(b"NAK\n")], repeat(message))

    with serving() as server:
        server.answer = answer
        url = f"{server.url}/a/b"
        git(tmp_path, "init", "--quiet", "here")
        with pytest.raises(FetchError, match="it says more than"):
            hardened.run(("fetch", "--quiet", url, "main"), folder=tmp_path / "here", url=url)
