"""The typed form of a card. Everything above this layer uses these types and never sees YAML."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, cast

from hubtool.card import document as documents
from hubtool.card import foreign
from hubtool.card import front_matter as front_matters
from hubtool.card import status as statuses
from hubtool.card.values import plain_values
from hubtool.digest import FULL_LENGTH, Digest
from hubtool.errors import ArgumentError, CardError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from hubtool.card.document import Document
    from hubtool.card.front_matter import FrontMatter
    from hubtool.card.status import Status
    from hubtool.uid import Uid

#: Names that networks use for the number of classes.
CLASS_COUNTS: Final = frozenset(
    {
        *("class_num", "classes", "n_class", "n_classes", "nclass", "num_class", "num_classes", "num_cls"),
        *("num_label", "num_labels", "number_labels"),
    }
)
# The architectures that are part of hubtool; hubtool.networks.builtin builds them. They are part of what a card can
# say.
BUILTIN_ENTRIES = ("bert", "bert-pretraining", "bert-ner", "bert-classifier", "bert-squad", "lenet")
WEIGHT_FORMATS = ("ckpt", "safetensors")
# Files that hold a whole network, and what runs them. MindSpore itself runs the first.
GRAPH_FORMATS = {
    "mindir": "MindSpore (mindspore.nn.GraphCell), and MindSpore Lite",
    "onnx": "ONNX Runtime, and whatever else reads ONNX",
    "air": "the ATC compiler of CANN, which makes an offline model for Ascend of it",
    "om": "CANN's AscendCL, on Ascend",
    "mslite": "MindSpore Lite",
    "ms": "MindSpore Lite",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Asset:
    """One file that a card names.

    Attributes:
        format: The format as the card states it, such as ``ckpt``.
        link: An https URL, or a path relative to the card; without angle brackets.
        digest: The SHA-256 that the card states, perhaps short; None if it states none that can be read.
        size: The size in bytes that the card states, or None.
    """

    format: str
    link: str
    digest: Digest | None
    size: int | None = None

    @property
    def is_local(self) -> bool:
        """Whether the link is a path relative to the card."""
        return "://" not in self.link

    @property
    def weakness(self) -> str | None:
        """What is weak about a short digest, in one sentence; None if the digest is whole, or there is none."""
        if self.digest is None or not self.digest.is_short:
            return None
        return (
            f"the card states {len(self.digest.hex)} of the {FULL_LENGTH} digits of the SHA-256 of {self.file_name}: "
            "anyone can make another file with the same digits, so only the link identifies the file"
        )

    @property
    def is_weights(self) -> bool:
        """Whether the file is a checkpoint."""
        return self.format in WEIGHT_FORMATS

    @property
    def is_mindir(self) -> bool:
        """Whether the file is a graph that MindSpore runs."""
        return self.format.lower() == "mindir"

    @property
    def runner(self) -> str | None:
        """What runs the file, if it holds a whole network and not only weights; otherwise None."""
        return GRAPH_FORMATS.get(self.format.lower())

    @property
    def file_name(self) -> str:
        """The file name that people see; never used to make a path.

        It is the part after ``#`` in the link, as ``hubtool publish`` writes it, otherwise the link's last part.
        """
        address, _, name = self.link.partition("#")
        path = name if name and not self.is_local else address.partition("?")[0]
        return path.rstrip("/").rpartition("/")[2]


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """How a network is built.

    Attributes:
        provider: ``builtin``, ``package`` or ``repository``.
        entry: The architecture's name, or module and callable.
        arguments: What the entry is called with, beyond what the checkpoint's shapes determine.
        ignore: Patterns of checkpoint tensors that are knowingly not used.
        rename: Texts in the names of checkpoint tensors and what takes their place, in order, as the code does before
            it loads them; a text that begins with ``^`` counts at the beginning of a name only.
        argv: The arguments that a script is run with; ``{checkpoint}`` stands for a checkpoint's path.
        capture: 1-based index of the captured network, among the networks of a script that weights go into.
        skip: Statements of the code that are left out, as ``path:line``: they need data, and the network does not.
        requires: Distributions that the code needs, beyond MindSpore and NumPy, as requirement specifiers.
        initialise: Whether the code needs the values that parameters are initialised with.
        inputs: Name, shape and element type of each input of the network.
        training_mode: Whether inference runs in training mode, such as with the statistics of the batch.
        known_answer: ``known-answer`` as plain values, for :func:`hubtool.card.known_answer.parse`; or None.
        weights_answer: The same for the network with the checkpoint's weights.
        parameters: Number of parameters of the network when it was last built; None if the card does not state it.
        parameters_digest: The digest of their names and shapes then, or None.
    """

    provider: str
    entry: str
    arguments: Mapping[str, object] = field(default_factory=dict)
    ignore: tuple[str, ...] = ()
    rename: tuple[tuple[str, str], ...] = ()
    argv: tuple[str, ...] = ()
    capture: int = 1
    skip: tuple[str, ...] = ()
    requires: tuple[str, ...] = ()
    initialise: bool = False
    inputs: tuple[tuple[str, tuple[int, ...], str], ...] = ()
    training_mode: bool = False
    parameters: int | None = None
    parameters_digest: str | None = None
    known_answer: Mapping[str, object] | None = None
    weights_answer: Mapping[str, object] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Card:
    """One model: the facts of its front matter, and its text.

    Facts that the card does not state, or states in a form that breaks the schema, are None.

    Attributes:
        uid: The card's UID, or None for a card outside a registry.
        path: The file it was read from, or None.
        title: The title.
        body: The Markdown below the front matter.
        values: The whole front matter as plain values.
        assets: The files it names.
        recipe: How the network is built, or None.
        faults: Problems of its document and YAML, as ``line:column: message``.
    """

    uid: Uid | None
    path: Path | None
    title: str | None
    body: str
    values: Mapping[str, object]
    assets: tuple[Asset, ...]
    recipe: Recipe | None
    faults: tuple[str, ...]

    def text(self, key: str) -> str | None:
        """Return the text of a front-matter key, or None if it is absent or not text."""
        value = self.values.get(key)
        return value if isinstance(value, str) and value else None

    def blame(self, problem: str) -> str:
        """Return a problem with the card, and the faults that may be why; what could not be read looks absent."""
        return f"{problem}; the card has faults: {'; '.join(self.faults[:3])}" if self.faults else problem

    @property
    def mindspore_version(self) -> str | None:
        """The version of MindSpore that the model was made with, such as ``1.10``."""
        return self.text("mindspore-version")

    @property
    def status(self) -> Status | None:
        """The status since publishing: deprecated or withdrawn, or None."""
        kind = (self.text("status") or "").strip().lower()
        if kind not in (statuses.DEPRECATED, statuses.WITHDRAWN):
            return None
        return statuses.Status(kind=kind, reason=self.text("status-reason") or "", successor=self.text("superseded-by"))

    @property
    def repo_link(self) -> str | None:
        """The link to the model's code, without angle brackets."""
        link = self.text("repo-link")
        return strip_brackets(link) if link else None


