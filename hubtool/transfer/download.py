"""Download one asset from its sources into its partial file, with retries and fallbacks."""

from __future__ import annotations

import platform
import re
import time
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Literal

from hubtool import mismatch
from hubtool.errors import DigestError, FetchError
from hubtool.links import host_of
from hubtool.store.partial_file import MIN_RESUMABLE_BYTES, PartialInfo
from hubtool.transfer import segments
from hubtool.transfer.context import EndedError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hubtool.digest import Digest
    from hubtool.store.partial_file import PartialFile
    from hubtool.store.records import Stored
    from hubtool.transfer.context import FetchContext
    from hubtool.transfer.events import FetchRequest
    from hubtool.transfer.mirrors import Mirror, Source
    from hubtool.transfer.segments import Piece, Segments
    from hubtool.transfer.transport import Body

RECOUNT_BYTES = 256 << 10
"""Bytes that an attempt must bring for the count of attempts to start again at zero."""


class AssetDownload:
    """Download one asset from its sources into its partial file, with retries and fallbacks."""

    def __init__(
        self,
        context: FetchContext,
        wanted: FetchRequest,
        digest: Digest,
        part: PartialFile,
        mirrors: Sequence[Mirror],
    ) -> None:
        self._context = context
        self._wanted = wanted
        self._digest = digest
        self._part = part
        self._mirrors = mirrors
        self._content_type = ""
        self._start = b""  # of the file, as the last answer had it
        # Answers were put together and the file was wrong: from here on, one answer must bring the whole file.
        self._whole = False
        self._splits = True
        self._pieces: Segments | None = None
        self._before_pieces = 0
        self._refused: list[str] = []

    # -- sources -----------------------------------------------------------------------------------------------------

    def run(self) -> Stored:
        """Ask one source after the other, the asset's own link last."""
        error: FetchError | None = None
        for mirror in self._mirrors:
            while mirror.fault is None:
                source = mirror.source(self._digest.hex)
                try:
                    self._receive(source)
                    stored = self._part.commit()
                except DigestError as wrong:
                    if self._was_put_together():
                        continue
                    self._part.restart()
                    self._skip(mirror, f"it sent wrong bytes for {self._wanted.label} (SHA-256 {wrong.actual})")
                except EndedError:
                    raise
                except FetchError as failed:
                    error = failed
                    self._turn_from(mirror, source, failed)
                    break
                else:
                    mirror.helped()
                    return stored
        if self._context.offline:
            raise error or self._context.offline_error(self._wanted.link)
        return self._from_link()

    def _from_link(self) -> Stored:
        source = self._context.origin(self._wanted.link)
        try:
            try:
                return self._come(source)
            except DigestError:
                if not self._was_put_together():
                    raise
            return self._come(source)
        except DigestError as error:
            self._part.drop()
            other = _other(self._content_type, self._start)
            if other is None:
                raise
            raise DigestError(
                f"{error.message}; {other[0]}", expected=error.expected, actual=error.actual, hint=other[1]
            ) from None
        except FetchError as error:
            # A login page or an LFS pointer came instead of the file: its kind says more than its size.
            other = (
                None
                if self._part.position or isinstance(error, EndedError)
                else _other(self._content_type, self._start)
            )
            if other is not None:
                error.message += f"; {other[0]}"
                error.hint = other[1]
            if self._refused and not isinstance(error, EndedError):
                error.message += f"; and no mirror helped ({'; '.join(self._refused)})"
            raise

    def _come(self, source: Source) -> Stored:
        """Take the file from the link, and record that it came from there, unless the beginning may be a mirror's."""
        self._receive(source)
        stored = self._part.commit()
        if self._digest.is_short or not self._part.resumed:
            self._context.came_from(self._wanted, stored)
        return stored

    def _was_put_together(self) -> bool:
        """Whether the wrong bytes may come from putting several answers together; if so, all are thrown away.

        A server may mix up its ranges, a mirror may have sent a wrong beginning, or the disk may have lost bytes in a
        power failure. Only a file that came in one answer tells which source is wrong.
        """
        together = self._part.resumed
        if together:
            self._whole = True
            self._part.restart()
        return together

    def _turn_from(self, mirror: Mirror, source: Source, failed: FetchError) -> None:
        why = f"it answered {failed.status}" if failed.status else failed.message.partition(": ")[2] or failed.message
        self._refused.append(f"{mirror.name}: {why}")
        self._tell("turned", source, message=failed.message)
        if mirror.is_absent:
            self._skip(mirror, "there is no such folder")
        elif failed.status != 404 and mirror.failed():
            self._skip(mirror, f"it failed too often; the last error: {failed.message}")

    def _skip(self, mirror: Mirror, why: str) -> None:
        self._refused.append(f"{mirror.name}: {why}")
        if mirror.give_up(why):
            self._tell("mirror-skipped", message=f"the mirror {mirror.name} is asked no more: {why}")

    # -- attempts ----------------------------------------------------------------------------------------------------

    def _receive(self, source: Source) -> None:
        """Download the rest of the file from one source, retrying if needed."""
        retries, part = self._context.retries, self._part
        most = retries.attempts if source.mirror is None else retries.mirror_attempts
        if self._whole and part.position:
            part.restart()
        tries, best = 0, part.position
        while (error := self._try(source)) is not None:
            if part.position >= best + RECOUNT_BYTES:
                tries, best = 0, part.position
            tries += 1
            host = source.link.server
            self._context.hosts.note(host, reached=error.reached, attempt=True)
            if self._context.hosts.given_up(host) is not None:
                raise error
            if tries >= most or (error.wait is not None and source.mirror is not None):
                if most > 1 and tries >= most:
                    error.message += f" ({most} attempts)"
                raise error
            wait = max(retries.pause(tries), error.wait or 0.0)
            if wait > max(retries.patience_seconds, retries.longest_seconds):
                raise FetchError(
                    f"{error.message}; the server asks to wait {wait:.0f} seconds",
                    hint="try again then; the partial file is kept",
                    status=error.status,
                ) from None
            self._tell("retried", source, message=error.message, wait=wait)
            self._context.sleep(wait)

    def _try(self, source: Source) -> FetchError | None:
        """Make an attempt; return what it failed of, if another one may help."""
        try:
            self._attempt(source)
        except FetchError as error:
            self._context.check_ended()
            if error.status in (206, 416) and self._part.position:
                # The server and we do not mean the same file: from its beginning, then.
                self._part.restart()
            elif not error.passing:
                raise
            return error
        return None

    def _attempt(self, source: Source) -> None:
        """Make one request and write its bytes."""
        part = self._part
        if part.position and not self._goes_on(source):
            part.restart()
        start, info = part.position, part.info
        if start and start == info.size:
            return  # an earlier run received all of it, and ended before it could commit
        validator = info.validator if start and source.name == info.link else None
        try:
            with self._context.connections.one():
                self._context.check_ended()
                with source.transport.open(source.link, start=start, validator=validator) as body:
                    self._begin(source, body, start)
                    self._stream(source, body)
                if self._pieces is not None:
                    self._finish(source, self._pieces)
        except BaseException:
            if self._pieces is not None:
                self._pieces.stop(source.transport.abort)
                part.close_gaps()
            raise
        finally:
            self._pieces = None
        size = part.info.size if self._wanted.size is None else self._wanted.size
        if size is not None and part.position < size:
            raise FetchError(
                f"{source.link.shown}: received {part.position} bytes; {_whose(size, self._wanted)}",
                hint="try again; if it fails again, ask the publisher",
                passing=True,
            )

    def _goes_on(self, source: Source) -> bool:
        """Whether this source may send the rest: it goes by the digest, or has the same version of the same link."""
        info = self._part.info
        if self._whole or info.size is None:
            return False
        if source.mirror is not None or not info.link:
            return True
        return info.link == source.name and info.validator is not None

    def _begin(self, source: Source, body: Body, start: int) -> None:
        """Look at the head of an answer."""
        part = self._part
        self._content_type = body.content_type
        if source.mirror is None:
            self._context.hosts.note(host_of(self._wanted.link), reached=True)
        if start and body.start == start:
            if body.size not in (None, part.info.size):
                raise FetchError(
                    f"{source.link.shown}: the file has {body.size} bytes now, and had {part.info.size}",
                    hint="try again; the whole file will be asked for",
                    status=206,
                    passing=True,
                )
            part.resumed = True
            part.expect(part.info.size)
            if source.mirror is None and not part.info.link:
                # Mirrors' bytes, and the link's after them: only this version of the link can follow them.
                part.save_info(replace(part.info, link=source.name, validator=body.validator))
        else:
            if part.position:
                part.restart()
            stated = self._wanted.size
            if body.size is not None and body.size <= _MAX_START_BYTES and stated not in (None, body.size):
                self._start = _first(body)  # it is refused below: its bytes say what it is
            part.expect(body.size)
            info = PartialInfo(size=body.size, link=source.name, validator=body.validator, host=platform.node())
            if (
                body.size is not None
                and body.size >= MIN_RESUMABLE_BYTES
                and (source.mirror is not None or body.validator is not None)
            ):
                part.save_info(info)
            else:
                part.info = info
        self._tell("started", source)

    def _stream(self, source: Source, body: Body) -> None:
        """Take the bytes of an answer; switch to pieces where several connections may be faster."""
        context, part = self._context, self._part
        size = part.info.size
        proven = source.mirror is not None or body.validator is not None
        splits = self._splits and not self._whole and body.accepts_ranges and proven and context.connections.count > 1
        since, mark = time.monotonic(), part.position
        piece: Piece | None = None
        for block in body:
            pieces = self._pieces
            if pieces is None or piece is None:
                if not part.position:
                    self._start = bytes(block[:_MAX_START_BYTES])
                part.write(block)
                context.pace(len(block))
                self._tell("progress", source)
                took = time.monotonic() - since
                if splits and size is not None and took >= segments.WINDOW_SECONDS:
                    speed = (part.position - mark) / took
                    since, mark = time.monotonic(), part.position
                    if segments.pays_off(size - part.position, speed):
                        piece = self._split(source, size, body.validator)
                continue
            context.pace(len(block))
            rest = block
            while rest:
                rest = rest[pieces.write(piece, rest) :]
                if rest and not pieces.extend(piece):
                    return
            self._tell("progress", source)
        if self._pieces is not None and piece is not None:
            self._pieces.give_back(piece)

    def _split(self, source: Source, size: int, validator: str | None) -> Piece | None:
        """Switch to pieces; return the first one, which the connection that is open brings."""
        part = self._part
        part.save_info(replace(part.info, prefix=part.position))
        part.resumed = True
        self._before_pieces = part.position

        def bring(piece: Piece, pieces: Segments) -> None:
            self._bring(source, validator, size, piece, pieces)

        self._pieces = segments.Segments(part, size=size, bring=bring, connections=self._context.connections)
        piece = self._pieces.take()
        self._pieces.start_helpers()
        return piece

    def _bring(self, source: Source, validator: str | None, size: int, piece: Piece, pieces: Segments) -> None:
        with source.transport.open(source.link, start=piece.at, end=piece.end, validator=validator) as body:
            if body.start != piece.at or body.size not in (None, size):
                raise FetchError(
                    f"{source.link.shown}: the file changed while it was fetched, or its server gives no parts of it",
                    hint="try again; the whole file will be asked for",
                    passing=True,
                )
            for block in body:
                self._context.pace(len(block))
                if pieces.write(piece, block) < len(block):
                    return
                self._tell("progress", source)

    def _finish(self, source: Source, pieces: Segments) -> None:
        """Bring the pieces that are left, beside the helpers."""
        validator, size = self._part.info.validator, self._part.info.size
        while True:
            self._context.check_ended()
            piece = pieces.take()
            if piece is None:
                if not pieces.wait():
                    return
                continue
            try:
                self._bring(source, validator if source.mirror is None else None, size or 0, piece, pieces)
            except FetchError as error:
                # The bytes without gaps from the front on stay, and one connection resumes after them.
                self._splits = False
                error.status = None
                raise
            finally:
                pieces.give_back(piece)

    # -- events ------------------------------------------------------------------------------------------------------

    def _tell(
        self,
        kind: Literal["started", "progress", "retried", "turned", "mirror-skipped"],
        source: Source | None = None,
        *,
        message: str = "",
        wait: float | None = None,
    ) -> None:
        if not self._context.wants(kind):
            return
        pieces = self._pieces
        received = self._part.position if pieces is None else self._before_pieces + pieces.received
        size = self._part.info.size
        self._context.tell(
            self._wanted.event(
                kind,
                source="" if source is None else source.link.shown,
                received=received,
                size=self._wanted.size if size is None else size,
                message=message,
                wait=wait,
            )
        )


