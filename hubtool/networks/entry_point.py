"""Entry points: call a callable of a model's code with the arguments of a recipe."""

from __future__ import annotations

import difflib
import inspect
import re
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from hubtool.card.caller_arguments import caller_arguments
from hubtool.card.model import CLASS_COUNTS
from hubtool.errors import ArgumentError, ArgumentTypeError, HubError, NetworkError, RecipeError, RequirementError
from hubtool.networks.isolation.argument_parser import ArgumentsRefusedError
from hubtool.networks.isolation.namespace import CHECKPOINT, FOLDER, CodeExitError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from hubtool.card.caller_arguments import CallerArgument
    from hubtool.card.model import Recipe
    from hubtool.checkpoint.coverage import Shape
    from hubtool.networks.isolation.namespace import Namespace

#: An entry point that is a callable.
CALLABLE: Final = re.compile(r"(?P<module>[A-Za-z]\w*(?:\.[A-Za-z]\w*)*):(?P<name>[A-Za-z]\w*)\Z")


def call(
    namespace: Namespace,
    recipe: Recipe,
    module: str,
    name: str,
    arguments: Mapping[str, object],
    *,
    positional: tuple[object, ...] = (),
) -> Any:  # noqa: ANN401 - a Cell
    """Call an entry point of a namespace's code.

    Args:
        namespace: The code.
        recipe: The card's recipe.
        module: The module of the entry point.
        name: The entry point's name in it.
        arguments: Its arguments by name, those of the caller included.
        positional: Arguments of the caller without a name; they go to the first parameters of the signature.

    Raises:
        ArgumentTypeError: If it does not take these arguments.
        RecipeError: If it is not part of that code.
        NetworkError: If it builds no network.
    """
    from hubtool.networks.compat.stand_ins import nest  # noqa: PLC0415

    namespace.argv[:] = [str(namespace.folder / "hubtool")]
    # A constructor can get a checkpoint's path; its content is placed later.
    namespace.meanings = {CHECKPOINT: "checkpoint.ckpt", FOLDER: str(namespace.folder)}
    if not namespace.owns(module.partition(".")[0]):
        raise RecipeError(
            f"{recipe.entry!r} is not code of the folder {namespace.folder.name}",
            hint="an entry point is a module of the model's own folder",
        )
    with reported(namespace, recipe), namespace.building():
        found = namespace.load(module)
        entry = getattr(found, name, None)
        owner = getattr(entry, "__module__", None) or ""
        if not callable(entry) or not owner.startswith(namespace.name + "."):
            raise RecipeError(
                f"{module} of {namespace.folder.name} has no callable of its own named {name!r}",
                hint="correct 'entry' in the recipe",
            )
        # Configurations are dictionaries in a recipe; the code mostly reads them by attribute.
        named = {key: nest(_filled(value, namespace)) for key, value in arguments.items()}
        first, named = bound(entry, recipe.entry, positional, named)
        network = entry(*first, **named)
    return checked(network, recipe)


