"""What holds for all tests."""

from __future__ import annotations

import os
import signal

from hypothesis import settings

# In CI a run must mean the same twice: Hypothesis takes the same examples each time. New ones are found by developers.
settings.register_profile("ci", derandomize=True)
if os.environ.get("CI"):
    settings.load_profile("ci")

# A shell that starts us in the background has us ignore Ctrl-C, and so would all that the tests start and interrupt.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
