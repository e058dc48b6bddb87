"""From a picture to an input: held to MindSpore's own transformations, to Pillow, and to numbers worked out by hand."""

from __future__ import annotations

import io
import struct
import zlib
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from PIL import Image

from hubtool.errors import ArgumentError, ArgumentTypeError
from hubtool.pipelines import pictures
from hubtool.pipelines.use import StatedUse

if TYPE_CHECKING:
    from pathlib import Path

MEAN, STD = [123.675, 116.28, 103.53], [58.395, 57.12, 57.375]
COLOURS = np.random.default_rng(5).integers(0, 256, (37, 53, 3), np.uint8)


def use(*steps: tuple[str, Any]) -> StatedUse:
    return StatedUse(task="image-classification", steps=steps, output=0, kind="scores")


def prepared(picture: Any, *steps: tuple[str, Any]) -> Any:
    return pictures.prepare(use(*steps), pictures.open_picture(picture))


@pytest.mark.mindspore
@pytest.mark.parametrize("shape", [(37, 53), (53, 37), (300, 300), (640, 427)])
def test_the_steps_are_those_of_mindspore(shape: tuple[int, int], tmp_path: Path) -> None:
    """As evaluation scripts write it: Decode, Resize, CenterCrop, Normalize, HWC2CHW."""
    from mindspore import dataset
    from mindspore.dataset import vision

    picture = tmp_path / "one" / "picture.png"
    picture.parent.mkdir()
    Image.fromarray(np.random.default_rng(7).integers(0, 256, (*shape, 3), np.uint8)).save(picture)
    loaded = dataset.ImageFolderDataset(str(tmp_path), num_parallel_workers=1, shuffle=False).map(
        [vision.Decode(), vision.Resize(256), vision.CenterCrop(224), vision.Normalize(MEAN, STD), vision.HWC2CHW()],
        input_columns="image",
        num_parallel_workers=1,
    )
    expected = next(loaded.create_dict_iterator(output_numpy=True, num_epochs=1))["image"]
    found = prepared(
        picture,
        ("color", "RGB"),
        ("resize", {"shorter": 256}),
        ("crop", {"size": [224, 224]}),
        ("normalize", {"mean": MEAN, "std": STD}),
        ("layout", "CHW"),
    )
    assert found.shape == (1, 3, 224, 224)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found[0], expected, rtol=0, atol=1e-4)


@pytest.mark.mindspore
@pytest.mark.parametrize("interpolation", ["nearest", "bilinear", "bicubic", "area"])
def test_sizes_change_as_in_mindspore(interpolation: str) -> None:
    from mindspore.dataset import vision

    expected = vision.Resize((20, 30), getattr(vision.Inter, interpolation.upper()))(COLOURS)
    found = prepared(COLOURS, ("resize", {"size": [20, 30], "interpolation": interpolation}))
    np.testing.assert_array_equal(found[0], expected)


@pytest.mark.mindspore
def test_pictures_of_cameras_are_decoded_as_in_mindspore(tmp_path: Path) -> None:
    from mindspore.dataset import vision

    for subsampling in (0, 2):
        path = tmp_path / f"{subsampling}.jpg"
        Image.fromarray(COLOURS).resize((290, 371)).save(path, subsampling=subsampling, progressive=subsampling == 0)
        np.testing.assert_array_equal(prepared(path)[0], vision.Decode()(np.fromfile(path, np.uint8)))


@pytest.mark.mindspore
@pytest.mark.parametrize("size", [(40, 60), (41, 50), (30, 57), (36, 54), (20, 31), (21, 30)])
def test_the_middle_is_that_of_mindspore(size: tuple[int, int]) -> None:
    from mindspore.dataset import vision

    found = prepared(COLOURS, ("crop", {"size": list(size)}))
    np.testing.assert_array_equal(found[0], vision.CenterCrop(size)(COLOURS))


