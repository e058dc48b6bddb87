"""The usage block of a card, and what is changed in it so that it runs here."""

from __future__ import annotations

import ast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hubtool.card import document, usage

HEAD = "# a\n---\nmodel-name: a\n---\n\n"


def code_of(body: str) -> usage.Usage | None:
    return usage.of_document(document.parse((HEAD + body).encode()))


def for_device(code: str, device: str = "CPU") -> usage.Usage:
    return usage.for_device(usage.Usage(code=code, line=1), device)


def test_each_line_keeps_its_number() -> None:
    body = "## Usage\n\n```python\na = 1\n```\n\nText\n\n- item\n\n  ```py\n  b = a\n  ```\n\n"
    body += "## Other\n\n```python\nc\n```\n"
    found = code_of(body)
    assert found is not None
    lines = (HEAD + body).split("\n")
    assert lines[found.line - 1] == "a = 1"
    numbered = {number: line for number, line in enumerate(found.code.split("\n"), 1) if line}
    assert numbered == {lines.index("a = 1") + 1: "a = 1", lines.index("  b = a") + 1: "b = a"}


def test_prompts_are_taken_off_and_what_was_printed_is_left_out() -> None:
    found = code_of("## 用法\n\n```pycon\n>>> for a in (1, 2):\n...     print(a)\n...\n1\n2\n>>> a\n2\n```\n")
    assert found is not None
    assert found.code.strip() == "for a in (1, 2):\n    print(a)\n\n\n\na"


@pytest.mark.parametrize("body", ["", "## Usage\n\ntext\n", "## Usage\n\n```bash\nls\n```\n", "```python\na\n```\n"])
def test_a_card_without_a_usage_block(body: str) -> None:
    assert code_of(body) is None


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("ms.set_device('Ascend')", "ms.set_device('CPU')"),
        ("ms.set_device('Ascend', 3)", "ms.set_device('CPU', 3)"),
        ('set_context(mode=1, device_target="GPU")', "set_context(mode=1, device_target='CPU')"),
        ("x = '模型'; f(device_target='Ascend')  # 注", "x = '模型'; f(device_target='CPU')  # 注"),
        ("device_target = 'Ascend'\nset_context(device_target=device_target)",
         "device_target = 'CPU'\nset_context(device_target=device_target)"),
        ("a(device_target='GPU'); b(device_target='Ascend')", "a(device_target='CPU'); b(device_target='CPU')"),
    ],
)  # fmt: skip
def test_the_device_becomes_the_one_that_is_here(before: str, after: str) -> None:
    found = for_device(before)
    assert found.code == after
    assert len(found.adapted) == 1


@pytest.mark.parametrize(
    "code", ["ms.set_device('CPU')", "device = 'Ascend'", "print('device_target=Ascend')", "not python (", "f(x='GPU')"]
)
def test_anything_else_stays(code: str) -> None:
    assert for_device(code) == usage.Usage(code=code, line=1)


@given(st.text(st.characters(codec="utf-8", exclude_characters="'\\\n\r\0"), max_size=20), st.text(max_size=20))
def test_nothing_but_the_device_changes(text: str, tail: str) -> None:
    quoted = repr(tail)
    found = for_device(f"x = '{text}'; set_device('Ascend'); y = {quoted}")
    wanted = ast.dump(ast.parse(f"x = '{text}'; set_device('CPU'); y = {quoted}"))
    assert ast.dump(ast.parse(found.code)) == wanted


def test_uids_are_found() -> None:
    found = usage.Usage(
        code="load('a/1.0/b'); load('x/ascend/1.9/c'); load('a/1.0/b'); open('a/b'); print('a b/c/d')", line=1
    )
    assert usage.uids(found) == ("a/1.0/b", "x/ascend/1.9/c")
