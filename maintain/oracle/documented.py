"""What the packages' own documentation says of the network of a card: its constructor, and its configuration file.

The documents of these packages have a table beside their configurations, with one line for each checkpoint: its file,
and the configuration that it was trained with. So the configuration of a card is found by its asset, and not by the
recipe that is to be held to it.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import re
from typing import TYPE_CHECKING, Any, Final

from maintain.discovery.packages import plain, resolved

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from maintain.discovery.run import Target

#: What a network is made from; the rest of a configuration is about training, and differs from version to version.
_USED: Final = {
    "mindcv": ("model", "num_classes", "image_resize"),
    "mindyolo": ("network", "data.nc", "img_size"),
    "mindocr": ("model",),
}
_LINK: Final = re.compile(r"\]\(([^()\s]+\.ya?ml)\)")


def found(item: Target, root: Path) -> tuple[str, str] | str:
    """Return the configuration that is documented for a card's checkpoint, and the identity of the code.

    Args:
        item: What the card says of its code.
        root: The tree of the package's repository.

    Returns:
        The path of the configuration in the tree, and the package's version with a digest of what the network is made
        from; or why there is none.
    """
    try:
        version = importlib.metadata.version(item.distribution)
    except importlib.metadata.PackageNotFoundError:
        return f"the package {item.distribution} is not installed"
    path = configuration_of(root / item.folder, item.facts.asset, item.facts.model_name)
    if path is None:
        return f"no document of {item.folder} says which configuration {item.facts.asset} has"
    settings = resolved(path, root)
    told = json.dumps([_setting(settings, name) for name in _USED.get(item.distribution, ())], sort_keys=True)
    digest = hashlib.sha256(told.encode()).hexdigest()
    return path.relative_to(root).as_posix(), f"{item.distribution} {version} {digest[:16]}"


def _setting(settings: Mapping[str, Any], name: str) -> Any:  # noqa: ANN401 - any plain value
    head, _, rest = name.partition(".")
    value = settings.get(head)
    return _setting(value, rest) if rest and isinstance(value, dict) else value


def configuration_of(folder: Path, asset: str, model_name: str) -> Path | None:
    """Return the configuration of a checkpoint: the one whose ``model:`` is the card's, or which a document names.

    Args:
        folder: A folder of configurations, with its documents.
        asset: The file name of the checkpoint.
        model_name: The name of the model.
    """
    import yaml  # noqa: PLC0415

    for path in sorted(folder.glob("*.yaml")):
        model = (yaml.safe_load(path.read_text(encoding="utf-8")) or {}).get("model")
        if isinstance(model, str) and plain(model) == plain(model_name):
            return path
    for document in sorted(folder.glob("*.md")):
        for line in document.read_text(encoding="utf-8").splitlines():
            for link in _LINK.findall(line) if asset and asset in line else ():
                named = folder / str(link).rpartition("/")[2]
                if named.is_file():
                    return named
    return None
