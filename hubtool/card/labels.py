"""The lists of labels that cards name: the classes of data sets in the order of a network's scores.

Each is a file of ``vocabularies/labels``, with one name a line.
"""

from __future__ import annotations

import difflib
from functools import cache
from typing import Final

from hubtool import resources

#: The most classes that a card may state beside the name of a list.
MOST_CLASSES: Final = 100_000

#: The list of each data set of the vocabulary that has one.
OF_DATASETS = {
    "ImageNet2012": "imagenet-1k",
    "CIFAR-10": "cifar-10",
    "CIFAR-100": "cifar-100",
    "MNIST": "mnist",
    "COCO2017": "coco-80",
    "COCO2014": "coco-80",
    "MS COCO": "coco-80",
}


@cache
def known() -> tuple[str, ...]:
    """Return the names of the lists, sorted."""
    return tuple(sorted(path.stem for path in resources.labels_folder().glob("*.txt")))


@cache
def names(name: str) -> tuple[str, ...] | None:
    """Return the labels of a list in their order, or None if there is no such list.

    >>> names("cifar-10")[:2]
    ('airplane', 'automobile')
    """
    if name not in known():
        return None
    return tuple((resources.labels_folder() / f"{name}.txt").read_text(encoding="utf-8").splitlines())


def of_value(value: object) -> tuple[str, ...] | None:
    """Return what each number of a network stands for, by the ``labels`` of a card.

    A number without a label is called by its place; it never has the label of another class.

    Args:
        value: The names; the name of a list; or a mapping with ``vocabulary``, the name of a list, and ``classes``, how
            many numbers the network gives: the first of them are the labels of the list, in its order.

    Returns:
        The names; None if there is no such list, if it has more labels than there are classes, or if the names are in
        an asset.

    >>> of_value({"vocabulary": "cifar-10", "classes": 11})[-2:]
    ('truck', 'class 10 (no label)')
    """
    if isinstance(value, list):
        return tuple(map(str, value))
    if isinstance(value, str):
        return names(value)
    if not isinstance(value, dict):
        return None
    listed, count = names(str(value.get("vocabulary", ""))), value.get("classes")
    if listed is None or type(count) is not int or not len(listed) <= count <= MOST_CLASSES:
        return None
    return (*listed, *(f"class {number} (no label)" for number in range(len(listed), count)))


def nearest(text: str) -> str | None:
    """Return the name of a list that is closest to a text; None if none is close."""
    close = difflib.get_close_matches(text[:100].lower(), known(), n=1, cutoff=0.5)
    return close[0] if close else None
