"""Small networks of many kinds, as code for MindSpore 1.x: what stands in a folder of a repository."""

from __future__ import annotations

from textwrap import indent
from typing import TYPE_CHECKING

from tests.support import models
from tests.support.repositories import committed

if TYPE_CHECKING:
    from pathlib import Path

HEAD = """\
import numpy as np
import mindspore.common.dtype as mstype
from mindspore import Parameter, Tensor, nn
from mindspore.common.initializer import initializer
from mindspore.ops import composite as C
from mindspore.ops import functional as F
from mindspore.ops import operations as P

"""
EXPORT = """\
import argparse
import numpy as np
from mindspore import Tensor, context, export, load_checkpoint, load_param_into_net
from src.network import Net

parser = argparse.ArgumentParser()
parser.add_argument("--ckpt_file", type=str, required=True)
args = parser.parse_args()
context.set_context(mode=context.GRAPH_MODE, device_target="Ascend")
if __name__ == "__main__":
    net = Net()
    load_param_into_net(net, load_checkpoint(args.ckpt_file))
    export(net, *INPUTS, file_name="net", file_format="MINDIR")
"""
IMAGE = (("x", (1, 3, 16, 16), "float32"),)
TOKENS = (("ids", (1, 8), "int32"),)
VECTOR = (("x", (1, 6), "float32"),)
SEQUENCE = (("x", (2, 5, 6), "float32"),)

