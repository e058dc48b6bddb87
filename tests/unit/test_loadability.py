"""The page of cards that become networks is written from the cards, and each other card has a reason."""

from __future__ import annotations

from hubtool.card import model
from hubtool.uid import Uid
from maintain import loadability
from maintain.commands.oracle import cards_of
from tests.support import ROOT

ANSWER = "{rule: 1, source: SOURCE, mindspore: 2.0.0, device: CPU, date: 2026-11-30, tolerance: 0.1, outputs: []}"


def card(name: str, network: str = "") -> model.Card:
    text = f"# {name}\n\n---\n\nmodel-name: net\n{network}\n---\n"
    return model.read(text.encode(), uid=Uid.parse(f"tests/1.9/{name}"))


def test_the_page_is_that_of_the_registry() -> None:
    cards, reasons = cards_of(ROOT / "registry"), loadability.read_reasons()
    unverified = loadability.read_unverified()
    written = (ROOT / "docs/loadability.md").read_text(encoding="utf-8")
    assert loadability.page(cards, reasons, unverified) == written, "write it anew: python -m maintain loadability"
    assert {str(one.uid) for one in cards if one.recipe is None} == set(reasons)
    silent = {str(one.uid) for one in cards if one.recipe is not None and one.recipe.known_answer is None}
    assert silent == set(unverified)


def test_what_is_counted() -> None:
    recipe = "network:\n  provider: repository\n  entry: export.py\n"
    cards = [
        card("a", f"{recipe}  verdict: built on MindSpore 2.10.0\n"),
        card("b", f"{recipe}  verdict: ran forward on MindSpore 2.10.0\n"),
        card("c", f"{recipe}  known-answer: {ANSWER.replace('SOURCE', 'script')}\n"),
        card("d", f"{recipe}  known-answer: {ANSWER.replace('SOURCE', 'mindspore-2.0.0')}\n"),
        card("e"),
        card("f"),
    ]
    reasons = {"tests/1.9/e": "the script failed: TypeError: no (a.py:3)"}
    text = loadability.page(cards, reasons, {"tests/1.9/a": "it has no <kernel>", "tests/1.9/b": "it has no <kernel>"})
    assert "| tests/1.9 | 6 | 4 | 3 | 1 | 1 | 0 | 0 | 0 | 2 |" in text
    assert "| repository, script | 4 |" in text
    assert "### the script failed" in text or "### TypeError: no (1)" in text
    assert "- tests/1.9/f: nobody has looked at it yet" in text
    assert "## Why 2 networks have no known answer" in text
    assert "| 2 | it has no &lt;kernel> | tests/a (1.9), tests/b (1.9) |" in text
