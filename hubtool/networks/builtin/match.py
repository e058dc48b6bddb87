"""Match the names and shapes of a checkpoint's tensors with hubtool's own architectures. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from hubtool.checkpoint.coverage import cover
from hubtool.errors import RecipeError
from hubtool.networks.builtin.config import entry_names
from hubtool.networks.builtin.inference import infer
from hubtool.networks.builtin.parameters import parameters

if TYPE_CHECKING:
    from collections.abc import Mapping

    from hubtool.checkpoint.coverage import Shape
    from hubtool.networks.builtin.config import BertConfig

_HEADS = "num_attention_heads"


@dataclass(frozen=True, slots=True, kw_only=True)
class ArchitectureMatch:
    """An architecture that takes every tensor of a checkpoint, and has no parameter without one.

    Attributes:
        entry: Its name, such as ``bert-ner``.
        config: Its configuration.
        arguments: What the recipe has to say beyond the shapes.
        unknown: The arguments that neither the shapes nor the recipe tell, each with what it can be.
        notes: What was assumed, one sentence each.
    """

    entry: str
    config: BertConfig
    arguments: Mapping[str, object]
    unknown: Mapping[str, tuple[int, ...]]
    notes: tuple[str, ...]


def match_architecture(
    shapes: Mapping[str, Shape], arguments: Mapping[str, object], *, only: str | None = None
) -> ArchitectureMatch | None:
    """Find the architecture of a checkpoint, or None if it is none of hubtool's.

    Two architectures can have the same tensors, as a classifier and a tagger without LSTM and CRF do: the first counts.

    Args:
        shapes: Names and shapes of its tensors; an optimizer's state may be among them.
        arguments: What is known of the network beyond the shapes, such as ``num_attention_heads``.
        only: The architecture that it must be; any, unless given.
    """
    for entry in entry_names():
        if only not in (None, entry):
            continue
        found = _try(entry, shapes, arguments)
        if found is not None:
            return found
        # One head always divides the width: with it the shapes can be compared, and the true number is asked for.
        if _HEADS not in arguments and (found := _try(entry, shapes, {**arguments, _HEADS: 1})) is not None:
            width = found.config.hidden_size
            return ArchitectureMatch(
                entry=entry,
                config=found.config,
                arguments=arguments,
                unknown={_HEADS: tuple(count for count in range(1, width + 1) if width % count == 0)},
                notes=found.notes,
            )
    return None


def match_only(shapes: Mapping[str, Shape]) -> ArchitectureMatch | str | None:
    """Find the one architecture that nothing but a checkpoint tells; why it is not told, or None if it is none of ours.

    Args:
        shapes: Names and shapes of its tensors; an optimizer's state may be among them.
    """
    found = [one for entry in entry_names() if (one := match_architecture(shapes, {}, only=entry)) is not None]
    if not found:
        return None
    if len(found) > 1:
        return f"its checkpoint fits {' and '.join(one.entry for one in found)}"
    if found[0].unknown:
        return f"its checkpoint fits {found[0].entry}, and does not tell {' and '.join(found[0].unknown)}"
    return found[0]


def _try(entry: str, shapes: Mapping[str, Shape], arguments: Mapping[str, object]) -> ArchitectureMatch | None:
    try:
        inferred = infer(entry, arguments, shapes)
    except RecipeError:
        return None
    if not cover(shapes, parameters(entry, inferred.config), prefix=inferred.prefix).is_total:
        return None
    notes = list(inferred.notes)
    if _HEADS not in arguments:
        notes.append(f"{_HEADS} is taken to be {inferred.config.num_attention_heads}: heads of 64, as in every BERT")
    return ArchitectureMatch(entry=entry, config=inferred.config, arguments=arguments, unknown={}, notes=tuple(notes))
