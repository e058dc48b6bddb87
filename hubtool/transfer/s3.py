"""Assets out of an object store: ``s3://bucket/prefix/...`` links, by obstore, which the extra ``[s3]`` brings."""

from __future__ import annotations

import os
import threading
import time
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

from hubtool.errors import FetchError, MirrorError
from hubtool.transfer.aws import configuration

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from hubtool.links import AllowedLink
    from hubtool.transfer.transport import Body, Timeouts

_BLOCK_BYTES = 1 << 20
_opening = threading.Lock()

DISTRUSTED = "the object store's certificate is not accepted"
DISTRUSTED_HINT = "if it is behind a private CA, name that in AWS_CA_BUNDLE"


def open_bucket(bucket: str, *, prefix: str = "", connect: float = 10.0, total: float = 300.0) -> Any:  # noqa: ANN401 (a class of an extra)
    """Return obstore's object for a bucket, set up by the usual AWS variables and files.

    Args:
        bucket: The bucket.
        prefix: What names in it begin with.
        connect: Seconds to wait for a connection.
        total: Seconds that one request may take.

    Raises:
        ImportError: If obstore is not installed.
        MirrorError: If the settings cannot be read or used.
    """
    import obstore  # noqa: PLC0415 (an extra)
    from obstore.store import S3Store  # noqa: PLC0415 (the same)

    settings: dict[str, Any] = dict(configuration(os.environ))
    try:
        with _authorities():
            return S3Store(
                bucket,
                prefix=prefix or None,
                client_options={
                    # Plain http only where the user names such an endpoint.
                    "allow_http": settings.get("endpoint", "").startswith("http://"),
                    "connect_timeout": timedelta(seconds=connect),
                    "timeout": timedelta(seconds=total),
                },
                retry_config={"max_retries": 5, "retry_timeout": timedelta(seconds=60)},
                **settings,
            )
    except (obstore.exceptions.BaseError, ValueError) as error:
        line = str(error).partition("\n")[0][:300]
        raise MirrorError(f"s3://{bucket} cannot be opened: {line}", hint="check the AWS_ variables") from None


@contextmanager
def _authorities() -> Iterator[None]:
    """Have a client that is made within this context trust what ``AWS_CA_BUNDLE`` names, as every S3 client does.

    Its library takes that from the variable ``SSL_CERT_FILE`` alone, when a client is made; it gets it for so long.

    Raises:
        MirrorError: If there is no such file.
    """
    bundle = os.environ.get("AWS_CA_BUNDLE")
    if not bundle:
        yield
        return
    if not os.path.isfile(bundle):  # noqa: PTH113 (a text)
        raise MirrorError(f"AWS_CA_BUNDLE names no file: {bundle}", hint="name a file with the certificates to trust")
    with _opening:
        before = os.environ.get("SSL_CERT_FILE")
        os.environ["SSL_CERT_FILE"] = bundle
        try:
            yield
        finally:
            if before is None:
                del os.environ["SSL_CERT_FILE"]
            else:
                os.environ["SSL_CERT_FILE"] = before


def distrusts(error: Exception) -> bool:
    """Whether a request to an object store failed because its certificate is not accepted."""
    return "InvalidCertificate" in str(error)


CLOCK_HINT = "set this machine's clock, and try again"


def of_clock(error: Exception) -> str | None:
    """Return why an object store refused the time in a request's signature; None if it did not."""
    if not any(code in str(error) for code in ("RequestTimeTooSkewed", "RequestExpired", "RequestInTheFuture")):
        return None
    now = time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime())
    return f"the object store refuses the time of the request: this machine's clock says {now}"


def open_transport(base: str, timeouts: Timeouts | None) -> S3Transport:
    """Open the transport of a mirror in an object store.

    Args:
        base: ``s3://bucket`` or ``s3://bucket/prefix``.
        timeouts: How long it may take.

    Raises:
        ImportError: If obstore is not installed.
        MirrorError: If the settings cannot be read or used.
    """
    connect = 10.0 if timeouts is None else timeouts.connect
    return S3Transport(open_bucket(urlsplit(base).netloc, connect=connect))


