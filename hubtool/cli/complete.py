"""What shells complete: UIDs, from the index as it is."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hubtool.errors import HubError

if TYPE_CHECKING:
    import click


def uids(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[str]:  # noqa: ARG001 - click's signature
    """Return the UIDs that begin with what was typed, or whose names do; nothing if that cannot be told."""
    try:
        from hubtool import settings
        from hubtool.registry import Registries
        from hubtool.registry.index import SearchIndex

        current = settings.load()
        with SearchIndex.open(current.home, Registries.open(current).members, refresh=False) as index:
            return index.beginning(incomplete)
    except (HubError, OSError):
        return []  # the user is typing: an error message would end up in the line
