"""Every error that hubtool raises.

The tree, so that a caller can catch as much or as little as it means to::

    HubError
    +-- InvalidNameError (ValueError)    a UID, URL or path that cannot name a card
    +-- ArgumentTypeError (TypeError)    an argument of the wrong type
    +-- ArgumentError (ValueError)       an argument of the right type and a wrong value
    +-- SettingsError                    a setting that cannot be used
    +-- LockfileError                    a lockfile that cannot be used, or that something differs from
    +-- CardError                        a card that cannot be read
    +-- CardNotFoundError (LookupError)  no card has this UID
    +-- AssetError                       an asset that cannot be used
    |   +-- FetchError                   it did not arrive
    |   |   +-- OfflineError             it is not stored, and hubtool is offline
    |   |   +-- ForbiddenLinkError       its link, or a redirect, leads to a forbidden place
    |   |   +-- UnknownHostError         the host of its link does not exist
    |   +-- DigestError                  its bytes do not match the digest on the card
    |   +-- StoreError                   the store cannot be read or written
    +-- MirrorError                      a mirror that cannot be read or written
    +-- CheckpointError                  a file that cannot be read as a checkpoint
    +-- NetworkError                     a network that cannot be built
    |   +-- RecipeError                  the recipe is missing, wrong or contradicts the checkpoint
    |   +-- RequirementError             something the network needs is not installed
    |   +-- DeviceError                  the device asked for is not there
    +-- WithdrawnError                   a card that was withdrawn, and that no lockfile pins
    +-- PublishError                     a card that cannot be published, or changed in its registry
    +-- CoverageError                    checkpoint and network do not match, tensor for tensor

There are also warnings (UserWarning): CardStatusWarning (the loaded card is deprecated, or withdrawn and pinned),
RegistryWarning (a card of a registry is not used), BorrowedRecipeWarning (the loaded card has no recipe of its own) and
SlowProcessorWarning (networks run far slower than they could).

A message says what is wrong, where, and what to do; ``hint`` holds the last of these where it can stand apart.
"""

from __future__ import annotations


class HubError(Exception):
    """The base class of all errors of hubtool.

    Attributes:
        message: What is wrong, and where.
        hint: What to do about it, or None.
    """

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return self.message if self.hint is None else f"{self.message}\nhint: {self.hint}"

    def __reduce__(self) -> tuple[object, ...]:
        # The default calls the class with `args`, but subclasses have other arguments. Errors are pickled between
        # processes.
        return _restored, (type(self), self.args, self.__dict__)


def _restored(kind: type[HubError], args: tuple[object, ...], state: dict[str, object]) -> HubError:
    error = kind.__new__(kind, *args)
    error.__dict__.update(state)
    return error


class InvalidNameError(HubError, ValueError):
    """A name that cannot name a card."""


class ArgumentTypeError(HubError, TypeError):
    """An argument of the wrong type."""


class ArgumentError(HubError, ValueError):
    """An argument with a value that is not allowed."""


class SettingsError(HubError):
    """A setting that cannot be used."""


class LockfileError(HubError):
    """A lockfile that cannot be used, or that a card, an asset or code differs from."""


class CardError(HubError):
    """A card that cannot be read."""


class CardNotFoundError(HubError, LookupError):
    """No card has this UID.

    Attributes:
        matches: UIDs that are close to the one asked for, best first.
    """

    def __init__(self, message: str, *, matches: tuple[str, ...] = (), hint: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.matches = matches


class AssetError(HubError):
    """An asset that cannot be used."""


class FetchError(AssetError):
    """An asset that did not arrive.

    Attributes:
        status: The HTTP status of the answer, or None if there was none.
        passing: Whether the cause is temporary, so that another attempt can succeed.
        wait: The seconds that the server asks to wait before another attempt, or None.
        reached: Whether the server was reached.
    """

    def __init__(
        self,
        message: str,
        *,
        hint: str | None = None,
        status: int | None = None,
        passing: bool = False,
        wait: float | None = None,
        reached: bool = True,
    ) -> None:
        super().__init__(message, hint=hint)
        self.status = status
        self.passing = passing
        self.wait = wait
        self.reached = reached


class RollbackError(FetchError):
    """A published registry whose index is older than the last one, or contradicts it."""


class OfflineError(FetchError):
    """An asset that is not stored while hubtool is offline."""


class ForbiddenLinkError(FetchError):
    """A link or a redirect to a host or with a scheme that is not allowed."""


class UnknownHostError(FetchError):
    """A link to a host whose name has no address."""


class DigestError(AssetError):
    """Bytes that do not match the digest on the card.

    Attributes:
        expected: The digest that the card states (SHA-256, hex; perhaps a short digest).
        actual: The digest of the received bytes.
    """

    def __init__(self, message: str, *, expected: str, actual: str, hint: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.expected = expected
        self.actual = actual


class StoreError(AssetError):
    """The store cannot be read or written."""


class MirrorError(HubError):
    """A mirror cannot be read or written."""


class CheckpointError(HubError):
    """A file that cannot be read as a checkpoint."""


class NetworkError(HubError):
    """A network that cannot be built."""


class RecipeError(NetworkError):
    """A recipe that is missing, wrong, or contradicted by the checkpoint."""


class RequirementError(NetworkError):
    """Something that the network needs is not installed."""


class DeviceError(NetworkError):
    """The device asked for is not there."""


class WithdrawnError(HubError):
    """A card that was withdrawn, and that no lockfile pins: it does not load."""


class PublishError(HubError):
    """A card that cannot be published, or whose status cannot be changed in its registry."""


class RegistryWarning(UserWarning):
    """A card of a registry is not used: an earlier registry has another, or it changed since the last sync."""


class SlowProcessorWarning(UserWarning):
    """Networks run far slower on this processor than they could."""


class BorrowedRecipeWarning(UserWarning):
    """The loaded card does not say how its network is built; that came from another card, or from its checkpoint."""


class CardStatusWarning(UserWarning):
    """The loaded card is deprecated, or was withdrawn and is loaded because a lockfile pins it."""


class CoverageError(HubError):
    """Checkpoint and network do not match, tensor for tensor.

    Attributes:
        coverage: The :class:`hubtool.checkpoint.coverage.Coverage` that lists every tensor.
    """

    def __init__(self, message: str, *, coverage: object, hint: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.coverage = coverage
