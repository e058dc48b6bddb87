"""Put the tensors of a checkpoint into a network.

The tensors are not copied: a ``.ckpt`` is rewritten once as safetensors, beside its blob in the store, and parameters
are views of that file, mapped into memory copy on write. Training changes pages of the process and never the file.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from hubtool.card.model import CLASS_COUNTS
from hubtool.checkpoint.conversion import to_safetensors
from hubtool.checkpoint.coverage import Coverage, Renaming, compare, cover, rename, renamed
from hubtool.checkpoint.header import FOREIGN_ITEM_BITS, Header, TensorInfo
from hubtool.checkpoint.reading import read_header
from hubtool.errors import CheckpointError, CoverageError, StoreError

if TYPE_CHECKING:
    from pathlib import Path

    from hubtool.card.model import Recipe
    from hubtool.networks.provider import BuildRequest, BuiltNetwork
    from hubtool.store.store import Store

# The types of NumPy that MindSpore takes without a copy.
_NUMPY_TYPES = frozenset(
    {"bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64", "float16", "float32", "float64",
     "complex64", "complex128"}
)  # fmt: skip


def mappable(store: Store, header: Header, path: Path, digest: str) -> tuple[Header, Path]:
    """Return a checkpoint as safetensors; the converted copy is made once and kept beside its blob.

    Args:
        store: The store that has the checkpoint.
        header: The checkpoint's header.
        path: The checkpoint.
        digest: Its SHA-256.

    Returns:
        The header and path of the safetensors file; those of the checkpoint itself if the store cannot be written.
    """
    if header.format == "safetensors":
        return header, path
    try:
        copy = store.derive(digest, "safetensors", lambda to: to_safetensors(header, path, to))
    except StoreError:
        return header, path  # tensors are then copied out of the .ckpt itself
    return read_header(copy), copy


def renamed_by_recipe(header: Header, recipe: Recipe) -> tuple[Header, tuple[str, ...]]:
    """Return a checkpoint's header with the names that the recipe's rules give its tensors, and a note on that.

    Args:
        header: The header as it stands in the file.
        recipe: The card's recipe.

    Raises:
        RecipeError: If the rules give two tensors one name, or make a name too long.
    """
    named = renamed({tensor.name: tensor for tensor in header.tensors}, recipe.rename)
    changed = sum(tensor.name != name for name, tensor in named.items())
    if not changed:
        return header, ()
    gone = len(header.tensors) - len(named)
    note = f"{_tensors(changed)} renamed by the recipe" + (f"; {gone} others were replaced by them" if gone else "")
    return replace(header, tensors=tuple(replace(tensor, name=name) for name, tensor in named.items())), (note,)


def _tensors(count: int) -> str:
    return "1 tensor was" if count == 1 else f"{count} tensors were"


def read_tensors(header: Header, path: Path) -> dict[str, Any]:
    """Return every tensor of a checkpoint as a ``mindspore.Tensor``: mapped where the file allows it, else copied."""
    import numpy as np  # noqa: PLC0415
    from mindspore import Tensor  # noqa: PLC0415

    # Mode "c" is copy on write: a page that is written becomes private to the process, and the file stays as it is.
    mapped = np.memmap(path, dtype=np.uint8, mode="c") if header.bytes else np.empty(0, np.uint8)
    return {tensor.name: Tensor.from_numpy(_array(tensor, mapped, path)) for tensor in header.tensors}


def _array(tensor: TensorInfo, mapped: Any, path: Path) -> Any:  # noqa: ANN401 - NumPy arrays
    import numpy as np  # noqa: PLC0415

    if tensor.dtype in _NUMPY_TYPES:
        dtype = np.dtype(tensor.dtype)
    elif tensor.dtype == "bfloat16":
        from mindspore.common.np_dtype import bfloat16  # noqa: PLC0415

        dtype = np.dtype(bfloat16)
    else:
        why = "MindSpore cannot hold" if tensor.dtype in FOREIGN_ITEM_BITS else "hubtool cannot place"
        raise CheckpointError(
            f"{path}: the tensor {tensor.name!r} has the type {tensor.dtype}, which {why}",
            hint="save the checkpoint with another type, such as float16 or bfloat16",
        )
    pieces = [mapped[offset : offset + length] for offset, length in tensor.segments]
    raw = pieces[0] if len(pieces) == 1 else np.concatenate(pieces)
    if len(pieces) == 1 and tensor.offset % dtype.itemsize:
        raw = raw.copy()  # MindSpore's kernels read aligned memory; only in a .ckpt can a tensor stand anywhere
    return raw.view(dtype).reshape(tensor.shape)


def place_tensors(
    built: BuiltNetwork, header: Header, path: Path, recipe: Recipe, *, asked: BuildRequest, name: str
) -> tuple[Coverage, tuple[str, ...]]:
    """Put the tensors of a checkpoint into the parameters of a network.

    Args:
        built: The network.
        header: The checkpoint's header.
        path: The checkpoint, as :func:`mappable` returns it.
        recipe: The card's recipe.
        asked: What the caller asked for: arguments, and whether partial coverage is an error.
        name: What messages call the card.

    Returns:
        The coverage, and notes on renamed and converted tensors.

    Raises:
        CoverageError: If ``asked.strict`` and a tensor or a parameter is left over.
        CheckpointError: If a tensor has a type that MindSpore cannot hold.
    """
    parameters = built.network.parameters_dict()
    shapes = {key: tuple(parameter.shape) for key, parameter in parameters.items()}
    renaming = rename(header.shapes(), shapes) if recipe.provider != "builtin" else Renaming()
    header = replace(
        header, tensors=tuple(replace(tensor, name=renaming.apply(tensor.name)) for tensor in header.tensors)
    )
    coverage = cover(header.shapes(), shapes, prefix=built.prefix, ignore=recipe.ignore)
    if asked.strict and not coverage.is_total:
        raise CoverageError(
            f"the checkpoint of {name} and its network do not match:\n{coverage.describe()}",
            coverage=coverage,
            hint=_fresh_head(coverage, asked)
            or _other_arguments(header, recipe)
            or "correct the recipe on the card, or load with strict=False to get the network as it is, with a report",
        )
    used = set(coverage.loaded.values())
    tensors = read_tensors(replace(header, tensors=tuple(info for info in header.tensors if info.name in used)), path)
    converted: dict[str, int] = {}
    for key, tensor_name in coverage.loaded.items():
        parameter, tensor = parameters[key], tensors[tensor_name]
        if tuple(tensor.shape) != tuple(parameter.shape):
            tensor = tensor.reshape(parameter.shape)  # (1,) and () are the same scalar
        if tensor.dtype != parameter.dtype:
            change = f"{tensor.dtype} to {parameter.dtype}"
            converted[change] = converted.get(change, 0) + 1
            tensor = tensor.astype(parameter.dtype)
        parameter.set_data(tensor)
    for key in (*coverage.missing, *(item.name for item in coverage.mismatched)):
        if parameters[key].has_init:
            parameters[key].init_data()
    conversions = tuple(f"{_tensors(count)} converted from {change}" for change, count in converted.items())
    return coverage, (*renaming.notes, *conversions)


def _fresh_head(coverage: Coverage, asked: BuildRequest) -> str | None:
    """Return how to get the weights that fit, where the caller asked for another number of classes."""
    name = next((name for name in asked.arguments if name in CLASS_COUNTS), None)
    if name is None or not coverage.mismatched or coverage.unexpected:
        return None
    return (
        f"to fine-tune on other classes: load(..., {name}={asked.arguments[name]!r}, strict=False) places all weights "
        "but the head's, and returns the network with its coverage"
    )


def _other_arguments(header: Header, recipe: Recipe) -> str | None:
    """Return which arguments would make the network fit, where that is certain."""
    if recipe.parameters_digest is None:
        return None
    found = compare(
        header.shapes(), digest=recipe.parameters_digest, ignore=recipe.ignore, arguments=recipe.arguments
    ).arguments
    stated = ", ".join(f"{name}={value}" for name, value in found.items())
    return f"the checkpoint is of another number of classes: load with {stated}" if stated else None
