"""One attempt: find, build and verify the network of one card, inside a process made for it."""

from __future__ import annotations

import argparse
import ast
import importlib.metadata
import inspect
import signal
import sys
import time
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from hubtool.card.model import Recipe
from hubtool.checkpoint import coverage
from hubtool.errors import HubError, NetworkError
from hubtool.networks import repository
from hubtool.networks.capture import NetworkCapture, StopCapture, shapes_of
from hubtool.networks.isolation.argument_parser import ArgumentsRefusedError
from hubtool.networks.provider import BuildRequest
from hubtool.verification.measure_main import caller_values
from maintain.discovery import handwritten, heuristics
from maintain.discovery.behaviour import Behaviour
from maintain.discovery.outcome import DiscoveryOutcome

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
    from contextlib import AbstractContextManager
    from types import FrameType

    from hubtool.networks.isolation.namespace import Namespace
    from hubtool.networks.provider import Provider
    from hubtool.networks.repository import CodeFolder
    from maintain.discovery.heuristics import NetworkFacts

_MOST_SKIPS: Final = 10
_MOST_VALUES: Final = 64
# What MindSpore, or code that computes with a parameter's values, says while parameters are not initialised.
_UNINITIALISED: Final = ("device_address", "init_data", "init_param", "uninitialized", "not initialized", "NoneType")
_PATIENCE: Final = 20  # seconds that a script may go on after its network is there
_RINGS: Final = 3  # times as long for one without a network: some wait for ever for data that another process brings
_ENDED: Final = "it ended before any weights went into a network"


def attempt(
    place: CodeFolder,
    facts: NetworkFacts,
    *,
    of: str = "",
    seconds: float = 100.0,
    hints: Sequence[tuple[Recipe, str]] = (),
) -> DiscoveryOutcome:
    """Find the recipe of a card in the code of a place, and build its network.

    Args:
        place: Where the code is.
        facts: What the card says.
        of: The folder of the card's repo-link.
        seconds: How long to go on looking.
        hints: Recipes of other versions of the card, with the digests of their parameter lists.
    """
    start = time.monotonic()
    folder = place.root / place.folder
    if not folder.is_dir():
        return DiscoveryOutcome(reason=f"the revision has no folder {place.folder}")
    failures: list[str] = []
    outcome = None
    for recipe in handwritten.recipes(of, facts):
        shapes, _ = _rebuild(place, recipe)
        if shapes is not None:
            return _described(place, recipe)
    for hint, digest in hints:
        if not hint.entry.endswith(".py") or hint.training_mode:
            continue  # what this version's script switches on is known to the script only
        again, _ = _rebuild(place, hint)
        if again == digest:  # the same network as of another version of the card: its recipe holds here too
            return DiscoveryOutcome(recipe=hint, digest=digest, seconds=round(time.monotonic() - start, 2))
    compared, files = heuristics.compared(folder), heuristics.configurations(folder)
    for number, script in enumerate(heuristics.scripts(folder, facts)):
        if time.monotonic() - start > seconds / 2:
            failures.append("the time was up")
            break
        found = None
        for depth in (0, 1) if number < 2 else (0,):
            found = _try_script(place, facts, script, compared, files, failures, depth)
            if found is not None or not failures[-1].endswith(_ENDED):
                break
        if found is not None:
            outcome = found
            break
        same = [failure for failure in failures if _place_of(failure) and _place_of(failure) == _place_of(failures[-1])]
        if len(same) >= 2:
            break  # the network itself fails, whichever script builds it
    if outcome is None:
        outcome = _try_hub(place, facts, failures)
    if outcome is None:
        outcome = DiscoveryOutcome(reason=failures[0] if failures else "the folder has no script that builds a network")
    outcome.notes += failures
    outcome.seconds = round(time.monotonic() - start, 2)
    return outcome


