"""What Python programs call. ``import hubtool`` gives these names, and so does ``import mindspore_hub``."""

from __future__ import annotations

import os
import re
import warnings
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal, overload

from hubtool import progress as progresses
from hubtool import settings
from hubtool.assets import fetch_asset
from hubtool.errors import (
    ArgumentError,
    ArgumentTypeError,
    BorrowedRecipeWarning,
    CardStatusWarning,
    InvalidNameError,
    RegistryWarning,
)
from hubtool.hub import Hub

if TYPE_CHECKING:
    from pathlib import Path

    from hubtool.card.overview import Overview
    from hubtool.card.status import Status
    from hubtool.checkpoint.coverage import Coverage
    from hubtool.pipelines.pipeline import Pipeline
    from hubtool.registry.choosing import Choice
    from hubtool.registry.found import Found
    from hubtool.resolution.finding import FoundCard
    from hubtool.resolution.resolver import Resolution
    from hubtool.transfer.events import ProgressCallback

# Set by set_hub_dir for this process only; it goes before HUBTOOL_HOME.
_hub_dir: Path | None = None
SOURCES = ("gitee", "github", "local")
_warned: set[str] = set()
"""UIDs for which a warning about a card in several registries was already given."""


@overload
def load(
    name: str,
    *args: object,
    source: str = "gitee",
    pretrained: bool = True,
    force_reload: bool = False,
    strict: Literal[True] = True,
    lock: str | os.PathLike[str] | None = None,
    checkout: str | os.PathLike[str] | None = None,
    trust: bool = False,
    progress: bool | ProgressCallback = False,
    **kwargs: object,
) -> Any: ...  # noqa: ANN401 - MindSpore ships no types


@overload
def load(
    name: str,
    *args: object,
    source: str = "gitee",
    pretrained: bool = True,
    force_reload: bool = False,
    strict: Literal[False],
    lock: str | os.PathLike[str] | None = None,
    checkout: str | os.PathLike[str] | None = None,
    trust: bool = False,
    progress: bool | ProgressCallback = False,
    **kwargs: object,
) -> tuple[Any, Coverage | None]: ...


