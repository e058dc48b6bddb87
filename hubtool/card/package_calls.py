"""Which calls of installed packages a card may ask for without the user's consent.

A card chooses an entry of a package and its arguments, and some packages evaluate arguments as Python. The table
``vocabularies/package-calls.json`` lists, for each entry, the arguments that are harmless; everything else is code that
the card brings, and needs consent like the code of a repository.
"""

from __future__ import annotations

import hashlib
import json
import re
from functools import cache
from typing import TYPE_CHECKING, Any, Final

from hubtool import resources
from hubtool.errors import RecipeError

if TYPE_CHECKING:
    from collections.abc import Collection

    from jsonschema.protocols import Validator

    from hubtool.card.model import Recipe

#: Packages that recipes may take networks from; any other code comes from a repository, with its commit.
PACKAGES: Final = ("mindaudio", "mindcv", "mindocr", "mindyolo")
_ENTRY: Final = re.compile(r"(?!.*__)([A-Za-z]\w*)(?:\.[A-Za-z]\w*)*:[A-Za-z]\w*\Z")
_MAX_DEPTH, _MAX_VALUES = 16, 20_000
_MAX_SHOWN_CHARACTERS = 400


def package_of(recipe: Recipe) -> str | None:
    """Return the package that a recipe's entry belongs to, or None if the entry is not one of a known package."""
    match = _ENTRY.match(recipe.entry)
    return match[1] if match and match[1] in PACKAGES else None


def outside(recipe: Recipe, *, overridden: Collection[str] = ()) -> str | None:
    """Return in one sentence why the call of a recipe is not in the table; None if it is.

    Args:
        recipe: A recipe of the provider ``package``.
        overridden: Names of arguments that the user's own call replaces.

    Raises:
        RecipeError: If its arguments are nested too deeply, or too many.
    """
    _check_size(recipe.arguments)
    validator = _validators().get(recipe.entry)
    if validator is None:
        return f"the entry {recipe.entry} is not in hubtool's table of calls"
    arguments: Any = dict(recipe.arguments)
    problem = next((one for one in validator.iter_errors(arguments) if not _is_overridden(one, overridden)), None)
    return None if problem is None else _sentence(problem, recipe)


def identity(recipe: Recipe) -> str:
    """Return a name for the call of a recipe, that trust is bound to: the package, the entry and all arguments.

    Raises:
        RecipeError: If its arguments are nested too deeply, or too many.
    """
    _check_size(recipe.arguments)
    text = json.dumps([recipe.entry, recipe.arguments, sorted(recipe.skip)], sort_keys=True)
    return f"package/{package_of(recipe)}/{hashlib.sha256(text.encode()).hexdigest()}"


@cache
def _validators() -> dict[str, Validator]:
    from jsonschema import Draft202012Validator  # noqa: PLC0415 - takes 70 ms to import

    table = json.loads(resources.vocabulary_file("package-calls").read_text(encoding="utf-8"))
    return {
        entry: Draft202012Validator({**schema, "$defs": table["$defs"]}) for entry, schema in table["calls"].items()
    }


def _is_overridden(problem: Any, overridden: Collection[str]) -> bool:  # noqa: ANN401 - jsonschema's types are looser
    if problem.absolute_path:
        return problem.absolute_path[0] in overridden
    if problem.validator == "additionalProperties":
        return _unknown(problem) <= set(overridden)
    return problem.validator == "required" and set(problem.validator_value) - set(problem.instance) <= set(overridden)


def _unknown(problem: Any) -> set[str]:  # noqa: ANN401 - as above
    return set(problem.instance) - set(problem.schema["properties"])


def _sentence(problem: Any, recipe: Recipe) -> str:  # noqa: ANN401 - as above
    path = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in problem.absolute_path).lstrip(".")
    if problem.validator == "additionalProperties":
        names = ", ".join(sorted(f"{path}.{name}".lstrip(".") for name in _unknown(problem)))
        return f"hubtool's table of calls does not list the argument {_short(names)} of {recipe.entry}"
    if problem.validator == "required":
        return f"hubtool's table of calls wants more arguments of {recipe.entry}: {_short(problem.message)}"
    value = _short(repr(problem.instance))
    return f"hubtool's table of calls does not list the value {value} of the argument {path} of {recipe.entry}"


def _short(text: str) -> str:
    return text if len(text) <= _MAX_SHOWN_CHARACTERS else f"{text[: _MAX_SHOWN_CHARACTERS - 3]}..."


def _check_size(arguments: object) -> None:
    """Refuse arguments that recursive code could not walk.

    Raises:
        RecipeError: If they are nested too deeply, or too many.
    """
    todo: list[tuple[Any, int]] = [(arguments, 0)]
    seen = 0
    while todo:
        value, depth = todo.pop()
        seen += 1
        if depth > _MAX_DEPTH or seen > _MAX_VALUES:
            raise RecipeError(
                "the arguments of the recipe are too large: "
                f"at most {_MAX_VALUES:,} values, nested at most {_MAX_DEPTH} deep",
                hint="shorten 'arguments' in the recipe",
            )
        if isinstance(value, (list, tuple)):
            todo.extend((item, depth + 1) for item in value)
        elif hasattr(value, "values"):
            todo.extend((item, depth + 1) for item in value.values())
