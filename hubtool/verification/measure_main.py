"""The program that runs a network for its known answer: ``python -m hubtool.verification.measure_main SPEC``.

:mod:`hubtool.verification.verify` starts it in the sandbox. It builds the network of a card, gives its parameters and
inputs the values of the rule, runs it twice, and writes one JSON object to the file descriptor HUBTOOL_ANSWER, apart
from what the network prints.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hubtool import loader
from hubtool.card.caller_arguments import caller_arguments
from hubtool.card.known_answer import parse_output
from hubtool.checkpoint.coverage import digest_parameters
from hubtool.errors import HubError
from hubtool.hub import Hub
from hubtool.networks.capture import shapes_of
from hubtool.networks.forward import flat, settle, why
from hubtool.verification import rule
from hubtool.verification.compare import largest

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from hubtool.card.model import Recipe
    from hubtool.networks.provider import BuiltNetwork

_OTHER_PLACE = 1000  # where other values of inputs begin: no network has so many
_MOVE = 1e-6  # by which part of itself each number is moved, to see what that does to the outputs
_ROOM = 1e-5  # of an output's scale, between two runs on the same inputs


def main() -> None:
    """Measure one network."""
    spec = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    answer = int(os.environ.pop("HUBTOOL_ANSWER"))
    try:
        told = _measure(spec)
    except HubError as error:
        told = {"reason": error.message}
    os.write(answer, json.dumps(told).encode() + b"\n")


def _measure(spec: Mapping[str, Any]) -> dict[str, Any]:
    hub = Hub.open().with_lock(None)
    resolution = hub.resolve(hub.find(spec["name"]), device=spec["device"], loading=True)
    loaded = loader.load(
        hub,
        resolution,
        pretrained=spec["weights"],
        initialised=False,
        device=spec["device"],
        overrides={**caller_values(resolution.recipe), **spec["arguments"]},
    )
    import mindspore  # noqa: PLC0415 - the loader has imported it

    shapes = shapes_of(loaded.network)
    told: dict[str, Any] = {
        "mindspore": mindspore.__version__,
        "parameters": len(shapes),
        "digest": digest_parameters(shapes),
        "float16": any(getattr(cell, "fp16", False) for _, cell in loaded.network.cells_and_names()),
    }
    fill(loaded.network, keep=spec["weights"], gain=spec["gain"])
    given = [inputs for inputs in spec["inputs"] if inputs]
    if not given and loaded.built.inputs:
        given = [[one.as_json() for one in loaded.built.inputs]]
    problem = "the recipe states no inputs for its network"
    for mode in (mindspore.PYNATIVE_MODE, mindspore.GRAPH_MODE):  # some code of 1.x runs as a graph only
        mindspore.set_context(mode=mode)
        for number, inputs in enumerate(given):
            try:
                first = _outputs(loaded.built, inputs)
                second = first if spec["once"] else _outputs(loaded.built, inputs)
                other = _outputs(loaded.built, inputs, first_place=_OTHER_PLACE) if spec["recording"] else []
            except Exception as error:  # noqa: BLE001 - the code of a network may raise anything
                if not number and mode == mindspore.PYNATIVE_MODE:
                    problem = f"the forward pass failed: {why(error)}"
                settle()
                continue
            if spec["recording"]:
                told["apart"] = _apart(first, other)
            if spec["recording"] and not spec["once"]:
                told["noise"] = _apart(first, _moved(loaded.built, inputs))
            return {**told, **_summaries(first, second), "inputs": inputs}
    return {**told, "reason": problem}


def caller_values(recipe: Recipe | None) -> dict[str, Any]:
    """Return the values of the rule for the arguments that a recipe asks the caller for."""
    asked = () if recipe is None else caller_arguments(recipe.arguments)
    specs = [one.spec for one in asked]
    return {one.name: rule.example(one.name, one.shape, one.dtype, one.low, one.high) for one in specs}


def _moved(built: BuiltNetwork, inputs: Sequence[Mapping[str, Any]]) -> list[tuple[str, Any]]:
    """Run a network with slightly other inputs; where these are whole numbers, with slightly other parameters."""
    if any(str(one["dtype"]).startswith("float") for one in inputs):
        return _outputs(built, inputs, moved=_MOVE)
    from mindspore import Tensor  # noqa: PLC0415

    for parameter in built.network.get_parameters():
        if str(parameter.dtype).lower() in ("float32", "float64"):
            parameter.set_data(Tensor(rule.nudged(parameter.asnumpy(), _MOVE), parameter.dtype))
    return _outputs(built, inputs)


def _outputs(
    built: BuiltNetwork, inputs: Sequence[Mapping[str, Any]], *, first_place: int = 0, moved: float = 0.0
) -> list[tuple[str, Any]]:
    """Run a network once; return the type and the values of each output. Reading them waits for the computation.

    Args:
        built: The network.
        inputs: What it is called with.
        first_place: The place of the first input in the rule; another one gives other values.
        moved: By which part of itself each floating-point number of the inputs is moved.
    """
    from mindspore import Tensor, float32  # noqa: PLC0415

    values = [
        rule.example(place, one["shape"], one["dtype"], one.get("low"), one.get("high"))
        for place, one in enumerate(inputs, first_place)
    ]
    found = []
    tensors = [Tensor(rule.nudged(value, moved)) for value in values]
    results = [] if built.scores is None else [built.scores(*tensors)]
    for one in flat([*results, built.network(*tensors)]):
        # NumPy does not know bfloat16.
        known = one.astype(float32) if "bfloat16" in str(one.dtype).lower() else one
        found.append((str(one.dtype).lower(), known.asnumpy()))
    return found


def _summaries(first: Sequence[tuple[str, Any]], second: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    """Return the summaries of the outputs of two runs, or why there are none although the network ran."""
    if not first:
        return {"ran": True, "reason": "it returns no tensor"}
    outputs = []
    for number, (dtype, values) in enumerate(first, 1):
        try:
            outputs.append({**rule.summary(values), "dtype": dtype})
        except ValueError as error:  # noqa: PERF203 - a network has few outputs
            return {"ran": True, "reason": f"of its output {number}, {error}"}
    if len(first) != len(second) or not all(_same(one, other) for (_, one), (_, other) in zip(first, second)):  # noqa: B905
        return {"ran": True, "reason": "two runs on the same inputs differ: it draws random numbers"}
    return {"outputs": outputs}


def _same(one: Any, other: Any) -> bool:  # noqa: ANN401 - NumPy arrays
    """Return whether two outputs are equal, but for sums that threads make in another order."""
    import numpy as np  # noqa: PLC0415

    if one.shape != other.shape:
        return False
    scale = float(np.sqrt(np.mean(np.square(one.astype(np.float64))))) if one.size else 0.0
    return bool(np.allclose(one.astype(np.float64), other.astype(np.float64), rtol=_ROOM, atol=_ROOM * scale))


def _apart(first: Sequence[tuple[str, Any]], other: Sequence[tuple[str, Any]]) -> float:
    """Return the greatest difference of what is kept of two runs, as a part of the outputs' scales; 0 if it is none."""
    try:
        one, another = (
            [parse_output({**rule.summary(values), "dtype": dtype}) for dtype, values in outputs]
            for outputs in (first, other)
        )
    except ValueError:
        return 0.0  # not finite, which is told of the first run
    return largest(one, another) or 0.0


def fill(network: Any, *, keep: bool = False, gain: float = 1.0) -> None:  # noqa: ANN401 - a Cell
    """Give the parameters of a network the values of the rule.

    Args:
        network: A ``mindspore.nn.Cell``.
        keep: Whether all values stay: they are those of the checkpoint.
        gain: What the bounds of parameters of two or more dimensions are multiplied by.
    """
    from mindspore import Tensor  # noqa: PLC0415

    for name, parameter in network.parameters_dict().items():
        values = None if keep else rule.parameter(name, parameter.shape, str(parameter.dtype), gain)
        if values is not None:
            parameter.set_data(Tensor(values, parameter.dtype))
        elif parameter.has_init:
            parameter.init_data()


if __name__ == "__main__":
    main()
