"""The program that runs a network for its known answer: ``python -m hubtool.verification.measure_main SPEC``.

:mod:`hubtool.verification.verify` starts it in the sandbox. It builds the network of a card, gives its parameters and
inputs the values of the rule, runs it twice, and writes one JSON object to the file descriptor HUBTOOL_ANSWER, which
the network does not print to.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hubtool import loader
from hubtool.checkpoint.coverage import digest_parameters
from hubtool.errors import HubError
from hubtool.hub import Hub
from hubtool.networks.capture import shapes_of
from hubtool.networks.forward import flat, why
from hubtool.verification import rule

if TYPE_CHECKING:
    from collections.abc import Mapping


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
        overrides=spec["arguments"],
    )
    import mindspore  # noqa: PLC0415 - the loader has imported it

    shapes = shapes_of(loaded.network)
    told: dict[str, Any] = {
        "mindspore": mindspore.__version__,
        "parameters": len(shapes),
        "digest": digest_parameters(shapes),
    }
    fill(loaded.network, keep=spec["weights"])
    given = [inputs for inputs in spec["inputs"] if inputs]
    for inputs in given or [[one.as_json() for one in loaded.built.inputs]] * bool(loaded.built.inputs):
        tensors = [
            mindspore.Tensor(rule.example(place, one["shape"], one["dtype"], one.get("low"), one.get("high")))
            for place, one in enumerate(inputs)
        ]
        try:
            first, second = (_arrays(loaded.network(*tensors)) for _ in range(2))
        except Exception as error:  # noqa: BLE001 - the code of a network may raise anything
            told.setdefault("reason", f"the forward pass failed: {why(error)}")
            continue
        try:
            outputs = [{**rule.summary(values), "dtype": dtype} for dtype, values in first]
        except ValueError as error:
            return {**told, "reason": f"of its outputs, {error}"}
        if not outputs:
            return {**told, "reason": "it returns no tensor"}
        if any((one != other).any() for (_, one), (_, other) in zip(first, second, strict=True)):
            return {**told, "reason": "two runs on the same inputs differ: it draws random numbers", "random": True}
        return {**told, "inputs": inputs, "outputs": outputs}
    return {"reason": "the recipe states no inputs for its network", **told}


def fill(network: Any, *, keep: bool = False) -> None:  # noqa: ANN401 - a Cell
    """Give the parameters of a network the values of the rule.

    Args:
        network: A ``mindspore.nn.Cell``.
        keep: Whether all values stay: they are those of the checkpoint.
    """
    from mindspore import Tensor  # noqa: PLC0415

    for name, parameter in network.parameters_dict().items():
        values = None if keep else rule.parameter(name, parameter.shape, str(parameter.dtype))
        if values is not None:
            parameter.set_data(Tensor(values, parameter.dtype))
        elif parameter.has_init:
            parameter.init_data()


def _arrays(result: Any) -> list[tuple[str, Any]]:  # noqa: ANN401 - what a network returns
    """Return the type and the values of each tensor; reading them waits for the computation, and its errors."""
    from mindspore import float32  # noqa: PLC0415

    found = []
    for one in flat(result):
        # NumPy does not know bfloat16.
        values = (one.astype(float32) if "bfloat16" in str(one.dtype).lower() else one).asnumpy()
        found.append((str(one.dtype).lower(), values))
    return found


if __name__ == "__main__":
    main()
