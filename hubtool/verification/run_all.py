"""Verify many cards, one program each, with a report that another run, or another machine, continues."""

from __future__ import annotations

import hashlib
import json
import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from hubtool.card import known_answer
from hubtool.card.repo_link import place_of
from hubtool.errors import ArgumentError, HubError
from hubtool.verification.verify import IMPOSSIBLE, NOTHING, VerificationResult, verify

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
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
    """Return the lines of a report. A line that a killed run left half written is taken out of the file.

    Raises:
        ArgumentError: If it is a file of another kind.
    """
    if not path.is_file():
        return []
    data = path.read_bytes()
    whole = data[: data.rfind(b"\n") + 1]
    found = [_line(line) for line in whole.splitlines()]
    if None in found:
        raise ArgumentError(
            f"{path}:{found.index(None) + 1} is not a line of a report",
            hint="give the file of an earlier run, or a new one",
        )
    if len(whole) < len(data):
        os.truncate(path, len(whole))
    return [line for line in found if line is not None]


def _line(text: bytes) -> dict[str, Any] | None:
    try:
        line = json.loads(text)
    except ValueError:
        return None
    return line if isinstance(line, dict) and {"uid", "verdict", "of"} <= set(line) else None


def verify_all(
    hub: Hub,
    uids: Sequence[str],
    *,
    report: Path | None = None,
    jobs: int = 1,
    mindspore: str = "",
    tell: Callable[[VerificationResult], None] | None = None,
    **options: Any,  # noqa: ANN401 - those of verify
) -> Iterator[VerificationResult]:
    """Verify cards; what a report has already, of the same card and version of MindSpore, is taken from it.

    Cards with the same recipe, code and known answer are one network, which runs once.

    Args:
        hub: Settings, registries and store.
        uids: The cards.
        report: A file of JSON lines; each result is added as soon as it is there.
        jobs: How many programs run at once.
        mindspore: The version of MindSpore here.
        tell: Called with each result that was not in the report.
        **options: Options of :func:`hubtool.verification.verify.verify`.

    Yields:
        The result of each card, in order.
    """
    known = {(line["uid"], line["of"]): line for line in (read_report(report) if report is not None else [])}
    results: dict[str, VerificationResult] = {}
    groups: dict[str, list[str]] = {}
    keys: dict[str, str] = {}
    for uid in uids:
        try:
            card = hub.find(uid).card
        except HubError as error:
            results[uid] = VerificationResult(uid=uid, verdict=IMPOSSIBLE, reason=error.message)
            continue
        keys[uid] = _key(card, mindspore, options)
        if (uid, keys[uid]) in known:
            results[uid] = _of_line(known[uid, keys[uid]])
        else:
            groups.setdefault(keys[uid], []).append(uid)

    def work(group: list[str]) -> VerificationResult:
        try:
            return verify(hub, group[0], **options)
        except HubError as error:
            return VerificationResult(uid=group[0], verdict=IMPOSSIBLE, reason=error.message)

    with ThreadPoolExecutor(max_workers=jobs) as pool:
        waiting = {uid: pool.submit(work, group) for group in groups.values() for uid in group[:1]}
        try:
            for uid, future in waiting.items():
                for each in groups[keys[uid]]:
                    results[each] = replace(future.result(), uid=each)
                    if report is not None:
                        with report.open("a", encoding="utf-8") as stream:
                            stream.write(json.dumps({**results[each].as_json(), "of": keys[uid]}) + "\n")
                    if tell is not None:
                        tell(results[each])
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    yield from (results[uid] for uid in uids)


def _key(card: Card, mindspore: str, options: dict[str, Any]) -> str:
    """Return what a result depends on besides the machine: the recipe, the code, the answer, MindSpore, the options."""
    recipe = card.recipe
    if recipe is None or recipe.known_answer is None:
        return "nothing"
    try:
        place = place_of(card) if recipe.provider == "repository" else None
    except ArgumentError:
        place = None
    told = {"recipe": card.values.get("network"), "place": repr(place), "mindspore": mindspore}
    told |= {"rule": known_answer.RULE_VERSION, "weights": options.get("weights"), "device": options.get("device")}
    if options.get("weights"):
        told["uid"] = str(card.uid)
    return hashlib.sha256(json.dumps(told, sort_keys=True, default=str).encode()).hexdigest()[:16]


def _of_line(line: dict[str, Any]) -> VerificationResult:
    names = ("uid", "verdict", "reason", "largest", "tolerance", "source", "weights", "mindspore", "device", "seconds")
    return VerificationResult(**{name: line[name] for name in names if name in line})


def counts(results: Iterable[VerificationResult]) -> dict[str, int]:
    """Return how many results have each verdict."""
    found: dict[str, int] = {}
    for result in results:
        found[result.verdict] = found.get(result.verdict, 0) + 1
    return found


def failed(results: Iterable[VerificationResult]) -> bool:
    """Return whether a network differs from its known answer."""
    return any(result.verdict not in (NOTHING, IMPOSSIBLE, "equal") for result in results)
