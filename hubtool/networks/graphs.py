"""Networks in files: load and write MindIR graphs."""

from __future__ import annotations

import os
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hubtool import files as disk
from hubtool.checkpoint import mindir, operators
from hubtool.errors import NetworkError, StoreError
from hubtool.networks.entry_point import example, first_line
from hubtool.networks.provider import BuiltNetwork

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hubtool.store.store import Store

_ANY = 1
"""The size in examples where a graph accepts any size."""


def with_suffix(store: Store, path: Path, digest: str, suffix: str) -> Path:
    """Return a stored asset under a file name with a suffix; the copy is made once, beside its blob.

    Args:
        store: The store.
        path: The stored asset.
        digest: Its SHA-256.
        suffix: The suffix that programs expect, without a dot.

    Raises:
        StoreError: If the store cannot be written.
    """

    def copy(to: Path) -> None:
        shutil.copyfile(path, to)

    return store.derive(digest, suffix, copy)


def load(path: Path, *, agreed: bool = False) -> BuiltNetwork:
    """Load a MindIR.

    Args:
        path: The file; its name ends in ``.mindir``.
        agreed: Whether the user agreed to operators that do more than compute.

    Raises:
        CheckpointError: If it is not a MindIR.
        NetworkError: If it has such operators and the user did not agree, or MindSpore cannot load it.
    """
    if not agreed and (found := operators.foreign(path)):
        raise NetworkError(
            f"the graph {path} has operators that can run code from elsewhere: {'; '.join(found)}",
            hint="if you trust it: --trust, or HUBTOOL_TRUST=1",
        )
    inputs = tuple(
        (one.name, tuple(side if side > 0 else _ANY for side in one.shape), one.dtype)
        for one in mindir.read_inputs(path)
    )
    import mindspore  # noqa: PLC0415
    from mindspore import nn  # noqa: PLC0415

    try:
        network = nn.GraphCell(mindspore.load(str(path)))
    except (RuntimeError, ValueError, TypeError) as error:
        raise NetworkError(
            f"MindSpore {mindspore.__version__} cannot load the graph {path}: {first_line(error)}",
            hint="it can be of another version of MindSpore, or encrypted",
        ) from error
    return BuiltNetwork(network=network, prefix="", notes=(), example=lambda: example(inputs))


@dataclass(frozen=True, slots=True, kw_only=True)
class Exported:
    """A MindIR that was written.

    Attributes:
        path: Where it is.
        files: All its files: large weights are in files beside the graph.
        size: The bytes of all files.
        inputs: Name, shape and element type of each input.
        difference: The largest absolute difference between the outputs of the network and of the reloaded graph.
        outputs: Shape and element type of each output.
    """

    path: Path
    files: tuple[Path, ...]
    size: int
    inputs: tuple[mindir.GraphInput, ...]
    difference: float
    outputs: tuple[tuple[tuple[int, ...], str], ...]


def export(network: Any, inputs: Sequence[Any], path: Path, *, tolerance: float = 1e-4) -> Exported:  # noqa: ANN401 - a Cell
    """Write a network as a MindIR, load it back, and compare the outputs of both.

    The file appears at ``path`` only after the comparison succeeded.

    Args:
        network: A ``mindspore.nn.Cell`` in evaluation mode.
        inputs: Its input tensors; the graph accepts inputs of their shapes.
        path: The new file; its name ends in ``.mindir``.
        tolerance: The largest difference allowed, relative to the largest output.

    Raises:
        NetworkError: If the network cannot be exported, or the graph computes something else.
        StoreError: If the file cannot be written.
    """
    import mindspore  # noqa: PLC0415

    folder = path.absolute().parent
    try:
        place = tempfile.TemporaryDirectory(prefix=f".{path.stem}.", dir=folder)
    except OSError as error:
        raise _unwritable(error, folder) from error
    with place as name:
        temporary = Path(name) / path.name
        try:
            mindspore.export(network, *inputs, file_name=str(temporary), file_format="MINDIR")
        except (RuntimeError, ValueError, TypeError, AttributeError) as error:
            raise NetworkError(
                f"MindSpore {mindspore.__version__} cannot export the network: {first_line(error)}",
                hint="some networks compute with Python in a way that a graph cannot hold",
            ) from error
        made = sorted(one for one in Path(name).rglob("*") if one.is_file())
        graph = next((one for one in made if one.suffix == ".mindir"), None)
        if graph is None:
            raise NetworkError("MindSpore wrote no MindIR")
        again = load(graph, agreed=True)  # it is the network that runs here already
        expected, actual = _outputs(network(*inputs)), _outputs(again.network(*inputs))
        difference, largest = _difference(expected, actual)
        if not difference <= tolerance * max(1.0, largest):
            raise NetworkError(
                f"the exported graph computes something else: its outputs differ by up to {difference:g}, "
                f"where the largest is {largest:g}",
                hint="nothing was written",
            )
        try:
            _move(made, Path(name), folder)
        except OSError as error:
            raise _unwritable(error, folder) from error
    files = tuple(folder / one.relative_to(name) for one in made)
    return Exported(
        path=folder / graph.name,
        files=files,
        size=sum(one.stat().st_size for one in files),
        inputs=mindir.read_inputs(folder / graph.name),
        difference=difference,
        outputs=tuple((tuple(one.shape), str(one.dtype)) for one in expected),
    )


def _move(made: Sequence[Path], temporary: Path, folder: Path) -> None:
    """Put the files into their place, the graph itself last: it is what others look for."""
    for one in sorted(made, key=lambda one: one.suffix == ".mindir"):
        to = folder / one.relative_to(temporary)
        to.parent.mkdir(parents=True, exist_ok=True)
        one.chmod(0o644)
        descriptor = os.open(one, os.O_RDWR)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        one.replace(to)
        disk.sync_folder(to.parent)


def _outputs(result: Any) -> list[Any]:  # noqa: ANN401 - tensors, perhaps nested
    """Return the arrays of an output, in order."""
    if isinstance(result, (tuple, list)):
        return [array for part in result for array in _outputs(part)]
    return [result.asnumpy()] if hasattr(result, "asnumpy") else []


def _difference(expected: Sequence[Any], actual: Sequence[Any]) -> tuple[float, float]:
    import numpy as np  # noqa: PLC0415

    if [array.shape for array in expected] != [array.shape for array in actual]:
        raise NetworkError(
            f"the exported graph has outputs of the shapes {[array.shape for array in actual]}, "
            f"and the network of {[array.shape for array in expected]}"
        )
    worst = largest = 0.0
    for one, other in zip(expected, actual, strict=True):
        if one.size:
            apart = np.abs(one.astype(np.float64) - other.astype(np.float64))
            # Where both are no number, or both the same infinity, they agree.
            apart[(np.isnan(one) & np.isnan(other)) | (one == other)] = 0.0
            worst = max(worst, float("inf") if np.isnan(apart).any() else float(apart.max()))
            finite = np.abs(one[np.isfinite(one)])
            largest = max(largest, float(finite.max()) if finite.size else 0.0)
    return worst, largest


def _unwritable(error: OSError, folder: Path) -> StoreError:
    return StoreError(
        f"nothing can be written to {folder}: {error.strerror or type(error).__name__}", hint="choose another folder"
    )
