"""Progress: bars at a terminal, lines elsewhere, JSON events for programs; all on standard error."""

from __future__ import annotations

import sys
import time
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import click

from hubtool.cli import app, output, render
from hubtool.errors import HubError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
    from rich.measure import Measurement
    from rich.progress import Progress, Task, TaskID
    from rich.text import Text

    from hubtool.transfer.events import FetchEvent, ProgressCallback

KINDS = ("auto", "bars", "lines", "json", "none")
_LINE_SECONDS = 10.0  # between two lines on one file
_EVENT_SECONDS = 0.2  # between two events, or two moves of a bar, of one file
_BAR_AFTER_SECONDS = 0.5  # after which a file of several gets a bar: those of small ones would only flicker


class ProgressReporter:
    """Takes a run's events, and shows only warnings and the end.

    Attributes:
        kinds: The kinds of events that it takes.
        counts: Whether it must know at the beginning how many files there are.
    """

    kinds = frozenset({"kept", "mirror-skipped"})
    counts = False

    def __init__(self) -> None:
        self.kept: dict[str, FetchEvent] = {}

    def __call__(self, event: FetchEvent) -> None:
        """Take an event."""
        if event.kind == "kept":
            self.kept[event.name] = event
        self.show(event)

    def expect(self, files: int, size: int | None) -> None:
        """Announce the number of files, and their total bytes if known."""

    def close(self) -> None:
        """Remove the progress bars; later lines are printed normally."""

    def show(self, event: FetchEvent) -> None:
        """Show an event."""
        if event.kind == "mirror-skipped":
            self.say(f"{output.style('warning', fg='yellow')}: {event.message}")

    def say(self, text: str) -> None:
        """Write a line."""
        click.echo(text, err=True)

    def error(self, uid: str, error: HubError | output.OutputError, *, link: str = "", alone: bool = False) -> None:
        """Report at the end what failed.

        Args:
            uid: The card.
            error: Why.
            link: The asset, or the repository, where it was one.
            alone: Whether nothing else was asked for, so that the card need not be named.
        """
        del link  # messages name it
        app.say(error, f"{render.plain(uid)}: " if uid and not alone else "", self.say)

    def last(self, error: HubError | output.OutputError) -> bool:
        """Report an error that ends the command; return whether that was done here."""
        del error
        return False

    def interrupted(self) -> None:
        """Report what an interrupt left."""
        self.say("interrupted")
        for event in self.kept.values():
            of = "" if event.size is None else f" of {render.size(event.size)}"
            self.say(f"kept: {render.size(event.received)}{of} of {_name(event)}")
        if self.kept:
            self.say(f"{output.style('hint', fg='cyan')}: run the same command again to resume")


class _Talkative(ProgressReporter):
    kinds = ProgressReporter.kinds | {"started", "progress", "retried", "turned", "done", "failed"}


class _LineReporter(_Talkative):
    def __init__(self) -> None:
        super().__init__()
        self._last: dict[str, float] = {}

    def show(self, event: FetchEvent) -> None:
        if event.kind == "progress":
            now = time.monotonic()
            if now - self._last.setdefault(event.name, now) >= _LINE_SECONDS:
                self._last[event.name] = now
                of = "" if event.size is None else f" of {render.size(event.size)}"
                self.say(f"{_name(event)}: {render.size(event.received)}{of}")
        elif event.kind == "started" and event.received:
            self.say(f"{_name(event)}: resumes at {render.size(event.received)}")
        elif event.kind == "done":
            self.say(f"{_name(event)}: {render.size(event.size)}, verified")
        elif event.kind == "retried":
            self.say(f"{_name(event)}: {event.message}; the next attempt is in {event.wait or 0:.1f} seconds")
        elif event.kind == "turned":
            self.say(f"{_name(event)}: {event.message}; the next source is asked")
        else:
            super().show(event)


