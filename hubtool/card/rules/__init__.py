"""The rules that cards are checked by.

Each rule is one function with a stable code, grouped by what it looks at: HT1xx the document, HT2xx the front matter,
HT3xx the assets, HT4xx the body, HT5xx the registry as a whole. A rule's docstring is its page: what, why, and how to
mend.
"""

from __future__ import annotations

from hubtool.card.rules import assets, document, front_matter
from hubtool.card.rules.base import RULES, Context, Finding, Rule

__all__ = ["RULES", "Context", "Finding", "Rule", "assets", "document", "front_matter"]
