"""The steps of preprocessing that recorded operations are; none where one of them is not understood. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_INTERPOLATIONS = {
    "NEAREST": "nearest",
    "LINEAR": "bilinear",
    "BILINEAR": "bilinear",
    "BICUBIC": "bicubic",
    "CUBIC": "bicubic",
    "AREA": "area",
    "PILCUBIC": "bicubic",  # Pillow's own, in MindSpore's operations on arrays too
}
_IMAGE_COLUMNS = frozenset({"image", "img", "images", "data", "x"})
# The data sets that MindSpore reads, with the order of the channels that their pictures have.
_READ = {"Cifar10Dataset": "RGB", "Cifar100Dataset": "RGB", "MnistDataset": "gray"}
_FILES = frozenset({"ImageFolderDataset", "ImageFolderDatasetV2", "MindDataset", "TFRecordDataset"})
_FOLDERS = frozenset({"ImageFolderDataset", "ImageFolderDatasetV2"})
_FLOATS = frozenset({"float32", "float16", "float_"})


class UnknownStepError(Exception):
    """An operation that is not understood; its text is the reason."""


def of_dataset(dataset: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the steps of a recorded data set.

    Raises:
        UnknownStepError: If not all of them are known.
    """
    if dataset["odd"]:
        raise UnknownStepError(dataset["odd"][0])
    kind = dataset["kind"]
    if kind not in _READ and kind not in _FILES:
        raise UnknownStepError(f"the pictures come from a {kind}")
    operations: list[Any] = []
    if dataset["arguments"].get("decode") is True:
        operations.append({"operation": "mindspore.dataset.vision.c_transforms.Decode", "args": [], "kwargs": {}})
    for entry in dataset["maps"]:
        columns = entry["columns"]
        if columns is None or (isinstance(columns, list) and len(columns) == 1 and columns[0] in _IMAGE_COLUMNS):
            operations += entry["operations"]
        elif isinstance(columns, list) and not any(one in _IMAGE_COLUMNS for one in columns):
            continue  # of the label
        else:
            raise UnknownStepError("operations take several columns")
    return of_operations(operations, color=_READ.get(kind))


def numbers_are_folders(dataset: Mapping[str, Any]) -> bool:
    """Whether a class of a recorded data set is numbered by its folder's place in the sorted folders, from 0.

    It is if the pictures are in one folder for each class, nothing says another order, and no operation but a type cast
    changes the label.
    """
    if dataset["kind"] not in _FOLDERS or dataset["odd"] or dataset.get("places", 2) > 1:
        return False
    if dataset["arguments"].get("class_indexing") is not None:
        return False
    for entry in dataset["maps"]:
        columns, listed = entry["columns"], entry["operations"]
        if columns is None or (isinstance(columns, list) and len(columns) == 1 and columns[0] in _IMAGE_COLUMNS):
            continue  # of the picture
        casts = all(isinstance(one, dict) and str(one.get("operation", "")).endswith(".TypeCast") for one in listed)
        if columns != ["label"] or not casts:
            return False
    return True


def of_operations(operations: Sequence[Any], *, color: str | None = None) -> list[dict[str, Any]]:
    """Return the steps of a list of operations.

    Args:
        operations: The operations, as recorded.
        color: The order of the channels of pictures that are decoded already; None for the bytes of files.

    Raises:
        UnknownStepError: If not all of them are known.
    """
    state = _State(color)
    for one in _flat(operations):
        state.add(one)
    return state.done()


def size_of(steps: Sequence[Mapping[str, Any]]) -> tuple[int, int] | None:
    """Return height and width of what some steps make of any picture; None if that depends on the picture."""
    for step in reversed(steps):
        for key in ("crop", "resize", "pad"):
            if key in step:
                size = step[key].get("size")
                return (size[0], size[1]) if size else None
    return None


