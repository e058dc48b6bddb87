"""Coverage: how the tensors of a checkpoint and the parameters of a network match.

Pure: names and shapes in, a plan out.
"""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, TypeVar

from hubtool.errors import RecipeError

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping

Shape = tuple[int, ...]
T = TypeVar("T")
_MAX_NAME = 4096  # characters

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
        appended: Single numbers that were saved beside the weights, as ``save_checkpoint(append_dict=...)`` does.
        prefix: The wrapper's prefix that was taken off the tensors' names, or empty.
    """

    loaded: Mapping[str, str]
    missing: tuple[str, ...]
    unexpected: tuple[str, ...]
    mismatched: tuple[Mismatch, ...]
    ignored: tuple[str, ...] = ()
    optimizer: tuple[str, ...] = ()
    appended: tuple[str, ...] = ()
    prefix: str = ""

    @property
    def is_total(self) -> bool:
        """Whether every parameter and every tensor that matters is placed."""
        return not (self.missing or self.unexpected or self.mismatched)

    def describe(self, most: int = 10) -> str:
        """List what does not match, in lines, a limited number of each kind."""
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
            "appended": list(self.appended),
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
    missing = tuple(name for name in parameters if name not in placed)
    # A number of its own that no parameter lacks. Were one missing, it could be that one under another name.
    appended = [] if missing else [name for name in unexpected if "." not in name and tensors[name] in ((), (1,))]
    return Coverage(
        loaded=loaded,
        missing=missing,
        unexpected=tuple(name for name in unexpected if name not in appended),
        appended=tuple(appended),
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


def renamed(tensors: Mapping[str, T], rules: Iterable[tuple[str, str]]) -> dict[str, T]:
    """Return what is known of tensors, by the names that the rules of a recipe give them.

    Where a renamed tensor gets the name of one that keeps its name, it takes its place: averaged weights
    (``ema.conv.weight``) that code loads instead of the weights (``conv.weight``).

    Args:
        tensors: What is known of each tensor, by its name in the checkpoint.
        rules: Texts and what takes their place, in order; with ``^`` in front, at the beginning of a name only.

    Raises:
        RecipeError: If two renamed tensors get one name, or a name grows beyond all names.
    """
    rules = tuple(rules)
    if not rules:
        return dict(tensors)
    names = {name: _renamed(name, rules, tensors) for name in tensors}
    origins: dict[str, str] = {}
    for name, new in names.items():
        if new != name and origins.setdefault(new, name) != name:
            raise RecipeError(
                f"the rules of 'rename' give {origins[new]} and {name} one name, {new}",
                hint="correct 'rename' in the recipe",
            )
    return {new: tensors[name] for name, new in names.items() if new != name or name not in origins}


def _renamed(name: str, rules: Iterable[tuple[str, str]], names: Collection[str]) -> str:
    """Return the new name of a tensor; an optimizer's state goes with its parameter."""
    new = name
    for before, after in rules:
        if not before.startswith("^"):
            new = new.replace(before, after) if before else new
        elif new.startswith(before[1:]):
            new = after + new[len(before) - 1 :]
        if len(new) > _MAX_NAME:
            raise RecipeError(
                f"the rules of 'rename' make a name of {len(new):,} characters", hint="correct 'rename' in the recipe"
            )
    state = _MOMENTS.match(name) if new == name else None
    if state is not None and state["parameter"] in names:
        return name[: state.start("parameter")] + _renamed(state["parameter"], rules, ())
    return new


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


def digest_parameters(parameters: Mapping[str, Shape]) -> str:
    """Return the digest of a parameter list: names and shapes, sorted by name."""
    listed = sorted((name, list(shape)) for name, shape in parameters.items())
    return hashlib.sha256(json.dumps(listed).encode()).hexdigest()


@dataclass(frozen=True, slots=True, kw_only=True)
class Fit:
    """Whether a checkpoint fits a network of which only the digest of the parameter list is known.

    Attributes:
        total: Whether its tensors are the network's parameters, by name and shape.
        why: That in one sentence.
        arguments: What the recipe's arguments would have to be, where another number of classes is all that differs.
    """

    total: bool
    why: str
    arguments: Mapping[str, int] = field(default_factory=dict)

    def as_json(self) -> dict[str, object]:
        """Return the ``fit`` member of ``hubtool resolve --json``."""
        return {"total": self.total, "why": self.why, "arguments": dict(self.arguments)}


