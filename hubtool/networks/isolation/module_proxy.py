"""Proxies of real modules, for one namespace."""

from __future__ import annotations

from types import ModuleType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

_MODULE_ATTRIBUTES = frozenset({"__name__", "__loader__", "__spec__", "__builtins__", "__getattr__", "__dir__"})


class ModuleProxy(ModuleType):
    """A proxy of a module for one namespace, with some members replaced.

    Attributes that are set stay on the proxy, and the real module never changes.
    """

    def __init__(
        self,
        behind: ModuleType,
        members: Mapping[str, object],
        more: Callable[[str], object] | None = None,
        *,
        hidden: Collection[str] = (),
    ) -> None:
        super().__init__(behind.__name__, behind.__doc__)
        # Copied, because MindSpore's parser and `import *` read a module's dictionary.
        kept = {
            name: value for name, value in vars(behind).items() if name not in _MODULE_ATTRIBUTES and name not in hidden
        }
        self.__dict__.update(kept)
        self.__dict__.update(members)
        # Name mangling keeps these apart from the names of members.
        self.__behind = behind
        self.__more = more

    def __getattr__(self, name: str) -> object:
        if name.startswith("_ModuleProxy__"):  # while a copy or a pickle is being made
            raise AttributeError(name)
        if self.__more is not None:
            try:
                value = self.__more(name)
            except LookupError:
                value = getattr(self.__behind, name)
        else:
            value = getattr(self.__behind, name)
        return value

    def __dir__(self) -> list[str]:
        return sorted({*dir(self.__behind), *self.__dict__})
