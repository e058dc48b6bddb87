"""Train the embedded model ``hubtool/2.10/lenet_digits`` and write its files.

A small LeNet learns the ten digits from the pictures that come with scikit-learn (8 x 8 pixels, the test set of the UCI
data set "Optical Recognition of Handwritten Digits"), on a CPU, in a minute::

    pip install scikit-learn==1.6.1
    python tools/train_digits.py

A fifth of the pictures, the same share of each digit, is never trained on, and judges it. All randomness comes from
``--seed``.
"""

from __future__ import annotations

import argparse
import hashlib
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import mindspore as ms
import numpy as np
from mindspore import Tensor, nn, ops
from PIL import Image

from hubtool.networks.builtin.lenet import LeNet
from hubtool.networks.builtin.lenet_sizes import LeNetSizes

if TYPE_CHECKING:
    import numpy.typing as npt

    Array = npt.NDArray[Any]

ROOT: Final = Path(__file__).resolve().parents[1]
FOLDER: Final = ROOT / "registry" / "hubtool" / "2.10" / "lenet_digits"
PICTURES: Final = ROOT / "tests" / "data" / "digits"
SIZES: Final = LeNetSizes(channels=1, first=16, second=32, kernel=3, side=8, hidden=64, classes=10)
MIDDLE: Final = 127.5
ENLARGED: Final = 8  # how many times larger the pictures for people are


def read() -> tuple[Array, Array]:
    """Return the pictures as bytes of the shape (N, 8, 8), 255 for the darkest ink, and their digits."""
    from sklearn.datasets import load_digits

    found = load_digits()
    return np.rint(found.images * (255 / 16)).astype(np.uint8), found.target.astype(np.int32)


def split(digits: Array) -> tuple[Array, Array]:
    """Return the places of the pictures to learn from, and of those to judge by: a fifth of each digit."""
    numbers = np.random.default_rng(0)
    judged = []
    for digit in range(10):
        places = np.flatnonzero(digits == digit)
        judged.append(numbers.permutation(places)[: round(len(places) / 5)])
    test = np.sort(np.concatenate(judged))
    return np.setdiff1d(np.arange(len(digits)), test), test


def prepared(pictures: Array) -> Array:
    """Return the input of the network, as the card's preprocessing makes it."""
    return ((pictures.astype(np.float32) - np.float32(MIDDLE)) / np.float32(MIDDLE))[:, None]


def moved(pictures: Array, numbers: np.random.Generator) -> Array:
    """Return pictures moved by up to one pixel, each its own way, a little noisy, and every second one negated."""
    padded = np.pad(pictures, ((0, 0), (1, 1), (1, 1)))
    places = numbers.integers(0, 3, (len(pictures), 2))
    shifted = np.stack([one[top : top + 8, left : left + 8] for one, (top, left) in zip(padded, places, strict=True)])
    noisy = np.clip(shifted + numbers.normal(0, 12, shifted.shape), 0, 255)
    return np.where(numbers.random((len(noisy), 1, 1)) < 0.5, noisy, 255 - noisy)  # people draw with dark ink, too


def train(network: LeNet, pictures: Array, digits: Array, *, epochs: int, seed: int) -> None:
    """Train a network."""
    numbers = np.random.default_rng(seed)
    steps = epochs * (len(pictures) // 64)
    rates = nn.cosine_decay_lr(0.0, 2e-3, steps, steps // epochs, epochs)
    optimizer = nn.AdamWeightDecay(network.trainable_params(), learning_rate=rates, weight_decay=1e-2)

    def loss(x: Tensor, y: Tensor) -> Tensor:
        return ops.cross_entropy(network(x), y, label_smoothing=0.02)

    gradients = ms.value_and_grad(loss, None, optimizer.parameters)
    network.set_train()
    for epoch in range(epochs):
        order, total = numbers.permutation(len(pictures)), 0.0
        for first in range(0, len(order) - 63, 64):
            places = order[first : first + 64]
            value, found = gradients(Tensor(prepared(moved(pictures[places], numbers))), Tensor(digits[places]))
            optimizer(found)
            total += float(value.asnumpy())
        if epoch % 10 == 9:
            print(f"epoch {epoch + 1}: loss {total / (len(order) // 64):.4f}", flush=True)
    network.set_train(mode=False)


def main() -> None:
    """Train, judge and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--epochs", type=int, default=90)
    options = parser.parse_args()
    start = time.monotonic()
    pictures, digits = read()
    learned, judged = split(digits)
    ms.set_seed(options.seed)
    network = LeNet(SIZES)
    train(network, pictures[learned], digits[learned], epochs=options.epochs, seed=options.seed)
    for name, places in (("learned from", learned), ("never seen", judged)):
        for ink, shown in (("light", pictures[places]), ("dark", 255 - pictures[places])):
            guessed = network(Tensor(prepared(shown))).asnumpy().argmax(1)
            right = int((guessed == digits[places]).sum())
            print(f"{name}, {ink} strokes: {right} of {len(places)} right, {right / len(places):.2%}")
    FOLDER.mkdir(parents=True, exist_ok=True)
    path = FOLDER / "lenet_digits.ckpt"
    ms.save_checkpoint(network, str(path))
    (FOLDER / "labels.txt").write_text("".join(f"{digit}\n" for digit in range(10)), encoding="utf-8")
    for file in sorted(FOLDER.iterdir()):
        print(file.name, file.stat().st_size, hashlib.sha256(file.read_bytes()).hexdigest())
    PICTURES.mkdir(parents=True, exist_ok=True)
    for digit in (3, 4, 7):  # the first of each that was never seen
        place = next(place for place in judged if digits[place] == digit)
        large = np.kron(pictures[place], np.ones((ENLARGED, ENLARGED), np.uint8))
        Image.fromarray(large if digit == 3 else 255 - large).save(PICTURES / f"digit_{digit}.png")
    count = sum(parameter.size for parameter in network.get_parameters())
    print(f"{count:,} parameters, {time.monotonic() - start:.0f} s")


if __name__ == "__main__":
    main()
