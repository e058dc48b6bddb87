"""Where the files that come with hubtool are: the registry, the schemas and the vocabularies.

A wheel carries them inside the package (``hubtool/_data``); in a checkout they stand at the top of the repository.
"""

from __future__ import annotations

from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent


def _folder(name: str) -> Path:
    inside = _PACKAGE / "_data" / name
    return inside if inside.is_dir() else _PACKAGE.parent / name


def registry_folder() -> Path:
    """Return the folder of the packaged registry."""
    return _folder("registry")


def schema_file(name: str) -> Path:
    """Return the path of a packaged schema, such as ``model-card``."""
    return _folder("schemas") / f"{name}.schema.json"


def vocabulary_file(name: str) -> Path:
    """Return the path of a packaged vocabulary or table, such as ``datasets`` or ``package-calls``."""
    return _folder("vocabularies") / f"{name}.json"


def labels_folder() -> Path:
    """Return the folder of the lists of labels."""
    return _folder("vocabularies") / "labels"
