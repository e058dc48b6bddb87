"""The rules for all cards of a run together: HT5xx, and those of HT3xx, HT4xx and HT6xx that look at several files.

They need the summaries of cards only, and no parser.
"""

from __future__ import annotations

import dataclasses
import re
import unicodedata
from collections import Counter, defaultdict
from typing import TYPE_CHECKING, Final

from hubtool.card import vocabulary
from hubtool.card.files import why_no_uid
from hubtool.card.finding import Place
from hubtool.card.rules.base import RULES, rule_for_all, shown
from hubtool.card.rules.files import is_beside, missing_files, other_files
from hubtool.diagnostics import Severity

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from hubtool.card.finding import CardSummary
    from hubtool.diagnostics import Diagnostic


def check_all(cards: Sequence[CardSummary]) -> Iterator[Diagnostic]:
    """Yield the problems of several cards, or of the files beside a card, that the cards do not suppress."""
    ignored = {card.path: card.ignored for card in cards if card.ignored}
    for code, rule in sorted(RULES.items()):
        for found in rule.check_all(cards) if rule.check_all else ():
            if not code.startswith(ignored.get(found.path, ())):
                yield dataclasses.replace(found, code=code, severity=rule.severity)


@rule_for_all("HT311", Severity.WARNING)
def link_with_two_digests(cards: Sequence[CardSummary]) -> Iterator[Diagnostic]:
    """One link has one digest, in all cards.

    A link names one file. If two cards, or two assets of a card, state different digests for it, one of them fails to
    load. A short digest does not contradict the full one. Compute the digest again.
    """
    first: dict[str, tuple[str, str, int]] = {}
    for card in cards:
        for link, digest, _, place in card.assets:
            if not digest:
                continue
            other = first.setdefault(link, (digest, card.path, place.line))
            if not (digest.startswith(other[0]) or other[0].startswith(digest)):
                yield card.at(
                    place,
                    f"the link has the digest {digest[:12]}... here, and {other[0][:12]}... in {other[1]}:{other[2]}",
                    hint="compute the digest again with 'sha256sum FILE'",
                )


@rule_for_all("HT312", Severity.ERROR)
def digest_with_two_sizes(cards: Sequence[CardSummary]) -> Iterator[Diagnostic]:
    """One digest has one size, in all cards.

    Files with the same SHA-256 are identical. If two assets state different sizes for one digest, a size or a digest is
    wrong. Correct it.
    """
    first: dict[str, tuple[int, str, int]] = {}
    for card in cards:
        for _, digest, size, place in card.assets:
            if size is None or len(digest) < 64:
                continue
            other = first.setdefault(digest, (size, card.path, place.line))
            if other[0] != size:
                yield card.at(
                    place,
                    f"the asset has {size:,} bytes here, and {other[0]:,} in {other[1]}:{other[2]}, "
                    "with the same digest",
                    hint="correct the size, or the digest",
                )


@rule_for_all("HT314", Severity.ERROR)
def missing_asset(cards: Sequence[CardSummary]) -> Iterator[Diagnostic]:
    """An asset that is a path relative to the card exists.

    hubtool reads such a file from the registry, and does not fetch it. Add the file, or correct the path; the path must
    stay in the registry.
    """
    yield from missing_files(cards, assets=True)


@rule_for_all("HT318", Severity.ERROR)
def other_asset(cards: Sequence[CardSummary]) -> Iterator[Diagnostic]:
    """An asset beside the card is the file that the card describes.

    A clone without git-lfs has a pointer of about 130 bytes in its place: run `git lfs pull`. If git converts line
    endings, a text file has another digest: write `FILE -text` into `.gitattributes`, or set `core.autocrlf` to false,
    and check the file out again. Validation compares sizes; digests are compared when the file is loaded.
    """
    yield from other_files(cards)


@rule_for_all("HT404", Severity.WARNING)
def missing_file(cards: Sequence[CardSummary]) -> Iterator[Diagnostic]:
    """A link or an image that is a path relative to the card leads to a file of the registry.

    Paths that were copied from the README of a repository lead nowhere from the card. Write the whole URL, or put the
    file beside the card. A path that leaves the registry, or starts with `/`, is reported too. Files that are assets
    are HT314.
    """
    yield from missing_files(cards, assets=False)


@rule_for_all("HT501", Severity.ERROR)
def two_cards_for_one_uid(cards: Sequence[CardSummary]) -> Iterator[Diagnostic]:
    """A UID has one card.

    Two files have one UID if they are in two folders that are checked together, or if their names are the same letters
    in two encodings (Unicode's composed and decomposed forms). Only the first can be found. Rename or delete one.
    """
    first: dict[str, str] = {}
    for card in cards:
        if card.uid is not None:
            other = first.setdefault(unicodedata.normalize("NFC", str(card.uid)), card.path)
            if other != card.path:
                yield card.at(
                    Place(),
                    f"the UID {card.uid} has another card: {other}",
                    hint="rename or delete one of them",
                )


