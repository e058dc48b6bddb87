"""The added registries, in ``registries.toml`` beside the user's settings."""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from hubtool import files, ownership, regular, settings, toml
from hubtool.errors import ArgumentError, SettingsError
from hubtool.links import is_ssh
from hubtool.registry import ADDED_FILE_NAME

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from hubtool.uid import Uid

_MAX_FILE_BYTES = 1 << 20
KINDS = ("folder", "git", "published")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}\Z")
_REVISION = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/+-]{0,199}\Z")
_SCHEME = re.compile(r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*):")
# git's short form, user@host:path.
_SCP = re.compile(r"([\w.+-]+@[\w.-]+):(?!//)(\S+)\Z")
# The second part of UIDs with four parts.
_BACKENDS = frozenset({"ascend", "gpu", "cpu", "npu", "common"})
# On these hosts, a path of two parts is a repository.
_FORGES = frozenset({"github.com", "gitee.com", "gitlab.com", "bitbucket.org", "codeberg.org"})


@dataclass(frozen=True, slots=True, kw_only=True)
class RegistrySource:
    """Where one registry comes from.

    Attributes:
        name: The name that the user chose.
        kind: One of :data:`KINDS`.
        location: The folder, the repository, or the base address of a published registry.
        revision: The branch, tag or commit of a repository; None is its default branch.
        subfolder: The folder of the cards in a repository, or empty.
        publishers: The reserved publishers that it is allowed to have, sorted.
    """

    name: str
    kind: str
    location: str
    revision: str | None = None
    subfolder: str = ""
    publishers: tuple[str, ...] = ()

    def folder(self, home: Path) -> Path:
        """Return the folder of its fetched files; another source of the same name has another folder."""
        identity = hashlib.sha256(f"{self.kind}\0{self.location}\0{self.subfolder}".encode()).hexdigest()[:12]
        return home / "registries" / f"{self.name}-{identity}"

    def as_json(self) -> dict[str, object]:
        """Return the members that ``hubtool registry list --json`` prints of a source."""
        return {
            "name": self.name,
            "kind": self.kind,
            "source": self.location,
            "revision": self.revision,
            "subfolder": self.subfolder or None,
            **({"publishers": list(self.publishers)} if self.publishers else {}),
        }


def parse(
    name: str, text: str, *, revision: str | None = None, subfolder: str = "", present: bool = True
) -> RegistrySource:
    """Parse the source of a registry as a user writes it.

    A path is a folder, or with a revision a repository on this machine. ``https://`` is a repository if it ends in
    ``.git``, a revision or subfolder is given, or the host is a known forge; else it is a published registry.
    ``file://``, ``ssh://`` and ``git+`` before any of these are repositories. ``s3://bucket/prefix`` is a published
    registry.

    Args:
        name: The name that the user chose.
        text: The source.
        revision: The branch, tag or commit of a repository.
        subfolder: The folder of the cards in it.
        present: Whether a folder or repository on this machine must exist.

    Raises:
        ArgumentError: If it is none of these, or the name, revision or subfolder is not one.
    """
    if not _NAME.match(name):
        raise ArgumentError(f"{name[:100]!a} is not a name", hint="use letters, digits, '.', '_' and '-'")
    if revision is not None and (not _REVISION.match(revision) or ".." in revision):
        raise ArgumentError(f"{revision[:100]!a} is not a revision", hint="give a branch, a tag or a commit")
    inner = _subfolder(subfolder)
    try:
        urlsplit(text)
    except ValueError:
        raise ArgumentError(f"{text[:200]!a} is not a URL", hint="correct it, or give a folder") from None
    forced = text.startswith("git+")
    plain = text.removeprefix("git+")
    match = _SCHEME.match(plain)
    scheme = match["scheme"].lower() if match and len(match["scheme"]) > 1 else ""
    if scheme in ("https", "http"):
        parts = urlsplit(plain)
        forge = parts.hostname in _FORGES and len([part for part in parts.path.split("/") if part]) == 2
        if forced or revision is not None or inner or parts.path.endswith(".git") or forge:
            return RegistrySource(name=name, kind="git", location=plain, revision=revision, subfolder=inner)
        return RegistrySource(name=name, kind="published", location=plain.rstrip("/") + "/")
    if scheme == "s3" and urlsplit(plain).netloc and not (forced or revision or inner):
        return RegistrySource(name=name, kind="published", location=plain.rstrip("/") + "/")
    if scheme == "ssh":
        if not is_ssh(plain):
            raise ArgumentError(f"{plain[:200]!a} is not an address for ssh", hint="write ssh://user@host/path")
        return RegistrySource(name=name, kind="git", location=plain, revision=revision, subfolder=inner)
    if near := _SCP.match(plain):
        raise ArgumentError(
            f"{text[:200]!a} is git's short form of an address", hint=f"write ssh://{near[1]}/{near[2].lstrip('/')}"
        )
    if scheme == "file":
        path = Path(unquote(urlsplit(plain).path))
        if urlsplit(plain).netloc not in ("", "localhost") or (present and not path.is_dir()):
            raise ArgumentError(f"{plain[:200]!a} is not a repository on this machine", hint="write file:///path")
        return RegistrySource(name=name, kind="git", location=plain, revision=revision, subfolder=inner)
    if scheme or plain.startswith("-") or "\0" in plain:
        raise ArgumentError(
            f"{text[:200]!a} is not a source of cards",
            hint="give a folder, an https:// or file:// git repository, or the https:// or s3:// base of a published "
            "registry",
        )
    path = settings.expand_user(plain).absolute()
    if present and not path.is_dir():
        raise ArgumentError(f"{path} is not a folder", hint="give the folder that holds the publishers' folders")
    if forced or revision is not None:
        return RegistrySource(name=name, kind="git", location=path.as_uri(), revision=revision, subfolder=inner)
    return RegistrySource(name=name, kind="folder", location=str(path / inner))