def test_antialias_behind_a_rescale_is_that_before_it() -> None:
    resize = ("resize", {"size": [20, 30], "antialias": True})
    after = prepared(COLOURS, ("rescale", {"factor": 1 / 255}), resize)
    # Before the rescale, values are rounded to whole ones, in each of the two directions.
    np.testing.assert_allclose(after, prepared(COLOURS, resize) / 255, rtol=0, atol=1.01 / 255)


def test_antialias_is_pillow() -> None:
    expected = np.asarray(Image.fromarray(COLOURS).resize((30, 20), Image.Resampling.BICUBIC))
    step = {"size": [20, 30], "interpolation": "bicubic", "antialias": True}
    np.testing.assert_array_equal(prepared(COLOURS, ("resize", step))[0], expected)


@pytest.mark.parametrize(("asked", "size"), [({"shorter": 74}, (74, 106)), ({"longer": 106}, (74, 106))])
def test_a_side_keeps_the_proportions(asked: dict[str, int], size: tuple[int, int]) -> None:
    assert prepared(COLOURS, ("resize", {**asked, "antialias": True})).shape == (1, *size, 3)


def test_arithmetic_by_hand() -> None:
    grey = np.full((2, 2), 51, np.uint8)
    steps = (("color", "gray"), ("rescale", {"factor": 1 / 255, "shift": -0.1}), ("layout", "CHW"))
    np.testing.assert_allclose(prepared(grey, *steps), np.full((1, 1, 2, 2), 0.1), atol=1e-7)
    blue_first = prepared(COLOURS, ("color", "BGR"))
    np.testing.assert_array_equal(blue_first[0], COLOURS[:, :, ::-1])
    middle = prepared(COLOURS, ("crop", {"size": [3, 3]}))
    np.testing.assert_array_equal(middle[0], COLOURS[17:20, 25:28])


def test_pads_and_crops_that_are_larger() -> None:
    padded = prepared(COLOURS, ("pad", {"size": [40, 60], "value": 7, "place": "top-left"}))[0]
    np.testing.assert_array_equal(padded[:37, :53], COLOURS)
    assert np.unique(padded[37:]).tolist() == [7]
    cropped = prepared(COLOURS, ("crop", {"size": [41, 53]}))[0]
    np.testing.assert_array_equal(cropped[2:39], COLOURS)
    assert cropped[:2].max() == 0
    with pytest.raises(ArgumentError, match="does not fit into 30 x 60"):
        prepared(COLOURS, ("pad", {"size": [30, 60]}))


def test_any_kind_of_picture_becomes_the_colours_that_are_asked_for(tmp_path: Path) -> None:
    red = Image.new("RGB", (4, 6), (200, 10, 20))
    for name, picture in {"cmyk.jpg": red.convert("CMYK"), "grey.png": red.convert("L"), "palette.gif": red}.items():
        picture.save(tmp_path / name)
        assert prepared(tmp_path / name, ("color", "RGB")).shape == (1, 6, 4, 3)
        assert prepared(tmp_path / name, ("color", "gray")).shape == (1, 6, 4, 1)
    found = prepared(tmp_path / "cmyk.jpg", ("color", "RGB"))[0, 3, 2]
    np.testing.assert_allclose(found, (200, 10, 20), atol=6)


def test_what_is_transparent_is_white(tmp_path: Path) -> None:
    Image.new("RGBA", (3, 3), (0, 0, 0, 0)).save(tmp_path / "clear.png")
    assert prepared(tmp_path / "clear.png").min() == 255


def test_a_picture_is_turned_as_its_camera_says(tmp_path: Path) -> None:
    upright = Image.fromarray(np.concatenate([np.zeros((4, 8, 3), np.uint8), np.full((4, 8, 3), 255, np.uint8)]))
    exif = Image.Exif()
    exif[0x0112] = 3  # upside down
    upright.rotate(180).save(tmp_path / "turned.png", exif=exif)
    found = prepared(tmp_path / "turned.png")[0]
    assert found[0].max() == 0
    assert found[-1].min() == 255


