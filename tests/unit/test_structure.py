"""What holds for the code as a whole."""

from __future__ import annotations

import ast
from collections import Counter
from pathlib import Path

import hubtool

PACKAGE = Path(hubtool.__file__).parent


def test_no_package_has_the_name_of_a_public_function() -> None:
    # Importing hubtool.resolve, if it were a package, would replace the function hubtool.resolution.
    rooms = {path.stem for path in PACKAGE.iterdir() if path.suffix == ".py" or (path / "__init__.py").is_file()}
    assert not rooms & (set(hubtool.__all__) - {"__version__"})


def test_a_class_name_has_one_meaning() -> None:
    classes = Counter(
        node.name
        for path in PACKAGE.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_bytes()))
        if isinstance(node, ast.ClassDef)
    )
    assert [name for name, count in classes.items() if count > 1] == []
