"""Source code of a model: find it, and compile it with some statements replaced."""

from __future__ import annotations

import ast
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence

_MAX_SOURCE_BYTES: Final = 8 * 2**20


def find_module(places: Sequence[str], tail: str) -> tuple[Path, list[str] | None] | None:
    """Return the source of a module, and its package's folders if it is a package."""
    loose: list[str] = []
    for entry in places:
        place = Path(entry)
        folder = place / tail
        if (source := folder / "__init__.py").is_file():
            return source, [str(folder)]
        if (source := place / f"{tail}.py").is_file():
            return source, None
        if folder.is_dir() and next(folder.rglob("*.py"), None) is not None:
            loose.append(str(folder))
    return (Path(loose[0]), loose) if loose else None


class _MainName(ast.NodeTransformer):
    """Makes ``if __name__ == "__main__"`` of the main program true while its module keeps its private name."""

    def visit_Compare(self, node: ast.Compare) -> ast.AST:
        """Replace the name in a comparison with ``__main__``."""
        sides = [node.left, *node.comparators]
        if any(isinstance(side, ast.Constant) and side.value == "__main__" for side in sides):
            sides = [
                ast.copy_location(ast.Constant("__main__"), side)
                if isinstance(side, ast.Name) and side.id == "__name__"
                else side
                for side in sides
            ]
            node.left, node.comparators = sides[0], sides[1:]
        return node


class _Skip(ast.NodeTransformer):
    """Replaces statements by line: their targets get placeholders."""

    def __init__(self, lines: Collection[int]) -> None:
        self._lines = lines

    def visit(self, node: ast.AST) -> Any:  # noqa: ANN401 - one node or several
        """Replace a statement that starts in one of the lines."""
        if not isinstance(node, ast.stmt) or node.lineno not in self._lines:
            return self.generic_visit(node)
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Return)):
            return self.generic_visit(node)
        # All targets of the statement and of the statements in it.
        targets = [
            target
            for target in ast.walk(node)
            if isinstance(target, (ast.Name, ast.Attribute, ast.Subscript)) and isinstance(target.ctx, ast.Store)
        ]
        if isinstance(node, ast.ClassDef):
            targets = [ast.Name(node.name, ast.Store())]
        new: ast.stmt = ast.Assign(list(targets), ast.Name("__stub__", ast.Load())) if targets else ast.Pass()
        return ast.fix_missing_locations(ast.copy_location(new, node))


def parse_source(path: Path, *, main: bool = False, skip: Collection[int] = ()) -> ast.Module:
    """Return the syntax tree of a source file.

    Args:
        path: The file.
        main: Whether it runs as the main program.
        skip: Line numbers of statements that are left out: what they set becomes ``__stub__``.

    Raises:
        ImportError: If it is too large for source code.
        SyntaxError: If it is not Python.
    """
    if path.stat().st_size > _MAX_SOURCE_BYTES:
        raise ImportError(f"{path.name} is too large for source code", path=str(path))
    source = path.read_bytes()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # odd escapes and comparisons of old code do not concern the user
        tree = ast.parse(source, str(path))
        if main:
            tree = _MainName().visit(tree)
        if skip:
            tree = _Skip(skip).visit(tree)
        return tree


def compile_source(
    path: Path, *, main: bool, skip: Collection[int] = (), change: Callable[[ast.Module], ast.Module] | None = None
) -> Any:  # noqa: ANN401 - a code object
    """Return the compiled code of a source file.

    Args:
        path: The file.
        main: Whether it runs as the main program.
        skip: Line numbers of statements that are left out.
        change: Changes the syntax tree.

    Raises:
        ImportError: If it is too large for source code.
        SyntaxError: If it is not Python.
    """
    tree = parse_source(path, main=main, skip=skip)
    if change is not None:
        tree = change(tree)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return compile(tree, str(path), "exec", dont_inherit=True)