def script_recipe(
    place: CodeFolder, facts: NetworkFacts, *, wanted: str | None, seconds: float
) -> tuple[Recipe | None, str]:
    """Return how the code's own script is run so that it builds a card's network.

    Args:
        place: Where the code is.
        facts: What the card says.
        wanted: The digest of the parameter list that the network should have.
        seconds: How long to go on looking.

    Returns:
        The recipe of the first script that builds such a network, else that of the first that builds any; or None,
        and why.
    """
    start = time.monotonic()
    folder = place.root / place.folder
    compared, files = heuristics.compared(folder), heuristics.configurations(folder)
    failures: list[str] = []
    other: Recipe | None = None
    for number, script in enumerate(heuristics.scripts(folder, facts)):
        for depth in (0, 1) if number < 2 else (0,):
            if time.monotonic() - start > seconds:
                break
            found = _fill_script(place, facts, script, compared, files, failures, depth)
            if found is not None:
                recipe, run = found
                recipe = replace(recipe, capture=run.capture, inputs=run.inputs)
                if coverage.digest_parameters(run.shapes) == wanted:
                    return recipe, ""
                other = other or recipe
                break
    return other, failures[0] if failures else "the folder has no script that builds a network"


def _place_of(failure: str) -> str:
    return failure[failure.rfind(" (") :] if failure.endswith(")") and ".py:" in failure else ""


def _try_script(  # noqa: PLR0917 - what one attempt is made with
    place: CodeFolder,
    facts: NetworkFacts,
    script: str,
    known: Mapping[str, tuple[str, ...]],
    files: list[str],
    failures: list[str],
    depth: int,
) -> DiscoveryOutcome | None:
    found = _fill_script(place, facts, script, known, files, failures, depth)
    return None if found is None else _settle(place, *found, failures)


def _fill_script(  # noqa: PLR0917 - what one attempt is made with
    place: CodeFolder,
    facts: NetworkFacts,
    script: str,
    known: Mapping[str, tuple[str, ...]],
    files: list[str],
    failures: list[str],
    depth: int,
) -> tuple[Recipe, _ScriptRun] | None:
    """Run a script until it builds a network: fill in its arguments, and leave out the statements that fail."""
    recipe = Recipe(provider="repository", entry=script)
    first = ""
    refused: set[str] = set()
    for _ in range(_MOST_SKIPS):
        run = _ScriptRun(place, facts, recipe, known, files, refused, depth)
        run.go()
        if run.network is not None:
            recipe = replace(recipe, argv=tuple(run.argv), requires=_requires(run.namespace))
            return recipe, run
        if run.needs_values:
            recipe = replace(recipe, initialise=True)
            continue
        if run.refused - refused:  # another parser of the same script does not know what this one was given
            refused |= run.refused
            recipe = replace(recipe, argv=())
            continue
        recipe = replace(recipe, argv=tuple(run.argv))
        first = first or run.problem
        line = run.culprit
        if line is None or line in recipe.skip:
            break
        recipe = replace(recipe, skip=(*recipe.skip, line))
    # What it failed with first says more than that it ended, once the statements that failed are left out.
    ended = run.problem.endswith(_ENDED)
    failures.append(
        f"{script}: {first}" + (f", and without that {_ENDED}" if ended and not first.endswith(_ENDED) else "")
        if ended
        else f"{script}: {run.problem}"
    )
    return None


