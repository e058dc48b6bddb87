"""`hubtool publish` in real processes: real git over HTTP, real hooks, several maintainers, and what may be wrong."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from hubtool import settings
from hubtool.errors import MirrorError, PublishError
from hubtool.hub import Hub
from hubtool.publish import blobs, plan
from hubtool.publish import publish as publishing
from hubtool.verification.asset_file import AssetFile
from tests.support.cards import write_card
from tests.support.checkpoints import ckpt, filled
from tests.support.git import git
from tests.support.publishing import BRANCH, CONTENT, DIGEST, UID, Maintainer, clone, draft, maintainer_at

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.cli import Cli

OTHER = ckpt([filled("other", (3,))])
CARD = f"registry/{UID}.md"


@pytest.fixture
def desk(cli: Cli, tmp_path: Path) -> Iterator[Maintainer]:
    with maintainer_at(cli, tmp_path) as one:
        yield one


def start(desk: Maintainer, *arguments: str | Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "hubtool", "publish", *map(str, arguments)],
        cwd=desk.cli.folder,
        env=desk.cli.environ,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def hook(desk: Maintainer, name: str, text: str) -> Path:
    path = desk.checkout / ".git" / "hooks" / name
    path.parent.mkdir(exist_ok=True)
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return path


# -- what it does ------------------------------------------------------------------------------------------------------


def test_a_card_is_published_and_the_checkout_is_left_alone(desk: Maintainer) -> None:
    # Dirty in every way, on no branch, and with a branch of the user's own.
    (desk.checkout / "README.md").write_text("Being edited.\n")
    (desk.checkout / "untracked.md").write_text("new\n")
    (desk.checkout / "staged.md").write_text("staged\n")
    git(desk.checkout, "add", "staged.md")
    git(desk.checkout, "branch", "mine")
    git(desk.checkout, "checkout", "--quiet", "--detach")
    before = desk.state()
    dry = desk.publish("--push", "--dry-run")
    assert dry.code == 0, dry.err
    assert [line.split()[0] for line in dry.out.splitlines()] == ["put", "check", "commit", "push"]
    assert (desk.stored(), desk.branches()) == ({}, ["main"])
    done = desk.publish("--push", "--json")
    assert done.code == 0, done.err
    answer = done.json
    assert (answer["uid"], answer["branch"], answer["card"]) == (UID, BRANCH, CARD)
    assert (answer["made"], answer["pushed"], answer["already"]) == (True, True, False)
    assert answer["assets"] == [{"link": desk.link, "written": True}]
    assert desk.stored() == {DIGEST: CONTENT}
    # The card is what was given, but for link and size.
    final = desk.card.read_text().replace("https://unpublished.invalid/net.ckpt", desk.link)
    final = final.replace(f"asset-sha256: {DIGEST}\n", f"asset-sha256: {DIGEST}\n    asset-size: {len(CONTENT)}\n")
    shown = desk.show(f"{BRANCH}:{CARD}")
    assert sorted(shown.splitlines()) == sorted(final.rstrip("\n").splitlines())
    assert desk.state() == before
    assert desk.left() == []
    message = git(desk.origin, "log", "-1", "--format=%B", BRANCH)
    assert message.startswith(f"Publish {UID}\n\nA model of the tests.\n\nAsset net.ckpt: {len(CONTENT):,} bytes, ")
    assert DIGEST in message
    assert "not possible: " in message
    assert git(desk.origin, "log", "-1", "--format=%an %ae", BRANCH) == "A Maintainer maintainer@example.org"
    assert git(desk.origin, "rev-parse", f"{BRANCH}^") == git(desk.origin, "rev-parse", "main")
    assert git(desk.origin, "diff", "--name-only", "main", BRANCH) == CARD
    again = desk.publish("--push", "--json").json
    assert (again["made"], again["pushed"], again["commit"]) == (False, True, answer["commit"])
    assert again["assets"] == [{"link": desk.link, "written": False}]
    desk.merge()
    merged = desk.publish("--push")
    assert merged.code == 0
    assert "the registry has this already" in merged.out
    assert desk.state() == before


def test_what_was_published_loads_elsewhere(desk: Maintainer, tmp_path: Path) -> None:
    assert desk.publish("--push").code == 0
    desk.merge()
    there = {"HUBTOOL_HOME": str(tmp_path / "elsewhere"), "XDG_CONFIG_HOME": str(tmp_path / "elsewhere/config")}
    assert desk.cli("registry", "add", "hub", desk.url, "--subfolder", "registry", timeout=300, **there).code == 0
    fetched = desk.cli("fetch", UID, "--json", timeout=300, **there)
    assert fetched.code == 0, fetched.err
    assert Path(fetched.json["assets"][0]["stored"]).read_bytes() == CONTENT


def test_digests_that_are_missing_or_short_become_whole(desk: Maintainer) -> None:
    text = desk.card.read_text()
    for stated in (DIGEST[:8], "FILL IN (the SHA-256 of the checkpoint)"):
        desk.card.write_text(text.replace(DIGEST, stated))
        done = desk.publish("--json")
        assert done.code == 0, done.err
        assert f"asset-sha256: {DIGEST}\n" in desk.show(f"{BRANCH}:{CARD}", desk.checkout)
        git(desk.checkout, "branch", "--quiet", "-D", BRANCH)
    desk.card.write_text(text.replace(DIGEST, "0" * 64))
    wrong = desk.publish()
    assert wrong.code == 1
    assert "is not the file that the card means" in wrong.err


def test_files_beside_the_card_go_with_it(desk: Maintainer) -> None:
    desk.card.write_text(desk.card.read_text().replace("https://unpublished.invalid/net.ckpt", "net/net.ckpt"))
    desk.card.with_suffix("").mkdir()
    (desk.card.with_suffix("") / "net.ckpt").write_bytes(CONTENT)
    done = desk.cli("publish", desk.card, "--registry", desk.checkout, "--unproven", "--push")
    assert done.code == 0, done.err
    changed = git(desk.origin, "diff", "--name-only", "main", BRANCH).splitlines()
    assert changed == [CARD, f"registry/{UID}/net.ckpt"]
    assert "asset-link: net/net.ckpt" in desk.show(f"{BRANCH}:{CARD}")
    shutil.rmtree(desk.card.with_suffix(""))
    assert "is not there" in desk.cli("publish", desk.card, "--registry", desk.checkout, "--unproven").err


def test_where_the_cards_of_a_registry_are(desk: Maintainer, tmp_path: Path) -> None:
    flat = tmp_path / "flat"
    write_card(flat, "tests/1.9/old", link="https://gitee.com/a/b.ckpt", content=b"x")
    git(flat, "init", "--quiet", "--initial-branch=trunk")
    git(flat, "add", "--all")
    git(flat, "commit", "--quiet", "--message=Begin")
    for folder, path in ((flat, f"{UID}.md"), (flat / "tests", f"tests/{UID}.md")):
        done = desk.publish("--registry", folder, "--dry-run", "--json")
        assert done.code == 0, done.err
        assert done.json["card"] == path
    done = desk.publish("--registry", flat)
    assert done.code == 0, done.err
    assert f"next: merge the branch {BRANCH} into trunk" in done.out
    assert git(flat, "show", f"{BRANCH}:{UID}.md")
    # The registry that the card itself is in, where none is named.
    mine = write_card(desk.checkout / "registry", "tests/1.9/mine", link=str(desk.link), content=CONTENT)
    done = desk.cli("publish", mine, "--dry-run", "--json")
    assert (done.json["registry"], done.json["card"]) == (str(desk.checkout), "registry/tests/1.9/mine.md")


def test_settings_say_where_files_go(desk: Maintainer) -> None:
    (desk.cli.folder / "hubtool.toml").write_text(f'blobs = "{desk.blobs}"\nlink-base = "{desk.links}/"\n')
    assert desk.cli("settings", "approve").code == 0
    shown = desk.cli("settings", "--json").json
    assert shown["blobs"]["value"] == str(desk.blobs)
    plain = ("publish", desk.card, "--asset", desk.asset, "--registry", desk.checkout, "--dry-run", "--json")
    assert desk.cli(*plain).json["assets"][0]["link"] == desk.link
    (desk.cli.folder / "hubtool.toml").unlink()
    assert "it is not known where net.ckpt goes" in desk.cli(*plain).err
    assert "--link-base" in desk.cli(*plain, "--blobs", desk.blobs).err
    for base in ("ftp://example.org", "https://me:SECRET@example.org", "https://example.org/?a=SECRET", "nonsense"):
        done = desk.cli(*plain, "--blobs", desk.blobs, "--link-base", base)
        assert done.code == 2
        assert "SECRET" not in done.err


# -- what it refuses ---------------------------------------------------------------------------------------------------


def test_a_check_that_fails_publishes_nothing(desk: Maintainer) -> None:
    desk.card.write_text(desk.card.read_text().replace("license: Apache-2.0\n", ""))
    done = desk.publish("--push")
    assert done.code == 1
    assert "the check failed: schema and rules" in done.err
    assert (desk.stored(), desk.branches(), desk.branches(desk.checkout)) == ({}, ["main"], ["main"])
    as_json = desk.publish("--push", "--json")
    assert as_json.code == 1
    assert as_json.json["check"]["passed"] is False


def test_a_network_that_cannot_be_tried_is_not_published_unasked(desk: Maintainer) -> None:
    arguments = [one for one in desk.arguments if one != "--unproven"]
    done = desk.cli("publish", *arguments)
    assert done.code == 1
    assert "could not be tried here" in done.err
    assert "--unproven" in done.err
    assert (desk.stored(), desk.branches(desk.checkout)) == ({}, ["main"])


@pytest.mark.parametrize(
    "secret",
    [
        "https://me:SECRET@example.org/a",
        "https://example.org/a?X-Amz-Signature=SECRET",
        "AKIA" + "SECRET0123456789",
        "ghp_" + "SECRET" * 6,
        "-----BEGIN RSA PRIVATE KEY-----",
    ],
)
def test_a_card_with_a_secret_is_refused(desk: Maintainer, secret: str) -> None:
    desk.card.write_text(f"{desk.card.read_text()}\nSee {secret} for more.\n")
    done = desk.publish("--push")
    assert done.code == 1
    assert "history" in done.err
    assert "SECRET" not in done.err
    assert (desk.stored(), desk.branches()) == ({}, ["main"])


def test_a_login_in_the_remote_is_shown_nowhere(cli: Cli, tmp_path: Path) -> None:
    with maintainer_at(cli, tmp_path, login="me:SECRET@") as desk:
        dry = desk.publish("--push", "--dry-run")
        done = desk.publish("--push")
        again = desk.publish("--push", "--json")
        unreachable = desk.url.replace("registry.git", "absent.git")
        git(desk.checkout, "remote", "set-url", "origin", unreachable)
        wrong = desk.publish("--push")
        assert wrong.code == 1
        for one in (dry, done, again, wrong):
            assert "SECRET" not in one.out + one.err
        assert done.code == 0, done.err
        assert "SECRET" not in git(desk.origin, "log", "--all", "-p")
        assert "SECRET" not in "".join(path.read_text("utf-8", "replace") for path in desk.blobs.rglob("*.json"))


def test_a_uid_that_exists_is_not_published_again(desk: Maintainer) -> None:
    assert desk.publish("--push").code == 0
    desk.merge()
    desk.card.write_text(desk.card.read_text().replace("summary: A model", "summary: Another model"))
    text = desk.publish("--push")
    assert text.code == 1
    assert "with the same assets and another text" in text.err
    desk.asset.write_bytes(OTHER)
    draft(desk.card.parents[2], UID, OTHER)
    other = desk.publish("--push")
    assert other.code == 1
    assert "a new version is a new UID" in other.err
    assert list(desk.stored()) == [DIGEST]


@pytest.mark.parametrize("where", ["here", "there"])
def test_a_branch_with_another_card_is_left_alone(desk: Maintainer, where: str) -> None:
    mate = desk.clone("mate")
    git(mate, "checkout", "--quiet", "-b", BRANCH)
    write_card(mate / "registry", UID, link="https://gitee.com/a/b.ckpt", content=OTHER)
    git(mate, "add", "--all")
    git(mate, "commit", "--quiet", "--message=Mine")
    if where == "there":
        git(mate, "push", "--quiet", "origin", BRANCH)
        checkout = desk.checkout
    else:
        checkout = mate
    commit = git(mate, "rev-parse", BRANCH)
    done = desk.publish("--registry", checkout, "--push")
    assert done.code == 1
    assert BRANCH in done.err
    assert "with other assets" in done.err
    assert git(mate, "rev-parse", BRANCH) == commit
    assert desk.branches() == (["main", BRANCH] if where == "there" else ["main"])
    assert desk.stored() == {}


@pytest.mark.parametrize("kind", ["link", "folder", "case", "file-above"])
def test_what_is_in_the_way_is_named(desk: Maintainer, tmp_path: Path, kind: str) -> None:
    mate = desk.clone("mate")
    place = mate / CARD
    if kind == "link":
        place.symlink_to(tmp_path / "net.ckpt")
    elif kind == "folder":
        place.mkdir()
        (place / "x").write_text("x")
    elif kind == "case":
        place.with_name("NET.md").write_text("x")
    else:
        shutil.rmtree(mate / "registry/tests")
        (mate / "registry/tests").symlink_to(tmp_path)
    git(mate, "add", "--all")
    git(mate, "commit", "--quiet", "--message=In the way")
    git(mate, "push", "--quiet", "origin", "main")
    done = desk.publish("--push")
    assert done.code == 1
    assert {"link": "a symbolic link", "folder": "a folder", "case": "in case only"}.get(kind, "registry/tests is") in (
        done.err
    )
    assert desk.branches() == ["main"]
    assert desk.left() == []
    assert not (tmp_path / "1.9").exists()


# -- the checkout ------------------------------------------------------------------------------------------------------


def test_a_checkout_that_is_behind(desk: Maintainer) -> None:
    mate = desk.clone("mate")
    write_card(mate / "registry", "tests/1.9/newer", link="https://gitee.com/a/b.ckpt", content=b"x")
    git(mate, "add", "--all")
    git(mate, "commit", "--quiet", "--message=Newer")
    git(mate, "push", "--quiet", "origin", "main")
    before = desk.state()
    assert desk.publish("--push").code == 0
    assert git(desk.origin, "rev-parse", f"{BRANCH}^") == git(mate, "rev-parse", "main")
    assert desk.state() == before


def test_a_remote_that_cannot_be_reached(desk: Maintainer) -> None:
    url = git(desk.checkout, "remote", "get-url", "origin")
    git(desk.checkout, "remote", "set-url", "origin", "http://127.0.0.1:9/registry.git")
    refused = desk.publish("--push")
    assert refused.code == 1
    assert "cannot be reached" in refused.err
    assert (desk.stored(), desk.branches(desk.checkout)) == ({}, ["main"])
    done = desk.publish()
    assert done.code == 0, done.err
    assert "could not be asked" in done.out
    assert f"git push origin {BRANCH}" in done.out
    git(desk.checkout, "remote", "set-url", "origin", url)
    pushed = desk.publish("--push", "--json")
    assert (pushed.json["made"], pushed.json["pushed"]) == (False, True)
    offline = desk.publish("--json", HUBTOOL_OFFLINE="1")
    assert offline.code == 0
    assert "offline" in offline.json["notes"][0]


def test_without_an_identity_nothing_is_done(desk: Maintainer) -> None:
    Path(desk.cli.environ["GIT_CONFIG_GLOBAL"]).write_text("")
    done = desk.publish("--push")
    assert done.code == 1
    assert "git does not know who you are" in done.err
    assert "user.email" in done.err
    assert (desk.stored(), desk.branches(desk.checkout)) == ({}, ["main"])


def test_hooks_that_fail_leave_nothing_behind(desk: Maintainer) -> None:
    before = desk.state()
    failing = hook(desk, "pre-commit", "echo 'no cards on Mondays, https://me:SECRET@example.org/a'; exit 1")
    done = desk.publish("--push")
    assert done.code == 1
    assert "no cards on Mondays" in done.err
    assert "SECRET" not in done.err
    assert (desk.branches(), desk.branches(desk.checkout), desk.left()) == (["main"], ["main"], [])
    failing.write_text(f"#!/bin/sh\necho more >> {CARD}; git add {CARD}\n")
    changed = desk.publish("--push")
    assert changed.code == 1
    assert "does not keep the bytes" in changed.err
    failing.write_text("#!/bin/sh\necho more > extra; git add extra\n")
    added = desk.publish("--push")
    assert added.code == 1
    assert "a hook added extra" in added.err
    assert (desk.branches(), desk.branches(desk.checkout), desk.left()) == (["main"], ["main"], [])
    failing.unlink()
    pushing = hook(desk, "pre-push", "echo 'not today' >&2; exit 1")
    done = desk.publish("--push")
    assert done.code == 1
    assert "not today" in done.err or "failed to push" in done.err
    assert desk.branches() == ["main"]
    pushing.unlink()
    completed = desk.publish("--push", "--json").json
    assert (completed["made"], completed["pushed"]) == (False, True)
    assert desk.state() == before


def test_line_ends_that_git_changes_are_noticed(desk: Maintainer) -> None:
    desk.card.write_bytes(desk.card.read_bytes().replace(b"\n", b"\r\n"))
    (desk.checkout / ".git/info/attributes").write_text("*.md text eol=lf\n")
    done = desk.publish()
    assert done.code == 1
    assert ".gitattributes" in done.err
    (desk.checkout / ".git/info/attributes").unlink()
    assert desk.publish().code == 0


def test_a_server_that_refuses_says_why(desk: Maintainer) -> None:
    receive = desk.origin / "hooks/pre-receive"
    receive.parent.mkdir(exist_ok=True)
    receive.write_text("#!/bin/sh\necho 'branches begin with review/'\nexit 1\n")
    receive.chmod(0o755)
    done = desk.publish("--push")
    assert done.code == 1
    assert "does not take" in done.err
    assert "hook declined" in done.err
    receive.unlink()
    assert desk.publish("--push").code == 0


def test_not_a_checkout(desk: Maintainer, tmp_path: Path) -> None:
    assert "not within a git checkout" in desk.publish("--registry", tmp_path / "blobs").err
    empty = tmp_path / "empty"
    empty.mkdir()
    git(empty, "init", "--quiet")
    assert "has no commit yet" in desk.publish("--registry", empty).err
    git(desk.checkout, "remote", "rename", "origin", "one")
    git(desk.checkout, "remote", "add", "two", "http://127.0.0.1:9/x.git")
    assert "--remote" in desk.publish().err
    assert desk.publish("--remote", "one", "--push").code == 0
    assert "has no remote 'three'" in desk.publish("--remote", "three").err


# -- several at once ---------------------------------------------------------------------------------------------------


def test_two_maintainers_with_one_uid(desk: Maintainer, tmp_path: Path) -> None:
    mate = desk.clone("mate")
    theirs = draft(tmp_path / "theirs", UID, OTHER)
    (tmp_path / "theirs.ckpt").write_bytes(OTHER)
    ours = start(desk, *desk.arguments, "--push", "--json")
    other = start(
        desk,
        *(theirs, "--asset", tmp_path / "theirs.ckpt", "--blobs", desk.blobs, "--link-base", desk.links),
        *("--registry", mate, "--unproven", "--push", "--json"),
    )
    answers = [(one.communicate(timeout=120), one.returncode) for one in (ours, other)]
    assert sorted(code for _, code in answers) == [0, 1]
    (_, error) = next(said for said, code in answers if code == 1)
    assert "Traceback" not in error
    assert BRANCH in error
    winner = CONTENT if answers[0][1] == 0 else OTHER
    assert hashlib.sha256(winner).hexdigest() in desk.show(f"{BRANCH}:{CARD}")
    # The loser's work is still there, to be published under another UID.
    loser = mate if answers[0][1] == 0 else desk.checkout
    assert desk.branches(loser) in (["main"], ["main", BRANCH])


def test_the_same_card_from_two_places_at_once(desk: Maintainer) -> None:
    mate = desk.clone("mate")
    runs = [
        start(desk, *desk.arguments, "--push", "--json"),
        start(desk, *desk.arguments[:-2], mate, "--unproven", "--push", "--json"),
    ]
    for one in runs:
        out, error = one.communicate(timeout=120)
        assert one.returncode == 0, error
        assert '"pushed": true' in out
    assert desk.stored() == {DIGEST: CONTENT}
    assert git(desk.origin, "rev-list", "--count", f"main..{BRANCH}") == "1"


def test_several_cards_in_one_checkout_at_once(desk: Maintainer, tmp_path: Path) -> None:
    before = desk.state()
    runs = []
    for at in range(4):
        content = ckpt([filled(f"t{at}", (2,))])
        asset = tmp_path / f"m{at}.ckpt"
        asset.write_bytes(content)
        card = draft(tmp_path / "drafts", f"tests/1.9/m{at}", content)
        arguments = (card, "--asset", asset, *desk.arguments[3:])
        runs.append(start(desk, *arguments, "--push"))
    for one in runs:
        assert one.wait(timeout=180) == 0, one.communicate()
        one.communicate()
    assert desk.branches() == ["main", *(f"publish/tests-1.9-m{at}" for at in range(4))]
    assert len(desk.stored()) == 4
    assert desk.state() == before
    assert desk.left() == []


# -- files -------------------------------------------------------------------------------------------------------------


def test_an_asset_that_changes_meanwhile(desk: Maintainer, environment: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    del environment
    monkeypatch.setitem(sys.modules, "mindspore", None)
    for name in ("GIT_CONFIG_GLOBAL", "GIT_CONFIG_NOSYSTEM"):
        monkeypatch.setenv(name, desk.cli.environ[name])
    hub = Hub.open(settings.load())

    def planned() -> plan.PublishPlan:
        desk.asset.write_bytes(CONTENT)
        return plan.make_plan(
            hub, str(desk.card), files=[desk.asset], to=str(desk.blobs), link_base=desk.links, registry=desk.checkout
        )

    # Before the check, and between the check and the upload.
    todo = planned()
    desk.asset.write_bytes(OTHER)
    with pytest.raises(publishing.CheckFailedError, match="assets"):
        publishing.publish(hub, todo, unproven=True)

    def change(row: object) -> None:
        if getattr(row, "name", "") == "metrics":
            desk.asset.write_bytes(CONTENT[:-1] + b"x")

    with pytest.raises(PublishError, match="was changed while it was published"):
        publishing.publish(hub, planned(), unproven=True, tell=change)
    assert (desk.stored(), desk.branches(desk.checkout), desk.left()) == ({}, ["main"], [])
    # While it is read: one that grows for ever is never the same twice.
    done = publishing.publish(hub, planned(), unproven=True)
    assert done.made
    assert desk.stored() == {DIGEST: CONTENT}


def test_what_is_stored_is_never_overwritten(desk: Maintainer, tmp_path: Path) -> None:
    blob = desk.blobs / "blobs" / "sha256" / DIGEST[:2] / DIGEST
    blob.parent.mkdir(parents=True)
    wrong = CONTENT[:-1] + b"x"
    blob.write_bytes(wrong)
    done = desk.publish("--push")
    assert done.code == 1
    assert "is another file" in done.err
    assert (blob.read_bytes(), desk.branches()) == (wrong, ["main"])
    blob.unlink()
    assert desk.publish("--push").code == 0
    stamp = blob.stat().st_mtime_ns
    place = blobs.open_blobs(str(desk.blobs))
    assert blobs.put(place, AssetFile(path=desk.asset, digest=DIGEST, size=len(CONTENT))) is False
    assert blob.stat().st_mtime_ns == stamp
    missing = AssetFile(path=tmp_path / "absent", digest="0" * 64, size=3)
    with pytest.raises((MirrorError, Exception), match="absent"):
        blobs.put(place, missing)


def test_links_that_do_not_answer_keep_the_card_back(desk: Maintainer, tmp_path: Path) -> None:
    done = desk.publish("--push", "--link-base", f"{desk.links}/elsewhere")
    assert done.code == 1
    assert "was uploaded, but cannot be fetched by its link" in done.err
    assert "--link-base" in done.err
    assert (desk.branches(), desk.branches(desk.checkout)) == (["main"], ["main"])
    offline = desk.publish("--json", HUBTOOL_OFFLINE="1")
    assert offline.code == 0, offline.err
    assert any("links" in note for note in offline.json["notes"])
    assert desk.publish("--asset", tmp_path / "absent.ckpt").code == 2
    assert desk.publish("--blobs", "ftp://example.org/x").code == 2


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_may_not_be_written(desk: Maintainer) -> None:
    desk.blobs.chmod(0o555)
    done = desk.publish("--push")
    desk.blobs.chmod(0o755)
    assert done.code == 1
    assert desk.branches() == ["main"]


def test_a_disk_that_is_full(desk: Maintainer) -> None:
    if not Path("/dev/full").exists():
        pytest.skip("this system has no small file system to fill")
    # A limit on the size of files is how a disk that fills up looks to a writer.
    desk.asset.write_bytes(os.urandom(3 << 20))
    script = (
        "import resource, signal, sys\n"
        "from hubtool.publish import blobs\n"
        "from hubtool.verification.asset_file import AssetFile\n"
        "from pathlib import Path\n"
        "from hubtool.digest import digest_file\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, 1 << 20))\n"
        "path = Path(sys.argv[1])\n"
        "blobs.put(blobs.open_blobs(sys.argv[2]), AssetFile(path=path, digest=digest_file(path), size=3 << 20))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, str(desk.asset), str(desk.blobs)],
        env=desk.cli.environ,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 1
    assert "the disk is full" in done.stderr
    assert (desk.stored(), list(desk.blobs.rglob("*.part"))) == ({}, [])


def test_a_stale_ref_lock_of_a_killed_git_is_cleared(desk: Maintainer) -> None:
    stale = desk.checkout / ".git/refs/heads/publish/tests-1.9-net.lock"
    stale.parent.mkdir(parents=True)
    stale.write_text("")
    old = time.time() - 60
    os.utime(stale, (old, old))
    work = desk.checkout / ".git/hubtool/work-old/tree"
    work.mkdir(parents=True)
    assert desk.publish("--push").code == 0
    assert desk.left() == []


def test_a_clone_of_a_clone(desk: Maintainer, tmp_path: Path) -> None:
    """A checkout that is a linked worktree itself, and one that is a submodule's, are checkouts too."""
    git(desk.checkout, "worktree", "add", "--quiet", "-b", "mine", str(tmp_path / "linked"))
    done = desk.publish("--registry", tmp_path / "linked", "--push")
    assert done.code == 0, done.err
    shallow = clone(tmp_path, desk.url, "other")
    assert desk.publish("--registry", shallow, "--push", "--json").json["pushed"] is True
