"""A mirror over HTTP, for a lab's network: read-only, with a limit of connections, and nothing outside its folder.

Needs the extra ``[serve]``: starlette answers (ranges, entity tags, conditions), and uvicorn holds the connections.
"""

from __future__ import annotations

import errno
import os
import socket
import stat
import threading
from contextlib import contextmanager
from email.utils import formatdate
from typing import TYPE_CHECKING, cast

import uvicorn
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import Headers
from starlette.responses import FileResponse, PlainTextResponse
from starlette.responses import Response as PlainResponse
from starlette.staticfiles import NotModifiedResponse, StaticFiles
from uvicorn.protocols.http.h11_impl import H11Protocol

from hubtool import regular
from hubtool.errors import MirrorError
from hubtool.mirror.layout import CARDS, INDEX, INDEX_SHARDS, parse_blob

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from starlette.responses import Response
    from starlette.types import Message, Receive, Scope, Send

CONNECTIONS = 400
"""Number of connections served at once; a client above it gets the status 503."""
IDLE_SECONDS = 15.0
"""Time that a client has to send a request, and that a connection may be silent between requests."""

_ROOTS = (INDEX, INDEX_SHARDS, CARDS, "blobs")
_TYPES = {".json": "application/json", ".md": "text/markdown; charset=utf-8"}
_BINARY = "application/octet-stream"
_MAX_DOCUMENT_BYTES = 16 << 20


class _LargeFileResponse(FileResponse):
    chunk_size = 1 << 20


class MirrorApp:
    """The application: answers with the files of a mirror.

    Attributes:
        root: The folder.
        log: Told of each answer: the client, the request line and the status.
    """

    def __init__(self, root: Path, log: Callable[[str, str, int], None] | None = None) -> None:
        self.root = root
        self.log = log
        self._conditions = StaticFiles(directory=root)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        response = await run_in_threadpool(self.answer, scope)

        async def logged(message: Message) -> None:
            if self.log is not None and message["type"] == "http.response.start":
                target = scope["raw_path"].decode("ascii", "backslashreplace")
                client = scope["client"][0] if scope["client"] else "-"
                self.log(client, f"{scope['method']} {target}"[:500], message["status"])
            await send(message)

        await response(scope, receive, logged)

    def answer(self, scope: Scope) -> Response:
        """Return the response to a request."""
        if scope["method"] not in ("GET", "HEAD"):
            return PlainTextResponse(
                "405 Method Not Allowed\n", 405, headers={"Allow": "GET, HEAD", "Connection": "close"}
            )
        file = self.find(scope["path"])
        data, found, digest = None, None, None
        try:
            if file is not None:
                with regular.open_file(file) as stream:
                    found = os.fstat(stream.fileno())
                    # A document may be replaced while it is sent: its bytes must be those of the entity tag.
                    if (
                        found.st_size <= _MAX_DOCUMENT_BYTES
                        and parse_blob(file.relative_to(self.root).as_posix()) is None
                    ):
                        data = stream.read(found.st_size)
        except OSError:
            pass
        if file is None or found is None:
            return PlainTextResponse("404 Not Found\n", 404)
        digest = parse_blob(file.relative_to(self.root).as_posix())
        # Files are replaced and never rewritten, so another content has another inode or another time.
        etag = digest or f"{found.st_ino:x}-{found.st_mtime_ns:x}-{found.st_size:x}"
        headers = {
            "ETag": f'"{etag}"',
            "Cache-Control": "public, max-age=31536000, immutable" if digest else "no-cache",
            "X-Content-Type-Options": "nosniff",
        }
        kind = _BINARY if digest else _TYPES.get(file.suffix, _BINARY)
        response: Response
        if data is not None and "range" not in Headers(scope=scope):
            headers["Last-Modified"] = formatdate(found.st_mtime, usegmt=True)
            response = PlainResponse(data, headers=headers, media_type=kind)
        else:
            response = _LargeFileResponse(file, headers=headers, media_type=kind, stat_result=found)
        if self._conditions.is_not_modified(response.headers, Headers(scope=scope)):
            return NotModifiedResponse(response.headers)
        return response

    def find(self, path: str) -> Path | None:
        """Return the file at the path of a URL, or None.

        Only what a mirror has is found: its index, its cards and its blobs, each a regular file within the folder.
        """
        parts = path.removeprefix("/").split("/")
        if not path.startswith("/") or any(part == "" or part.startswith(".") for part in parts):
            return None
        if parts[0] not in _ROOTS or any(sign in path for sign in "\\\0:"):
            return None
        file = self.root.joinpath(*parts)
        try:
            # A link within the folder may lead out of it.
            if not file.resolve().is_relative_to(self.root.resolve()) or not stat.S_ISREG(file.stat().st_mode):
                return None
        except (OSError, ValueError, RuntimeError):
            return None
        return file


