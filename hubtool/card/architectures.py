"""The table of architectures and of the tasks that models are made for (``vocabularies/``).

``architectures.json`` has one entry for each architecture behind the cards; ``pipeline-tasks.json`` has the tasks. What
a card does not state about its task follows from both: see :func:`tasks_of`.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

from hubtool import resources
from hubtool.card.vocabulary import datasets, fold
from hubtool.card.vocabulary import task as module_type

if TYPE_CHECKING:
    from collections.abc import Mapping

# 'UNet++' and 'UNet' differ in their signs only.
_PLUS = re.compile(r"(?<=\w)\++(?!\w)")
# No name is longer, and what is longer is not looked up.
_MAX_CHARACTERS = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Architecture:
    """One architecture of the table; what is not known is empty or None.

    Attributes:
        name: Its name, as its paper writes it.
        spellings: Other names of it.
        models: Names of models that have it, as cards write them.
        family: What several architectures have in common, such as ``YOLO``.
        tasks: What it is used for, the usual task first.
        paper: The title of the paper that describes it.
        year: The year of the paper.
        english: What it is, in one line.
        chinese: The same in Chinese.
    """

    name: str
    spellings: tuple[str, ...] = ()
    models: tuple[str, ...] = ()
    family: str = ""
    tasks: tuple[str, ...] = ()
    paper: str = ""
    year: int | None = None
    english: str = ""
    chinese: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class PipelineTask:
    """What a model does; ``name`` is a pipeline tag of Hugging Face where one fits.

    Attributes:
        name: Its name, such as ``image-classification``.
        within: The more general task that has a pipeline tag, or empty.
        aliases: The tasks of ``module-type`` that are this one.
        english: Its name in words.
        chinese: The same in Chinese.
        words: Other words by which people look for it.
        input: What goes in, in English and in Chinese.
        output: What comes out, in English and in Chinese.
    """

    name: str
    within: str = ""
    aliases: tuple[str, ...] = ()
    english: str = ""
    chinese: str = ""
    words: tuple[str, ...] = ()
    input: tuple[str, str] = ("", "")
    output: tuple[str, str] = ("", "")


@cache
def architectures() -> Mapping[str, Architecture]:
    """Return the architectures by their names."""
    return {
        entry["name"]: Architecture(
            name=entry["name"],
            spellings=tuple(entry.get("spellings", ())),
            models=tuple(entry.get("models", ())),
            family=entry.get("family", ""),
            tasks=tuple(entry["tasks"]),
            paper=entry.get("paper", ""),
            year=entry.get("year"),
            english=entry["en"],
            chinese=entry["zh"],
        )
        for entry in _read("architectures")["entries"]
    }


@cache
def tasks() -> Mapping[str, PipelineTask]:
    """Return the tasks by their names."""
    return {
        entry["name"]: PipelineTask(
            name=entry["name"],
            within=entry.get("within", ""),
            aliases=tuple(entry.get("aliases", ())),
            english=entry["en"],
            chinese=entry["zh"],
            words=tuple(entry["words"]),
            input=(entry["input"]["en"], entry["input"]["zh"]),
            output=(entry["output"]["en"], entry["output"]["zh"]),
        )
        for entry in _read("pipeline-tasks")["entries"]
    }


@cache
def ignored_words() -> frozenset[str]:
    """Return the words that say nothing about a model, such as ``the`` and ``pretrained``."""
    return frozenset(_read("pipeline-tasks")["ignored"])


@cache
def variants() -> Mapping[str, tuple[str, ...]]:
    """Return the words for variants of models, such as ``quantized``, by how names say it (``quant``)."""
    return {name: tuple(texts) for name, texts in _read("pipeline-tasks")["variants"].items()}


def spelled(text: str) -> str:
    """Return a text with its plus signs in words, as folding would remove them.

    >>> spelled("UNet++"), spelled("DeepLab v3+")
    ('UNetplusplus', 'DeepLab v3plus')
    """
    return _PLUS.sub(lambda match: "plus" * len(match[0]), text) if "+" in text else text


def find(text: str) -> Architecture | None:
    """Return the architecture that a text names, or the one of the model that it names; None if it is not known.

    >>> find("ResNet-50").name, find("yolo_v5").name
    ('ResNet', 'YOLOv5')
    """
    if len(text) > _MAX_CHARACTERS:
        return None
    name = _by_spelling().get(fold(spelled(text)))
    return None if name is None else architectures()[name]


def of_card(model: str, backbone: str, stated: str = "") -> Architecture | None:
    """Return the architecture of a card, or None if it is not known.

    Args:
        model: Its ``model-name``.
        backbone: Its ``backbone-name``, which counts where the model is not known: that of a detector may be the
            network inside it.
        stated: Its ``architecture``, which counts first.
    """
    return (find(stated) if stated else None) or find(model) or find(backbone)


def nearest(text: str) -> str | None:
    """Return the spelling of the table that is closest to a text; None if none is close."""
    import difflib  # noqa: PLC0415 - for findings only

    if len(text) > _MAX_CHARACTERS:
        return None
    known = _by_spelling()
    close = difflib.get_close_matches(fold(spelled(text)), known, n=1, cutoff=0.75)
    return known[close[0]] if close else None


def tasks_of(architecture: Architecture | None, task: str, dataset: str, stated: str = "") -> tuple[str, ...]:
    """Return the pipeline tasks of a card, the most likely one first; none if nothing is known.

    What the card states counts first. Where it only names a field, such as ``cv``, the task that the data set is made
    for counts if the architecture is used for it, and then the usual task of the architecture.

    Args:
        architecture: Its architecture.
        task: Its ``module-type``.
        dataset: Its ``train-dataset``.
        stated: Its ``task``, which is the first of them if it is known.
    """
    derived = _derived_tasks(architecture, task, dataset)
    if stated not in tasks():
        return derived
    return (stated, *(one for one in derived if one != stated)) if stated in derived else (stated,)


def _derived_tasks(architecture: Architecture | None, task: str, dataset: str) -> tuple[str, ...]:
    stated = _by_module_type().get(module_type(task) or task, ())
    usual = architecture.tasks if architecture is not None else ()
    if stated and ("-" in task or not usual):
        return tuple(one for one in stated if one in usual) or stated
    made_for = [one for _, name in datasets(dataset) if name for one in dataset_tasks().get(name, ())]
    return tuple(one for one in usual if one in made_for) or usual[:1]


def find_tasks(text: str) -> tuple[str, ...]:
    """Return the pipeline tasks that a text names in English, in Chinese, or as ``module-type``.

    >>> find_tasks("cv-object_detection"), find_tasks("语音识别")
    (('object-detection',), ('automatic-speech-recognition',))
    """
    if len(text) > _MAX_CHARACTERS:
        return ()
    folded = fold(text)
    named = tuple(
        one.name for one in tasks().values() if folded in (fold(one.name), fold(one.english), fold(one.chinese))
    )
    return named or _by_module_type().get(module_type(text) or text, ())


@cache
def dataset_tasks() -> Mapping[str, tuple[str, ...]]:
    """Return the tasks that data sets are usually used for, by the names of the data sets."""
    return {entry["name"]: tuple(entry["tasks"]) for entry in _read("datasets")["entries"] if "tasks" in entry}


@cache
def dataset_words() -> Mapping[str, tuple[str, ...]]:
    """Return other words for data sets, by the names of the data sets; of a Chinese one these are among them."""
    chinese = ("chinese", "中文", "汉语")
    return {
        entry["name"]: (*entry.get("words", ()), *(chinese if entry.get("language") == "zh" else ()))
        for entry in _read("datasets")["entries"]
        if "words" in entry or "language" in entry
    }


def _read(name: str) -> Any:  # noqa: ANN401 - the members of a vocabulary differ
    return json.loads(resources.vocabulary_file(name).read_text(encoding="utf-8"))


@cache
def _by_spelling() -> Mapping[str, str]:
    found: dict[str, str] = {}
    known = architectures().values()
    # A name goes before a spelling, and a spelling that several have (mobilenet) stands for the first.
    for texts in (
        [(one.name, one.name) for one in known],
        [(text, one.name) for one in known for text in one.models],
        [(text, one.name) for one in known for text in one.spellings],
    ):
        for text, name in texts:
            found.setdefault(fold(spelled(text)), name)
    return found


@cache
def _by_module_type() -> Mapping[str, tuple[str, ...]]:
    found: dict[str, tuple[str, ...]] = {}
    for one in tasks().values():
        for alias in one.aliases:
            found[alias] = (*found.get(alias, ()), one.name)
    return found
