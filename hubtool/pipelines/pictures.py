"""From a picture to the input of a network, by the steps of a card.

Sizes are changed by the libraries that evaluation scripts use: MindSpore's own transformations, or Pillow where a step
says ``antialias``. The rest is arithmetic.
"""

from __future__ import annotations

import os
import warnings
from typing import TYPE_CHECKING, Any, Final

from hubtool.errors import ArgumentError, ArgumentTypeError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from hubtool.pipelines.use import StatedUse

#: What Pillow may open; some of its other formats start other programs.
_FORMATS: Final = ("BMP", "GIF", "JPEG", "PNG", "PPM", "TIFF", "WEBP")
MAX_PIXELS: Final = 100_000_000
_MAX_SIDE: Final = 65_536
_DEEP: Final = ("I", "F")  # modes with more than eight bits a channel begin so


def open_picture(source: Any, shown: str = "the picture") -> Any:
    """Return a picture as Pillow's, turned as its camera says.

    Args:
        source: A path, a file that is open for reading bytes, a picture of Pillow, or a NumPy array of bytes of the
            shape (height, width) or (height, width, 3).
        shown: What it is called in errors.

    Raises:
        ArgumentError: If it cannot be read, is no picture, has more than 100 megapixels, or more than eight bits a
            channel.
        ArgumentTypeError: If it is none of these.
    """
    from PIL import Image, UnidentifiedImageError

    if isinstance(source, (str, os.PathLike)):
        shown = os.fsdecode(source)
        if "://" in shown:
            raise ArgumentError(f"{shown} is a URL, and inputs are files", hint="download it first")
    elif not isinstance(source, Image.Image) and not hasattr(source, "read"):
        return _of_array(source, shown)
    Image.init()  # otherwise the rarer formats are not known by name yet
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # the limit below is ours
            if isinstance(source, Image.Image):
                return _upright(source, shown)
            with Image.open(source, formats=_FORMATS) as picture:
                return _upright(picture, shown)
    except UnidentifiedImageError as error:
        raise ArgumentError(
            f"{shown} is no picture that hubtool can read", hint=f"the formats are {', '.join(_FORMATS)}"
        ) from error
    except Image.DecompressionBombError as error:
        raise ArgumentError(f"{shown} has more than {MAX_PIXELS:,} pixels", hint="make it smaller first") from error
    except ArgumentError:
        raise
    except FileNotFoundError as error:
        raise ArgumentError(f"there is no file {shown}", hint="is the path right?") from error
    except (OSError, SyntaxError, ValueError, EOFError) as error:  # Pillow raises all of these for broken files
        why = getattr(error, "strerror", None) or error
        raise ArgumentError(f"{shown} cannot be read: {why}", hint="is it a whole picture?") from error


def _upright(picture: Any, shown: str) -> Any:
    from PIL import ImageOps

    if picture.width * picture.height > MAX_PIXELS:
        raise ArgumentError(
            f"{shown} has {picture.width:,} x {picture.height:,} pixels: more than {MAX_PIXELS:,}",
            hint="make it smaller first",
        )
    if picture.mode.startswith(_DEEP):
        raise ArgumentError(
            f"{shown} has more than eight bits a channel (mode {picture.mode})", hint="save it with eight bits"
        )
    picture.load()
    return ImageOps.exif_transpose(picture)


def _of_array(source: Any, shown: str) -> Any:
    import numpy as np
    from PIL import Image

    if not isinstance(source, np.ndarray):
        raise ArgumentTypeError(
            f"{shown} is {type(source).__name__}, but must be a path, a picture of Pillow, or a NumPy array"
        )
    is_picture = source.dtype == np.uint8 and (source.ndim == 2 or (source.ndim == 3 and source.shape[2] == 3))
    if not is_picture or 0 in source.shape:
        raise ArgumentError(
            f"{shown} is an array of {source.dtype} of the shape {source.shape}",
            hint="give bytes (uint8) of the shape (height, width) or (height, width, 3)",
        )
    return _upright(Image.fromarray(source), shown)


def prepare(use: StatedUse, picture: Any) -> Any:
    """Return the input of a network: a NumPy array of float32 with a batch of one.

    Args:
        use: What the card says.
        picture: A picture of Pillow.

    Raises:
        ArgumentError: If the steps do not fit the picture, or do not make what the network takes of it.
    """
    import numpy as np

    array = _colored(picture, use.step("color") or "RGB")
    for name, value in use.steps:
        if name in _STEPS:
            array = _STEPS[name](array, value)
    if use.shape is not None and array.shape != use.shape:
        made, wanted = (" x ".join(map(str, shape)) for shape in (array.shape, use.shape))
        rows, columns = use.shape[1:] if use.step("layout") == "CHW" else use.shape[:2]
        raise ArgumentError(
            f"a picture of {picture.height} x {picture.width} pixels gives an input of {made} by the steps of the "
            f"card, and the network takes {wanted}",
            hint=f"no step changes its size as needed: give a picture of {rows} x {columns} pixels",
        )
    return np.ascontiguousarray(array, np.float32)[None]