# Numbers of classes to try where no card states one: those of common data sets.
_USUAL = (1000, 1001, 10, 100, 2, 1, 21, 80, 81, 90, 91, 19, 20, 5, 6, 7, 11, 12, 15, 37, 50, 101, 102, 196, 365, 1024)
_CLASSES = re.compile(
    r"(?:.*[._])?(?:n|num|number|nb)?_?(?:class|classes|label|labels|category|categories)(?:_?num)?\Z"
)


def compare(
    tensors: Mapping[str, Shape],
    *,
    digest: str,
    count: int | None = None,
    ignore: Iterable[str] = (),
    arguments: Mapping[str, object] | None = None,
) -> Fit:
    """Compare a checkpoint with a recorded parameter list, without building the network.

    Where the digests differ, other numbers of classes are tried: the sizes of the last layer are exchanged until the
    digest is the recorded one. That is proof, not a guess: nothing else has this digest.

    Args:
        tensors: Name and shape of every tensor in the checkpoint.
        digest: The recorded digest of the network's parameter list.
        count: The recorded number of parameters.
        ignore: Patterns of tensors that are knowingly not used.
        arguments: The recipe's arguments.
    """
    patterns = tuple(ignore)
    kept = {
        name: shape
        for name, shape in tensors.items()
        if not any(fnmatchcase(name, pattern) for pattern in patterns) and not is_optimizer_state(name, tensors)
    }
    for spelling in _spellings(kept):
        if digest_parameters(spelling) == digest:
            return Fit(total=True, why=f"{_all(kept)} the network's parameters, by name and shape")
    stated = dict(_stated(arguments or {}))
    for spelling in _spellings(kept):
        for built, there, changed in _other_classes(spelling, (*dict.fromkeys((*stated.values(), *_USUAL)),)):
            if digest_parameters(changed) == digest:
                name = next((name for name, number in stated.items() if number == built), "num_classes")
                return Fit(
                    total=False,
                    why=f"it is of {there} classes, and the recipe builds for {built}",
                    arguments={name: there},
                )
    of = "" if count is None else f" ({count:,})"
    return Fit(total=False, why=f"{_all(kept)} not the parameters that were recorded{of}")


def _all(tensors: Mapping[str, object]) -> str:
    return "its one tensor is" if len(tensors) == 1 else f"its {len(tensors):,} tensors are"


def _spellings(tensors: Mapping[str, Shape]) -> Iterator[dict[str, Shape]]:
    """Yield tensors under their names, and under those that :func:`rename` may give them."""
    heads = {name.partition(".")[0] for name in tensors}
    wrapped = len(heads) == 1 and all("." in name for name in tensors)
    for averages in (False, True):
        for off in ("", f"{next(iter(heads))}.") if wrapped else ("",):
            rules = Renaming(off=off, averages=averages)
            yield {rules.apply(name): shape for name, shape in tensors.items()}


def _stated(value: Mapping[str, object], above: str = "") -> Iterator[tuple[str, int]]:
    for name, item in value.items():
        if isinstance(item, dict):
            yield from _stated(item, f"{above}{name}.")
        elif type(item) is int and _CLASSES.match(name):
            yield f"{above}{name}", item


def _other_classes(tensors: Mapping[str, Shape], counts: Iterable[int]) -> Iterator[tuple[int, int, dict[str, Shape]]]:
    """Yield what the parameters would be if the last layer, or each one of its size, were of another size."""
    sizes: dict[int, set[str]] = {}
    for name, shape in list(tensors.items())[-4:]:
        if shape:
            sizes.setdefault(shape[0], set()).add(name.rpartition(".")[0])
    for there, layers in sizes.items():
        for built in counts:
            if built == there:
                continue
            for every in (False, True):
                yield (
                    built,
                    there,
                    {
                        name: (built, *shape[1:])
                        if shape and shape[0] == there and (every or name.rpartition(".")[0] in layers)
                        else shape
                        for name, shape in tensors.items()
                    },
                )
