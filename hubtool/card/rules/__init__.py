"""The rules that cards are checked by.

Each rule is one function with a stable code, grouped by what it looks at: HT1xx the document, HT2xx the front matter,
HT3xx the assets, HT4xx the body, HT5xx the registry as a whole. A rule's docstring is its page: what, why, and how to
mend. A code is never given to another rule.

:func:`load` imports all of them; a run over unchanged cards needs only those of :mod:`hubtool.card.rules.cross_card`.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

from hubtool.card.rules.base import RULES, Rule

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["Rule", "load"]


@cache
def load() -> Mapping[str, Rule]:
    """Return all rules by their codes, in order."""
    from hubtool.card.rules import assets, body, cross_card, document, front_matter, registry  # noqa: F401, PLC0415 - see above

    return dict(sorted(RULES.items()))
