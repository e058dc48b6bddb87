"""The requirements of recipes: distributions and versions that must be installed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hubtool.errors import RecipeError, RequirementError

if TYPE_CHECKING:
    from collections.abc import Iterable

# The packages of the extras in pyproject.toml, by their own names: the name "hubtool" is free on the public index, so
# no message must tell users to install it from there.
INSTALL_MINDSPORE = "pip install 'mindspore>=2.7,<3' 'numpy<2'"
INSTALL_SERVE = "pip install 'starlette>=0.49' 'uvicorn>=0.34'"
INSTALL_CATALOGUE = "pip install 'jinja2>=3.1.6'"
INSTALL_S3 = "pip install 'obstore>=0.11'"


def unmet(requires: Iterable[str]) -> tuple[tuple[str, str], ...]:
    """Return the requirements that this environment does not meet, each with the reason in one sentence.

    Args:
        requires: Requirement specifiers such as ``mindcv>=0.3``.

    Raises:
        RecipeError: If one is not a requirement.
    """
    texts = tuple(requires)
    if not texts:
        return ()
    from importlib import metadata  # noqa: PLC0415 - as below

    from packaging.requirements import InvalidRequirement, Requirement  # noqa: PLC0415 - most recipes have no requirements

    found = []
    for text in texts:
        try:
            asked = Requirement(text)
        except InvalidRequirement as error:
            raise RecipeError(
                f"{text!a} in the recipe is not a requirement: {str(error).splitlines()[0]}",
                hint="write it as pip takes it, such as mindcv>=0.3",
            ) from error
        if asked.url is not None:  # otherwise the hint would tell users to install from there
            raise RecipeError(
                f"{text!a} in the recipe names an address to install from",
                hint="name the distribution and its versions only, such as mindcv>=0.3",
            )
        try:
            version = metadata.version(asked.name)
        except metadata.PackageNotFoundError:
            found.append((text, f"the network needs {text}, which is not installed"))
            continue
        if not asked.specifier.contains(version, prereleases=True):
            found.append((text, f"the network needs {text}, and {asked.name} {version} is installed"))
    return tuple(found)


def require(requires: Iterable[str]) -> None:
    """Raise an error unless all requirements are installed.

    Raises:
        RequirementError: If one is missing or of another version.
        RecipeError: If one is not a requirement.
    """
    for text, why in unmet(requires):
        raise RequirementError(why, hint=f"pip install '{text}'")
