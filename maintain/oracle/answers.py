"""What is recorded of the networks of a script, whichever MindSpore runs it.

This file runs on Python 3.9 beside MindSpore 2.0.0, and on today's beside MindSpore 2.10; so it imports nothing of
hubtool. The rule of known answers (``hubtool/verification/rule.py``) is given as a module.
"""

from __future__ import annotations

import hashlib
import importlib.util
import inspect
import json
import os
import sys
import threading
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

NO_NETWORK = "the script ended before any weights went into a network"
RINGS = 4  # times the patience for a script without a network: some wait for ever for what another process brings
WAITS = "the script waits, and has made no network yet"
_SLEEPS = 20
_SAYS_LITTLE = "its outputs are the same for other inputs, and would prove nothing"
_HANGS = "its outputs hang on the last digits of its inputs, and no two machines would agree"
_TRY_AGAIN = ("are NaN or infinite", _SAYS_LITTLE, _HANGS)  # how the reasons end that smaller parameters may mend
_OTHER_PLACE = 1000  # of the first input, where the values have to be other ones
_TELLING = 3e-4  # of an output's scale: three times the tolerance of an answer
_MOVE = 1e-5  # by which part of itself each floating-point number of the inputs is moved: what rounding adds up to
_STEADY = 2e-2  # of an output's scale: how far that may move what is kept, which is the widest tolerance of an answer
_TOLERANCE = 1e-4  # of a second run, where threads add in another order; random numbers differ by far more


class ScriptNetworks:
    """The networks that a script gives weights to, exports, or makes a model of, in the order in which it does.

    Attributes:
        taken: Of each the network, what is done with it (``load``, ``export`` or ``model``), and its parameters by the
            names that they have then: a later wrapper renames them.
        exported: The index of the network that is exported, or None.
        export_inputs: The tensors that it is exported with.
    """

    def __init__(self) -> None:
        self.taken: list[tuple[Any, str, dict[str, Any]]] = []
        self.exported: int | None = None
        self.export_inputs: tuple[Any, ...] = ()
        self._calls: dict[int, tuple[Any, ...]] = {}

    def take(self, network: Any, where: str) -> int:  # noqa: ANN401 - a Cell
        """Record a network once; return its index."""
        for index, (known, _, _) in enumerate(self.taken):
            if known is network:
                return index
        self.taken.append((network, where, dict(network.parameters_dict())))
        return len(self.taken) - 1

    def export(self, network: Any, inputs: tuple[Any, ...]) -> None:  # noqa: ANN401 - a Cell
        """Record that a network is exported."""
        self.exported = self.take(network, "export")
        self.export_inputs = inputs

    def called(self, network: Any, inputs: tuple[Any, ...]) -> None:  # noqa: ANN401 - a Cell
        """Record what a network is called with the first time, if it is one of those taken."""
        if id(network) not in self._calls and any(known is network for known, _, _ in self.taken):
            self._calls[id(network)] = inputs

    def inputs_of(self, index: int) -> list[dict[str, Any]]:
        """Return the inputs that the script itself uses for a network: those of its export, or of its first call."""
        network = self.taken[index][0]
        if self.exported is not None and (index == self.exported or _takes(network, len(self.export_inputs))):
            found = described(network, self.export_inputs)
            if found:
                return found
        return described(network, self._calls.get(id(network), ()))


def impatient(stop: type[BaseException]) -> Any:  # noqa: ANN401 - the signature of time.sleep differs by version
    """Return a ``time.sleep`` that does not sleep, and ends a script that waits for what nobody brings.

    Args:
        stop: What ends a script.
    """
    calls = 0

    def sleep(_: float) -> None:
        nonlocal calls
        calls += 1
        if calls > _SLEEPS and threading.current_thread() is threading.main_thread():
            raise stop

    return sleep


def shapes_of(parameters: Mapping[str, Any]) -> dict[str, list[int]]:
    """Return the shape of each parameter."""
    return {name: [int(side) for side in parameter.shape] for name, parameter in parameters.items()}


def digest(shapes: Mapping[str, Sequence[int]]) -> str:
    """Return the digest of a parameter list; as ``hubtool.checkpoint.coverage.digest_parameters``."""
    listed = sorted((name, list(shape)) for name, shape in shapes.items())
    return hashlib.sha256(json.dumps(listed).encode()).hexdigest()