class _ScriptRun:
    """One run of a script, with its arguments filled in and its constructors watched."""

    def __init__(  # noqa: PLR0917 - what one run is made with
        self,
        place: CodeFolder,
        facts: NetworkFacts,
        recipe: Recipe,
        known: Mapping[str, tuple[str, ...]],
        files: list[str],
        refused: Collection[str] = (),
        depth: int = 0,
    ) -> None:
        self.depth = depth
        self.place, self.facts, self.recipe, self.known, self.files = place, facts, recipe, known, files
        self.argv: list[str] = list(recipe.argv)
        self.network: Any = None
        self.capture = 1
        self.inputs: tuple[tuple[str, tuple[int, ...], str], ...] = ()
        self.problem = ""
        self.culprit: str | None = None
        self.needs_values = False
        self.training = False
        self.ignore: tuple[str, ...] = ()
        self.shapes: dict[str, tuple[int, ...]] = {}
        self.made: dict[int, list[tuple[str, dict[str, Any]]]] = {}
        self._kept: list[Any] = []
        self._seen: set[str] = set(refused)
        self.refused: set[str] = set()
        self.namespace: Namespace | None = None

    def go(self) -> None:
        """Run the script; keep its network, or say what went wrong and which statement it was."""
        is_export = "export" in Path(self.recipe.entry).stem
        capture = NetworkCapture(stop_at=None if is_export else 1)
        recipe = replace(self.recipe, capture=1)
        namespaces: list[Namespace] = []

        def opened(namespace: Namespace) -> None:
            namespaces.append(namespace)
            namespace.on_parse = self._fill
            self.namespace = namespace

        rings = 0

        def enough(*_: object) -> None:
            nonlocal rings
            rings += 1
            if capture.networks or rings == _RINGS:
                raise StopCapture  # a script that goes on to compute with a network need not be waited for
            signal.alarm(_PATIENCE)

        error: BaseException | None = None
        old = signal.signal(signal.SIGALRM, enough)
        signal.alarm(_PATIENCE)
        with _quick(initialise=self.recipe.initialise), self._profiled():
            try:
                repository.build(self.place, recipe, capture=capture, opened=opened)
            except HubError as problem:
                error = problem
            finally:
                signal.alarm(0)
                signal.signal(signal.SIGALRM, old)
        networks = [network for network in capture.networks if _is_network(network)]
        if not networks and capture.models:
            networks = [network for network in capture.models if _is_network(network)]
        if networks:
            self._choose(capture, networks)
        else:
            self._blame(error)
        for namespace in namespaces:
            namespace.close()

    def _choose(self, capture: NetworkCapture, networks: list[Any]) -> None:
        inside = networks
        if capture.exported is not None and _is_network(capture.exported):
            cells = {id(cell) for _, cell in capture.exported.cells_and_names()}
            inside = [network for network in networks if id(network) in cells] or networks
        self.network = max(inside, key=lambda network: len(network.parameters_dict()))
        self.training = capture.exported is self.network and bool(self.network.training)
        if (
            capture.exported is not self.network
            and _is_network(capture.exported)
            and (self._is_for_training(self.network) or not _shares_with(capture.exported, capture.networks))
        ):
            # The checkpoint is of the whole training, or what was loaded is a part from elsewhere, such as a backbone
            # before its training: the network is what the script exports.
            if self._is_for_training(self.network):
                kept = {parameter.name for parameter in capture.exported.get_parameters()}
                self.ignore = _patterns(set(self.network.parameters_dict()) - kept, kept)
            self.network, self.capture = capture.exported, len(capture.networks) + 1
            self.inputs, self.shapes = _inputs(self.network, capture.inputs), shapes_of(self.network)
            return
        if capture.exported is self.network or _takes(self.network, len(capture.inputs)):
            self.inputs = _inputs(self.network, capture.inputs)  # a wrapper's inputs are often passed on as they are
        ordered = capture.networks or capture.models
        self.capture = next(index for index, network in enumerate(ordered, 1) if network is self.network)
        self.shapes = capture.shapes[self.capture - 1] if capture.networks else shapes_of(self.network)

    @staticmethod
    def _is_for_training(network: Any) -> bool:  # noqa: ANN401 - a Cell
        """Whether it holds an optimizer, or a loss beside the network: its forward pass would be one of training."""
        from mindspore import nn  # noqa: PLC0415

        return any(isinstance(cell, nn.Optimizer) for _, cell in network.cells_and_names()) or any(
            isinstance(cell, nn.LossBase) or type(cell).__name__.lower().endswith(("loss", "losscell"))
            for cell in network.cells()
        )

    def _blame(self, error: BaseException | None) -> None:
        cause: BaseException | None = error
        while cause is not None and isinstance(cause, HubError) and cause.__cause__ is not None:
            cause = cause.__cause__
        self.problem = str(error.message if isinstance(error, HubError) else error or _ENDED)
        if cause is None or self.namespace is None:
            return
        if isinstance(cause, ArgumentsRefusedError):
            _, _, rest = cause.message.partition("unrecognized arguments: ")
            given = {item for item in self.argv if item.startswith("--")}
            self.refused = {item for item in rest.split() if item in given}
            return
        self.culprit = _culprit(
            cause, self.place.root, self.place.root / self.place.folder, self.recipe.entry, self.depth
        )
        text = f"{type(cause).__name__} {cause}"
        self.needs_values = not self.recipe.initialise and any(sign in text for sign in _UNINITIALISED)

    def _fill(self, parser: argparse.ArgumentParser, argv: list[str]) -> None:
        """Add the arguments that the card and the folder suggest to a script's argument vector."""
        given = {item.partition("=")[0] for item in argv[1:]}
        options = []
        for action in parser._actions:  # noqa: SLF001 - there is no other way to see what a parser takes
            flag = next(
                (text for text in action.option_strings if text.startswith("--")), (action.option_strings or [""])[0]
            )
            if action.nargs == 0 or flag in given or flag in self._seen or isinstance(action, argparse._HelpAction):  # noqa: SLF001 - as above
                continue
            self._seen.add(flag or action.dest)
            kind = getattr(action.type, "__name__", "str" if action.type is None else "other")
            if kind == "literal_eval":
                kind = type(action.default).__name__
            required = bool(action.required) and (flag != "" or len(argv) == 1 or action.nargs is None)
            options.append(
                heuristics.Option(
                    flag=flag,
                    name=action.dest,
                    required=required,
                    default=None if action.default is None else str(action.default),
                    choices=tuple(str(item) for item in action.choices) if action.choices else (),
                    kind="bool" if kind == "bool_" else kind,
                )
            )
        folder = self.place.root / self.place.folder
        exists = {
            option.default: Path(option.default).is_file() or (folder / option.default).is_file()
            for option in options
            if option.default and len(option.default) < 200 and "\0" not in option.default
        }
        more = heuristics.fill(options, self.facts, configurations=self.files, known=self.known, exists=exists)
        self.argv += more
        assert self.namespace is not None  # noqa: S101 - the parser is the namespace's
        argv += [self.namespace.fill(item) for item in more]

    @contextmanager
    def _profiled(self) -> Iterator[None]:
        """Note with which arguments each function and class of the code made a network."""
        from mindspore import nn  # noqa: PLC0415

        calls: dict[int, tuple[str, dict[str, Any]]] = {}

        def look(frame: FrameType, event: str, result: Any) -> None:  # noqa: ANN401 - as sys.setprofile
            if event not in {"call", "return"} or self.namespace is None:
                return
            module = frame.f_globals.get("__name__")
            if not isinstance(module, str) or not module.startswith(self.namespace.name + "."):
                return
            short = module[len(self.namespace.name) + 1 :]
            code = frame.f_code
            if event == "call":
                if code.co_name == "__init__":
                    self_ = frame.f_locals.get("self")
                    if isinstance(self_, nn.Cell) and type(self_).__init__.__code__ is code:
                        arguments = _arguments(frame, skip_first=True)
                        if arguments is not None and "." not in type(self_).__qualname__:
                            self.made.setdefault(id(self_), []).append((f"{short}:{type(self_).__name__}", arguments))
                            self._kept.append(self_)
                elif short != "__main__" and _qualified(code) == code.co_name and code.co_name != "<module>":
                    arguments = _arguments(frame, skip_first=False)
                    if arguments is not None:
                        calls[id(frame)] = (f"{short}:{code.co_name}", arguments)
            else:
                call = calls.pop(id(frame), None)
                if call is not None and isinstance(result, nn.Cell):
                    self.made.setdefault(id(result), []).append(call)
                    self._kept.append(result)

        sys.setprofile(look)
        try:
            yield
        finally:
            sys.setprofile(None)


