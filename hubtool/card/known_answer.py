"""The known answer of a card: what its network computes from the values of a written rule. Pure.

docs/known-answers.md specifies the rule; :mod:`hubtool.verification.rule` implements it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from hubtool.errors import RecipeError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

#: The version of the rule that this hubtool knows, and how many elements of an output it keeps.
RULE_VERSION: Final = 1
SAMPLES: Final = 8
#: The greatest tolerance that an answer may have: more would let another network pass.
MAX_TOLERANCE: Final = 2e-2
#: The source that shows that nothing changed, and not that it is right.
ITSELF: Final = "itself"
#: What stands behind an answer, strongest first.
SOURCES: Final[Mapping[str, str]] = {
    "mindspore-2.0.0": "the authors' own code as it was written",
    "script": "the network that the authors' own script loads its weights into",
    "package": "the package's own documented constructor",
    "callable": "the authors' own code as it was written, called with the recipe's arguments",
    ITSELF: "an earlier run of this recipe, which shows that nothing changed, and not that it is right",
}
MAX_INPUT_BYTES: Final = 4 << 30
_BYTES: Final = {
    "bool": 1,
    "int8": 1,
    "uint8": 1,
    "float16": 2,
    "int16": 2,
    "float32": 4,
    "int32": 4,
    "float64": 8,
    "int64": 8,
}
_BOUNDS: Final = {"int8": (-128, 127), "uint8": (0, 255), "int16": (-(2**15), 2**15 - 1)}


@dataclass(frozen=True, slots=True, kw_only=True)
class InputSpec:
    """One input of a network.

    Attributes:
        name: The parameter of ``construct`` that it goes to; empty if it is not known.
        shape: Its shape.
        dtype: Its element type, such as ``float32``.
        low: The least value, or None for that of the rule.
        high: What floating-point numbers stay below, or the greatest integer; None for that of the rule.
    """

    name: str = ""
    shape: tuple[int, ...]
    dtype: str
    low: float | None = None
    high: float | None = None

    def as_json(self) -> dict[str, Any]:
        """Return it as a card states it."""
        values: dict[str, Any] = {"name": self.name} if self.name else {}
        values |= {"shape": list(self.shape), "dtype": self.dtype}
        return values | {key: _short(value) for key in ("low", "high") if (value := getattr(self, key)) is not None}


@dataclass(frozen=True, slots=True, kw_only=True)
class OutputSummary:
    """What is kept of one output.

    Attributes:
        dtype: Its element type.
        shape: Its shape.
        mean: The mean of all elements.
        deviation: Their standard deviation.
        values: The elements at the rule's positions.
    """

    dtype: str
    shape: tuple[int, ...]
    mean: float
    deviation: float
    values: tuple[float, ...]

    @property
    def scale(self) -> float:
        """The root mean square of all elements."""
        return math.hypot(self.mean, self.deviation)

    def as_json(self) -> dict[str, Any]:
        """Return it as a card states it."""
        return {
            "dtype": self.dtype,
            "shape": list(self.shape),
            "mean": self.mean,
            "deviation": self.deviation,
            "values": [_short(value) if "int" in self.dtype else value for value in self.values],
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownAnswer:
    """What a network computes from the values of the rule, and what it was computed with.

    Attributes:
        rule: The version of the rule.
        inputs: What the network is called with; empty for the inputs of the recipe.
        gain: What the rule's bounds of parameters of two or more dimensions are multiplied by.
        outputs: Its outputs in order, nested ones one after the other.
        tolerance: The greatest difference on a CPU, as a part of the output's scale.
        source: One of :data:`SOURCES`.
        mindspore: The version of MindSpore.
        device: ``CPU``, ``GPU`` or ``Ascend``.
        date: The date, such as ``2026-11-30``.
        equal_on: The versions of MindSpore on which the card's recipe was found to compute the same.
        code: The commit of the code that computed it, if that is not the card's own; empty if it is.
        arguments: Arguments that a built-in network is built with besides those of the recipe: the sizes that its
            checkpoint would give. No other network has any: they could choose what runs, and nobody agreed to them.
    """

    rule: int
    inputs: tuple[InputSpec, ...] = ()
    gain: float = 1.0
    outputs: tuple[OutputSummary, ...]
    tolerance: float
    source: str
    mindspore: str
    device: str
    date: str
    equal_on: tuple[str, ...] = ()
    code: str = ""
    arguments: Mapping[str, object] = field(default_factory=dict)

    @property
    def told(self) -> str:
        """What stands behind it, in a few words."""
        where = f"on MindSpore {self.mindspore}, {self.device}, {self.date}"
        equal = f"; equal on MindSpore {', '.join(self.equal_on)}" if self.equal_on else ""
        return f"{SOURCES.get(self.source, self.source)}, {where}{equal}"

    def as_json(self) -> dict[str, Any]:
        """Return it as a card states it."""
        values: dict[str, Any] = {"rule": self.rule, "source": self.source}
        values |= {"mindspore": self.mindspore, "device": self.device, "date": self.date, "tolerance": self.tolerance}
        if self.code:
            values["code"] = self.code
        if self.equal_on:
            values["equal-on"] = list(self.equal_on)
        if self.arguments:
            values["arguments"] = dict(self.arguments)
        if self.inputs:
            values["inputs"] = [one.as_json() for one in self.inputs]
        if self.gain != 1:
            values["gain"] = self.gain
        return values | {"outputs": [one.as_json() for one in self.outputs]}


def parse(values: Mapping[str, Any], *, provider: str = "builtin") -> KnownAnswer:
    """Return the known answer of plain values.

    Args:
        values: ``known-answer`` or ``weights-answer`` of a card's recipe.
        provider: The provider of the recipe: only built-in networks may have arguments of an answer.

    Raises:
        RecipeError: If they break the schema, or contradict themselves.
    """
    try:
        answer = KnownAnswer(
            rule=_integer(values["rule"]),
            inputs=tuple(parse_input(item) for item in values.get("inputs", ())),
            gain=_number(values.get("gain", 1.0)),
            outputs=tuple(parse_output(item) for item in values["outputs"]),
            tolerance=_number(values["tolerance"]),
            source=str(values["source"]),
            mindspore=str(values["mindspore"]),
            device=str(values["device"]),
            date=str(values["date"]),
            code=str(values.get("code", "")),
            equal_on=tuple(str(version) for version in values.get("equal-on", ())),
            arguments=dict(values.get("arguments", {})),
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        told = f"{error.args[0]!r} is missing" if isinstance(error, KeyError) else str(error)
        raise RecipeError(f"the known answer of the card cannot be read: {told}", hint=_HINT) from None
    if answer.arguments and provider != "builtin":
        raise RecipeError(
            "the known answer of the card cannot be used: only that of a built-in network has 'arguments'", hint=_HINT
        )
    for problem in problems(answer):
        raise RecipeError(f"the known answer of the card cannot be used: {problem}", hint=_HINT)
    return answer


def told_of(values: Mapping[str, Any] | None) -> str:
    """Return what stands behind the known answer of a recipe, in a few words; also where there is none.

    Args:
        values: The recipe's ``known-answer``, or None.
    """
    if values is None:
        return "none: what this network computes was never compared with anything"
    try:
        return parse(values).told
    except RecipeError as error:
        return error.message


_HINT = "'hubtool validate' shows where; 'hubtool verify CARD --record' measures a new one"


def problems(answer: KnownAnswer) -> list[str]:
    """Return how a known answer contradicts itself, or cannot be repeated; empty if it is in order."""
    found = []
    if answer.rule < 1:
        found.append(f"it follows version {answer.rule} of the rule, and the first is 1")
    if answer.rule > RULE_VERSION:
        found.append(f"it follows version {answer.rule} of the rule, and this hubtool knows {RULE_VERSION}")
    if answer.source not in SOURCES:
        found.append(f"its source is {answer.source[:40]!r}, and must be one of {', '.join(SOURCES)}")
    if not 0 < answer.tolerance <= MAX_TOLERANCE:
        found.append(f"its tolerance is {answer.tolerance:g}, and must be above 0 and at most {MAX_TOLERANCE:g}")
    if not 0 < answer.gain <= 1:
        found.append(f"its gain is {answer.gain:g}, and must be above 0 and at most 1")
    if not answer.outputs:
        found.append("it has no output")
    for number, output in enumerate(answer.outputs, 1):
        wanted = min(math.prod(output.shape), SAMPLES)
        if len(output.values) != wanted:
            found.append(f"output {number} has {len(output.values)} values, and its shape asks for {wanted}")
        if output.deviation < 0:
            found.append(f"output {number} has a negative deviation")
        if not math.isfinite(output.scale):
            found.append(f"output {number} has a scale that is not finite")
    found += [
        f"input {place} {problem}" for place, one in enumerate(answer.inputs, 1) if (problem := input_problem(one))
    ]
    size = inputs_size(answer.inputs)
    if size > MAX_INPUT_BYTES:
        found.append(f"its inputs would take {size / 2**30:,.0f} GiB, more than {MAX_INPUT_BYTES >> 30}")
    if not found and not any(_tells(output, answer.tolerance) for output in answer.outputs):
        found.append("all kept numbers of its outputs are 0 or 1, which other networks give as well")
    return found


def _tells(output: OutputSummary, tolerance: float) -> bool:
    """Return whether an output has a kept number besides 0 and 1: a saturated one says little of its network."""
    room = tolerance * max(output.scale, 1.0)
    return any(min(abs(value), abs(value - 1)) > room for value in output.values)


def input_problem(one: InputSpec) -> str:
    """Return what is wrong with an input, or an empty text."""
    if one.dtype not in _BYTES:
        return f"has the type {one.dtype[:40]!r}, and must have one of {', '.join(_BYTES)}"
    least, most = _BOUNDS.get(one.dtype, (-(2.0**31), 2.0**31))
    low, high = (least if one.low is None else one.low), (most if one.high is None else one.high)
    if not least <= low <= high <= most:
        return f"has bounds that are in the wrong order, or too large for {one.dtype}"
    if inputs_size([one]) > MAX_INPUT_BYTES:
        return f"would take {inputs_size([one]) / 2**30:,.0f} GiB, more than {MAX_INPUT_BYTES >> 30}"
    return ""


def inputs_size(inputs: Sequence[InputSpec]) -> int:
    """Return the bytes that inputs take together."""
    return sum(math.prod(one.shape) * _BYTES.get(one.dtype, 4) for one in inputs)


def parse_input(item: Mapping[str, Any]) -> InputSpec:
    """Return an input of plain values.

    Raises:
        KeyError: If a member is missing.
        TypeError: If one has another type.
        ValueError: If one is not a number.
    """
    return InputSpec(
        name=str(item.get("name", "")),
        shape=_shape(item["shape"]),
        dtype=str(item["dtype"]),
        low=None if item.get("low") is None else _number(item["low"]),
        high=None if item.get("high") is None else _number(item["high"]),
    )


def parse_output(item: Mapping[str, Any]) -> OutputSummary:
    """Return a summary of plain values; see :func:`parse_input` for the errors."""
    return OutputSummary(
        dtype=str(item["dtype"]),
        shape=_shape(item["shape"]),
        mean=_number(item["mean"]),
        deviation=_number(item["deviation"]),
        values=tuple(_number(value) for value in item["values"]),
    )


def _short(value: float) -> float:
    """Return a whole number without its fraction of zeros."""
    return int(value) if value == int(value) else value


def _shape(value: object) -> tuple[int, ...]:
    if not isinstance(value, (list, tuple)):
        raise TypeError(f"a shape is {value!r}, and not a list")
    return tuple(_integer(side) for side in value)


def _integer(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise TypeError(f"{str(value)[:40]!r} is not a whole number")
    return value


def _number(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        raise TypeError(f"{str(value)[:40]!r} is not a finite number")
    return float(value)
