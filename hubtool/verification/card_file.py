"""The file of the card that a command names, by its path or by its UID."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hubtool import settings
from hubtool.card import document as documents
from hubtool.card import model
from hubtool.card.files import read_card_file
from hubtool.errors import CardError, InvalidNameError
from hubtool.uid import Uid

if TYPE_CHECKING:
    from pathlib import Path

    from hubtool.card.document import Document
    from hubtool.hub import Hub
    from hubtool.resolution.finding import FoundCard


def card_file(hub: Hub, name: str) -> tuple[Path, bool]:
    """Return the file of a card, and whether its name is a path and no UID.

    A name means the same card as everywhere: what can be a UID is one, also where a file of that name stands.

    Raises:
        CardNotFoundError: If there is no such card.
        CardError: If there is no such file, or the card stands in none.
        InvalidNameError: If the name is malformed.
    """
    path = settings.expand_user(name) if "\0" not in name and not _is_uid(name) else None
    if path is not None and (path.is_file() or name.endswith(".md")):
        if not path.is_file():
            raise CardError(f"there is no card at {ascii(name)[1:-1]}", hint="give the path of a card's .md file")
        return path.absolute(), True
    card = hub.find(name).card
    if card.path is None:
        raise CardError(f"the card {name} has no file on this machine", hint="give the path of a card's .md file")
    return card.path, False


def _is_uid(name: str) -> bool:
    if name.endswith(".md"):
        return False
    try:
        Uid.parse(name)
    except InvalidNameError:
        return False
    return True


def read_once(hub: Hub, name: str, path: Path, *, local: bool) -> tuple[FoundCard, Document]:
    """Find a card and parse its file; both come from the same bytes, as far as it matters for what runs.

    Args:
        hub: Settings and registries.
        name: The path of a card, or a UID.
        path: The card's file.
        local: Whether the name is a path.

    Raises:
        CardError: If it cannot be read, or changed while it was read.
        OSError: If the file cannot be read.
    """
    found = hub.find(name, local=local)
    data = read_card_file(str(path))[1]
    again = model.read(data, uid=found.card.uid, path=path)
    stated = [(one.recipe, one.repo_link, one.text("repo-revision"), one.body) for one in (found.card, again)]
    if stated[0] != stated[1]:
        raise CardError(f"{path} changed while it was read", hint="run the command again")
    return found, documents.parse(data)
