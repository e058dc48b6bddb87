"""The network provider ``package``: recipes whose networks are built by an installed distribution.

The package runs in its own namespace, like code of a repository, because it was written for an older MindSpore and
needs the bridge. The user's own import of the same package is not affected.

Consent is decided before: see :mod:`hubtool.card.package_calls`.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hubtool import requirements
from hubtool.card.package_calls import PACKAGES, package_of
from hubtool.errors import RecipeError, RequirementError
from hubtool.networks.entry_point import CALLABLE, call, example, merged
from hubtool.networks.isolation.namespace import Namespace
from hubtool.networks.provider import BuiltNetwork

if TYPE_CHECKING:
    from collections.abc import Mapping

    from hubtool.card.model import Recipe
    from hubtool.checkpoint.coverage import Shape
    from hubtool.networks.provider import BuildRequest


class PackageProvider:
    """Builds networks with installed packages."""

    def build(
        self,
        recipe: Recipe,
        *,
        shapes: Mapping[str, Shape],  # noqa: ARG002 - the interface: the code knows its own shapes
        asked: BuildRequest,
        compute_type: str,  # noqa: ARG002 - the interface: the code decides
    ) -> BuiltNetwork:
        """Build a network; see :meth:`hubtool.networks.provider.Provider.build`."""
        match = CALLABLE.match(recipe.entry)
        head = package_of(recipe)
        if match is None or head is None:
            raise RecipeError(
                f"{recipe.entry!r} is not an entry point of a package",
                hint=f"it is 'module:callable' of {', '.join(PACKAGES)}",
            )
        requirements.require(recipe.requires or (head,))
        namespace = open_package(head)
        arguments = merged(recipe.arguments, asked.arguments)
        network = call(namespace, recipe, match["module"], match["name"], arguments, positional=asked.positional)
        inputs = recipe.inputs
        return BuiltNetwork(network=network, prefix="", notes=(), example=lambda: example(inputs))


def open_package(head: str) -> Namespace:
    """Return a namespace for the code of an installed package.

    Raises:
        RequirementError: If it is not installed.
    """
    from hubtool.networks.capture import NetworkCapture  # noqa: PLC0415
    from hubtool.networks.compat import Bridge  # noqa: PLC0415

    spec = importlib.util.find_spec(head)
    if spec is None or not spec.submodule_search_locations:
        raise RequirementError(
            f"the network needs the package {head}, which is not installed", hint=f"pip install {head}"
        )
    root = Path(next(iter(spec.submodule_search_locations))).parent
    identity = f"{head} {importlib.metadata.version(head)}"
    namespace = Namespace.open(root, root, identity=identity, provider=Bridge(NetworkCapture().hooks(), old=False))
    namespace.only = frozenset({head})
    return namespace


def members(head: str, module: str) -> Any:  # noqa: ANN401 - a module
    """Import a module of a package in a namespace of its own; for discovery."""
    namespace = open_package(head)
    with namespace.building(directory=Path.cwd()):
        return namespace.load(module)
