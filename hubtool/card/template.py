"""The text of a card that a program writes: the front matter in its order, then the body. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from hubtool.card.yaml_text import ORDER, ORDER_AFTER, dump_recipe, scalar

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from hubtool.card.metrics import Metric


class AssetEntry(NamedTuple):
    """One asset as the front matter names it; the size is in bytes."""

    format: str
    link: str
    digest: str
    size: int | None = None


def card_text(
    title: str,
    values: Mapping[str, object],
    assets: Iterable[AssetEntry],
    body: str,
    *,
    recipe: Mapping[str, object] | None = None,
) -> str:
    """Return the text of a card.

    Args:
        title: The heading of the card.
        values: The entries of the front matter that hold one value each, in any order; of those that no card has,
            nothing is written.
        assets: The assets; without one, there is no entry ``asset``.
        body: What follows the front matter.
        recipe: The entry ``network``, or None for a card without one.
    """
    links = sorted(key for key in values if key.endswith("-repo-link"))
    lines = [f"# {title}", "", "---", "", *_entries(values, (*ORDER, *links, *ORDER_AFTER))]
    listed = [
        f"  - file-format: {one.format}\n    asset-link: {one.link}\n    asset-sha256: {scalar(one.digest)}"
        + (f"\n    asset-size: {one.size}" if one.size is not None else "")
        for one in assets
    ]
    lines += ["asset:", *listed] if listed else []
    lines += _entries(values, ("repo-revision",))
    lines += [] if recipe is None else [dump_recipe(recipe)]
    lines += [*_entries(values, ("license", "summary")), "", "---", "", body]
    return "\n".join(lines)


def sections_text(sections: Iterable[tuple[str, Sequence[str]]]) -> str:
    """Return sections, each a heading and its paragraphs, as the body of a card."""
    lines: list[str] = []
    for heading, paragraphs in sections:
        lines += [f"## {heading}", ""]
        for paragraph in paragraphs:
            lines += [paragraph, ""]
    return "\n".join(lines)


def results(metrics: Iterable[Metric], values: Mapping[str, object]) -> list[tuple[str, str]]:
    """Return the rows of the table of metrics: the name and the value of each."""
    rows = [(one.name, f"{one.value}{one.unit}") for one in metrics]
    return rows + [(key, str(values[key])) for key in ("accuracy", "mAP") if key in values]


def _entries(values: Mapping[str, object], keys: Iterable[str]) -> list[str]:
    return [f"{key}: {_value(key, values[key])}" for key in keys if key in values]


def _value(key: str, value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return value if key == "update-time" else scalar(value)
    return str(value)  # a list of numbers, which YAML and Python write alike
