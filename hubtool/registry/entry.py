"""Entries: the facts about one card in lists, searches and published indexes."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from hubtool.card import architectures, known_answer, likeness, overview
from hubtool.digest import Digest
from hubtool.errors import ArgumentError, InvalidNameError
from hubtool.uid import Uid

if TYPE_CHECKING:
    from collections.abc import Mapping

    from hubtool.card.architectures import Architecture
    from hubtool.card.likeness import Likeness
    from hubtool.card.model import Card

_TEXTS = ("title", "summary", "task", "datasets", "model", "backbone", "author", "mindspore", "licence")
_STATUS = ("status", "successor")
_FACTS = {
    "pipeline-task": "pipeline_task",
    "architecture": "architecture",
    "result": "result",
    "verified": "verified",
    "updated": "updated",
}


class IndexedAsset(NamedTuple):
    """An asset as its card states it: its link, its digest (whole or short), and its size in bytes if it is stated."""

    link: str
    digest: str
    size: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class CardEntry:
    """The facts about one card that lists show and searches use; facts that the card does not state are empty.

    Attributes:
        uid: The card's UID.
        digest: The SHA-256 of the card's bytes, 64 hexadecimal digits.
        title: Its title.
        summary: The model in one sentence.
        task: Its task (``module-type``).
        datasets: The data sets it was trained on, as the card writes them.
        model: The model's name.
        backbone: The architecture it is built on.
        author: Its author.
        mindspore: The version of MindSpore it was made with.
        licence: Its licence.
        formats: The formats of its assets, each once.
        loadable: Whether the card has what loading needs: a recipe, and a checkpoint with a digest.
        status: ``deprecated`` or ``withdrawn``, or empty.
        successor: The UID of the card to use instead, or empty.
        pipeline_task: The pipeline task that the card states (``task``), or empty.
        architecture: The architecture that it states, or empty.
        result: The first result of its evaluation, such as ``top1acc 76.97``, or empty.
        elements: How many numbers all parameters have together, or None.
        verified: The source of the known answer that its network was found equal to; empty if there is none, or if that
            is only an earlier run of the same recipe.
        updated: The date of its last update, or empty.
        core: The digest of what the card loads and runs (see :func:`core_of`); empty if it is not known.
        assets: Its assets, if the card states a digest of each; empty where that is not so, or not known.
        repo_link: The link to its code; empty if that is not known, as in what lists show.
        lends: By what a card without a recipe finds this one, to borrow its recipe; empty for one that has none.
    """

    uid: Uid
    digest: str
    title: str = ""
    summary: str = ""
    task: str = ""
    datasets: str = ""
    model: str = ""
    backbone: str = ""
    author: str = ""
    mindspore: str = ""
    licence: str = ""
    formats: tuple[str, ...] = ()
    loadable: bool = False
    status: str = ""
    successor: str = ""
    pipeline_task: str = ""
    architecture: str = ""
    result: str = ""
    elements: int | None = None
    verified: str = ""
    updated: str = ""
    core: str = ""
    assets: tuple[IndexedAsset, ...] = field(default=(), compare=False)
    repo_link: str = field(default="", compare=False)
    lends: tuple[Likeness, ...] = field(default=(), compare=False)

    @classmethod
    def of_card(cls, card: Card, uid: Uid, digest: str) -> CardEntry:
        """Return the entry of a card."""
        status = card.status
        withdrawn = status is not None and status.is_withdrawn
        facts = overview.of_card(card)
        return cls(
            uid=uid,
            digest=digest,
            title=card.title or "",
            summary=card.text("summary") or "",
            task=card.text("module-type") or "",
            datasets=card.text("train-dataset") or "",
            model=card.text("model-name") or "",
            backbone=card.text("backbone-name") or "",
            author=card.text("author") or "",
            mindspore=card.mindspore_version or "",
            licence=card.text("license") or "",
            formats=tuple(dict.fromkeys(asset.format for asset in card.assets)),
            loadable=card.recipe is not None
            and any(asset.is_weights and asset.digest for asset in card.assets)
            and not withdrawn,
            status="" if status is None else status.kind,
            successor="" if status is None or status.successor is None else status.successor,
            pipeline_task=card.text("task") or "",
            architecture=card.text("architecture") or "",
            result=facts.results[0] if facts.results else "",
            elements=facts.elements,
            verified="" if facts.source == known_answer.ITSELF else facts.source,
            updated=facts.updated,
            core=core_of(card),
            assets=tuple(IndexedAsset(one.link, one.digest.hex, one.size) for one in card.assets if one.digest)
            if all(one.digest for one in card.assets)
            else (),
            repo_link=card.repo_link or "",
            lends=likeness.of_card(card) if card.recipe is not None and not withdrawn else (),
        )

    def find_architecture(self) -> Architecture | None:
        """Return the architecture that the card states, or the one that its names are known for; None if neither."""
        return architectures.of_card(self.model, self.backbone, self.architecture)

    def find_tasks(self) -> tuple[str, ...]:
        """Return its pipeline tasks, the one that the card states first, or those that follow from other facts."""
        return architectures.tasks_of(self.find_architecture(), self.task, self.datasets, self.pipeline_task)

    def as_json(self) -> dict[str, object]:
        """Return the entry as the members that JSON outputs have."""
        return {
            "uid": str(self.uid),
            "digest": self.digest,
            **{key: getattr(self, key) for key in _TEXTS},
            "formats": list(self.formats),
            "loadable": self.loadable,
            # Left out where empty, as in most cards, so that the shards of published indexes stay small and unchanged.
            **{key: text for key in _STATUS if (text := getattr(self, key))},
            **{key: text for key, name in _FACTS.items() if (text := getattr(self, name))},
            **({} if self.elements is None else {"elements": self.elements}),
        }

    def as_published(self) -> dict[str, object]:
        """Return the entry as the members that published indexes have."""
        stated = [
            {"link": one.link, "digest": one.digest, **({} if one.size is None else {"size": one.size})}
            for one in self.assets
        ]
        return {
            **self.as_json(),
            **({"core": self.core} if self.core else {}),
            **({"stated": stated} if stated else {}),
            # Where the code of a card without a recipe is, nobody asks.
            **({"repo-link": self.repo_link} if self.lends and self.repo_link else {}),
        }

    @classmethod
    def of_json(cls, value: object) -> CardEntry | None:
        """Read an entry from what :meth:`as_json` gives; None if it is not one.

        It can come from another machine: unknown members are ignored, members of the wrong type are empty.
        """
        if not isinstance(value, dict):
            return None
        item: Mapping[str, object] = value
        uid, digest = item.get("uid"), item.get("digest")
        if not isinstance(uid, str) or not isinstance(digest, str) or len(digest) != 64:
            return None
        try:
            parsed = Uid.parse(uid)
        except InvalidNameError:
            return None
        formats = item.get("formats")
        texts = {key: text for key in (*_TEXTS, *_STATUS, "core") if isinstance(text := item.get(key), str)}
        texts |= {name: text for key, name in _FACTS.items() if isinstance(text := item.get(key), str)}
        loadable, assets = item.get("loadable") is True, _stated(item.get("stated"))
        elements = item.get("elements")
        link = repo_link if isinstance(repo_link := item.get("repo-link"), str) else ""
        known = [one for asset in assets for one in likeness.of_asset(asset.link, Digest(asset.digest))]
        folder = likeness.of_folder(link or None, texts.get("model"), texts.get("datasets"))
        return cls(
            uid=parsed,
            digest=digest,
            formats=tuple(form for form in formats if isinstance(form, str)) if isinstance(formats, list) else (),
            loadable=loadable,
            elements=elements if type(elements) is int and elements > 0 else None,
            assets=assets,
            repo_link=link,
            lends=tuple(dict.fromkeys((*known, *folder))) if loadable else (),
            **texts,
        )


def _stated(value: object) -> tuple[IndexedAsset, ...]:
    """Read the assets of an entry; none at all if one of them is damaged."""
    assets = []
    for one in value if isinstance(value, list) else []:
        link, text, size = (one.get(key) for key in IndexedAsset._fields) if isinstance(one, dict) else (None,) * 3
        if not isinstance(link, str) or not isinstance(text, str) or not (size is None or isinstance(size, int)):
            return ()
        if size is not None and size < 0:
            return ()
        try:
            assets.append(IndexedAsset(link, Digest.parse(text).hex, size))
        except ArgumentError:
            return ()
    return tuple(assets)


def digest_of(data: bytes) -> str:
    """Return the digest of a card's bytes."""
    return hashlib.sha256(data).hexdigest()


def core_of(card: Card) -> str:
    """Return the digest of what a card makes a machine load and run; its text and status do not count.

    It covers the format and digest of each asset (the link where there is no full digest), the recipe, and every field
    that names a repository or a revision.
    """
    assets = []
    for one in card.assets:
        stated = "" if one.digest is None else one.digest.hex
        assets.append([one.format, stated, "" if one.digest is not None and not one.digest.is_short else one.link])
    values = {
        key: value for key, value in card.values.items() if key == "network" or "repo-" in key or key == "repository"
    }
    try:
        text = json.dumps([assets, values], ensure_ascii=False, sort_keys=True, default=str)
    except (TypeError, ValueError, RecursionError):  # JSON cannot sort the keys: `hubtool validate` reports them
        text = repr([assets, values])
    return digest_of(text.encode("utf-8", "surrogatepass"))
