"""The plan and the index of a mirror: pure, so every case is a value."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import pytest

from hubtool.digest import Digest
from hubtool.errors import MirrorError
from hubtool.mirror import index, plan
from hubtool.mirror.cards import matches
from hubtool.mirror.folder import FolderDestination
from hubtool.mirror.index import ListedAsset, ListedCard, MirrorIndex
from hubtool.mirror.layout import blob_name, card_name, parse_blob, parse_card
from hubtool.mirror.plan import WantedAsset, WantedCard
from hubtool.registry.entry import CardEntry
from hubtool.registry.published import index as published_index
from hubtool.transfer import aws
from hubtool.uid import Uid

A, B, C = (letter * 64 for letter in "abc")
OTHER_A = "a" * 63 + "b"


def card(
    uid: str, *assets: tuple[str, str | None, int | None], digest: str = C, problem: str | None = None
) -> WantedCard:
    named = tuple(
        WantedAsset(link=link, digest=Digest(text) if text else None, size=size) for link, text, size in assets
    )
    entry = None if problem else CardEntry(uid=Uid.parse(uid), digest=digest)
    return WantedCard(uid=uid, entry=entry, assets=named, problem=problem)


def listed(uid: str, *assets: tuple[str, str], digest: str = C) -> ListedCard:
    return ListedCard(
        entry=CardEntry(uid=Uid.parse(uid), digest=digest),
        assets=tuple(ListedAsset(link=link, digest=text, size=1 if text else None) for link, text in assets),
    )


def listing(*cards: ListedCard) -> MirrorIndex:
    return MirrorIndex(uids={one.uid: one for one in cards})


def test_one_file_of_many_cards_is_missing_once() -> None:
    made = plan.make(
        [card("p/1/x", ("x", A, None)), card("p/1/y", ("y", A, 7), ("z", B, 5))], {}, MirrorIndex(), cards=()
    )
    assert [(asset.digest.hex, asset.size, asset.sources) for asset in made.missing] == [
        (A, 7, (("p/1/x", "x"), ("p/1/y", "y"))),
        (B, 5, (("p/1/y", "z"),)),
    ]
    assert made.missing[0].shard == "aa"
    assert (made.known_bytes, made.unknown_sizes, made.cards) == (12, 0, ("p/1/x", "p/1/y"))


def test_what_is_there_is_not_missing() -> None:
    made = plan.make(
        [card("p/1/x", ("x", A, None))],
        {A: 3, B: 4},
        listing(listed("p/1/x", ("x", A)), listed("p/1/old", ("o", B))),
        cards=("p/1/x",),
    )
    assert (made.missing, made.there, made.cards, made.gone, made.unnamed) == ((), {A: 3}, (), ("p/1/old",), {})


def test_only_some_cards_were_asked_for() -> None:
    made = plan.make([card("p/1/x")], {A: 3}, listing(listed("p/1/old", ("o", A))), cards=(), partial=True)
    assert (made.gone, made.unnamed) == ((), {})


def test_a_short_digest_is_what_the_index_says() -> None:
    wanted = [card("p/1/x", ("x", "a" * 8, None))]
    recorded = listing(listed("p/1/x", ("x", OTHER_A)))
    assert plan.make(wanted, {A: 3, OTHER_A: 4}, recorded, cards=()).there == {OTHER_A: 4}
    # An index that says what does not fit is not believed, nor one that says it of another link or card.
    for lying in (("p/1/x", ("x", B)), ("p/1/x", ("y", A)), ("p/1/y", ("x", A))):
        made = plan.make(wanted, {A: 3, B: 4}, listing(listed(*lying)), cards=())
        assert (made.there, [asset.digest.hex for asset in made.missing]) == ({}, ["a" * 8])


def test_a_short_digest_is_not_what_begins_like_it() -> None:
    made = plan.make([card("p/1/x", ("x", "a" * 8, None))], {A: 3}, MirrorIndex(), cards=())
    assert (made.there, [asset.digest.hex for asset in made.missing]) == ({}, ["a" * 8])
    assert made.unnamed == {}  # it may be the right one: it is not pruned
    made = plan.make([card("p/1/x", ("x", "a" * 8, None)), card("p/1/y", ("y", A, None))], {}, MirrorIndex(), cards=())
    assert [(asset.digest.hex, asset.sources) for asset in made.missing] == [
        ("a" * 8, (("p/1/x", "x"),)),
        (A, (("p/1/y", "y"),)),
    ]
    # Two cards state the same short digest, and each means the file at its own link.
    made = plan.make(
        [card("p/1/x", ("x", "a" * 8, None)), card("p/1/y", ("y", "a" * 8, None)), card("p/1/z", ("x", "a" * 8, None))],
        {},
        MirrorIndex(),
        cards=(),
    )
    assert [asset.sources for asset in made.missing] == [(("p/1/x", "x"), ("p/1/z", "x")), (("p/1/y", "y"),)]
    assert len({asset.key for asset in made.missing}) == 2


def test_what_can_never_be_had_is_a_failure() -> None:
    made = plan.make(
        [
            card("p/1/x", ("x", None, None), ("y", A, 5)),
            card("p/1/broken", problem="it cannot be read"),
        ],
        {A: 6},
        listing(listed("p/1/broken", ("b", B))),
        cards=("p/1/broken",),
    )
    assert {(failure.uid, failure.link): failure.reason[:20] for failure in made.failures} == {
        ("p/1/broken", None): "it cannot be read",
        ("p/1/x", "x"): "the card states no S",
        ("p/1/x", "y"): "the card states 5 by",
    }
    # A card that cannot be read today has not gone.
    assert made.gone == ()


def test_a_card_is_written_if_it_changed_or_its_file_is_missing() -> None:
    known = listing(listed("p/1/x"), listed("p/1/y"), listed("p/1/z", digest=A))
    wanted = [card("p/1/w"), card("p/1/x"), card("p/1/y"), card("p/1/z")]
    assert plan.make(wanted, {}, known, cards=("p/1/x", "p/1/z")).cards == ("p/1/w", "p/1/y", "p/1/z")


@pytest.mark.parametrize("count", [0, 1, 3, 600])
def test_an_index_is_read_as_it_was_written(tmp_path: Path, count: int) -> None:
    place = FolderDestination(tmp_path / "mirror")
    cards = {f"p/1.10/模型{at}": listed(f"p/1.10/模型{at}", ("l", B), ("m", "")) for at in range(count)}
    assert index.load(place) == MirrorIndex()
    assert index.write(place, cards, MirrorIndex()) is True
    found = index.load(place)
    assert (found.uids, found.faults) == (cards, {})
    assert found.digests == ({B: 1} if count else {})
    assert index.write(place, cards, found) is False
    # Another worker was quicker.
    assert index.write(place, {"p/1/z": listed("p/1/z")}, MirrorIndex()) is None
    assert index.load(place).uids == cards
    # What any client of a published registry reads.
    head = json.loads((tmp_path / "mirror" / "index.json").read_bytes())
    schema = json.loads((Path(__file__).parents[2] / "schemas" / "registry-index.schema.json").read_bytes())
    jsonschema.Draft202012Validator(schema).validate(head)
    assert (head["cards"], len(head["shards"])) == (count, {0: 0, 1: 1, 3: 1, 600: 16}[count])
    for shard in head["shards"]:
        for one in json.loads((tmp_path / "mirror" / shard["path"]).read_bytes())["cards"]:
            jsonschema.Draft202012Validator({**schema, "$ref": "#/$defs/card"}).validate({**head, **one})


def test_a_damaged_shard_is_named_and_mended(tmp_path: Path) -> None:
    place = FolderDestination(tmp_path / "mirror")
    cards = {f"p/1/x{at}": listed(f"p/1/x{at}", ("l", B)) for at in range(600)}
    index.write(place, cards, MirrorIndex())
    one, two, *_ = sorted((tmp_path / "mirror" / "index").iterdir())
    one.write_bytes(b"{}")
    two.unlink()
    found = index.load(place)
    assert found.faults == {
        f"index/{one.name}": "it does not have the digest that the index states",
        f"index/{two.name}": "it is missing",
    }
    assert 0 < len(found.uids) < 600
    assert index.write(place, cards, found) is True
    assert index.load(place).uids == cards


@pytest.mark.parametrize(
    "data", [b"", b"[]", b"{}", b"null", b"[" * 100_000, b'{"cards": []}', b"\xff", b'{"version": 2, "shards": []}']
)
def test_what_is_no_index(data: bytes) -> None:
    with pytest.raises(MirrorError, match="not the index of a mirror"):
        index.parse(data, "here")


@pytest.mark.parametrize(
    "card",
    [
        1,
        {},
        {"uid": "p/1/x"},
        {"uid": "p/1/x", "digest": "short"},
        {"uid": "p/1/x", "digest": "g" * 64},
        {"uid": "../x", "digest": A},
        {"uid": 1, "digest": A},
    ],
)
def test_cards_that_an_index_cannot_mean(card: dict[str, object]) -> None:
    shard, data = published_index.shard_bytes(
        "all", [card, {"uid": "p/1/y", "digest": A, "assets": [1, {"link": "l"}]}]
    )
    cards, fault = index.parse_cards(data, shard)
    assert fault is None
    assert [(one.uid, one.assets) for one in cards] == [("p/1/y", (ListedAsset(link="l", digest="", size=None),))]


@pytest.mark.parametrize("name", ["blobs/sha256/ab/cd", f"blobs/sha256/bb/{A}", f"blobs/sha256/aa/{A}x", f"x/{A}", A])
def test_what_is_no_blob(name: str) -> None:
    assert parse_blob(name) is None


@pytest.mark.parametrize("name", ["cards/x.md", "cards/../../x/1/y.md", "cards/p/1/x", "p/1/x.md", "cards//p/1/x.md"])
def test_what_is_no_card(name: str) -> None:
    assert parse_card(name) is None


def test_names() -> None:
    assert parse_blob(blob_name(A)) == A
    for uid in ("p/1/x", "p/gpu/1.10/模型"):
        assert parse_card(card_name(uid)) == uid


def test_patterns() -> None:
    assert matches("a/1/b", ())
    assert matches("a/1/b", ("x/*", "a/*"))
    assert not matches("a/1/b", ("A/*",))


def test_aws_files(tmp_path: Path) -> None:
    (tmp_path / "credentials").write_text("[default]\naws_access_key_id = k%\naws_secret_access_key = s\n")
    (tmp_path / "config").write_text("[default]\nregion = eu-1\n[profile far]\nendpoint_url = https://far.example\n")
    files = {
        "AWS_SHARED_CREDENTIALS_FILE": str(tmp_path / "credentials"),
        "AWS_CONFIG_FILE": str(tmp_path / "config"),
    }
    assert aws.configuration(files) == {"region": "eu-1", "access_key_id": "k%", "secret_access_key": "s"}
    assert aws.configuration({**files, "AWS_PROFILE": "far"}) == {
        "region": "us-east-1",
        "endpoint": "https://far.example",
    }
    variables = {"AWS_ACCESS_KEY_ID": "v", "AWS_SECRET_ACCESS_KEY": "w", "AWS_REGION": "r"}
    assert aws.configuration({**files, **variables}) == {
        "region": "r",
        "access_key_id": "v",
        "secret_access_key": "w",
    }
    nothing = {"HOME": str(tmp_path / "nobody")}
    assert aws.configuration(nothing) == {"region": "us-east-1"}
    with pytest.raises(MirrorError, match="no credentials"):
        aws.configuration({**nothing, "AWS_EC2_METADATA_DISABLED": "true"})
    assert aws.configuration({**files, "AWS_SKIP_SIGNATURE": "1"}) == {"region": "eu-1"}


def test_aws_files_that_cannot_be_used(tmp_path: Path) -> None:
    credentials, config = tmp_path / "credentials", tmp_path / "config"
    files = {"AWS_SHARED_CREDENTIALS_FILE": str(credentials), "AWS_CONFIG_FILE": str(config)}
    with pytest.raises(MirrorError, match="no profile 'x'"):
        aws.configuration({**files, "AWS_PROFILE": "x"})
    config.write_text("[default]\nsso_session = y\n")
    with pytest.raises(MirrorError, match="in a way that hubtool does not know"):
        aws.configuration(files)
    credentials.write_text("very secret")
    with pytest.raises(MirrorError, match="not a file of profiles") as caught:
        aws.configuration(files)
    assert "very secret" not in str(caught.value)
    with pytest.raises(MirrorError, match="AWS_ENDPOINT_URL is not a link"):
        aws.configuration({"AWS_ENDPOINT_URL": "x y", "HOME": str(tmp_path)})