def load(
    name: str,
    *args: object,
    source: str = "gitee",
    pretrained: bool = True,
    force_reload: bool = False,
    strict: bool = True,
    lock: str | os.PathLike[str] | None = None,
    checkout: str | os.PathLike[str] | None = None,
    trust: bool = False,
    progress: bool | ProgressCallback = False,
    **kwargs: object,
) -> Any:
    """Load the network of a card, with its trained weights.

    The signature is that of the public hub's ``mindspore_hub.load``. The network is built for the device that
    MindSpore's context names (computing in float16 on Ascend, in float32 on CPU), and set to evaluation mode.

    Args:
        name: A UID such as ``mindspore/1.9/bertfinetune_bilstmcrf_chinesener``, the URL of a card on the public hub, or
            with ``source="local"`` the path of a card.
        *args: Arguments of the network in the order of its own signature, for networks whose code is in a repository or
            a package. The networks that are part of hubtool take theirs by name.
        source: ``gitee``, ``github`` or ``local``.
        pretrained: Whether the weights are placed. Without them the network is initialised as for training; what its
            recipe leaves to the checkpoint's shapes is still taken from a stored checkpoint.
        force_reload: Whether the checkpoint is fetched even if it is stored.
        strict: Whether a tensor or parameter that is left over is an error. With False the network is returned as it
            is, in a pair with the :class:`~hubtool.checkpoint.coverage.Coverage`. To fine-tune on other classes, give
            their number with it: the body has the checkpoint's weights, the head fresh ones, and the coverage lists
            what is fresh.
        lock: A lockfile that the card, its assets and its code must agree with, instead of the one of the settings.
        checkout: A folder with the tree of the card's repository, in place of the code that its repo-link names.
        trust: Whether you agree, for this call, that the code of a repository on the trust list runs.
        progress: True shows a bar on standard error while the checkpoint is fetched; a function is called with the
            bytes received so far and the bytes of the file, or None where they are not known.
        **kwargs: Arguments of the network, such as ``num_attention_heads=12``, beyond the card's recipe.

    Returns:
        The ``mindspore.nn.Cell``; with ``strict=False`` a pair of it and its coverage. For a card whose only asset is a
        graph: a ``mindspore.nn.GraphCell`` if it is a MindIR, else the ``pathlib.Path`` of the verified file, because
        MindSpore does not run the other formats (``onnx``, ``air``, ``mslite``).

    Raises:
        ArgumentTypeError: (a TypeError) If an argument has the wrong type.
        InvalidNameError: (a ValueError) If the name is malformed.
        ArgumentError: (a ValueError) If ``source`` is not one of the three.
        CardNotFoundError: If there is no such card; close matches are named.
        LockfileError: If a lockfile is in force that does not list the card, or that something differs from.
        AssetError: If the checkpoint is not available, or does not match the digest on the card.
        NetworkError: If the network cannot be built.
        CoverageError: If not every tensor and every parameter was placed; all of them are listed.
        WithdrawnError: If the card was withdrawn, and no lockfile pins it.

    Warns:
        BorrowedRecipeWarning: If the card has no recipe and another card's is used; the warning names that card.
        CardStatusWarning: If the card is deprecated; the warning names its successor.
        RegistryWarning: If a later registry has another card of the same UID.
    """
    _check_arguments(name, source, pretrained=pretrained, force_reload=force_reload, strict=strict, trust=trust)
    progresses.check(progress)
    from hubtool import loader  # noqa: PLC0415

    with progresses.shown(progress) as report_of:
        hub = _held(lock)
        found = hub.find(name, local=source == "local")
        _warn_shadowed(found)
        loaded = loader.load(
            hub,
            hub.resolve(found, trust=trust, overridden=kwargs, loading=True),
            pretrained=pretrained,
            force_reload=force_reload,
            strict=strict,
            overrides=kwargs,
            positional=args,
            checkout=_folder(checkout),
            progress=report_of(name),
        )
    _warn(loaded.status, loaded.uid)
    if loaded.loan is not None:
        warnings.warn(
            f"{loaded.uid} has no recipe of its own: it is {loaded.loan.why}", BorrowedRecipeWarning, stacklevel=2
        )
    if loaded.path is not None:
        return loaded.path
    return loaded.network if strict else (loaded.network, loaded.coverage)


def pipeline(
    name: str,
    *,
    source: str = "gitee",
    device: str | None = None,
    lock: str | os.PathLike[str] | None = None,
    checkout: str | os.PathLike[str] | None = None,
    trust: bool = False,
    progress: bool | ProgressCallback = False,
    **kwargs: object,
) -> Pipeline:
    """Load the network of a card with what stands before and behind it: pictures or texts go in, labels come out.

    >>> hubtool.pipeline("hubtool/2.10/tinybert_bilstmcrf_toyner")("王小明在北京大学读书")  # doctest: +SKIP
    PER  王小明    characters 0 to 3
    ORG  北京大学  characters 4 to 8

    Args:
        name: As :func:`load` takes it.
        source: ``gitee``, ``github`` or ``local``.
        device: ``CPU``, ``GPU`` or ``Ascend``; by default the one that MindSpore's context names.
        lock: As :func:`load` takes it; so are the next three.
        checkout: A folder with the tree of the card's repository.
        trust: Whether you agree, for this call, that the code of a repository on the trust list runs.
        progress: Whether a bar is shown while the checkpoint is fetched, or a function that is called.
        **kwargs: Arguments of the network, beyond the card's recipe.

    Raises:
        RecipeError: If the card does not say how its network is used; then nothing is fetched and nothing runs.
        HubError: As :func:`load`.
    """
    _check_arguments(name, source, trust=trust)
    if device not in (None, "CPU", "GPU", "Ascend"):
        raise ArgumentError(f"device is {device!r}", hint="it is CPU, GPU or Ascend")
    progresses.check(progress)
    from hubtool.pipelines.pipeline import open_pipeline  # noqa: PLC0415 - it imports the loader

    with progresses.shown(progress) as report_of:
        hub = _held(lock)
        found = hub.find(name, local=source == "local")
        _warn_shadowed(found)
        resolution = hub.resolve(found, trust=trust, overridden=kwargs, loading=True)
        opened = open_pipeline(
            hub,
            resolution,
            device=device,
            overrides=kwargs,
            checkout=_folder(checkout),
            progress=report_of(name),
        )
    _warn(found.card.status, resolution.uid)
    return opened


