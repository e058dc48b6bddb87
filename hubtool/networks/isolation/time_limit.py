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
"""The most seconds for building a network."""


class _TooLongError(BaseException):
    """The code did not end in time; handlers for Exception do not catch this."""


@contextmanager
def time_limit(name: str) -> Iterator[None]:
    """End code that takes too long, if the system has alarms and no other code uses them.

    Only the main thread can be interrupted. In other threads, and in code that never returns to Python, there is no
    limit.
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
    # Repeatedly: the first alarm can come where exceptions are ignored, as in a finaliser.
    signal.setitimer(signal.ITIMER_REAL, BUILD_SECONDS, 1.0)
    try:
        yield
    except _TooLongError:
        raise NetworkError(
            f"the code of {name} did not end within {BUILD_SECONDS:g} seconds",
            hint="building takes much less; correct the recipe's entry, or report it to the card's publisher",
        ) from None
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
