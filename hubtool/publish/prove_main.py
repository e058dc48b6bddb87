"""The program that proves a card for ``hubtool check``: ``python -m hubtool.publish.prove_main NAME DEVICE``.

It loads the card's network and runs one forward pass. It writes the result of each as one line of JSON to the file
descriptor HUBTOOL_ANSWER, which MindSpore does not print to.
"""

from __future__ import annotations

import json
import os
import sys
import time

from hubtool import loader
from hubtool.errors import CoverageError, DeviceError, HubError, NetworkError, RecipeError, RequirementError
from hubtool.hub import Hub
from hubtool.networks.forward import forward
from hubtool.wording import count


def main() -> None:
    """Prove one card."""
    name, device = sys.argv[1:]
    try:
        hub = Hub.open().with_lock(None)
        loaded = loader.load(hub, hub.resolve(hub.find(name), device=device, loading=True), device=device)
    except CoverageError as error:
        _answer("coverage", failed=error.message)
        return
    except (RequirementError, DeviceError) as error:
        _answer("recipe", impossible=str(error))
        return
    except (RecipeError, NetworkError) as error:
        _answer("recipe", failed=str(error))
        return
    except HubError as error:
        _answer("coverage", failed=str(error))
        return
    coverage = loaded.coverage
    placed = len(coverage.loaded) if coverage else 0
    of, elements = count(loaded.parameters, "parameter"), count(loaded.elements, "element")
    told = [f"the graph has its weights in it: {of}, {elements}"]
    if not loaded.is_graph:
        told = [f"{placed:,} of {of} from the checkpoint, {elements}"]
    if coverage and coverage.ignored:
        be = "is" if len(coverage.ignored) == 1 else "are"
        told.append(f"{count(len(coverage.ignored), 'tensor')} {be} not used, as the recipe says")
    if coverage and coverage.optimizer:
        be = "is" if len(coverage.optimizer) == 1 else "are"
        state = count(len(coverage.optimizer), "tensor")
        told.append(f"{state} {be} an optimizer's state, and not placed: a file without them is smaller")
    _answer("coverage", details=[*told, *loaded.notes])
    start = time.perf_counter()
    try:
        found = forward(loaded.network, loaded.built.example(), fixed=loaded.is_graph)
    except RecipeError as error:
        _answer("forward", failed=f"{error.message}: {error.hint}")
        return
    except NetworkError as error:
        _answer("forward", failed=error.message, details=[error.hint] if error.hint else [])
        return
    seconds = time.perf_counter() - start
    outputs = [one.told for one in found]
    nan = sum(one.nan for one in found)
    failed = f"{nan:,} elements of its outputs are NaN" if nan else ""
    _answer("forward", failed=failed, details=[*outputs, f"{seconds:.2f} s on {device}"])


def _answer(stage: str, *, failed: str = "", impossible: str = "", details: list[str] | None = None) -> None:
    line = {"stage": stage, "failed": failed, "impossible": impossible, "details": details or []}
    os.write(int(os.environ["HUBTOOL_ANSWER"]), json.dumps(line).encode() + b"\n")


if __name__ == "__main__":
    main()