def huge_png(width: int, height: int) -> bytes:
    """Return a small file that claims to be a large picture."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")


@pytest.mark.parametrize("side", [10_001, 20_000, 60_000])
def test_a_huge_picture_is_refused_before_it_is_decoded(side: int) -> None:
    with pytest.raises(ArgumentError, match="100,000,000"):
        pictures.open_picture(io.BytesIO(huge_png(side, side)), "huge.png")


@pytest.mark.parametrize("step", ["crop", "pad"])
def test_no_step_makes_a_huge_picture(step: str) -> None:
    with pytest.raises(ArgumentError, match="too many"):
        prepared(COLOURS, (step, {"size": [16384, 16384]}))


@pytest.mark.mindspore
def test_a_size_that_mindspore_refuses() -> None:
    with pytest.raises(ArgumentError, match="cannot become one of"):
        prepared(np.zeros((4, 4), np.uint8), ("resize", {"size": [65_000, 1500]}))


def test_a_step_that_would_make_a_huge_picture_is_refused() -> None:
    thin = np.zeros((2, 60_000, 3), np.uint8)
    with pytest.raises(ArgumentError, match="too many"):
        prepared(thin, ("resize", {"shorter": 60_000}))


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "is no picture"),
        (b"RIFF\x24\x00\x00\x00WAVEfmt ", "is no picture"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "is no picture"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "is no picture"),
    ],
)
def test_what_is_no_picture(content: bytes, words: str, tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(content)
    with pytest.raises(ArgumentError, match=words):
        pictures.open_picture(tmp_path / "x")


def test_a_broken_picture(tmp_path: Path) -> None:
    Image.fromarray(COLOURS).save(tmp_path / "whole.png")
    (tmp_path / "half.png").write_bytes((tmp_path / "whole.png").read_bytes()[:1500])
    with pytest.raises(ArgumentError, match=r"half\.png cannot be read"):
        pictures.open_picture(tmp_path / "half.png")
    Image.fromarray(np.zeros((4, 4), np.uint16)).save(tmp_path / "deep.png")
    with pytest.raises(ArgumentError, match="more than eight bits"):
        pictures.open_picture(tmp_path / "deep.png")
    with pytest.raises(ArgumentError, match="no-such"):
        pictures.open_picture(tmp_path / "no-such.png")


@pytest.mark.parametrize("array", [np.zeros((4, 4)), np.zeros((4, 4, 2), np.uint8), np.zeros((0, 4), np.uint8)])
def test_arrays_that_are_no_pictures(array: Any) -> None:
    with pytest.raises(ArgumentError, match="is an array of"):
        pictures.open_picture(array)
    with pytest.raises(ArgumentTypeError, match="int"):
        pictures.open_picture(3)


def test_a_picture_of_another_size_than_the_network_takes() -> None:
    steps = (("color", "RGB"), ("layout", "CHW"))
    small = StatedUse(task="image-classification", steps=steps, output=0, kind="scores", shape=(3, 32, 32))
    assert pictures.prepare(small, Image.new("RGB", (32, 32))).shape == (1, 3, 32, 32)
    with pytest.raises(ArgumentError, match="37 x 53 pixels gives an input of 3 x 37 x 53") as caught:
        pictures.prepare(small, Image.fromarray(COLOURS))
    assert "give a picture of 32 x 32 pixels" in str(caught.value.hint)


def test_a_path_that_does_not_exist() -> None:
    with pytest.raises(ArgumentError, match="there is no file no-such") as caught:
        pictures.open_picture("no-such.png")
    assert caught.value.hint == "is the path right?"


def test_an_address_is_no_path() -> None:
    with pytest.raises(ArgumentError, match="is a URL"):
        pictures.open_picture("https://example.org/x.png")


def test_a_deviation_of_nothing() -> None:
    with pytest.raises(ArgumentError, match="deviation of 0"):
        prepared(COLOURS, ("normalize", {"mean": MEAN, "std": [1, 0, 1]}))


def test_a_grey_picture_and_three_means() -> None:
    with pytest.raises(ArgumentError, match="3 channels"):
        prepared(COLOURS, ("color", "gray"), ("normalize", {"mean": MEAN, "std": STD}))
