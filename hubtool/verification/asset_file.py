"""The files that become the assets of a card: hashed once, and matched with what the card says of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import quote

from hubtool import mismatch
from hubtool.digest import digest_file
from hubtool.errors import ArgumentError, AssetError, DigestError, StoreError
from hubtool.resolution.choice import choose_weights

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from hubtool.card.model import Asset, Card
    from hubtool.store.records import Stored
    from hubtool.verification.workspace import ProofWorkspace

GIVE_FILE = "give the file with --asset FILE"
_BLOCK_BYTES = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class AssetFile:
    """A file as it was when it was hashed: its SHA-256, and its size in bytes."""

    path: Path
    digest: str
    size: int


def measure(path: Path) -> AssetFile:
    """Hash a file, which must not change while it is read.

    Raises:
        ArgumentError: If it is not a file.
        AssetError: If it cannot be read, changes while it is read, or is empty.
    """
    if not path.is_file():
        raise ArgumentError(f"there is no file {path}", hint="give the file that is the card's asset")
    try:
        before = path.stat()
        digest = digest_file(path)
        after = path.stat()
    except OSError as error:
        raise AssetError(f"{path} cannot be read: {error.strerror or error}") from error
    if (before.st_size, before.st_mtime_ns, before.st_ino) != (after.st_size, after.st_mtime_ns, after.st_ino):
        raise AssetError(f"{path} was changed while it was read", hint="wait until it is written, and try again")
    if not before.st_size:
        raise AssetError(f"{path} is empty: it has 0 bytes", hint="give the file itself, or write it again")
    return AssetFile(path=path, digest=digest, size=before.st_size)


def match_files(card: Card, paths: Sequence[Path]) -> dict[int, Path]:
    """Return which asset each file is, by the index of the asset in the card.

    Raises:
        ArgumentError: If a file is no asset of the card.
        StoreError: If a file cannot be read.
    """
    if not card.assets:
        return {}
    files = []
    for path in paths:
        try:
            files.append(AssetFile(path=path, digest=digest_file(path), size=path.stat().st_size))
        except OSError as error:  # noqa: PERF203 - a card has few files
            raise StoreError(f"{path} cannot be read: {error.strerror or error}") from error
    return {at: file.path for at, file in match(card, files).items()}


def match(card: Card, files: Sequence[AssetFile]) -> dict[int, AssetFile]:
    """Return which asset each file is, by the index of the asset in the card.

    A file is the asset with its digest, else the asset with its name. One file that is neither is the checkpoint.

    Raises:
        ArgumentError: If a file is no asset of the card, or two files are the same one.
    """
    found: dict[int, AssetFile] = {}
    rest: list[AssetFile] = []
    for file in files:
        place = _stated(card, file, found)
        if place is None:
            rest.append(file)
        else:
            found[place] = file
    weights = choose_weights(card)
    for file in rest:
        free = [at for at, asset in enumerate(card.assets) if at not in found]
        place = next((at for at in free if card.assets[at] is weights), free[0] if len(card.assets) == 1 else None)
        if place is None or len(rest) > 1:
            listed = ", ".join(asset.file_name for asset in card.assets) or "none"
            raise ArgumentError(
                f"{file.path} is none of the card's assets ({listed}), by name or by digest",
                hint="name the file in the card, or leave it out",
            )
        found[place] = file
    return found


def _stated(card: Card, file: AssetFile, taken: Mapping[int, AssetFile]) -> int | None:
    assets = list(enumerate(card.assets))
    same = [at for at, asset in assets if asset.digest is not None and asset.digest.matches(file.digest)]
    same += [at for at, asset in assets if asset.file_name in (file.path.name, quote(file.path.name))]
    place = next((at for at in same if at not in taken), None)
    if place is None and same:
        raise ArgumentError(f"{file.path} is given twice", hint="give each file once")
    return place


def check_digest(asset: Asset, file: AssetFile) -> None:
    """Refuse a file that is not the one that the card means.

    Raises:
        AssetError: If the card states another digest or size.
    """
    if (asset.digest is not None and not asset.digest.matches(file.digest)) or asset.size not in (None, file.size):
        why = mismatch.explain(file.path, asset.digest, None)
        if why is not None:
            raise AssetError(f"{file.path} is {why.what}", hint=why.hint)
        stated = f"the SHA-256 {asset.digest}" if asset.digest is not None else "no digest"
        raise AssetError(
            f"{file.path} is not the file that the card means: it has the SHA-256 {file.digest} and {file.size:,} "
            f"bytes, and the card says {stated}" + (f" and {asset.size:,} bytes" if asset.size else ""),
            hint="give the right file, or correct the card",
        )


def put_asset(workspace: ProofWorkspace, asset: Asset, path: Path) -> Stored:
    """Copy the file of an asset into a workspace, where it can no longer change.

    It is hashed while it is copied, and the programs of the workspace take it for what the asset's link gives.

    Raises:
        AssetError: If it cannot be read, is not the file that the card means, or the card states no digest.
    """
    if asset.digest is None:
        raise AssetError(f"the card states no digest; the file's is {digest_file(path)}")
    try:
        size = path.stat().st_size
        with workspace.store.writer(asset.digest, source=str(path), size=size, limit=size) as writer:
            with path.open("rb", buffering=0) as stream:
                while block := stream.read(_BLOCK_BYTES):
                    writer.write(block)
            stored = writer.commit()
    except DigestError as error:
        check_digest(asset, AssetFile(path=path, digest=error.actual, size=size))
        raise
    except OSError as error:
        raise AssetError(f"{path} cannot be read: {error.strerror or error}") from error
    workspace.use_for(asset.link, stored.digest)
    return stored
