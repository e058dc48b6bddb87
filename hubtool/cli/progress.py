"""Progress: bars at a terminal, lines elsewhere, JSON events for programs; all on standard error."""

from __future__ import annotations

import json
import sys
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

import click

from hubtool.cli import render

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rich.progress import Progress, TaskID

    from hubtool.assets.events import Event
    from hubtool.assets.events import Progress as Report
    from hubtool.errors import HubError

KINDS = ("auto", "bars", "lines", "json", "none")
_LINE_EVERY = 10.0  # seconds between two lines on one file
_EVENT_EVERY = 0.2  # seconds between two events, or two moves of a bar, of one file


class Reporter:
    """Takes a run's events, and shows only what nobody may miss: mirrors that are asked no more, and the end.

    Attributes:
        kinds: The kinds of events that it takes.
        counts: Whether it must know at the beginning how many files there are.
    """

    kinds = frozenset({"kept", "mirror-skipped"})
    counts = False

    def __init__(self) -> None:
        self.kept: dict[str, Event] = {}

    def __call__(self, event: Event) -> None:
        """Take an event."""
        if event.kind == "kept":
            self.kept[event.name] = event
        self.show(event)

    def expect(self, files: int, size: int) -> None:
        """Say how many files and bytes will come, as far as cards state it."""

    def show(self, event: Event) -> None:
        """Show an event."""
        if event.kind == "mirror-skipped":
            self.say(f"{click.style('warning', fg='yellow')}: {event.message}")

    def say(self, text: str) -> None:
        """Write a line."""
        click.echo(text, err=True)

    def error(self, uid: str, error: HubError) -> None:
        """Say at the end what failed."""
        self.say(f"{click.style('error', fg='red', bold=True)}: {uid}: {error.message}")
        if error.hint:
            self.say(f"{click.style('hint', fg='cyan')}: {error.hint}")

    def interrupted(self) -> None:
        """Say what an interrupt left."""
        self.say("interrupted")
        for event in self.kept.values():
            of = "" if event.size is None else f" of {render.size(event.size)}"
            self.say(f"kept: {render.size(event.received)}{of} of {event.name}")
        if self.kept:
            self.say(f"{click.style('hint', fg='cyan')}: the same command goes on from there")


class _Talkative(Reporter):
    kinds = Reporter.kinds | {"started", "progress", "retried", "turned", "done", "failed"}


class _Lines(_Talkative):
    def __init__(self) -> None:
        super().__init__()
        self._last: dict[str, float] = {}

    def show(self, event: Event) -> None:
        if event.kind == "progress":
            now = time.monotonic()
            if now - self._last.setdefault(event.name, now) >= _LINE_EVERY:
                self._last[event.name] = now
                of = "" if event.size is None else f" of {render.size(event.size)}"
                self.say(f"{event.name}: {render.size(event.received)}{of}")
        elif event.kind == "started" and event.received:
            self.say(f"{event.name}: goes on from {render.size(event.received)}")
        elif event.kind == "done":
            self.say(f"{event.name}: {render.size(event.size)}, verified")
        elif event.kind == "retried":
            self.say(f"{event.name}: {event.message}; the next attempt is in {event.wait or 0:.1f} seconds")
        elif event.kind == "turned":
            self.say(f"{event.name}: {event.message}; the next source is asked")
        else:
            super().show(event)


class _Json(_Talkative):
    def __init__(self) -> None:
        super().__init__()
        self._last: dict[str, float] = {}

    def show(self, event: Event) -> None:
        if event.kind == "progress":
            now = time.monotonic()
            if now - self._last.get(event.name, 0.0) < _EVENT_EVERY:
                return
            self._last[event.name] = now
        value: dict[str, object] = {"event": event.kind, "name": event.name, "received": event.received}
        value["size"] = event.size
        value.update({key: text for key in ("source", "message") if (text := getattr(event, key))})
        if event.wait is not None:
            value["wait"] = round(event.wait, 3)
        if event.stored is not None:
            value.update(digest=event.stored.digest, stored=str(event.stored.path))
        self.say(json.dumps(value, ensure_ascii=False))

    def error(self, uid: str, error: HubError) -> None:
        self.say(json.dumps({"event": "error", "uid": uid, "message": error.message, "hint": error.hint}))

    def interrupted(self) -> None:
        self.say(json.dumps({"event": "interrupted", "kept": sorted(self.kept)}))


class _Bars(_Talkative):
    counts = True

    def __init__(self, bars: Progress) -> None:
        super().__init__()
        self._bars = bars
        self._total: TaskID | None = None
        self._tasks: dict[str, tuple[TaskID, int, float]] = {}
        self._files = self._done = 0

    def expect(self, files: int, size: int) -> None:
        del size  # many cards state none, and a total that grows misleads
        if files > 1:
            self._files = files
            self._total = self._bars.add_task(f"0 of {files} files", total=None)

    def show(self, event: Event) -> None:
        if event.kind in ("started", "progress"):
            self._move(event)
        elif event.kind in ("done", "failed", "kept"):
            self._move(event)
            task = self._tasks.pop(event.name, None)
            if task is not None:
                self._bars.remove_task(task[0])
            if event.kind == "done" and self._total is not None:
                self._done += 1
                self._bars.update(self._total, description=f"{self._done} of {self._files} files")
        elif event.kind == "retried":
            self._bars.console.print(f"{event.name}: {event.message}; again in {event.wait or 0:.1f} s", markup=False)
        else:
            super().show(event)

    def say(self, text: str) -> None:
        self._bars.console.print(click.unstyle(text), markup=False)

    def _move(self, event: Event) -> None:
        known = self._tasks.get(event.name)
        if known is None:
            if event.kind in ("failed", "kept"):
                return
            task = self._bars.add_task(event.name, total=event.size, completed=event.received)
            self._tasks[event.name] = (task, event.received, time.monotonic())
            return
        task, received, then = known
        now = time.monotonic()
        if event.kind == "progress" and now - then < _EVENT_EVERY:
            return
        if event.kind == "failed":
            return
        self._tasks[event.name] = (task, event.received, now)
        self._bars.update(task, completed=event.received, total=event.size)
        if self._total is not None:
            self._bars.advance(self._total, max(0, event.received - received))


@contextmanager
def reporter(kind: str) -> Iterator[Reporter]:
    """Show the progress of a run in one of the :data:`KINDS`; yields what takes its events."""
    if kind == "auto":
        kind = "bars" if sys.stderr.isatty() else "lines"
    if kind == "bars":
        with _bars() as bars:
            yield _Bars(bars)
    else:
        yield {"lines": _Lines, "json": _Json, "none": Reporter}[kind]()


@contextmanager
def transfer(name: str, *, shown: bool = True) -> Iterator[Report | None]:
    """Show the progress of one transfer; yields what is to be called with the bytes that came and the bytes in all."""
    if not shown or not sys.stderr.isatty():
        yield None
        return
    with _bars() as bars:
        task = bars.add_task(name, total=None)

        def update(received: int, size: int | None) -> None:
            bars.update(task, completed=received, total=size)

        yield update


@contextmanager
def _bars() -> Iterator[Progress]:
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn

    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        DownloadColumn(binary_units=True),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as bars:
        yield bars
