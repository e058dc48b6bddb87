"""A time limit for code that builds a network."""

from __future__ import annotations

import signal
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

from hubtool.errors import NetworkError

if TYPE_CHECKING:
    from collections.abc import Iterator

BUILD_SECONDS = 600.0
"""Seconds that code may take to build a network."""


class _TooLongError(BaseException):
    """Code did not end in time; what catches every Exception does not catch this."""


@contextmanager
def time_limit(name: str) -> Iterator[None]:
    """End code that does not end by itself, where the system has alarms and nobody else uses them.

    Only the main thread can be interrupted; elsewhere, and in code that never comes back to Python, nothing ends it.
    """
    free = (
        hasattr(signal, "setitimer")
        and threading.current_thread() is threading.main_thread()
        and signal.getsignal(signal.SIGALRM) is signal.SIG_DFL
        and signal.getitimer(signal.ITIMER_REAL)[0] == 0.0
    )
    if not free:
        yield
        return

    def ring(*_: object) -> None:
        raise _TooLongError

    signal.signal(signal.SIGALRM, ring)
    # Again and again: the first may come where an exception goes unheeded, as in a finaliser.
    signal.setitimer(signal.ITIMER_REAL, BUILD_SECONDS, 1.0)
    try:
        yield
    except _TooLongError:
        raise NetworkError(
            f"the code of {name} did not end within {BUILD_SECONDS:g} seconds",
            hint="a network is built in much less; correct the recipe's entry, or report it to the card's publisher",
        ) from None
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
