"""Registries and code behind a login: git's credential helpers, ~/.netrc and ssh, each for named hosts only."""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import sys
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

import asyncssh
import pytest

from hubtool.errors import ArgumentError
from hubtool.registry import sources
from tests.support.cards import write_card
from tests.support.git import git, serving_git

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.support.cli import Cli

UID = "lab/1.0/net"
pytestmark = pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")


@pytest.fixture
def home(cli: Cli, tmp_path: Path) -> Path:
    """Return the home of a user, whose own configuration would lead git astray."""
    folder = tmp_path / "user"
    folder.mkdir()
    (folder / ".gitconfig").write_text('[url "file:///nowhere/"]\n\tinsteadOf = http://\n\tinsteadOf = ssh://\n')
    cli.environ["HOME"] = str(folder)
    return folder


@pytest.fixture
def bare(tmp_path: Path) -> Path:
    """Return a bare repository with one card."""
    work = tmp_path / "served" / "group" / "cards"
    work.mkdir(parents=True)
    git(work, "init", "--quiet", "--initial-branch=main")
    write_card(work, UID, link="https://download.mindspore.cn/x.ckpt", content=b"x")
    git(work, "add", "--all")
    git(work, "commit", "--quiet", "--message", "cards")
    git(work.parent, "clone", "--quiet", "--bare", "cards", "cards.git")
    return work.parent / "cards.git"


def test_a_credential_helper_is_asked_for_named_hosts_only(cli: Cli, home: Path, bare: Path) -> None:
    asked = home / "asked"
    helper = home / "helper.sh"
    helper.write_text(f'#!/bin/sh\necho "$1" >> {asked}\ncat >> {asked}\necho username=me\necho password=secret\n')
    helper.chmod(0o755)
    with (home / ".gitconfig").open("a") as stream:
        stream.write(f"[credential]\n\thelper = {helper}\n")
    # The configuration of a clone in the current folder is not read.
    git(cli.folder, "init", "--quiet")
    evil = cli.folder / "evil.sh"
    evil.write_text(f"#!/bin/sh\ntouch {home / 'ran'}\n")
    evil.chmod(0o755)
    git(cli.folder, "config", "credential.helper", str(evil))
    with serving_git(bare.parent.parent, login="me:secret") as web:
        arguments = ("registry", "add", "lab", f"{web.url}/group/cards.git")
        refused = cli(*arguments)
        assert refused.code == 1
        assert "HUBTOOL_LOGIN_HOSTS" in refused.err
        assert not asked.exists()
        assert set(web.headers("authorization")) == {None}
        cli.environ["HUBTOOL_LOGIN_HOSTS"] = web.url.removeprefix("http://")
        added = cli(*arguments)
        assert added.code == 0, added.err
        assert cli("resolve", UID).code in (0, 1)
        assert "secret" not in added.out + added.err
    assert asked.read_text().split("\n")[0] == "get"
    assert f"host={cli.environ['HUBTOOL_LOGIN_HOSTS']}" in asked.read_text()
    assert not (home / "ran").exists()


# -- ssh ---------------------------------------------------------------------------------------------------------------


async def _serve(process: asyncssh.SSHServerProcess[bytes]) -> None:
    command = str(process.command).replace("git-upload-pack", "git upload-pack")
    ran = await asyncio.create_subprocess_shell(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    await process.redirect(stdin=ran.stdin, stdout=ran.stdout, stderr=ran.stderr)
    process.exit(await ran.wait())
    await process.wait_closed()


@contextmanager
def serving_ssh(home: Path) -> Iterator[int]:
    """Run an ssh server on this machine that takes one key, and write that key and the server's own for a user."""
    folder = home / ".ssh"
    folder.mkdir(mode=0o700)
    own, users = asyncssh.generate_private_key("ssh-ed25519"), asyncssh.generate_private_key("ssh-ed25519")
    users.write_private_key(str(folder / "id_ed25519"))
    (folder / "id_ed25519").chmod(0o600)
    users.write_public_key(str(home / "allowed"))
    ready = threading.Event()
    ports: list[int] = []
    stops: list[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = []

    async def serve() -> None:
        stop = asyncio.Event()
        async with asyncssh.listen(
            "127.0.0.1",
            0,
            server_host_keys=[own],
            authorized_client_keys=str(home / "allowed"),
            process_factory=_serve,
            encoding=None,
        ) as listening:
            ports.append(listening.get_port())
            stops.append((asyncio.get_running_loop(), stop))
            ready.set()
            await stop.wait()

    thread = threading.Thread(target=lambda: asyncio.run(serve()))
    thread.start()
    try:
        assert ready.wait(30)
        host = f"[127.0.0.1]:{ports[0]} {own.export_public_key().decode().strip()}\n"
        (folder / "known_hosts").write_text(host)
        yield ports[0]
    finally:
        loop, stop = stops[0]
        loop.call_soon_threadsafe(stop.set)
        thread.join(30)


@pytest.mark.skipif(shutil.which("ssh") is None or sys.platform == "win32", reason="there is no ssh")
def test_a_registry_over_ssh(cli: Cli, home: Path, bare: Path) -> None:
    # ssh takes the home of the user database, not $HOME: its files are named in the configuration that the test has.
    with serving_ssh(home) as port:
        ssh = home / "bin" / "ssh"
        ssh.parent.mkdir()
        files = f"-F none -i {home}/.ssh/id_ed25519 -o UserKnownHostsFile={home}/.ssh/known_hosts"
        ssh.write_text(f'#!/bin/sh\nexec {shutil.which("ssh")} {files} "$@"\n')
        ssh.chmod(0o755)
        cli.environ["PATH"] = f"{ssh.parent}{os.pathsep}{cli.environ['PATH']}"
        url = f"ssh://me@127.0.0.1:{port}{bare}"
        refused = cli("registry", "add", "lab", url)
        assert refused.code != 0
        assert f"name the host in HUBTOOL_LOGIN_HOSTS, as 127.0.0.1:{port}" in refused.err
        cli.environ["HUBTOOL_LOGIN_HOSTS"] = f"127.0.0.1:{port}"
        added = cli("registry", "add", "lab", url)
        assert added.code == 0, added.err
        assert UID in cli("list").out
        (home / ".ssh" / "known_hosts").write_text("")
        unknown = cli("registry", "sync", "lab")
        assert unknown.code == 1
        assert "known_hosts" in unknown.err


@pytest.mark.parametrize(
    "address",
    [
        *("ssh://-oProxyCommand=touch/x", "ssh://me@-oProxyCommand=x/y", "ssh://host", "ssh://a b/c", "ssh://h/$(x)"),
        *("ssh://h/a;b", "ssh://h:port/x", "ssh://h/é", "me@host:path"),
    ],
)
def test_addresses_that_are_none(address: str) -> None:
    with pytest.raises(ArgumentError) as caught:
        sources.parse("lab", address)
    assert "ssh://" in str(caught.value)
