"""Repositories with the code of a network, and cards whose recipes run it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.support import models
from tests.support.cards import write_local
from tests.support.checkpoints import ckpt, filled
from tests.support.git import git

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.cli import Cli

SHAPES = {"dense.weight": (4, 3), "dense.bias": (4,), "head.weight": (5, 4), "head.bias": (5,)}
SCRIPT = """  provider: repository
  entry: export.py
  argv: [--ckpt_file, "{checkpoint}"]
  inputs:
    - name: x
      shape: [2, 3]
      dtype: float32
"""
CALLABLE = """  provider: repository
  entry: src.network:make
  arguments:
    num_classes: 5
"""


def repository(folder: Path, files: dict[str, str] | None = None) -> Path:
    """Make a repository with a model that only its export script builds, and more files in the model's folder."""
    models.write(models.script_only(folder / "research" / "net"), files or {})
    return committed(folder)


def committed(folder: Path) -> Path:
    """Make a folder a repository with one commit, which others may fetch in part."""
    git(folder, "init", "--quiet", "--initial-branch=main", ".")
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "-m", "first")
    git(folder, "config", "uploadpack.allowFilter", "true")
    git(folder, "config", "uploadpack.allowAnySHA1InWant", "true")
    return folder


def card(
    cli: Cli, root: Path, recipe: str, *, prefix: str = "", tensors: dict[str, tuple[int, ...]] | None = None
) -> str:
    """Write a card whose checkpoint has these tensors, or those of the network with a prefix."""
    shapes = {prefix + name: shape for name, shape in SHAPES.items()} if tensors is None else tensors
    content = ckpt([filled(name, shape) for name, shape in shapes.items()])
    path = write_local(cli.registry, "tests/1.9/net", content)
    text = path.read_text(encoding="utf-8")
    head, _, rest = text.partition("network:\n")
    tail = rest[rest.index("license:") :]
    link = f"repo-link: {root.as_uri()}/tree/main/research/net\n"
    path.write_text(
        f"{head}{link}repo-revision: {git(root, 'rev-parse', 'HEAD')}\nnetwork:\n{recipe}{tail}", encoding="utf-8"
    )
    return "tests/1.9/net"


def code_card(cli: Cli, root: Path) -> None:
    """Write a card whose network is built with the code of a branch."""
    path = write_local(cli.registry, "tests/1.9/net", ckpt([filled(name, shape) for name, shape in SHAPES.items()]))
    head, _, rest = path.read_text(encoding="utf-8").partition("network:\n")
    link = f"repo-link: {root.as_uri()}/tree/main/research/net\n"
    path.write_text(f"{head}{link}network:\n{CALLABLE}{rest[rest.index('license:') :]}", encoding="utf-8")
