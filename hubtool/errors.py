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
    |   |   +-- OfflineError             it is not stored, and the network may not be used
    |   |   +-- ForbiddenLinkError       its link, or a redirect, leads where none may go
    |   |   +-- UnknownHostError         nobody knows the host of its link
    |   +-- DigestError                  its bytes are not the ones the card promises
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

Beside them stand two warnings (UserWarning): CardStatusWarning, what was loaded is deprecated, or withdrawn and pinned;
and RegistryWarning, a registry has a card that is not used.

A message says what is wrong, where, and what to do; ``hint`` holds the last of these where it can stand apart.
"""

from __future__ import annotations


class HubError(Exception):
    """The root of all errors of hubtool.

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
        # The default gives `args` to the class, which has arguments of its own; errors come from other processes, too.
        return _restored, (type(self), self.args, self.__dict__)


def _restored(kind: type[HubError], args: tuple[object, ...], state: dict[str, object]) -> HubError:
    error = kind.__new__(kind, *args)
    error.__dict__.update(state)
    return error


class InvalidNameError(HubError, ValueError):
    """A name that cannot be the name of a card."""


class ArgumentTypeError(HubError, TypeError):
    """An argument of the wrong type."""


class ArgumentError(HubError, ValueError):
    """An argument with a value that is not one of those allowed."""


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
        status: The HTTP status that the server answered, or None where it did not come to that.
        passing: Whether the cause may pass by itself, so that another attempt is worth making.
        wait: The seconds after which the server asks to be tried again, or None where it does not say.
        reached: Whether the server was reached, as far as it was asked.
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
    """A published registry whose index is older than the one that was seen last, or contradicts it."""


class OfflineError(FetchError):
    """An asset that is not stored while the network may not be used."""


class ForbiddenLinkError(FetchError):
    """A link or a redirect that leads to a host or by a scheme that is not allowed."""


class UnknownHostError(FetchError):
    """A link to a host whose name stands for no address."""


class DigestError(AssetError):
    """Bytes that are not the ones the card promises.

    Attributes:
        expected: The digest that the card states (SHA-256, hex; perhaps a short digest).
        actual: The digest of the bytes that came.
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
    """What a registry has is not used: its card is not the one of an earlier registry, or changed since it was seen."""


class CardStatusWarning(UserWarning):
    """What was loaded is deprecated, or was withdrawn and is loaded because a lockfile pins it."""


class CoverageError(HubError):
    """Checkpoint and network do not match, tensor for tensor.

    Attributes:
        coverage: The :class:`hubtool.checkpoint.coverage.Coverage` that lists every tensor.
    """

    def __init__(self, message: str, *, coverage: object, hint: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.coverage = coverage
