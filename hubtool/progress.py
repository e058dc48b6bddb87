"""Progress of downloads for Python programs: a bar on standard error or in a notebook, or a function of the caller."""

from __future__ import annotations

import html
import sys
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

from hubtool import wording
from hubtool.errors import ArgumentTypeError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from hubtool.transfer.events import ProgressCallback

_PAUSE_SECONDS: Final = 0.2  # between two states of a bar in a notebook: each is a message to the browser


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
        progress: False for none, True for a bar on standard error or in the notebook, or a function that is called
            for every file.
    """
    if not progress:
        yield lambda _: None
    elif callable(progress):
        own = progress
        yield lambda _: own
    elif _is_notebook():
        ends: list[Callable[[], None]] = []
        try:
            yield lambda name: _in_notebook(name, ends)
        finally:
            for end in ends:
                end()
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


def _is_notebook() -> bool:
    """Return whether this runs in a kernel, whose outputs a notebook shows."""
    shell = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
    return hasattr(shell, "kernel")


def _in_notebook(name: str, ends: list[Callable[[], None]]) -> ProgressCallback:
    """Return the report of a file that shows a bar below the cell; it needs no widgets.

    Args:
        name: The name of the file.
        ends: Gets a function to call when no more comes: a bar that is not full gives way to what was received.
    """
    from IPython.display import display  # noqa: PLC0415 - it is there where there is a notebook

    handle: Any = None
    shown_at = 0.0
    last: tuple[int, int | None] = (0, None)

    def told() -> str:
        received, size = last
        of = "" if size is None else f" of {wording.size(size)}"
        return f"{wording.printable(name)}: {wording.size(received)}{of}"

    def end() -> None:
        if handle is not None and last[0] != last[1]:  # else a bar without an end would move for ever
            handle.update({"text/plain": told(), "text/html": html.escape(told())}, raw=True)

    ends.append(end)

    def report(received: int, size: int | None) -> None:
        nonlocal handle, shown_at, last
        last = received, size
        now = time.monotonic()
        if handle is not None and now - shown_at < _PAUSE_SECONDS and received != size:
            return
        shown_at = now
        value = "" if size is None else f' max="{max(size, 1)}" value="{received if size else 1}"'
        text = told()
        bar = {"text/plain": text, "text/html": f"<progress{value}></progress> {html.escape(text)}"}
        if handle is None:
            handle = display(bar, raw=True, display_id=True)
        else:
            handle.update(bar, raw=True)

    return report
