"""Model cards of Hugging Face and ModelScope, which are Markdown with front matter, too, but with other keys."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hubtool.card import schema, vocabulary

if TYPE_CHECKING:
    from hubtool.card.front_matter import FrontMatter

_MODELSCOPE = frozenset({"frameworks", "tasks", "domain", "domains", "tools", "studios"})
_HUGGING_FACE = frozenset({
    "license", "license_name", "license_link", "tags", "library_name", "pipeline_tag", "language", "datasets",
    "base_model", "model-index", "metrics", "widget", "inference", "thumbnail", "co2_eq_emissions", "arxiv",
    "extra_gated_prompt", "new_version",
})  # fmt: skip
# As ModelScope's form spells it; SPDX and Hugging Face have other spellings.
_MODELSCOPE_LICENCE = "Apache License 2.0"
HINT = "hubtool's cards have other keys: `hubtool new` writes one from the model's files; see docs/publishing.md"


def hub_of(front_matter: FrontMatter) -> str | None:
    """Return the hub that a card is written for, ``Hugging Face`` or ``ModelScope``; None if it may be hubtool."""
    keys = {entry.key for entry in front_matter.entries}
    if not keys & (_MODELSCOPE | _HUGGING_FACE):
        return None
    known = set(schema.known_keys()) - {"license"}
    # A card with misspelt keys of hubtool, such as model_name, is a card of hubtool.
    if any(key in known or vocabulary.key(key[:99]) in known for key in keys | front_matter.unread):
        return None
    licence = front_matter.scalar("/license")
    if keys & _MODELSCOPE or (licence is not None and licence.text == _MODELSCOPE_LICENCE):
        return "ModelScope"
    return "Hugging Face"
