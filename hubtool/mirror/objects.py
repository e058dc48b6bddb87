"""A mirror in an object store: any that speaks S3 and knows conditional puts.

Workers on any number of machines share the work through the store itself. ``claims/<unit>`` is created by a
conditional put, so one worker has it; its holder rewrites it again and again, so that it changes; who has seen it
unchanged for long enough takes it over by a conditional put on what it saw. Nobody's clock is compared with another's.
Should two workers hold a unit all the same (one was asleep), blobs are still written once: they are put on the
condition that they are not there.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any, NoReturn

from hubtool import files
from hubtool.errors import DigestError, MirrorError
from hubtool.mirror import index
from hubtool.mirror.destination import UNIT, ClaimLostError, blob_name, parse_blob, parse_card
from hubtool.requirements import INSTALL_S3
from hubtool.store.store import Store
from hubtool.transfer import s3

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from hubtool.mirror.destination import Claim
    from hubtool.store.records import Stored

SMALL = 5 << 20
"""The bytes up to which a blob goes in one request; a larger one goes in parts of :data:`PART` bytes."""
PART = 8 << 20
_PARTS_AT_ONCE = 3
_LARGE_AT_ONCE = 2
_CLAIMS = "claims"
_CLOCKS = "clocks"


class ObjectDestination:
    """A bucket, or a prefix in one, that holds a mirror.

    Attributes:
        name: The place, as messages name it.
        takeover: Seconds after which a silent worker's claim is taken over.
    """

    is_folder = False

    def __init__(self, bucket: str, prefix: str = "", *, takeover: float) -> None:
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
        self.takeover = takeover
        self._worker = f"{socket.gethostname()}:{os.getpid()}:{os.urandom(4).hex()}"
        self._seen: dict[str, tuple[str, float]] = {}
        self._large = threading.BoundedSemaphore(_LARGE_AT_ONCE)
        self._keeper = _Keeper(self)

    # -- reading ---------------------------------------------------------------------------------------------------

    def blobs(self, unit: str | None = None) -> dict[str, int]:
        """See :class:`~hubtool.mirror.destination.Destination`."""
        folder = "blobs/sha256" if unit is None else f"blobs/sha256/{unit[:2]}"
        found = {}
        for item in self._list(folder):
            digest = parse_blob(item["path"])
            if digest is not None and digest.startswith(unit or ""):
                found[digest] = int(item["size"])
        return found

    def cards(self) -> set[str]:
        """See :class:`~hubtool.mirror.destination.Destination`."""
        return {uid for item in self._list("cards") if (uid := parse_card(item["path"]))}

    def _list(self, folder: str) -> Iterator[dict[str, Any]]:
        try:
            for page in self._obs.list(self._store, prefix=folder, chunk_size=1000):
                yield from page
        except FileNotFoundError:
            return
        except self._errors.BaseError as error:
            self._fail(error, folder)

    def shards(self) -> set[str]:
        """See :class:`~hubtool.mirror.destination.Destination`."""
        return {str(item["path"]) for item in self._list(index.FOLDER) if index.parse_shard(item["path"])}

    def read(self, name: str, limit: int) -> tuple[bytes, str] | None:
        """See :class:`~hubtool.mirror.destination.Destination`."""
        try:
            result = self._obs.get(self._store, name)
            if result.meta["size"] > limit:
                raise MirrorError(f"{self.name}/{name} has more than {limit} bytes", hint="is this the right place?")
            return bytes(result.bytes()), str(result.meta["e_tag"])
        except FileNotFoundError:
            return None
        except self._errors.BaseError as error:
            self._fail(error, name)

    @contextmanager
    def blob(self, digest: str) -> Iterator[Iterator[bytes | memoryview]]:
        """See :class:`~hubtool.mirror.destination.Destination`."""
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

    def ages(self, names: Sequence[str]) -> dict[str, float]:
        """See :class:`~hubtool.mirror.destination.Destination`."""
        if not names:
            return {}
        wanted = set(names)
        now = self._now()
        folders = sorted({name.partition("/")[0] for name in names})
        times = {str(item["path"]): item["last_modified"] for folder in folders for item in self._list(folder)}
        return {name: (now - at).total_seconds() for name, at in times.items() if name in wanted}

    def _now(self) -> datetime:
        """Ask for the store's own clock, by writing something, so that ours does not matter."""
        probe = f"{_CLOCKS}/{self._worker.rpartition(':')[2]}"
        self.write(probe, b"{}")
        try:
            now: datetime = self._obs.head(self._store, probe)["last_modified"]
        except self._errors.BaseError as error:
            self._fail(error, probe)
        finally:
            self.remove([probe])
        return now

    def claims(self) -> list[str]:
        """See :class:`~hubtool.mirror.destination.Destination`; read-only access uses the local clock."""
        return sorted(f"{claim.unit}: {claim.worker}" for claim in self._claims() if not claim.is_over)

    def _claims(self) -> list[_Left]:
        items = [(str(item["path"]), item["last_modified"]) for item in self._list(_CLAIMS)]
        if not items:
            return []
        try:
            now = self._now()
        except MirrorError:
            now = datetime.now(timezone.utc)
        found = []
        for path, at in items:
            claim = self._claim(path, (now - at).total_seconds())
            if claim is not None:
                found.append(claim)
        return found

    # -- writing ---------------------------------------------------------------------------------------------------

    def replace(self, name: str, data: bytes, mark: str | None) -> bool:
        """See :class:`~hubtool.mirror.destination.Destination`."""
        return self._put(name, data, "create" if mark is None else {"e_tag": mark}) is not None

    def write(self, name: str, data: bytes) -> None:
        """See :class:`~hubtool.mirror.destination.Destination`."""
        self._put(name, data, "overwrite")

    def write_all(self, documents: Mapping[str, bytes], jobs: int) -> None:
        """See :class:`~hubtool.mirror.destination.Destination`."""
        with ThreadPoolExecutor(max(jobs, 1)) as pool:
            for _ in pool.map(self.write, documents, documents.values()):
                pass

    def _put(self, name: str, data: bytes, mode: str | dict[str, str]) -> str | None:
        """Put a small object; return its mark, or None if the condition does not hold."""
        try:
            return str(self._obs.put(self._store, name, data, mode=mode, use_multipart=False)["e_tag"])
        except (self._errors.AlreadyExistsError, self._errors.PreconditionError, FileNotFoundError):
            return None  # what is gone no longer has the mark either
        except self._errors.BaseError as error:
            if "ConditionalRequestConflict" in str(error):
                return None
            self._fail(error, name)

    def remove(self, names: Sequence[str]) -> None:
        """See :class:`~hubtool.mirror.destination.Destination`."""
        try:
            for at in range(0, len(names), 1000):
                # Of what is not there, S3 says that it is gone.
                self._obs.delete(self._store, list(names[at : at + 1000]))
        except self._errors.BaseError as error:
            self._fail(error, names[0])

    def tidy(self) -> None:
        """See :class:`~hubtool.mirror.destination.Destination`."""
        with suppress(MirrorError):  # it is only for tidiness: what is over holds nobody up
            for claim in self._claims():
                name = f"{_CLAIMS}/{claim.unit}"
                # It is taken over first: another worker may have taken it over meanwhile.
                if claim.is_over and self._put(name, self._body(0), {"e_tag": claim.mark}) is not None:
                    self.remove([name])

    @contextmanager
    def claim(self, unit: str) -> Iterator[Claim | None]:
        """See :class:`~hubtool.mirror.destination.Destination`."""
        name = f"{_CLAIMS}/{unit}"
        mark = self._acquire(name)
        if mark is None:
            yield None
            return
        claim = ObjectClaim(self, name, mark)
        self._keeper.keep(claim)
        try:
            yield claim
        finally:
            self._keeper.drop(claim)
            if not claim.lost:
                with suppress(MirrorError):  # it runs out by itself
                    self.remove([name])

    def _acquire(self, name: str) -> str | None:
        mark = self._put(name, self._body(0), "create")
        if mark is not None:
            return mark
        found = self.read(name, 1 << 16)
        if found is None:
            return self._put(name, self._body(0), "create")
        data, mark = found
        if self._worker in data.decode(errors="replace"):
            return mark  # our own first attempt, whose answer was lost
        before = self._seen.get(name)
        now = time.monotonic()
        if before is None or before[0] != mark:
            self._seen[name] = (mark, now)
            return None
        if now - before[1] < self.takeover:
            return None
        return self._put(name, self._body(0), {"e_tag": mark})

    def renew(self, name: str, mark: str, beat: int) -> str | None:
        """Rewrite a claim of ours; return its new mark, or None if it is no longer ours."""
        renewed = self._put(name, self._body(beat), {"e_tag": mark})
        if renewed is not None:
            return renewed
        found = self.read(name, 1 << 16)
        # The answer to a first attempt may have been lost, and the second one found what the first had written.
        return found[1] if found is not None and self._worker in found[0].decode(errors="replace") else None

    def _body(self, beat: int) -> bytes:
        # The number makes each version another one, and so gives it another mark.
        body = {"worker": self._worker, "beat": beat, "at": os.urandom(8).hex(), "takeover": self.takeover}
        return json.dumps(body).encode()

    def _claim(self, name: str, silent: float) -> _Left | None:
        """Read a claim, whosever it is; None if it is gone or says nothing."""
        found = self.read(name, 1 << 16)
        try:
            raw = json.loads(found[0]) if found else None
        except (ValueError, RecursionError):
            return None
        if found is None or not isinstance(raw, dict) or not isinstance(raw.get("worker"), str):
            return None
        takeover = raw.get("takeover")
        lifetime = float(takeover) if isinstance(takeover, (int, float)) else self.takeover
        return _Left(
            unit=name.rpartition("/")[2], worker=raw["worker"], mark=found[1], silent=silent, lifetime=lifetime
        )

    @contextmanager
    def publishing(self) -> Iterator[None]:
        """See :class:`~hubtool.mirror.destination.Destination`; here the marks do what locks do elsewhere."""
        yield

    def staging(self, home: Path) -> Store:
        """See :class:`~hubtool.mirror.destination.Destination`."""
        return Store(home / "staging", durable=False, locked_by=UNIT)

    def close(self) -> None:
        """See :class:`~hubtool.mirror.destination.Destination`."""
        self._keeper.stop()

    # -- within ----------------------------------------------------------------------------------------------------

    def _fail(self, error: Exception, name: str) -> NoReturn:
        """Say in our words why the object store refused; the library's words go on for pages."""
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

    def put_blob(self, file: Stored, claim: ObjectClaim) -> bool:
        """Put a blob in, once; see :class:`~hubtool.mirror.destination.Claim`."""
        name = blob_name(file.digest)
        claim.check()
        if file.size <= SMALL:
            try:
                data = file.path.read_bytes()
            except OSError as error:
                raise files.store_error(error, file.path) from error
            _compare(file, hashlib.sha256(data).hexdigest())
            return self._put(name, data, "create") is not None
        with self._large:
            if self._is_there(name):
                return False
            reader = _Reader(file, claim)
            try:
                self._obs.put(
                    self._store,
                    name,
                    reader.blocks(),
                    use_multipart=True,
                    chunk_size=PART,
                    max_concurrency=_PARTS_AT_ONCE,
                )
            except self._errors.BaseError as error:
                self._fail(error, name)
        return True

    def _is_there(self, name: str) -> bool:
        try:
            self._obs.head(self._store, name)
        except FileNotFoundError:
            return False
        except self._errors.BaseError as error:
            self._fail(error, name)
        return True


