"""Progress of downloads for Python programs: a bar on standard error, or a function of the caller."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from hubtool.errors import ArgumentTypeError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from hubtool.transfer.events import ProgressCallback


def check(progress: object) -> None:
    """Check the argument ``progress``.

    Raises:
        ArgumentTypeError: If it is neither True, False nor callable.
    """
    if not isinstance(progress, bool) and not callable(progress):
        raise ArgumentTypeError(
            f"progress is {progress!r}, but must be True, False or a function",
            hint="the function takes the bytes received so far and the bytes of the file, or None if they are unknown",
        )


@contextmanager
def shown(progress: bool | ProgressCallback) -> Iterator[Callable[[str], ProgressCallback | None]]:  # noqa: FBT001 - passed on as given
    """Yield a function that returns the progress report for a file name, or None for no report.

    Args:
        progress: False for none, True for a bar on standard error, or a function that is called for every file.
    """
    if not progress:
        yield lambda _: None
    elif callable(progress):
        own = progress
        yield lambda _: own
    else:
        from rich.console import Console  # noqa: PLC0415 - only where bars are shown
        from rich.markup import escape  # noqa: PLC0415 - as above
        from rich.progress import BarColumn, DownloadColumn, TextColumn, TransferSpeedColumn  # noqa: PLC0415 - as above
        from rich.progress import Progress as Bars  # noqa: PLC0415 - as above

        columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
        with Bars(*columns, console=Console(stderr=True)) as bars:

            def report_of(name: str) -> ProgressCallback:
                task = None

                def report(received: int, size: int | None) -> None:
                    nonlocal task
                    if task is None:  # a stored file gets no bar
                        task = bars.add_task(escape(ascii(name)[1:-1]), total=size)
                    bars.update(task, completed=received, total=size)

                return report

            yield report_of