def _colored(picture: Any, color: str) -> Any:
    """Return the bytes of a picture, of the shape (height, width, channels)."""
    import numpy as np

    if "A" in picture.getbands() or "transparency" in picture.info:
        from PIL import Image

        # What is transparent is white, as on a page; without this it has any colour.
        picture = Image.alpha_composite(Image.new("RGBA", picture.size, "white"), picture.convert("RGBA"))
    if color == "gray":
        return np.asarray(picture.convert("L"))[:, :, None]
    array = np.asarray(picture.convert("RGB"))
    return array[:, :, ::-1] if color == "BGR" else array


def _resized(array: Any, value: Mapping[str, Any]) -> Any:
    import numpy as np

    height, width = array.shape[:2]
    if "size" in value:
        rows, columns = (int(side) for side in value["size"])
    else:
        is_shorter = "shorter" in value
        wanted = int(value["shorter"] if is_shorter else value["longer"])
        side = min(height, width) if is_shorter else max(height, width)
        # As MindSpore's transformation: the other side is cut to whole pixels.
        rows, columns = (wanted if one == side else int(one * wanted / side) or 1 for one in (height, width))
    _check_room(rows, columns)
    name = str(value.get("interpolation", "bilinear"))
    channels = array.shape[2]
    if value.get("antialias"):
        from PIL import Image

        method = {"nearest": 0, "bilinear": 2, "bicubic": 3, "area": 4}[name]
        # Each channel by itself, which is the same: Pillow has no colours of floating point, as behind a rescale.
        planes = [Image.fromarray(np.ascontiguousarray(array[:, :, channel])) for channel in range(channels)]
        return np.stack([np.asarray(plane.resize((columns, rows), method)) for plane in planes], axis=2)
    from mindspore.dataset import vision

    inter = {
        "nearest": vision.Inter.NEAREST,
        "bilinear": vision.Inter.BILINEAR,
        "bicubic": vision.Inter.BICUBIC,
        "area": vision.Inter.AREA,
    }[name]
    try:
        return vision.Resize((rows, columns), inter)(np.ascontiguousarray(array)).reshape(rows, columns, channels)
    except (RuntimeError, ValueError) as error:  # it refuses what is more than a thousand times as large
        raise ArgumentError(
            f"a picture of {height} x {width} pixels cannot become one of {rows} x {columns}",
            hint="give a picture of a size that is nearer to that",
        ) from error


def _check_room(rows: int, columns: int) -> None:
    if max(rows, columns) > _MAX_SIDE or rows * columns > MAX_PIXELS:
        raise ArgumentError(f"a step of the card makes a picture of {rows:,} x {columns:,} pixels: too many")


def _cropped(array: Any, value: Mapping[str, Any]) -> Any:
    import numpy as np

    rows, columns = (int(side) for side in value["size"])
    height, width = array.shape[:2]
    if rows > height or columns > width:
        _check_room(max(rows, height), max(columns, width))
        # As MindSpore's transformation: of an odd number of missing rows, one more is put above than below.
        above, before = (max(0, wanted - one + 1) // 2 for wanted, one in ((rows, height), (columns, width)))
        larger = np.zeros((max(rows, height), max(columns, width), array.shape[2]), array.dtype)
        larger[above : above + height, before : before + width] = array
        array = larger
        height, width = array.shape[:2]
    top, left = (height - rows) // 2, (width - columns) // 2
    return array[top : top + rows, left : left + columns]


def _padded(array: Any, value: Mapping[str, Any]) -> Any:
    import numpy as np

    rows, columns = (int(side) for side in value["size"])
    height, width = array.shape[:2]
    _check_room(rows, columns)
    if height > rows or width > columns:
        raise ArgumentError(f"a picture of {height} x {width} pixels does not fit into {rows} x {columns}")
    in_middle = value.get("place", "middle") == "middle"
    top, left = ((rows - height) // 2, (columns - width) // 2) if in_middle else (0, 0)
    padded = np.full((rows, columns, array.shape[2]), value.get("value", 0), array.dtype)
    padded[top : top + height, left : left + width] = array
    return padded


def _rescaled(array: Any, value: Mapping[str, Any]) -> Any:
    import numpy as np

    return array.astype(np.float32) * np.float32(value["factor"]) + np.float32(value.get("shift", 0))


def _normalized(array: Any, value: Mapping[str, Any]) -> Any:
    import numpy as np

    mean, std = (np.asarray(value[key], np.float32) for key in ("mean", "std"))
    channels = array.shape[2]
    if mean.shape != (channels,) or std.shape != (channels,):
        raise ArgumentError(
            f"the card normalises {len(mean)} channels with {len(std)} deviations, and the picture has {channels}"
        )
    if not std.all():
        raise ArgumentError("the card normalises with a standard deviation of 0")
    return (array.astype(np.float32) - mean) / std


def _laid_out(array: Any, value: str) -> Any:
    return array.transpose(2, 0, 1) if value == "CHW" else array


_STEPS: Final[Mapping[str, Callable[[Any, Any], Any]]] = {
    "resize": _resized,
    "crop": _cropped,
    "pad": _padded,
    "rescale": _rescaled,
    "normalize": _normalized,
    "layout": _laid_out,
}
