"""Progress bars: on standard error, at a terminal only."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hubtool.assets.fetch import Progress as Report


@contextmanager
def transfer(name: str, *, shown: bool = True) -> Iterator[Report | None]:
    """Show the progress of one transfer; yields what is to be called with the bytes that came and the bytes in all."""
    if not shown or not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(binary_units=True),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as bars:
        task = bars.add_task(name, total=None)

        def update(received: int, size: int | None) -> None:
            bars.update(task, completed=received, total=size)

        yield update
