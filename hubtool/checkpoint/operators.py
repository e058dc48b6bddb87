"""The operators of a MindIR, read without MindSpore, and those that do more than compute.

A MindIR is code: MindSpore opens the shared library that an operator ``Custom`` names, and other operators run Python
or touch files. So every operator is looked up in ``vocabularies/mindir-operators.json`` before MindSpore sees the file.

The messages and their fields are those of ``mind_ir_pb2`` in MindSpore 2.10. An operator is named in a primitive
(``ModelProto.primitives``) or in a node; a node whose operator is ``REF::NAME`` refers to a primitive, a function or a
value of the same file, which are all read anyway. What cannot be read, or is not known here, is an error.
"""

from __future__ import annotations

import json
import mmap
import re
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Final

from hubtool import resources
from hubtool.checkpoint.mindir import read_number
from hubtool.errors import CheckpointError

if TYPE_CHECKING:
    from collections.abc import Mapping

# Of each message: its fields, and the message that a field holds; None where a field is skipped.
_FIELDS: Final[Mapping[str, Mapping[int, str | None]]] = {
    "model": {**dict.fromkeys((1, 2, 3, 4, 5, 6, 10, 11, 13, 14)), 7: "graph", 8: "graph", 12: "primitive"},
    "graph": {
        **dict.fromkeys((2, 4, 7, 9)), 1: "node", 3: "tensor", 5: "value", 6: "value", 8: "attribute", 10: "map",
    },
    "node": {**dict.fromkeys((1, 2, 3, 4, 6, 7)), 5: "attribute", 8: "attribute", 9: "attribute"},
    "primitive": {**dict.fromkeys((1, 2, 4, 5)), 3: "attribute"},
    "attribute": {
        **dict.fromkeys((1, 2, 3, 4, 5, 8, 9, 10, 11, 14, 15, 16, 20)), 6: "tensor", 7: "graph", 12: "tensor",
        13: "graph", 17: "attribute", 18: "sequence", 19: "functor",
    },
    "sequence": {1: None, 2: "attribute"},
    "functor": {1: None, 2: None, 3: "attribute"},
    "value": {1: None, 2: "tensor", 3: None, 4: None, 5: "attribute"},
    "tensor": {**dict.fromkeys((*range(1, 12), 13, 14, 15, 16)), 12: "external", 17: "quantisation"},
    "external": dict.fromkeys((1, 2, 3)),
    "quantisation": {1: None, 2: "attribute"},
    "map": {1: None, 2: "attribute", 3: "tensor", 4: "tensor", 5: "tensor"},
}  # fmt: skip
_PRODUCER, _PREPROCESSOR, _BPROP_FILE = 2, 9, 9
_OPERATOR: Final = {"node": 4, "primitive": 2}
_NAME, _TEXT, _REFERENCE, _TYPE, _LOCATION = 1, 5, 15, 16, 1
# Types of an attribute that stand for Python classes, modules and names, and for functors.
_PYTHON_TYPES: Final = frozenset({33, 34, 35, 38})
_LAST_TYPE: Final = 40
# Attributes that name foreign code, whichever operator they are of.
_NAMING_CODE: Final = frozenset(
    {"func_name", "func_type", "imply_path", "reg_info", "cust_aicpu", "graph_kernel", "func_source_str"}
)
# The largest real graphs have some ten thousand nodes of thirty fields; reading as much as this takes about a second.
_MAX_FIELDS: Final = 1_000_000
_MAX_MESSAGES: Final = 300_000
_MAX_CODE: Final = 10_000
_MAX_NAME_BYTES: Final = 256
_MAX_NAMES: Final = 4  # of one node: a valid file has one
_MAX_DEPTH: Final = 64
_MAX_FOREIGN: Final = 100
_MAX_TEXT_BYTES: Final = 4096
_MAX_SHOWN_CHARACTERS: Final = 200
_HINT: Final = "check the file; its card may state another format, or it may be encrypted"


@dataclass(slots=True)
class _Owner:
    """A node or a primitive, while its fields are read."""

    names: tuple[str, ...] = ()
    code: tuple[tuple[str, str], ...] = ()


def foreign(path: Path) -> tuple[str, ...]:
    """Return what a MindIR has that does more than compute, one phrase each with the library that it names; sorted.

    Raises:
        CheckpointError: If the file cannot be read, or holds what hubtool does not know.
    """
    try:
        found = path.stat()
        return _foreign(path, found.st_mtime_ns, found.st_size)
    except (OSError, ValueError) as error:  # an empty file cannot be mapped
        why = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise CheckpointError(f"{path} cannot be read as a MindIR: {why}", hint=_HINT) from error


@lru_cache(maxsize=8)
def _foreign(path: Path, modified_ns: int, size: int) -> tuple[str, ...]:  # noqa: ARG001 - what the answer holds for
    with path.open("rb") as stream, mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as data:
        return _Reader(data, path.stem).read()


@cache
def _ordinary() -> frozenset[str]:
    table = json.loads(resources.vocabulary_file("mindir-operators").read_text(encoding="utf-8"))
    return frozenset(table["operators"])


