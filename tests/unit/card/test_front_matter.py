"""YAML read safely, and the place of every node."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from hubtool.card import front_matter
from hubtool.card.rules import yaml_fix
from hubtool.card.values import plain_values

if TYPE_CHECKING:
    from hubtool.card.finding import Fix
    from hubtool.card.front_matter import FrontMatter


def codes(text: str) -> list[str]:
    return [fault.code for fault in front_matter.read(text, 0).faults]


def read(text: str) -> dict[str, object]:
    return plain_values(front_matter.read(text, 0))


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("mindspore-version: 1.10", "1.10"),
        ("model-version: 1.0", "1.0"),
        ("update-time: 2022-10-11", "2022-10-11"),
        ("author: yes", "yes"),
        ("author: null", "null"),
        ("author: 0x10", "0x10"),
        ("author: 1_000", "1_000"),
        ("author: '1.10'", "1.10"),
        ("fine-tunable: True", True),
        ("fine-tunable: false", False),
        ("fine-tunable: yes", "yes"),
        ("fine-tunable: 'true'", "true"),
        ("input-shape: [3, 224, 224]", [3, 224, 224]),
        ("input-shape: [[1, 2], 3]", [[1, 2], 3]),
        ("input-shape: [1.5]", ["1.5"]),
        ("asset: [{asset-size: 12}]", [{"asset-size": 12}]),
        ("network: {arguments: {a: 1, b: 1.5, c: true, d: null, e: x, f: '1'}}",
         {"arguments": {"a": 1, "b": 1.5, "c": True, "d": None, "e": "x", "f": "1"}}),
        ("network: {arguments: {a: 99999999999999999999}}", {"arguments": {"a": 1e20}}),
    ],
)  # fmt: skip
def test_scalars_are_text_unless_the_schema_asks(text: str, value: object) -> None:
    assert list(read(text).values()) == [value]


def place(found: FrontMatter, pointer: str, *, key: bool = False) -> str:
    start, end = found.span(pointer, key=key)
    return found.text[start - found.offset : end - found.offset]


def test_every_node_knows_its_place() -> None:
    text = (
        "\nmodel-name: bert\n\nasset:\n\n-\n    file-format: ckpt\n    asset-link: <https://x.example/a>\n"
        "\nlicense: MIT\n"
    )
    found = front_matter.read(text, 100)
    assert place(found, "/model-name") == "bert"
    assert place(found, "/model-name", key=True) == "model-name"
    assert place(found, "/asset/0/asset-link") == "<https://x.example/a>"
    assert place(found, "/asset/0/file-format", key=True) == "file-format"
    assert place(found, "/license") == "MIT"
    assert found.locate("/nothing") == 100
    assert place(found, "/asset/0/nothing").startswith("file-format")
    assert found.locate("/license") == 100 + text.index("MIT")


def test_an_empty_value_is_at_its_key() -> None:
    found = front_matter.read("repo-link:\n\n\nauthor: a\n", 0)
    assert place(found, "/repo-link") == "repo-link"


def test_one_bad_entry_hides_no_other() -> None:
    text = "model-name: a\n\nevaluation: -\n\nsummary: b: c\n\nlicense: MIT\n"
    found = front_matter.read(text, 0)
    assert [entry.key for entry in found.entries] == ["model-name", "license"]
    assert found.unread == {"evaluation", "summary"}
    assert [(fault.code, text[fault.offset]) for fault in found.faults] == [("HT201", "-"), ("HT201", ":")]
    assert found.locate("/license") == text.index("MIT")


BOMB = "a: &a [1]\n" + "".join(
    f"{name}: &{name} [{', '.join([f'*{before}'] * 10)}]\n" for before, name in ("ab", "bc", "cd", "de", "ef", "fg")
)


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("a: b\n\tc: d\n", "HT201"),
        ("a: 'b\n", "HT201"),
        ("a: [1, 2\n", "HT201"),
        ("a: @b\n", "HT201"),
        ("a: *b\n", "HT201"),
        ("just text\n", "HT201"),
        ("- a\n- b\n", "HT201"),
        ("[a]: b\n", "HT201"),
        ("a: {[b]: c}\n", "HT201"),
        ("a: 1\na: 2\n", "HT202"),
        ("asset:\n- b: 1\n  b: 2\n", "HT202"),
        ("a: &a [*a]\n", "HT203"),
        ("a: " + "[" * 40 + "]" * 40 + "\n", "HT203"),
        ("a: " + "[" * 200_000 + "\n", "HT203"),
        ("a: " + "[" * 1200 + "]" * 1200 + "\n", "HT203"),
        ("".join(" " * depth + "a:\n" for depth in range(700)) + " " * 700 + "[" * 400 + "]" * 400, "HT203"),
        ("a:\n" + "- " * 60_000 + "b\n", "HT203"),
        ("a: " + "{a: " * 60_000 + "\n", "HT203"),
        ("? " * 60_000 + "\n", "HT203"),
        ("a: " + "x" * (256 << 10), "HT204"),
        (BOMB, "HT204"),
    ],
    ids=lambda value: repr(value)[:30],
)  # fmt: skip
def test_bad_yaml_is_a_fault_with_a_place(text: str, code: str) -> None:
    found = front_matter.read(text, 0)
    assert code in [fault.code for fault in found.faults]
    assert all(0 <= fault.offset <= len(text) for fault in found.faults)


def test_deep_nesting_does_not_kill_the_process() -> None:
    """The C library composes recursively, so that this is tried where a crash can be seen."""
    program = (
        "from hubtool.card import front_matter as f; print([x.code for x in f.read('a: ' + '[' * 250_000, 0).faults])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout.strip()) == (0, "['HT203']")


def test_after_a_bomb_other_entries_are_read() -> None:
    layers = "".join(f"  l{n}: &l{n} [{', '.join([f'*l{n - 1}' if n else '1'] * 10)}]\n" for n in range(6))
    found = front_matter.read(f"network:\n{layers}license: MIT\n", 0)
    assert [fault.code for fault in found.faults] == ["HT204"]
    assert [entry.key for entry in found.entries] == ["license"]
    assert found.unread == {"network"}


def test_of_duplicate_keys_the_first_counts() -> None:
    assert read("author: a\nauthor: b\n") == {"author": "a"}
    assert read("asset: [{file-format: a, file-format: b}]") == {"asset": [{"file-format": "a"}]}


def test_no_python_object_is_ever_made() -> None:
    assert read("author: !!python/object/apply:os.system ['true']\n") == {"author": ["true"]}
    assert codes("author: !!python/name:os.system x\n") == []


def fixes_of(found: FrontMatter) -> list[Fix | None]:
    return [yaml_fix.propose(entry.text, entry.offset) for entry in found.broken]


@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_full_width_colons_are_fixed(newline: str) -> None:
    text = newline.join(
        ["模型名称：bert", "", "资源：", "", "- 文件格式：ckpt", "  资源链接： <https://x.example/a>", ""]
    )
    found = front_matter.read(text, 0)
    fixed = text
    fixes = fixes_of(found)
    assert all(fix is not None for fix in fixes)
    for fix in reversed(fixes):
        for edit in reversed(fix.edits if fix else ()):
            fixed = fixed[: edit.start] + edit.text + fixed[edit.end :]
    assert read(fixed) == {
        "model-name": "bert",
        "asset": [{"file-format": "ckpt", "asset-link": "<https://x.example/a>"}],
    }
    assert fixed.count(newline) == text.count(newline)


@pytest.mark.parametrize(
    ("text", "fixed"),
    [
        ("evaluation: -\n", ""),
        ("evaluation: -   \r\n", ""),
        ("evaluation: - # not measured\n", "# not measured\n"),
        ("summary: a: b\n", "summary: 'a: b'\n"),
        ("summary: it's: b\n", "summary: 'it''s: b'\n"),
        ("summary: a:\n", "summary: 'a:'\n"),
        ("summary: @b\n", "summary: '@b'\n"),
        ("author:bert\n", "author: bert\n"),
        ("asset:\n- file-format: a: b\n", "asset:\n- file-format: 'a: b'\n"),
    ],
)
def test_what_was_meant_is_fixed(text: str, fixed: str) -> None:
    (fix,) = fixes_of(front_matter.read(text, 0))
    assert fix is not None
    for edit in reversed(fix.edits):
        text = text[: edit.start] + edit.text + text[edit.end :]
    assert text == fixed
    assert codes(text) == []


@pytest.mark.parametrize(
    "text",
    [
        "license: -\n",  # required: to leave it out would break more
        "summary: a: b # c\n",  # a comment, or a part of the text
        "summary: 'a\n",
        "evaluation: - \n  a: b\n",
        "\tmodel-name: a\n",
        "something\n",
    ],
)
def test_what_may_have_been_meant_is_left(text: str) -> None:
    found = front_matter.read(text, 0)
    assert found.faults
    assert [fix for fix in fixes_of(found) if fix is not None] == []
