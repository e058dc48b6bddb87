"""What a network computes, for telling apart two networks that have the same parameters."""

from __future__ import annotations

import signal
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from hubtool.card.known_answer import InputSpec
from hubtool.verification.verify import small_inputs

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_SECONDS: Final = 30  # for one forward pass
_CLOSE: Final = 1e-4


class _TookTooLong(BaseException):
    """Not an Exception: the code of a network catches those."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Behaviour:
    """What a network gives for known values of its parameters and inputs, and how its cells are set.

    Outputs decide. A network that does not run here is known by the settings of its cells, such as strides, dilations
    and switches: the same settings of the same cells compute the same.

    Attributes:
        outputs: The arrays that it gives, or None if it does not run.
        settings: The plain attributes of each cell and of each of its operators, by the cell's name.
    """

    outputs: tuple[Any, ...] | None
    settings: dict[str, dict[str, object]]

    @classmethod
    def of(cls, network: Any, inputs: Iterable[tuple[str, tuple[int, ...], str]]) -> Behaviour:  # noqa: ANN401 - a Cell
        """Fill a network by the rule of known answers and run it; its values are lost."""
        settings = {name: _settings(cell) for name, cell in network.cells_and_names()}
        specs = [InputSpec(name=name, shape=shape, dtype=dtype) for name, shape, dtype in inputs]
        return cls(outputs=_run(network, specs) if specs else None, settings=settings)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Behaviour):
            return NotImplemented
        if self.outputs is None or other.outputs is None:
            return (self.outputs is None) == (other.outputs is None) and self.settings == other.settings
        return len(self.outputs) == len(other.outputs) and all(map(_is_close, self.outputs, other.outputs))

    __hash__ = None  # type: ignore[assignment] # it is compared only


def _is_close(one: Any, other: Any) -> bool:  # noqa: ANN401 - NumPy arrays
    import numpy as np  # noqa: PLC0415

    if one.shape != other.shape:
        return False
    if not one.size:
        return True
    wide, narrow = one.astype(np.float64), other.astype(np.float64)
    scale = float(np.sqrt(np.mean(np.square(wide)))) or 1.0
    return bool(np.array_equal(np.isfinite(wide), np.isfinite(narrow))) and bool(
        np.nanmax(np.abs(np.nan_to_num(wide) - np.nan_to_num(narrow))) <= _CLOSE * scale
    )


def _run(network: Any, specs: list[InputSpec]) -> tuple[Any, ...] | None:  # noqa: ANN401 - a Cell
    import mindspore  # noqa: PLC0415

    from hubtool.networks.forward import flat  # noqa: PLC0415
    from hubtool.verification import rule  # noqa: PLC0415
    from hubtool.verification.measure_main import fill  # noqa: PLC0415

    def late(*_: object) -> None:
        raise _TookTooLong

    old = signal.signal(signal.SIGALRM, late)
    signal.alarm(_SECONDS)
    try:
        fill(network)
        network.set_train(False)
        for inputs in small_inputs(specs):
            tensors = [
                mindspore.Tensor(rule.example(place, one.shape, one.dtype, one.low, one.high))
                for place, one in enumerate(inputs)
            ]
            try:
                return tuple(one.asnumpy() for one in flat(network(*tensors)))
            except Exception:  # noqa: BLE001, S112 - the code of a network may raise anything; the next inputs may do
                continue
    except (Exception, _TookTooLong):  # noqa: BLE001 - as above
        return None
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, old)
    return None


_NOT_SETTINGS: Final = frozenset({"training", "phase", "cell_init_args", "param_prefix", "instance_name", "cls_name"})


def _settings(cell: Any) -> dict[str, object]:  # noqa: ANN401 - a Cell
    """Return the plain attributes of a cell, and those of its operators."""
    found = dict(_plain("", vars(cell)))
    for name, operator in getattr(cell, "_primitives", {}).items():
        if operator is not None:
            found.update(_plain(f"{name}.", getattr(operator, "init_attrs", {})))
    return found


def _plain(prefix: str, values: dict[str, Any]) -> Iterator[tuple[str, object]]:
    for name, value in values.items():
        if name.startswith("_") or name in _NOT_SETTINGS or name.endswith("phase"):
            continue
        if _is_plain(value):
            yield f"{prefix}{name}", repr(value)


def _is_plain(value: object) -> bool:
    if isinstance(value, (tuple, list)):
        return all(_is_plain(item) for item in value)
    return value is None or type(value) in {bool, int, float, str}