@rule_for_all("HT502", Severity.WARNING)
def uid_differs_in_case_only(cards: Sequence[CardSummary]) -> Iterator[Diagnostic]:
    """Two UIDs differ in more than case.

    On file systems that ignore case, as on Windows and macOS, one card overwrites the other. Rename one.
    """
    first: dict[str, tuple[str, str]] = {}
    for card in cards:
        if card.uid is None:
            continue
        text = unicodedata.normalize("NFC", str(card.uid))
        other, path = first.setdefault(text.casefold(), (text, card.path))
        if other != text:
            yield card.at(
                Place(),
                f"the UID {text} differs in case only from {other} ({path})",
                hint="rename one of the two",
            )


@rule_for_all("HT505", Severity.ERROR)
def successor_that_is_not_there(cards: Sequence[CardSummary]) -> Iterator[Diagnostic]:
    """The successor of a card exists, and is not withdrawn itself.

    Readers must find the card that they are told to use. hubtool looks for it among the cards that are checked
    together, and in the registry of the card's path. Correct the UID, or publish the successor first. In place of a
    withdrawn successor, name the card that replaced it.
    """
    status = {str(card.uid): card.status for card in cards if card.uid is not None}
    for card in cards:
        if card.successor is None or card.uid is None:
            continue
        uid, place = card.successor
        if uid == str(card.uid):
            continue  # HT218 reports it
        if status.get(uid) == "withdrawn":
            yield card.at(
                place,
                f"the successor {shown(uid)} is withdrawn itself",
                hint="name the card that replaced it, or none",
            )
        elif uid not in status and not is_beside(card.path, card.uid, uid):
            yield card.at(
                place,
                f"the registry has no card {shown(uid)}",
                hint="correct the UID, or publish that card first",
            )


@rule_for_all("HT503", Severity.WARNING)
def translation_without_card(cards: Sequence[CardSummary]) -> Iterator[Diagnostic]:
    """A translation (`NAME_cn.md`) is beside the card that it translates (`NAME.md`).

    Tools show the translation as that card in another language. Without that card, nothing refers to the translation,
    and the UID in its usage block does not exist. Add the card, or rename the translation.
    """
    names = {str(card.uid) for card in cards}
    for card in cards:
        original = str(card.uid).removesuffix("_cn")
        if card.uid is not None and original != str(card.uid) and original not in names:
            yield card.at(
                Place(),
                f"this is a translation, but there is no card {original}",
                hint=f"add {original.rpartition('/')[2]}.md, or rename the translation",
            )


@rule_for_all("HT509", Severity.ERROR)
def name_that_is_no_uid(cards: Sequence[CardSummary]) -> Iterator[Diagnostic]:
    """A card in the folder of a version has a path that is a UID: `publisher/version/name.md`.

    A UID has letters, digits, `_`, `-`, `.` and `+`, and at most 128 characters in each part. No command finds a card
    with another name: `list`, `search` and the catalogue pass it over. Rename the file or its folder.
    """
    for card in cards:
        error = why_no_uid(card.path) if card.uid is None else None
        if error is not None:
            message = f"no command finds this card: {error.message}"
            yield card.at(Place(), message, hint=error.hint or "rename the file or its folder")


@rule_for_all("HT602", Severity.WARNING)
def one_recipe_for_two_networks(cards: Sequence[CardSummary]) -> Iterator[Diagnostic]:
    """Two cards of one version whose names or data sets ask for different networks have different recipes.

    `resnext50` and `resnext101` are two networks, and so is one network for 10 and for 1,000 classes. If their recipes
    are the same, one of them misses the option that its name or its data set stands for: its checkpoint does not fit,
    or fits and computes something else. Correct the recipe. Cards that share an asset are one network. If the
    difference in the names means no difference of the network, suppress this rule in the card and say why.
    """
    groups: defaultdict[tuple[str, ...], list[CardSummary]] = defaultdict(list)
    for card in cards:
        if card.network is not None and card.uid is not None and card.network.code:
            version = str(card.uid).rpartition("/")[0]
            groups[version, card.network.code, card.network.recipe].append(card)
    for group in groups.values():
        for index, card in enumerate(group):
            other = next((one for one in group[:index] if _asks_for_another(card, one)), None)
            if other is not None and card.network is not None:
                yield card.at(
                    card.network.place,
                    f"the recipe is that of {other.uid}, and the names or data sets ask for different networks",
                    hint="give each its own options; or suppress HT602 in this card, and say why",
                )


