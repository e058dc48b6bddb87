"""Every rule has an example that keeps it and one that breaks it."""

from __future__ import annotations

from pathlib import Path

import pytest

from hubtool.card import rules
from hubtool.card.files import MAX_BYTES
from hubtool.card.validate.run import check_paths

EXAMPLES = Path(__file__).parents[2] / "examples"
TOO_LARGE = "HT101"


def examples(kind: str) -> list[Path]:
    return sorted(path for path in (EXAMPLES / kind).iterdir() if path.name.startswith("HT"))


@pytest.mark.parametrize("path", examples("valid"), ids=lambda path: path.name)
def test_a_valid_example_has_no_problem(path: Path) -> None:
    report = check_paths([path])
    assert report.cards >= 1
    assert report.diagnostics == ()


@pytest.mark.parametrize("path", examples("invalid"), ids=lambda path: path.name)
def test_an_invalid_example_breaks_its_rule(path: Path) -> None:
    code = path.name[:5]
    found = [diagnostic for diagnostic in check_paths([path]).diagnostics if diagnostic.code == code]
    assert found
    for diagnostic in found:
        assert diagnostic.severity is rules.load()[code].severity
        assert diagnostic.line >= 1
        assert diagnostic.column >= 1
        assert diagnostic.hint


def test_a_card_that_is_too_large_breaks_its_rule(tmp_path: Path) -> None:
    """This example is made here, since it has more than a MiB."""
    (valid,) = [path for path in examples("valid") if path.name.startswith(TOO_LARGE)]
    path = tmp_path / "large.md"
    path.write_bytes(valid.read_bytes().ljust(MAX_BYTES + 1, b"x"))
    (found,) = check_paths([path]).diagnostics
    assert (found.code, found.severity) == (TOO_LARGE, rules.load()[TOO_LARGE].severity)
    assert found.line >= 1
    assert found.column >= 1
    assert found.hint
    assert f"at most {MAX_BYTES:,}" in found.message


@pytest.mark.parametrize("kind", ["valid", "invalid"])
def test_every_rule_has_an_example(kind: str) -> None:
    made = {TOO_LARGE} if kind == "invalid" else set()
    assert {path.name[:5] for path in examples(kind)} | made == set(rules.load())


def test_an_invalid_example_breaks_little_else() -> None:
    """An example shows one fault; what follows from it is listed here."""
    follows = {
        "HT102": {"HT111"},
        "HT105": {"HT104"},
        "HT201": {"HT205"},
        "HT203": {"HT206"},
        "HT206": {"HT210"},
        "HT302": {"HT313"},
    }
    for path in examples("invalid"):
        code = path.name[:5]
        found = {diagnostic.code for diagnostic in check_paths([path]).diagnostics}
        assert found - {code} <= follows.get(code, set()), path.name


@pytest.mark.parametrize("code", sorted(rules.load()))
def test_every_rule_has_a_page(code: str) -> None:
    rule = rules.load()[code]
    title, _, rest = rule.page.partition("\n\n")
    assert title.endswith(".")
    assert "\n" not in title
    assert len(rest) > 60, "a page says what, why, and how to fix it"
    assert (rule.check is None) != (rule.check_all is None)


def test_a_rule_that_says_it_fixes_does() -> None:
    fixing = {code for code, rule in rules.load().items() if rule.fixes}
    mended = {
        diagnostic.code
        for path in examples("invalid")
        for diagnostic in check_paths([path]).diagnostics
        if diagnostic.fixable
    }
    assert mended == fixing