def _qualified(code: Any) -> str:  # noqa: ANN401 - a code object
    return str(getattr(code, "co_qualname", code.co_name))  # Python 3.10 does not know qualified names


def _arguments(frame: FrameType, *, skip_first: bool) -> dict[str, Any] | None:
    """Return the plain arguments of a call, or None if some are not plain."""
    code = frame.f_code
    names = list(code.co_varnames[: code.co_argcount + code.co_kwonlyargcount])[1 if skip_first else 0 :]
    rest = code.co_argcount + code.co_kwonlyargcount
    values = {name: frame.f_locals.get(name) for name in names}
    if code.co_flags & inspect.CO_VARARGS:
        if frame.f_locals.get(code.co_varnames[rest]):
            return None
        rest += 1
    if code.co_flags & inspect.CO_VARKEYWORDS:
        values.update(frame.f_locals.get(code.co_varnames[rest]) or {})
    return values if all(_plain(value) for value in values.values()) else None


def _plain(value: object, depth: int = 0) -> bool:
    if value is None or type(value) in (bool, int, float, str):
        return True
    if depth > 3:
        return False
    if type(value) in (list, tuple):
        return len(value) <= _MOST_VALUES and all(_plain(item, depth + 1) for item in value)  # type: ignore[arg-type,attr-defined] # a list or a tuple
    if type(value) is dict:
        return len(value) <= _MOST_VALUES and all(
            isinstance(key, str) and _plain(item, depth + 1) for key, item in value.items()
        )
    return False