def strip_brackets(link: str) -> str:
    """Return a link without the angle brackets that Markdown allows around it."""
    stripped = link.strip()
    return stripped[1:-1].strip() if stripped.startswith("<") and stripped.endswith(">") else stripped


def read(data: bytes, *, uid: Uid | None = None, path: Path | None = None) -> Card:
    """Read a card.

    Raises:
        CardError: If there is no front matter that can be read at all.
    """
    document = documents.parse(data)
    where = str(path or uid or "the card")
    if document.front_matter is None:
        fault = document.faults[0]
        line, column = document.line_column(fault.offset)
        raise CardError(f"{where}:{line}:{column}: {fault.message}", hint=fault.hint)
    front_matter = front_matters.read(document.front_matter, document.front_matter_offset)
    if not front_matter.entries:
        message, hint = "the front matter is empty", None
        if front_matter.faults:
            fault = front_matter.faults[0]
            line, column = document.line_column(fault.offset)
            message, hint = f"{line}:{column}: {fault.message}", fault.hint
        raise CardError(f"{where}:{message}", hint=hint)
    return of_parts(document, front_matter, uid=uid, path=path)


def of_parts(document: Document, front_matter: FrontMatter, *, uid: Uid | None, path: Path | None) -> Card:
    """Return the typed form of a card that is already taken apart.

    Args:
        document: The card as a document.
        front_matter: Its front matter.
        uid: Its UID, or None for a card outside a registry.
        path: The file it was read from, or None.
    """
    values = plain_values(front_matter)
    faults = []
    for fault in (*document.faults, *front_matter.faults):
        line, column = document.line_column(fault.offset)
        faults.append(f"{line}:{column}: {fault.message}")
    whose = foreign.hub_of(front_matter)
    if whose is not None:
        faults.append(f"it is a {whose} model card ({foreign.HINT})")
    listed = values.get("asset")
    assets = [_asset(item) for item in listed if isinstance(item, dict)] if isinstance(listed, list) else []
    return Card(
        uid=uid,
        path=path,
        title=document.title,
        body=document.body,
        values=values,
        assets=tuple(asset for asset in assets if asset is not None),
        recipe=_recipe(values.get("network")),
        faults=tuple(faults),
    )


