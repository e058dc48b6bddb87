"""The names that scripts written for the public hub import: ``import mindspore_hub as mshub``.

The modules ``load``, ``list``, ``manage`` and ``info`` are there because scripts import from them. As in the public
package, ``mindspore_hub.load`` is the function all the same: its module is imported first, and the function takes its
name.
"""

from hubtool.version import __version__
from mindspore_hub.list import hub_list
from mindspore_hub.load import load, load_weights
from mindspore_hub.manage import get_hub_dir, set_hub_dir

__all__ = ["__version__", "get_hub_dir", "hub_list", "load", "load_weights", "set_hub_dir"]