def load_weights(name: str, source: str = "gitee", force_reload: bool = False) -> dict[str, Any]:  # noqa: FBT001, FBT002 - the public hub's signature
    """Return the tensors of a card's checkpoint as a dictionary from name to ``mindspore.Parameter``.

    Raises:
        HubError: As :func:`load`.
    """
    _check_arguments(name, source, force_reload=force_reload)
    from hubtool import loader  # noqa: PLC0415

    hub = _hub()
    found = hub.find(name, local=source == "local")
    _warn_shadowed(found)
    weights = loader.load_weights(hub, hub.resolve(found, loading=True, code=False), force_reload=force_reload)
    _warn(found.card.status, name)
    return weights


def resolve(
    name: str, *, device: str = "auto", source: str = "gitee", lock: str | os.PathLike[str] | None = None
) -> Resolution:
    """Return what it takes to load a card, without fetching or running anything.

    Args:
        name: As :func:`load` takes it.
        device: ``auto``, ``CPU``, ``GPU`` or ``Ascend``.
        source: ``gitee``, ``github`` or ``local``.
        lock: A lockfile that it must agree with, instead of the one of the settings.

    Raises:
        HubError: If the name is malformed, or there is no such card, or it cannot be read.
    """
    _check_arguments(name, source)
    hub = _held(lock)
    from hubtool.networks.fitting import resolve_fitted  # noqa: PLC0415

    return resolve_fitted(hub.resolve(hub.find(name, local=source == "local"), device=device))


def fetch(
    name: str, *, source: str = "gitee", force_reload: bool = False, progress: bool | ProgressCallback = False
) -> dict[str, Path]:
    """Download all assets of a card into the store, and return their paths by the file names of their links.

    Args:
        name: As :func:`load` takes it.
        source: ``gitee``, ``github`` or ``local``.
        force_reload: Whether the assets are fetched even if they are stored.
        progress: True shows a bar for each file on standard error; a function is called with the bytes received so far
            and the bytes of the file, or None where they are not known.

    Raises:
        HubError: If there is no such card, or an asset is not available.
    """
    _check_arguments(name, source, force_reload=force_reload)
    progresses.check(progress)
    hub = _hub()
    found = hub.find(name, local=source == "local")
    _warn_shadowed(found)
    with progresses.shown(progress) as report_of:
        return {
            asset.file_name: fetch_asset(
                hub, found, asset, force=force_reload, progress=report_of(asset.file_name)
            ).path
            for asset in found.card.assets
        }


def hub_list(version: str | None = None, force_reload: bool = False) -> list[str]:  # noqa: FBT001, FBT002 - the public hub's signature
    """Return the UIDs of all cards of the registries, sorted.

    Args:
        version: Only the cards published for this version, such as ``1.9`` or, as the public hub writes it, ``r1.9``;
            ``master`` and None are all.
        force_reload: Has no effect: cards that changed are seen each time.

    Raises:
        ArgumentTypeError: If an argument has the wrong type.
        ArgumentError: If the version is not one.
    """
    if version is not None and not isinstance(version, str):
        raise ArgumentTypeError(f"version is {version!r}, but must be text or None")
    if not isinstance(force_reload, bool):
        raise ArgumentTypeError(f"force_reload is {force_reload!r}, but must be True or False")
    wanted = None if version is None or version == "master" else version.removeprefix("r")
    if wanted is not None and not re.match(r"[0-9]+(\.[0-9]+)*\Z", wanted):
        raise ArgumentError(f"{version!r} is not a version", hint="write 1.9, or r1.9")
    from hubtool.registry.index import CardFilter, SearchIndex  # noqa: PLC0415

    hub = _hub()
    with SearchIndex.open(hub.settings.home, hub.registries.members) as index:
        return index.uids(CardFilter(version=wanted, withdrawn=False))