# A Git LFS pointer has some 130 bytes, and a web page says what it is in its first ones.
_MAX_START_BYTES = 1024
_WEB_PAGE = re.compile(
    rb"(?:\xef\xbb\xbf)?\s*(?:<!--.*?-->\s*)*<(?:!doctype\s+html|html|head|body)\b", re.IGNORECASE | re.DOTALL
)


def _first(body: Body) -> bytes:
    """Return the first bytes of an answer that is not taken; empty if they do not come."""
    data = b""
    with suppress(FetchError):
        for block in body:
            data += bytes(block[:_MAX_START_BYTES])
            if len(data) >= _MAX_START_BYTES:
                break
    return data[:_MAX_START_BYTES]


def _other(content_type: str, start: bytes) -> tuple[str, str] | None:
    """Return what a server sent instead of the file, and what to do; None if its bytes do not tell.

    Args:
        content_type: The media type that the server stated.
        start: The first bytes.
    """
    if mismatch.pointer(start) is not None:
        return (
            "the server sent a Git LFS pointer and not the file itself",
            "link the file itself: most servers have it at another link than the pointer (/resolve/ in place of /raw/)",
        )
    if "html" in content_type.lower():
        said = f"the server says that it sent a web page ({content_type[:40]})"
    elif _WEB_PAGE.match(start):
        said = "the server sent a web page"
    else:
        return None
    return said, "open the link in a browser: it may have moved, or ask for a login"


def _whose(size: int, wanted: FetchRequest) -> str:
    return f"the card says {size}" if wanted.size is not None else f"there must be {size}"