def bound(
    entry: Callable[..., object], shown: str, positional: tuple[object, ...], arguments: dict[str, object]
) -> tuple[tuple[object, ...], dict[str, object]]:
    """Return the arguments that an entry point is called with: without a name, and by name.

    The public hub calls ``create_network(name, *args, **kwargs)``. For such an entry, the recipe gives the name, and
    the caller's arguments follow it.

    Args:
        entry: The entry point.
        shown: What messages call it.
        positional: The caller's arguments without a name.
        arguments: The arguments by name: the caller's, and the recipe's for what the caller did not give.

    Raises:
        RecipeError: If the entry point has no argument of this name; the message lists its arguments.
        ArgumentTypeError: If it takes fewer arguments without a name.
    """
    try:
        parameters = [*inspect.signature(entry).parameters.values()]
    except (TypeError, ValueError):
        parameters = None
    if parameters is None:  # code without a signature checks its arguments itself
        return positional, arguments
    kinds = inspect.Parameter
    plain = [one.name for one in parameters if one.kind in (kinds.POSITIONAL_ONLY, kinds.POSITIONAL_OR_KEYWORD)]
    by_name = [one.name for one in parameters if one.kind in (kinds.POSITIONAL_OR_KEYWORD, kinds.KEYWORD_ONLY)]
    takes_any = any(one.kind is kinds.VAR_KEYWORD for one in parameters)
    unknown = [name for name in arguments if name not in by_name]
    own = f"its arguments are {', '.join(by_name)}" if by_name else "it takes none"
    if unknown and not takes_any:
        same = next((name for name in by_name if name in CLASS_COUNTS), None)
        near = difflib.get_close_matches(unknown[0], by_name, n=1)
        meant = same if same is not None and unknown[0] in CLASS_COUNTS else near[0] if near else None
        raise RecipeError(
            f"{shown} takes no argument {unknown[0]!r}", hint=(f"did you mean {meant!r}? " if meant else "") + own
        )
    skipped = 1 if plain[:1] == ["name"] and "name" in arguments else 0
    free = plain[skipped:]
    if len(positional) <= len(free):
        return (), {**arguments, **dict(zip(free, positional, strict=False))}
    if not any(one.kind is kinds.VAR_POSITIONAL for one in parameters):
        raise ArgumentTypeError(
            f"{shown} takes at most {len(free)} arguments without a name, but {len(positional)} were given", hint=own
        )
    leading = tuple(arguments[name] for name in plain[:skipped])
    return (*leading, *positional), {name: value for name, value in arguments.items() if name not in plain}


def merged(arguments: Mapping[str, object], given: Mapping[str, object]) -> dict[str, object]:
    """Return a recipe's arguments with those of the caller in their place.

    Args:
        arguments: Those of the recipe.
        given: Those of the caller. A tensor that the recipe asks for can be an array, too.

    Raises:
        ArgumentError: If the caller does not give by name what the recipe asks for, or gives something else.
    """
    asked = {}
    for one in caller_arguments(arguments):
        if one.name not in given:
            raise ArgumentError(
                f"the network needs {one.name}, which no checkpoint has: {one}",
                hint=f"give it from Python: hubtool.load(..., {one.name}=...)",
            )
        asked[one.name] = _tensor(one, given[one.name])
    return {**arguments, **given, **asked}


def _tensor(one: CallerArgument, value: Any) -> Any:  # noqa: ANN401 - a tensor, an array, or numbers in lists
    """Return what a caller gave as a tensor of the type that the recipe asks for.

    Raises:
        ArgumentError: If it has another shape, or its numbers do not fit that type.
    """
    import mindspore  # noqa: PLC0415 - with the first network
    import numpy as np  # noqa: PLC0415 - as above

    try:
        array = value.asnumpy() if isinstance(value, mindspore.Tensor) else np.asarray(value)
    except (TypeError, ValueError):
        array = np.empty(0, np.object_)
    wanted = np.dtype(one.spec.dtype)
    if array.dtype.kind not in "biuf" or not np.can_cast(array.dtype, wanted, "same_kind"):
        problem = f"has no numbers that fit {wanted}"
    elif array.shape != one.spec.shape:
        problem = f"has the shape {array.shape}"
    else:
        with np.errstate(over="ignore"):
            fitting = array.astype(wanted)
        if np.isfinite(fitting).all() or not np.isfinite(array).all():
            return mindspore.Tensor(fitting)
        problem = f"has numbers that are too large for {wanted}"
    raise ArgumentError(f"{one.name} {problem}; the network needs {one}", hint="give an array or a tensor like that")


