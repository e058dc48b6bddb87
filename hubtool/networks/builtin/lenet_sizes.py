"""The sizes of the built-in image classifier ``lenet``, from a checkpoint's shapes alone.

Neither mindspore nor numpy is imported, so that a resolver can use it anywhere.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from hubtool.card.model import CLASS_COUNTS
from hubtool.checkpoint.coverage import STATES
from hubtool.errors import RecipeError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from hubtool.checkpoint.coverage import Shape

LENET: Final = "lenet"
#: Names that a recipe's ``arguments``, or the keywords of ``load``, may use.
LENET_ARGUMENTS: Final = ("num_labels",)
_FIRST: Final = "conv1.weight"
#: How many times smaller a side is behind both poolings.
SHRUNK: Final = 4
_MAX_LABELS: Final = 2**20
_MAX_ELEMENTS: Final = 2**28  # 1 GiB of float32: more is a mistake, not a LeNet
_NOTHING: Final[Mapping[str, object]] = MappingProxyType({})


@dataclass(frozen=True, slots=True, kw_only=True)
class LeNetSizes:
    """The sizes of a network.

    Attributes:
        channels: Channels of a picture: 1 for grey, 3 for colours.
        first: Channels behind the first convolution.
        second: Channels behind the second.
        kernel: The side of both kernels; odd.
        side: The side of a picture in pixels, a multiple of 4.
        hidden: Width of the dense layer.
        classes: Number of classes.
    """

    channels: int
    first: int
    second: int
    kernel: int
    side: int
    hidden: int
    classes: int


def lenet_parameters(sizes: LeNetSizes) -> dict[str, Shape]:
    """List the parameters of a LeNet, without building it.

    Args:
        sizes: Its sizes.

    Returns:
        Every parameter's name and shape, in the network's own order.
    """
    kernel = (sizes.kernel, sizes.kernel)
    return {
        "conv1.weight": (sizes.first, sizes.channels, *kernel),
        "conv1.bias": (sizes.first,),
        "conv2.weight": (sizes.second, sizes.first, *kernel),
        "conv2.bias": (sizes.second,),
        "dense.weight": (sizes.hidden, sizes.second * (sizes.side // SHRUNK) ** 2),
        "dense.bias": (sizes.hidden,),
        "scores.weight": (sizes.classes, sizes.hidden),
        "scores.bias": (sizes.classes,),
    }


def infer_lenet(
    arguments: Mapping[str, object],
    tensors: Mapping[str, Shape],
    *,
    overrides: Mapping[str, object] = _NOTHING,
    overruling: bool = False,
) -> tuple[LeNetSizes, str, tuple[str, ...]]:
    """Work out the sizes of a LeNet from a checkpoint's shapes, which decide.

    Args:
        arguments: The recipe's arguments.
        tensors: Names of all tensors of the checkpoint, with their shapes, optimizer state included.
        overrides: Arguments of the caller.
        overruling: Whether the caller's number of labels comes before the checkpoint's: where its weights are not
            placed, or only those that fit.

    Returns:
        The sizes, the prefix of the names in the checkpoint, and notes for people.

    Raises:
        RecipeError: There is no checkpoint, it is not of this network, or it contradicts itself or the caller; or an
            argument is unknown or out of range.
    """
    said, asked = _checked(arguments), _checked(overrides)
    if not tensors:
        raise RecipeError(
            "the sizes of this network come from its checkpoint, which is not stored",
            hint="fetch the checkpoint first ('hubtool fetch UID')",
        )
    prefix = _prefix(tensors)
    notes = [f"the checkpoint's names begin with {prefix}"] if prefix else []
    sizes = _from_shapes({name: tuple(shape) for name, shape in tensors.items()}, prefix)
    known = sizes.classes
    if said not in (None, known):
        notes.append(f"argument num_labels of the recipe is {said}; the checkpoint's shapes say {known}")
    if asked not in (None, known):
        if not overruling:
            raise RecipeError(
                f"argument num_labels was given as {asked}, but the checkpoint's shapes say {known}",
                hint=f"to fine-tune on other labels: load(..., num_labels={asked}, strict=False) places all weights "
                "but the head's",
            )
        notes.append(f"argument num_labels is {asked}; the checkpoint's shapes say {known}")
        sizes = replace(sizes, classes=asked or known)
    return sizes, prefix, tuple(notes)


def _checked(values: Mapping[str, object]) -> int | None:
    """Return the number of labels that arguments state."""
    for name in values:
        if name not in LENET_ARGUMENTS:
            same = "did you mean 'num_labels'? " if name in CLASS_COUNTS else ""
            raise RecipeError(
                f"unknown argument {str(name)[:60]!r} for the built-in network {LENET}",
                hint=f"{same}{LENET} takes {', '.join(LENET_ARGUMENTS)}; its sizes come from the checkpoint",
            )
    count = values.get("num_labels")
    if count is None:
        return None
    if isinstance(count, bool) or not isinstance(count, int) or not 1 <= count <= _MAX_LABELS:
        raise RecipeError(
            f"argument num_labels must be a whole number between 1 and {_MAX_LABELS}, not {repr(count)[:60]}"
        )
    return count


def _prefix(tensors: Mapping[str, Shape]) -> str:
    """Find what stands before the names in a checkpoint; an optimizer's state repeats every name, and is no weight."""
    heads = [name[: -len(_FIRST)] for name in tensors if name == _FIRST or name.endswith("." + _FIRST)]
    found = sorted((head for head in heads if STATES.isdisjoint(head.split("."))), key=lambda head: (len(head), head))
    if not found:
        raise RecipeError(f"this checkpoint is not of a {LENET} network: it has no {_FIRST}")
    if strangers := [head for head in found if not (head.endswith(found[0]) or head.startswith(found[0]))]:
        raise RecipeError(
            f"this checkpoint holds several networks: {found[0]}{_FIRST} and {strangers[0]}{_FIRST}",
            hint="a recipe can load a checkpoint of one network only",
        )
    return found[0]


