"""When two versions of a folder count as the same code for a network."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from maintain.oracle import same_code

if TYPE_CHECKING:
    from pathlib import Path

FILES = {
    "src/__init__.py": "",
    "src/net.py": '"""A network."""\nfrom src.layers import Layer\nimport common\n\ndef make():\n    return Layer()\n',
    "src/layers.py": "class Layer:\n    width = 4\n",
    "more/common.py": "RATE = 1\n",
    "train.py": "import src.net\n",
    "export.py": "from src import net\nnet.make()\n",
    "config.yaml": "width: 4\n",
}


def folder(root: Path) -> Path:
    for name, text in FILES.items():
        file = root / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
    return root


@pytest.mark.parametrize("entry", ["src.net:make", "export.py"])
def test_what_counts(tmp_path: Path, entry: str) -> None:
    def digest(name: str, changes: dict[str, str]) -> str | None:
        root = folder(tmp_path / name)
        for file, text in changes.items():
            (root / file).write_text(text, encoding="utf-8")
        return same_code.digest(root, entry)

    first = digest("first", {})
    assert first is not None
    documented = FILES["src/net.py"].replace("A network.", "Another text.").replace("def make", "# more\ndef make")
    assert digest("documented", {"src/net.py": documented, "train.py": "import os\n"}) == first
    for number, (file, text) in enumerate(
        {"src/layers.py": "class Layer:\n    width = 5\n", "more/common.py": "RATE = 2\n"}.items()
    ):
        assert digest(f"other-{number}", {file: text}) not in (first, None)
    # A script may read any configuration; a callable gets its values from the recipe.
    assert (digest("configured", {"config.yaml": "width: 5\n"}) == first) is entry.startswith("src.net")


def test_what_cannot_be_told(tmp_path: Path) -> None:
    root = folder(tmp_path)
    assert same_code.digest(root, "nowhere.py") is None
    (root / "src/layers.py").write_text(
        "import importlib\nLayer = importlib.import_module('x').Layer\n", encoding="utf-8"
    )
    assert same_code.digest(root, "src.net:make") is None
