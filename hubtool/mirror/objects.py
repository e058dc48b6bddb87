"""A mirror in an object store: any that speaks S3 and knows conditional puts.

Workers need no leases. A blob of up to :data:`SMALL_BYTES` is put on the condition that it is not there, so it is
written once however many workers try. S3 has no such condition for uploads in parts here: two workers that upload the
same large blob at the same time both write it, with the same bytes.
"""

from __future__ import annotations

import re
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NoReturn

from hubtool.errors import MirrorError
from hubtool.mirror.checked import read_checked
from hubtool.mirror.destination import MirrorFile
from hubtool.mirror.layout import SHARD_DIGITS, blob_name
from hubtool.requirements import INSTALL_S3
from hubtool.store.store import Store
from hubtool.transfer import s3

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from hubtool.store.records import Stored

SMALL_BYTES = 5 << 20
"""Size up to which a blob is put in one request; a larger one goes in parts of :data:`PART_BYTES`."""
PART_BYTES = 8 << 20
_PARTS_AT_ONCE = 3
_LARGE_AT_ONCE = 2
_JOBS = 8


class ObjectDestination:
    """A bucket, or a prefix in one, that holds a mirror.

    Attributes:
        name: The place, as messages name it.
    """

    is_folder = False

    def __init__(self, bucket: str, prefix: str = "") -> None:
        """Prepare the connection; nothing is sent yet.

        Raises:
            MirrorError: If ``obstore`` is not installed, or the settings for it cannot be read.
        """
        try:
            import obstore  # noqa: PLC0415 (an extra)

            self._store = s3.open_bucket(bucket, prefix=prefix)
        except ImportError as error:
            raise MirrorError(
                "object stores need the package obstore, which is not installed", hint=INSTALL_S3
            ) from error
        self._obs: Any = obstore
        self._errors: Any = obstore.exceptions
        self.name = f"s3://{bucket}/{prefix}".rstrip("/")
        self._large = threading.BoundedSemaphore(_LARGE_AT_ONCE)

    def files(self, folder: str) -> dict[str, MirrorFile]:
        """Return the objects whose names begin with a folder."""
        found = {}
        try:
            for page in self._obs.list(self._store, prefix=folder, chunk_size=1000):
                for item in page:
                    found[str(item["path"])] = MirrorFile(int(item["size"]), item["last_modified"].timestamp())
        except FileNotFoundError:
            pass
        except self._errors.BaseError as error:
            self._fail(error, folder)
        return found

    def size(self, name: str) -> int | None:
        """Return the size of an object."""
        try:
            return int(self._obs.head(self._store, name)["size"])
        except FileNotFoundError:
            return None
        except self._errors.BaseError as error:
            self._fail(error, name)

    def read(self, name: str, limit: int) -> tuple[bytes, str] | None:
        """Return an object and its entity tag."""
        try:
            result = self._obs.get(self._store, name)
            if result.meta["size"] > limit:
                raise MirrorError(
                    f"{self.name}/{name} has more than {limit} bytes", hint="check that this is the right place"
                )
            return bytes(result.bytes()), str(result.meta["e_tag"])
        except FileNotFoundError:
            return None
        except self._errors.BaseError as error:
            self._fail(error, name)

    @contextmanager
    def blob(self, digest: str) -> Iterator[Iterator[bytes | memoryview]]:
        """Read a blob as it arrives."""
        name = blob_name(digest)

        def blocks() -> Iterator[memoryview]:
            try:
                for block in self._obs.get(self._store, name).stream(min_chunk_size=1 << 20):
                    yield memoryview(block)
            except FileNotFoundError:
                raise MirrorError(f"{self.name}/{name} is no longer there") from None
            except self._errors.BaseError as error:
                self._fail(error, name)

        yield blocks()

    def add(self, file: Stored, *, move: bool = False) -> bool:  # noqa: ARG002 (the owner of a staged file removes it)
        """Upload a blob; its last part is sent only if all of it has the right digest."""
        name = blob_name(file.digest)
        if file.size <= SMALL_BYTES:
            return self._put(name, b"".join(read_checked(file)), "create") is not None
        with self._large:
            if self.size(name) is not None:
                return False
            try:
                self._obs.put(
                    self._store,
                    name,
                    read_checked(file),
                    use_multipart=True,
                    chunk_size=PART_BYTES,
                    max_concurrency=_PARTS_AT_ONCE,
                )
            except self._errors.BaseError as error:
                self._fail(error, name)
        return True

    def write(self, documents: Mapping[str, bytes]) -> None:
        """Put several objects at a time."""
        with ThreadPoolExecutor(_JOBS) as pool:
            for _ in pool.map(lambda name: self._put(name, documents[name], "overwrite"), documents):
                pass

    def replace(self, name: str, data: bytes, etag: str | None) -> bool:
        """Put an object on the condition that it has this entity tag."""
        return self._put(name, data, "create" if etag is None else {"e_tag": etag}) is not None

    def remove(self, names: Sequence[str]) -> None:
        """Delete objects, a thousand in each request."""
        try:
            for at in range(0, len(names), 1000):
                self._obs.delete(self._store, list(names[at : at + 1000]))
        except self._errors.BaseError as error:
            self._fail(error, names[0])

    def staging(self, home: Path) -> Store:
        """Return a store beside the user's own."""
        return Store(home / "staging", durable=False, locked_by=SHARD_DIGITS)

    def _put(self, name: str, data: bytes, mode: str | dict[str, str]) -> str | None:
        """Put a small object; return its entity tag, or None if the condition does not hold."""
        try:
            return str(self._obs.put(self._store, name, data, mode=mode, use_multipart=False)["e_tag"])
        except (self._errors.AlreadyExistsError, self._errors.PreconditionError, FileNotFoundError):
            return None  # a removed object no longer has the entity tag either
        except self._errors.BaseError as error:
            if "ConditionalRequestConflict" in str(error):
                return None
            self._fail(error, name)

    def _fail(self, error: Exception, name: str) -> NoReturn:
        """Raise a short error for an object store's refusal; the library's messages are pages long."""
        text = str(error)
        where = f"{self.name}/{name}".rstrip("/")
        if "NoSuchBucket" in text:
            raise MirrorError(f"{where}: there is no such bucket", hint="create it, or correct its name") from None
        if (clock := s3.of_clock(error)) is not None:
            raise MirrorError(f"{where}: {clock}", hint=s3.CLOCK_HINT) from None
        if isinstance(error, (self._errors.PermissionDeniedError, self._errors.UnauthenticatedError)):
            why = "the object store refuses the credentials, or they have no right to this"
            hint = "check AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE, and what they may do"
            raise MirrorError(f"{where}: {why}", hint=hint) from None
        if "169.254." in text or "CredentialsNotLoaded" in text:
            why = "there are no credentials for it"
            raise MirrorError(
                f"{where}: {why}", hint="set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE"
            ) from None
        if s3.distrusts(error):
            raise MirrorError(f"{where}: {s3.DISTRUSTED}", hint=s3.DISTRUSTED_HINT) from None
        hint = "check AWS_ENDPOINT_URL and the network, and try again: what is done stays done"
        raise MirrorError(f"{where}: the object store failed: {_line(error)}", hint=hint) from None


def _line(error: Exception) -> str:
    """Return the first line of what the library says, without the document that the server answered."""
    text = re.split(r"[\n<]", str(error), maxsplit=1)[0].strip().rstrip(":")
    return text if len(text) <= 300 else f"{text[:300]}..."
