"""Stand-ins for MindSpore, with which a script's own code says how it prepares its data, and nothing is computed.

Whatever a script takes from ``mindspore`` is a :class:`Named`, which knows only what it is called. Data sets and the
operations on them are recorded: :class:`RecordedDataset`.
"""

from __future__ import annotations

import contextlib
import functools
import importlib.abc
import importlib.machinery
import inspect
import sys
import types
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_FUNCTIONS = (types.FunctionType, types.MethodType, type)
_ENDS = frozenset({"create_dict_iterator", "create_tuple_iterator"})
# What a script may do with a data set that changes no picture.
_PLAIN = frozenset(
    {"shuffle", "repeat", "project", "take", "skip", "use_sampler", "device_que", "to_device", "set_dynamic_columns"}
)
_VALUES: dict[str, object] = {
    "get_rank": 0,
    "get_rank_id": 0,
    "get_group_size": 1,
    "get_local_rank": 0,
    "get_device_num": 1,
}


class DataUsed(BaseException):
    """The script has handed its data set to what computes: all that is wanted is known."""


class Named:
    """Something of MindSpore, of which only the name is known.

    Attributes:
        path: Its name with those of its modules, such as ``mindspore.dataset.vision.Inter.LINEAR``.
    """

    def __init__(self, path: str, recording: Recording) -> None:
        self.path = path
        self._recording = recording

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - a stand-in for anything
        if name.startswith("__") and name.endswith("__"):
            raise AttributeError(name)
        return self._recording.attribute(f"{self.path}.{name}")

    def __call__(self, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401, D102 - as above
        return self._recording.call(self.path, args, kwargs)

    def __mro_entries__(self, _: tuple[object, ...]) -> tuple[type, ...]:
        return (StandIn,)

    def __instancecheck__(self, _: object) -> bool:
        return False

    def __subclasscheck__(self, _: type) -> bool:
        return False

    def __iter__(self) -> Iterator[object]:
        return iter(())

    def __len__(self) -> int:
        return 0

    def __bool__(self) -> bool:
        return True

    def __getitem__(self, _: object) -> Named:
        return self

    def __setitem__(self, _: object, __: object) -> None:
        return None

    def __enter__(self) -> Named:  # noqa: PYI034 - it stays what it is
        return self

    def __exit__(self, *_: object) -> None:
        return None

    def _same(self, *_: object) -> Named:
        return self

    __add__ = __radd__ = __sub__ = __rsub__ = __mul__ = __rmul__ = __truediv__ = __rtruediv__ = _same
    __floordiv__ = __rfloordiv__ = __pow__ = __rpow__ = __neg__ = __mod__ = __matmul__ = _same


class StandIn:
    """The base of classes that a script derives from MindSpore's, such as its networks."""

    recording: Recording

    def __init_subclass__(cls) -> None:
        """Let a network be made of what stands for numbers: no picture depends on it."""
        made = cls.__dict__.get("__init__")
        if not isinstance(made, types.FunctionType):
            return

        @functools.wraps(made)
        def make(self: StandIn, *args: object, **kwargs: object) -> None:
            with contextlib.suppress(Exception):
                made(self, *args, **kwargs)

        cls.__init__ = make  # type: ignore[method-assign]

    def __init__(self, *_: object, **__: object) -> None:
        return None

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - a stand-in for anything
        if name.startswith("__") and name.endswith("__"):
            raise AttributeError(name)
        return Named(f"network.{name}", StandIn.recording)

    def __call__(self, *args: object, **kwargs: object) -> Any:  # noqa: ANN401, D102 - as above
        return StandIn.recording.call("network", args, kwargs)


class RecordedDataset:
    """A data set, and what was done with it.

    Attributes:
        kind: Its class, such as ``ImageFolderDataset``.
        arguments: What it was made with, by name.
        places: How many arguments it was made with by position.
        maps: Each call of ``map``: its columns, or None for the first, and its operations.
        odd: What was done with it that may change what a network sees, and is not understood.
        batched: Whether it was put into batches.
    """

    def __init__(self, kind: str, arguments: dict[str, object], recording: Recording, *, places: int = 0) -> None:
        self.kind = kind
        self.arguments = arguments
        self.places = places
        self.maps: list[dict[str, Any]] = []
        self.odd: list[str] = []
        self.batched = False
        self._recording = recording

    def map(
        self, operations: object = None, input_columns: object = None, *_: object, **more: object
    ) -> RecordedDataset:
        """Record operations on columns."""
        listed = list(operations) if isinstance(operations, (list, tuple)) else [operations]
        columns = [input_columns] if isinstance(input_columns, str) else input_columns
        entry: dict[str, Any] = {"columns": columns, "operations": [_told(one) for one in listed]}
        if isinstance(more.get("output_columns"), list) and more["output_columns"] != columns:
            self.odd.append("map makes other columns")
        self.maps.append(entry)
        return self

    def batch(self, *_: object, **more: object) -> RecordedDataset:
        """Record that it is put into batches."""
        if more.get("per_batch_map") is not None:
            self.odd.append("batch has a function of its own")
        self.batched = True
        return self

    def __add__(self, other: object) -> RecordedDataset:
        """Join two data sets; what only fills the last batch counts for nothing."""
        if not isinstance(other, RecordedDataset):
            return NotImplemented
        kept = other if self.kind == "PaddedDataset" and not self.maps else self
        if not (kept is other or (other.kind == "PaddedDataset" and not other.maps)):
            kept.odd.append("several data sets are joined")
        return kept

    def get_dataset_size(self) -> int:
        """Return a size, which no picture depends on."""
        return 100

    def get_batch_size(self) -> int:
        """Return a size, which no picture depends on."""
        return 1

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - a method of a data set
        if name.startswith("__") and name.endswith("__"):
            raise AttributeError(name)

        def method(*_: object, **__: object) -> Any:  # noqa: ANN401 - as above
            if name in _ENDS:
                self._recording.use(self)
            if name not in _PLAIN:
                self.odd.append(f"{name} is called")
            return self

        return method

    def __iter__(self) -> Iterator[object]:
        self._recording.use(self)
        return iter(())

    def __len__(self) -> int:
        return 100

    def as_json(self) -> dict[str, Any]:
        """Return all of it as plain values."""
        return {
            "kind": self.kind,
            "arguments": self.arguments,
            "places": self.places,
            "maps": self.maps,
            "odd": self.odd,
            "batched": self.batched,
        }


class Operation:
    """An operation of MindSpore on one picture or label.

    Attributes:
        path: Its name with those of its modules.
        args: Its arguments by position.
        kwargs: Its arguments by name.
    """

    def __init__(self, path: str, args: Sequence[object], kwargs: dict[str, object]) -> None:
        self.path = path
        self.args = args
        self.kwargs = kwargs

    def __call__(self) -> Operation:
        """Return the operation: an earlier ComposeOp was called for its operations.

        Nothing is computed, and a call on a picture fails.
        """
        return self

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - a stand-in for anything
        if name.startswith("__") and name.endswith("__"):
            raise AttributeError(name)
        return lambda *_, **__: self


class Recording:
    """What a script did.

    Attributes:
        datasets: The data sets that it made, in order.
        used: The data set that it handed to what computes, or None.
        used_by: What took it, such as ``eval``; empty for the script's own loop.
    """

    def __init__(self, version: str) -> None:
        self.datasets: list[RecordedDataset] = []
        self.used: RecordedDataset | None = None
        self.used_by = ""
        self._version = version
        self._context: dict[str, object] = {"device_target": "Ascend", "mode": 0}

    def attribute(self, path: str) -> Any:  # noqa: ANN401 - a stand-in for anything
        """Return what stands for something of MindSpore."""
        name = path.rpartition(".")[2]
        if path == "mindspore.__version__":
            return self._version
        if name in {"ParallelMode", "GRAPH_MODE", "PYNATIVE_MODE"}:
            return Named(path, self)
        if path in sys.modules:
            return sys.modules[path]
        return Named(path, self)

    def call(self, path: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:  # noqa: ANN401 - as above
        """Record a call of something of MindSpore; return what stands for its result."""
        name = path.rpartition(".")[2]
        for value in (*args, *kwargs.values()):
            if isinstance(value, RecordedDataset) and not path.startswith("mindspore.dataset"):
                self.use(value, by=name)
        if name in _VALUES:
            return _VALUES[name]
        if name == "set_context":
            self._context.update(kwargs)
            return None
        if name == "get_context":
            return self._context.get(args[0]) if args else None
        if path.startswith("mindspore.dataset"):
            if name in {"Compose", "ComposeOp"}:
                return Operation(path, args, kwargs)
            if name.endswith("Dataset") and name != "Dataset":
                by_name = {key: _told(value) for key, value in kwargs.items()}
                made = RecordedDataset(name, by_name, self, places=len(args))
                self.datasets.append(made)
                return made
            if ("transforms" in path or "vision" in path) and name[:1].isupper():
                return Operation(path, args, kwargs)
        if len(args) == 1 and not kwargs and isinstance(args[0], _FUNCTIONS):
            return args[0]  # a decorator
        return Named(f"{path}()", self)

    def use(self, dataset: RecordedDataset, *, by: str = "") -> None:
        """End the script: its data set is whole.

        Raises:
            DataUsed: Always.
        """
        self.used, self.used_by = dataset, by
        raise DataUsed


def _told(value: object) -> Any:  # noqa: ANN401 - plain values
    """Return an argument or an operation as plain values; what is none of these is told by its type."""
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, (list, tuple)):
        return [_told(one) for one in value]
    if isinstance(value, Named):
        return {"name": value.path}
    if isinstance(value, Operation):
        return {
            "operation": value.path,
            "args": [_told(one) for one in value.args],
            "kwargs": {key: _told(one) for key, one in value.kwargs.items()},
        }
    if hasattr(value, "tolist"):
        return _told(value.tolist())
    kind = value if inspect.isfunction(value) or inspect.isclass(value) else type(value)
    return {"python": getattr(kind, "__name__", "?")}


class Finder(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Finds ``mindspore`` and all below it, and what is not installed: modules that have any name."""

    def __init__(self, recording: Recording, *, only: str | None, root: str = "") -> None:
        self._recording = recording
        self._only = only
        self._root = root

    def find_spec(self, name: str, path: object = None, target: object = None) -> importlib.machinery.ModuleSpec | None:
        """Return the specification of a module of any name."""
        del path, target
        first = name.partition(".")[0]
        if (self._only is not None and first != self._only) or first in sys.stdlib_module_names:
            return None
        if self._only is None and not _asked_from(self._root):
            return None  # a library that asks whether another is installed
        return importlib.machinery.ModuleSpec(name, self, is_package=True)

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> types.ModuleType:
        """Return an empty module."""
        return types.ModuleType(spec.name)

    def exec_module(self, module: types.ModuleType) -> None:
        """Give a module any name that is asked of it."""
        name, recording = module.__name__, self._recording

        def attribute(key: str) -> Any:  # noqa: ANN401 - a stand-in for anything
            if key.startswith("__") and key != "__version__":
                raise AttributeError(key)
            return recording.attribute(f"{name}.{key}")

        module.__path__ = []
        module.__dict__["__getattr__"] = attribute
        if name == "easydict":
            module.__dict__["EasyDict"] = AttributeDict


def _asked_from(root: str) -> bool:
    """Whether the code that imports stands in a folder."""
    frame = sys._getframe(2)  # noqa: SLF001 - there is no other way to know who imports
    while frame is not None and "importlib" in frame.f_code.co_filename:
        frame = frame.f_back  # type: ignore[assignment]
    return frame is not None and frame.f_code.co_filename.startswith(root)


class AttributeDict(dict):  # type: ignore[type-arg]
    """A dictionary whose keys are attributes too, in place of the package of this name."""

    def __init__(self, values: Any = None, **more: Any) -> None:  # noqa: ANN401 - any values
        super().__init__()
        for key, value in {**(values or {}), **more}.items():
            self[key] = AttributeDict(value) if isinstance(value, dict) else value

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - as above
        try:
            return self[name]
        except KeyError:
            raise AttributeError(name) from None

    def __setattr__(self, name: str, value: Any) -> None:  # noqa: ANN401 - as above
        self[name] = value
