"""`hubtool audit`, over the packaged registry against a stand-in of its hosts, with planted faults of every kind."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from jsonschema import Draft202012Validator

from hubtool import resources
from hubtool.audit.finding import KINDS, NOTES
from hubtool.errors import CardError
from hubtool.registry import FolderRegistry
from tests.support import wait_until
from tests.support.cards import write_card
from tests.support.git import git
from tests.support.server import nothing, once, serving
from tests.support.world import APACHE, MIT, put, standing_in

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.cli import Cli, CompletedRun
    from tests.support.server import Request, Server
    from tests.support.world import HubStandIn

pytestmark = pytest.mark.skipif(shutil.which("git") is None, reason="the git program is not installed")

NOWHERE = "https://nowhere.invalid/a.ckpt"
PLAIN = "http://plain.example.org/a.ckpt"
QUERY = "/info/refs?service=git-upload-pack"
V = "mindspore/1.10/"
REDIRECTED = ("fc1natt1", "fc1natt4", "fc2natt1")


@pytest.fixture
def world(tmp_path: Path) -> Iterator[HubStandIn]:
    with standing_in(tmp_path) as one:
        yield one


@pytest.fixture
def files() -> Iterator[Server]:
    with serving() as one:
        yield one


def audit(cli: Cli, *arguments: str) -> CompletedRun:
    return cli("audit", "--rate", "0", "--json", "--quiet", *arguments)


def found(done: CompletedRun) -> set[tuple[str, str]]:
    """Return the findings by kind and target, after looking whether the report is as its schema says."""
    schema = json.loads(resources.schema_file("audit-report").read_text(encoding="utf-8"))
    Draft202012Validator(schema).validate(done.json)
    listed = [(one["kind"], one["target"]) for one in done.json["findings"]]
    assert len(listed) == len(set(listed))
    assert done.code == (1 if listed else 0), done.err
    return set(listed)


def duplicates(world: HubStandIn) -> set[str]:
    """Return the digests that stand at several links, found in the simplest way."""
    places: dict[str, set[str]] = {}
    registry = FolderRegistry(world.registry)
    for uid in registry.uids():
        try:
            card = registry.read(uid)
        except CardError:
            continue
        for asset in card.assets if card is not None else ():
            if asset.digest is not None and not asset.is_local:
                places.setdefault(asset.digest.hex, set()).add(asset.link)
    return {digest for digest, links in places.items() if len(links) > 1}


@pytest.mark.slow
def test_every_fault_is_found_and_nothing_else(cli: Cli, world: HubStandIn, tmp_path: Path) -> None:
    cli = replace(
        cli,
        environ={
            **cli.environ,
            "HUBTOOL_REGISTRY": str(world.registry),
            "HUBTOOL_ALLOWED_HOSTS": "https://nowhere.invalid",
        },
    )

    def answer(_: Request) -> None:
        time.sleep(0.001)  # so that it is seen how many come at once

    for host in world.files.values():
        host.answer = answer
    first = audit(cli)
    assert found(first) == set(), first.out
    counts = first.json["counts"]
    assert counts["cards"] == sum(1 for _ in FolderRegistry(world.registry).uids()) > 2900
    assert counts["links"] == sum(len(one.files) for one in world.files.values()) > 2800
    assert (counts["repositories"], counts["local_assets"]) == (len(list(world.repositories.glob("*/*"))), 5)
    assert {one["target"] for one in first.json["notes"]} == duplicates(world)
    # One question for each distinct link, over a few connections.
    for host in world.files.values():
        assert set(Counter(host.paths("HEAD")).values()) == {1}
        assert len(host.requests) == len(host.paths("HEAD")) == len(host.files)
        assert host.most <= 4
        assert host.connections <= 20

    expected = plant(world)
    second = audit(cli, "--report", str(tmp_path / "audit.json"), "--markdown", str(tmp_path / "audit.md"))
    assert found(second) == expected
    assert set(KINDS) - {kind for kind, _ in expected} == {"digest-drifted"}
    concerned = {(one["kind"], one["target"]): one["uids"] for one in second.json["findings"]}
    assert concerned["link-gone", world.link(V + "3dcnn_brast2017")] == [V + "3dcnn_brast2017"]
    (mit,) = (uids for (kind, _), uids in concerned.items() if kind == "licence-differs")
    assert len(mit) == 24  # and one that is under a licence of its own, which says nothing of the code
    assert json.loads((tmp_path / "audit.json").read_text()) == second.json
    assert {one["target"] for one in second.json["notes"]} == duplicates(world)
    page = (tmp_path / "audit.md").read_text()
    assert all(f"## {kind}" in page for kind, _ in expected)

    # What only the bytes tell. The entity tags stay what they were, and so do the sizes.
    (whole, whole_path), (short, short_path) = (
        world.at(V + "autoaugment_cifar10"),
        world.at("mindspore/2.3/conformer_aishell"),
    )
    for host, path in ((whole, whole_path), (short, short_path)):
        host.files[path].content = bytes(byte ^ 1 for byte in host.files[path].content)
    narrow = ("--uid", V + "a*", "--uid", "mindspore/2.3/c*")
    third = found(audit(cli, *narrow))
    deep = audit(cli, *narrow, "--deep")
    drifted = {
        ("digest-drifted", whole.url + whole_path),
        ("digest-drifted", short.url + short_path),
        ("digest-drifted", world.link(V + "alexnet_cifar10")),
        ("digest-drifted", world.link(V + "albert_squadv1.1")),
        # What the redirects lead to.
        *(("digest-drifted", world.link(f"{V}attentioncluster_{name}_mnist")) for name in REDIRECTED),
    }
    # The one whose tag had changed is found to be right.
    changed = ("bytes-changed", world.link(V + "aecrnet_reside"))
    smaller = ("size-drifted", world.link(V + "alexnet_cifar10"))
    assert found(deep) == (third - {changed, smaller}) | drifted
    assert found(audit(cli, "--uid", V + "aecrnet_reside")) == set()


def plant(world: HubStandIn) -> set[tuple[str, str]]:
    """Plant a fault of every kind that can be seen without the bytes; return what is to be found."""
    host = world.files["download.mindspore.cn"]
    other = world.files["download-mindspore.osinfra.cn"]
    expected: set[tuple[str, str]] = set()

    def fault(name: str, what: str, kind: str | None) -> None:
        uid = V + name
        there, path = world.at(uid)
        there.files[path].fault = what
        if kind is not None:
            expected.add((kind, world.link(uid)))

    fault("3dcnn_brast2017", "404", "link-gone")
    fault("attgan_Generator_celeba", "410", "link-gone")
    fault("attentioncluster_fc1natt1_mnist", "301 /moved.ckpt", "link-moved")
    fault("attentioncluster_fc1natt4_mnist", f"308 {other.url}/again.ckpt", "link-moved")
    put(host, "/moved.ckpt", bytes(64))  # as many as the others have
    other.put("/again.ckpt", b"", "302 /moved.ckpt")
    put(other, "/moved.ckpt", bytes(64))
    fault("attentioncluster_fc2natt1_mnist", "302 /moved.ckpt", None)
    fault("attentioncluster_fc2natt64_mnist", "403", "link-refused")
    fault("autodeeplab_cityscapes", "301 https://elsewhere.example.org/a.ckpt", "link-forbidden")
    fault("arbitrarystyletransfer_mscoco", "500", "link-unreachable")
    fault("autodeeplab_1.5M_cityscapes", "no-answer", "link-unreachable")
    fault("alphapose_coco2017", "503 1", None)
    there, path = world.at(V + "alphapose_coco2017")
    there.files[path].applies = once()
    # Links in cards.
    world.edit(V + "adnet_vot2013vot2014", world.link(V + "adnet_vot2013vot2014"), NOWHERE)
    world.edit(V + "dam_douban", world.link(V + "dam_douban"), PLAIN)
    expected |= {("link-gone", NOWHERE), ("link-forbidden", PLAIN)}
    # Sizes, tags, digests.
    world.edit(V + "resnet50_imagenet2012", "    asset-sha256", "    asset-size: 65\n    asset-sha256")
    expected.add(("size-drifted", world.link(V + "resnet50_imagenet2012")))
    there, path = world.at(V + "alexnet_cifar10")
    put(there, path, there.files[path].content + b"more")
    expected.add(("size-drifted", world.link(V + "alexnet_cifar10")))
    there, path = world.at(V + "aecrnet_reside")
    there.files[path].etag = '"another"'
    expected.add(("bytes-changed", world.link(V + "aecrnet_reside")))
    two = "noah-cvlab/gpu/1.8/tokenfusion_v1.0_nyudv2"
    digest = next(line for line in world.card(two).read_text().splitlines() if "asset-sha256" in line)
    world.edit(two, digest, "    asset-sha256: " + "5" * 64)
    expected.add(("digests-disagree", world.link(two)))
    same = next(line for line in world.card(V + "aecrnet_reside").read_text().splitlines() if "asset-sha256" in line)
    albert = next(
        line for line in world.card(V + "albert_squadv1.1").read_text().splitlines() if "asset-sha256" in line
    )
    world.edit(V + "albert_squadv1.1", albert, same)  # a duplicate, which is a note
    # Cards and what stands beside them.
    world.card(V + "fasterrcnndcn_coco2017").write_text("no card at all\n")
    expected.add(("card-unreadable", V + "fasterrcnndcn_coco2017"))
    tiny = "hubtool/2.10/tinybert_bilstmcrf_toyner"
    (world.registry / tiny / "vocab.txt").unlink()
    expected.add(("asset-missing", f"{tiny}: tinybert_bilstmcrf_toyner/vocab.txt"))
    return expected | plant_repositories(world)


def plant_repositories(world: HubStandIn) -> set[tuple[str, str]]:
    url, host = world.web.url, world.files["download.mindspore.cn"]
    (world.repositories / "mindspore-lab/mindaudio").rename(world.repositories / "mindspore-lab/away")
    expected = {("repository-gone", f"{url}/mindspore-lab/mindaudio")}
    # A repository that was renamed: its old place redirects to the new one.
    world.edit("mindspore/2.3/bit_resnet50_imagenet2012", f"{url}/mindspore-lab/mindcv", f"{host.url}/lab/oldcv")
    host.put(f"/lab/oldcv{QUERY}", b"", f"301 {url}/mindspore-lab/mindcv{QUERY}")
    expected.add(("repository-moved", f"{host.url}/lab/oldcv"))
    world.edit("mindspore/2.5/bit_resnet50_imagenet2012", f"{url}/mindspore-lab/mindcv", f"{host.url}/lab/down")
    host.put(f"/lab/down{QUERY}", b"", "500")
    expected.add(("repository-unreachable", f"{host.url}/lab/down"))
    models = f"{url}/mindspore/models"
    revision = next(
        line
        for line in world.card("mindspore/1.9/resnet50_imagenet2012").read_text().splitlines()
        if "revision" in line
    )
    world.edit("mindspore/1.9/resnet50_imagenet2012", revision, "repo-revision: " + "d" * 40)
    expected.add(("revision-gone", f"{models} at {'d' * 40}"))
    branch = next(uid for uid in of_branch(world, "r1.3"))
    world.edit(branch, "/tree/r1.3/", "/tree/r9.9/")
    expected.add(("revision-gone", f"{models} at r9.9"))
    licence(world.repositories / "mindspore/models", "refs/heads/r1.3", f"{APACHE}with a change\n")
    licence(world.repositories / "mindspore-lab/mindone", "refs/tags/v0.3.0", MIT)
    mindone = f"{url}/mindspore-lab/mindone at v0.3.0"
    return expected | {
        ("licence-changed", f"{models} at r1.3"),
        ("licence-changed", mindone),
        ("licence-differs", mindone),
    }


def of_branch(world: HubStandIn, branch: str) -> Iterator[str]:
    for path in sorted(world.registry.rglob("*.md")):
        text = path.read_text(encoding="utf-8")
        if f"/models/tree/{branch}/" in text and "repo-revision" not in text:
            yield path.relative_to(world.registry).as_posix().removesuffix(".md")


def licence(repository: Path, ref: str, text: str) -> None:
    """Commit another licence file to a branch or tag of a bare repository."""
    stream = f"commit {ref}\ncommitter A <a@example.org> 1800000000 +0000\ndata 3\nnew\n"
    stream += f"from {git(repository, 'rev-parse', ref)}\nM 100644 inline LICENSE\ndata {len(text)}\n{text}\n"
    subprocess.run(
        ["git", "fast-import", "--quiet", "--force"], cwd=repository, input=stream.encode(), check=True, timeout=60
    )


# -- one at a time -------------------------------------------------------------------------------------------------


def fill(cli: Cli, files: Server, count: int) -> None:
    for at in range(count):
        content = f"content {at}".encode()
        put(files, f"/{at}.ckpt", content)
        write_card(cli.registry, f"tests/1.9/m{at}", link=f"{files.url}/{at}.ckpt", content=content)


def test_what_changed_is_said_until_it_is_looked_into(cli: Cli, files: Server) -> None:
    fill(cli, files, 2)
    target = f"{files.url}/0.ckpt"
    assert found(audit(cli)) == set()
    file = files.files["/0.ckpt"]
    file.etag = '"new"'
    for _ in range(2):
        assert found(audit(cli)) == {("bytes-changed", target)}
    assert found(audit(cli, "--accept")) == set()
    assert found(audit(cli)) == set()
    # A host that is down for a night takes away nothing of what is compared.
    file.etag, file.fault = '"newer"', "404"
    assert found(audit(cli)) == {("link-gone", target)}
    file.fault = ""
    assert found(audit(cli)) == {("bytes-changed", target)}
    assert found(audit(cli, "--deep")) == set()
    assert found(audit(cli)) == set()


def test_since(cli: Cli, files: Server) -> None:
    fill(cli, files, 3)
    assert audit(cli).json["counts"]["looked_at"] == 3
    files.files["/1.ckpt"].fault = "404"
    skipped = audit(cli, "--since", "2026-01-01")
    assert (skipped.code, skipped.json["counts"]["looked_at"]) == (0, 0)
    content = b"another"
    put(files, "/3.ckpt", content)
    write_card(cli.registry, "tests/1.9/m3", link=f"{files.url}/3.ckpt", content=content)
    assert audit(cli, "--since", "2026-01-01T00:00:00+08:00").json["counts"]["looked_at"] == 1
    assert found(audit(cli, "--since", "2199-01-01")) == {("link-gone", f"{files.url}/1.ckpt")}
    # What was found is in the report also where it was not looked at again.
    assert found(audit(cli, "--since", "2026-01-01")) == {("link-gone", f"{files.url}/1.ckpt")}
    assert audit(cli, "--since", "yesterday").code == 2


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL])
def test_a_run_that_was_ended_is_gone_on_with(cli: Cli, files: Server, how: signal.Signals) -> None:
    fill(cli, files, 40)
    ended = threading.Event()

    def answer(request: Request) -> None:
        if request.number >= 12:
            ended.wait(60)

    files.answer = answer
    command = [sys.executable, "-m", "hubtool", "audit", "--rate", "0", "--jobs", "2"]
    process = subprocess.Popen(
        command, cwd=cli.folder, env=cli.environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        wait_until(lambda: len(files.requests) > 13)  # both of its jobs wait, and nothing else is on its way
        process.send_signal(how)
        _, err = process.communicate(timeout=60)
    finally:
        process.kill()
        process.wait()
        ended.set()
    if how is signal.SIGINT:
        assert process.returncode == 130
        assert "run the same command again to resume" in err
        assert "Traceback" not in err
    before = len(files.requests)
    assert 12 <= before < 40
    # A line that a kill cut off is no line.
    (state,) = (cli.home / "audit").glob("*.jsonl")
    with state.open("a") as stream:
        stream.write('{"key": "link http://')
    done = audit(cli)
    assert found(done) == set()
    # What was on its way when it was ended is asked for again.
    assert 40 <= len(files.requests) <= 42
    assert done.json["counts"]["looked_at"] == len(files.requests) - before
    assert audit(cli).json["counts"]["looked_at"] == 40


def test_hosts_are_not_hurried(cli: Cli, files: Server) -> None:
    fill(cli, files, 12)
    two = threading.Barrier(2)

    def answer(_: Request) -> None:
        two.wait(60)  # two are there at once
        files.stop.wait(0.03)  # and a third one would be seen

    files.answer = answer
    done = cli("audit", "--per-host", "2", "--rate", "0", "--jobs", "8")
    assert (done.code, files.most) == (0, 2), done.err
    files.answer = nothing
    start = time.monotonic()
    assert cli("audit", "--rate", "10").code == 0
    assert time.monotonic() - start > 1.0  # twelve questions, ten a second
    # Retry-After is heard, by all that ask this host.
    files.files["/0.ckpt"].fault, files.files["/0.ckpt"].applies = "503 1", once()
    start = time.monotonic()
    assert found(audit(cli)) == set()
    assert time.monotonic() - start > 1.0


def test_an_audit_s_limits(cli: Cli, files: Server, tmp_path: Path) -> None:
    fill(cli, files, 1)
    offline = audit(replace(cli, environ={**cli.environ, "HUBTOOL_OFFLINE": "1"}))
    assert offline.code == 1
    assert "the network may not be used" in offline.err
    assert not (cli.home / "audit").exists()
    none = audit(cli, "--registry", "nowhere")
    assert none.code == 2
    assert str(cli.registry) in none.err
    assert audit(cli, "--registry", str(cli.registry)).code == 0
    assert audit(cli, "--report", str(tmp_path / "no/folder/a.json")).code == 2
    ended = threading.Event()

    def answer(_: Request) -> None:
        ended.wait(60)

    files.answer = answer
    command = [sys.executable, "-m", "hubtool", "audit", "--quiet"]
    first = subprocess.Popen(command, cwd=cli.folder, env=cli.environ, stdout=subprocess.DEVNULL)
    try:
        before = len(files.requests)
        wait_until(lambda: len(files.requests) > before)
        second = audit(cli)
        assert second.code == 1
        assert "another audit" in second.err
    finally:
        first.kill()
        first.wait()
        ended.set()


def test_a_server_that_knows_no_head(cli: Cli, files: Server) -> None:
    fill(cli, files, 1)
    assert found(audit(cli)) == set()
    files.files["/0.ckpt"].fault = "405"
    files.files["/0.ckpt"].applies = lambda request: request.method == "HEAD"
    done = audit(cli)
    assert found(done) == set()
    assert files.paths("GET") == ["/0.ckpt"]


def test_the_report_for_people_shows_what_servers_say_as_it_is(cli: Cli, files: Server) -> None:
    fill(cli, files, 1)
    files.files["/0.ckpt"].fault = "301 /<b>*new*</b>.ckpt"
    done = cli("audit", "--markdown", "audit.md")
    assert done.code == 1
    page = (cli.folder / "audit.md").read_text()
    assert "<b>" not in page.replace("\\<b\\>", "")
    assert os.linesep.join(["", "## link-"]) in page


def test_the_kinds_are_those_of_the_schema() -> None:
    schema: Any = json.loads(resources.schema_file("audit-report").read_text(encoding="utf-8"))
    assert schema["$defs"]["kind"]["enum"] == list(KINDS)
    assert schema["properties"]["notes"]["items"]["properties"]["kind"]["enum"] == list(NOTES)
    page = (Path(__file__).parents[2] / "docs/audit.md").read_text(encoding="utf-8")
    for kind, what in (*KINDS.items(), *NOTES.items()):
        assert f"| `{kind}` | {what} |" in page
