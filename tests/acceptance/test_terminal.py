"""What a terminal gets: no control character of a card, a registry or code, whichever command prints it."""

from __future__ import annotations

import io
import os
import re
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest
from rich.progress import Progress

from hubtool.cli import audit, render
from tests.support.cards import TEXT

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.support.cli import Cli

pty = pytest.importorskip("pty")

# A colour, the title of the window, the bell, the direction of writing, and C1's short form of "ESC [".
RAW = "\x1b[45mEVIL\x1b]0;title\x07\u202eLIVE\u2066\x9b45m\x7f"
YAML = r'"\e[45mEVIL\e]0;title\a\u202eLIVE\u2066\x9b45m\x7f\nforged: yes"'
FORBIDDEN = re.compile(r"\x1b\[45m|\x1b\]|\x07|\u202e|\u2066|\x9b|\x7f")


def at_terminal(cli: Cli, *arguments: str | Path, answer: str = "", seconds: float = 120.0) -> str:
    """Run a command with a pseudo-terminal for all of its standard streams; return what the terminal got."""
    master, slave = os.openpty()
    command = [sys.executable, "-m", "hubtool", *map(str, arguments)]
    environ = {**cli.environ, "TERM": "xterm-256color", "COLUMNS": "200", "HUBTOOL_OFFLINE": "1"}
    process = subprocess.Popen(command, cwd=cli.folder, env=environ, stdin=slave, stdout=slave, stderr=slave)
    os.close(slave)
    os.write(master, answer.encode())
    got, end = b"", time.monotonic() + seconds
    try:
        while time.monotonic() < end:
            try:
                piece = os.read(master, 1 << 16)
            except OSError:  # the other side is closed
                break
            got += piece
        process.wait(timeout=10)
    finally:
        process.kill()
        os.close(master)
    return got.decode()


def key_is(key: str) -> Callable[[object], str]:
    return lambda _: f"{key}: {YAML}"


def hostile(registry: Path, name: str, network: str, *, status: str = "") -> str:
    """Write a card that is hostile in every field that can be; return its UID."""
    front, _, body = TEXT.partition("## Introduction")
    text = front.format(
        name=name,
        version="1.9",
        uid="",
        link="x.ckpt",
        form="ckpt",
        digest="0" * 64,
        entry="",
        arguments="{}",
        ignore="[]",
    )
    for key in ("backbone-name", "author", "user-id", "license", "summary", "used-for", "module-type", "update-time"):
        text = re.sub(rf"^{key}: .*$", key_is(key), text, flags=re.MULTILINE)
    text = re.sub(r"^  - file-format: .*$", lambda _: f"  - file-format: {YAML}", text, flags=re.MULTILINE)
    text = re.sub(r"network:\n(  .*\n)+", lambda _: f"{network}{status}unknown-key: {YAML}\n{YAML}: 1\n", text)
    text = text.replace(f"# {name}\n", f"# {name} {RAW}\n")
    text += f"## Introduction\n\n{RAW} &#27;[45mEVIL &#x7; [link](https://example.org/{RAW})\n\n```python\n{RAW}\n```\n{body}"
    path = registry / "tests" / "1.9" / f"{name}.md"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return f"tests/1.9/{name}"


REPOSITORY = f"""repo-link: https://gitee.com/mindspore/models/tree/master/official/nlp/bert
network:
  provider: repository
  entry: {YAML}
  arguments:
    {YAML}: {YAML}
  requires: [{YAML}]
"""
BUILTIN = f"""network:
  provider: builtin
  entry: bert
  arguments:
    {YAML}: {YAML}
  ignore: [{YAML}]
"""
PACKAGE = f"""network:
  provider: package
  entry: mindcv.utils.amp:auto_mixed_precision
  arguments:
    amp_cast_list: {YAML}
"""
WITHDRAWN = f"""status:
  state: withdrawn
  since: 2026-11-01
  reason: {YAML}
  successor: {YAML}
"""


@pytest.fixture
def cards(cli: Cli) -> Cli:
    hostile(cli.registry, "code", REPOSITORY)
    hostile(cli.registry, "builtin", BUILTIN)
    hostile(cli.registry, "gone", BUILTIN, status=WITHDRAWN)
    (cli.registry / "tests" / "1.9" / f"named-{RAW.replace('/', '')}.md").write_text("nothing")
    return cli


