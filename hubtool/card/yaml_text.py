"""How the values of a card are written as YAML, and the order in which its entries stand."""

from __future__ import annotations

import re
from functools import cache, lru_cache
from typing import TYPE_CHECKING

import yaml

if TYPE_CHECKING:
    from collections.abc import Mapping

# The order of the entries is that of the public hub's cards. Links to further repositories stand behind 'repo-link',
# and keys that are not in these lists before the licence.
ORDER = (
    *("model-name", "backbone-name", "module-type", "fine-tunable", "input-shape", "model-version", "train-dataset"),
    *("accuracy", "mAP", "evaluation", "author", "update-time", "repo-link"),
)
ORDER_AFTER = ("user-id", "used-for", "train-backend", "infer-backend", "mindspore-version", "mindspore-lite")
#: What a card says about using its network; lists and mappings among them are written by :func:`dump_fact`.
ORDER_OF_FACTS = ("task", "architecture", "inputs", "preprocessing", "outputs", "labels")
ORDER_LAST = ("asset", "repo-revision", *ORDER_OF_FACTS, "network")
ORDER_END = ("license", "summary", "status", "superseded-by", "status-reason")
ORDER_OF_ASSET = ("file-format", "asset-link", "asset-sha256", "asset-size")
ORDER_OF_RECIPE = (
    *(
        "provider",
        "entry",
        "arguments",
        "argv",
        "capture",
        "skip",
        "requires",
        "initialise",
        "ignore",
        "rename",
        "training-mode",
    ),
    *("inputs", "parameters", "elements", "parameters-sha256", "verdict", "known-answer", "weights-answer"),
)
WIDTH = 110
"""The longest line of a recipe or of a list of numbers, in characters."""
_NO_LIMIT = 10**6
NUMBER = re.compile(r"[-+.0-9_]+([eE][-+]?[0-9]+)?\Z")


@lru_cache(maxsize=10_000)
def scalar(text: str) -> str:
    """Return a text as a YAML scalar that every reader takes for this text: plain if that can be, else in quotes."""
    plain = text.isprintable() and not NUMBER.match(text) and not text.startswith(("<", "?", "-"))
    if plain:
        try:
            plain = yaml.load(f"key: {text}", Loader=yaml.CSafeLoader) == {"key": text}
        except yaml.YAMLError:
            plain = False
    return text if plain else "'" + text.replace("'", "''") + "'"


def dump_recipe(recipe: Mapping[str, object]) -> str:
    """Return the entry ``network:`` of a card, without a line feed at its end."""
    keys = [key for key in ORDER_OF_RECIPE if key in recipe]
    ordered = {key: recipe[key] for key in (*keys, *(key for key in recipe if key not in keys))}
    # The dumper writes a mapping without lists and mappings in it on one line; the recipe itself always has lines.
    flow = None if any(isinstance(value, (dict, list)) for value in ordered.values()) else False
    return _dumped({"network": ordered}, flow=flow)


def dump_fact(key: str, value: object) -> str:
    """Return an entry with a list or a mapping, such as ``preprocessing:``, without a line feed at its end.

    Args:
        key: Its key.
        value: Its value. Each mapping in a list gets a line.
    """
    if isinstance(value, list) and any(isinstance(item, dict) for item in value):
        return "\n".join([f"{key}:", *(f"  - {_line(item)}" for item in value)])
    return f"{key}: {_dumped(value, flow=True)}"


def _line(item: object) -> str:
    """Return an item of a list as one line; without braces if it has one key."""
    if isinstance(item, dict) and len(item) == 1:
        (key,) = item
        return f"{scalar(str(key))}: {_dumped(item[key], flow=True, width=_NO_LIMIT)}"
    return _dumped(item, flow=True, width=_NO_LIMIT)


def _dumped(value: object, *, flow: bool | None, width: int = WIDTH) -> str:
    dumped = yaml.dump(
        value, Dumper=_dumper(), sort_keys=False, allow_unicode=True, width=width, default_flow_style=flow
    )
    return str(dumped).rstrip("\n").removesuffix("\n...")


@cache
def _dumper() -> type[yaml.CSafeDumper]:
    class Dumper(yaml.CSafeDumper):
        def ignore_aliases(self, data: object) -> bool:  # noqa: ARG002 - PyYAML's signature
            return True

    return Dumper
