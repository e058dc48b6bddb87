"""``from mindspore_hub.list import hub_list``."""

from hubtool import hub_list

__all__ = ["hub_list"]
