"""Capture a script's network at the moment when it would receive its weights.

Nearly every model directory has a script that builds the right network, in the right configuration, just before it
calls ``load_checkpoint``, ``load_param_into_net`` or ``export``. :class:`NetworkCapture` replaces these functions in
the script's namespace. No checkpoint is read: the loader places the weights afterwards.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from hubtool.networks.stub import Stub

if TYPE_CHECKING:
    from collections.abc import Callable

_SOURCES: Final = (
    *("CLUEDataset", "CSVDataset", "CelebADataset", "Cifar100Dataset", "Cifar10Dataset", "CocoDataset"),
    *("GeneratorDataset", "ImageFolderDataset", "ManifestDataset", "MindDataset", "MnistDataset"),
    *("NumpySlicesDataset", "PaddedDataset", "TFRecordDataset", "TextFileDataset", "VOCDataset"),
)


class StopCapture(BaseException):
    """Ends a script whose network was captured; handlers for Exception do not catch it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Input:
    """One input of a network.

    Attributes:
        name: The parameter of ``construct`` that it goes to.
        shape: Its shape.
        dtype: Its element type, such as ``float32``.
    """

    name: str
    shape: tuple[int, ...]
    dtype: str


@dataclass(kw_only=True, slots=True)
class NetworkCapture:
    """Replaces the functions that put weights into networks.

    Attributes:
        stop_at: 1-based index of the network to stop at; None to continue until the script exports one.
        networks: The networks that would have received weights, in order.
        exported: The network that was exported, or None.
        inputs: The tensors that it was exported with.
        models: The networks that a ``Model`` was made of.
        shapes: For each of ``networks``, the names and shapes of its parameters then: a later wrapper renames them.
    """

    stop_at: int | None = None
    stop_at_export: bool = False
    networks: list[Any] = field(default_factory=list)
    exported: Any = None
    inputs: tuple[Any, ...] = ()
    models: list[Any] = field(default_factory=list)
    shapes: list[dict[str, tuple[int, ...]]] = field(default_factory=list)

    def hooks(self) -> dict[str, object]:
        """Return the replacements for MindSpore's functions, by their dotted names."""
        import mindspore  # noqa: PLC0415

        context = _Context(mindspore.get_context("device_target"))
        hooks: dict[str, object] = {
            "mindspore.load_checkpoint": self._load_checkpoint,
            "mindspore.train.serialization.load_checkpoint": self._load_checkpoint,
            "mindspore.train.serialization.load": self._load_checkpoint,
            "mindspore.load_param_into_net": self._load_param_into_net,
            "mindspore.train.serialization.load_param_into_net": self._load_param_into_net,
            "mindspore.export": self._export,
            "mindspore.train.serialization.export": self._export,
            "mindspore.save_checkpoint": _nothing,
            "mindspore.train.serialization.save_checkpoint": _nothing,
            "mindspore.Model": _model(self),
            "mindspore.set_context": context.set,
            "mindspore.get_context": context.get,
            "mindspore.context.set_context": context.set,
            "mindspore.context.get_context": context.get,
            "mindspore.set_device": context.set_device,
            "mindspore.set_seed": _seed,
            "mindspore.common.set_seed": _seed,
            "mindspore.set_auto_parallel_context": _nothing,
            "mindspore.context.set_auto_parallel_context": _nothing,
            "mindspore.reset_auto_parallel_context": _nothing,
            "mindspore.context.reset_auto_parallel_context": _nothing,
            "mindspore.set_ps_context": _nothing,
            "mindspore.context.set_ps_context": _nothing,
            "mindspore.set_dump": _nothing,
        }
        datasets = __import__("mindspore.dataset", fromlist=["_"])
        for name in _SOURCES:
            if hasattr(datasets, name):
                hooks[f"mindspore.dataset.{name}"] = _source(getattr(datasets, name))
        return hooks

    def take(self, network: Any) -> None:  # noqa: ANN401 - a Cell
        """Record a network that would receive weights; stop if it is the wanted one."""
        from mindspore import nn  # noqa: PLC0415

        if not isinstance(network, nn.Cell):
            return
        if not any(network is known for known in self.networks):
            self.networks.append(network)
            self.shapes.append(shapes_of(network))
        if self.stop_at is not None and len(self.networks) >= self.stop_at:
            raise StopCapture

    def _load_checkpoint(self, *args: Any, **kwargs: Any) -> EmptyCheckpoint:  # noqa: ANN401 - MindSpore's signature
        network = kwargs.get("net", args[1] if len(args) > 1 else None)
        if network is not None:
            self.take(network)
        return EmptyCheckpoint()

    def _load_param_into_net(self, net: Any, *_: object, **__: object) -> Any:  # noqa: ANN401 - MindSpore's signature
        self.take(net)
        return EmptyLoadResult()

    def _export(self, net: Any, *inputs: Any, **_: object) -> None:  # noqa: ANN401 - MindSpore's signature
        from mindspore import nn  # noqa: PLC0415

        if isinstance(net, nn.Cell):
            self.exported = net
            self.inputs = inputs
        if not self.networks or self.stop_at_export or self.stop_at is not None:
            self.take(net)
        raise StopCapture


