"""The lists of labels that cards name: the classes of data sets in the order of a network's scores.

Each is a file of ``vocabularies/labels``, with one name a line.
"""

from __future__ import annotations

import difflib
from functools import cache

from hubtool import resources

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


def nearest(text: str) -> str | None:
    """Return the name of a list that is closest to a text; None if none is close."""
    close = difflib.get_close_matches(text[:100].lower(), known(), n=1, cutoff=0.5)
    return close[0] if close else None
