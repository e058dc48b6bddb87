"""MindSpore's two modes, for tests that must hold in both."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

MODES = ("pynative", "graph")


@contextmanager
def running(mode: str) -> Iterator[None]:
    """Run in one of MindSpore's modes, and leave as it was afterwards what is the state of the whole process."""
    import mindspore as ms

    before = ms.get_context("mode")
    ms.set_context(mode=ms.GRAPH_MODE if mode == "graph" else ms.PYNATIVE_MODE)
    try:
        yield
    finally:
        ms.set_context(mode=before)
