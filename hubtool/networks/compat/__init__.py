"""The bridge: lets code for MindSpore 1.x (and old NumPy, Python and PyYAML) run on today's versions.

It works only inside a :class:`hubtool.networks.isolation.namespace.Namespace`: its code imports proxies of the real
modules, and the user's modules stay unchanged.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
from types import ModuleType
from typing import TYPE_CHECKING, Any, Final

from hubtool.networks.compat import stand_ins, syntax
from hubtool.networks.compat.table import GONE, METHODS, ROWS
from hubtool.networks.isolation.module_proxy import ModuleProxy
from hubtool.networks.isolation.namespace import ModuleProvider

if TYPE_CHECKING:
    import ast
    from collections.abc import Mapping

    from hubtool.networks.compat.table import Replacement
    from hubtool.networks.isolation.namespace import Namespace

# Modules that code sees through a proxy, besides all of MindSpore.
_VIEWED: Final = frozenset(row.old.rpartition(".")[0] for row in ROWS if not row.old.startswith("mindspore"))
_ABSENT: Final = object()


def stands_for(row: Replacement) -> Any:  # noqa: ANN401 - a module, a class or a function
    """Return the object that replaces a row's old name."""
    module, _, attribute = row.stands.partition(":")
    found = importlib.import_module(module)
    return getattr(found, attribute) if attribute else found


class Bridge(ModuleProvider):
    """Supplies a namespace with proxies of MindSpore and others.

    Args:
        hooks: Replacements of members of MindSpore beyond the table, by dotted name (``mindspore.export``).
        old: Whether the code is of MindSpore 1.x, so that operators compute as they did.
    """

    def __init__(self, hooks: Mapping[str, object] | None = None, *, old: bool = True) -> None:
        self._hooks = dict(hooks or {})
        self._old = old
        self._rows = {row.old: row for row in ROWS if old or not row.meaning}
        self._replaced: dict[int, object] | None = None
        self._keep: list[object] = []

    def module(self, namespace: Namespace, name: str) -> ModuleType | None:
        """Return the proxy of a module, or None if the code can use the real one."""
        head = name.partition(".")[0]
        if head != "mindspore":
            if name not in _VIEWED:
                return None
            try:
                return self._view(namespace, name, importlib.import_module(name))
            except ModuleNotFoundError:
                return None
        row = self._rows.get(name)
        if row is not None and row.stands.endswith(":"):
            return self._view(namespace, name, stands_for(row))
        try:
            behind = importlib.import_module(name)
        except ModuleNotFoundError:
            is_gone = any(name == gone or name.startswith(gone + ".") for gone in GONE)
            has_rows = any(old.startswith(name + ".") for old in self._rows)
            if not is_gone and not has_rows:
                raise
            if is_gone and not has_rows:
                return stand_ins.StandInModule(name)
            behind = stand_ins.StandInModule(name) if is_gone else ModuleType(name)
            behind.__path__ = []
        return self._view(namespace, name, behind)

    def missing(self, namespace: Namespace, name: str) -> ModuleType | None:
        """Return the stand-in for a package that is not installed, or None."""
        found = namespace.views.get(name)
        if found is None:
            found = stand_ins.module(name)
            if found is not None:
                namespace.views[name] = found
        return found

    def builtins(self) -> dict[str, Any]:
        """Return what code calls in the place of operators and methods."""
        if not self._old:
            return {}
        return {syntax.OPERATE: _late("operate"), syntax.METHOD: _late("method")}

    def change(self, tree: ast.Module) -> ast.Module:
        """Return the syntax tree with operators and methods of tensors as they were."""
        return syntax.OldTensors(METHODS).visit(tree) if self._old else tree

    def _view(self, namespace: Namespace, name: str, behind: ModuleType) -> ModuleProxy:
        replaced = self._replacements()
        members: dict[str, object] = {}
        hidden = set()
        for key, value in vars(behind).items():
            if isinstance(value, ModuleType) and value.__name__.startswith("mindspore"):
                hidden.add(key)
            elif (other := replaced.get(id(value), _ABSENT)) is not _ABSENT:
                members[key] = other
        prefix = name + "."
        for old, row in self._rows.items():
            if old.startswith(prefix) and "." not in old[len(prefix) :]:
                key = old[len(prefix) :]
                if row.stands.endswith(":"):
                    hidden.add(key)
                elif row.changed or key not in vars(behind) or name != behind.__name__:
                    members[key] = stands_for(row)
        members.update(
            {
                hook[len(prefix) :]: value
                for hook, value in self._hooks.items()
                if hook.startswith(prefix) and "." not in hook[len(prefix) :]
            }
        )

        def more(key: str) -> object:
            value = getattr(behind, key, _ABSENT)
            full = f"{name}.{key}"
            if isinstance(value, ModuleType) and value.__name__.startswith("mindspore"):
                is_moved = value.__name__ != full and full not in self._rows
                return namespace.import_module(value.__name__ if is_moved else full)
            if full in self._rows or (value is _ABSENT and (full in GONE or _is_module(f"{behind.__name__}.{key}"))):
                return namespace.import_module(full)
            raise LookupError(key)

        view = ModuleProxy(behind, members, more, hidden=hidden)
        view.__name__ = name
        if hasattr(behind, "__path__"):
            view.__path__ = behind.__path__
        elif any(old.startswith(prefix) for old in self._rows):
            view.__path__ = []
        return view

    def _replacements(self) -> dict[int, object]:
        """Return the replacements of members, by the identity of the real member, wherever it is exported."""
        if self._replaced is None:
            replaced: dict[int, object] = {}
            changed = [
                (row.old, stands_for(row))
                for row in self._rows.values()
                if row.changed and row.old.startswith("mindspore")
            ]
            for old, value in (*changed, *self._hooks.items()):
                module, _, attribute = old.rpartition(".")
                real = getattr(sys.modules.get(module) or importlib.import_module(module), attribute, _ABSENT)
                if real is not _ABSENT:
                    self._keep.append(real)  # keeps the object, and so its identity, alive
                    replaced[id(real)] = value
            self._replaced = replaced
        return self._replaced


def _late(name: str) -> Any:  # noqa: ANN401 - a function
    """Return a function of :mod:`hubtool.networks.compat.operators`, which needs MindSpore when it is called first."""

    def call(*args: object) -> Any:  # noqa: ANN401 - what it gives
        return getattr(importlib.import_module("hubtool.networks.compat.operators"), name)(*args)

    return call


def _is_module(name: str) -> bool:
    if name in sys.modules:
        return True
    try:
        return importlib.util.find_spec(name) is not None
    except (ImportError, ValueError, AttributeError):
        return False