class _Json(_Talkative):
    """Writes each event as a line of JSON, and nothing else; docs/mirrors.md says what they hold."""

    def __init__(self) -> None:
        super().__init__()
        self._last: dict[str, float] = {}

    def show(self, event: FetchEvent) -> None:
        from hubtool.links import shown

        if event.kind == "progress":
            now = time.monotonic()
            if now - self._last.get(event.name, 0.0) < _EVENT_SECONDS:
                return
            self._last[event.name] = now
        value: dict[str, object] = {"event": event.kind, "name": event.name}
        if event.uid:
            value["uid"] = event.uid
        if event.link:
            value["link"] = shown(event.link)
        value.update(received=event.received, size=event.size)
        value.update({key: text for key in ("source", "message") if (text := getattr(event, key))})
        if event.wait is not None:
            value["wait"] = round(event.wait, 3)
        if event.stored is not None:
            value.update(digest=event.stored.digest, stored=str(event.stored.path))
        self.say(render.dumps(value))

    def error(self, uid: str, error: HubError | output.OutputError, *, link: str = "", alone: bool = False) -> None:
        from hubtool.links import shown

        del alone
        value: dict[str, object] = {"event": "error"}
        if uid:
            value["uid"] = uid
        if link:
            value["link"] = shown(link)
        self.say(render.dumps({**value, "message": error.message, "hint": error.hint}))

    def last(self, error: HubError | output.OutputError) -> bool:
        self.error("", error)
        return True

    def interrupted(self) -> None:
        self.say(render.dumps({"event": "interrupted", "kept": sorted(self.kept)}))


@dataclass(slots=True)
class _Row:
    """A file that is under way.

    Attributes:
        since: When it was begun.
        received: Its bytes that are counted.
        shown: When it was shown last.
        task: Its bar, where it has one.
    """

    since: float
    received: int = 0
    shown: float = 0.0
    task: TaskID | None = None


class _Bars(_Talkative):
    """Shows a bar for each file that takes a while, and one for all of them.

    That one measures bytes where the bytes of all files are known at the beginning, and files where they are not.
    """

    counts = True

    def __init__(self, bars: Progress) -> None:
        super().__init__()
        self._bars = bars
        self._total: Task | None = None
        self._bytes: Task | None = None
        self._size: int | None = None
        self._rows: dict[str, _Row] = {}
        self._files = self._done = self._failed = self._received = 0
        self._bars.start()

    def expect(self, files: int, size: int | None) -> None:
        if files < 2:
            return
        self._files, self._size = files, size
        # The bytes of all files, and how fast they come, also where the bar measures files.
        self._bytes = self._add("", total=size, visible=False)
        self._total = self._add(self._so_far(), total=files if size is None else size, counted=self._bytes)

    def close(self) -> None:
        self._bars.stop()

    def show(self, event: FetchEvent) -> None:
        if event.kind == "started":
            self._move(event)
        elif event.kind == "progress":
            row = self._rows.get(event.name)
            if row is None or time.monotonic() - row.shown >= _EVENT_SECONDS:
                self._move(event)
        elif event.kind in ("done", "failed"):
            self._end(event)
        elif event.kind == "retried":
            self.say(f"{_name(event)}: {event.message}; again in {event.wait or 0:.1f} s")
        else:
            super().show(event)

    def say(self, text: str) -> None:
        from rich.text import Text

        # As it is: rich would colour numbers and paths, and break lines that a user may want to copy.
        self._bars.console.print(Text.from_ansi(output.rendered(text, codes=True)), soft_wrap=True, highlight=False)

    def _move(self, event: FetchEvent) -> None:
        """Count what came of a file, and show it."""
        now = time.monotonic()
        row = self._rows.setdefault(event.name, _Row(now))
        self._count(event.received - row.received)
        row.received, row.shown = event.received, now
        if row.task is None and (self._total is None or now - row.since >= _BAR_AFTER_SECONDS):
            row.task = self._add(_name(event), total=event.size, completed=event.received).id
        elif row.task is not None:
            self._bars.update(row.task, completed=event.received, total=event.size)

    def _end(self, event: FetchEvent) -> None:
        """Count a file that came, or that will not come."""
        row = self._rows.pop(event.name, None) or _Row(0.0)
        if row.task is not None:
            self._bars.remove_task(row.task)
        if event.kind == "done":
            self._done += 1
            self._count((event.size or 0) - row.received)
        else:
            self._failed += 1
            # What is left is what is still to come.
            if self._size is not None:
                self._size -= event.size or 0
            self._count(-row.received)
        if self._total is not None:
            self._bars.update(self._total.id, description=self._so_far())

    def _count(self, size: int) -> None:
        self._received += size
        if self._total is not None and self._bytes is not None:
            self._bars.update(self._bytes.id, completed=self._received, total=self._size)
            if self._size is None:
                self._bars.update(self._total.id, completed=self._done + self._failed)
            else:
                self._bars.update(self._total.id, completed=self._received, total=self._size)

    def _so_far(self) -> str:
        failed = f", {self._failed:,} failed" if self._failed else ""
        return f"{self._done:,} of {render.count(self._files, 'file')}{failed}"

    def _add(self, text: str, **more: Any) -> Task:  # noqa: ANN401 (passed on)
        identifier = self._bars.add_task(text, **more)
        return next(task for task in self._bars.tasks if task.id == identifier)


