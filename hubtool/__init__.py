"""The model-hub registry and asset manager for MindSpore.

>>> import hubtool
>>> network = hubtool.load("hubtool/2.10/tinybert_bilstmcrf_toyner")  # doctest: +SKIP

Importing this package imports neither MindSpore nor NumPy; what a function needs is imported when it is called.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from hubtool.version import __version__

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hubtool.api import (
        fetch,
        get_hub_dir,
        hub_list,
        load,
        load_weights,
        pipeline,
        resolve,
        search,
        set_hub_dir,
        show,
    )
    from hubtool.api import list_models as list  # noqa: A004 - hubtool.list, as the command is called

__all__ = [
    "__version__",
    "fetch",
    "get_hub_dir",
    "hub_list",
    "list",
    "load",
    "load_weights",
    "pipeline",
    "resolve",
    "search",
    "set_hub_dir",
    "show",
]


def __getattr__(name: str) -> object:
    if name in __all__ and name != "__version__":
        from hubtool import api

        return getattr(api, "list_models" if name == "list" else name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> Sequence[str]:
    return sorted([*globals(), *__all__])
