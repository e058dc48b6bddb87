"""The interface of network providers: a recipe in, a network out."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from hubtool.card.known_answer import InputSpec
    from hubtool.card.model import Recipe
    from hubtool.checkpoint.coverage import Shape


@dataclass(frozen=True, slots=True, kw_only=True)
class BuiltNetwork:
    """A built network.

    Attributes:
        network: The ``mindspore.nn.Cell``.
        prefix: The prefix of parameter names in the checkpoint, such as ``network.``, or empty.
        notes: Notes for the user, one sentence each.
        example: Returns the input tensors of one forward pass, in the shapes of the recipe or the entry.
        inputs: What a known answer calls it with; empty for the inputs of the recipe.
        scores: The cell with the scores that the network decodes, or None. A known answer has them too: the tags alone
            hardly depend on the weights.
    """

    # MindSpore ships no types: to mypy a Cell is Any.
    network: Any
    prefix: str
    notes: tuple[str, ...]
    example: Callable[[], tuple[Any, ...]]
    inputs: tuple[InputSpec, ...] = ()
    scores: Any = None


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildRequest:
    """The arguments and options of the caller of ``load``.

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
        asked: BuildRequest,
        compute_type: str,
    ) -> BuiltNetwork:
        """Build a network.

        Args:
            recipe: The card's recipe.
            shapes: The shape of every tensor of the checkpoint; empty if it is not stored.
            asked: The caller's arguments and options.
            compute_type: ``float32`` or ``float16``.

        Raises:
            NetworkError: If it cannot be built; the subclasses say why.
        """
