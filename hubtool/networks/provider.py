"""What a network provider is: a recipe in, a network out."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Protocol

#: What networks call the number of classes that they tell apart.
CLASS_COUNTS: Final = frozenset(
    {"class_num", "classes", "n_class", "n_classes", "num_class", "num_classes", "num_cls", "num_label", "num_labels"}
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from hubtool.card.model import Recipe
    from hubtool.checkpoint.coverage import Shape


@dataclass(frozen=True, slots=True, kw_only=True)
class Built:
    """A network, and what is known of it.

    Attributes:
        network: The ``mindspore.nn.Cell``.
        prefix: What a wrapper put before the parameters' names in the checkpoint, such as ``network.``, or empty.
        notes: What was noticed while it was built, one sentence each.
        example: Gives tensors that the network can be called with, for one forward pass.
    """

    # MindSpore ships no types: to mypy a Cell is Any.
    network: Any
    prefix: str
    notes: tuple[str, ...]
    example: Callable[[], tuple[Any, ...]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What the caller of ``load`` asked for beyond the recipe.

    Attributes:
        arguments: Arguments of the network, by name.
        positional: Arguments of the network without a name, in the order of its entry's signature.
        pretrained: Whether the checkpoint's weights will be placed.
        strict: Whether every tensor and every parameter must be placed.
    """

    arguments: Mapping[str, object] = field(default_factory=dict)
    positional: tuple[object, ...] = ()
    pretrained: bool = True
    strict: bool = True


class Provider(Protocol):
    """Builds the networks of one kind of recipe."""

    def build(
        self,
        recipe: Recipe,
        *,
        shapes: Mapping[str, Shape],
        asked: Asked,
        compute_type: str,
    ) -> Built:
        """Build a network.

        Args:
            recipe: The card's recipe.
            shapes: The shape of every tensor of the checkpoint; empty if it is not stored.
            asked: What the caller asked for beyond the recipe.
            compute_type: ``float32`` or ``float16``.

        Raises:
            NetworkError: If it cannot be built; the subclasses say why.
        """