def _settle(place: CodeFolder, recipe: Recipe, run: _ScriptRun, failures: list[str]) -> DiscoveryOutcome | None:
    """Replay what was found as a recipe; prefer a callable that builds the same network."""
    shapes = run.shapes
    digest = coverage.digest_parameters(shapes)
    elements = sum(parameter.size for parameter in run.network.parameters_dict().values())
    name = type(run.network).__name__
    outcome = DiscoveryOutcome(network=name, parameters=len(shapes), elements=elements, digest=digest)
    made = run.made.get(id(run.network), [])
    recipe = replace(recipe, capture=run.capture, inputs=run.inputs, ignore=run.ignore, training_mode=run.training)
    behaviour = Behaviour.of(run.network, run.inputs)
    run.network = None
    meanings = run.namespace.meanings if run.namespace else {}
    for entry, given in reversed(made):
        arguments = {name: _emptied(value, meanings) for name, value in given.items()}
        candidate = Recipe(
            provider="repository",
            entry=entry,
            arguments=arguments,
            inputs=recipe.inputs,
            initialise=recipe.initialise,
            requires=recipe.requires,
            ignore=recipe.ignore,
            training_mode=recipe.training_mode,
        )
        if _is_same(place, candidate, digest, behaviour):
            # The script counted the classes of a data set that is not here: the card says which it is.
            mended = heuristics.with_class_count(arguments, run.facts)
            if mended != arguments:
                described = _described(place, replace(candidate, arguments=mended))
                described.notes.append("the number of classes is that of the card's data set")
                return described
            outcome.recipe = candidate
            return outcome
    again, problem = _rebuild(place, recipe)
    if again != digest and not recipe.initialise:
        again, problem = _rebuild(place, replace(recipe, initialise=True))
        recipe = replace(recipe, initialise=True)
    if again != digest:
        failures.append(f"{recipe.entry}: {problem or 'it builds another network when it is run again'}")
        return None
    outcome.recipe = recipe
    return outcome


def _emptied(value: Any, meanings: Mapping[str, str]) -> Any:  # noqa: ANN401 - any plain value
    """Return a value with the places of this machine as placeholders again."""
    if isinstance(value, str):
        for name, meaning in meanings.items():
            value = value.replace(meaning, name)
        return value
    if isinstance(value, (list, tuple)):
        return [_emptied(item, meanings) for item in value]
    return {key: _emptied(item, meanings) for key, item in value.items()} if isinstance(value, dict) else value


def _is_same(place: CodeFolder, recipe: Recipe, digest: str, behaviour: Behaviour) -> bool:
    """Whether a callable builds the network of a script: the same parameters, and the same outputs."""
    parsers: list[int] = []
    networks: list[Any] = []
    again, _ = _rebuild(place, recipe, parsers, networks)
    # A module that reads the command line may build by what stands there: the script then is the surer recipe.
    return again == digest and not sum(parsers) and behaviour == Behaviour.of(networks[0], recipe.inputs)


def _rebuild(
    place: CodeFolder, recipe: Recipe, parsers: list[int] | None = None, networks: list[Any] | None = None
) -> tuple[str | None, str]:
    namespaces: list[Namespace] = []
    try:
        with _quick(initialise=recipe.initialise):
            built = repository.build(place, recipe, overrides=caller_values(recipe), opened=namespaces.append)
        shapes = shapes_of(built.network)
        if networks is not None:
            networks.append(built.network)
    except HubError as error:
        return None, error.message
    finally:
        for namespace in namespaces:
            if parsers is not None:
                parsers.append(len(namespace.parsers))
            namespace.close()
    return coverage.digest_parameters(shapes), ""


# What MindSpore and hubtool bring with them; the rest is the code's own need.
_BROUGHT: Final = frozenset(
    {
        *("PIL", "asttokens", "astunparse", "click", "dill", "google", "hubtool", "mindspore", "numpy", "packaging"),
        *("pkg_resources", "psutil", "requests", "rich", "safetensors", "scipy", "setuptools", "six", "yaml"),
    }
)


def _requires(namespace: Namespace | None) -> tuple[str, ...]:
    """Return the distributions of the installed packages that code used, beyond those that are always there."""
    if namespace is None:
        return ()
    owners = importlib.metadata.packages_distributions()
    return tuple(sorted({owners[head][0] for head in namespace.used if head not in _BROUGHT and head in owners}))