COMMANDS = (
    ("validate", "{registry}"),
    ("validate", "--diff", "{registry}"),
    ("validate", "--format", "json", "{registry}"),
    ("validate", "--format", "github", "{registry}"),
    ("validate", "--format", "sarif", "{registry}"),
    ("fmt", "--diff", "{registry}"),
    ("fmt", "--check", "{registry}"),
    ("list",),
    ("list", "--json"),
    ("search", "EVIL"),
    ("show", "{uid}"),
    ("show", "--json", "{uid}"),
    ("preview", "{uid}"),
    ("resolve", "{uid}"),
    ("resolve", "--json", "{uid}"),
    ("resolve", "--explain", "{uid}"),
    ("doctor", "{uid}"),
    ("doctor", "--json", "{uid}"),
    ("inspect", "{uid}"),
    ("fetch", "{uid}"),
    ("fetch", "--progress", "lines", "{uid}"),
    ("fetch", "--progress", "json", "{uid}"),
    ("lock", "{uid}"),
    ("load", "{uid}"),
    ("export", "{uid}", "out.mindir"),
    ("check", "{path}"),
    ("try", "{path}"),
    ("publish", "{path}", "--registry", "{registry}", "--dry-run"),
    ("deprecate", "{uid}", "--reason", RAW, "--registry", "{registry}"),
    ("mirror", "plan", "m", "--uid", "{uid}"),
    ("mirror", "sync", "m", "--uid", "{uid}"),
    ("audit", "--offline"),
    ("trust", "add", RAW),
    ("rule", RAW),
    ("show", RAW),
    ("show", f"tests/1.9/{RAW}"),
    ("registry", "add", RAW, "nowhere"),
    ("settings", "approve", RAW),
    (RAW,),
)


@pytest.mark.parametrize(
    "name", ["builtin", *(pytest.param(name, marks=pytest.mark.slow) for name in ("code", "gone"))]
)
def test_no_command_lets_a_card_steer_the_terminal(cards: Cli, name: str) -> None:
    values = {
        "registry": str(cards.registry),
        "uid": f"tests/1.9/{name}",
        "path": str(cards.registry / "tests" / "1.9" / f"{name}.md"),
    }
    shown = 0
    for command in COMMANDS:
        if name != "code" and not any("{" in part for part in command):
            continue  # it does not depend on the card
        out = at_terminal(cards, *(part.format(**values) if part[0] == "{" else part for part in command), answer="n\n")
        assert "Traceback" not in out, (command, out)
        found = FORBIDDEN.search(out)
        assert found is None, (command, out[max(0, found.start() - 200) : found.end() + 50])
        shown += "EVIL" in out
    assert shown > 10  # what the cards hold was printed, and not just left out


def test_the_question_whether_code_may_run_is_clean(cards: Cli) -> None:
    hostile(cards.registry, "call", PACKAGE)
    out = at_terminal(cards, "load", "tests/1.9/call", answer="n\n")
    assert "[y] this once" in out
    assert "EVIL" in out
    assert not FORBIDDEN.search(out)
    assert not re.search(r"^forged", out, re.MULTILINE)
    # Values stand on lines of their own: a line feed in one would be a line that looks like hubtool's own.
    assert "\\x1b[45mEVIL" in out


def test_what_a_server_says_is_clean_above_a_bar() -> None:
    stream = io.StringIO()
    with Progress(console=render.console(stream)) as bars:
        audit._Bar(bars).waiting("host", RAW, 10.0)
    assert "EVIL" in stream.getvalue()
    assert not FORBIDDEN.search(stream.getvalue())


def test_styles_are_hubtools_own(cli: Cli) -> None:
    assert "\x1b[1;31m" in at_terminal(cli, "show", "tests/1.9/none")
    assert "\x1b" not in cli("show", "tests/1.9/none").err
    quiet = {**cli.environ, "NO_COLOR": "1"}
    cli.environ.clear()
    cli.environ.update(quiet)
    assert "\x1b" not in at_terminal(cli, "show", "tests/1.9/none")
