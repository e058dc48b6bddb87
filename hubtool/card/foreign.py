"""Model cards of other hubs, Hugging Face and ModelScope: they are Markdown with front matter too, with other keys."""

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
# Written so on ModelScope's form; SPDX and Hugging Face have other spellings.
_MODELSCOPE_LICENCE = "Apache License 2.0"
HINT = "hubtool's cards have other keys: `hubtool new` writes one from the model's files; see docs/publishing.md"


def whose(front_matter: FrontMatter) -> str | None:
    """Return whose model card this is, ``Hugging Face`` or ``ModelScope``; None if it may be one of hubtool."""
    keys = {entry.key for entry in front_matter.entries}
    if not keys & (_MODELSCOPE | _HUGGING_FACE):
        return None
    known = set(schema.known_keys()) - {"license"}
    # A card of hubtool with misspelt keys, such as model_name, is no other hub's.
    if any(key in known or vocabulary.key(key[:99]) in known for key in keys | front_matter.unread):
        return None
    licence = front_matter.scalar("/license")
    if keys & _MODELSCOPE or (licence is not None and licence.text == _MODELSCOPE_LICENCE):
        return "ModelScope"
    return "Hugging Face"