def _from_shapes(tensors: Mapping[str, Shape], prefix: str) -> LeNetSizes:
    first, channels, kernel, _ = _shape(tensors, prefix + _FIRST, 4)
    second = _shape(tensors, prefix + "conv2.weight", 4)[0]
    hidden, width = _shape(tensors, prefix + "dense.weight", 2)
    sizes = LeNetSizes(
        channels=channels,
        first=first,
        second=second,
        kernel=kernel,
        side=SHRUNK * math.isqrt(width // second),
        hidden=hidden,
        classes=_shape(tensors, prefix + "scores.weight", 2)[0],
    )
    if kernel % 2 == 0:
        raise RecipeError(f"tensor {prefix}{_FIRST} must have an odd kernel; it is {kernel} wide")
    # Only what the sizes were taken from is compared; what else is missing is the coverage's to report.
    wanted = lenet_parameters(sizes)
    for name in (_FIRST, "conv2.weight", "dense.weight", "scores.weight"):
        if tensors[prefix + name] != wanted[name]:
            raise RecipeError(
                f"this checkpoint is not of a {LENET} network: tensor {prefix}{name} has the shape "
                f"{tensors[prefix + name]}, and by the other shapes it would be {wanted[name]}"
            )
    if (elements := sum(math.prod(shape) for shape in wanted.values())) > _MAX_ELEMENTS:
        raise RecipeError(f"a network of {elements} elements is too large: more than {_MAX_ELEMENTS}")
    return sizes


def _shape(tensors: Mapping[str, Shape], name: str, rank: int) -> Shape:
    if name not in tensors:
        raise RecipeError(
            f"this checkpoint is not of a {LENET} network: it has no {name}",
            hint="check that the card names the right checkpoint and the right network entry",
        )
    shape = tensors[name]
    if len(shape) != rank or any(size < 1 for size in shape):
        raise RecipeError(f"tensor {name} must have {rank} dimensions, each at least 1; it has {shape}")
    return shape