class S3Transport:
    """One bucket."""

    def __init__(self, bucket: Any) -> None:  # noqa: ANN401 (a class of an extra)
        import obstore  # noqa: PLC0415 (an extra)

        self._obs: Any = obstore
        self._bucket = bucket
        self._ended: set[int] = set()
        self._lock = threading.Lock()

    @contextmanager
    def open(
        self, link: AllowedLink, *, start: int = 0, end: int | None = None, validator: str | None = None
    ) -> Iterator[Body]:
        """Ask for the bytes of an object; see :class:`~hubtool.transfer.transport.Transport`.

        Raises:
            FetchError: If they cannot be had.
        """
        with self._lock:
            self._ended.discard(threading.get_ident())
        name = unquote(urlsplit(link.url).path).lstrip("/")
        try:
            meta = self._obs.head(self._bucket, name)
            if start and (start > meta["size"] or validator not in (None, meta["e_tag"])):
                start = 0
            stop = meta["size"] if end is None else min(end, meta["size"])
            # Of exactly this version: two must not be mixed.
            options: dict[str, Any] = {"if_match": meta["e_tag"]} if meta["e_tag"] else {}
            if (start, stop) != (0, meta["size"]) and start < stop:
                options["range"] = (start, stop)
            result = self._obs.get(self._bucket, name, options=options) if start < stop else None
        except FileNotFoundError:
            raise FetchError(f"{link.shown}: there is no such object", hint="check the mirror", status=404) from None
        except self._obs.exceptions.BaseError as error:
            raise self._failed(link, error) from None
        yield _S3Body(self, link, result, start=start, size=meta["size"], validator=meta["e_tag"])

    def abort(self, threads: Collection[int] | None = None) -> None:
        """End what these threads are receiving; they notice at the next block."""
        with self._lock:
            self._ended.update({thread.ident or 0 for thread in threading.enumerate()} if threads is None else threads)

    def close(self) -> None:
        """Do nothing: obstore closes its connections when nothing refers to it."""

    def ended(self) -> bool:
        """Whether this thread is to end what it receives."""
        return threading.get_ident() in self._ended

    def _failed(self, link: AllowedLink, error: Exception) -> FetchError:
        if (why := of_clock(error)) is not None:
            return FetchError(f"{link.shown}: {why}", hint=CLOCK_HINT, status=403)
        refused = (self._obs.exceptions.PermissionDeniedError, self._obs.exceptions.UnauthenticatedError)
        if isinstance(error, refused):
            hint = "check AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE"
            return FetchError(f"{link.shown}: the object store refuses the credentials", hint=hint, status=403)
        if distrusts(error):
            return FetchError(f"{link.shown}: {DISTRUSTED}", hint=DISTRUSTED_HINT)
        hint = "check AWS_ENDPOINT_URL and the network, and try again"
        return FetchError(f"{link.shown}: the object store failed", hint=hint, passing=True)


class _S3Body:
    """The bytes of an object."""

    content_type = ""
    accepts_ranges = True

    def __init__(
        self,
        transport: S3Transport,
        link: AllowedLink,
        result: Any,  # noqa: ANN401 (a class of an extra)
        *,
        start: int,
        size: int,
        validator: str | None,
    ) -> None:
        self.start = start
        self.size: int | None = size
        self.validator = validator
        self._transport = transport
        self._link = link
        self._result = result

    def __iter__(self) -> Iterator[bytes]:
        if self._result is None:
            return
        try:
            for block in self._result.stream(min_chunk_size=_BLOCK_BYTES):
                data = memoryview(block)
                for at in range(0, len(data), _BLOCK_BYTES):
                    if self._transport.ended():
                        raise FetchError(f"{self._link.shown}: the transfer was ended", hint="run the same again")
                    yield bytes(data[at : at + _BLOCK_BYTES])
        except self._transport._obs.exceptions.BaseError as error:  # noqa: SLF001 (its other half)
            raise self._transport._failed(self._link, error) from None  # noqa: SLF001 (the same)