#: Name -> body of __init__, body of construct, inputs.
KINDS: dict[str, tuple[str, str, tuple[tuple[str, tuple[int, ...], str], ...]]] = {
    "convolution": (
        "self.conv = nn.Conv2d(3, 8, 3, pad_mode='pad', padding=1, has_bias=True)\nself.bn = nn.BatchNorm2d(8)",
        "return P.ReLU()(self.bn(self.conv(x)))",
        IMAGE,
    ),
    "depthwise": (
        "self.conv = nn.Conv2d(3, 6, 3, stride=2, group=3)\nself.act = nn.HSwish()",
        "return self.act(self.conv(x))",
        IMAGE,
    ),
    "dilated": (
        "self.conv = nn.Conv2d(3, 4, 3, dilation=2, pad_mode='valid')\nself.act = nn.LeakyReLU(0.1)",
        "return self.act(self.conv(x))",
        IMAGE,
    ),
    "transposed": (
        "self.conv = nn.Conv2dTranspose(3, 4, 4, stride=2, pad_mode='pad', padding=1)",
        "return P.Tanh()(self.conv(x))",
        IMAGE,
    ),
    "residual": (
        "self.a = nn.Conv2d(3, 3, 3)\nself.b = nn.Conv2d(3, 3, 1)\nself.pool = nn.MaxPool2d(2, 2)",
        "return self.pool(P.Add()(self.a(x), self.b(x)))",
        IMAGE,
    ),
    "squeeze": (
        "self.down = nn.Dense(3, 2)\nself.up = nn.Dense(2, 3)\nself.sigmoid = nn.Sigmoid()\nself.mean = P.ReduceMean()",
        "w = self.sigmoid(self.up(F.relu(self.down(self.mean(x, (2, 3))))))\nreturn x * P.Reshape()(w, (1, 3, 1, 1))",
        IMAGE,
    ),
    "upsampled": (
        "self.conv = nn.Conv2d(3, 4, 1)\nself.resize = P.ResizeBilinear((24, 24))",
        "return self.resize(self.conv(x))",
        IMAGE,
    ),
    "nearest": (
        "self.conv = nn.Conv2d(3, 4, 1)\nself.resize = P.ResizeNearestNeighbor((32, 32))",
        "y = self.resize(self.conv(x))\nreturn P.Concat(1)((y, y * 2))",
        IMAGE,
    ),
    "grouped": (
        "self.conv = nn.Conv2d(3, 8, 1)\nself.norm = nn.GroupNorm(4, 8)",
        "return P.Softmax(1)(self.norm(self.conv(x)))",
        IMAGE,
    ),
    "shuffled": (
        "self.conv = nn.Conv2d(3, 12, 3)\nself.act = nn.PReLU(12)",
        "return P.DepthToSpace(2)(self.act(self.conv(x)))",
        IMAGE,
    ),
    "classifier": (
        "self.flat = nn.Flatten()\nself.dense = nn.Dense(768, 10)\nself.drop = nn.Dropout(keep_prob=0.9)",
        "return nn.LogSoftmax()(self.drop(self.dense(self.flat(x))))",
        IMAGE,
    ),
    "volume": (
        "self.conv = nn.Conv3d(1, 2, 3, pad_mode='pad', padding=1)",
        "return self.conv(x)",
        (("x", (1, 1, 4, 6, 6), "float32"),),
    ),
    "signal": ("self.conv = nn.Conv1d(6, 4, 3, has_bias=True)", "return self.conv(x)", (("x", (1, 6, 20), "float32"),)),
    "recurrent": (
        (
            "self.lstm = nn.LSTM(6, 4, num_layers=1, batch_first=True, bidirectional=True)\n"
            "self.state = Tensor(np.zeros((2, 2, 4)).astype(np.float32))"
        ),
        "y, (h, c) = self.lstm(x, (self.state, self.state))\nreturn y, h",
        SEQUENCE,
    ),
    "gated": (
        "self.gru = nn.GRU(6, 4, batch_first=True)\nself.state = Tensor(np.zeros((1, 2, 4)).astype(np.float32))",
        "y, h = self.gru(x, self.state)\nreturn y",
        SEQUENCE,
    ),
    "attention": (
        (
            "self.query = nn.Dense(6, 6)\nself.key = nn.Dense(6, 6)\nself.value = nn.Dense(6, 6)\n"
            "self.norm = nn.LayerNorm((6,))\n"
            "self.product = P.BatchMatMul(transpose_b=True)\nself.sum = P.BatchMatMul()"
        ),
        (
            "w = P.Softmax()(self.product(self.query(x), self.key(x)) / 2.5)\n"
            "return self.norm(x + self.sum(w, self.value(x)))"
        ),
        SEQUENCE,
    ),
    "embedded": (
        "self.table = nn.Embedding(20, 6)\nself.dense = nn.Dense(6, 3)",
        "return self.dense(P.ReduceMean()(self.table(ids), 1))",
        TOKENS,
    ),
    "looked_up": (
        (
            "self.table = Parameter(initializer('normal', [20, 6], mstype.float32), name='table')\n"
            "self.gather = P.Gather()\nself.one = Tensor(1.0, mstype.float32)\nself.zero = Tensor(0.0, mstype.float32)"
        ),
        "return P.OneHot()(ids, 4, self.one, self.zero), self.gather(self.table, ids, 0)",
        TOKENS,
    ),
    "factorised": (
        (
            "self.w = Parameter(initializer('normal', [6, 3], mstype.float32), name='w')\n"
            "self.b = Parameter(Tensor(np.zeros(3).astype(np.float32)), name='b')"
        ),
        "y = P.BiasAdd()(P.MatMul()(x, self.w), self.b)\nreturn {'y': y, 'square': (P.Square()(y), P.Exp()(-y))}",
        VECTOR,
    ),
    "best": (
        "self.dense = nn.Dense(6, 9)\nself.best = P.ArgMaxWithValue(axis=1)\nself.top = P.TopK()",
        "y = self.dense(x)\nindex, value = self.best(y)\nreturn index, value, self.top(y, 3)[0]",
        VECTOR,
    ),
}


def repository(folder: Path) -> Path:
    """Make a repository with a folder for each kind."""
    for name, (made, computed, inputs) in KINDS.items():
        names = ", ".join(one for one, _, _ in inputs)
        code = f"{HEAD}\nclass Net(nn.Cell):\n    def __init__(self):\n        super(Net, self).__init__()\n"
        code += f"{indent(made, ' ' * 8)}\n\n    def construct(self, {names}):\n{indent(computed, ' ' * 8)}\n"
        given = ", ".join(f"Tensor(np.ones({shape}, np.{dtype}))" for _, shape, dtype in inputs)
        files = {"src/__init__.py": "", "src/network.py": code, "export.py": EXPORT.replace("INPUTS", f"[{given}]")}
        models.write(folder / "kinds" / name, files)
    return committed(folder)


def recipe(name: str, more: str = "") -> str:
    """Return the recipe of a kind's card, with further members."""
    inputs = "".join(
        f"  - {{name: {one}, shape: {list(shape)}, dtype: {dtype}}}\n" for one, shape, dtype in KINDS[name][2]
    )
    text = "  provider: repository\n  entry: export.py\n  argv: [--ckpt_file, '{checkpoint}']\n  inputs:\n"
    return f"{text}{inputs}{more}"
