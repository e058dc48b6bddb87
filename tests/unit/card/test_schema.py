"""The card schema: jsonschema-rs, which checks cards, and jsonschema find the same violations."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from hubtool.card import document, front_matter, schema
from hubtool.card.values import plain_values
from tests.support import corpus

REFERENCE = Draft202012Validator(schema.load())
GOOD: dict[str, Any] = {
    "model-name": "a", "backbone-name": "a", "module-type": "nlp", "fine-tunable": True, "model-version": "1.9",
    "author": "a", "update-time": "2022-10-11", "user-id": "a", "used-for": "inference", "mindspore-version": "1.9",
    "license": "MIT", "summary": "a",
}  # fmt: skip


Found = set[tuple[str, str, str, str, str, object]]


def reference(values: dict[str, Any]) -> Found:
    found: Found = set()
    for error in REFERENCE.iter_errors(values):
        pointer = "".join(f"/{schema.escape(str(part))}" for part in error.absolute_path)
        of = (str(error.schema.get("title")), repr(error.validator_value), repr(error.instance))
        if error.validator == "additionalProperties":
            keys = set(error.instance) - set(error.schema["properties"])
            patterns = schema.load()["patternProperties"] if not pointer else {}
            keys = {key for key in keys if not any(re.search(pattern, key) for pattern in patterns)}
            found |= {("additionalProperties", pointer, key, *of) for key in keys}
        elif error.validator == "required":
            found |= {("required", pointer, key, *of) for key in error.validator_value if key not in error.instance}
        else:
            found.add((str(error.validator), pointer, "", *of))
    return found


def ours(values: dict[str, Any]) -> Found:
    return {
        (one.keyword, one.pointer, one.key or "", str(one.title), repr(one.expected), repr(one.value))
        for one in schema.violations(values)
    }


def test_the_schema_is_a_schema() -> None:
    Draft202012Validator.check_schema(schema.load())


def test_every_property_is_described() -> None:
    def walk(part: object) -> None:
        if isinstance(part, dict):
            for name, below in part.get("properties", {}).items():
                assert "$ref" in below or "title" in below, name
                if below.keys() - {"const", "enum"}:
                    assert below.get("description"), name
            for value in part.values():
                walk(value)

    root = schema.load()
    walk({key: value for key, value in root.items() if key != "$defs"})
    assert all(part["title"] and part["description"] for part in root["$defs"].values())
    assert root["$id"].startswith("https://")


@pytest.mark.parametrize(
    "change",
    [
        {},
        {"fine-tunable": "yes"}, {"fine-tunable": 1}, {"author": ""}, {"author": None}, {"author": 3},
        {"author": "x" * 5000},
        {"model-version": "x"}, {"update-time": "11.10.2022"}, {"nonsense": 1}, {"a/b~c": {}},
        {"input-shape": []}, {"input-shape": [0]}, {"input-shape": [[1, "a"], 3.0, 2.5, True]}, {"input-shape": "3"},
        {"repo-link": "x"}, {"vit-repo-link": "x"}, {"vit-repo-link": "https://x.example"}, {"Vit-repo-link": "x"},
        {"asset": []}, {"asset": {}},
        {"asset": [1, {}, {"file-format": "exe", "asset-link": "a b", "asset-sha256": "x"}]},
        {"asset": [{"file-format": "ckpt", "asset-link": "a", "asset-sha256": "a" * 64, "asset-size": 0, "b": 1}]},
        {"network": {}}, {"network": []}, {"network": {"provider": "builtin", "entry": "gpt"}},
        {"network": {"provider": "package", "entry": "gpt", "arguments": {"a": [1, {"b": None}], "c": {"d": 1.5}}}},
        {"network": {"provider": "builtin", "entry": "bert", "ignore": [], "arguments": 3}},
        {"network": {"provider": "else", "entry": "/"}},
    ],
    ids=str,
)  # fmt: skip
def test_cases(change: dict[str, Any]) -> None:
    values = {**GOOD, **change}
    assert ours(values) == reference(values)
    assert bool(ours(values)) == bool(change) or "repo-link" in str(change) or "network" in change


def test_the_corpus() -> None:
    for path in corpus():
        card = document.parse(path.read_bytes())
        values = plain_values(front_matter.read(card.front_matter or "", 0))
        assert ours(values) == reference(values), path


def test_missing_keys_come_in_the_order_of_the_schema() -> None:
    assert [found.key for found in schema.violations({})] == schema.load()["required"]


@pytest.mark.parametrize("text", ["\ud800", "a\udfffb"])
def test_half_a_character_is_checked_as_text(text: str) -> None:
    values = {**GOOD, "author": text}
    assert not list(schema.violations(values))
    (found,) = schema.violations({**values, "model-version": values["author"]})
    assert (found.keyword, found.pointer, found.value) == ("pattern", "/model-version", values["author"])


def test_a_pattern_ends_at_the_end_of_the_text() -> None:
    # Python's '$' also matches before a last newline; that of JSON Schema does not.
    (found,) = schema.violations({**GOOD, "model-version": "1.9\n"})
    assert (found.keyword, found.pointer) == ("pattern", "/model-version")


SCALARS = st.none() | st.booleans() | st.integers(-2, 300) | st.floats(-2, 300) | st.sampled_from(
    ["", "a", "1.9", "ckpt", "builtin", "bert", "https://x.example/a", "2022-10-11", "a" * 64]
)  # fmt: skip
KEYS = st.sampled_from(
    [*schema.known_keys(), *schema.known_keys("asset"), *schema.known_keys("recipe"), "x", "a-repo-link"]
)
VALUES = st.recursive(
    SCALARS, lambda below: st.lists(below, max_size=3) | st.dictionaries(KEYS, below, max_size=5), max_leaves=12
)


@settings(deadline=None)
@given(st.dictionaries(KEYS, VALUES, max_size=8), st.booleans())
def test_any_values(values: dict[str, Any], whole: bool) -> None:
    values = {**GOOD, **values} if whole else values
    assert ours(values) == reference(values), json.dumps(values)
