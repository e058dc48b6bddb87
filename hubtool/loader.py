"""The loader: from a resolution to a loaded ``mindspore.nn.Cell``.

Resolution -> stored checkpoint (downloaded if it is missing) -> network -> weights placed -> coverage.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
import warnings
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from hubtool.assets import fetch_asset
from hubtool.checkpoint import operators
from hubtool.checkpoint.coverage import renamed
from hubtool.checkpoint.reading import read_header
from hubtool.errors import (
    ArgumentError,
    AssetError,
    CheckpointError,
    NetworkError,
    RequirementError,
    SlowProcessorWarning,
)
from hubtool.networks.choose_provider import CHANGED, check_allowed, choose_provider
from hubtool.networks.fitting import resolve_fitted
from hubtool.networks.provider import BuildRequest
from hubtool.networks.weights import mappable, place_tensors, read_tensors, renamed_by_recipe
from hubtool.requirements import INSTALL_MINDSPORE
from hubtool.resolution import machine
from hubtool.resolution import trust as trusts

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from hubtool.card.model import Asset, Recipe
    from hubtool.card.status import Status
    from hubtool.checkpoint.coverage import Coverage, Shape
    from hubtool.hub import Hub
    from hubtool.networks.provider import BuiltNetwork
    from hubtool.resolution.finding import Loan
    from hubtool.resolution.resolver import Resolution, ResolvedAsset
    from hubtool.resolution.trust import Agreement
    from hubtool.transfer.events import ProgressCallback

_SLOW = (
    "convolutions take 60 to 160 times as long on such a processor, because MindSpore was imported without "
    f"{machine.INSTRUCTIONS}=AVX2; set it before the import, or load the network before you import MindSpore"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadedNetwork:
    """A loaded network, and how loading went.

    Attributes:
        uid: The UID, or the path of a card outside a registry.
        network: The ``mindspore.nn.Cell``.
        coverage: How checkpoint and network matched, or None if no weights were asked for.
        notes: Notes for the user, one sentence each.
        seconds: Seconds that each stage took, in order.
        built: The network as its provider built it; it gives tensors that the network can be called with.
        is_graph: Whether the network is a ``mindspore.nn.GraphCell``: a graph from a file, with its weights.
        path: The verified file of a graph that MindSpore does not run: then there is no network.
        status: ``deprecated`` or ``withdrawn`` (and pinned) if the card got such an entry after it was published.
        loan: Where the recipe comes from if it is not the card's own; None if it is.
    """

    uid: str
    network: Any
    coverage: Coverage | None
    notes: tuple[str, ...]
    seconds: Mapping[str, float]
    built: BuiltNetwork
    is_graph: bool = False
    path: Path | None = None
    status: Status | None = None
    loan: Loan | None = None

    @property
    def parameters(self) -> int:
        """The number of parameters."""
        return len(self.network.parameters_dict())

    @property
    def elements(self) -> int:
        """The number of elements of all parameters."""
        return sum(parameter.size for parameter in self.network.parameters_dict().values())


class _Stopwatch:
    """Measures stages."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        start = time.perf_counter()
        try:
            yield
        finally:
            self.seconds[name] = self.seconds.get(name, 0.0) + time.perf_counter() - start


