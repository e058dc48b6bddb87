"""The arguments of built-in networks: their names, their types, their ranges."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from hubtool.card.model import CLASS_COUNTS
from hubtool.errors import RecipeError
from hubtool.networks.builtin.config import near, quote

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

#: Activations a recipe may name for ``hidden_act``; all are without parameters of their own.
ACTIVATIONS: Final = (
    *("elu", "fast_gelu", "gelu", "hsigmoid", "hswish", "leakyrelu", "logsigmoid", "relu", "relu6", "sigmoid"),
    *("silu", "tanh"),
)
#: Ways of judging a run that the family's scripts know; only ``spearman_correlation`` (regression) changes an output.
ASSESSMENT_METHODS: Final = ("", "accuracy", "bf1", "clue_benchmark", "f1", "mcc", "mf1", "spearman_correlation")
_FLOATS: Final = ("bfloat16", "float16", "float32")


def _integer(maximum: int) -> Callable[[str, object], int]:
    def check(name: str, value: object) -> int:
        if isinstance(value, bool) or not isinstance(value, int):
            raise RecipeError(f"argument {name} must be a whole number, not {type(value).__name__} {quote(value)}")
        if not 1 <= value <= maximum:
            raise RecipeError(f"argument {name} must be between 1 and {maximum}, not {quote(value)}")
        return value

    return check


def _boolean(name: str, value: object) -> bool:
    if not isinstance(value, bool):
        raise RecipeError(f"argument {name} must be true or false, not {type(value).__name__} {quote(value)}")
    return value


def _number(name: str, value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise RecipeError(f"argument {name} must be a number, not {type(value).__name__} {quote(value)}")
    # Compared before it is converted: a huge whole number has no float. NaN fails every comparison.
    if not 0 <= value < 1:
        raise RecipeError(f"argument {name} must be at least 0 and less than 1, not {quote(value)}")
    return float(value)


def _choice(allowed: tuple[str, ...]) -> Callable[[str, object], str]:
    def check(name: str, value: object) -> str:
        if not isinstance(value, str):
            raise RecipeError(f"argument {name} must be a string, not {type(value).__name__} {quote(value)}")
        if value.lower() not in allowed:
            shown = ", ".join(option or '""' for option in allowed)
            raise RecipeError(f"argument {name} must be one of {shown}; not {quote(value)}", hint=near(value, allowed))
        return value.lower()

    return check


def _float_type(name: str, value: object) -> str:
    # A script passes mindspore.float16, whose str() is "Float16"; a card passes "float16".
    text = str(value).lower().rpartition(".")[2]
    if isinstance(value, (bool, int, float)) or value is None or text not in _FLOATS:
        raise RecipeError(f"argument {name} must be one of {', '.join(_FLOATS)}; not {quote(value)}")
    return text


_CHECKS: Final[Mapping[str, Callable[[str, object], object]]] = {
    "vocab_size": _integer(2**24),
    "hidden_size": _integer(2**16),
    "num_hidden_layers": _integer(2**10),
    "num_attention_heads": _integer(2**12),
    "intermediate_size": _integer(2**20),
    "hidden_act": _choice(ACTIVATIONS),
    "max_position_embeddings": _integer(2**20),
    "type_vocab_size": _integer(2**16),
    "use_relative_positions": _boolean,
    "num_labels": _integer(2**20),
    "with_lstm": _boolean,
    "use_crf": _boolean,
    "hidden_dropout_prob": _number,
    "attention_probs_dropout_prob": _number,
    "dropout_prob": _number,
    "initializer_range": _number,
    "assessment_method": _choice(ASSESSMENT_METHODS),
    "seq_length": _integer(2**20),
    "batch_size": _integer(2**20),
    "is_training": _boolean,
    "use_one_hot_embeddings": _boolean,
    "hidden_probs_dropout_prob": _number,
    "dtype": _float_type,
    "compute_type": _float_type,
}
#: Names a recipe's ``arguments``, or the keywords of ``load``, may use for a built-in network.
ARGUMENTS: Final = tuple(_CHECKS)
# Accepted because recipes and scripts of the family pass them, and of no effect: any length and any batch may come,
# training is a state of the cell, an embedding is a look-up however it is done, and the device decides the types.
_WITHOUT_EFFECT: Final = frozenset(
    {"batch_size", "is_training", "use_one_hot_embeddings", "hidden_probs_dropout_prob", "dtype", "compute_type"}
)


def checked_arguments(values: Mapping[str, object], entry: str) -> dict[str, object]:
    """Check names and types of arguments, and drop what has no effect."""
    found: dict[str, object] = {}
    for name, value in values.items():
        if not isinstance(name, str) or name not in _CHECKS:
            same = "did you mean 'num_labels'?" if name in CLASS_COUNTS else ""
            close = same or near(str(name), ARGUMENTS)
            allowed = f"{entry} takes {', '.join(sorted(ARGUMENTS))}"
            raise RecipeError(
                f"unknown argument {quote(name)} for the built-in network {entry}",
                hint=f"{close} {allowed}" if close else allowed,
            )
        if (checked := _CHECKS[name](name, value)) is not None and name not in _WITHOUT_EFFECT:
            found[name] = checked
    return found
