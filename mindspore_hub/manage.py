"""``from mindspore_hub.manage import get_hub_dir, set_hub_dir``."""

from hubtool import get_hub_dir, set_hub_dir

__all__ = ["get_hub_dir", "set_hub_dir"]