def shapes_of(network: Any) -> dict[str, tuple[int, ...]]:  # noqa: ANN401 - a Cell
    """Return the name and shape of each parameter of a network."""
    return {name: tuple(parameter.shape) for name, parameter in network.parameters_dict().items()}


class EmptyCheckpoint(dict[str, Any]):
    """An empty checkpoint: it accepts every look-up and removal."""

    def __missing__(self, name: str) -> Any:  # noqa: ANN401 - a Parameter
        import mindspore  # noqa: PLC0415

        return mindspore.Parameter(mindspore.Tensor([0.0], mindspore.float32), name=name)

    def __delitem__(self, name: str) -> None:
        self.pop(name, None)

    def pop(self, name: str, default: Any = None) -> Any:  # noqa: ANN401 - as the original
        """Take nothing out."""
        return super().pop(name, default)


class EmptyLoadResult(list[Any]):
    """The result of placing weights: no names left over, as one list (1.x) and as two lists (2.x)."""

    def __iter__(self) -> Any:  # noqa: ANN401 - an iterator
        return iter(([], []))


class EmptyDataset(Stub):
    """Replaces a data set whose files do not exist: it accepts every transformation, and has no rows."""

    def get_dataset_size(self) -> int:
        """Return 1: many scripts divide by it."""
        return 1

    def get_batch_size(self) -> int:
        """Return 1."""
        return 1

    def get_repeat_count(self) -> int:
        """Return 1."""
        return 1

    def num_classes(self) -> None:
        """Return None: the number is not known."""

    def __call__(self, *_: object, **__: object) -> EmptyDataset:
        """Return itself, whatever it is called with."""
        return self

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - as it says
        if name.startswith("__"):
            raise AttributeError(name)
        return self

    def create_dict_iterator(self, *_: object, **__: object) -> Any:  # noqa: ANN401 - an iterator
        """Return no rows."""
        return iter(())

    create_tuple_iterator = create_dict_iterator


class _Context:
    """MindSpore's context for a script: its settings stay here, and the real device is used."""

    def __init__(self, device: str) -> None:
        self._own: dict[str, Any] = {"device_target": device}

    def set(self, **settings: Any) -> None:  # noqa: ANN401 - MindSpore's signature
        settings.pop("device_target", None)
        self._own.update(settings)

    def get(self, key: str) -> Any:  # noqa: ANN401 - any setting
        import mindspore  # noqa: PLC0415

        return self._own[key] if key in self._own else mindspore.get_context(key)

    def set_device(self, *_: object, **__: object) -> None:
        """Keep the real device."""


def _model(capture: NetworkCapture) -> Any:  # noqa: ANN401 - a class of MindSpore
    import mindspore  # noqa: PLC0415

    class Model(mindspore.Model):  # type: ignore[misc] # MindSpore has no types
        """A model that records its network, and neither trains nor evaluates."""

        def __init__(self, network: Any, *_: object, **__: object) -> None:  # noqa: ANN401 - MindSpore's signature
            if isinstance(network, mindspore.nn.Cell):
                capture.models.append(network)
            self._network = network
            self._eval_network = network

        def train(self, *_: object, **__: object) -> None:
            raise StopCapture

        def eval(self, *_: object, **__: object) -> None:
            raise StopCapture

        def predict(self, *_: object, **__: object) -> None:
            raise StopCapture

    return Model


def _source(real: Callable[..., Any]) -> Callable[..., Any]:
    def open_source(*args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 - any data set
        try:
            return real(*args, **kwargs)
        except (OSError, RuntimeError, TypeError, ValueError):
            return EmptyDataset()

    return open_source


def _seed(seed: int) -> None:
    from hubtool.networks.compat.noop import set_seed  # noqa: PLC0415

    set_seed(seed)


def _nothing(*_: object, **__: object) -> None:
    """Do nothing."""