class _Reader:
    """Reads every message of one file; the nesting stands on a list, and all fields together are counted."""

    def __init__(self, data: mmap.mmap, stem: str) -> None:
        self._data = data
        self._stem = stem
        self._fields_left, self._messages_left, self._code_left = _MAX_FIELDS, _MAX_MESSAGES, _MAX_CODE
        self._todo: list[tuple[str, int, int, int, _Owner | None]] = []
        self._owners: list[_Owner] = []
        self._found: set[str] = set()

    def read(self) -> tuple[str, ...]:
        self._todo.append(("model", 0, len(self._data), 0, None))
        while self._todo:
            self._message(*self._todo.pop())
        for owner in self._owners:
            self._judge(owner)
        return tuple(sorted(self._found))

    def _message(self, kind: str, at: int, end: int, depth: int, owner: _Owner | None) -> None:
        if depth > _MAX_DEPTH:
            raise ValueError("it is nested too deeply")
        if kind in _OPERATOR:
            owner = _Owner()
            self._owners.append(owner)
        elif kind == "graph":
            owner = None
        elif kind == "functor":  # whatever type its attribute states
            self._add("a functor")
        known, operator = _FIELDS[kind], _OPERATOR.get(kind)
        attribute: dict[int, bytes] = {}
        producer = b""
        while at < end:
            self._fields_left -= 1
            if self._fields_left < 0:
                raise ValueError(f"it has more than {_MAX_FIELDS:,} fields (byte {at})")
            key, at = read_number(self._data, at, end)
            number, wire = key >> 3, key & 7
            if wire == 0:
                value, at = read_number(self._data, at, end)
                start = at
            elif wire == 2:
                value, start = read_number(self._data, at, end)
                at = start + value
            elif wire in (1, 5):
                value, start = 0, at
                at += 8 if wire == 1 else 4
            else:
                raise ValueError(f"there is no field of kind {wire} (byte {at})")
            if at > end:
                raise ValueError(f"it ends within a field (byte {start})")
            if number not in known:
                what = "a dataset pipeline" if (kind, number) == ("model", _PREPROCESSOR) else f"a field {number}"
                raise ValueError(f"it has {what} in a {kind} (byte {start}), which hubtool does not read")
            inner = known[number]
            if inner is not None:
                if wire != 2:
                    raise ValueError(f"a field of a {kind} is of another kind than it should be (byte {start})")
                self._messages_left -= 1
                if self._messages_left < 0:
                    raise ValueError(f"it has more than {_MAX_MESSAGES:,} parts (byte {start})")
                self._todo.append((inner, start, at, depth + 1, owner))
            elif number == operator:
                if owner is not None:
                    owner.names += (self._text(wire, start, at),)
                    if len(owner.names) > _MAX_NAMES:
                        raise ValueError(f"one {kind} names too many operators (byte {start})")
            elif kind == "attribute":
                if number == _TYPE and wire == 0:
                    self._check_type(value, owner)
                elif number == _REFERENCE and "::" in self._text(wire, start, at):
                    self._found.add("a reference to Python code")
                elif number in (_NAME, _TEXT) and wire == 2:
                    attribute[number] = self._data[start : min(at, start + _MAX_TEXT_BYTES)]
            elif kind == "external" and number == _LOCATION:
                self._check_location(self._text(wire, start, at))
            elif kind == "graph" and number == _BPROP_FILE and at > start:
                raise ValueError("it names another file of code (bprop_filepath)")
            elif kind == "model" and number == _PRODUCER and wire == 2:
                producer = self._data[start:at] if value < _MAX_TEXT_BYTES else b""
        if kind == "model" and producer != b"MindSpore":
            raise ValueError("it does not begin as one")
        self._keep(attribute, owner)

    def _keep(self, attribute: Mapping[int, bytes], owner: _Owner | None) -> None:
        """Keep an attribute that names code."""
        name, text = (attribute.get(key, b"").decode("utf-8", "replace") for key in (_NAME, _TEXT))
        if name not in _NAMING_CODE:
            return
        self._code_left -= 1
        if self._code_left < 0:
            raise ValueError(f"it has more than {_MAX_CODE:,} attributes that name code")
        if owner is not None:
            owner.code += ((name, text),)
        else:
            self._add(f"a graph with {name} {_short(text)!r}")

    def _judge(self, owner: _Owner) -> None:
        for name in owner.names:
            if name.startswith("REF::") or name == "Constant":
                continue
            code = [(key, text) for key, text in owner.code if text and (key, text) != ("cust_aicpu", name)]
            if name not in _ordinary() or code:
                told = ", ".join(f"{key} {_short(text)!r}" for key, text in code)
                self._add(f"{_short(name)} ({told})" if told else _short(name))
        if not owner.names or (owner.code and all(name.startswith("REF::") for name in owner.names)):
            told = ", ".join(f"{key} {_short(text)!r}" for key, text in owner.code)
            self._add(f"a node with {told}" if told else "a node without an operator")

    def _add(self, what: str) -> None:
        self._found.add(what)
        if len(self._found) > _MAX_FOREIGN:
            raise ValueError(f"it has more than {_MAX_FOREIGN} unusual operators")

    def _check_type(self, kind: int, owner: _Owner | None) -> None:
        if kind > _LAST_TYPE:
            raise ValueError(f"it has an attribute of the type {kind}, which hubtool does not know")
        if kind in _PYTHON_TYPES:
            named = f" of {_short(owner.names[0])}" if owner is not None and owner.names else ""
            self._add(f"an attribute{named} that stands for Python code or a functor")

    def _check_location(self, location: str) -> None:
        """Refuse weights in files elsewhere than in the folder that MindSpore writes beside the graph."""
        parts = PurePosixPath(location).parts
        if not parts or location.startswith("/") or "\\" in location or ".." in parts or len(parts) > 2:
            raise ValueError(f"its weights are in another file, {_short(location)!r}, which is not beside it")

    def _text(self, wire: int, start: int, end: int) -> str:
        if wire != 2 or end - start > _MAX_NAME_BYTES:
            raise ValueError(f"here should be a name (byte {start})")
        return self._data[start:end].decode("utf-8", "replace")


def _short(text: str) -> str:
    text = re.sub(r"[^\x20-\x7e]", "?", text)
    return text if len(text) <= _MAX_SHOWN_CHARACTERS else f"{text[: _MAX_SHOWN_CHARACTERS - 3]}..."
