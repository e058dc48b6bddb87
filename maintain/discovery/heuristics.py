"""Guesses: which script, which configuration and which arguments a card's network is built with. Pure.

A guess is only ever a candidate: discovery runs it, and what the recipe records is explicit.
"""

from __future__ import annotations

import ast
import itertools
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from hubtool.card import vocabulary
from hubtool.card.model import CLASS_COUNTS

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

_WORD: Final = re.compile(r"[a-z]+|[0-9]+(?:\.[0-9]+)?")
_LEFT_OUT: Final = frozenset({"infer", "scripts", "ascend310_infer", "modelarts", "golden_stick", "sdk", "mxbase", "docker", "utils"})  # fmt: skip
_CHECKPOINT: Final = re.compile(
    r"(?:.*_)?(?:ckpt|pth|checkpoint|pretrain(?:ed)?|pre_trained|weights?|resume|model|load)(?:_?(?:file|dir_name|path|url|name|model|weights?|ckpt|params?))*(?:_path|_g|_d|[0-9])?\Z"
)
_FOLDER: Final = re.compile(r".*(?:dir|root|folder|output|data_path|dataset_path|data_url|train_url|save).*")
_CONFIGURATION: Final = re.compile(r".*(?:config|cfg|yaml|yml|conf).*")
_PATHS: Final = frozenset(
    {
        "config",
        "config_path",
        "config_file",
        "cfg",
        "cfg_path",
        "yaml",
        "yaml_path",
        "yml",
        "c",
        "cfg_file",
        "yaml_file",
    }
)
_SCALES: Final = frozenset({"scale", "upscale", "upscale_factor", "scale_factor", "upscale_rate", "sr_scale"})
_SAME_SIZE: Final = re.compile(r"denois|derain|deblur|dehaz")  # tasks that make no image larger
# Settings that choose files and formats, and say nothing of the network.
_NOT_OF_THE_NETWORK: Final = re.compile(r"file_format.*|mode|run_mode|context_mode|mode_type")
_SIZES: Final = frozenset({"tiny", "small", "base", "medium", "large", "huge"})
_DEVICES: Final = frozenset({"device", "device_target", "platform", "run_platform", "target", "device_type"})
# What most scripts are given when they ask for it and nothing on the card says more.
_USUAL: Final[Mapping[str, str]] = {
    "batch_size": "1", "device_id": "0", "device_num": "1", "rank_size": "1", "rank": "0", "file_format": "MINDIR", "file_name": "net", "device_target": "Ascend",
    "platform": "Ascend", "run_platform": "Ascend", "width": "224", "height": "224", "image_size": "224", "seed": "1",
}  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkFacts:
    """What a card says that helps to choose.

    Attributes:
        name: The last part of the UID.
        model_name: Its ``model-name``.
        dataset: Its ``train-dataset``, or empty.
        backbone: Its ``backbone-name``, or empty.
        asset: The file name of its checkpoint, or empty.
    """

    name: str
    model_name: str = ""
    dataset: str = ""
    backbone: str = ""
    asset: str = ""

    @property
    def words(self) -> frozenset[str]:
        """The words of all of them."""
        return frozenset(words(f"{self.name} {self.model_name} {self.dataset} {self.backbone}"))

    @property
    def plain(self) -> str:
        """All of them, without anything but letters and digits."""
        return re.sub(r"[^a-z0-9]", "", f"{self.name}|{self.model_name}|{self.dataset}".lower())

    @property
    def settings(self) -> dict[str, str]:
        """The numbers that the name and the asset give to words: ``fc1natt4`` says that ``fc`` is 1 and ``natt`` 4."""
        asset = self.asset.rpartition(".")[0].partition("_ascend_")[0]
        return dict(_SETTING.findall(f"{asset.lower()} {self.name.lower()}"))

    @property
    def pieces(self) -> frozenset[str]:
        """The parts of the name, as ``_`` and ``-`` divide it."""
        return frozenset(re.split(r"[^a-z0-9]+", self.name.lower()))


