"""The static scan of code: what it finds, and that it never runs anything."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hubtool.networks.static_scan import scan

if TYPE_CHECKING:
    from pathlib import Path

CODE = """
import os, socket
from subprocess import run
from . import requests
import numpy as np

def build(path):
    os.system("id")
    shutil.rmtree(path)
    open(path)
    open(path, "wb")
    open(path, mode="r")
    eval("1")
    model.eval()
    re.compile("x")
    Path(path).write_text("x")
    os.environ.setdefault("A", "1")
"""


def test_what_code_touches(tmp_path: Path) -> None:
    (tmp_path / "export.py").write_text(CODE)
    (tmp_path / "notes.txt").write_text("import socket")
    found = [(touch.kind, touch.what, touch.line) for touch in scan(tmp_path, ("export.py", "notes.txt"))]
    assert found == [
        ("network", "import socket", 2),
        ("processes", "from subprocess import ...", 3),
        ("processes", "os.system(...)", 8),
        ("deletion", "shutil.rmtree(...)", 9),
        ("writes", "open(..., 'wb')", 11),
        ("generated code", "eval(...)", 13),
        ("environment", "os.environ.setdefault(...)", 17),
    ]


def test_code_that_cannot_be_read_is_said(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_bytes(b"print 'python 2'")
    (tmp_path / "b.py").write_bytes(b"\0")
    (tmp_path / "c.py").write_text("(" * 5000)
    assert [(touch.kind, touch.path) for touch in scan(tmp_path, ("a.py", "b.py", "c.py"))] == [
        ("unreadable", "a.py"),
        ("unreadable", "b.py"),
        ("unreadable", "c.py"),
    ]