def _described(place: CodeFolder, recipe: Recipe) -> DiscoveryOutcome:
    """Build a network and describe it.

    Raises:
        NetworkError: If it cannot be built, or has no parameters.
    """
    with _quick(initialise=recipe.initialise):
        network = repository.build(place, recipe, overrides=caller_values(recipe)).network
    if not _is_network(network):
        raise NetworkError("the network has no parameters")
    shapes = shapes_of(network)
    return DiscoveryOutcome(
        recipe=recipe,
        network=type(network).__name__,
        parameters=len(shapes),
        elements=sum(parameter.size for parameter in network.parameters_dict().values()),
        digest=coverage.digest_parameters(shapes),
    )


def _try_hub(place: CodeFolder, facts: NetworkFacts, failures: list[str]) -> DiscoveryOutcome | None:
    """Try the folder's hub configuration with the card's model name."""
    if not (place.root / place.folder / "mindspore_hub_conf.py").is_file():
        return None
    for name in dict.fromkeys((facts.model_name, facts.backbone, facts.name, Path(place.folder or place.root).name)):
        recipe = Recipe(provider="repository", entry="mindspore_hub_conf:create_network", arguments={"name": name})
        for initialise in (False, True):
            try:
                return _described(place, replace(recipe, initialise=initialise))
            except HubError as error:  # noqa: PERF203 - the second try is for when the first fails
                problem = error.message
        failures.append(f"mindspore_hub_conf.py, {name}: {problem}")
    return None


def _shares_with(network: Any, others: Iterable[Any]) -> bool:  # noqa: ANN401 - Cells
    """Whether a network has a parameter in common with one of others."""
    own = {id(parameter) for parameter in network.get_parameters()}
    return any(id(parameter) in own for other in others for parameter in other.get_parameters())


def _patterns(left: Collection[str], kept: Collection[str]) -> tuple[str, ...]:
    """Return patterns for names of a checkpoint that a network does not have, by their first part if that suffices."""
    heads = {name.partition(".")[0] for name in kept}
    return tuple(
        sorted(
            {
                name if name.partition(".")[0] in heads else name.partition(".")[0] + ("*" if "." in name else "")
                for name in left
            }
        )
    )


def _provider(place: CodeFolder, recipe: Recipe) -> Provider:
    if recipe.provider == "package":
        from hubtool.networks.package import PackageProvider  # noqa: PLC0415

        return PackageProvider()
    return repository.RepositoryProvider(place=place)


def forward(place: CodeFolder, outcome: DiscoveryOutcome) -> None:
    """Run one forward pass on the recorded input shapes."""
    import mindspore  # noqa: PLC0415

    recipe = outcome.recipe
    if recipe is None or not recipe.inputs:
        outcome.forward = "no input shapes are known"
        return
    mindspore.set_context(mode=mindspore.PYNATIVE_MODE)
    # One is enough to see that it runs, and many networks are written for any number; and Ascend took numbers of
    # double width where CPU kernels insist on one width.
    tries = [recipe.inputs]
    if len({shape[0] if shape else 0 for _, shape, _ in recipe.inputs} - {1}) == 1:
        tries.insert(
            0, tuple((name, (1, *shape[1:]) if shape else shape, dtype) for name, shape, dtype in recipe.inputs)
        )
    if any(dtype == "float64" for _, _, dtype in recipe.inputs):
        narrow = [tuple((name, shape, dtype.replace("64", "32")) for name, shape, dtype in inputs) for inputs in tries]
        tries = [*narrow, *tries]
    for inputs in tries:
        _run_forward(place, outcome, replace(recipe, inputs=inputs))
        if outcome.forward == "ran":
            return


def _run_forward(place: CodeFolder, outcome: DiscoveryOutcome, recipe: Recipe) -> None:
    try:
        asked = BuildRequest(arguments=caller_values(recipe))
        built = _provider(place, recipe).build(recipe, shapes={}, asked=asked, compute_type="float32")
        built.network.set_train(False)
        result = built.network(*built.example())
        outcome.outputs = [list(tensor.asnumpy().shape) for tensor in _tensors(result)]
        outcome.forward = "ran"
        outcome.recipe = recipe
    except Exception as error:  # noqa: BLE001 - a forward pass may raise anything, and the report says what
        lines = [line.strip() for line in str(error).splitlines() if line.strip() and not set(line.strip()) <= {"-"}]
        outcome.forward = f"{type(error).__name__}: {(lines or [''])[0][:300]}"


