"""A placeholder for missing data."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from typing_extensions import Self


class Stub:
    """A placeholder for missing data: it can be passed around, and never becomes a number."""

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - as it says
        if name.startswith("__"):
            raise AttributeError(name)
        return self

    def __call__(self, *_: object, **__: object) -> Stub:
        """Return itself, whatever it is called with."""
        return self

    def __iter__(self) -> Any:  # noqa: ANN401 - an iterator
        return iter(())

    def __getitem__(self, _: object) -> Stub:
        return self

    def __setitem__(self, _: object, __: object) -> None:
        """Ignore the value."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Do nothing."""
