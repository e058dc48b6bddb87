"""``from mindspore_hub.info import CellInfo``: what a card says, by the names of the public package."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    import os

# The attributes of the public class, and the entries of a card that they are.
_ENTRIES: Final = {
    "name": "model-name",
    "backbone_name": "backbone-name",
    "type": "module-type",
    "fine_tunable": "fine-tunable",
    "input_shape": "input-shape",
    "author": "author",
    "update_time": "update-time",
    "repo_link": "repo-link",
    "user_id": "user-id",
    "backend": "backend",
    "dataset": "train-dataset",
    "license": "license",
    "accuracy": "accuracy",
    "used_for": "used-for",
    "model_version": "model-version",
    "mindspore_version": "mindspore-version",
    "asset": "asset",
    "asset_id": "asset-id",
    "evaluation": "evaluation",
}


class CellInfo:
    """What a card says of its network; an entry that it does not have is None.

    Args:
        md_path: The path of the card.

    Raises:
        hubtool.errors.CardError: If the card cannot be read.
    """

    def __init__(self, md_path: str | os.PathLike[str]) -> None:
        from hubtool.registry.folder import read_card  # noqa: PLC0415 - importing this package stays light

        values = read_card(Path(md_path), None).values
        for attribute, entry in _ENTRIES.items():
            setattr(self, attribute, values.get(entry))
        if values.get("allow-cache-ckpt") is not None:
            self.allow_cache_ckpt = values["allow-cache-ckpt"]

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - the types of a card's entries
        raise AttributeError(f"a card has no entry {name!r}")
