"""The resolver: pure, so that every machine can be asked about."""

from __future__ import annotations

from pathlib import Path

import pytest

from hubtool.card.model import Asset, Card, Recipe
from hubtool.digest import Digest
from hubtool.errors import ArgumentError
from hubtool.resolution import resolver
from hubtool.resolution.facts import Facts
from hubtool.resolution.finding import FoundCard
from hubtool.resolution.machine import Machine
from hubtool.store.records import Stored
from hubtool.uid import Uid

DIGEST = Digest("ab" * 32)
LINK = "https://download.mindspore.cn/x.ckpt"
CPU = Machine(devices=("CPU",), mindspore="2.10.0")
ASCEND = Machine(devices=("Ascend", "CPU"), mindspore="2.10.0")
BUILTIN = Recipe(provider="builtin", entry="bert-ner", arguments={"num_attention_heads": 4})


def card(*assets: Asset, recipe: Recipe | None = BUILTIN) -> Card:
    return Card(
        uid=Uid.parse("a/1.9/b"),
        path=Path("/r/a/1.9/b.md"),
        title="b",
        body="",
        values={"summary": "A model.", "mindspore-version": "1.10"},
        assets=assets,
        recipe=recipe,
        faults=(),
    )


def weights(form: str = "ckpt", *, link: str = LINK, digest: Digest | None = DIGEST) -> Asset:
    return Asset(format=form, link=link, digest=digest)


def resolve(
    subject: Card,
    *,
    machine: Machine = CPU,
    stored: bool = False,
    forbidden: str | None = None,
    offline: bool = False,
    device: str = "auto",
) -> resolver.Resolution:
    digest = DIGEST.hex
    found = FoundCard(card=subject, root=Path("/r"), registry="r")
    facts = Facts(
        machine=machine,
        offline=offline,
        stored=tuple(
            Stored(path=Path("/store", asset.file_name), digest=digest, size=1) if stored else None
            for asset in subject.assets
        ),
        forbidden=tuple(forbidden for _ in subject.assets),
    )
    return resolver.resolve(found, facts, device=device)


def test_loadable() -> None:
    resolution = resolve(card(weights()))
    assert resolution.loadable
    assert resolution.device == "CPU"
    assert resolution.weights is not None
    assert resolution.weights.stored is None
    assert 'hubtool.load("a/1.9/b")' in "\n".join(resolution.python)
    assert set(resolution.as_json()) == {
        "uid", "card", "assets", "network", "requires", "device", "consent", "fit", "loadable", "reasons",
    }  # fmt: skip


def test_the_python_lines_are_python() -> None:
    compile("\n".join(resolve(card(weights())).python), "lines", "exec")


@pytest.mark.parametrize(
    ("subject", "options", "reason"),
    [
        (card(), {}, "names no assets"),
        (card(weights("txt")), {}, "names no checkpoint: its assets are txt"),
        (card(weights(digest=None)), {}, "has no SHA-256 digest"),
        (card(weights()), {"offline": True}, "is not stored, and the network may not be used"),
        (card(weights()), {"forbidden": "the link leads to elsewhere"}, "the link leads to elsewhere"),
        (card(weights(link="x.ckpt")), {}, "is not beside the card"),
        (card(weights(), recipe=None), {}, "no recipe"),
        (card(weights(), recipe=Recipe(provider="repository", entry="src.resnet:resnet50")), {}, "no repo-link"),
        (card(weights(), recipe=Recipe(provider="builtin", entry="bert-nre")), {}, "did you mean bert-ner"),
        (card(weights()), {"device": "Ascend"}, "there is no Ascend on this machine; there is CPU"),
        (card(weights()), {"machine": Machine(devices=("CPU",), mindspore=None)}, "MindSpore is not installed"),
        (card(weights()), {"machine": Machine(devices=("CPU",), mindspore="2.4.1")}, "MindSpore 2.4.1 is installed"),
    ],
)
def test_why_not(subject: Card, options: dict[str, object], reason: str) -> None:
    resolution = resolve(subject, **options)  # type: ignore[arg-type]  # each case names its own options
    assert not resolution.loadable
    assert any(reason in text for text in resolution.reasons), resolution.reasons


def test_every_reason_is_given_at_once() -> None:
    machine = Machine(devices=("CPU",), mindspore=None)
    assert len(resolve(card(weights(digest=None), recipe=None), machine=machine, device="Ascend").reasons) == 4


def test_what_is_stored_needs_no_network() -> None:
    assert resolve(card(weights()), stored=True, offline=True, forbidden="no").loadable


def test_auto_takes_ascend_where_there_is_one() -> None:
    assert resolve(card(weights()), machine=ASCEND).device == "Ascend"
    assert resolve(card(weights()), machine=ASCEND, device="cpu").device == "CPU"


def test_a_checkpoint_with_a_digest_is_chosen_before_one_without() -> None:
    good = weights(link="https://gitee.com/good.ckpt")
    resolution = resolve(card(weights("txt"), weights(digest=None), good))
    assert resolution.weights is not None
    assert resolution.weights.asset is good
    assert [asset.weights for asset in resolution.assets] == [False, False, True]


def test_an_unknown_device_is_refused() -> None:
    with pytest.raises(ArgumentError):
        resolve(card(weights()), device="TPU")
