"""What a card says of an asset's bytes, and checks of the bytes against it. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from hubtool.errors import DigestError, FetchError

if TYPE_CHECKING:
    from hubtool.digest import Digest

_OTHER = "the file at the link is another one: correct the card, or ask its publisher"


@dataclass(frozen=True, slots=True, kw_only=True)
class ExpectedBytes:
    """What an asset's bytes must be.

    Attributes:
        digest: Their digest, whole or short.
        source: Where they come from, as errors name it.
        size: How many there must be, where the card says it.
        limit: The most that are taken.
    """

    digest: Digest
    source: str
    size: int | None
    limit: int

    def check_stated(self) -> None:
        """Refuse what is to be too large from the first.

        Raises:
            FetchError: If more are promised than may come.
        """
        if self.size is not None and self.size > self.limit:
            raise self._too_large(f"{self.size} bytes are needed")

    def check_offered(self, size: int) -> None:
        """Compare how many bytes the other side says that it will send.

        Raises:
            FetchError: If these are other than the card's, or more than may come.
        """
        if self.size is not None and size != self.size:
            raise FetchError(f"{self.source}: {size} bytes are offered, and the card says {self.size}", hint=_OTHER)
        if size > self.limit:
            raise self._too_large(f"{size} bytes are offered")

    def check_coming(self, total: int) -> None:
        """Compare how many bytes have come so far.

        Raises:
            FetchError: If these are more than may.
        """
        if self.size is not None and total > self.size:
            raise FetchError(
                f"{self.source}: the server sends more than the {self.size} bytes stated on the card", hint=_OTHER
            )
        if total > self.limit:
            raise self._too_large("more bytes come")

    def check_whole(self, total: int, actual: str) -> None:
        """Compare all bytes, by their number and their digest.

        Raises:
            FetchError: If there are fewer than there must be.
            DigestError: If they have another digest.
        """
        if self.size is not None and total != self.size:
            raise FetchError(
                f"{self.source}: received {total} bytes; the card says {self.size}",
                hint="the download was cut short or the file changed: try again; if it fails again, ask the publisher",
                passing=True,
            )
        if not self.digest.matches(actual):
            raise DigestError(
                f"{self.source}: these are not the bytes that the card promises: "
                f"their SHA-256 is {actual}, and the card says {self.digest}",
                expected=str(self.digest),
                actual=actual,
                hint="the file was changed, or damaged on its way; nothing of it was kept",
            )

    def _too_large(self, what: str) -> FetchError:
        return FetchError(
            f"{self.source}: {what}, and {self.limit} are the most that are taken",
            hint="if the asset is meant to be that large, state its asset-size on the card",
        )