def described(network: Any, inputs: tuple[Any, ...]) -> list[dict[str, Any]]:  # noqa: ANN401 - a Cell
    """Return the name, shape and type of each of a network's inputs; nothing if one is no tensor."""
    names = [name for name in inspect.signature(type(network).construct).parameters if name != "self"]
    found = []
    for index, tensor in enumerate(inputs):
        if not hasattr(tensor, "shape") or not hasattr(tensor, "dtype"):
            return []
        name = names[index] if index < len(names) else f"input_{index}"
        found.append({"name": name, "shape": [int(side) for side in tensor.shape], "dtype": str(tensor.dtype).lower()})
    return found


def _takes(network: Any, count: int) -> bool:  # noqa: ANN401 - a Cell
    kinds = [
        parameter for name, parameter in inspect.signature(type(network).construct).parameters.items() if name != "self"
    ]
    needed = [one for one in kinds if one.default is one.empty and one.kind is one.POSITIONAL_OR_KEYWORD]
    return 0 < len(needed) <= count <= len(kinds)


def choose(networks: ScriptNetworks, *, capture: int | None, wanted: str | None) -> int | None:
    """Return the index of the network that an answer is computed with.

    Args:
        networks: Those of the script.
        capture: The recipe's own 1-based index among those that weights go into, where its entry is the script.
        wanted: The digest of the parameter list that the card states.
    """
    order = [
        index for where in ("load", "export", "model") for index, one in enumerate(networks.taken) if one[1] == where
    ]
    order = [index for index in order if networks.taken[index][2]]
    if not order:
        return None
    told = order[capture - 1] if capture is not None and capture <= len(order) else None
    fitting = [index for index in order if digest(shapes_of(networks.taken[index][2])) == wanted]
    if fitting:
        return told if told in fitting else fitting[0]
    if told is not None:
        return told
    if networks.exported is not None:  # of several networks, the one that is part of what is exported
        cells = {id(cell) for _, cell in networks.taken[networks.exported][0].cells_and_names()}
        order = [index for index in order if id(networks.taken[index][0]) in cells] or order
    return max(order, key=lambda index: len(networks.taken[index][2]))


def first_line(error: BaseException) -> str:
    """Return the type of an error and its first line with text; MindSpore puts frames around its texts."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip() and not set(line.strip()) <= {"-"}]
    return f"{type(error).__name__}: {lines[0][:300]}" if lines else type(error).__name__


def failure(error: BaseException, folder: str) -> str:
    """Return why a script failed, with the line of the folder's code, or else the line that raised."""
    trace, ours, last = error.__traceback__, "", ""
    while trace is not None:
        file, line = trace.tb_frame.f_code.co_filename, trace.tb_lineno
        last = f" ({os.path.basename(file)}:{line})"  # noqa: PTH119 - of a file that need not exist
        if file.startswith(folder.rstrip("/") + "/"):
            ours = f" ({os.path.relpath(file, folder)}:{line})"
        trace = trace.tb_next
    return f"the script failed: {first_line(error)}{ours or last}"


def answer(
    ms: Any,  # noqa: ANN401 - a module
    rule: Any,  # noqa: ANN401 - a module
    networks: ScriptNetworks,
    job: Mapping[str, Any],
    *,
    failed: str = "",
    say: Callable[[dict[str, Any]], object] = lambda _: None,
) -> dict[str, Any]:
    """Describe the networks of a script, and compute the known answer of one of them.

    Args:
        ms: The MindSpore that runs.
        rule: The rule of known answers.
        networks: The networks.
        job: The job: ``capture``, ``wanted``, ``inputs``, ``train`` and ``gain`` of it matter here.
        failed: Why the script failed, if it did; it may have made its networks before.
        say: Called with the record as far as it is known, before the network is run: it may end the process.

    Returns:
        The part of a record that the process knows.
    """
    record = describe(ms, networks, job)
    if record["chosen"] is None:
        return {**record, "reason": failed or NO_NETWORK}
    record["script"] = failed
    network, _, parameters = networks.taken[record["chosen"]]
    record["float16"] = any(getattr(cell, "fp16", False) for _, cell in network.cells_and_names())
    inputs = [dict(one) for one in job["inputs"]]
    if not _takes(network, len(inputs)):  # none, or those of another network of the script
        inputs = networks.inputs_of(record["chosen"]) or inputs
    if not inputs:
        return {
            **record,
            "reason": "no inputs are known: the recipe records none, and the script neither exports nor calls it",
        }
    say({**record, "inputs": inputs})
    first = ""
    for gain, bound in rule.TRIES:
        if gain > job.get("gain", 1.0):
            continue
        try:
            fill(ms, rule, network, parameters, gain)
        except Exception as error:  # noqa: BLE001 - the code may raise anything, and the record says what
            return {**record, "inputs": inputs, "reason": f"its parameters take no values: {first_line(error)}"}
        found = _tried(ms, rule, network, {**record, "gain": gain}, rule.widened(inputs, bound), job=job, say=say)
        if found["outputs"] or not found["reason"].endswith(_TRY_AGAIN):
            return found
        first = first or found["reason"]
    return {**record, "inputs": inputs, "reason": first}


