"""Never a traceback: what surrounds the command is broken, and it ends with hubtool's own error."""

from __future__ import annotations

import errno
import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from hubtool.cli import app, output
from tests.support import ROOT
from tests.support.cards import write_local
from tests.support.checkpoints import ckpt, filled

if TYPE_CHECKING:
    from tests.support.cli import Cli

CONTENT = ckpt([filled("a", (1,))])
UID = "tests/1.9/net"
TINY = "hubtool/2.10/tinybert_bilstmcrf_toyner"
CODE = "mindspore/1.6/lenet_mnist"
ASKING = (("load", CODE), ("export", CODE, "x.mindir"), ("new", "tests/1.9/other", "--registry", "."), ("fmt", "-"))


def run(cli: Cli, *arguments: str, **more: object) -> subprocess.CompletedProcess[str]:
    environ = {**cli.environ, "HUBTOOL_OFFLINE": "1"}
    options = {"cwd": cli.folder, "env": environ, "capture_output": True, "text": True, "timeout": 120}
    command = [sys.executable, "-m", "hubtool", *arguments]
    return subprocess.run(command, check=False, **{**options, **more})  # type: ignore[call-overload, no-any-return] # passed on


def shell(cli: Cli, script: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["/bin/sh", "-c", script],
        cwd=cli.folder,
        env={**cli.environ, "HUBTOOL_OFFLINE": "1"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def is_ours(done: subprocess.CompletedProcess[str]) -> bool:
    """Whether a command ended by itself, without a traceback or a fault."""
    said = done.stdout + done.stderr
    return 0 <= done.returncode <= 2 and "Traceback" not in said and "a fault of hubtool" not in said


@pytest.mark.parametrize("arguments", ASKING, ids=lambda arguments: arguments[0])
def test_standard_input_is_closed(cli: Cli, arguments: tuple[str, ...]) -> None:
    del cli.environ["HUBTOOL_REGISTRY"]
    script = " ".join(f"'{part}'" for part in arguments)
    done = shell(cli, f"exec '{sys.executable}' -m hubtool {script} <&-")
    assert is_ours(done), done.stderr
    if arguments[0] in ("load", "export"):
        assert "hubtool trust add" in done.stderr


@pytest.mark.parametrize("arguments", [ASKING[0], ASKING[2]], ids=["load", "new"])
def test_a_notebook_is_not_asked(cli: Cli, arguments: tuple[str, ...]) -> None:
    pty = pytest.importorskip("pty")
    del pty
    del cli.environ["HUBTOOL_REGISTRY"]
    master, slave = os.openpty()
    environ = {**cli.environ, "HUBTOOL_OFFLINE": "1", "JPY_PARENT_PID": "1"}
    with subprocess.Popen(
        [sys.executable, "-m", "hubtool", *arguments],
        cwd=cli.folder,
        env=environ,
        stdin=slave,
        stdout=slave,
        stderr=slave,
        start_new_session=True,
    ) as process:
        os.close(slave)
        got = b""
        while True:
            try:
                piece = os.read(master, 4096)
            except OSError:
                break
            got += piece
        process.wait(timeout=60)
    os.close(master)
    assert b"[y] this once" not in got
    if arguments[0] == "load":
        assert process.returncode == 1
        assert b"hubtool trust add" in got


def test_the_working_folder_is_gone(cli: Cli) -> None:
    gone = cli.folder / "gone"
    for command in ("list", "settings", "validate", f"show {UID}", "cache ls", "trust list"):
        script = f"mkdir -p '{gone}'; cd '{gone}'; rmdir '{gone}'; exec '{sys.executable}' -m hubtool {command}"
        done = shell(cli, script)
        assert is_ours(done), (command, done.stderr)


@pytest.mark.parametrize(
    "name", ["n" * 300, "a/1.9/" + "n" * 300, "n" * 5000, "/" + "n" * 300, "https://[bad", "caf\udce9"]
)
def test_names_that_no_system_likes(cli: Cli, name: str) -> None:
    done = run(cli, "show", os.fsencode(name))  # type: ignore[arg-type] # bytes, as a shell passes them
    assert is_ours(done), done.stderr
    for command in (
        "show",
        "resolve",
        "load",
        "inspect",
        "fetch",
        "validate",
        "lock",
        "check",
        "fmt",
        "preview",
        "doctor",
    ):
        said = cli(command, name, HUBTOOL_OFFLINE="1")
        assert 0 <= said.code <= 2, (command, said.err)
        assert len(said.err) < 3000


VARIABLES = (
    "HUBTOOL_MIRRORS",
    "HUBTOOL_ALLOWED_HOSTS",
    "HUBTOOL_LINK_BASE",
    "HUBTOOL_BLOBS",
    "HUBTOOL_REGISTRY",
    "HUBTOOL_HOME",
    "HUBTOOL_STORES",
    "HUBTOOL_LOCK",
    "XDG_CONFIG_HOME",
    "HTTPS_PROXY",
)


@pytest.mark.parametrize("variable", VARIABLES)
def test_settings_that_mean_nothing(cli: Cli, variable: str) -> None:
    write_local(cli.registry, UID, CONTENT)
    for value in ("https://[bad", "x" * 5000, "caf\udce9", "/dev/null"):
        for command in (("settings",), ("fetch", UID), ("resolve", UID)):
            changed: Any = {variable: value}
            done = cli(*command, **changed)
            assert 0 <= done.code <= 2, (command, value, done.err)


def test_output_in_another_encoding(cli: Cli) -> None:
    card = cli.registry / f"{TINY}.md"
    card.parent.mkdir(parents=True)
    shutil.copy(ROOT / "registry" / f"{TINY}.md", card)
    for encoding in ("ascii", "latin-1", "gbk"):
        done = run(cli, "search", "命名实体", env={**cli.environ, "PYTHONIOENCODING": encoding}, text=False)
        assert done.returncode == 0, done.stderr
        assert b"tinybert" in done.stdout  # type: ignore[operator] # bytes, as asked for


def test_an_unexpected_error_is_one_line(
    cli: Cli, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(*_: object) -> None:
        raise KeyError("a\nsecond line")

    monkeypatch.setattr("hubtool.uid.Uid.parse", broken)
    monkeypatch.setattr("hubtool.resolution.finding.parse_name", broken)
    monkeypatch.chdir(cli.folder)
    for name, value in cli.environ.items():
        monkeypatch.setenv(name, value)
    assert app.run(["show", UID]) == 1
    said = capsys.readouterr().err
    assert said.startswith("error: this is a fault of hubtool: KeyError: 'a")
    assert len(said.splitlines()) == 2
    details = re.search(r"\S+hubtool-fault-\S+\.txt", said)
    assert details is not None
    assert "in broken" in Path(details[0]).read_text()
    Path(details[0]).unlink()
    monkeypatch.setenv("HUBTOOL_DEBUG", "")
    assert app.run(["--debug", "show", UID]) == 1
    assert "in broken" in capsys.readouterr().err


def test_an_error_of_the_system_is_no_fault(
    cli: Cli, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device", "/some/file")

    monkeypatch.setattr("hubtool.resolution.finding.parse_name", full)
    for name, value in cli.environ.items():
        monkeypatch.setenv(name, value)
    assert app.run(["show", UID]) == 1
    assert capsys.readouterr().err == "error: /some/file: No space left on device\n"


@pytest.mark.mindspore
@pytest.mark.parametrize(
    "module",
    [
        "mindspore._c_expression",
        *(pytest.param(name, marks=pytest.mark.slow) for name in ("numpy", "mindspore.common.tensor", "mindspore.ops")),
    ],
)
def test_ctrl_c_while_mindspore_is_imported(cli: Cli, module: str) -> None:
    del cli.environ["HUBTOOL_REGISTRY"]
    with subprocess.Popen(
        [sys.executable, "-X", "importtime", "-m", "hubtool", "load", TINY],
        cwd=cli.folder,
        env=cli.environ,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stderr is not None
        # Python names a module once it was imported; the part of MindSpore that asked for it goes on.
        for line in process.stderr:
            if line.rpartition("|")[2].strip() == module:
                process.send_signal(signal.SIGINT)
                break
        else:
            pytest.fail(f"{module} was never imported")
        said = process.communicate(timeout=120)[1]
    assert process.returncode == 130, said
    assert "pip install" not in said
    assert [line for line in said.splitlines() if line and not line.startswith("import time:")] == ["interrupted"]


def test_a_card_from_standard_input_is_not_waited_for_in_a_notebook(cli: Cli) -> None:
    pty = pytest.importorskip("pty")
    master, slave = pty.openpty()
    with subprocess.Popen(
        [sys.executable, "-m", "hubtool", "fmt", "-"],
        cwd=cli.folder,
        env={**cli.environ, "JPY_PARENT_PID": "1"},
        stdin=slave,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        _, said = process.communicate(timeout=60)
    os.close(master)
    os.close(slave)
    assert process.returncode == 2
    assert "a terminal without a keyboard" in said


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="nothing here is always full")  # noqa: PTH110
@pytest.mark.parametrize("arguments", [("load", "x/y"), ("nosuch",)])
def test_the_exit_code_stays_where_standard_error_is_full(cli: Cli, arguments: tuple[str, ...]) -> None:
    with open("/dev/full", "w") as full:  # noqa: PTH123 - a device
        done = subprocess.run(
            [sys.executable, "-m", "hubtool", *arguments], cwd=cli.folder, env=cli.environ, stderr=full, check=False
        )
    assert done.returncode == 2


def test_a_working_folder_that_was_removed_is_named(cli: Cli) -> None:
    program = "import os, subprocess, sys; os.mkdir('gone'); os.chdir('gone'); os.rmdir('../gone')"
    program += "; sys.exit(subprocess.call([sys.executable, '-m', 'hubtool', 'list']))"
    root = str(Path(__file__).parents[2])
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=cli.folder,
        env={**cli.environ, "PYTHONPATH": root},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert done.stderr == ("error: the working folder no longer exists\nhint: change to a folder that exists\n")


def test_errors_of_permissions_say_what_to_do(
    cli: Cli, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied", "/some/file")

    monkeypatch.setattr("hubtool.hub.Hub.open", refuse)
    for name, value in cli.environ.items():
        monkeypatch.setenv(name, value)
    assert app.run(["show", UID]) == 1
    assert "hint: check its permissions, and those of the folders above it" in capsys.readouterr().err


def test_cards_are_found_where_the_home_may_not_be_read(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    from hubtool.registry.index import SearchIndex

    asked = Path.is_file

    def is_file(path: Path, **kwargs: bool) -> bool:
        if path.is_relative_to(cli.folder / "closed"):
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return asked(path, **kwargs)

    (cli.folder / "closed").write_bytes(b"")  # no folder can be made here either
    monkeypatch.setattr(Path, "is_file", is_file)
    with SearchIndex.open(cli.folder / "closed", ()) as index:
        assert not index.search("net")


def test_nobody_is_asked_in_a_notebook(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JPY_PARENT_PID", "1")
    assert not output.can_ask()
