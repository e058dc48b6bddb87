"""Programs that call a recipe's callable on MindSpore 2.0.0, where no script of the authors makes its network.

What such a program computes is the authors' code with the recipe's arguments: it shows that hubtool runs that code as
MindSpore 2.0.0 does, and not that the arguments are right. Pure.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from hubtool.networks.entry_point import CALLABLE

if TYPE_CHECKING:
    from collections.abc import Mapping

_PROGRAM = """
import json
import os

import numpy as np
import rule_of_known_answers as rule
from mindspore import Tensor, load_param_into_net


class Settings(dict):
    def __getattr__(self, key):
        if key not in self:
            raise AttributeError(key)
        return self[key]

    def __setitem__(self, key, value):
        dict.__setitem__(self, key, Settings(value) if type(value) is dict else value)

    def __delattr__(self, key):
        del self[key]

    __setattr__ = __setitem__


def settled(value):
    if isinstance(value, str):
        return value.replace("{{checkpoint}}", "checkpoint.ckpt").replace("{{folder}}", os.getcwd())
    if isinstance(value, list):
        return [settled(item) for item in value]
    if not isinstance(value, dict):
        return value
    if set(value) == {{"shape-of", "axis", "otherwise"}}:
        return value["otherwise"]
    if "from-caller" in value:
        bounds = (value.get("low"), value.get("high"))
        return Tensor(rule.example(value["name"], value["shape"], value["dtype"], *bounds))
    if set(value) == {{"zeros"}}:
        return Tensor(np.zeros(settled(value["zeros"]), np.float32))
    return Settings({{key: settled(item) for key, item in value.items()}})


from {module} import {name} as entry

load_param_into_net(entry(**{{key: settled(value) for key, value in json.loads({arguments!r}).items()}}), {{}})
"""


def program(request: Mapping[str, Any]) -> str:
    """Return the program for a job's request; empty if its recipe names a script, or a package.

    Args:
        request: The job's request, with ``callable`` and ``arguments``.
    """
    match = CALLABLE.match(request["callable"])
    if match is None:
        return ""
    arguments = {
        name: {**value, "name": name} if isinstance(value, dict) and "from-caller" in value else value
        for name, value in request["arguments"].items()
    }
    return _PROGRAM.format(**match.groupdict(), arguments=json.dumps(arguments))
