"""A stand-in on this machine of the hosts that the packaged registry's cards name: their files, and their repositories.

A file's bytes are made from the digest that the card states, and the cards are rewritten to the digests of these bytes,
so that files that were the same stay the same.
"""

from __future__ import annotations

import hashlib
import os
import re
import subprocess
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tests.support import ROOT
from tests.support.git import git, serving_git
from tests.support.server import Server, etag_of, serving

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.support.server import Server

HOSTS = ("download.mindspore.cn", "download-mindspore.osinfra.cn")
APACHE = "Apache License\nVersion 2.0, January 2004\nhttp://www.apache.org/licenses/\n"
MIT = "Permission is hereby granted, free of charge, to any person. THE SOFTWARE IS PROVIDED AS IS.\n"
_LINK = re.compile(r"https://(?P<host>download[\w.-]+)(?P<path>/[^\s>]+)")
_DIGEST = re.compile(r"(asset-sha256:\s*'?)([0-9a-f]{8,64})")
_REPOSITORY = re.compile(r"https://(?:gitee|github)\.com/(mindspore(?:-lab)?)/(\w+)(?=/tree/|\s|>)")
_REVISION = re.compile(r"(repo-revision:\s*)([0-9a-f]{40})")


@dataclass
class HubStandIn:
    """The stand-in.

    Attributes:
        registry: The cards, rewritten.
        files: The hosts of files, by their real names.
        web: The host of repositories, and ``repositories`` the folder that it serves.
    """

    registry: Path
    files: dict[str, Server]
    web: Server
    repositories: Path

    def card(self, uid: str) -> Path:
        """Return where a card is."""
        return self.registry / f"{uid}.md"

    def link(self, uid: str) -> str:
        """Return the link of a card's first asset."""
        match = re.search(r"asset-link:\s*<?(http\S+?)>?\s*$", self.card(uid).read_text(encoding="utf-8"), re.MULTILINE)
        assert match is not None, uid
        return match[1]

    def at(self, uid: str) -> tuple[Server, str]:
        """Return the host and the path of a card's first asset."""
        link = self.link(uid)
        files = next(one for one in self.files.values() if link.startswith(f"{one.url}/"))
        return files, link.removeprefix(files.url)

    def edit(self, uid: str, old: str, new: str) -> None:
        """Change a card's text."""
        path = self.card(uid)
        text = path.read_text(encoding="utf-8")
        assert old in text, (uid, old)
        path.write_text(text.replace(old, new, 1), encoding="utf-8")


@contextmanager
def standing_in(folder: Path, *, size: int = 64) -> Iterator[HubStandIn]:
    """Build the stand-in of all hosts that the packaged registry names, and run it; each file has ``size`` bytes."""
    with ExitStack() as stack:
        files = {host: stack.enter_context(serving()) for host in HOSTS}
        repositories = folder / "repositories"
        repositories.mkdir()
        web = stack.enter_context(serving_git(repositories))
        world = HubStandIn(folder / "world", files, web, repositories)
        _rewrite(world, size)
        yield world


def put(host: Server, path: str, content: bytes) -> None:
    """Serve a file with an entity tag."""
    host.put(path, content, etag=etag_of(content))


def _content(digest: str, size: int) -> bytes:
    """Return the bytes that stand for a file: what is the same file there, is the same here."""
    return (digest.encode() * (size // len(digest) + 1))[:size]


def _rewrite(world: HubStandIn, size: int) -> None:
    commits: dict[str, str] = {}
    places: dict[str, set[str]] = {}
    cards = []
    for path in sorted((ROOT / "registry").rglob("*")):
        target = world.registry / path.relative_to(ROOT / "registry")
        if path.is_dir():
            target.mkdir(parents=True, exist_ok=True)
        elif path.suffix != ".md":
            target.write_bytes(path.read_bytes())
        else:
            text = path.read_text(encoding="utf-8")
            cards.append((target, text))
            repository = _REPOSITORY.search(text)
            if repository is not None:
                name = f"{repository[1]}/{repository[2]}"
                revision = re.search(r"repo-revision:\s*(\S+)", text) or re.search(r"/tree/([^/\s>]+)", text)
                places.setdefault(name, set())
                if revision is not None:
                    places[name].add(revision[1])
    stated = {found[2] for _, text in cards for found in _DIGEST.finditer(text)}
    # A file whose digest one card states whole and another one short is one file.
    whole = {
        one: next((other for other in stated if len(other) == 64 and other.startswith(one)), one) for one in stated
    }
    for name, revisions in places.items():
        commits.update(_repository(world.repositories / name, sorted(revisions)))

    def rewritten(text: str) -> str:
        def link(match: re.Match[str]) -> str:
            return world.files[match["host"]].url + match["path"]

        head, mark, rest = text.partition("\nlicense:")
        for entry in head.split("  - file-format:")[1:]:
            found, digest = _LINK.search(entry), _DIGEST.search(entry)
            if found is not None:
                host = world.files[found["host"]]
                if digest is not None:
                    put(host, found["path"], _content(whole[digest[2]], size))
                elif found["path"] not in host.files:
                    put(host, found["path"], b"of this file, no card states a digest")
        head = _DIGEST.sub(
            lambda match: match[1] + hashlib.sha256(_content(whole[match[2]], size)).hexdigest()[: len(match[2])], head
        )
        text = _LINK.sub(link, head + mark + rest)
        text = _REPOSITORY.sub(lambda match: f"{world.web.url}/{match[1]}/{match[2]}", text)
        return _REVISION.sub(lambda match: match[1] + commits[match[2]], text)

    for target, text in cards:
        target.write_text(text if target.parent.name == "2.10" else rewritten(text), encoding="utf-8")


def _repository(path: Path, revisions: list[str]) -> dict[str, str]:
    """Make a bare repository that has these branches and tags, and a commit for each one named; return the commits."""
    path.mkdir(parents=True)
    git(path, "init", "--quiet", "--bare", "--initial-branch=master", ".")
    for name in ("allowFilter", "allowAnySHA1InWant"):
        git(path, "config", f"uploadpack.{name}", "true")
    stream = f"blob\nmark :1\ndata {len(APACHE)}\n{APACHE}\n"
    for at, name in enumerate(["master", *revisions], start=2):
        person = f"A Maintainer <maintainer@example.org> {1_700_000_000 + at} +0000"
        stream += f"commit refs/heads/master\nmark :{at}\ncommitter {person}\ndata {len(name)}\n{name}\n"
        if at == 2:
            stream += "M 100644 :1 LICENSE\n"
        stream += "\n"
        if len(name) < 40:
            kind = "tags" if name.startswith("v") else "heads"
            stream += f"reset refs/{kind}/{name}\nfrom :{at}\n\n" if name != "master" else ""
    environ = {"PATH": os.environ["PATH"], "HOME": str(path)}
    command = ["git", "fast-import", "--quiet", f"--export-marks={path / 'marks'}"]
    subprocess.run(command, cwd=path, env=environ, input=stream.encode(), check=True, capture_output=True)
    marks = dict(line[1:].split() for line in (path / "marks").read_text().splitlines())
    return {name: marks[str(at)] for at, name in enumerate(revisions, start=3) if len(name) == 40}