class _Protocol(H11Protocol):
    """Closes a connection without a request, or whose client reads nothing, in time; uvicorn itself waits for ever."""

    _timer: asyncio.TimerHandle | None = None
    _stuck: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] # as uvicorn has it
        super().connection_made(transport)
        self._expect_request()

    def on_response_complete(self) -> None:
        self._expect_request()
        super().on_response_complete()

    def pause_writing(self) -> None:
        super().pause_writing()
        self._stuck = self.loop.call_later(self.timeout_keep_alive, self.transport.abort)

    def resume_writing(self) -> None:
        self._cancel(self._stuck)
        super().resume_writing()

    def connection_lost(self, exc: Exception | None) -> None:
        self._cancel(self._timer)
        self._cancel(self._stuck)
        super().connection_lost(exc)

    @staticmethod
    def _cancel(timer: asyncio.TimerHandle | None) -> None:
        if timer is not None:
            timer.cancel()

    def _expect_request(self) -> None:
        self._cancel(self._timer)
        self._timer = self.loop.call_later(self.timeout_keep_alive, self._close_idle)

    def _close_idle(self) -> None:
        if cast("object | None", self.cycle) is None or self.cycle.response_complete:
            self.transport.close()


class _Listener(uvicorn.Server):
    """Ends at once: a client that reads a large file must not keep the process alive."""

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        for connection in list(self.server_state.connections):
            cast("_Protocol", connection).transport.abort()
        await super().shutdown(sockets)


class Server:
    """Serves a folder until it is stopped.

    Attributes:
        root: The folder.
        address: Where it listens: host and port.
    """

    def __init__(
        self,
        root: Path,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        connections: int = CONNECTIONS,
        idle: float = IDLE_SECONDS,
        log: Callable[[str, str, int], None] | None = None,
    ) -> None:
        """Begin to listen; :meth:`run` serves.

        Args:
            root: The folder of the mirror.
            host: The address to listen at; ``0.0.0.0`` or ``::`` for all.
            port: The port; 0 for any that is free.
            connections: Number of connections served at once.
            idle: Seconds after which a silent connection is closed.
            log: Told of each answer: the client, the request line and the status.

        Raises:
            MirrorError: If the folder does not exist, or the address cannot be used.
        """
        self.root = root.absolute()
        if not self.root.is_dir():
            raise MirrorError(f"{root} is not a folder", hint="give the folder of a mirror; see `hubtool mirror sync`")
        self._socket = _listen(host, port)
        self.address = (host, int(self._socket.getsockname()[1]))
        config = uvicorn.Config(
            MirrorApp(self.root, log),
            http=_Protocol,
            ws="none",
            lifespan="off",
            loop="asyncio",
            log_config=None,
            log_level="critical",
            access_log=False,
            server_header=False,
            limit_concurrency=connections + 1,  # uvicorn counts the new one
            timeout_keep_alive=cast("int", idle),
            timeout_graceful_shutdown=1,
        )
        self._server = _Listener(config)

    @property
    def url(self) -> str:
        """The mirror's link."""
        host, port = self.address
        return f"http://[{host}]:{port}/" if ":" in host else f"http://{host}:{port}/"

    def run(self) -> None:
        """Serve until :meth:`stop` is called, or a signal ends the process."""
        self._server.run([self._socket])

    def stop(self) -> None:
        """Stop serving, from another thread; open connections are closed."""
        self._server.should_exit = True


def _listen(host: str, port: int) -> socket.socket:
    listener = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(1024)
    except (OSError, OverflowError, UnicodeError) as error:
        listener.close()
        reason = getattr(error, "strerror", None) or str(error)
        # Only these mean the port; everything else means the host.
        code = getattr(error, "errno", None)
        is_port = code in (errno.EADDRINUSE, errno.EACCES) or isinstance(error, OverflowError)
        hint = "choose another --port" if is_port else "give a name or an address of this machine as --host"
        raise MirrorError(f"cannot listen on {host}:{port}: {reason}", hint=hint) from error
    return listener


@contextmanager
def serving(root: Path, **options: object) -> Iterator[Server]:
    """Serve a folder from a thread for as long as the context lasts; see :class:`Server` for the options."""
    server = Server(root, **options)  # type: ignore[arg-type] # passed on
    thread = threading.Thread(target=server.run, name="hubtool-serve")
    thread.start()
    try:
        yield server
    finally:
        server.stop()
        thread.join()