def load(
    hub: Hub,
    resolution: Resolution,
    *,
    pretrained: bool = True,
    initialised: bool = True,
    force_reload: bool = False,
    strict: bool = True,
    device: str | None = None,
    overrides: Mapping[str, object] | None = None,
    positional: tuple[object, ...] = (),
    progress: ProgressCallback | None = None,
    checkout: Path | None = None,
    agreement: Agreement | None = None,
) -> LoadedNetwork:
    """Load the network of a card.

    Args:
        hub: Settings, registries and store.
        resolution: The resolver's answer: which file is loaded, where its code comes from, whether it may run.
        pretrained: Whether the weights are placed. Without them the network is initialised as for training.
        initialised: Whether, without weights, initial values are drawn. Without both, most parameters have no values,
            and the caller sets them.
        force_reload: Whether the assets are fetched even if they are stored.
        strict: Whether a tensor or parameter that is left over is an error.
        device: The device target to load on; by default the one that MindSpore's context names.
        overrides: Arguments of the network beyond the card's recipe.
        positional: Arguments of the network without a name, in the order of its entry's signature.
        progress: Called with the bytes received so far and the bytes of the file, or None where that is not known.
        checkout: A folder with the tree of the card's repository, in place of the code that its repo-link names.
        agreement: What the user agreed to when asked; other code, or other arguments, are refused.

    Raises:
        ArgumentError: If a card that is a graph is to be built without its weights, or with arguments.
        HubError: The subclasses say which stage failed, and why.
    """
    watch = _Stopwatch()
    if agreement is not None and agreement.recipe != resolution.recipe:
        raise NetworkError(CHANGED, hint="look at the card again, and run the command again")
    resolution = resolve_fitted(resolution)
    resolution.refuse("status", "lock")
    weights = resolution.weights
    if weights is not None and not weights.asset.is_weights:
        if overrides or positional or not pretrained:
            raise ArgumentError(
                f"{resolution.uid} is a graph, {weights.asset.file_name}: it takes no arguments, and has its weights "
                "in it",
                hint="load it without arguments",
            )
        return _load_graph(
            hub,
            resolution,
            weights,
            watch,
            force_reload=force_reload,
            device=device,
            progress=progress,
            agreement=agreement,
        )
    resolution.refuse("recipe", "code")
    recipe = resolution.recipe
    if recipe is None:
        raise AssertionError  # the resolver refused it
    with watch.stage("resolve"):
        builder, told = choose_provider(hub, resolution, recipe, checkout=checkout, agreement=agreement)
    header, path = None, None
    with watch.stage("fetch"):
        if pretrained:
            asset = _weights(resolution)
            stored = fetch_asset(hub, resolution.found, asset, force=force_reload, progress=progress)
            path, digest = stored.path, stored.digest
            header = read_header(path)
            if asset.format != header.format:
                raise CheckpointError(
                    f"{path} is a {header.format} file, but the card says {asset.format}",
                    hint="correct 'file-format' on the card",
                )
    with watch.stage("import mindspore"):
        compute_type = _compute_type(resolution, device)
    if header is not None and path is not None:
        with watch.stage("convert"):
            header, path = mappable(hub.store, header, path, digest)
            header, renamings = renamed_by_recipe(header, recipe)
    quick = nullcontext() if recipe.initialise or (header is None and initialised) else _no_initialisation()
    with watch.stage("build"), quick:
        asked = BuildRequest(arguments=overrides or {}, positional=positional, pretrained=pretrained, strict=strict)
        shapes = header.shapes() if header else {} if pretrained else _stored_shapes(resolution, recipe)
        built = builder.build(recipe, shapes=shapes, asked=asked, compute_type=compute_type)
    borrowed = () if resolution.loan is None else (f"the recipe is {resolution.loan.why}",)
    coverage, notes = None, (*borrowed, *told, *built.notes, *(_weakness(_weights(resolution)) if pretrained else ()))
    if header is not None and path is not None:
        with watch.stage("place"):
            coverage, placed = place_tensors(built, header, path, recipe, asked=asked, name=resolution.uid)
        notes += (*renamings, *placed)
    built.network.set_train(mode=recipe.training_mode)
    return LoadedNetwork(
        uid=resolution.uid,
        network=built.network,
        coverage=coverage,
        notes=notes,
        seconds=watch.seconds,
        built=built,
        status=resolution.card.status,
        loan=resolution.loan,
    )


def _weakness(asset: Asset) -> tuple[str, ...]:
    return () if asset.weakness is None else (asset.weakness,)


def _load_graph(
    hub: Hub,
    resolution: Resolution,
    weights: ResolvedAsset,
    watch: _Stopwatch,
    *,
    force_reload: bool,
    device: str | None,
    progress: ProgressCallback | None,
    agreement: Agreement | None,
) -> LoadedNetwork:
    """Load a card whose asset is a whole network in a file; a file that MindSpore does not run is only located."""
    from hubtool.networks import graphs  # noqa: PLC0415
    from hubtool.networks.provider import BuiltNetwork  # noqa: PLC0415

    asset = weights.asset
    with watch.stage("fetch"):
        stored = fetch_asset(hub, resolution.found, asset, force=force_reload, progress=progress)
        suffix = asset.file_name.rpartition(".")[2].lower()
        kind = "mindir" if asset.is_mindir else suffix if suffix.isidentifier() else asset.format
        path = graphs.with_suffix(hub.store, stored.path, stored.digest, kind)
    if not asset.is_mindir:
        nothing = BuiltNetwork(network=None, prefix="", notes=(), example=tuple)
        return LoadedNetwork(
            uid=resolution.uid,
            network=None,
            coverage=None,
            notes=(f"this is a graph in the format {asset.format}; it is run by {asset.runner}", *_weakness(asset)),
            seconds=watch.seconds,
            built=nothing,
            path=path,
            status=resolution.card.status,
        )
    # What a graph would run is decided on the very bytes that came: with a short digest, others may have been stored
    # when the card was resolved.
    facts = resolution.facts
    decision = trusts.decide_graph(stored.digest, operators.foreign(path), facts.trust, agreed_now=facts.agreed_now)
    check_allowed(decision, agreement)
    with watch.stage("import mindspore"):
        _compute_type(resolution, device)
    with watch.stage("build"):
        built = graphs.load(path, agreed=decision is not None)
    built.network.set_train(mode=False)
    return LoadedNetwork(
        uid=resolution.uid,
        network=built.network,
        coverage=None,
        notes=(*built.notes, *_weakness(asset)),
        seconds=watch.seconds,
        built=built,
        is_graph=True,
        status=resolution.card.status,
    )


