"""Run one job beside MindSpore 2.0.0: ``python3.9 mindspore20.py JOB``; the record goes to ``HUBTOOL_ANSWER``.

Code of the branches r1.3 to r1.10 runs on MindSpore 2.0.0 as it is, but for the stand-ins below: few names of MindSpore
1.x are gone there. This process belongs to the job: it replaces what it needs in the modules themselves.
"""

from __future__ import annotations

import argparse
import builtins
import collections.abc
import contextlib
import enum
import fractions
import importlib
import importlib.abc
import importlib.machinery
import importlib.util
import json
import math
import os
import runpy
import signal
import sys
import time
import types
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

    from maintain.oracle import answers
else:
    import answers  # Python looks in the folder of this file first

_PATIENCE = 30  # seconds that a script may go on after its networks are there
_SOURCES = (
    *("CLUEDataset", "CSVDataset", "CelebADataset", "Cifar100Dataset", "Cifar10Dataset", "CocoDataset"),
    *("GeneratorDataset", "GraphData", "ImageFolderDataset", "ManifestDataset", "MindDataset", "MnistDataset"),
    *("NumpySlicesDataset", "PaddedDataset", "TFRecordDataset", "TextFileDataset", "VOCDataset"),
)
_ENVIRONMENT = {"DEVICE_ID": "0", "DEVICE_NUM": "1", "RANK_ID": "0", "RANK_SIZE": "1", "RANK_TABLE_FILE": ""}


def _nothing(*_: object, **__: object) -> None:
    """Do nothing."""


def _given(tensor: Any) -> Any:  # noqa: ANN401 - a Tensor
    """Return a tensor with the values that its initializer gives it."""
    return tensor.init_data() if tensor.has_init else tensor


def _zero(*_: object, **__: object) -> int:
    """Return the rank of the one process."""
    return 0


def _one(*_: object, **__: object) -> int:
    """Return how many processes there are."""
    return 1


_ONE_PROCESS: dict[str, Any] = {
    **dict.fromkeys(("init", "release", "create_group"), _nothing),
    **dict.fromkeys(("get_rank", "get_local_rank"), _zero),
    **dict.fromkeys(("get_group_size", "get_local_rank_size"), _one),
}


class StopScript(BaseException):
    """Ends a script that is done with its networks; handlers for Exception do not catch it."""


class Absent:
    """Stands for data that are not there: it can be passed around, and has no rows."""

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - whatever the code expects
        if name.startswith("__"):
            raise AttributeError(name)
        return self

    def __call__(self, *_: object, **__: object) -> Absent:
        """Return itself, whatever it is called with."""
        return self

    def __iter__(self) -> Any:  # noqa: ANN401 - an iterator
        return iter(())

    def __getitem__(self, _: object) -> Absent:
        return self

    def __setitem__(self, _: object, __: object) -> None:
        pass

    def __enter__(self) -> Absent:  # noqa: PYI034 - Python 3.9 has no Self
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def get_dataset_size(self) -> int:
        """Return 1: many scripts divide by it."""
        return 1

    get_batch_size = get_repeat_count = get_dataset_size

    def num_classes(self) -> None:
        """Return None: the number is not known."""

    def create_dict_iterator(self, *_: object, **__: object) -> Any:  # noqa: ANN401 - an iterator
        """Return no rows."""
        return iter(())

    create_tuple_iterator = create_dict_iterator


class AbsentCheckpoint(dict):  # type: ignore[type-arg] # Python 3.9
    """An empty checkpoint: it accepts every look-up and removal."""

    def __missing__(self, name: str) -> Any:  # noqa: ANN401 - a Parameter
        import mindspore as ms  # noqa: PLC0415

        return ms.Parameter(ms.Tensor([0.0], ms.float32), name=name)

    def __delitem__(self, name: str) -> None:
        dict.pop(self, name, None)

    def pop(self, name: str, default: Any = None) -> Any:  # noqa: ANN401 - as the original
        """Take nothing out."""
        return dict.pop(self, name, default)


class Leftovers(list):  # type: ignore[type-arg] # Python 3.9
    """The names that found no parameter: none, as one list (1.x) and as two (2.x)."""

    def __iter__(self) -> Any:  # noqa: ANN401 - an iterator
        return iter(([], []))


