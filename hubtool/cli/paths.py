"""Paths on the command line."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    import os


class LocalPath(click.Path):
    """A path on this machine: ``s3://bucket`` is none, although a folder could have that name."""

    def convert(
        self,
        value: str | os.PathLike[str],
        param: click.Parameter | None,
        ctx: click.Context | None,
    ) -> Any:  # noqa: ANN401 - as click has it
        """Refuse a URL and an empty text, then do what click does."""
        if isinstance(value, str) and (not value or "\0" in value):
            self.fail("an empty text is not a path" if not value else "a path has no null character", param, ctx)
        from hubtool.links import scheme_of

        scheme = scheme_of(value) if isinstance(value, str) else ""
        if scheme:
            self.fail(
                f"{str(value)[:200]!a} is a {scheme}: URL, and this takes a path on this machine (one that begins so "
                f"is written ./{scheme}:...)",
                param,
                ctx,
            )
        return super().convert(value, param, ctx)
