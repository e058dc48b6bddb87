"""A loaded network with what stands before and behind it."""

from __future__ import annotations

import operator
import os
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final, overload

from hubtool import loader
from hubtool.assets import fetch_asset
from hubtool.errors import ArgumentError, CardError, NetworkError
from hubtool.networks.builtin.text import read_vocabulary
from hubtool.networks.forward import flat, settle, why
from hubtool.pipelines import pictures, results, texts
from hubtool.pipelines import use as uses

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from hubtool.card.model import Asset
    from hubtool.hub import Hub
    from hubtool.loader import LoadedNetwork
    from hubtool.pipelines.results import Result
    from hubtool.pipelines.use import StatedUse
    from hubtool.resolution.resolver import Resolution
    from hubtool.resolution.trust import Agreement
    from hubtool.transfer.events import ProgressCallback

_MAX_BYTES: Final = 16 << 20  # of a file with labels or a vocabulary
TOP: Final = 5


class Pipeline:
    """A network that takes pictures or texts, and says what they are.

    >>> digits = hubtool.pipeline("hubtool/2.10/lenet_digits")  # doctest: +SKIP
    >>> digits("seven.png")  # doctest: +SKIP

    Attributes:
        uid: The UID of the card.
        task: Its task, such as ``image-classification``.
        network: The loaded ``mindspore.nn.Cell``.
        labels: The names of the classes.
    """

    def __init__(
        self, loaded: LoadedNetwork, use: StatedUse, *, labels: tuple[str, ...], vocabulary: Mapping[str, int]
    ) -> None:
        self.uid = loaded.uid
        self.task = use.task
        self.network = loaded.network
        self.labels = labels
        self._use = use
        self._vocabulary = vocabulary

    def __repr__(self) -> str:
        return f"<{self.uid}: {self.task}, {len(self.labels):,} labels>"

    @overload
    def __call__(self, inputs: list[Any] | tuple[Any, ...], *, top: int = TOP) -> list[Result]: ...

    @overload
    def __call__(self, inputs: Any, *, top: int = TOP) -> Result: ...

    def __call__(self, inputs: Any, *, top: int = TOP) -> Any:
        """Say what pictures or texts are.

        Args:
            inputs: For pictures: a path, an open file, a picture of Pillow, or an array of bytes of the shape
                (height, width) or (height, width, 3). For texts: a text. Or a list of these.
            top: How many labels, the likeliest first.

        Returns:
            A result, or a list of them for a list.

        Raises:
            ArgumentError: If an input cannot be used; the message says which, and why.
            NetworkError: If the network fails, or its output does not fit the card.
        """
        try:
            top = 0 if isinstance(top, bool) else operator.index(top)  # NumPy's whole numbers too
        except TypeError:
            top = 0
        if top < 1:
            raise ArgumentError("top must be a whole number of at least 1")
        if isinstance(inputs, (list, tuple)):
            return [self._one(one, top) for one in inputs]
        return self._one(inputs, top)

    def _one(self, source: Any, top: int) -> Result:
        if self.task in uses.PICTURES:
            shown = os.fsdecode(source) if isinstance(source, (str, os.PathLike)) else "the picture"
            outputs = self._run(pictures.prepare(self._use, pictures.open_picture(source, shown)))
            found: Any = results.labels_of(outputs, self._use.kind, self.labels, top)
            return results.Result(source=shown, found=found)
        text = texts.check(source)
        outputs = self._run(*texts.prepare(self._use, text, self._vocabulary))
        if self.task == "token-classification":
            found = results.entities_of(outputs, self._use.kind, self.labels, text)
        else:
            found = results.labels_of(outputs, self._use.kind, self.labels, top)
        return results.Result(source=text, found=found)

    def _run(self, *inputs: Any) -> Any:
        """Run the network, and return the output that is read, as a NumPy array."""
        from mindspore import Tensor, float32

        try:
            outputs = [
                (one.astype(float32) if "float" in str(one.dtype).lower() else one).asnumpy()
                for one in flat([self.network(*map(Tensor, inputs))])
            ]
        except Exception as error:  # the code of a network may raise anything
            settle()
            shapes = ", ".join("x".join(map(str, one.shape)) for one in inputs)
            raise NetworkError(
                f"the network failed on an input of the shape {shapes}: {why(error)}",
                hint="the card's 'preprocessing' may not be that of this network",
            ) from error
        if len(outputs) <= self._use.output:
            raise NetworkError(
                f"the network gives {len(outputs)} outputs, and the card says that number {self._use.output + 1} is "
                "read",
                hint="correct 'outputs' on the card",
            )
        return outputs[self._use.output]


def open_pipeline(
    hub: Hub,
    resolution: Resolution,
    *,
    device: str | None = None,
    overrides: Mapping[str, object] | None = None,
    checkout: Path | None = None,
    agreement: Agreement | None = None,
    progress: ProgressCallback | None = None,
) -> Pipeline:
    """Load a network with what stands before and behind it.

    What the card says is read first: if that is not enough, nothing is fetched and nothing runs.

    Args:
        hub: Settings, registries and store.
        resolution: The resolver's answer for the card.
        device: The device target; by default the one that MindSpore's context names.
        overrides: Arguments of the network beyond the card's recipe.
        checkout: A folder with the tree of the card's repository, in place of the code that its repo-link names.
        agreement: What the user agreed to when asked.
        progress: Called with the bytes received so far and the bytes of the file, or None where they are not known.

    Raises:
        RecipeError: If the card does not say enough.
        HubError: As :func:`hubtool.loader.load`.
    """
    use = uses.read(resolution.card, resolution.uid)
    if overrides:
        use = replace(use, shape=None)  # another network than the recipe's may take other pictures

    def lines(asset: Asset) -> list[str]:
        path = fetch_asset(hub, resolution.found, asset).path
        try:
            if path.stat().st_size > _MAX_BYTES:
                raise CardError(f"{asset.file_name} of {resolution.uid} is larger than {_MAX_BYTES:,} bytes")
            # Not splitlines: vocabularies have tokens that are line ends of Unicode, and each token's number counts.
            return path.read_text(encoding="utf-8").removesuffix("\n").split("\n")
        except UnicodeDecodeError as error:
            raise CardError(f"{asset.file_name} of {resolution.uid} is not text in UTF-8") from error

    named = use.labels if use.labels_asset is None else tuple(line.strip() for line in lines(use.labels_asset))
    if named is None or not all(named):
        raise CardError(f"of the labels of {resolution.uid} one is blank", hint="write one name a line")
    vocabulary: Mapping[str, int] = {}
    if use.vocabulary_asset is not None:
        try:
            vocabulary = read_vocabulary(lines(use.vocabulary_asset))
        except ArgumentError as error:
            raise CardError(f"{use.vocabulary_asset.file_name} of {resolution.uid}: {error.message}") from error
    loaded = loader.load(
        hub,
        resolution,
        device=device,
        overrides=overrides,
        checkout=checkout,
        agreement=agreement,
        progress=progress,
    )
    if loaded.path is not None:
        raise NetworkError(f"{resolution.uid} is a file that MindSpore does not run: {loaded.path}")
    return Pipeline(loaded, use, labels=named, vocabulary=vocabulary)
