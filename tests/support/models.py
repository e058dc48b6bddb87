"""Small model repositories that tests write: one for each shape met in the real ones."""

from __future__ import annotations

from textwrap import dedent
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

NETWORK = """
from mindspore import nn
import src.sizes


class {name}(nn.Cell):
    def __init__(self, num_classes={classes}, width=4):
        super().__init__()
        self.dense = nn.Dense(src.sizes.WIDTH, width)
        self.drop = nn.Dropout(keep_prob=1)
        self.head = nn.Dense(width, num_classes)

    def construct(self, x):
        return self.head(self.drop(self.dense(x)))

    def late(self):
        from src import sizes
        import src.sizes as again
        from .sizes import NAME
        assert sizes is again
        return NAME


def make(num_classes={classes}):
    return {name}(num_classes)
"""

EXPORT = """
import argparse
import numpy as np
from mindspore import Tensor, context, export, load_checkpoint, load_param_into_net
from src.network import Net

parser = argparse.ArgumentParser()
parser.add_argument("--ckpt_file", type=str, required=True)
parser.add_argument("--num_classes", type=int, default=5)
parser.add_argument("--device_target", type=str, default="Ascend", choices=["Ascend", "GPU"])
args = parser.parse_args()
context.set_context(mode=context.GRAPH_MODE, device_target=args.device_target, device_id=3)

if __name__ == "__main__":
    net = Net(num_classes=args.num_classes)
    param_dict = load_checkpoint(args.ckpt_file)
    load_param_into_net(net, param_dict)
    export(net, Tensor(np.zeros([2, 3], np.float32)), file_name="net", file_format="MINDIR")
"""


def write(folder: Path, files: dict[str, str]) -> Path:
    """Write files into a folder, and return it."""
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(dedent(text).lstrip("\n"), encoding="utf-8")
    return folder


def network(name: str = "Net", classes: int = 5, width: int = 3) -> dict[str, str]:
    """Return the files of a ``src`` package with one network in it."""
    return {
        "src/__init__.py": "",
        "src/network.py": NETWORK.format(name=name, classes=classes),
        "src/sizes.py": f"WIDTH = {width}\nNAME = {name!r}\n",
    }


def script_only(folder: Path, *, name: str = "Net", classes: int = 5, export: str = EXPORT) -> Path:
    """Write a model that only its export script builds."""
    return write(folder, {**network(name, classes), "export.py": export})


def loss_cell(folder: Path) -> Path:
    """Write a model whose export script loads into a cell with the loss, and exports the network in it."""
    script = """
    import argparse
    import numpy as np
    from mindspore import Tensor, nn
    from mindspore.train.serialization import export, load_checkpoint
    from src.network import Net

    parser = argparse.ArgumentParser()
    parser.add_argument("--ckpt_file")

    class WithLoss(nn.Cell):
        def __init__(self, network):
            super(WithLoss, self).__init__()
            self.network = network
            self.loss = nn.SoftmaxCrossEntropyWithLogits(sparse=True)

        def construct(self, x, label):
            return self.loss(self.network(x), label)

    whole = WithLoss(Net(5))
    load_checkpoint(parser.parse_args().ckpt_file, net=whole)
    export(whole.network, Tensor(np.zeros((1, 3), np.float32)), file_name="x", file_format="MINDIR")
    """
    return write(folder, {**network(), "export.py": script})


def hub_configuration(folder: Path) -> Path:
    """Write a model with a hub configuration that works."""
    conf = """
    from src.network import Net

    def create_network(name, *args, **kwargs):
        if name == "net":
            return Net(*args, **kwargs)
        raise NotImplementedError(name)
    """
    return write(folder, {**network(), "mindspore_hub_conf.py": conf})


def stale_configuration(folder: Path) -> Path:
    """Write a model whose hub configuration imports what moved, and whose export script works."""
    conf = """
    from src.config import settings
    from src.network import Net

    def create_network(name, *args, **kwargs):
        return Net(settings.classes)
    """
    return write(folder, {**network(), "mindspore_hub_conf.py": conf, "export.py": EXPORT})


YAML_CONFIGURATION = """
import argparse
import os
import yaml

parser = argparse.ArgumentParser(add_help=False)
here = os.path.dirname(os.path.abspath(__file__))
parser.add_argument("--config_path", type=str, default=os.path.join(here, "../small_config.yaml"))
known, _ = parser.parse_known_args()
with open(known.config_path) as stream:
    values = yaml.load(stream)
full = argparse.ArgumentParser(parents=[parser])
for key, value in values.items():
    full.add_argument("--" + key, type=type(value), default=value)
config = full.parse_args()
"""


def yaml_configuration(folder: Path) -> Path:
    """Write a model that is configured by one of two YAML files."""
    export = """
    import mindspore as ms
    import numpy as np
    from src.config import config
    from src.network import Net

    def run():
        net = Net(config.classes)
        assert config.ckpt_file is not None and len(config.ckpt_file), "no checkpoint"
        ms.load_checkpoint(config.ckpt_file, net)
        ms.export(net, ms.Tensor(np.ones((1, 3)), ms.float32), file_name="x", file_format=config.file_format)

    if __name__ == "__main__":
        run()
    """
    values = "classes: {}\nckpt_file: ''\nfile_format: MINDIR\n"
    return write(
        folder,
        {
            **network(),
            "src/config.py": YAML_CONFIGURATION,
            "export.py": export,
            "small_config.yaml": values.format(2),
            "large_config.yaml": values.format(9),
        },
    )


def data_first(folder: Path) -> Path:
    """Write a model whose only script reads data before it makes the network."""
    evaluate = """
    import mindspore.dataset as ds
    from mindspore import load_checkpoint, load_param_into_net
    from mindspore.train import Model
    from src.network import Net

    def read():
        with open("labels.txt") as stream:
            return stream.read().split()

    def main():
        rows = ds.ImageFolderDataset("/nowhere/images").batch(2)
        labels = read()
        print(len(labels))
        net = Net(7)
        load_param_into_net(net, load_checkpoint("best.ckpt"))
        Model(net).eval(rows)

    if __name__ == "__main__":
        main()
    """
    return write(folder, {**network(), "eval.py": evaluate})


def misbehaving(folder: Path, deed: str) -> Path:
    """Write a model whose script does something first: ``deed`` is its Python code."""
    export = (
        "import os, shutil, socket, subprocess, sys, threading, time\n"
        + dedent(deed).strip()
        + "\n"
        + EXPORT.lstrip("\n")
    )
    return script_only(folder, export=export)