class AbsentPackage(types.ModuleType):
    """A package that is not installed: importing it works, calling it is an error."""

    def __init__(self, name: str, harmless: frozenset[str]) -> None:
        super().__init__(name)
        self.__path__: list[str] = []
        self.__harmless = harmless

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - whatever the code expects
        if name.startswith(("__", "_AbsentPackage__")):
            raise AttributeError(name)
        value = _absent(f"{self.__name__}.{name}", self.__harmless)
        setattr(self, name, value)
        return value


class AbsentMember(type):
    """The metaclass of an absent package's members: they are classes, so that code can inherit from them."""

    dotted: str
    harmless: frozenset[str]

    def __call__(cls, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 - whatever the code expects
        """Decorate, do nothing, or say that the package is not installed."""
        if cls.dotted in cls.harmless or cls.dotted.startswith("moxing."):
            is_decorator = len(args) == 1 and not kwargs and isinstance(args[0], types.FunctionType)
            return args[0] if is_decorator else _absent(cls.dotted, cls.harmless)
        if len(args) == 1 and not kwargs and isinstance(args[0], (types.FunctionType, type)):
            return args[0]  # a decorator: the function stays unchanged, and fails when it calls the package
        raise RuntimeError(f"{cls.dotted} was called, and it is not installed beside MindSpore 2.0.0")

    def __getattr__(cls, name: str) -> Any:  # noqa: ANN401 - whatever the code expects
        if name.startswith("__"):
            raise AttributeError(name)
        return _absent(f"{cls.dotted}.{name}", cls.harmless)

    def __or__(cls, _: object) -> Any:  # noqa: ANN401 - as the original
        return cls

    def __add__(cls, _: object) -> Any:  # noqa: ANN401 - flags are combined
        return cls

    def __iter__(cls) -> Any:  # noqa: ANN401 - nothing to iterate over
        return iter(())


def _absent(dotted: str, harmless: frozenset[str]) -> Any:  # noqa: ANN401 - whatever the code expects
    members = {"dotted": dotted, "harmless": harmless, "__module__": __name__}
    return AbsentMember(dotted.rpartition(".")[2], (), members)


class Finder(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Finds what no other finder does: modules elsewhere in the folder, and packages that are not installed."""

    def __init__(self, folder: str, absent: frozenset[str], harmless: frozenset[str]) -> None:
        self._folder, self._absent, self._harmless = folder, absent, harmless

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> Any:  # noqa: ANN401, ARG002 - as the base
        """Return a module's specification, or None."""
        head = name.partition(".")[0]
        if path is None:
            # Shell scripts of these models set PYTHONPATH; the folders that they would add are found by name.
            root = Path(self._folder)
            found = [file.parent for file in root.rglob(f"{head}.py")]
            found += [file.parent.parent for file in root.rglob(f"{head}/__init__.py")]
            for place in sorted(found, key=lambda one: (len(one.parts), str(one))):
                if str(place) not in sys.path:
                    sys.path.append(str(place))
                    return importlib.machinery.PathFinder.find_spec(name, [str(place)])
        if head in self._absent or any(name == one or name.startswith(one + ".") for one in self._absent):
            return importlib.machinery.ModuleSpec(name, self, is_package=True)
        return None

    def create_module(self, spec: Any) -> Any:  # noqa: ANN401 - as the base
        """Return the stand-in."""
        return AbsentPackage(spec.name, self._harmless)

    def exec_module(self, module: Any) -> None:  # noqa: ANN401 - as the base
        """Do nothing."""


def main() -> None:
    """Do the job, and end without waiting for threads that the code started."""
    job = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    pipe = int(os.environ.pop("HUBTOOL_ANSWER"))

    def say(record: dict[str, Any]) -> None:
        os.write(pipe, json.dumps(record).encode() + b"\n")

    try:
        import mindspore as ms  # noqa: PLC0415 - it may be another version, which is an answer

        rule = answers.load_rule(job["rule"])
        os.chdir(job["folder"])
        networks = answers.ScriptNetworks()
        failed = run_script(job, networks)
        networks.called = _nothing  # type: ignore[method-assign] # only its own calls count
        say(answers.answer(ms, rule, networks, job, failed=failed, say=say))
    except BaseException as error:  # noqa: BLE001 - the code may raise anything, and the record says what
        say({"reason": f"the oracle failed: {answers.first_line(error)}"})
    finally:
        os._exit(0)


def run_script(job: dict[str, Any], networks: answers.ScriptNetworks) -> str:
    """Run the job's script; return why it failed, or nothing."""
    import mindspore as ms  # noqa: PLC0415 - after its stand-ins are wanted

    warnings.simplefilter("ignore")
    ms.set_context(mode=ms.PYNATIVE_MODE, device_target="CPU")
    folder = str(Path.cwd())
    script = os.path.join(folder, job["entry"])  # noqa: PTH118 - sys.argv holds text
    _python(folder)
    _mindspore(networks)
    sys.meta_path.append(Finder(folder, frozenset(job["absent"]), frozenset(job["harmless"])))
    sys.path[0] = folder
    sys.path.insert(0, os.path.dirname(script))  # noqa: PTH120 - sys.path holds text
    sys.argv = [script, *job["argv"]]
    for name, value in _ENVIRONMENT.items():
        os.environ.setdefault(name, value)

    rings = 0

    def enough(*_: object) -> None:
        nonlocal rings
        rings += 1
        if networks.taken or rings == answers.RINGS:
            raise StopScript
        signal.alarm(_PATIENCE)

    signal.signal(signal.SIGALRM, enough)
    signal.alarm(_PATIENCE)
    try:
        runpy.run_path(script, run_name="__main__")
    except StopScript:
        return answers.WAITS if rings == answers.RINGS and not networks.taken else ""
    except SystemExit as error:
        return f"the script ended the program with {error.code!r}"
    except BaseException as error:  # noqa: BLE001 - the code may raise anything, and the record says what
        return answers.failure(error, folder)
    finally:
        signal.alarm(0)
    return ""


def _python(folder: str) -> None:
    """Give Python, NumPy and PyYAML what they had when the code was written."""
    import yaml  # noqa: PLC0415 - only this process needs it

    for name in ("Callable", "Hashable", "Iterable", "Iterator", "Mapping", "MutableMapping", "Sequence"):
        if name not in vars(collections):
            setattr(collections, name, getattr(collections.abc, name))
    fractions.gcd = math.gcd  # type: ignore[attr-defined] # gone since Python 3.9
    time.sleep = answers.impatient(StopScript)
    time.clock = time.perf_counter  # type: ignore[attr-defined] # gone since Python 3.8
    np.asscalar = lambda array: array.item()  # type: ignore[attr-defined] # gone since NumPy 1.23
    loading: Any = yaml  # the loader became required in PyYAML 6
    for name in ("load", "load_all"):
        setattr(loading, name, _with_default(getattr(yaml, name), yaml.FullLoader))

    def refuse(_: argparse.ArgumentParser, message: str) -> None:
        raise ValueError(f"the script refused its arguments: {message}")

    argparse.ArgumentParser.error = refuse  # type: ignore[method-assign,assignment] # it would end the process
    real_open, real_exists, real_isfile = builtins.open, os.path.exists, os.path.isfile

    def is_checkpoint(path: Any) -> bool:  # noqa: ANN401 - as the original
        return isinstance(path, (str, os.PathLike)) and str(path).endswith(".ckpt")

    os.path.exists = lambda path: real_exists(path) or is_checkpoint(path)
    os.path.isfile = lambda path: real_isfile(path) or is_checkpoint(path)

    def open_near(file: Any, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 - as the original
        """Open; a relative path that does not exist is looked up in the model's folder."""
        if isinstance(file, (str, os.PathLike)) and not Path(file).is_absolute() and not Path(file).exists():
            parts = [part for part in Path(file).parts if part != os.pardir]
            if parts and Path(folder, *parts).is_file():
                file = Path(folder, *parts)
        return real_open(file, *args, **kwargs)

    builtins.open = open_near

    def lenient(real: Callable[..., None]) -> Callable[..., None]:
        def make(*args: Any, **kwargs: Any) -> None:  # noqa: ANN401 - as the original
            with contextlib.suppress(OSError):  # the job writes into its own folder only
                real(*args, **kwargs)

        return make

    os.makedirs, os.mkdir = lenient(os.makedirs), lenient(os.mkdir)
    if importlib.util.find_spec("tqdm") is None:
        bars = types.ModuleType("tqdm")
        bars.tqdm = lambda iterable=None, *_, **__: Absent() if iterable is None else iterable  # type: ignore[attr-defined]
        bars.trange = range  # type: ignore[attr-defined]
        sys.modules["tqdm"] = bars
    builtins.__stub__ = Absent()  # type: ignore[attr-defined] # the value of the statements that are left out


def _with_default(real: Callable[..., Any], default: Any) -> Callable[..., Any]:  # noqa: ANN401 - a class
    return lambda stream, Loader=default: real(stream, Loader)  # noqa: N803 - as the original


def _mindspore(networks: answers.ScriptNetworks) -> None:
    """Give MindSpore 2.0.0 what 1.x had, and take the networks where weights would go in."""
    import mindspore as ms  # noqa: PLC0415 - after its context is set
    import mindspore.dataset as data  # noqa: PLC0415 - likewise
    from mindspore import _checkparam, common, communication, context, nn, ops, train  # noqa: PLC0415 - likewise
    from mindspore.train import serialization  # noqa: PLC0415 - likewise

    def take(network: Any) -> None:  # noqa: ANN401 - a Cell
        if isinstance(network, nn.Cell):
            networks.take(network, "load")

    def load_checkpoint(*args: Any, **kwargs: Any) -> AbsentCheckpoint:  # noqa: ANN401 - as the original
        take(kwargs.get("net", args[1] if len(args) > 1 else None))
        return AbsentCheckpoint()

    def load_param_into_net(net: Any, *_: object, **__: object) -> Leftovers:  # noqa: ANN401 - as the original
        take(net)
        return Leftovers()

    def export(net: Any, *inputs: Any, **_: object) -> None:  # noqa: ANN401 - as the original
        if isinstance(net, nn.Cell):
            networks.export(net, inputs)
        raise StopScript

    class Model(ms.Model):  # type: ignore[misc] # MindSpore has no types
        """A model that records its network, and neither trains nor evaluates."""

        def __init__(self, network: Any = None, *_: object, **__: object) -> None:  # noqa: ANN401 - as the original
            if isinstance(network, nn.Cell):
                networks.take(network, "model")
            self._network = self._eval_network = network

        def train(self, *_: object, **__: object) -> None:
            raise StopScript

        eval = predict = train

    own: dict[str, Any] = {"device_target": "CPU"}
    real_get = context.get_context

    def set_context(**settings: Any) -> None:  # noqa: ANN401 - as the original
        settings.pop("device_target", None)
        own.update(settings)

    def get_context(key: str) -> Any:  # noqa: ANN401 - as the original
        return own[key] if key in own else real_get(key)

    for module in (ms, serialization, train):
        for function in (load_checkpoint, load_param_into_net, export):
            setattr(module, function.__name__, function)
        module.save_checkpoint = _nothing
    serialization.load = load_checkpoint
    ms.Parameter.set_parameter_data = ms.Parameter.set_data  # its name in 0.x, which 2.0.0 no longer has
    ms.Model = train.Model = train.model.Model = Model
    for module in (ms, context):
        module.set_context, module.get_context = set_context, get_context
        module.set_auto_parallel_context = module.reset_auto_parallel_context = module.set_ps_context = _nothing
    for name, value in _ONE_PROCESS.items():
        real = getattr(communication, name)
        for module in [module for key, module in sys.modules.items() if key.startswith("mindspore.")]:
            if vars(module).get(name) is real:
                setattr(module, name, value)
        setattr(communication, name, value)
    for name in _SOURCES:
        real_source: Any = vars(data).get(name)
        if real_source is None:
            continue
        stand_in = _source(real_source)
        for module in [module for key, module in sys.modules.items() if key.startswith("mindspore.dataset")]:
            if vars(module).get(name) is real_source:
                setattr(module, name, stand_in)  # code takes it from ``mindspore.dataset.engine`` too

    relations = ("EQ", "NE", "LT", "LE", "GT", "GE", "INC_NEITHER", "INC_LEFT", "INC_RIGHT", "INC_BOTH", "IN", "NOT_IN")
    relation = enum.Enum("Rel", {name: getattr(_checkparam, name) for name in relations})  # type: ignore[misc]

    def plain(value: Any) -> Any:  # noqa: ANN401 - any value
        return value.value if isinstance(value, relation) else value

    class Functions(type):
        def __getattr__(cls, name: str) -> Any:  # noqa: ANN401 - any function
            function = getattr(_checkparam, {"check_integer": "check_int"}.get(name, name))
            return lambda *args, **kwargs: function(*map(plain, args), **{key: plain(v) for key, v in kwargs.items()})

    class Validator(metaclass=Functions):
        """The checks, under their unchanged names."""

    _checkparam.Validator, _checkparam.Rel = Validator, relation
    _checkparam.check_int_positive = _checkparam.check_positive_int
    serialization._check_checkpoint_param = _nothing  # noqa: SLF001 - gone; the script's own checks use it
    ms.Tensor.to_tensor = _given  # what an initializer gave had this method
    real_dot = ops.dot

    def dot(x1: Any, x2: Any) -> Any:  # noqa: ANN401 - tensors
        """Multiply, with the names that 1.x had."""
        return real_dot(x1, x2)

    ops.dot = ops.composite.dot = dot
    common.initializer.random_normal = _nothing  # 1.x filled an array with it; the rule fills it anew
    ops.operations.Sum = ops.ReduceSum
    ops.functional.control_depend = _nothing
    for old, now in (
        ("mindspore.nn.transformer", "mindspore.parallel._transformer"),
        ("mindspore.nn.metrics.metric", "mindspore.train.metrics.metric"),
        ("mindspore.dataset.transforms.vision", "mindspore.dataset.vision"),
        ("mindspore.dataset.transforms.vision.c_transforms", "mindspore.dataset.vision.c_transforms"),
        ("mindspore.dataset.transforms.vision.py_transforms", "mindspore.dataset.vision.py_transforms"),
    ):
        try:
            module = importlib.import_module(now)
        except ImportError:
            continue
        sys.modules.setdefault(old, module)
        parent, _, name = old.rpartition(".")
        if parent in sys.modules and not hasattr(sys.modules[parent], name):
            setattr(sys.modules[parent], name, module)

    # Code divides a side by a whole number, or a place in a list, and gives the quotient as a size or an index. Shape
    # inference took the whole part of it (that of ResizeBilinear still does); the checks before it are newer.
    for kind in (ops.ResizeBilinear, ops.ResizeNearestNeighbor):
        kind.__init__ = _with_whole(kind.__init__)
    nn.ResizeBilinear.construct = _with_whole(nn.ResizeBilinear.construct, at=2)
    for kind in (ops.Reshape, ops.Tile):
        kind.__call__ = _with_whole(kind.__call__, at=2, exact=True)
    nn.MaxPool2d.__init__ = _with_whole(_with_whole(nn.MaxPool2d.__init__), at=2)
    nn.CellList.__getitem__ = _with_whole(nn.CellList.__getitem__)

    real_cast = ops.Cast.__call__

    def cast(self: Any, value: Any, dtype: Any) -> Any:  # noqa: ANN401 - as the original
        """Leave None as it is: detectors cast labels that only training gives, and graphs dropped what came of it."""
        return None if value is None else real_cast(self, value, dtype)

    ops.Cast.__call__ = cast
    real_dropout = nn.Dropout.__init__

    def dropout(self: Any, keep_prob: Any = 0.5, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 - as the original
        """Take any number: 1.x did, and 2.0.0 insists on float."""
        real_dropout(self, float(keep_prob), *args, **kwargs)

    nn.Dropout.__init__ = dropout
    real_call = nn.Cell.__call__

    def call(self: Any, *inputs: Any, **kwargs: Any) -> Any:  # noqa: ANN401 - as the original
        if networks.taken and not kwargs:
            networks.called(self, inputs)
        return real_call(self, *inputs, **kwargs)

    nn.Cell.__call__ = call


def _with_whole(real: Callable[..., Any], at: int = 1, *, exact: bool = False) -> Callable[..., Any]:
    """Return a method that takes the whole part of its argument at a place, and of each number of a tuple there.

    Args:
        real: The method.
        at: The place.
        exact: Whether only quotients without a remainder are taken.
    """

    def whole(value: Any) -> Any:  # noqa: ANN401 - any value
        if isinstance(value, (tuple, list)):
            return type(value)(map(whole, value))
        return int(value) if isinstance(value, float) and not (exact and value % 1) else value

    def method(*args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 - as the original
        kwargs = {name: whole(value) if name in {"size", "shape"} else value for name, value in kwargs.items()}
        return real(*(whole(value) if place == at else value for place, value in enumerate(args)), **kwargs)

    return method


def _source(real: Callable[..., Any]) -> Callable[..., Any]:
    def open_source(*args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 - any data set
        try:
            return real(*args, **kwargs)
        except (OSError, RuntimeError, TypeError, ValueError):
            return Absent()

    return open_source


if __name__ == "__main__":
    main()