def search(
    text: str,
    limit: int = 20,
    *,
    all_versions: bool = False,
    sort: str = "",
    max_parameters: int | str | None = None,
    verified: bool = False,
) -> Found:
    """Find models by words, the best first, as ``hubtool search`` does; nothing is fetched.

    >>> hubtool.search("resnet50 imagenet")[0].uid  # doctest: +SKIP
    'mindspore/2.5/resnet50_imagenet2012'

    Args:
        text: Words that name a model, an architecture, a data set, a task or a version, in English or Chinese.
        limit: The most models.
        all_versions: Whether each version of a model is found for itself.
        sort: ``score``, ``size`` or ``date``, instead of the best first.
        max_parameters: The most numbers that all parameters may have together, such as ``10_000_000`` or ``"10M"``.
        verified: Whether only networks are found that were equal to a known answer.

    Returns:
        The models, and which words were read otherwise or left out. Cards that were withdrawn are not among them.

    Raises:
        ArgumentTypeError: If an argument has the wrong type.
        ArgumentError: If the limit is below 1, or the order or the count is none.
    """
    if not isinstance(text, str):
        raise ArgumentTypeError(f"text is {text!r}, but must be text")
    if not isinstance(limit, int) or isinstance(limit, bool):
        raise ArgumentTypeError(f"limit is {limit!r}, but must be a whole number")
    if limit < 1:
        raise ArgumentError(f"limit is {limit}, but must be at least 1")
    choice = _choice(sort, max_parameters, verified=verified)
    from hubtool.registry.index import SearchIndex  # noqa: PLC0415

    hub = _hub()
    with SearchIndex.open(hub.settings.home, hub.registries.members) as index:
        return index.search(text, limit, withdrawn=False, versions=bool(all_versions), choice=choice)


def list_models(
    *,
    task: str | None = None,
    dataset: str | None = None,
    version: str | None = None,
    publisher: str | None = None,
    all_versions: bool = False,
    sort: str = "",
    max_parameters: int | str | None = None,
    verified: bool = False,
) -> Found:
    """List the models of the registries, as ``hubtool list`` does; ``hubtool.list`` is this. Nothing is fetched.

    >>> hubtool.list(task="object-detection", max_parameters="10M", sort="score")  # doctest: +SKIP

    Args:
        task: Only models for a task, such as ``object-detection``, or for a field, such as ``nlp``.
        dataset: Only models trained on a data set, in any spelling.
        version: Only cards of a version, such as ``1.9``.
        publisher: Only cards of a publisher.
        all_versions: Whether each version of a model is listed for itself.
        sort: ``score``, ``size`` or ``date``.
        max_parameters: The most numbers that all parameters may have together, such as ``10_000_000`` or ``"10M"``.
        verified: Whether only networks are listed that were equal to a known answer.

    Returns:
        The models. Cards that were withdrawn are not among them.

    Raises:
        ArgumentTypeError: If an argument has the wrong type.
        ArgumentError: If the order or the count is none.
    """
    asked = {"task": task, "dataset": dataset, "version": version, "publisher": publisher}
    for key, value in asked.items():
        if value is not None and not isinstance(value, str):
            raise ArgumentTypeError(f"{key} is {value!r}, but must be text or None")
    choice = _choice(sort, max_parameters, verified=verified)
    from hubtool.registry import found as founds  # noqa: PLC0415
    from hubtool.registry.choosing import choose  # noqa: PLC0415
    from hubtool.registry.index import CardFilter, SearchIndex  # noqa: PLC0415

    hub = _hub()
    with SearchIndex.open(hub.settings.home, hub.registries.members) as index:
        wanted = CardFilter(task=task, dataset=dataset, version=version, publisher=publisher, withdrawn=False)
        entries = list(index.entries(wanted))
    models, remarks = choose(founds.grouped(entries, versions=bool(all_versions)), choice)
    return founds.Found(models=tuple(models), count=len(models), remarks=tuple(remarks))