class _Shortened:
    """A text for rich, from which as much is left out in its middle as the room for it asks for."""

    def __init__(self, text: str) -> None:
        self._text = text

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        from rich.cells import cell_len, set_cell_size
        from rich.text import Text

        text, room = self._text, options.max_width
        if cell_len(text) > room > 1:
            # Names begin alike, and what tells them apart stands at their ends.
            end = text
            while cell_len(end) > (room - 1) // 2:
                end = end[1:]
            text = f"{set_cell_size(text, room - 1 - cell_len(end))}…{end}"
        yield Text(text, no_wrap=True, overflow="crop")

    def __rich_measure__(self, console: Console, options: ConsoleOptions) -> Measurement:
        from rich.cells import cell_len
        from rich.measure import Measurement

        return Measurement(min(cell_len(self._text), options.max_width), min(cell_len(self._text), options.max_width))


def _name(event: FetchEvent) -> str:
    return render.plain(event.name)


@contextmanager
def reporter(kind: str) -> Iterator[ProgressReporter]:
    """Show the progress of a run in one of the :data:`KINDS`; yields what takes its events.

    Report interrupts here. In JSON, also report the error that ends the command.
    """
    if kind == "auto":
        kind = "bars" if sys.stderr.isatty() else "lines"
    kinds = {"lines": _LineReporter, "json": _Json, "none": ProgressReporter}
    one = _Bars(_bars()) if kind == "bars" else kinds[kind]()
    try:
        yield one
    except KeyboardInterrupt:
        one.interrupted()
        raise click.exceptions.Exit(130) from None
    except (HubError, output.OutputError) as error:
        if one.last(error):
            if isinstance(error, output.OutputError):
                output.drop()
            raise click.exceptions.Exit(app.exit_code(error)) from None
        raise
    finally:
        one.close()


@contextmanager
def transfer(name: str, *, shown: bool = True) -> Iterator[ProgressCallback | None]:
    """Show the progress of one transfer; yields a function to call with the received and the total bytes."""
    if not shown or not sys.stderr.isatty():
        yield None
        return
    with _bars() as bars:
        task = bars.add_task(render.plain(name), total=None)

        def update(received: int, size: int | None) -> None:
            bars.update(task, completed=received, total=size)

        yield update


def _bars() -> Progress:
    from rich.constrain import Constrain
    from rich.progress import (
        BarColumn,
        DownloadColumn,
        Progress,
        ProgressColumn,
        TimeRemainingColumn,
        TransferSpeedColumn,
    )
    from rich.table import Column
    from rich.text import Text

    console = render.console(sys.stderr)

    class Name(ProgressColumn):
        def render(self, task: Task) -> _Shortened:
            return _Shortened(task.description)

    # What a bar measures may be files; the rest of its line is always of bytes.
    def counted(task: Task) -> Task:
        measured: Task = task.fields.get("counted", task)
        return measured

    class Amount(DownloadColumn):
        def render(self, task: Task) -> Text:
            if counted(task).total is None:
                return Text(render.size(int(counted(task).completed)), style="progress.download")
            return super().render(counted(task))

    class Speed(TransferSpeedColumn):
        def render(self, task: Task) -> Text:
            return super().render(counted(task))

    class Left(TimeRemainingColumn):
        def render(self, task: Task) -> Text:
            return super().render(counted(task))

    class Bars(Progress):
        def get_renderables(self) -> Iterator[RenderableType]:
            # With room for the ^C that a terminal writes: on a line of its own, it would have a bar left behind.
            for one in super().get_renderables():
                yield Constrain(one, max(1, console.width - 3))

    # Widths that do not depend on what stands in the lines, which come and go.
    columns = (
        Name(table_column=Column(no_wrap=True, ratio=3)),
        BarColumn(None, table_column=Column(ratio=2)),
        Amount(binary_units=True, table_column=Column(no_wrap=True, min_width=15, justify="right")),
        Speed(table_column=Column(no_wrap=True, min_width=10, justify="right")),
        Left(),
    )
    return Bars(*columns, console=console, transient=True, expand=True, redirect_stdout=False, redirect_stderr=False)