def misplaced(uids: Iterable[Uid]) -> str:
    """Return the subfolder that has the cards if the given folder is one level above it, else an empty text.

    There, ``registry/mindspore/1.9/name.md`` looks like an old UID with a backend; but only a few words are backends.
    """
    found = list(uids)
    tops = {uid.publisher for uid in found}
    wrong = all(uid.backend is not None and uid.backend.lower() not in _BACKENDS for uid in found)
    return tops.pop() if found and wrong and len(tops) == 1 else ""


def _subfolder(text: str) -> str:
    path = PurePosixPath(text)
    if text and (path.is_absolute() or ".." in path.parts or not text.isprintable() or "\\" in text or text[0] in "-:"):
        raise ArgumentError(f"{text[:200]!a} is not a folder in a repository", hint="write it as docs/cards")
    return "" if str(path) == "." else str(path)


def file(environ: Mapping[str, str] | None = None) -> Path:
    """Return the file with the added registries."""
    return settings.user_file(environ).with_name(ADDED_FILE_NAME)


def load(path: Path) -> tuple[RegistrySource, ...]:
    """Return the added registries in the order in which they were added; none if there is no file.

    Raises:
        SettingsError: If the file cannot be read or is not valid.
    """
    if not path.is_file():
        return ()
    ownership.check_private(path, "the list of registries")
    try:
        values = toml.parse(_text(path))
    except OSError as error:
        raise SettingsError(f"{path} cannot be read: {error.strerror}", hint="check its permissions") from error
    except ValueError as error:  # wrong TOML, or not UTF-8
        raise SettingsError(f"{path} is not TOML: {error}", hint="correct or delete it") from error
    items = values.get("registry", [])
    if not isinstance(items, list):
        raise SettingsError(f"{path}: 'registry' is not a list of tables", hint="write [[registry]] above each")
    return tuple(_read(item, path) for item in items)


def _text(path: Path) -> str:
    data = regular.read_bytes(path, _MAX_FILE_BYTES + 1)
    if len(data) > _MAX_FILE_BYTES:
        raise SettingsError(f"{path} has more than {_MAX_FILE_BYTES:,} bytes", hint="remove registries, or the file")
    return data.decode("utf-8")


def _read(item: object, path: Path) -> RegistrySource:
    wrong = SettingsError(
        f"{path}: an entry is not a registry: {str(item)[:200]}", hint="remove it, and use 'hubtool registry add'"
    )
    if not isinstance(item, dict):
        raise wrong
    name, kind, location, revision, subfolder = (
        item.get(key) for key in ("name", "kind", "source", "revision", "subfolder")
    )
    if not isinstance(name, str) or not isinstance(location, str) or kind not in KINDS:
        raise wrong
    if not isinstance(revision, (str, type(None))) or not isinstance(subfolder, (str, type(None))):
        raise wrong
    try:
        # An entry written by hand is checked like one that is typed.
        if kind != "folder":
            address = location if kind == "published" else f"git+{location}"
            parse(name, address, revision=revision, subfolder=subfolder or "", present=False)
        elif not _NAME.match(name):
            raise wrong
    except ArgumentError as error:
        raise SettingsError(f"{path}: registry {name[:64]!a}: {error.message}", hint=error.hint) from error
    allowed = item.get("publishers", [])
    if not isinstance(allowed, list) or not all(isinstance(one, str) for one in allowed):
        raise wrong
    return RegistrySource(
        name=name,
        kind=kind,
        location=location,
        revision=revision,
        subfolder=subfolder or "",
        publishers=tuple(sorted(set(allowed))),
    )


def save(path: Path, sources: Sequence[RegistrySource]) -> None:
    """Write the added registries, atomically.

    Raises:
        SettingsError: If the file cannot be written.
    """
    lines = ["# Written by 'hubtool registry add' and 'hubtool registry remove'."]
    for source in sources:
        lines += ["", "[[registry]]"]
        # JSON strings are TOML basic strings if nothing is escaped needlessly.
        for key, value in source.as_json().items():
            if value is not None:
                lines.append(f"{key} = {json.dumps(value, ensure_ascii=False)}")
    try:
        # This mode, because `load` refuses a file that a group can write.
        files.write_atomically(path, ("\n".join(lines) + "\n").encode(), mode=0o600, parents=True)
    except OSError as error:
        raise SettingsError(f"{path} cannot be written: {error.strerror}", hint="check its permissions") from error
