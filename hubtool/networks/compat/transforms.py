"""Transformations of data that MindSpore 2.x removed, or gave another meaning, built from those it has."""

from __future__ import annotations

from typing import Any

from mindspore.dataset import transforms, vision


def normalize_chw(mean: Any, std: Any) -> Any:  # noqa: ANN401 - sequences of numbers, a transformation
    """Return the normalisation of images with channels first."""
    return vision.Normalize(mean, std, is_hwc=False)


def normalize_pad_chw(mean: Any, std: Any, dtype: str = "float32") -> Any:  # noqa: ANN401 - sequences of numbers, a transformation
    """Return the normalisation of images with channels first, which adds a channel of zeros."""
    return vision.NormalizePad(mean, std, dtype, is_hwc=False)


def cutout(length: int, num_patches: int = 1) -> Any:  # noqa: ANN401 - a transformation
    """Return the erasure of random squares of an image with channels first."""
    return vision.CutOut(length, num_patches, is_hwc=False)


def decode_pil() -> Any:  # noqa: ANN401 - a transformation
    """Return the decoding of an image to PIL's form."""
    return vision.Decode(to_pil=True)


class OneHotOp:
    """One-hot encoding of an array of labels, as float64."""

    def __init__(self, num_classes: int, smoothing_rate: float = 0.0) -> None:
        self.encode = transforms.OneHot(num_classes, smoothing_rate)

    def __call__(self, label: Any) -> Any:  # noqa: ANN401 - an array
        """Encode."""
        return self.encode(label).astype("float64")


class RgbToBgr:
    """Exchange of the first and the last of three channels."""

    def __init__(self, is_hwc: bool = False) -> None:  # noqa: FBT001, FBT002 - the old signature
        self.is_hwc = is_hwc

    def __call__(self, image: Any) -> Any:  # noqa: ANN401 - an array
        """Exchange."""
        return image[..., ::-1].copy() if self.is_hwc else image[..., ::-1, :, :].copy()


def rgb_to_bgr_hwc() -> RgbToBgr:
    """Return the exchange for images with channels last."""
    return RgbToBgr(is_hwc=True)


class Compose:
    """Several transformations, one after the other; the result is a tuple, also of one array."""

    def __init__(self, transforms: Any) -> None:  # noqa: ANN401 - a list of functions
        self.transforms = list(transforms)

    def __call__(self, *arrays: Any) -> tuple[Any, ...]:  # noqa: ANN401 - arrays
        """Transform."""
        for transform in self.transforms:
            result = transform(*arrays)
            arrays = result if isinstance(result, tuple) else (result,)
        return arrays
