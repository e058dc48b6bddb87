"""Run one job on today's MindSpore, through the bridge: ``python -m maintain.oracle.bridge JOB SCRATCH``.

The network is the one that the model's own script hands to ``load_param_into_net`` or ``export``; a recipe's callable
is not used. The record goes to ``HUBTOOL_ANSWER``.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hubtool.card.model import Recipe
from hubtool.errors import HubError
from hubtool.sandbox import guard
from maintain.discovery.heuristics import NetworkFacts
from maintain.oracle import answers

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_PATIENCE = 30  # seconds that a script may go on after its networks are there


def main() -> None:
    """Do the job, and end without waiting for threads that the code started."""
    job = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    pipe = int(os.environ.pop("HUBTOOL_ANSWER"))

    def say(record: dict[str, Any]) -> None:
        os.write(pipe, json.dumps(record).encode() + b"\n")

    try:
        import mindspore as ms  # noqa: PLC0415 - before the guard, as all that it imports
        from mindspore import dataset, nn, ops, train  # noqa: F401, PLC0415

        from hubtool.networks.capture import StopCapture  # noqa: PLC0415
        from hubtool.networks.compat import cells, checks, noop  # noqa: F401, PLC0415
        from maintain.discovery import search, worker  # noqa: F401, PLC0415

        time.sleep = answers.impatient(StopCapture)
        guard.install("oracle", [sys.argv[2]], refused=worker.REFUSED)
        ms.set_context(mode=ms.PYNATIVE_MODE)
        ms.set_device("CPU")
        _do(job, say)
    except BaseException as error:  # noqa: BLE001 - the code may raise anything, SystemExit too, and the record says what
        say({"reason": f"the oracle failed: {answers.first_line(error)}"})
    finally:
        os._exit(0)


def _do(job: Mapping[str, Any], say: Callable[[dict[str, Any]], object]) -> None:
    import mindspore as ms  # noqa: PLC0415 - after its environment is set

    from hubtool.networks.repository import CodeFolder  # noqa: PLC0415 - the same
    from maintain.discovery import search  # noqa: PLC0415 - the same

    place = CodeFolder(root=Path(job["folder"]).resolve(), folder="", identity=job["identity"])
    recipe = Recipe(provider="repository", entry=job["entry"], argv=tuple(job["argv"]), skip=tuple(job["skip"]))
    told: dict[str, Any] = {}
    if not job["entry"]:  # a recipe that is a callable: which script builds the same network is not recorded
        found, why = search.script_recipe(
            place, NetworkFacts(**job["facts"]), wanted=job["wanted"], seconds=job["seconds"] / 2
        )
        if found is None:
            say({"reason": f"no script of the folder builds a network: {why}"})
            return
        recipe = replace(found, capture=1, inputs=())
        told = {"entry": found.entry, "argv": list(found.argv), "skip": list(found.skip)}
        if job["find"]:
            say({**told, "reason": ""})
            return

    def tell(record: dict[str, Any]) -> None:
        say({**told, **record})

    networks, failed = run_script(place, recipe)
    rule = answers.load_rule(job["rule"])
    tell(answers.answer(ms, rule, networks, job, failed=failed, say=tell))


def run_script(place: Any, recipe: Recipe) -> tuple[answers.ScriptNetworks, str]:  # noqa: ANN401 - a CodeFolder
    """Run a script to its end, or until it exports a network.

    Args:
        place: Where the code is.
        recipe: Which script, and its arguments.

    Returns:
        The networks that it made, and why it failed, or nothing.
    """
    from mindspore import nn  # noqa: PLC0415 - after its environment is set

    from hubtool.networks import repository  # noqa: PLC0415 - the same
    from hubtool.networks.capture import NetworkCapture, StopCapture  # noqa: PLC0415 - the same

    networks = answers.ScriptNetworks()

    class Capture(NetworkCapture):
        """A capture that keeps the parameters of each network as they are when it is taken."""

        def take(self, network: Any) -> None:  # noqa: ANN401 - a Cell
            if isinstance(network, nn.Cell):
                networks.take(network, "load")
            NetworkCapture.take(self, network)

        def _export(self, net: Any, *inputs: Any, **_: object) -> None:  # noqa: ANN401 - MindSpore's signature
            if isinstance(net, nn.Cell):
                networks.export(net, inputs)
            raise StopCapture

    capture = Capture(stop_at=None)
    real_call = nn.Cell.__call__

    def call(self: Any, *inputs: Any, **kwargs: Any) -> Any:  # noqa: ANN401 - as the original
        if networks.taken and not kwargs:
            networks.called(self, inputs)
        return real_call(self, *inputs, **kwargs)

    rings = 0

    def enough(*_: object) -> None:
        nonlocal rings
        rings += 1
        if networks.taken or rings == answers.RINGS:
            raise StopCapture
        signal.alarm(_PATIENCE)

    failed = ""
    old = signal.signal(signal.SIGALRM, enough)
    signal.alarm(_PATIENCE)
    nn.Cell.__call__ = call
    try:
        repository.build(place, recipe, capture=capture)
    except HubError as error:
        failed = error.message
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, old)
        nn.Cell.__call__ = real_call
    for network in capture.models:
        networks.take(network, "model")
    if rings == answers.RINGS and not networks.taken:
        failed = answers.WAITS
    return networks, "" if networks.taken else failed


if __name__ == "__main__":
    main()