def _tried(
    ms: Any,  # noqa: ANN401 - a module
    rule: Any,  # noqa: ANN401 - a module
    network: Any,  # noqa: ANN401 - a Cell
    record: dict[str, Any],
    inputs: list[dict[str, Any]],
    *,
    job: Mapping[str, Any],
    say: Callable[[dict[str, Any]], object],
) -> dict[str, Any]:
    """Run a network with its inputs, in the modes and batches that it may want."""
    reason = ""
    for mode in ("PYNATIVE_MODE", "GRAPH_MODE"):  # the code was written for graphs; some of it runs in no other mode
        ms.set_context(mode=getattr(ms, mode))
        for tried in batches(inputs):
            record.update(run(ms, rule, network, tried, train=bool(job["train"])), mode=mode)
            if not record["reason"].startswith("the network failed"):
                return record
            if mode == "PYNATIVE_MODE":
                reason = record["reason"]  # of the inputs as they are: a batch of one is an idea of ours
            say({**record, "reason": reason})
    return {**record, "reason": reason}


def describe(ms: Any, networks: ScriptNetworks, job: Mapping[str, Any]) -> dict[str, Any]:  # noqa: ANN401 - a module
    """Return what a record says of the networks themselves."""
    listed = []
    for network, where, parameters in networks.taken:
        shapes = shapes_of(parameters)
        listed.append(
            {
                "class": type(network).__name__,
                "where": where,
                "elements": sum(int(np.prod(shape)) for shape in shapes.values()),
                "digest": digest(shapes),
                "parameters": shapes,
            }
        )
    exported = networks.exported
    return {
        "networks": listed,
        "exported": exported,
        "export_inputs": [] if exported is None else described(networks.taken[exported][0], networks.export_inputs),
        "chosen": choose(networks, capture=job["capture"], wanted=job["wanted"]),
        "inputs": [],
        "outputs": [],
        "mindspore": ms.__version__,
        "device": "CPU",
        "mode": "",
        "float16": False,
        "reason": "",
    }


def fill(
    ms: Any,  # noqa: ANN401 - a module
    rule: Any,  # noqa: ANN401 - a module
    network: Any,  # noqa: ANN401 - a Cell
    parameters: Mapping[str, Any],
    gain: float,
) -> None:
    """Give parameters the values of the rule, by the names that they had when the network was taken."""
    network.init_parameters_data()
    for name, parameter in parameters.items():
        value = rule.parameter(name, parameter.shape, str(parameter.dtype).lower(), gain)
        if value is not None:
            parameter.set_data(ms.Tensor(value, parameter.dtype))


def batches(inputs: list[dict[str, Any]]) -> Iterator[list[dict[str, Any]]]:
    """Yield inputs with a batch of one where all share their first dimension, and as they are."""
    sides = {tuple(one["shape"][:1]) for one in inputs}
    if len(sides) == 1 and not sides <= {(), (1,)}:
        yield [{**one, "shape": [1, *one["shape"][1:]]} for one in inputs]
    yield inputs


