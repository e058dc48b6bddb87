"""The rules that cards are checked by.

Each rule is one function with a stable code, grouped by what it looks at: HT1xx the document, HT2xx the front matter,
HT3xx the assets, HT4xx the body, HT5xx the registry as a whole, HT6xx the network. A rule's docstring is its page:
what it asks, why, and how to fix a card. A code is never given to another rule.

:func:`load` imports all of them; a run over unchanged cards needs only :mod:`hubtool.card.rules.cross_card`.
"""

from __future__ import annotations

from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING

from hubtool.card.rules.base import RULES, Rule

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["Rule", "load"]

_MODULES = (
    *("document", "front_matter_yaml", "front_matter_schema", "front_matter_values", "assets", "body", "registry"),
    "network",
    "cross_card",
)


@cache
def load() -> Mapping[str, Rule]:
    """Return all rules by their codes, in order."""
    for module in _MODULES:
        import_module(f"{__name__}.{module}")
    return dict(sorted(RULES.items()))
