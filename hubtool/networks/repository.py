"""The network provider ``repository``: recipes whose networks are built by the code behind a card's repo-link.

The code is given as a folder; fetching it and deciding whether it can run come before.
"""

from __future__ import annotations

import json
import re
import shutil
import tempfile
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from hubtool import requirements
from hubtool.errors import ArgumentTypeError, NetworkError, RecipeError
from hubtool.networks.entry_point import CALLABLE, call, checked, example, merged, reported, settle
from hubtool.networks.isolation.namespace import CHECKPOINT, FOLDER, SCRATCH, Namespace
from hubtool.networks.provider import BuiltNetwork

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from hubtool.card.model import Recipe
    from hubtool.checkpoint.coverage import Shape
    from hubtool.networks.capture import NetworkCapture
    from hubtool.networks.provider import BuildRequest

_SCRIPT: Final = re.compile(r"(?!.*\.\.)[A-Za-z0-9][\w.-]*(?:/[A-Za-z0-9][\w.-]*)*\.py\Z")
_TEXT_LIMIT: Final = 2**20


@dataclass(frozen=True, slots=True, kw_only=True)
class CodeFolder:
    """The folder with the code of a model.

    Attributes:
        root: The folder that holds the repository's tree, or the part of it that was fetched.
        folder: The model's folder within it, with ``/``; empty for the root itself.
        identity: The identity of this code: its commit or tree digest.
    """

    root: Path
    folder: str
    identity: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RepositoryProvider:
    """Builds networks with code from a repository.

    Attributes:
        place: The folder with that code.
    """

    place: CodeFolder

    def build(
        self,
        recipe: Recipe,
        *,
        shapes: Mapping[str, Shape],
        asked: BuildRequest,
        compute_type: str,  # noqa: ARG002 - the interface: the code decides
    ) -> BuiltNetwork:
        """Build a network; see :meth:`hubtool.networks.provider.Provider.build`."""
        return build(self.place, recipe, shapes=shapes, overrides=asked.arguments, positional=asked.positional)


def build(
    place: CodeFolder,
    recipe: Recipe,
    *,
    shapes: Mapping[str, Shape] | None = None,
    overrides: Mapping[str, object] | None = None,
    positional: tuple[object, ...] = (),
    capture: NetworkCapture | None = None,
    opened: Callable[[Namespace], None] | None = None,
) -> BuiltNetwork:
    """Build the network of a recipe with code of a folder.

    Args:
        place: The folder with the code.
        recipe: The card's recipe.
        shapes: The shape of every tensor of the checkpoint, where there is one.
        overrides: Arguments of the caller, which replace those of the recipe.
        positional: Arguments of the caller without a name.
        capture: Replaces the functions that put weights into networks; discovery passes its own.
        opened: Called with the namespace before any code runs.

    Raises:
        RecipeError: If the entry point is not valid, or is not code of the folder.
        RequirementError: If a package that the network needs is not installed.
        NetworkError: If the code builds no network.
    """
    from hubtool.networks.capture import NetworkCapture  # noqa: PLC0415
    from hubtool.networks.compat import Bridge  # noqa: PLC0415

    if recipe.entry.endswith(".py"):
        match = _SCRIPT.match(recipe.entry)
        recipe = replace(recipe, argv=(*recipe.argv, *_as_arguments(overrides or {})))
    else:
        match = CALLABLE.match(recipe.entry)
        recipe = replace(recipe, arguments=merged(recipe.arguments, overrides or {}))
    if match is None or "__" in recipe.entry:
        raise RecipeError(
            f"{recipe.entry!r} is not an entry point",
            hint="it is 'module:callable' or the path of a script, within the folder",
        )
    is_script = "module" not in match.groupdict()
    capture = capture or NetworkCapture(stop_at=recipe.capture if is_script else None)
    folder = place.root / place.folder
    identity = json.dumps([place.identity, place.folder, recipe.entry, sorted(recipe.arguments), list(recipe.argv)])
    requirements.require(recipe.requires)
    namespace = Namespace.open(place.root, folder, identity=identity, provider=Bridge(capture.hooks()))
    namespace.skip = frozenset(recipe.skip)
    if opened is not None:
        opened(namespace)
    if is_script and positional:
        raise ArgumentTypeError(
            f"the network is built by running {recipe.entry}, which takes options and no arguments without a name",
            hint="give them by name, as the script's own options are called",
        )
    if is_script:
        network = _run(namespace, recipe, capture)
    else:
        arguments = settle(recipe.arguments, shapes or {})
        network = call(namespace, recipe, match["module"], match["name"], arguments, positional=positional)
    notes = []
    if namespace.stood_in:
        notes.append(f"not installed, and not needed to build the network: {', '.join(namespace.stood_in)}")
    inputs = recipe.inputs
    return BuiltNetwork(network=network, prefix="", notes=tuple(notes), example=lambda: example(inputs))


def _as_arguments(overrides: Mapping[str, object]) -> Iterator[str]:
    for name, value in overrides.items():
        yield f"--{name}"
        yield str(value)


def _run(namespace: Namespace, recipe: Recipe, capture: NetworkCapture) -> Any:  # noqa: ANN401 - a Cell
    from hubtool.networks.capture import StopCapture  # noqa: PLC0415

    with _working_copy(namespace) as (directory, checkpoint):
        namespace.meanings = {CHECKPOINT: str(checkpoint), SCRATCH: str(directory), FOLDER: str(namespace.folder)}
        namespace.argv[:] = [str(namespace.folder / recipe.entry), *map(namespace.fill, recipe.argv)]
        with reported(namespace, recipe), namespace.building(directory=directory / namespace.folder.name):
            try:
                namespace.run(recipe.entry)
            except StopCapture:
                pass
            except (Exception, SystemExit):
                if len(capture.networks) < (recipe.capture or 1):
                    raise
    index = (recipe.capture or 1) - 1
    networks = capture.networks or ([capture.exported] if capture.exported is not None else capture.models[:1])
    if index >= len(networks):
        raise NetworkError(f"{recipe.entry} was run, and it ended before any weights went into a network")
    return checked(networks[index], recipe)


@contextmanager
def _working_copy(namespace: Namespace) -> Iterator[tuple[Path, Path]]:
    """Yield a temporary copy of the model's folder to run a script in, and an empty file for a checkpoint."""
    with tempfile.TemporaryDirectory(prefix="hubtool-") as name:
        directory = Path(name)
        shutil.copytree(namespace.folder, directory / namespace.folder.name, symlinks=True, ignore=_large)
        checkpoint = directory / "checkpoint.ckpt"
        checkpoint.touch()
        yield directory, checkpoint


def _large(folder: str, names: list[str]) -> list[str]:
    """Return the files to leave out: links and large files, which no script reads to build a network."""
    left = []
    for name in names:
        path = Path(folder, name)
        if path.is_symlink() or (path.is_file() and path.stat().st_size > 4 * _TEXT_LIMIT):
            left.append(name)
    return left
