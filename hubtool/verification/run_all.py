"""Verify many cards, one program each, with a report that another run, or another machine, continues."""

from __future__ import annotations

import hashlib
import json
import os
import re
import threading
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import replace
from importlib import metadata
from typing import TYPE_CHECKING, Any

from hubtool.card.repo_link import place_of
from hubtool.errors import ArgumentError, HubError
from hubtool.sandbox.limits import DEFAULT_LIMITS
from hubtool.verification.card_file import card_file
from hubtool.verification.verify import IMPOSSIBLE, VerificationResult, verify
from hubtool.version import __version__

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from pathlib import Path

    from hubtool.card.model import Card
    from hubtool.hub import Hub


def shard(uids: Iterable[str], part: int, parts: int) -> list[str]:
    """Return one of several parts of UIDs; together the parts have each UID once.

    Raises:
        ArgumentError: If there is no such part.
    """
    if not 1 <= part <= parts:
        raise ArgumentError(f"there is no shard {part} of {parts}", hint="write --shard 1/4, 2/4, 3/4 or 4/4")
    return sorted(uids)[part - 1 :: parts]


def read_report(path: Path) -> list[dict[str, Any]]:
    """Return the lines of a report; a last line that a killed run left half written is left out.

    Raises:
        ArgumentError: If it is a file of another kind.
    """
    if not path.is_file():
        return []
    try:
        lines = path.read_bytes().splitlines(keepends=True)
    except OSError as error:
        raise ArgumentError(f"{path} cannot be read: {error.strerror or error}", hint="give another file") from error
    found = [_line(line) for line in lines]
    if found and found[-1] is None and not lines[-1].endswith(b"\n") and lines[-1].startswith(b'{"uid": '):
        found.pop()
    if None in found:
        raise ArgumentError(
            f"{path}:{found.index(None) + 1} is not a line of a report",
            hint="give the file of an earlier run, or a new one",
        )
    return [line for line in found if line is not None]


def _line(text: bytes) -> dict[str, Any] | None:
    try:
        line = json.loads(text)
    except (ValueError, RecursionError):
        return None
    if not isinstance(line, dict) or not all(isinstance(line.get(key), str) for key in ("uid", "verdict", "of")):
        return None
    return line


class _Report:
    """A file of JSON lines, which several runs may add to."""

    def __init__(self, path: Path | None) -> None:
        """Open it for writing, to see at once whether that is possible.

        Raises:
            ArgumentError: If it cannot be written.
        """
        self._path = path
        if path is not None:
            try:
                path.open("ab").close()
            except OSError as error:
                raise ArgumentError(
                    f"{path} cannot be written: {error.strerror or error}", hint="give another file"
                ) from error

    def add(self, result: VerificationResult, key: str) -> None:
        """Add a line; behind a line that is cut off, on a line of its own."""
        if self._path is None:
            return
        with self._path.open("ab+") as stream:
            stream.seek(0, os.SEEK_END)
            if stream.tell():
                stream.seek(-1, os.SEEK_END)
                if stream.read(1) != b"\n":
                    stream.write(b"\n")
            stream.write(json.dumps({**result.as_json(), "of": key}).encode() + b"\n")


def verify_all(
    hub: Hub,
    uids: Sequence[str],
    *,
    report: Path | None = None,
    jobs: int = 1,
    mindspore: str = "",
    tell: Callable[[VerificationResult], None] | None = None,
    **options: Any,  # noqa: ANN401 - those of verify
) -> list[VerificationResult]:
    """Verify cards; what a report has already, of the same network and the same versions, is taken from it.

    Cards with the same recipe, code and known answer are one network, which runs once. What could not run is tried
    again.

    Args:
        hub: Settings, registries and store.
        uids: The cards.
        report: A file of JSON lines; each result is added as soon as it is there.
        jobs: How many programs run at once.
        mindspore: The version of MindSpore here.
        tell: Called with each result.
        **options: Options of :func:`hubtool.verification.verify.verify`.

    Returns:
        The result of each card, in order.

    Raises:
        ArgumentError: If the report is a file of another kind, or cannot be written.
    """
    known = {
        (line["uid"], line["of"]): line
        for line in (read_report(report) if report is not None else [])
        if line["verdict"] != IMPOSSIBLE
    }
    file = _Report(report)
    stop = threading.Event()
    options = {**options, "limits": replace(options.get("limits", DEFAULT_LIMITS), stop=stop)}
    results: dict[str, VerificationResult] = {}
    groups: dict[str, list[str]] = {}

    def settle(key: str, *found: VerificationResult) -> None:
        for result in found:
            results[result.uid] = result
            if key:
                file.add(result, key)
            if tell is not None:
                tell(result)

    for uid in uids:
        try:
            card = hub.find(uid, local=card_file(hub, uid)[1]).card
        except HubError as error:
            settle("", VerificationResult(uid=uid, verdict=IMPOSSIBLE, reason=error.message))
            continue
        key = _key(card, uid, mindspore, options)
        if (uid, key) in known:
            settle("", _of_line(known[uid, key]))
        else:
            groups.setdefault(key, []).append(uid)

    def work(uid: str) -> VerificationResult:
        try:
            return replace(verify(hub, uid, **options), uid=uid)
        except HubError as error:
            return VerificationResult(uid=uid, verdict=IMPOSSIBLE, reason=error.message)

    with ThreadPoolExecutor(max_workers=jobs) as pool:
        futures = {pool.submit(work, group[0]): key for key, group in groups.items()}
        try:
            for future in as_completed(futures):
                key = futures[future]
                settle(key, *(replace(future.result(), uid=uid) for uid in groups[key]))
        except BaseException:
            stop.set()  # the programs that run are ended, and the threads that wait for them with them
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    return [results[uid] for uid in uids]


def _key(card: Card, uid: str, mindspore: str, options: Mapping[str, Any]) -> str:
    """Return what a result depends on: the recipe with its answer, the code, the versions, and the options.

    Cards without an answer to compare, and cards that are compared with their weights, have a key of their own.
    """
    recipe, weights = card.recipe, bool(options.get("weights"))
    answer = None if recipe is None else recipe.weights_answer if weights else recipe.known_answer
    told: dict[str, Any] = {"recipe": card.values.get("network"), "mindspore": mindspore, "hubtool": __version__}
    told |= {"weights": weights, "device": options.get("device"), "checkout": str(options.get("checkout") or "")}
    if recipe is None or answer is None or weights:
        told |= {"uid": uid, "assets": [str(asset.digest) for asset in card.assets]}
    if recipe is not None:
        names = [re.split(r"[^\w.-]", text, maxsplit=1)[0] for text in recipe.requires]
        told["requires"] = {name: _version(name) for name in names}
    if recipe is not None and recipe.provider == "repository":
        try:
            told["place"] = repr(place_of(card))
        except ArgumentError as error:
            told["place"] = error.message
    return hashlib.sha256(json.dumps(told, sort_keys=True, default=str).encode()).hexdigest()[:16]


def _version(name: str) -> str:
    try:
        return metadata.version(name)
    except (metadata.PackageNotFoundError, ValueError):
        return ""


def _of_line(line: dict[str, Any]) -> VerificationResult:
    names = ("uid", "verdict", "reason", "largest", "tolerance", "source", "weights", "mindspore", "device", "seconds")
    return VerificationResult(**{name: line[name] for name in names if name in line})


def counts(results: Iterable[VerificationResult]) -> dict[str, int]:
    """Return how many results have each verdict."""
    found: dict[str, int] = {}
    for result in results:
        found[result.verdict] = found.get(result.verdict, 0) + 1
    return found