def _asset(item: dict[str, object]) -> Asset | None:
    link, digest, size = item.get("asset-link"), item.get("asset-sha256"), item.get("asset-size")
    if not isinstance(link, str) or not link:
        return None
    parsed: Digest | None = None
    if isinstance(digest, str):
        try:
            parsed = Digest.parse(digest)
        except ArgumentError:
            parsed = None  # validate reports it; the resolver calls the asset not loadable
    return Asset(
        format=str(item.get("file-format", "")),
        link=strip_brackets(link),
        digest=parsed,
        size=size if isinstance(size, int) and size > 0 else None,
    )


def _recipe(item: object) -> Recipe | None:
    if not isinstance(item, dict):
        return None
    provider, entry = item.get("provider"), item.get("entry")
    arguments, ignore = item.get("arguments", {}), item.get("ignore", [])
    if not isinstance(provider, str) or not isinstance(entry, str):
        return None
    return Recipe(
        provider=provider,
        entry=entry,
        arguments=cast("dict[str, object]", arguments) if isinstance(arguments, dict) else {},
        ignore=_texts(ignore),
        rename=_renames(item.get("rename")),
        argv=_texts(item.get("argv")),
        capture=capture if isinstance(capture := item.get("capture"), int) and capture > 0 else 1,
        skip=_texts(item.get("skip")),
        requires=_texts(item.get("requires")),
        initialise=item.get("initialise") is True,
        inputs=_inputs(item.get("inputs")),
        parameters=number if isinstance(number := item.get("parameters"), int) else None,
        parameters_digest=digest if isinstance(digest := item.get("parameters-sha256"), str) else None,
        training_mode=item.get("training-mode") is True,
        known_answer=answer if isinstance(answer := item.get("known-answer"), dict) else None,
        weights_answer=answer if isinstance(answer := item.get("weights-answer"), dict) else None,
    )


def _texts(items: object) -> tuple[str, ...]:
    return tuple(item for item in items if isinstance(item, str)) if isinstance(items, list) else ()


def _renames(item: object) -> tuple[tuple[str, str], ...]:
    pairs = item.items() if isinstance(item, dict) else ()
    return tuple(
        (before, after) for before, after in pairs if before and isinstance(before, str) and isinstance(after, str)
    )


def _inputs(items: object) -> tuple[tuple[str, tuple[int, ...], str], ...]:
    inputs = []
    for item in items if isinstance(items, list) else []:
        if not isinstance(item, dict) or not isinstance(shape := item.get("shape"), list):
            return ()
        sides = tuple(side for side in shape if isinstance(side, int))
        inputs.append((str(item.get("name", "")), sides, str(item.get("dtype", "float32"))))
    return tuple(inputs)
