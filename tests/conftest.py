"""What holds for all tests."""

from __future__ import annotations

import os

from hypothesis import settings

# In CI a run must mean the same twice: Hypothesis takes the same examples each time. New ones are found by developers.
settings.register_profile("ci", derandomize=True)
if os.environ.get("CI"):
    settings.load_profile("ci")