def settle(value: Any, shapes: Mapping[str, Shape]) -> Any:  # noqa: ANN401 - any plain value
    """Replace the values in a recipe's arguments that the checkpoint decides.

    ``{shape-of: NAME, axis: N, otherwise: M}`` becomes the size of a tensor, or M without a checkpoint; and
    ``{zeros: [...]}`` a float32 tensor of that shape, for a constructor that needs a table which the checkpoint has.

    Args:
        value: The arguments, or a part of them.
        shapes: The shape of every tensor of the checkpoint; empty if there is none.

    Raises:
        RecipeError: If the checkpoint has no such tensor.
    """
    if isinstance(value, list):
        return [settle(item, shapes) for item in value]
    if not isinstance(value, dict):
        return value
    if set(value) == {"shape-of", "axis", "otherwise"}:
        name, axis = str(value["shape-of"]), value["axis"]
        if not shapes:
            return value["otherwise"]
        shape = next((shape for tensor, shape in shapes.items() if tensor == name or tensor.endswith(f".{name}")), None)
        if shape is None or not isinstance(axis, int) or not -len(shape) <= axis < len(shape):
            raise RecipeError(f"the recipe takes a size from the tensor {name}, axis {axis}; the checkpoint has none")
        return shape[axis]
    if set(value) == {"zeros"}:
        import mindspore  # noqa: PLC0415
        import numpy as np  # noqa: PLC0415

        return mindspore.Tensor(np.zeros(settle(value["zeros"], shapes), np.float32))
    return {key: settle(item, shapes) for key, item in value.items()}


def example(inputs: tuple[tuple[str, tuple[int, ...], str], ...]) -> tuple[Any, ...]:
    """Return tensors of the recorded shapes, always the same: zeros and ones for integers, else numbers below 1.

    Raises:
        RecipeError: If no shapes are recorded.
    """
    if not inputs:
        raise RecipeError("the recipe has no shapes for its network's inputs", hint="add 'inputs' to the recipe")
    import mindspore  # noqa: PLC0415
    import numpy as np  # noqa: PLC0415

    numbers = np.random.default_rng(0)
    tensors = []
    for _, shape, dtype in inputs:
        if dtype.startswith("float"):
            array = numbers.random(shape, dtype=np.float32).astype(dtype)
        elif dtype == "bool":
            array = np.ones(shape, np.bool_)
        else:
            array = numbers.integers(0, 2, shape).astype(dtype)
        tensors.append(mindspore.Tensor(array))
    return tuple(tensors)


@contextmanager
def reported(namespace: Namespace, recipe: Recipe) -> Iterator[None]:
    """Turn every error of the code into an error of hubtool that names its line."""
    try:
        yield
    except HubError:
        raise
    except ArgumentsRefusedError as error:
        raise CodeExitError(f"{recipe.entry} refused its arguments: {error.message}") from error
    except ModuleNotFoundError as error:
        from hubtool.networks.compat.stand_ins import distribution_of  # noqa: PLC0415 - with the first network

        raise RequirementError(
            f"{recipe.entry} of {namespace.folder.name} needs the module {error.name}, which is not installed",
            hint=f"pip install {distribution_of(error.name or '')}",
        ) from error
    except Exception as error:
        raise NetworkError(
            f"{recipe.entry} of {namespace.folder.name} failed: {type(error).__name__}: {first_line(error)}"
            f"{where(error, namespace)}"
        ) from error


def where(error: BaseException, namespace: Namespace) -> str:
    """Return the line of the folder's code where an error was raised, for messages."""
    trace, last = error.__traceback__, ""
    while trace is not None:
        file = trace.tb_frame.f_code.co_filename
        if file.startswith(str(namespace.root)):
            last = f" ({Path(file).relative_to(namespace.root)}:{trace.tb_lineno})"
        trace = trace.tb_next
    return last


def first_line(error: BaseException) -> str:
    """Return the first line with text of an error; MindSpore puts frames around its texts."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip() and not set(line.strip()) <= {"-"}]
    return lines[0][:300] if lines else ""


def checked(network: object, recipe: Recipe) -> Any:  # noqa: ANN401 - a Cell
    """Return the result of an entry point if it is a network.

    Raises:
        NetworkError: If it is not.
    """
    from mindspore import nn  # noqa: PLC0415

    if not isinstance(network, nn.Cell):
        raise NetworkError(
            f"{recipe.entry} returned a {type(network).__name__}, not a mindspore.nn.Cell",
            hint="correct 'entry' in the recipe",
        )
    return network


def _filled(value: Any, namespace: Namespace) -> Any:  # noqa: ANN401 - any plain value
    if isinstance(value, str):
        return namespace.fill(value)
    if isinstance(value, list):
        return [_filled(item, namespace) for item in value]
    return {key: _filled(item, namespace) for key, item in value.items()} if isinstance(value, dict) else value
