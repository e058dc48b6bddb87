"""The built-in networks: the BERT family, under the parameter names of the original networks, and a small LeNet.

Importing this package imports neither mindspore nor numpy; :func:`build` does.
"""

from __future__ import annotations

import importlib
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from hubtool.errors import RecipeError
from hubtool.networks.builtin.config import BertConfig
from hubtool.networks.builtin.inference import Inferred, infer
from hubtool.networks.builtin.lenet_sizes import LENET, LeNetSizes, infer_lenet
from hubtool.networks.builtin.parameters import parameters

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mindspore import nn

    from hubtool.checkpoint.coverage import Shape

__all__ = [
    "COMPUTE_TYPES",
    "ENTRIES",
    "BertConfig",
    "Inferred",
    "LeNetSizes",
    "build",
    "infer",
    "infer_lenet",
    "parameters",
    "size_notes",
]

#: Each entry's name and what builds it, as ``module:class``.
ENTRIES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "bert": "hubtool.networks.builtin.bert:BertModel",
        "bert-pretraining": "hubtool.networks.builtin.heads:BertForPreTraining",
        "bert-ner": "hubtool.networks.builtin.heads:BertForTagging",
        "bert-classifier": "hubtool.networks.builtin.heads:BertForClassification",
        "bert-squad": "hubtool.networks.builtin.heads:BertForAnswers",
        LENET: "hubtool.networks.builtin.lenet:LeNet",
    }
)

#: Types that the layers may compute in; weights and results are float32 in any case.
COMPUTE_TYPES: Final = ("float32", "float16")


def build(entry: str, config: BertConfig | LeNetSizes, *, compute_type: str = "float32") -> nn.Cell:
    """Build a built-in network.

    The network is in inference mode (no dropout) until ``set_train()`` is called. Its new weights follow
    ``mindspore.set_seed``; under ``mindspore.nn.utils.no_init_parameters()`` they are not drawn at all.

    Args:
        entry: Name of a built-in network, one of :data:`ENTRIES`.
        config: Its configuration, as :func:`infer` or :func:`infer_lenet` returns it.
        compute_type: Type that its layers compute in, ``float32`` or ``float16``.

    Returns:
        The network; its parameters are those of :func:`parameters`, or of ``lenet_sizes.lenet_parameters``.

    Raises:
        RecipeError: The entry or the compute type is unknown, or the configuration lacks the number of labels or is of
            another kind of network.
    """
    if entry not in ENTRIES:
        raise RecipeError(f"no built-in network is called {entry!r}", hint=f"built in are {', '.join(ENTRIES)}")
    if compute_type not in COMPUTE_TYPES:
        raise RecipeError(f"compute_type must be one of {', '.join(COMPUTE_TYPES)}; not {compute_type!r}")
    if isinstance(config, LeNetSizes) != (entry == LENET):
        raise RecipeError(f"{entry} cannot be built with a {type(config).__name__}")
    labelled = entry in {"bert-ner", "bert-classifier"}
    if labelled and isinstance(config, BertConfig) and config.num_labels is None:
        raise RecipeError(f"{entry} needs num_labels in its configuration")
    module, _, name = ENTRIES[entry].partition(":")
    network: nn.Cell = getattr(importlib.import_module(module), name)(config, compute_type=compute_type)
    return network


def size_notes(entry: str, arguments: Mapping[str, object], tensors: Mapping[str, Shape]) -> tuple[str, ...]:
    """Work out a built-in network's sizes, and return what there is to say about them.

    Args:
        entry: Name of a built-in network.
        arguments: The recipe's arguments.
        tensors: Names of all tensors of the checkpoint, with their shapes.

    Raises:
        RecipeError: The arguments or the checkpoint are not of this network.
    """
    if entry == LENET:
        return infer_lenet(arguments, tensors)[2]
    return infer(entry, arguments, tensors).notes