_SETTING: Final = re.compile(r"(?<![a-z])([a-z]+)(\d+)")


def words(text: str) -> list[str]:
    """Split text into its words and numbers, in lower case."""
    return _WORD.findall(text.lower())


def score(candidate: str, facts: NetworkFacts) -> float:
    """Say how well a candidate, such as a file name, goes with a card; higher is better."""
    total = 0.0
    pieces = re.split(r"[^A-Za-z0-9.]+", re.sub(r"\.(?:ya?ml|json|py)\Z", "", candidate.lower()))
    for one, other in itertools.pairwise(pieces):
        if 2 < len(one + other) < 6 and one + other in facts.plain:
            total += 1.0  # what is N1-S2 here is N1S2 there
    for piece in pieces:
        if piece == "train" and "/" in candidate:
            total -= 1.0  # what a network is trained with may be another than what is used afterwards
        plain = re.sub(r"[^a-z0-9]", "", piece)
        if not plain or plain in _DULL:
            continue
        # Short pieces are in many names by chance; they count where they stand by themselves.
        if (len(plain) > 2 and plain in facts.plain) or plain in re.split(r"[^a-z0-9]+", facts.name.lower()):
            total += 1.0 + len(plain) / 4
            continue
        parts = words(piece)
        known = [part for part in parts if part in facts.words or _ends_a_number(part, facts)]
        total += 0.5 * len(known) - 0.6 * (len(parts) - len(known))
    return total


def _ends_a_number(part: str, facts: NetworkFacts) -> bool:
    """Whether a number of several digits is the end of one of a card: 101 in ``resnetv1101``."""
    return part.isdigit() and len(part) > 2 and any(word.isdigit() and word.endswith(part) for word in facts.words)


_DULL: Final = frozenset({"config", "default", "yaml", "yml", "json", "configs", "cfg", "ascend", "train", "eval", "export", "py", "src", "the", "net"})  # fmt: skip


def best(candidates: Iterable[str], facts: NetworkFacts, *, default: str | None = None) -> str | None:
    """Return the candidate that goes best with a card; the default unless another is better."""
    ranked = sorted(candidates, key=lambda candidate: (-score(candidate, facts), len(candidate), candidate))
    if not ranked:
        return default
    if default is not None and default in ranked and score(ranked[0], facts) <= max(score(default, facts), 0.0):
        return default  # nothing on the card speaks for another
    return ranked[0]


def scripts(folder: Path, facts: NetworkFacts) -> list[str]:
    """Return the scripts of a folder that may build its network, most promising first."""
    found = []
    for path in folder.rglob("*.py"):
        relative = path.relative_to(folder)
        if len(relative.parts) > 4 or any(part in _LEFT_OUT or part.startswith(".") for part in relative.parts[:-1]):
            continue
        rank = _rank(path.stem.lower())
        if rank is None or "__" in path.name:
            continue
        text = path.read_text(encoding="utf-8", errors="replace")
        if "mindspore" not in text and "src" not in text:
            continue
        nested = len(relative.parts) - 1
        found.append((rank + 3.5 * nested - 0.3 * score(path.stem, facts), relative.as_posix()))
    return [name for _, name in sorted(found)][:7]


def _rank(stem: str) -> float | None:
    ranks = (("export", 0), ("eval", 10), ("test", 12), ("infer", 14), ("predict", 14), ("evaluat", 11), ("val", 13), ("finetune", 16),
             ("fine_tune", 16), ("run_", 17), ("train", 20), ("main", 18), ("generate", 15), ("sample", 19), ("demo", 19))  # fmt: skip
    for word, rank in ranks:
        if word in stem and not stem.startswith(("preprocess", "postprocess", "get_dataset", "test_dataset")):
            return rank + (0 if stem == word else 1)
    return None


def configurations(folder: Path) -> list[str]:
    """Return the configuration files of a folder, as paths within it."""
    found = []
    for suffix in ("*.yaml", "*.yml", "*.json"):
        for path in folder.rglob(suffix):
            relative = path.relative_to(folder)
            if len(relative.parts) <= 4 and not any(part in _LEFT_OUT for part in relative.parts[:-1]):
                found.append(relative.as_posix())
    return sorted(found)