_NUMBERED: Final = re.compile(r"[a-z]*[0-9]+(?:\.[0-9]+)?m?")
# The size of the input, the round of training and its steps (0.5M) are in names too, and change no parameter.
_NOT_OF_THE_NETWORK: Final = re.compile(r"shape[0-9]+|r[0-9]|[0-9.]+m")


def _asks_for_another(one: CardSummary, other: CardSummary) -> bool:
    assert one.network is not None  # noqa: S101 - both are of a group of networks
    assert other.network is not None  # noqa: S101 - the same
    if {asset.digest or asset.link for asset in one.assets} & {asset.digest or asset.link for asset in other.assets}:
        return False
    counts = {vocabulary.class_count(network.data_set) for network in (one.network, other.network)} - {None}
    if len(counts) > 1:
        return True
    return _numbers(one) != _numbers(other)


def _numbers(card: CardSummary) -> set[str]:
    """Return the numbered words of a card's name that its data set does not explain, such as ``s16``."""
    assert card.network is not None  # noqa: S101 - as above
    name = str(card.uid).rpartition("/")[2].lower()
    data_set = vocabulary.fold(card.network.data_set)
    return {
        word
        for piece in re.split(r"[_-]", name)
        if not (vocabulary.fold(piece) in data_set or vocabulary.dataset(piece) or vocabulary.fold(data_set) in piece)
        for word in _NUMBERED.findall(piece)
        if not _NOT_OF_THE_NETWORK.fullmatch(word)
    }


@rule_for_all("HT603", Severity.WARNING)
def one_name_with_two_sizes(cards: Sequence[CardSummary]) -> Iterator[Diagnostic]:
    """A network has one size in all versions, unless its code changed.

    If cards of one name have networks with different numbers of elements, and different recipes, one recipe lacks an
    option, or takes another network of the same code. If the recipes are the same, the code was changed, and nothing is
    reported. Correct the recipe of this card; if it is right, suppress this rule in the card and say why.
    """
    groups: defaultdict[tuple[str, ...], list[CardSummary]] = defaultdict(list)
    for card in cards:
        if card.network is not None and card.uid is not None and card.network.elements is not None:
            registry, _, rest = str(card.uid).partition("/")
            groups[registry, rest.rpartition("/")[2], card.network.code].append(card)
    for group in groups.values():
        networks = [card.network for card in group if card.network is not None]
        usual, _ = Counter(network.elements for network in networks).most_common(1)[0]
        like = next(card for card in group if card.network is not None and card.network.elements == usual)
        known = {network.recipe for network in networks if network.elements == usual}
        for card in group:
            if card.network is not None and card.network.elements != usual and card.network.recipe not in known:
                yield card.at(
                    card.network.place,
                    f"the network has {card.network.elements:,} elements here, and {usual:,} in {like.uid}, "
                    "with another recipe",
                    hint="correct the recipe; or suppress HT603 in this card, and say why",
                )


@rule_for_all("HT605", Severity.WARNING)
def one_checkpoint_for_two_networks(cards: Sequence[CardSummary]) -> Iterator[Diagnostic]:
    """One checkpoint belongs to networks of one size.

    A file has one set of tensors. If two cards name the same file (by its digest) and their networks have different
    numbers of elements, it cannot fill both: one recipe lacks an option, or its code has changed since the checkpoint
    was made. Correct the recipe, or remove it; if both are right, as a network and its body are, suppress this rule in
    the card and say why.
    """
    groups: defaultdict[str, list[CardSummary]] = defaultdict(list)
    for card in cards:
        if card.network is not None and card.network.elements is not None and card.status != "withdrawn":
            # A short digest stands for the whole one; so many digits tell the files of a registry apart.
            digests = {asset.digest[:8].lower() for asset in card.assets if asset.digest and _holds_weights(asset.link)}
            for digest in digests:
                groups[digest].append(card)
    for group in groups.values():
        sizes = Counter(card.network.elements for card in group if card.network is not None)
        usual, _ = max(sizes.items(), key=lambda item: (item[1], item[0] or 0))
        like = min(
            (card for card in group if card.network is not None and card.network.elements == usual),
            key=lambda card: card.path,
        )
        for card in group:
            if card.network is not None and card.network.elements != usual:
                yield card.at(
                    card.network.place,
                    f"the network has {card.network.elements:,} elements, and {usual:,} in {like.uid or like.path}, "
                    "with the same checkpoint",
                    hint="correct or remove the recipe that the checkpoint does not fit; or suppress HT605 in this "
                    "card, and say why",
                )


def _holds_weights(link: str) -> bool:
    return link.partition("#")[2].endswith(_WEIGHTS) or link.partition("#")[0].partition("?")[0].endswith(_WEIGHTS)


_WEIGHTS: Final = (".ckpt", ".safetensors")
