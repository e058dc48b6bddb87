"""The identifier of a card: ``publisher/version/name``.

The legacy form with four parts, ``publisher/backend/version/name`` (``noah-cvlab/gpu/1.0/resnet50``), is read too.
Parsing is strict, because a UID becomes a path: nothing that could lead out of a registry is a UID.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import PurePosixPath

from hubtool.errors import InvalidNameError

MAX_PART = 128
# Letters and digits of any script are names; what separates words is `_`, `-`, `.` and `+`. A part starts with
# neither a dot (hidden files, `..`) nor a dash (options of programs). Everything else, `/` and control characters
# included, is out.
_PART = re.compile(r"[^\W_][\w.+-]*\Z")
_VERSION = re.compile(r"[0-9]+(\.[0-9]+)*([a-z]+[0-9]*)?\Z")
_RESERVED = frozenset({"con", "prn", "aux", "nul", *(f"{d}{n}" for d in ("com", "lpt") for n in range(1, 10))})


@dataclass(frozen=True, slots=True, order=True)
class Uid:
    """A card's identifier; ``Uid.parse`` and ``str`` are inverses.

    Attributes:
        publisher: The publisher of the card, such as ``mindspore``.
        version: The version of MindSpore, or of the model, that it was published for, such as ``1.9``; always text.
        name: The model's name within publisher and version.
        backend: ``ascend``, ``gpu`` or the like in the legacy form, else None.
    """

    publisher: str
    version: str
    name: str
    backend: str | None = None

    @classmethod
    def parse(cls, text: str) -> Uid:
        """Read a UID.

        Raises:
            InvalidNameError: If the text is not a UID; the message says which part is wrong.
        """
        shown = ascii(text[:200]) if isinstance(text, str) else repr(text)
        if not isinstance(text, str):
            raise InvalidNameError(f"{shown} is not a UID: it is not text")
        parts = text.split("/")
        if len(parts) not in (3, 4):
            lacks = "its publisher and version are missing" if len(parts) == 1 else f"it has {len(parts)} parts"
            raise InvalidNameError(
                f"{shown} is not a UID: {lacks}",
                hint="a UID is publisher/version/name, such as mindspore/1.9/bertfinetune_bilstmcrf_chinesener",
            )
        for part in parts:
            _check_part(part, shown)
        if len(parts) == 4:
            publisher, backend, version, name = parts
        else:
            (publisher, version, name), backend = parts, None
        if not _VERSION.match(version):
            raise InvalidNameError(
                f"{shown} is not a UID: {version!a} is not a version",
                hint="a version is a number such as 1.9 or 1.10",
            )
        return cls(publisher, version, name, backend)

    @classmethod
    def of_path(cls, path: PurePosixPath) -> Uid:
        """Read the UID of a card from its path relative to its registry.

        Raises:
            InvalidNameError: If the path is not ``<publisher>/<version>/<name>.md``.
        """
        if path.suffix != ".md":
            raise InvalidNameError(f"{str(path)!a} is not the path of a card: it does not end in .md")
        return cls.parse(str(path.with_suffix("")) if path.stem else str(path))

    @property
    def path(self) -> PurePosixPath:
        """The card's path relative to its registry."""
        return PurePosixPath(f"{self}.md")

    def __str__(self) -> str:
        middle = self.version if self.backend is None else f"{self.backend}/{self.version}"
        return f"{self.publisher}/{middle}/{self.name}"


def _check_part(part: str, shown: str) -> None:
    if len(part) > MAX_PART:
        raise InvalidNameError(f"{shown} is not a UID: a part is longer than {MAX_PART} characters")
    if not _PART.match(part):
        raise InvalidNameError(
            f"{shown} is not a UID: {part!a} is not a name",
            hint="a name starts with a letter or digit, and has letters, digits, '_', '-', '.' and '+' only",
        )
    # Windows drops trailing dots, and some names are devices there: two UIDs must never be one file.
    if part.endswith(".") or part.split(".", maxsplit=1)[0].lower() in _RESERVED:
        raise InvalidNameError(f"{shown} is not a UID: {part!a} cannot be a file name everywhere")
