"""`hubtool network`: moved."""

from __future__ import annotations

from hubtool.cli import moved

command = moved.command("network", merged={"write": ("discover", "--write")})
