"""Limits: rate, slots and pauses."""

from __future__ import annotations

import socket
import threading
import time
from typing import TYPE_CHECKING

import pytest

from hubtool.digest import Digest
from hubtool.links import LinkPolicy
from hubtool.store.store import Store
from hubtool.transfer.events import FetchRequest
from hubtool.transfer.fetcher import Fetcher
from hubtool.transfer.limits import ConnectionLimit, HostHealth, RateLimiter, RetryPolicy

if TYPE_CHECKING:
    from pathlib import Path


def test_pauses_grow_and_are_bounded() -> None:
    retries = RetryPolicy(first_seconds=1.0, longest_seconds=5.0)
    for tries, most in ((1, 1.0), (2, 2.0), (3, 4.0), (4, 5.0), (400, 5.0)):
        pauses = {retries.pause(tries) for _ in range(50)}
        assert max(pauses) <= most
        assert min(pauses) >= most / 2
        assert len(pauses) > 10


def test_a_rate_is_common_to_all_threads() -> None:
    rate = RateLimiter(1000.0)
    waited: list[float] = []

    def work() -> None:
        for _ in range(10):
            rate.take(100, waited.append)

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert 2.5 < max(waited) <= 3.0


def test_slots_are_never_more_than_there_are() -> None:
    slots = ConnectionLimit(2)
    busy: list[int] = []
    most: list[int] = []

    def work() -> None:
        with slots.one():
            busy.append(1)
            most.append(len(busy))
            time.sleep(0.005)
            busy.pop()

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert max(most) == 2
    assert slots.take_spare()
    assert slots.take_spare()
    assert not slots.take_spare()
    slots.give_back()
    assert slots.take_spare()


def test_a_host_is_given_up_after_some_files_and_some_time() -> None:
    reach = HostHealth(0.05)
    for _ in range(3):
        assert reach.given_up("a") is None
        reach.note("a", reached=False)
    assert reach.given_up("a") is None, "that was quick"
    time.sleep(0.06)
    away = reach.given_up("a")
    assert away is not None
    assert 0.05 <= away < 5
    assert reach.given_up("b") is None


def test_a_host_that_was_reached_is_not_given_up() -> None:
    reach = HostHealth(0.0)
    for _ in range(2):
        reach.note("a", reached=False)
    assert reach.given_up("a") is None, "two files tell little"
    reach.note("a", reached=True)
    reach.note("a", reached=False)
    assert reach.given_up("a") is None


@pytest.mark.parametrize("number", [socket.EAI_NONAME, socket.EAI_AGAIN])
def test_a_host_that_nobody_knows_is_given_up_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    """Without a network, name servers say so at once, or do not answer; either way a run does not go on for minutes."""
    asked = 0

    def unknown(*_: object, **__: object) -> None:
        nonlocal asked
        asked += 1
        raise socket.gaierror(number, "not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    retries = RetryPolicy(first_seconds=0.0, longest_seconds=0.0, unreached_seconds=0.0)
    policy = LinkPolicy.allowing(more=["nobody.example"])
    with Fetcher(Store(tmp_path), policy=policy, retries=retries) as run:
        wanted = [FetchRequest(link=f"https://nobody.example/{name}", digest=Digest("ab" * 32)) for name in "abcde"]
        said = [str(run.outcome(one).error) for one in wanted]
    assert ["not asked for" in text for text in said] == [False, False, False, True, True]
    assert asked <= 3 * retries.attempts
