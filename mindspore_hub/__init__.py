"""The names that scripts written for the public hub import: ``import mindspore_hub as mshub``."""

from hubtool import get_hub_dir, hub_list, load, load_weights, set_hub_dir

__all__ = ["get_hub_dir", "hub_list", "load", "load_weights", "set_hub_dir"]