def compared(folder: Path) -> dict[str, tuple[str, ...]]:
    """Return the texts that the folder's code compares its settings with: the values that it knows for each."""
    known: dict[str, dict[str, None]] = {}
    for path in folder.rglob("*.py"):
        if path.stat().st_size > 2**18:
            continue
        try:
            tree = ast.parse(path.read_bytes())
        except (SyntaxError, ValueError):
            continue
        for node in ast.walk(tree):
            if not isinstance(node, ast.Compare) or not isinstance(node.left, ast.Attribute) or len(node.ops) != 1:
                continue
            if not isinstance(node.ops[0], (ast.Eq, ast.In)):
                continue
            side = node.comparators[0]
            items: Sequence[ast.expr] = side.elts if isinstance(side, (ast.List, ast.Tuple, ast.Set)) else [side]
            for item in items:
                if isinstance(item, ast.Constant) and isinstance(item.value, str):
                    known.setdefault(node.left.attr, {})[item.value] = None
    return {name: tuple(values) for name, values in known.items()}


@dataclass(frozen=True, slots=True, kw_only=True)
class Option:
    """One argument that a script takes.

    Attributes:
        flag: How it is given: ``--name``, or empty for a positional one.
        name: The name that the script reads it by.
        required: Whether the script insists.
        default: Its default as text, or None.
        choices: The values it may have, or empty.
        kind: ``str``, ``int``, ``float``, ``bool`` or another.
    """

    flag: str
    name: str
    required: bool
    default: str | None
    choices: tuple[str, ...]
    kind: str


def fill(
    options: Iterable[Option],
    facts: NetworkFacts,
    *,
    configurations: Sequence[str],
    known: Mapping[str, tuple[str, ...]],
    exists: Mapping[str, bool],
) -> list[str]:
    """Return the arguments to give beyond the defaults.

    Args:
        options: What the script takes.
        facts: The card.
        configurations: The configuration files of the folder.
        known: The values that the code compares each setting with.
        exists: For defaults that are paths, whether they are there.
    """
    given: list[str] = []
    for option in options:
        value = _value(option, facts, configurations, known, exists)
        if value is not None:
            given += [option.flag, value] if option.flag else [value]
    return given


def _value(
    option: Option,
    facts: NetworkFacts,
    configurations: Sequence[str],
    known: Mapping[str, tuple[str, ...]],
    exists: Mapping[str, bool],
) -> str | None:
    name = option.name.lower()
    textual = option.kind in {"str", "other"}  # a type of None, from a configuration, takes no value at all
    if (
        _CONFIGURATION.match(name)
        and textual
        and not option.choices
        and (option.default or option.required or name in _PATHS)
    ):
        return _configuration(option, facts, configurations, exists)
    said = _said(option, facts)
    if said is not None and (not option.choices or said in option.choices):
        return said if said != option.default else None
    if option.choices:
        chosen = best(option.choices, facts, default=option.default)
        if chosen != option.default and chosen is not None and (option.required or score(chosen, facts) > 0):
            return chosen
        return option.choices[0] if option.required and option.default is None else None
    if name in _DEVICES and textual and option.name in known and option.default not in known[option.name]:
        values = known[option.name]
        return "Ascend" if "Ascend" in values else values[0]
    if textual and _CHECKPOINT.match(name) and not known.get(option.name):
        if _FOLDER.match(name) and "ckpt" not in name and "checkpoint" not in name:
            return "{scratch}" if option.required else None
        return "{checkpoint}" if option.required or option.default in {None, "", "None"} else None
    values = known.get(option.name, ())
    if textual and option.default and values and option.default not in values:
        values = (option.default, *values)  # the last branch of a comparison has no text of its own
    if textual and len(values) > 1 and name not in _DEVICES and not _NOT_OF_THE_NETWORK.fullmatch(name):
        chosen = best(values, facts, default=option.default)
        if chosen is not None and chosen != option.default and (option.required or score(chosen, facts) > 0):
            return chosen
    return _required(option, facts, known) if option.required else None