def run(
    ms: Any,  # noqa: ANN401 - a module
    rule: Any,  # noqa: ANN401 - a module
    network: Any,  # noqa: ANN401 - a Cell
    inputs: list[dict[str, Any]],
    *,
    train: bool,
) -> dict[str, Any]:
    """Run a network twice; return its inputs, and its outputs or the reason why there are none."""
    record: dict[str, Any] = {"inputs": inputs, "outputs": [], "reason": ""}
    network.set_train(train)
    try:
        runs = []
        for place, moved in ((0, 0.0), (0, 0.0), (_OTHER_PLACE, 0.0), (0, _MOVE)):
            values = [
                rule.example(at, one["shape"], one["dtype"], one.get("low"), one.get("high"))
                for at, one in enumerate(inputs, place)
            ]
            runs.append(flat(network(*(ms.Tensor(rule.nudged(one, moved)) for one in values))))
    except (Exception, SystemExit) as error:  # noqa: BLE001 - the code may raise anything, and the record says what
        return {**record, "reason": f"the network failed: {first_line(error)}"}
    first, second, other, near = runs
    if not first:
        return {**record, "reason": "the network returns no tensor"}
    try:
        for value in first:
            record["outputs"].append(rule.summary(value))
    except ValueError as error:  # its text ends as _TRY_AGAIN says
        return {**record, "outputs": [], "reason": f"output {len(record['outputs'])}: {error}"}
    for at, value in enumerate(first):
        if len(second) != len(first) or not _same(value, second[at]):
            mode = "training" if train else "evaluation"
            return {
                **record,
                "outputs": [],
                "reason": f"it draws random numbers in {mode} mode: output {at} of a second run is another",
            }
    if not _says_enough(rule, first, other):
        return {**record, "outputs": [], "reason": _SAYS_LITTLE}
    if _apart(rule, first, near) > _STEADY:
        return {**record, "outputs": [], "reason": _HANGS}
    return record


def _apart(rule: Any, first: list[Any], other: list[Any]) -> float:  # noqa: ANN401 - a module
    """Return the greatest difference of what is kept of two runs, as a part of an output's scale."""
    apart = 0.0
    for one, another in zip(first, other):  # noqa: B905 - Python 3.9
        if one.shape != another.shape or not np.isfinite(another).all():
            return float("inf")
        kept = _kept(rule, one)
        scale = float(np.hypot(kept[0], kept[1])) or 1.0
        apart = max(apart, float(np.abs(np.subtract(kept, _kept(rule, another))).max()) / scale)
    return apart


def _says_enough(rule: Any, first: list[Any], other: list[Any]) -> bool:  # noqa: ANN401 - a module
    """Return whether what is kept of the outputs depends on the inputs, and is not all 0 and 1."""
    kept = [number for value in first for number in _kept(rule, value)[2:]]
    saturated = all(min(abs(number), abs(number - 1)) < _TELLING for number in kept)
    return not saturated and (len(first) > len(other) or _apart(rule, first, other) > _TELLING)


def _kept(rule: Any, value: Any) -> list[float]:  # noqa: ANN401 - a module, and a NumPy array
    summary = rule.summary(value)
    return [summary["mean"], summary["deviation"], *summary["values"]]


def flat(result: Any) -> list[Any]:  # noqa: ANN401 - what a network returns
    """Return the arrays of a network's result in order, out of nested tuples, lists and dictionaries."""
    if hasattr(result, "asnumpy"):
        return [result.asnumpy()]
    if isinstance(result, dict):
        result = list(result.values())
    if isinstance(result, (list, tuple)):
        return [array for item in result for array in flat(item)]
    return [np.array(result)] if isinstance(result, (bool, int, float)) else []


def _same(one: Any, other: Any) -> bool:  # noqa: ANN401 - NumPy arrays
    if one.shape != other.shape:
        return False
    left, right = one.astype(np.float64), other.astype(np.float64)
    room = _TOLERANCE * max(float(np.abs(left).max()), 1e-30) if left.size else 0.0
    return bool(np.allclose(left, right, rtol=_TOLERANCE, atol=room))


def load_rule(path: str) -> Any:  # noqa: ANN401 - a module
    """Return the rule of known answers from its file: the package around it need not be importable here.

    A program of ``maintain/oracle/called.py`` imports it by the name that it gets.
    """
    spec = importlib.util.spec_from_file_location("rule_of_known_answers", path)
    assert spec is not None and spec.loader is not None  # noqa: S101, PT018 - it is a Python file
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module
