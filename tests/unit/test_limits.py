"""Limits: rate, slots and pauses."""

from __future__ import annotations

import threading
import time

from hubtool.assets.limits import Rate, Reach, Retries, Slots


def test_pauses_grow_and_are_bounded() -> None:
    retries = Retries(first=1.0, longest=5.0)
    for tries, most in ((1, 1.0), (2, 2.0), (3, 4.0), (4, 5.0), (400, 5.0)):
        pauses = {retries.pause(tries) for _ in range(50)}
        assert max(pauses) <= most
        assert min(pauses) >= most / 2
        assert len(pauses) > 10


def test_a_rate_is_common_to_all_threads() -> None:
    rate = Rate(1000.0)
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
    slots = Slots(2)
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
    assert slots.spare()
    assert slots.spare()
    assert not slots.spare()
    slots.give_back()
    assert slots.spare()


def test_a_host_is_given_up_after_some_files_and_some_time() -> None:
    reach = Reach(0.05)
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
    reach = Reach(0.0)
    for _ in range(2):
        reach.note("a", reached=False)
    assert reach.given_up("a") is None, "two files tell little"
    reach.note("a", reached=True)
    reach.note("a", reached=False)
    assert reach.given_up("a") is None