class _Reader:
    """Reads a large file for an upload, and gives its end only if all of it is right and still ours to put."""

    def __init__(self, file: Stored, claim: ObjectClaim) -> None:
        self._file = file
        self._claim = claim

    def blocks(self) -> Iterator[bytes]:
        """Yield the file in blocks; an error within ends the upload, of which then nothing is visible."""
        hasher = hashlib.sha256()
        last = b""
        try:
            with self._file.path.open("rb", buffering=0) as stream:
                while block := stream.read(1 << 20):
                    hasher.update(block)
                    if last:
                        self._claim.check()
                        yield last
                    last = block
        except OSError as error:
            raise files.store_error(error, self._file.path) from error
        _compare(self._file, hasher.hexdigest())
        self._claim.check()
        yield last


def _compare(file: Stored, actual: str) -> None:
    if actual != file.digest:
        raise DigestError(
            f"{file.path} changed after it was verified: its SHA-256 is {actual}",
            expected=file.digest,
            actual=actual,
            hint="run `hubtool cache verify`",
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Left:
    """A claim as it is found in the store.

    Attributes:
        unit: What is claimed.
        worker: Who claims it.
        mark: The version of the claim.
        silent: Seconds since the worker last gave a sign of life.
        lifetime: Seconds of silence after which the worker counts as dead.
    """

    unit: str
    worker: str
    mark: str
    silent: float
    lifetime: float

    @property
    def is_over(self) -> bool:
        """Whether its holder counts as dead."""
        return self.silent >= self.lifetime


class ObjectClaim:
    """A claim that is kept alive, until it is found to be lost."""

    def __init__(self, place: ObjectDestination, name: str, mark: str) -> None:
        self._place = place
        self.name = name
        self.mark = mark
        self.lost = False
        self.confirmed = time.monotonic()
        self._beats = 0
        self._dropped = False
        self._lock = threading.Lock()

    def check(self) -> None:
        """See that the claim is still held.

        Raises:
            ClaimLostError: If it is not, or if nobody could tell for too long.
        """
        if self.lost or time.monotonic() - self.confirmed >= self._place.takeover:
            self.lost = True
            raise ClaimLostError(self.name)

    def add(self, file: Stored, *, move: bool = False) -> bool:  # noqa: ARG002 (what is staged is removed by its owner)
        """See :class:`~hubtool.mirror.destination.Claim`."""
        return self._place.put_blob(file, self)

    def settle(self) -> None:
        """See :class:`~hubtool.mirror.destination.Claim`; what is put is visible at once."""

    def beat(self) -> None:
        """Rewrite the claim, so that others see that we live.

        Raises:
            MirrorError: If the object store fails; whether the claim is still held is then not known.
        """
        with self._lock:
            if self._dropped or self.lost:
                return
            before = time.monotonic()
            self._beats += 1
            mark = self._place.renew(self.name, self.mark, self._beats)
            if mark is None:
                self.lost = True
            else:
                self.mark, self.confirmed = mark, before

    def drop(self) -> None:
        """Let no heartbeat come any more; waits for one that is under way."""
        with self._lock:
            self._dropped = True


class _Keeper:
    """A thread that keeps claims alive while there are any."""

    def __init__(self, place: ObjectDestination) -> None:
        self._place = place
        self._changed = threading.Condition()
        self._claims: list[ObjectClaim] = []
        self._thread: threading.Thread | None = None
        self._stopped = False

    def keep(self, claim: ObjectClaim) -> None:
        """Keep a claim alive."""
        with self._changed:
            self._claims.append(claim)
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="hubtool-claims", daemon=True)
                self._thread.start()

    def drop(self, claim: ObjectClaim) -> None:
        """Let go of a claim; waits for a heartbeat under way, which must not come after the claim's removal."""
        with self._changed:
            self._claims.remove(claim)
        claim.drop()

    def stop(self) -> None:
        """End the thread."""
        with self._changed:
            self._stopped = True
            self._changed.notify()
        if self._thread is not None:
            self._thread.join()
            self._thread = None

    def _run(self) -> None:
        while True:
            with self._changed:
                if not self._stopped:
                    self._changed.wait(self._place.takeover / 4)
                if self._stopped:
                    return
                claims = list(self._claims)
            for claim in claims:
                with suppress(MirrorError):  # `check` sees how long ago the last one was confirmed
                    claim.beat()


def _line(error: Exception) -> str:
    """Return the first line of what the library says, without the document that the server answered."""
    text = re.split(r"[\n<]", str(error), maxsplit=1)[0].strip().rstrip(":")
    return text if len(text) <= 300 else f"{text[:300]}..."