def _tensors(result: Any) -> list[Any]:  # noqa: ANN401 - what a network returns
    if hasattr(result, "asnumpy"):
        return [result]
    if isinstance(result, dict):
        result = list(result.values())
    return [tensor for item in result for tensor in _tensors(item)] if isinstance(result, (list, tuple)) else []


def _inputs(network: Any, inputs: tuple[Any, ...]) -> tuple[tuple[str, tuple[int, ...], str], ...]:  # noqa: ANN401 - a Cell
    """Return the names, shapes and types of the tensors that a network was exported with."""
    names = [name for name in inspect.signature(type(network).construct).parameters if name != "self"]
    found = []
    for index, tensor in enumerate(inputs):
        if not hasattr(tensor, "shape") or not hasattr(tensor, "dtype"):
            return ()
        name = names[index] if index < len(names) else f"input_{index}"
        found.append((name, tuple(int(side) for side in tensor.shape), str(tensor.dtype).lower()))
    return tuple(found)


def _takes(network: Any, count: int) -> bool:  # noqa: ANN401 - a Cell
    """Whether a network can be called with this number of tensors."""
    kinds = [
        parameter for name, parameter in inspect.signature(type(network).construct).parameters.items() if name != "self"
    ]
    needed = [
        parameter
        for parameter in kinds
        if parameter.default is parameter.empty and parameter.kind is parameter.POSITIONAL_OR_KEYWORD
    ]
    return 0 < len(needed) <= count <= len(kinds)


def _is_network(network: object) -> bool:
    from mindspore import nn  # noqa: PLC0415

    return isinstance(network, nn.Cell) and len(network.parameters_dict()) > 0


def _quick(*, initialise: bool) -> AbstractContextManager[object]:
    if initialise:
        return nullcontext()
    from mindspore.nn.utils import no_init_parameters  # noqa: PLC0415

    context: AbstractContextManager[object] = no_init_parameters()
    return context


def _culprit(error: BaseException, root: Path, folder: Path, entry: str, depth: int) -> str | None:
    """Return the statement that can be left out so that a script gets further, as ``path:line``, or None."""
    from mindspore import nn  # noqa: PLC0415

    frames = []
    script = folder / entry
    trace = error.__traceback__
    while trace is not None:
        frame = trace.tb_frame
        if frame.f_code.co_name == "__init__" and isinstance(frame.f_locals.get("self"), nn.Cell):
            return None  # the network itself cannot be built
        if frame.f_code.co_filename.startswith(str(root)):
            frames.append((Path(frame.f_code.co_filename), trace.tb_lineno, frame.f_code.co_name))
        trace = trace.tb_next
    ours = [(path, line) for path, line, _ in frames if path == script]
    if depth:  # what the script calls, instead of the call: it may be that which makes the network, beside its data
        last = max((index for index, frame in enumerate(frames) if frame[0] == script), default=-1)
        ours = [(path, line) for path, line, name in frames[last + 1 : last + 1 + depth] if name != "<module>"] or ours
    tops = [(path, line) for path, line, name in frames if name == "<module>" and path != script]
    for path, line in (*reversed(ours), *reversed(tops)):
        statement = _statement(path, line)
        if isinstance(statement, ast.Raise):  # a check that fails without data: the whole of it goes
            statement = _statement(path, line, of=ast.If)
            if statement is not None and line not in range(statement.lineno, statement.lineno + 6):
                continue
        elif isinstance(statement, (ast.Return, ast.FunctionDef, ast.Import, ast.ImportFrom, ast.If)):
            continue
        if statement is None or (isinstance(statement, ast.ClassDef) and line != statement.lineno):
            continue
        if path.is_relative_to(folder):
            return f"{path.relative_to(folder).as_posix()}:{statement.lineno}"
    return None


def _statement(path: Path, line: int, of: type[ast.stmt] = ast.stmt) -> ast.stmt | None:
    """Return the innermost statement of a kind that has a line."""
    try:
        tree = ast.parse(path.read_bytes())
    except (OSError, SyntaxError, ValueError):
        return None
    found: ast.stmt | None = None
    for node in ast.walk(tree):
        if not isinstance(node, of):
            continue
        is_there = node.lineno <= line <= (node.end_lineno or node.lineno)
        if is_there and (found is None or node.lineno >= found.lineno):
            found = node
    return found