def show(name: str, *, source: str = "gitee") -> Overview:
    """Return what a card says about its model at a glance; nothing is fetched.

    >>> hubtool.show("mindspore/1.9/resnet50_imagenet2012").elements  # doctest: +SKIP
    25612201

    Args:
        name: As :func:`load` takes it; or the name of a model alone, for its newest version.
        source: ``gitee``, ``github`` or ``local``.

    Raises:
        HubError: If there is no such card, or several publishers have a model of this name.
    """
    _check_arguments(name, source)
    from hubtool.card import overview  # noqa: PLC0415
    from hubtool.resolution.finding import newest_named  # noqa: PLC0415

    hub = _hub()
    if source != "local":
        name, _ = newest_named(name, hub.registries)
    return overview.of_card(hub.borrow(hub.find(name, local=source == "local")).card)


def _choice(sort: object, max_parameters: object, *, verified: object) -> Choice:
    from hubtool.registry.choosing import Choice, read_count  # noqa: PLC0415

    if not isinstance(sort, str):
        raise ArgumentTypeError(f"sort is {sort!r}, but must be text")
    if isinstance(max_parameters, str):
        max_parameters = read_count(max_parameters)
    if max_parameters is not None and (not isinstance(max_parameters, int) or isinstance(max_parameters, bool)):
        raise ArgumentTypeError(
            f"max_parameters is {max_parameters!r}, but must be a whole number, or text such as '10M'"
        )
    return Choice(sort=sort, most_elements=max_parameters, verified=bool(verified))


def get_hub_dir() -> str:
    """Return the folder of the store."""
    return str(_settings().home)


def set_hub_dir(dir_path: str | None = None) -> None:
    """Use another folder as the store in this process; None restores the folder of the settings.

    Raises:
        ArgumentTypeError: If the path is not text.
    """
    global _hub_dir  # noqa: PLW0603 - the public hub's interface is one setting for the process
    if dir_path is not None and not isinstance(dir_path, str):
        raise ArgumentTypeError(f"dir_path is {dir_path!r}, but must be text")
    _hub_dir = None if dir_path is None else settings.expand_user(dir_path).absolute()


def _settings() -> settings.Settings:
    current = settings.load()
    return current if _hub_dir is None else replace(current, home=_hub_dir)


def _hub() -> Hub:
    return Hub.open(_settings())


def _held(lock: object) -> Hub:
    if lock is None:
        return _hub()
    if not isinstance(lock, (str, os.PathLike)):
        raise ArgumentTypeError(f"lock is {lock!r}, but must be the path of a lockfile")
    return _hub().with_lock(settings.expand_user(os.fsdecode(lock)).absolute())


def _folder(checkout: object) -> Path | None:
    if checkout is None:
        return None
    if not isinstance(checkout, (str, os.PathLike)):
        raise ArgumentTypeError(f"checkout is {checkout!r}, but must be the path of a folder")
    path = settings.expand_user(os.fsdecode(checkout))
    if not path.is_dir():
        raise ArgumentError(f"{path} is not a folder", hint="give the folder with the tree of the card's repository")
    return path


def _warn(status: Status | None, name: str) -> None:
    """Warn that a card is deprecated or withdrawn; the warning points at the caller's caller."""
    if status is not None:
        warnings.warn(status.describe(name), CardStatusWarning, stacklevel=3)


def _warn_shadowed(found: FoundCard) -> None:
    """Warn, once per UID, that a later registry has another card of it; ``hubtool resolve`` says so too."""
    uid = str(found.card.uid)
    if found.others and found.pin is None and uid not in _warned:
        _warned.add(uid)
        names = " and ".join(other.registry for other in found.others)
        warnings.warn(
            f"{uid} comes from the registry {found.registry}; {names} has another card of this UID, which is not used",
            RegistryWarning,
            stacklevel=3,
        )


def _check_arguments(name: object, source: object, **flags: object) -> None:
    if not isinstance(name, str):
        raise ArgumentTypeError(f"the name is {name!r}, but must be text: a UID, a URL or a path")
    if not name:
        raise InvalidNameError("the name is empty", hint="give a UID, such as hubtool/2.10/tinybert_bilstmcrf_toyner")
    for key, value in flags.items():
        if not isinstance(value, bool):
            raise ArgumentTypeError(f"{key} is {value!r}, but must be True or False")
    if not isinstance(source, str):
        raise ArgumentTypeError(f"source is {source!r}, but must be text")
    if source not in SOURCES:
        raise ArgumentError(f"source is {source!r}", hint=f"it is one of {', '.join(SOURCES)}")