def load_weights(hub: Hub, resolution: Resolution, *, force_reload: bool = False) -> dict[str, Any]:
    """Return every tensor of a card's checkpoint as a ``mindspore.Parameter``, by its name in the file.

    Raises:
        HubError: The subclasses say which stage failed, and why.
    """
    resolution.refuse("status")
    stored = fetch_asset(hub, resolution.found, _weights(resolution), force=force_reload)
    header = read_header(stored.path)
    _compute_type(resolution, None)
    from mindspore import Parameter  # noqa: PLC0415

    header, path = mappable(hub.store, header, stored.path, stored.digest)
    return {name: Parameter(tensor, name=name) for name, tensor in read_tensors(header, path).items()}


def _stored_shapes(resolution: Resolution, recipe: Recipe) -> Mapping[str, Shape]:
    """Return the shapes of a card's checkpoint if it is stored, for a network that is built without its weights."""
    weights = resolution.weights
    if weights is None or weights.stored is None:
        return {}
    try:
        return renamed(read_header(weights.stored).shapes(), recipe.rename)
    except CheckpointError:
        return {}  # its weights are not asked for, so a damaged file is no error here


def _weights(resolution: Resolution) -> Asset:
    weights = resolution.weights
    if weights is None or not weights.asset.is_weights:
        raise AssetError(
            resolution.card.blame(f"the card {resolution.uid} names no checkpoint"),
            hint="load it with pretrained=False",
        )
    return weights.asset


def _compute_type(resolution: Resolution, device: str | None) -> str:
    """Import MindSpore and return the type that the device computes with."""
    resolution.refuse("mindspore", *(() if device is None else ("device",)))
    if "mindspore" not in sys.modules:
        machine.prepare(os.environ)
    elif machine.has_slow_convolutions() and machine.INSTRUCTIONS not in os.environ:
        # The same text each time, from the same line: Python shows such a warning once.
        warnings.warn(_SLOW, SlowProcessorWarning, stacklevel=2)
    try:
        with _interruption_held_back():
            import mindspore  # noqa: PLC0415
    except ImportError as error:
        raise RequirementError(
            f"MindSpore {resolution.facts.machine.mindspore} is installed but cannot be imported: {error}",
            hint=f"{INSTALL_MINDSPORE} brings versions that fit together",
        ) from error
    if device is not None and mindspore.get_context("device_target") != device:
        mindspore.set_device(device)
    return "float16" if mindspore.get_context("device_target") == "Ascend" else "float32"


@contextmanager
def _interruption_held_back() -> Iterator[None]:
    """Hold Ctrl-C back until MindSpore is imported; a second one interrupts at once.

    An interruption within the import comes out of C code as an ImportError, or aborts the process.
    """
    own = signal.default_int_handler
    if threading.current_thread() is not threading.main_thread() or signal.getsignal(signal.SIGINT) is not own:
        yield
        return
    held = False

    def hold(_number: int, _frame: object) -> None:
        nonlocal held
        held = True
        signal.signal(signal.SIGINT, own)

    signal.signal(signal.SIGINT, hold)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, own)
        if held:
            raise KeyboardInterrupt


def _no_initialisation() -> AbstractContextManager[object]:
    """Skip the random initialisation of parameters, which the weights overwrite anyway."""
    try:
        from mindspore.nn.utils import no_init_parameters  # noqa: PLC0415
    except ImportError:  # announced to go after 2.9, and still there in 2.10: without it loading is right, only slower
        return nullcontext()
    context: AbstractContextManager[object] = no_init_parameters()
    return context
