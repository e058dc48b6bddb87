"""Which code is run for which cards: each script with its arguments once, however many cards it stands behind. Pure."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Final

from hubtool.verification import rule
from maintain.discovery import inputs as known_inputs
from maintain.discovery.run import checkout_of, code_digest, target
from maintain.oracle import documented, family

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from hubtool.card.model import Card, Recipe
    from maintain.discovery.run import Target

#: Where answers come from: the script on MindSpore 2.0.0, the same script on today's through the bridge, the
#: constructor that an installed package documents, and the recipe's callable on MindSpore 2.0.0 without a script.
OLD: Final = "mindspore-2.0.0"
SCRIPT: Final = "script"
PACKAGE: Final = "package"
CALLED: Final = "callable"
SOURCES: Final = (SCRIPT, OLD, PACKAGE, CALLED)
#: Only looks for the script that builds the network of a callable, for a source that does not.
SEARCH: Final = "search"


@dataclass(kw_only=True, slots=True)
class OracleJob:
    """One piece of code to run, for all cards that it stands behind.

    Attributes:
        code: The folder with the code.
        identity: The digest of the code.
        request: What both sources need to know: the script and its arguments, which network, and its inputs.
        uids: The cards.
        sources: Which sources can be asked.
    """

    code: Path
    identity: str
    request: dict[str, Any]
    uids: list[str] = field(default_factory=list)
    sources: tuple[str, ...] = (SCRIPT, OLD)

    @property
    def network(self) -> tuple[str, str | None]:
        """What stands for the network in all versions of the code: a card's name, and the digest of its parameters."""
        return self.uids[0].rpartition("/")[2], self.request["wanted"]

    def key(self, source: str) -> str:
        """Return the key of the record of a source: the same code, script and network have the same."""
        asked = {name: value for name, value in self.request.items() if name != "facts"}
        told = [self.identity, source, rule.VERSION, asked]
        return hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()[:24]


def plan(
    cards: Iterable[Card], *, checkout: str, folder: str = "", train: bool = False, shard: tuple[int, int] = (1, 1)
) -> tuple[list[OracleJob], dict[str, str]]:
    """Return what is to be run for cards.

    Args:
        cards: The cards.
        checkout: Where the code is; ``{repository}`` and ``{revision}`` in it are those of a card's repo-link.
        folder: Only cards whose code stands in a folder of this name, or below it.
        train: Whether the networks are run in training mode.
        shard: Which part of how many.

    Returns:
        The jobs, and for each card without one the reason.
    """
    digests: dict[Path, str] = {}
    jobs: dict[str, OracleJob] = {}
    reasons: dict[str, str] = {}
    for card in cards:
        item = target(card)
        if folder and not f"{item.folder}/".startswith(folder.strip("/") + "/"):
            continue
        recipe = card.recipe
        asked = None if recipe is None or item.reason else _asked(recipe, item)
        if asked is None:
            reasons[item.uid] = item.reason or (
                "the card has no recipe" if recipe is None else "its network does not come from a script"
            )
            continue
        root = checkout_of(checkout, item)
        code = root / item.folder
        if not code.is_dir():
            reasons[item.uid] = f"the checkout has no folder {item.folder} at {item.revision}"
            continue
        if item.distribution:
            found = documented.found(item, root)
            if isinstance(found, str):
                reasons[item.uid] = found
                continue
            asked["argv"], identity, code = [found[0]], found[1], root
        else:
            if code not in digests:
                digests[code] = code_digest(code)
            identity = digests[code]
        request = {
            **asked,
            "facts": asdict(item.facts),
            "train": train or (recipe is not None and recipe.training_mode),
        }
        sources = (PACKAGE,) if item.distribution else (SCRIPT, OLD)
        job = OracleJob(code=code, identity=identity, request=request, sources=sources)
        jobs.setdefault(job.key(""), job).uids.append(item.uid)
    number, count = shard
    return [job for key, job in jobs.items() if int(key, 16) % count == number - 1], reasons


def _asked(recipe: Recipe, item: Target) -> dict[str, Any] | None:
    """Return the part of a job's request that its recipe gives; None if neither a script nor a package can be asked."""
    if recipe.provider == "builtin":
        return family.request_of(recipe)
    if (recipe.provider == "package") != bool(item.distribution):
        return None
    inputs = [one.as_json() for one in known_inputs.stated(item.facts.name)] or [
        {"name": name, "shape": list(shape), "dtype": dtype} for name, shape, dtype in recipe.inputs
    ]
    if item.distribution:
        return {
            "entry": item.distribution,
            "argv": [],
            "skip": [],
            "capture": 1,
            "callable": "",
            "arguments": {"model_name": item.facts.model_name},
            "wanted": recipe.parameters_digest,
            "inputs": inputs,
        }
    is_script = recipe.entry.endswith(".py")
    return {
        "entry": recipe.entry if is_script else "",  # of a callable, the script is looked for
        "argv": list(recipe.argv) if is_script else [],
        "skip": list(recipe.skip),
        "capture": recipe.capture if is_script else None,
        "callable": "" if is_script else recipe.entry,
        "arguments": {} if is_script else _plain(recipe.arguments),
        "wanted": recipe.parameters_digest,
        "inputs": inputs,
    }


def _plain(arguments: Mapping[str, object]) -> Any:  # noqa: ANN401 - as JSON
    return json.loads(json.dumps(arguments, default=str))


def newest(jobs: Iterable[OracleJob]) -> list[OracleJob]:
    """Return one job for each network, that of the newest version; networks of many cards first.

    The other versions of the code need no oracle if their networks compute the same as this one.
    """
    groups: dict[tuple[str, str | None], list[OracleJob]] = {}
    for job in jobs:
        groups.setdefault(job.network, []).append(job)
    ordered = sorted(groups.values(), key=lambda group: -sum(len(job.uids) for job in group))
    return [max(group, key=lambda job: max(_version(uid) for uid in job.uids)) for group in ordered]


def _version(uid: str) -> tuple[int, ...]:
    return tuple(int(part) for part in uid.split("/")[-2].split(".") if part.isdecimal())
