"""How `hubtool fetch` shows what happens: to programs, in lines, and by bars at a real terminal."""

from __future__ import annotations

import json
import os
import re
import select
import signal
import subprocess
import sys
import threading
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.cards import write_card
from tests.support.server import serving

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.cli import Cli, CompletedRun
    from tests.support.server import Server

CONTENT = b"0123456789" * 60_000


@pytest.fixture
def server() -> Iterator[Server]:
    with serving() as one:
        yield one


def write(cli: Cli, server: Server, name: str, *, size: int | None = None, **more: Any) -> str:
    """Write a card whose asset is called as all the others are; return its UID."""
    uid, content = f"hubtool/1.9/{name}", CONTENT + name.encode()
    link = server.put(f"/{name}/model.ckpt", content, **more)
    path = write_card(cli.registry, uid, link=f"{link}?token=SECRET", content=content)
    if size is not None:
        text = path.read_text(encoding="utf-8")
        path.write_text(text.replace("    asset-sha256", f"    asset-size: {size}\n    asset-sha256"), encoding="utf-8")
    return uid


def events(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


def test_assets_of_one_name_are_told_apart(cli: Cli, server: Server) -> None:
    uids = [write(cli, server, name) for name in ("one", "two")]
    done = cli("fetch", *uids, "--progress", "json")
    assert done.code == 0, done.err
    assert "SECRET" not in done.err
    told = [event for event in events(done.err) if event["event"] == "done"]
    assert {(event["name"], event["uid"], event["link"]) for event in told} == {
        ("model.ckpt", uids[0], f"{server.url}/one/model.ckpt?..."),
        ("model.ckpt (hubtool/1.9/two)", uids[1], f"{server.url}/two/model.ckpt?..."),
    }
    again = cli("fetch", *uids, "--progress", "json")
    assert [event["event"] for event in events(again.err)] == ["done", "done"]
    lines = cli("fetch", *uids, "--progress", "lines").err.splitlines()
    assert sorted(line.partition(":")[0] for line in lines) == ["model.ckpt", "model.ckpt (hubtool/1.9/two)"]


@pytest.mark.parametrize(
    ("asked", "code", "message"),
    [
        ("hubtool/1.9/gone", 1, "answered 404"),
        ("hubtool/1.9/gone hubtool/1.9/gone", 1, "answered 404"),
        ("hubtool/1.9/nowhere", 1, "hubtool/1.9/nowhere"),
        ("hubtool/1.9/nowhere hubtool/1.9/gone", 1, "answered 404"),
        ("a//b", 2, "is not a UID"),
    ],
)
def test_programs_get_nothing_but_json(cli: Cli, server: Server, asked: str, code: int, message: str) -> None:
    write(cli, server, "gone")
    server.put("/gone/model.ckpt", b"", "404")
    uids = asked.split()
    done = cli("fetch", *uids, "--progress", "json")
    assert done.code == code
    last = events(done.err)[-1]
    assert (last["event"], last["uid"]) == ("error", uids[-1])
    assert message in last["message"]
    assert "SECRET" not in done.err
    plain = cli("fetch", *uids)
    assert plain.code == code
    assert "error: " in plain.err


def test_an_error_before_anything_is_asked_for_is_json_too(cli: Cli) -> None:
    done = cli("fetch", "a/1/b", "--progress", "json", HUBTOOL_OFFLINE="maybe")
    assert done.code == 1
    (event,) = events(done.err)
    assert event["event"] == "error"
    assert "maybe" in event["message"]


def test_one_card_is_one_value(cli: Cli, server: Server) -> None:
    uid = write(cli, server, "one")
    assert cli("fetch", uid, uid, "--json", "-q").json == cli("fetch", uid, "--json", "-q").json
    missing: CompletedRun = cli("fetch", "hubtool/1.9/nowhere", "--json", "-q")
    assert missing.code == 1
    assert missing.json["uid"] == "hubtool/1.9/nowhere"
    assert missing.json["failed"][0]["error"] in missing.err


def test_an_interrupt_is_json_too(cli: Cli) -> None:
    uids = ["hubtool/1.9/one", "hubtool/1.9/two"]
    with serving(CONTENT) as server:
        server.default.pause, ended = 0.05, threading.Event()
        server.meanwhile = lambda sent: sent < len(CONTENT) * 0.8 or ended.wait(60)  # neither comes to its end
        for uid in uids:
            write_card(cli.registry, uid, link=f"{server.url}/{uid}/model.ckpt", content=uid.encode())
        process = subprocess.Popen(
            [sys.executable, "-m", "hubtool", "fetch", *uids, "--progress", "json"],
            cwd=cli.folder,
            env=cli.environ,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert process.stderr is not None
        first: list[str] = []
        while {event["uid"] for event in events("".join(first)) if event["event"] == "progress"} != {*uids}:
            first.append(process.stderr.readline())
        process.send_signal(signal.SIGINT)
        _, rest = process.communicate(timeout=60)
        ended.set()
    assert process.returncode == 130
    told = events("".join(first) + rest)
    assert told[-1] == {"event": "interrupted", "kept": ["model.ckpt", "model.ckpt (hubtool/1.9/two)"]}
    assert {event["uid"] for event in told if event["event"] == "kept"} == {*uids}


# -- at a terminal -------------------------------------------------------------------------------------------------


def at_terminal(cli: Cli, *arguments: str, columns: int = 80) -> tuple[int, str]:
    """Run hubtool at a terminal; return its code, and what it wrote there."""
    main, terminal = os.openpty()
    environ = {**cli.environ, "COLUMNS": str(columns), "TERM": "xterm-256color"}
    process = subprocess.Popen(
        [sys.executable, "-m", "hubtool", *arguments],
        cwd=cli.folder,
        env=environ,
        stdout=subprocess.DEVNULL,
        stderr=terminal,
    )
    os.close(terminal)
    written = b""
    deadline = time.monotonic() + 60
    with suppress(OSError):  # EIO: nobody has the other side any more
        while time.monotonic() < deadline:
            if select.select([main], [], [], 1.0)[0]:
                written += os.read(main, 65536)
    os.close(main)
    return process.wait(timeout=20), written.decode()


def shown(text: str) -> list[str]:
    """Return the lines that a terminal showed at one time or another, without colours."""
    plain = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", text)
    return [line.rstrip() for line in re.split(r"[\r\n]+", plain)]


@pytest.mark.skipif(sys.platform == "win32", reason="needs a pseudo-terminal")
@pytest.mark.parametrize("stated", [True, False], ids=["sizes stated", "sizes not stated"])
def test_the_bar_of_all_files(cli: Cli, server: Server, stated: bool) -> None:
    size = len(CONTENT) + 3
    uids = [
        write(cli, server, name, size=size if stated else None, block=60_000, pause=0.15) for name in ("one", "two")
    ]
    uids.append(write(cli, server, "old", size=size if stated else None))
    assert cli("fetch", uids[-1], "-q").code == 0
    uids.append(write(cli, server, "bad", size=size if stated else None))
    server.put("/bad/model.ckpt", b"", "404")
    code, text = at_terminal(cli, "fetch", *uids)
    assert code == 1
    lines = shown(text)
    totals = [line for line in lines if re.match(r"\d of 4 files", line)]
    assert any(line.startswith("3 of 4 files, 1 failed") for line in totals), totals
    assert not any("?" in line.replace("?/s", "") for line in totals if "MB/s" in line), totals
    if stated:
        # All that is still to come, and what was stored before: without the one that failed, that is three files.
        amounts = [match for line in totals if (match := re.search(r"([\d.]+)/([\d.]+) MiB", line))]
        assert {match[2] for match in amounts} <= {"2.3", "1.7"}
        assert amounts[-1][2] == "1.7"
        assert amounts[-1][1] == "1.7"
    # A terminal writes ^C behind a bar, and that must not begin a line.
    assert max(len(line) for line in totals) <= 80 - 3
    # Of a long label, what tells it apart stays.
    assert any(re.match(r"model\.ckpt +━", line) for line in lines)
    assert any(re.match(r"model\.ckpt \(\S*/two\) +━", line) for line in lines)


@pytest.mark.skipif(sys.platform == "win32", reason="needs a pseudo-terminal")
def test_errors_at_a_terminal_are_not_broken_into_lines(cli: Cli, server: Server) -> None:
    long = "a_very_long_name_of_a_model_" * 4
    uids = [write(cli, server, name) for name in ("one", long)]
    server.put(f"/{long}/model.ckpt", b"", "404")
    code, text = at_terminal(cli, "fetch", *uids, columns=60)
    assert code == 1
    message = f"hubtool/1.9/{long}: {server.url}/{long}/model.ckpt?...: the server answered 404 Not Found"
    assert f"\x1b[1;31merror\x1b[0m: {message}\r\n" in text


PYTHON = """
import sys, hubtool
seen = []
report = {"bar": True, "function": lambda received, size: seen.append((received, size)), "none": False}[sys.argv[2]]
found = hubtool.fetch(sys.argv[1], progress=report)
print(len(seen), seen[-1:], [path.stat().st_size for path in found.values()], "rich" in sys.modules)
"""


@pytest.mark.parametrize("kind", ["none", "function", "bar"])
def test_python_programs_see_progress_if_they_ask_for_it(cli: Cli, server: Server, kind: str) -> None:
    uid = write(cli, server, "one")
    size = len(CONTENT) + 3

    def run() -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-c", PYTHON, uid, kind]
        return subprocess.run(
            command, cwd=cli.folder, env=cli.environ, capture_output=True, text=True, timeout=60, check=True
        )

    done = run()
    count, _, rest = done.stdout.strip().partition(" ")
    last = f"[({size}, {size})]" if kind == "function" else "[]"
    assert rest == f"{last} [{size}] {kind == 'bar'}"
    assert (int(count) > 0) == (kind == "function")
    assert ("model.ckpt" in done.stderr) == (kind == "bar")
    assert kind == "bar" or done.stderr == ""
    again = run()  # stored: nothing comes, so nothing is shown
    assert "model.ckpt" not in again.stderr
    assert again.stdout.startswith("0 ")


def test_progress_is_a_flag_or_a_function() -> None:
    import hubtool
    from hubtool.errors import ArgumentTypeError

    for call in (hubtool.fetch, hubtool.load):
        with pytest.raises(ArgumentTypeError, match="progress is 'yes'"):
            call("hubtool/1.9/one", progress="yes")  # type: ignore[arg-type, call-overload]  # that is what is tested
