"""The BERT family, built in: our own cells under the parameter names of the original networks.

Importing this package imports neither mindspore nor numpy; :func:`build` does.
"""

from __future__ import annotations

import importlib
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from hubtool.errors import RecipeError
from hubtool.networks.builtin.config import BertConfig
from hubtool.networks.builtin.inference import Inferred, infer
from hubtool.networks.builtin.parameters import parameters

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mindspore import nn

__all__ = ["COMPUTE_TYPES", "ENTRIES", "BertConfig", "Inferred", "build", "infer", "parameters"]

#: Each entry's name and what builds it, as ``module:class``.
ENTRIES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "bert": "hubtool.networks.builtin.bert:BertModel",
        "bert-pretraining": "hubtool.networks.builtin.heads:BertForPreTraining",
        "bert-ner": "hubtool.networks.builtin.heads:BertForTagging",
        "bert-classifier": "hubtool.networks.builtin.heads:BertForClassification",
        "bert-squad": "hubtool.networks.builtin.heads:BertForAnswers",
    }
)

#: Types that the encoder may compute in; weights and results are float32 in any case.
COMPUTE_TYPES: Final = ("float32", "float16")


def build(entry: str, config: BertConfig, *, compute_type: str = "float32") -> nn.Cell:
    """Build a network of the BERT family.

    The network is in inference mode (no dropout) until ``set_train()`` is called. Its new weights follow
    ``mindspore.set_seed``; under ``mindspore.nn.utils.no_init_parameters()`` they are not drawn at all.

    Args:
        entry: Name of a built-in network, one of :data:`ENTRIES`.
        config: Its configuration, as :func:`infer` returns it.
        compute_type: Type that the encoder computes in, ``float32`` or ``float16``.

    Returns:
        The network; its parameters are those of :func:`parameters`.

    Raises:
        RecipeError: The entry or the compute type is unknown, or the configuration lacks the number of labels.
    """
    if entry not in ENTRIES:
        raise RecipeError(f"no built-in network is called {entry!r}", hint=f"built in are {', '.join(ENTRIES)}")
    if compute_type not in COMPUTE_TYPES:
        raise RecipeError(f"compute_type must be one of {', '.join(COMPUTE_TYPES)}; not {compute_type!r}")
    if entry in {"bert-ner", "bert-classifier"} and config.num_labels is None:
        raise RecipeError(f"{entry} needs num_labels in its configuration")
    module, _, name = ENTRIES[entry].partition(":")
    network: nn.Cell = getattr(importlib.import_module(module), name)(config, compute_type=compute_type)
    return network
