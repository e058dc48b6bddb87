"""Coverage: how the tensors of a checkpoint and the parameters of a network match.

Pure: names and shapes in, a plan out.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

Shape = tuple[int, ...]

# What optimizers of MindSpore save beside the weights, one tensor for each parameter and under its name:
# `adam_m.bert.dense.weight` and `moments.dense.weight` belong to `bert.dense.weight` and `dense.weight`.
STATES = frozenset((
    "accum", "accumulation", "adam_m", "adam_v", "cov_step", "ema", "exp_avg", "exp_avg_sq", "fisher", "grad_accum",
    "linear", "matrix_a", "matrix_a_inv", "matrix_g", "matrix_g_inv", "mean_grad", "mean_gradient", "mean_square",
    "moment1", "moment2", "moments", "stat", "velocity", "vhat",
))  # fmt: skip
_MOMENTS = re.compile(rf"(?:[\w.]*?\.)?(?:{'|'.join(sorted(STATES))})\.(?P<parameter>.+)\Z")
# And what training loops save: one number each.
_COUNTERS = re.compile(
    r"(?:[\w.]*?\.)?(?:global_step|learning_rate|momentum|weight_decay|beta[12](?:_power)?|loss_scale|scale_sense|"
    r"scale_factor|scale_window|current_iterator_step|last_overflow_iterator_step|epoch_num|step_num|growth_interval|"
    r"growth_tracker|accumulation_step)\Z"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Mismatch:
    """A tensor and a parameter of one name that do not fit."""

    name: str
    tensor: Shape
    parameter: Shape


@dataclass(frozen=True, slots=True, kw_only=True)
class Coverage:
    """How a checkpoint and a network match.

    Attributes:
        loaded: For each parameter that is placed, the tensor that goes into it.
        missing: Parameters that no tensor goes into.
        unexpected: Tensors that go nowhere, though nothing says that they should not.
        mismatched: Tensors and parameters of the same name with different shapes.
        ignored: Tensors that the recipe says are not used.
        optimizer: Tensors that are an optimizer's state.
        prefix: The wrapper's prefix that was taken off the tensors' names, or empty.
    """

    loaded: Mapping[str, str]
    missing: tuple[str, ...]
    unexpected: tuple[str, ...]
    mismatched: tuple[Mismatch, ...]
    ignored: tuple[str, ...] = ()
    optimizer: tuple[str, ...] = ()
    prefix: str = ""

    @property
    def is_total(self) -> bool:
        """Whether every parameter and every tensor that matters is placed."""
        return not (self.missing or self.unexpected or self.mismatched)

    def describe(self, most: int = 10) -> str:
        """List what does not match, in lines, at most so many of each kind."""
        lines: list[str] = []
        kinds: list[tuple[str, tuple[str, ...]]] = [
            ("missing from the checkpoint", self.missing),
            ("in the checkpoint but not in the network", self.unexpected),
            (
                "of another shape",
                tuple(
                    f"{item.name}: checkpoint {list(item.tensor)}, network {list(item.parameter)}"
                    for item in self.mismatched
                ),
            ),
        ]
        for title, names in kinds:
            if names:
                lines.append(f"{len(names)} {title}:")
                lines.extend(f"  {name}" for name in names[:most])
                if len(names) > most:
                    lines.append(f"  and {len(names) - most} more")
        return "\n".join(lines)

    def as_json(self) -> dict[str, object]:
        """Return the ``coverage`` member of ``hubtool load --json``."""
        return {
            "loaded": len(self.loaded),
            "missing": list(self.missing),
            "unexpected": list(self.unexpected),
            "mismatched": [
                {"name": item.name, "tensor": list(item.tensor), "parameter": list(item.parameter)}
                for item in self.mismatched
            ],
            "ignored": list(self.ignored),
            "optimizer": list(self.optimizer),
            "prefix": self.prefix,
        }


def cover(
    tensors: Mapping[str, Shape], parameters: Mapping[str, Shape], *, prefix: str = "", ignore: Iterable[str] = ()
) -> Coverage:
    """Match the tensors of a checkpoint with the parameters of a network.

    Args:
        tensors: Name and shape of every tensor in the checkpoint.
        parameters: Name and shape of every parameter of the network.
        prefix: What a wrapper put before the name of each parameter, such as ``network.``.
        ignore: Patterns (``*``, ``?``) of tensors that are knowingly not used.
    """
    patterns = tuple(ignore)
    known = {*tensors, *parameters, *(name[len(prefix) :] for name in tensors if name.startswith(prefix))}
    loaded: dict[str, str] = {}
    unexpected, ignored, optimizer = [], [], []
    mismatched = []
    for name, shape in tensors.items():
        plain = name[len(prefix) :] if prefix and name.startswith(prefix) else None if prefix else name
        parameter = parameters.get(plain) if plain is not None else None
        if plain is not None and parameter is not None:
            if _same(shape, parameter):
                loaded[plain] = name
            else:
                mismatched.append(Mismatch(name=plain, tensor=shape, parameter=parameter))
        elif any(fnmatchcase(name, pattern) or fnmatchcase(plain or name, pattern) for pattern in patterns):
            ignored.append(name)
        elif is_optimizer_state(name, known):
            optimizer.append(name)
        else:
            unexpected.append(name)
    placed = loaded.keys() | {item.name for item in mismatched}
    return Coverage(
        loaded=loaded,
        missing=tuple(name for name in parameters if name not in placed),
        unexpected=tuple(unexpected),
        mismatched=tuple(mismatched),
        ignored=tuple(ignored),
        optimizer=tuple(optimizer),
        prefix=prefix,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Renaming:
    """How the names of tensors become those of parameters, by rules that hold for all of them.

    Attributes:
        off: What is taken off the tensors' names where it stands, such as ``network.``.
        on: What is put before the tensors' names, where the network is within a wrapper and was not when it was saved.
        averages: Whether the moving averages' names are exchanged: ``moving_mean`` for ``running_mean``, and back.
    """

    off: str = ""
    on: str = ""
    averages: bool = False

    def apply(self, name: str) -> str:
        """Return the parameter's name for a tensor's."""
        if self.off:
            name = name.removeprefix(self.off)
        if self.averages:
            head, dot, tail = name.rpartition(".")
            name = head + dot + _AVERAGES.get(tail, tail)
        return self.on + name

    @property
    def notes(self) -> tuple[str, ...]:
        """What was done, one sentence each."""
        notes = []
        if self.off:
            notes.append(f"the prefix {self.off!r} was taken off the tensors' names")
        if self.on:
            notes.append(f"the prefix {self.on!r} was put before the tensors' names")
        if self.averages:
            notes.append("the names of moving averages were exchanged: moving_mean for running_mean, and their like")
        return tuple(notes)


_AVERAGES = {
    "moving_mean": "running_mean",
    "moving_variance": "running_var",
    "running_mean": "moving_mean",
    "running_var": "moving_variance",
}


def rename(tensors: Mapping[str, Shape], parameters: Mapping[str, Shape]) -> Renaming:
    """Return the rules by which most tensors find a parameter of their shape; none where names agree as they are.

    Args:
        tensors: Name and shape of every tensor in the checkpoint.
        parameters: Name and shape of every parameter of the network.
    """

    def fit(rules: Renaming) -> int:
        named = {rules.apply(name): shape for name, shape in tensors.items()}
        return sum(name in named and _same(named[name], shape) for name, shape in parameters.items())

    plain = Renaming()
    if fit(plain) == len(parameters):
        return plain
    candidates = [plain]
    averages = any(name.rpartition(".")[2] in _AVERAGES for name in parameters)
    for exchanged in (False, True) if averages else (False,):
        # A wrapper puts the same text before every name: that of a few parameters is enough to find it.
        candidates.append(Renaming(averages=exchanged))
        swapped = Renaming(averages=exchanged)
        tails = {swapped.apply(name): name for name in tensors}
        for parameter in list(parameters)[:4]:
            candidates += [
                Renaming(off=name[: -len(parameter)], averages=exchanged)
                for name in tails
                if name.endswith("." + parameter)
            ]
        for tensor in list(tails)[:4]:
            candidates += [
                Renaming(on=name[: -len(tensor)], averages=exchanged)
                for name in parameters
                if name.endswith("." + tensor)
            ]
    # The first of the best: the plainer rule wins where both do as well.
    return max(dict.fromkeys(candidates), key=fit)


def is_optimizer_state(name: str, names: Collection[str]) -> bool:
    """Whether a tensor is an optimizer's state: a known counter, or a moment of a tensor that is there as well.

    Args:
        name: The tensor's name.
        names: The names of the checkpoint's tensors and of the network's parameters.
    """
    if _COUNTERS.match(name):
        return True
    match = _MOMENTS.match(name)
    return match is not None and match["parameter"] in names


def _same(tensor: Shape, parameter: Shape) -> bool:
    # A checkpoint stores a scalar with shape (1,) or (): older versions of MindSpore knew no scalars.
    return tensor == parameter or (tensor in ((), (1,)) and parameter in ((), (1,)))