def _said(option: Option, facts: NetworkFacts) -> str | None:
    """Return the value that a card states for a setting by its name or its data set, or None."""
    name, default = option.name.lower(), option.default or ""
    if name in CLASS_COUNTS and re.fullmatch(r"-?[0-9]+", default):
        count = class_count(facts)
        return str(count) if count is not None and int(default) not in {count, count + 1} else None
    if option.kind in {"int", "str"} and name in facts.settings and re.fullmatch(r"[0-9]*", default):
        return facts.settings[name]
    if name in _SCALES and re.fullmatch(r"[0-9]*", default):
        if _SAME_SIZE.search(facts.name.lower()):
            return "1"
        return next((piece[1:] for piece in sorted(facts.pieces) if re.fullmatch(r"x[2348]", piece)), None)
    if option.kind == "bool":
        initials = "".join(word[0] for word in name.split("_") if word)
        if (len(initials) > 1 and initials in facts.pieces) or ("_" in name and name.replace("_", "") in facts.pieces):
            return "True"
        return "False" if f"no{name.replace('_', '')}" in facts.pieces else None
    numbered = re.fullmatch(r"([a-z]+)([0-9]+)", default)
    if option.kind in {"str", "other"} and numbered and "file" not in name and not _CHECKPOINT.match(name):
        letters, number = numbered.groups()
        other = facts.settings.get(letters)
        if other is not None and other != number and len(letters) > 2:
            return letters + other  # the default is of the same kind, and of another size
    return None


def class_count(facts: NetworkFacts) -> int | None:
    """Return how many classes the card's data set has, where the vocabulary of data sets says so."""
    return vocabulary.class_count(facts.dataset)


def with_class_count(arguments: Mapping[str, object], facts: NetworkFacts) -> dict[str, object]:
    """Return arguments with the number of classes of the card's data set, where they contradict it.

    A background class, one more than the data set has, is no contradiction.
    """
    count = class_count(facts)
    if count is None:
        return dict(arguments)
    return {
        name: count if name in CLASS_COUNTS and type(value) is int and value not in {count, count + 1} else value
        for name, value in arguments.items()
    }


def _configuration(
    option: Option, facts: NetworkFacts, configurations: Sequence[str], exists: Mapping[str, bool]
) -> str | None:
    default = option.default or ""
    tail = default.replace("\\", "/").rpartition("/")[2]
    suffix = tail.rpartition(".")[2] if "." in tail else "yaml"
    fitting = [
        name
        for name in configurations
        if name.endswith(("." + suffix, ".yaml", ".yml") if suffix in {"yaml", "yml"} else "." + suffix)
    ]
    fitting = fitting or list(configurations)
    same = next((name for name in fitting if name.rpartition("/")[2] == tail), None)
    chosen = best(fitting, facts, default=same)
    if chosen == same and same is not None and any(size in words(same) and size not in facts.words for size in _SIZES):
        # It is for a size that the card does not speak of: the plain one is meant, if there is one.
        chosen = next(
            (name for name in fitting if not _SIZES.intersection(words(name)) and score(name, facts) >= 0), same
        )
    if chosen is None:
        return None
    if chosen == same and exists.get(default, False):
        return default if option.required else None  # argparse knows no default of what it insists on
    return "{folder}/" + chosen


def _required(option: Option, facts: NetworkFacts, known: Mapping[str, tuple[str, ...]]) -> str:
    name = option.name.lower()
    if name in _USUAL:
        return _USUAL[name]
    if known.get(option.name):
        return best(known[option.name], facts) or known[option.name][0]
    if option.kind == "int":
        return "1"
    if option.kind == "float":
        return "0.5"
    if option.kind == "bool":
        return "False"
    if "dataset" in name and not _FOLDER.match(name) and "path" not in name:
        return facts.dataset.lower() or "data"
    if _FOLDER.match(name) or "path" in name or "dir" in name:
        return "{scratch}"
    return facts.model_name or "net"
