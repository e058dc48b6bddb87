"""Processes that share out work. Each test is a program of its own: only a process without threads may be forked."""

from __future__ import annotations

import os
import pickle
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from hubtool import errors, processes

forks = pytest.mark.skipif(
    sys.platform != "linux" or processes.cores() < 2, reason="needs Linux, and more than one processor"
)
BEGIN = """
import os, signal, sys, threading, time
from hubtool import processes
"""


def program(text: str, *arguments: str) -> list[str]:
    return [sys.executable, "-c", BEGIN + text, *arguments]


def run(text: str, *arguments: str) -> str:
    done = subprocess.run(program(text, *arguments), capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def await_files(folder: Path, count: int) -> list[str]:
    """Wait until so many processes have written that they are at work; return what they wrote."""
    deadline = time.monotonic() + 30
    while len(names := [path.name for path in folder.iterdir()]) < count:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    return names


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@forks
def test_several_processes_do_all_of_it() -> None:
    out = run(
        """
def work(number):
    time.sleep(0.01)
    return number * 2, os.getpid()
found = dict(processes.share(work, range(40)))
print(sorted(value for value, _ in found.values()) == list(range(0, 80, 2)), all(found[n][0] == 2 * n for n in found))
pids = {pid for _, pid in found.values()}
print(len(pids) > 1, os.getpid() in pids)
"""
    )
    assert out.split() == ["True", "True", "True", "False"]


@forks
@pytest.mark.parametrize("why", ["threading.Thread(target=time.sleep, args=(5,), daemon=True).start()", "least = 50"])
def test_one_process_does_it_where_others_are_not_worth_it_or_not_safe(why: str) -> None:
    out = run(
        f"""
least = 2
{why}
print({{pid for _, pid in processes.share(lambda _: os.getpid(), range(40), least=least)}} == {{os.getpid()}})
"""
    )
    assert out.split() == ["True"]


@forks
def test_what_a_killed_process_had_begun_is_done_again(tmp_path: Path) -> None:
    out = run(
        """
def work(number):
    if number == 7 and not os.path.exists(sys.argv[1]):
        open(sys.argv[1], "w").close()
        os.kill(os.getpid(), signal.SIGKILL)
    return number
print(sorted(value for _, value in processes.share(work, range(20))) == list(range(20)))
""",
        str(tmp_path / "killed"),
    )
    assert out.split() == ["True"]
    assert (tmp_path / "killed").exists()


@forks
def test_an_error_comes_as_it_is() -> None:
    out = run(
        """
from hubtool.errors import FetchError
def work(number):
    if number == 3:
        raise FetchError("gone", hint="ask", status=404)
    return number
try:
    list(processes.share(work, range(10)))
except FetchError as error:
    print(error.message, error.hint, error.status)
"""
    )
    assert out.split() == ["gone", "ask", "404"]


@forks
def test_no_process_outlives_its_parent(tmp_path: Path) -> None:
    text = """
def work(number):
    open(f"{sys.argv[1]}/{os.getpid()}", "w").close()
    time.sleep(60)
list(processes.share(work, range(4)))
"""
    parent = subprocess.Popen(program(text, str(tmp_path)))
    try:
        pids = [*map(int, await_files(tmp_path, 2))]
        assert all(map(is_alive, pids))
    finally:
        parent.kill()
        parent.wait()
    deadline = time.monotonic() + 10
    while any(map(is_alive, pids)):
        assert time.monotonic() < deadline
        time.sleep(0.02)


@forks
def test_an_interrupt_is_the_parents_alone(tmp_path: Path) -> None:
    text = """
def work(number):
    open(f"{sys.argv[1]}/{number}", "w").close()
    time.sleep(60)
try:
    list(processes.share(work, range(400)))
except KeyboardInterrupt:
    print("interrupted")
"""
    parent = subprocess.Popen(
        program(text, str(tmp_path)),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    await_files(tmp_path, 1)
    os.killpg(parent.pid, signal.SIGINT)  # as a terminal does, to all
    out, err = parent.communicate(timeout=10)  # nobody waits for what was under way
    assert (out, err) == ("interrupted\n", "")
    assert len(list(tmp_path.iterdir())) < 20


@forks
def test_when_one_is_killed_the_others_go_on() -> None:
    out = run(
        """
here = os.getpid()
def work(number):
    if number == 7 and os.getpid() != here:
        os.kill(os.getpid(), signal.SIGKILL)
    time.sleep(0.005)
    return os.getpid()
found = dict(processes.share(work, range(60), count=3))
print(sorted(found) == list(range(60)), [number for number, pid in found.items() if pid == here])
found = dict(processes.share(work, range(60), finish=False))
print([number for number in range(60) if number not in found])
"""
    )
    assert out.splitlines() == ["True [7]", "[7]"]


@forks
def test_when_all_are_killed_the_rest_is_left() -> None:
    out = run(
        """
taken = []
def items():
    for number in range(1000):
        taken.append(number)
        yield number
def work(number):
    if number >= 20:
        os.kill(os.getpid(), signal.SIGKILL)
    return number
before = len(os.listdir("/proc/self/fd"))
with processes.crew(2, work, lambda say: None) as workers:
    done = dict(workers.do(items()))
    print(sorted(done) == list(range(20)), len(taken) < 25, dict(workers.do(range(5))))
print(len(os.listdir("/proc/self/fd")) == before)
try:
    os.waitpid(-1, 0)
except ChildProcessError:
    print("no process is left")
"""
    )
    assert out == "True True {}\nTrue\nno process is left\n"


@forks
def test_one_that_was_killed_while_it_was_free_is_given_nothing() -> None:
    out = run(
        """
with processes.crew(3, lambda number: (number, os.getpid()), lambda say: None) as workers:
    first = {pid for _, (_, pid) in workers.do(range(30))}
    os.kill(min(first), signal.SIGKILL)
    time.sleep(0.2)
    second = dict(workers.do(range(30)))
    print(sorted(second) == list(range(30)), min(first) in {pid for _, pid in second.values()})
"""
    )
    assert out.split() == ["True", "False"]


@forks
def test_items_are_taken_when_somebody_is_free_for_them() -> None:
    out = run(
        """
taken = []
def items():
    for number in range(50):
        taken.append(number)
        yield number
ahead = []
with processes.crew(2, lambda number: number, lambda say: None) as workers:
    for count, _ in enumerate(workers.do(items()), 1):
        ahead.append(len(taken) - count)
print(max(ahead) <= 2, len(ahead))
"""
    )
    assert out.split() == ["True", "50"]


@forks
def test_what_they_say_is_heard_in_its_order_and_before_what_they_did() -> None:
    out = run(
        """
heard = {}
def begin(say):
    global tell
    tell = say
def work(number):
    for step in range(100):
        tell((number, step, b"x" * 5000))
    return number
with processes.crew(2, work, begin) as workers:
    for number, _ in workers.do(range(6), lambda said: heard.setdefault(said[0], []).append(said[1])):
        assert heard[number] == list(range(100)), number
print(len(heard))
"""
    )
    assert out.split() == ["6"]


@forks
@pytest.mark.parametrize("what", ["return lambda: 1", "raise type('Local', (Exception,), {})('not to be sent')"])
def test_what_cannot_be_sent_is_an_error_here(what: str) -> None:
    out = run(
        f"""
def work(number):
    {what}
try:
    list(processes.share(work, range(4)))
except Exception as error:
    print(type(error).__name__, error)
"""
    )
    assert out.strip()
    assert ("not to be sent" in out) == what.startswith("raise")


@forks
def test_large_things_are_sent() -> None:
    out = run(
        """
found = dict(processes.share(lambda number: bytes([number]) * (5 << 20), range(6)))
print(all(found[number] == bytes([number]) * (5 << 20) for number in range(6)))
with processes.crew(2, len, lambda say: None) as workers:
    print([size for _, size in workers.do([b"x" * (5 << 20)] * 5)] == [5 << 20] * 5)
"""
    )
    assert out.split() == ["True", "True"]


@forks
def test_where_the_system_gives_no_process_it_is_done_here() -> None:
    out = run(
        """
fork, given = os.fork, []
def some():
    if len(given) == most:
        raise BlockingIOError(11, "no more processes")
    given.append(1)
    return fork()
os.fork = some
before = len(os.listdir("/proc/self/fd"))
for most in (0, 1):
    pids = {pid for _, pid in processes.share(lambda _: (time.sleep(0.01), os.getpid())[1], range(10), count=3)}
    print(len(pids), os.getpid() in pids, len(os.listdir("/proc/self/fd")) == before)
"""
    )
    assert out.splitlines() == ["1 True True", "1 False True"]


@forks
def test_they_are_let_end_what_they_are_at(tmp_path: Path) -> None:
    out = run(
        """
def work(number):
    time.sleep(0.5)
    open(f"{sys.argv[1]}/{number}", "w").close()
    return b"x" * (3 << 20)
start = time.monotonic()
with processes.crew(3, work, lambda say: None) as workers:
    signal.setitimer(signal.ITIMER_REAL, 0.1)
    signal.signal(signal.SIGALRM, signal.default_int_handler)
    try:
        list(workers.do(range(100)))
    except KeyboardInterrupt:
        workers.leave(10)
print(sorted(os.listdir(sys.argv[1])), time.monotonic() - start < 5)
""",
        str(tmp_path),
    )
    assert out.strip() == "['0', '1', '2'] True"


@pytest.mark.parametrize("by", ["processes", "threads", "one"])
def test_many_small_things_and_few_large_ones(by: str) -> None:
    out = run(
        f"""
here, by = os.getpid(), {by!r}
if by == "threads":
    threading.Thread(target=time.sleep, args=(20,), daemon=True).start()
sizes = [1] * 1000 + [100, 3, 100] + [0] * 1000
order = []
def work(size):
    order.append(size)
    return size + 1, os.getpid() == here, threading.get_ident()
count = 1 if by == "one" else 2
found = dict(processes.spread(work, sizes, sizes=sizes, together=10, count=count))
print([found[number][0] for number in range(len(sizes))] == [size + 1 for size in sizes])
print({{here for _, here, _ in found.values()}}, {{found[1000][0], found[1002][0]}}, order[:2] in ([100, 100], []))
for nothing in processes.spread(work, [], sizes=[], together=10, count=2):
    print("what is this?")
def fail(size):
    raise ValueError("it is so")
try:
    list(processes.spread(fail, sizes, sizes=sizes, together=10, count=count))
except ValueError as error:
    print(error)
sys.stdout.flush()
os._exit(0)  # not waiting for the thread
"""
    )
    forked = by == "processes" and sys.platform == "linux" and processes.cores() > 1
    assert out.splitlines() == ["True", f"{{{not forked}}} {{101}} True", "it is so"]


@forks
def test_another_process_goes_ahead() -> None:
    out = run(
        """
began = time.monotonic()
def work(number):
    return number, os.getpid(), time.monotonic()
with processes.ahead(work, range(20)) as done:
    time.sleep(0.5)
    found = list(done)
print([number for number, _, _ in found] == list(range(20)), {pid for _, pid, _ in found}.isdisjoint({os.getpid()}))
print(all(at - began < 0.5 for _, _, at in found))
try:
    os.waitpid(-1, 0)
except ChildProcessError:
    print("no process is left")
"""
    )
    assert out == "True True\nTrue\nno process is left\n"


@forks
def test_more_goes_ahead_than_a_pipe_holds() -> None:
    out = run(
        """
with processes.ahead(lambda number: bytes([number]) * (1 << 20), range(8)) as done:
    time.sleep(0.1)
    print([(len(one), one[0]) for one in done] == [(1 << 20, number) for number in range(8)])
"""
    )
    assert out.split() == ["True"]


@forks
@pytest.mark.parametrize(
    "end", ["os.kill(os.getpid(), signal.SIGKILL)", "raise ValueError('there')", "return lambda: 'cannot be sent'"]
)
def test_what_the_process_ahead_did_not_do_is_done_here(end: str) -> None:
    out = run(
        f"""
here = os.getpid()
def work(number):
    if number == 5 and os.getpid() != here:
        {end}
    return number, os.getpid() == here
with processes.ahead(work, range(9)) as done:
    found = list(done)
print([number for number, _ in found] == list(range(9)), [by_us for _, by_us in found] == [False] * 5 + [True] * 4)
"""
    )
    assert out.split() == ["True", "True"]


@forks
def test_what_fails_ahead_fails_here() -> None:
    out = run(
        """
def work(number):
    return 1 // (3 - number)
with processes.ahead(work, range(9)) as done:
    print(next(done), next(done), next(done))
    try:
        next(done)
    except ZeroDivisionError as error:
        print(error)
"""
    )
    assert out.splitlines()[0] == "0 0 1"
    assert "zero" in out.splitlines()[1]


@forks
def test_nothing_goes_ahead_where_a_fork_is_not_safe_or_not_to_be_had() -> None:
    out = run(
        """
def pids():
    with processes.ahead(lambda _: os.getpid(), range(3)) as done:
        return set(done)
def refuse():
    raise BlockingIOError(11, "no more processes")
before = len(os.listdir("/proc/self/fd"))
fork, os.fork = os.fork, refuse
print(pids() == {os.getpid()}, len(os.listdir("/proc/self/fd")) == before)
os.fork = fork
print(pids() == {os.getpid()}, len(os.listdir("/proc/self/fd")) == before)
threading.Thread(target=time.sleep, args=(5,), daemon=True).start()
print(pids() == {os.getpid()})
"""
    )
    assert out.split() == ["True", "True", "False", "True", "True"]


@forks
def test_an_interrupt_ends_the_process_ahead(tmp_path: Path) -> None:
    text = """
def work(number):
    open(f"{sys.argv[1]}/{os.getpid()}", "w").close()
    time.sleep(60)
try:
    with processes.ahead(work, range(4)) as done:
        list(done)
except KeyboardInterrupt:
    print("interrupted")
"""
    parent = subprocess.Popen(
        program(text, str(tmp_path)),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    (pid,) = map(int, await_files(tmp_path, 1))
    os.killpg(parent.pid, signal.SIGINT)
    out, err = parent.communicate(timeout=10)
    assert (out, err) == ("interrupted\n", "")
    assert not is_alive(pid)


KINDS = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, errors.HubError)]


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_every_error_can_be_sent(kind: type[errors.HubError]) -> None:
    own: dict[str, dict[str, Any]] = {
        "DigestError": {"expected": "a", "actual": "b"},
        "CoverageError": {"coverage": None},
    }
    error = kind("what", hint="how", **own.get(kind.__name__, {}))
    error.message += " and more"
    again = pickle.loads(pickle.dumps(error))  # noqa: S301 (our own)
    assert type(again) is kind
    assert (str(again), again.args, again.__dict__) == (str(error), error.args, error.__dict__)
