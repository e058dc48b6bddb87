"""What holds a program without namespaces, and what is said of it."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest

from hubtool.sandbox.limits import ProgramLimits
from hubtool.sandbox.run import ProgramResult, environment, run_isolated
from tests.support import ROOT

if TYPE_CHECKING:
    from pathlib import Path

MIB = 1 << 20


def ran(folder: Path, code: str, **more: float) -> ProgramResult:
    limits = ProgramLimits(
        seconds=more.get("seconds", 30), memory=int(more.get("memory", 512 * MIB)), disk=int(more.get("disk", 64 * MIB))
    )
    return run_isolated(
        [sys.executable, "-c", code],
        scratch=folder,
        environ=environment(folder, {}),
        limits=limits,
        use_namespaces=False,
    )


def test_output_answer_and_code_come_back(tmp_path: Path) -> None:
    shown: list[str] = []
    code = "import os, sys; print('模型'); os.write(int(os.environ['HUBTOOL_ANSWER']), b'yes'); sys.exit(3)"
    ended = run_isolated(
        [sys.executable, "-X", "utf8", "-c", code],
        scratch=tmp_path,
        environ=environment(tmp_path, {}),
        limits=ProgramLimits(seconds=30),
        show=shown.append,
        use_namespaces=False,
    )
    assert (ended.code, ended.reason, ended.output, ended.answer) == (3, "", "模型\n", b"yes")
    assert "".join(shown) == "模型\n"


def test_what_is_not_held_is_said(tmp_path: Path) -> None:
    ended = ran(tmp_path, "pass")
    assert not ended.held & {"network", "files", "processes"}
    assert "not held: no network, no files written but in its folder, no process left behind (" in ended.described


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("while True: pass", "it did not end within 2 seconds"),
        ("import os\nfor i in range(999): open(str(i), 'wb').write(b'x' * (1 << 20))\nwhile True: pass", "of files"),
        ("import os; os.abort()", "SIGABRT"),
    ],
)
def test_the_limits_hold_without_namespaces(tmp_path: Path, code: str, reason: str) -> None:
    ended = ran(tmp_path, code, seconds=2 if "within" in reason else 20)
    assert reason in ended.reason
    assert ended.code < 0


@pytest.mark.skipif(sys.platform != "linux", reason="memory and processes are seen on Linux only")
def test_a_process_that_leaves_the_session_does_not_stay(tmp_path: Path) -> None:
    code = (
        "import subprocess, time\n"
        "child = subprocess.Popen(['sleep', '300'], start_new_session=True)\n"
        "print(child.pid, flush=True)\ntime.sleep(1)\n"
    )
    pid = int(ran(tmp_path, code).output)
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline:
        try:
            with open(f"/proc/{pid}/stat", encoding="utf-8") as stream:  # noqa: PTH123 - no path of a file
                if stream.read().rpartition(")")[2].split()[0] == "Z":
                    return
        except OSError:
            return
        time.sleep(0.05)
    os.kill(pid, 9)
    pytest.fail("the process was left behind")


@pytest.mark.skipif(sys.platform != "linux", reason="memory and processes are seen on Linux only")
def test_memory_of_all_processes_counts(tmp_path: Path) -> None:
    code = "import os, time\nfor _ in range(3):\n    if os.fork() == 0: break\nx = b'x' * (200 << 20)\ntime.sleep(20)\n"
    ended = ran(tmp_path, code)
    assert ended.reason == "it took more than 512 MiB of memory"
    assert ended.memory > 512 * MIB


def test_the_environment_has_no_secrets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "x")
    monkeypatch.setenv("SSH_AUTH_SOCK", "x")
    monkeypatch.setenv("LC_ALL", "C.UTF-8")
    environ = environment(tmp_path, {"MORE": "1"})
    assert not environ.keys() & {"AWS_SECRET_ACCESS_KEY", "SSH_AUTH_SOCK"}
    assert environ["LC_ALL"] == "C.UTF-8"
    assert environ["MORE"] == "1"
    assert environ["HOME"] == str(tmp_path / "home")


DEVICES = """
import json, os, stat, sys
found = {}
for where in ("/dev", sys.argv[1]):
    for name in sorted(os.listdir(where)):
        path = os.path.join(where, name)
        mode = os.stat(path).st_mode if os.path.exists(path) else 0
        if stat.S_ISCHR(mode) or stat.S_ISBLK(mode):
            try:
                os.close(os.open(path, os.O_RDWR))
                found[path] = "opened"
            except OSError as error:
                found[path] = error.strerror