def _flat(operations: Sequence[Any]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    for one in operations:
        if isinstance(one, list):
            found += _flat(one)
        elif not isinstance(one, dict) or "operation" not in one:
            told = one.get("python") if isinstance(one, dict) else None
            raise UnknownStepError(f"{told or 'something'} is an operation of the repository's own")
        elif one["operation"].endswith((".Compose", ".ComposeOp")):
            found += _flat([one["args"][0] if one["args"] else one["kwargs"].get("transforms", [])])
        else:
            found.append(one)
    return found


class _State:
    """The steps so far, and what the picture is after them."""

    def __init__(self, color: str | None) -> None:
        self.steps: list[dict[str, Any]] = [] if color is None else [{"color": color}]
        self.decoded = color is not None
        self.pillow = False  # pictures of Pillow, which makes smaller ones with antialias
        self.layout = "HWC"
        self._only_c = False

    def add(self, one: Mapping[str, Any]) -> None:
        """Add an operation."""
        path, name = one["operation"], one["operation"].rpartition(".")[2]
        args, kwargs = list(one["args"]), dict(one["kwargs"])
        python = "py_transforms" in path
        self._only_c = "c_transforms" in path
        method = getattr(self, f"_{name.lower()}", None)
        if method is None or name not in _KNOWN:
            raise UnknownStepError(f"{name} is no step that is known")
        if not self.decoded and name != "Decode":
            raise UnknownStepError("pictures are not decoded first")
        method(args, kwargs, python=python)

    def done(self) -> list[dict[str, Any]]:
        """Return the steps."""
        if not self.decoded:
            raise UnknownStepError("pictures are not decoded")
        if self.layout != "CHW":
            raise UnknownStepError("the axes are not put in order")
        # To normalise each channel before or behind it is the same, and `hubtool run` wants it last.
        return [step for step in self.steps if "layout" not in step] + [{"layout": "CHW"}]

    def _decode(self, args: list[Any], kwargs: dict[str, Any], *, python: bool) -> None:
        # That of c_transforms has one argument, rgb; the later one that stands for both kinds has to_pil.
        if kwargs.get("rgb", True) is not True or (self._only_c and args and args[0] is not True):
            raise UnknownStepError("Decode makes another order of channels")
        self.decoded = True
        self.pillow = python or (not self._only_c and (args[0] if args else kwargs.get("to_pil")) is True)
        self.steps.append({"color": "RGB"})

    def _resize(self, args: list[Any], kwargs: dict[str, Any], *, python: bool) -> None:
        size = args[0] if args else kwargs.get("size")
        chosen = kwargs.get("interpolation", args[1] if len(args) > 1 else None)
        name = chosen["name"].rpartition(".")[2] if isinstance(chosen, dict) and "name" in chosen else chosen
        kind = "bilinear" if name is None else _INTERPOLATIONS.get(str(name))
        if kind is None:
            raise UnknownStepError(f"Resize with {name}")
        step: dict[str, Any] = {}
        if type(size) is int:
            step["shorter"] = size
        elif isinstance(size, list) and len(size) == 2 and all(type(side) is int for side in size):
            step["size"] = size
        else:
            raise UnknownStepError("Resize to a size that is not known")
        if kind != "bilinear":
            step["interpolation"] = kind
        if self._is_pillow(python=python) or name == "PILCUBIC":
            step["antialias"] = True
        self.steps.append({"resize": step})

    def _centercrop(self, args: list[Any], kwargs: dict[str, Any], *, python: bool) -> None:
        size = args[0] if args else kwargs.get("size")
        self._is_pillow(python=python)
        if type(size) is int:
            size = [size, size]
        if not isinstance(size, list) or len(size) != 2 or not all(type(side) is int for side in size):
            raise UnknownStepError("CenterCrop to a size that is not known")
        self.steps.append({"crop": {"size": size}})

    def _rescale(self, args: list[Any], kwargs: dict[str, Any], *, python: bool) -> None:
        factor = args[0] if args else kwargs.get("rescale")
        shift = args[1] if len(args) > 1 else kwargs.get("shift")
        if (
            self._is_pillow(python=python)
            or not isinstance(factor, (int, float))
            or not isinstance(shift, (int, float))
        ):
            raise UnknownStepError("Rescale by what is not known")
        self.steps.append({"rescale": {"factor": _number(factor), **({"shift": _number(shift)} if shift else {})}})

    def _normalize(self, args: list[Any], kwargs: dict[str, Any], *, python: bool) -> None:
        mean = args[0] if args else kwargs.get("mean")
        deviation = args[1] if len(args) > 1 else kwargs.get("std")
        if python and self.layout != "CHW":
            raise UnknownStepError("Normalize before ToTensor")
        if self.layout == "CHW" and not python and kwargs.get("is_hwc", True) is not False:
            raise UnknownStepError("Normalize with axes in another order")
        numbers = [
            [_number(one) for one in listed] if isinstance(listed, list) and all(map(_is_number, listed)) else None
            for listed in (mean, deviation)
        ]
        if numbers[0] is None or numbers[1] is None or len(numbers[0]) != len(numbers[1]):
            raise UnknownStepError("Normalize with what is not known")
        self.steps.append({"normalize": {"mean": numbers[0], "std": numbers[1]}})

    def _hwc2chw(self, _: list[Any], __: dict[str, Any], *, python: bool) -> None:
        if self.layout == "CHW" or self._is_pillow(python=python):
            raise UnknownStepError("HWC2CHW where it does not fit")
        self.layout = "CHW"
        self.steps.append({"layout": "CHW"})

    def _totensor(self, args: list[Any], kwargs: dict[str, Any], *, python: bool) -> None:
        del python  # that of both kinds does the same
        kind = args[0] if args else kwargs.get("output_type")
        name = kind.get("name", "") if isinstance(kind, dict) else "" if kind is None else "?"
        if self.layout == "CHW" or (name and "float" not in name):
            raise UnknownStepError("ToTensor where it does not fit")
        self.layout, self.pillow = "CHW", False
        self.steps += [{"rescale": {"factor": 1 / 255}}, {"layout": "CHW"}]

    def _typecast(self, args: list[Any], kwargs: dict[str, Any], *, python: bool) -> None:
        del python  # that of both kinds does the same
        kind = args[0] if args else kwargs.get("data_type", kwargs.get("output_type"))
        name = kind["name"].rpartition(".")[2] if isinstance(kind, dict) and "name" in kind else str(kind)
        if name not in _FLOATS:
            raise UnknownStepError(f"TypeCast to {name}")

    def _topil(self, _: list[Any], __: dict[str, Any], *, python: bool) -> None:
        del python
        self.pillow = True

    def _is_pillow(self, *, python: bool) -> bool:
        """Whether the picture is one of Pillow; the two kinds of operations do not take each other's pictures."""
        if python and not self.pillow:
            raise UnknownStepError("an operation on pictures of Pillow gets none")
        return self.pillow


_KNOWN = frozenset(
    {"Decode", "Resize", "CenterCrop", "Rescale", "Normalize", "HWC2CHW", "ToTensor", "TypeCast", "ToPIL"}
)


def _is_number(value: object) -> bool:
    return type(value) in {int, float}


def _number(value: float) -> float:
    """Return a number without the last digits of a product, such as 57.12 for 0.224 * 255."""
    short = float(f"{value:.12g}")
    return short if value != 1 / 255 else value
