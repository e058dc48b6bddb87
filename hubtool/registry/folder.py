"""A registry in a folder: ``<publisher>/<version>/<name>.md`` below one root."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from hubtool.card import document as documents
from hubtool.card import model
from hubtool.errors import CardError, InvalidNameError
from hubtool.uid import Uid

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hubtool.card.model import Card


@dataclass(frozen=True, slots=True)
class FolderRegistry:
    """The cards below one folder.

    Attributes:
        root: The folder.
    """

    root: Path

    def path(self, uid: Uid) -> Path | None:
        """Return the path of a card, or None if the registry does not have it.

        Raises:
            CardError: If the path leads out of the registry by a link.
        """
        path = self.root / uid.path
        if not path.is_file():
            return None
        if not path.resolve().is_relative_to(self.root.resolve()):
            raise CardError(f"{path} is a link that leads out of the registry", hint="copy the card into the registry")
        return path

    def read(self, uid: Uid) -> Card | None:
        """Read a card, or return None if the registry does not have it.

        Raises:
            CardError: If the card is there and cannot be read.
        """
        path = self.path(uid)
        return None if path is None else read_card(path, uid)

    def uids(self) -> Iterator[Uid]:
        """Yield the UIDs of all cards, in order of their paths; files that cannot be cards are passed over."""
        for folder, folders, files in os.walk(self.root):
            folders[:] = sorted(name for name in folders if not name.startswith("."))
            relative = PurePosixPath(Path(folder).relative_to(self.root).as_posix())
            if len(relative.parts) not in (2, 3):
                continue
            for name in sorted(files):
                if name.endswith(".md"):
                    try:
                        yield Uid.of_path(relative / name)
                    except InvalidNameError:
                        continue  # a file that no UID can name; `hubtool validate` reports it


def read_card(path: Path, uid: Uid | None) -> Card:
    """Read the card in a file.

    Raises:
        CardError: If the file cannot be read, or not as a card.
    """
    try:
        with path.open("rb") as stream:
            data = stream.read(documents.MAX_BYTES + 1)
    except OSError as error:
        raise CardError(f"{path} cannot be read: {error.strerror or error}") from error
    return model.read(data, uid=uid, path=path)