try:
    open("/proc/sys/kernel/printk", "w").close()
    found["/proc/sys"] = "opened"
except OSError as error:
    found["/proc/sys"] = error.strerror
try:
    os.mknod("made", 0o600 | stat.S_IFBLK, os.makedev(7, 0))
    found["made"] = "opened"
except OSError as error:
    found["made"] = error.strerror
open("/dev/null", "w").write("x")
assert open("/dev/urandom", "rb").read(4)
open("/dev/shm/x", "w").write("x")
assert open("/dev/stdin").read() == ""
os.write(int(os.environ["HUBTOOL_ANSWER"]), json.dumps(found).encode())
"""


def test_the_program_has_a_dev_of_its_own(tmp_path: Path) -> None:
    """Root, as in a container, may open every device that it finds: a loop device writes files outside."""
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    if os.geteuid() == 0:
        os.mknod(elsewhere / "zero", 0o666 | stat.S_IFCHR, os.makedev(1, 5))
        os.mknod(elsewhere / "disk", 0o666 | stat.S_IFBLK, os.makedev(7, 0))
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    ended = run_isolated(
        [sys.executable, "-c", DEVICES, str(elsewhere)],
        scratch=scratch,
        environ=environment(scratch, {}),
        limits=ProgramLimits(seconds=30),
    )
    if "files" not in ended.held:
        pytest.skip(f"this system does not let a program be isolated: {ended.why}")
    assert ended.code == 0, ended.output
    found = json.loads(ended.answer)
    opened = {path for path, how in found.items() if how == "opened" and path != "/dev/stdin"}
    assert opened <= {f"/dev/{name}" for name in ("full", "null", "random", "urandom", "zero")} | {
        path for path in found if path.startswith(("/dev/davinci", "/dev/devmm", "/dev/hisi", "/dev/nvidia"))
    }
    assert {"/dev/null", "/dev/zero", "/dev/urandom"} <= opened
    assert not {path for path in found if "loop" in path or "fuse" in path or "tun" in path}


PARENT = """
import sys
from pathlib import Path
from hubtool.sandbox.limits import ProgramLimits
from hubtool.sandbox.run import environment, run_isolated
scratch = Path(sys.argv[1])
code = "import time\\nwhile True: open('alive', 'a').write('x'); time.sleep(0.05)"
run_isolated([sys.executable, "-c", code], scratch=scratch, environ=environment(scratch, {}),
             limits=ProgramLimits(seconds=60), use_namespaces=sys.argv[2] == "yes")
"""


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel ends orphans on Linux only")
@pytest.mark.parametrize("namespaces", ["yes", "no"])
def test_the_program_ends_with_hubtool(tmp_path: Path, namespaces: str) -> None:
    parent = subprocess.Popen([sys.executable, "-c", PARENT, str(tmp_path), namespaces], cwd=ROOT)
    alive = tmp_path / "work" / "alive"
    deadline = time.monotonic() + 30
    while not alive.exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    assert alive.exists()
    parent.kill()
    parent.wait()
    deadline = time.monotonic() + 10
    size = -1
    while size != alive.stat().st_size and time.monotonic() < deadline:
        size = alive.stat().st_size
        time.sleep(0.5)
    assert size == alive.stat().st_size
