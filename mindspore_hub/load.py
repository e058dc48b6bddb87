"""``from mindspore_hub.load import load``."""

from hubtool import load, load_weights

__all__ = ["load", "load_weights"]
