"""The text of a card, written from its facts, in English or Chinese. Pure, and the same bytes for the same facts."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from hubtool.card import architectures, model, rewrite, vocabulary
from hubtool.card import document as documents
from hubtool.card import front_matter as front_matters
from hubtool.card.markdown_text import escape, table
from hubtool.card.model import WEIGHT_FORMATS
from hubtool.card.template import AssetEntry, card_text, results, sections_text
from hubtool.card.values import plain_values
from hubtool.card.yaml_text import ORDER, ORDER_AFTER, ORDER_END
from hubtool.registry.phrases import task_words
from maintain.importing.summary import summary

if TYPE_CHECKING:
    from collections.abc import Mapping

    from hubtool.card.document import Document
    from hubtool.card.front_matter import FrontMatter
    from maintain.importing.facts import PageFacts

_WRITTEN = frozenset({*ORDER, *ORDER_AFTER, "asset", *ORDER_END})
_MARK = re.compile(r"\n<!-- hubtool: imported (?P<digest>[0-9a-f]{16}); [^\n]*-->\n")
_MARK_TEXT = "\n<!-- hubtool: imported {digest}; once edited, an import keeps this card as it is -->\n"
_SIZE = re.compile(r"^[ ]+asset-size:[^\n]*\n", re.MULTILINE)
_HUB = "https://gitee.com/mindspore/hub/blob/master/mshub_res/assets"


@dataclass(frozen=True, slots=True, kw_only=True)
class Existing:
    """A card that stands where an import would write.

    Attributes:
        imported: Whether an import wrote it, and it is unchanged since.
        marked: Whether an import wrote it once.
        added: The entries of the front matter that an import does not write, such as ``network``, as text.
        sizes: For each link of an asset, the line that states its size.
    """

    imported: bool
    marked: bool
    added: str
    sizes: dict[str, str]


def write(facts: PageFacts, existing: Existing | None = None) -> bytes:
    """Return the card for some facts, with the entries that others added to an existing one.

    What the vocabularies say about its task and its architecture is added where it is not there.
    """
    stated = _read_entries(existing.added) if existing is not None else {}
    known = {key: value for key, value in of_vocabularies(facts.values).items() if key not in stated}
    line = summary({**facts.values, **known, **stated}, chinese=facts.translation)
    text = _chinese(facts, line) if facts.translation else _english(facts, line)
    mark = _MARK_TEXT.format(digest=_digest(text))
    if existing is not None:
        text = _with_added(text, existing)
    return (rewrite.with_facts(text, known) + mark).encode("utf-8")


def of_vocabularies(values: Mapping[str, object]) -> dict[str, str]:
    """Return the ``task`` and the ``architecture`` of a card where the vocabularies leave no choice.

    Args:
        values: Its front matter.
    """
    architecture = architectures.of_card(str(values.get("model-name", "")), str(values.get("backbone-name", "")))
    tasks = architectures.tasks_of(
        architecture, str(values.get("module-type", "")), str(values.get("train-dataset", ""))
    )
    found = {"task": tasks[0]} if len(tasks) == 1 else {}
    return found if architecture is None else {**found, "architecture": architecture.name}


def renewed(data: bytes) -> bytes:
    """Return an imported card whose summary says what its facts say now, and whose mark holds for it.

    Args:
        data: The card. One that no import wrote, or that was changed since, stays as it is.
    """
    existing = look(data)
    if not existing.imported:
        return data
    text = data.decode("utf-8")
    values = model.read(data).values
    # A card in another language than English has its sections in it.
    line = summary(values, chinese="\n## 简介\n" in text)
    stop = "。" if "\n## 简介\n" in text else "."
    new = rewrite.with_facts(text, {"summary": f"{line}{stop}"})
    own = _own(documents.parse(new.encode()))
    return _MARK.sub(lambda _: _MARK_TEXT.format(digest=_digest(_SIZE.sub("", own))), new).encode()


def _read_entries(text: str) -> dict[str, object]:
    return dict(plain_values(front_matters.read(text, 0))) if text else {}


def look(data: bytes) -> Existing:
    """Look at a card: whether an import wrote it, and what others have added to it."""
    document = documents.parse(data)
    marks = list(_MARK.finditer(document.text))
    if document.front_matter is None or len(marks) != 1:
        return Existing(imported=False, marked=False, added="", sizes={})
    front_matter = front_matters.read(document.front_matter, document.front_matter_offset)
    own, added = _parts(document, front_matter)
    own = own.replace(marks[0][0], "")
    sizes = {}
    for match in re.finditer(
        r"asset-link: (?P<link>\S+)\n(?:[ ]+asset-sha256:[^\n]*\n)?(?P<size>[ ]+asset-size:[^\n]*\n)", own
    ):
        sizes[match["link"]] = match["size"]
    return Existing(
        imported=not document.bom and not front_matter.faults and _digest(_SIZE.sub("", own)) == marks[0]["digest"],
        marked=True,
        added=added,
        sizes=sizes,
    )


def _own(document: Document) -> str:
    """Return the text of a card that an import answers for, without the mark."""
    front_matter = front_matters.read(document.front_matter or "", document.front_matter_offset)
    return _MARK.sub("", _parts(document, front_matter)[0])


def _parts(document: Document, front_matter: FrontMatter) -> tuple[str, str]:
    """Return the text that an import writes, and the entries of the front matter that others add."""
    assert document.front_matter is not None  # noqa: S101 - who calls has looked
    starts = [entry.offset + entry.key_node.start_mark.index for entry in front_matter.entries]
    ends = [*starts[1:], document.front_matter_offset + len(document.front_matter.rstrip("\n")) + 1]
    added, own = "", document.text[: starts[0]] if starts else document.text
    for entry, start, end in zip(front_matter.entries, starts, ends, strict=True):
        if entry.key in _WRITTEN or entry.key.endswith("repo-link"):
            own += document.text[start:end]
        else:
            added += document.text[start:end]
    own += document.text[ends[-1] :] if starts else ""
    return own, added


def _with_added(text: str, existing: Existing) -> str:
    for link, line in existing.sizes.items():
        at = re.search(rf"asset-link: {re.escape(link)}\n[ ]+asset-sha256:[^\n]*\n", text)
        if at:
            text = text[: at.end()] + line + text[at.end() :]
    return text.replace("\nlicense: ", f"\n{existing.added}license: ", 1) if existing.added else text


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8")).hexdigest()[:16]


def _link_text(link: str) -> str:
    """Return what a link to a repository is called: the folder in it, or its name."""
    path = re.sub(r"^https?://", "", link).rstrip("/")
    folder = re.search(r"/(?:tree|blob)/[^/]+/(?P<folder>.+)$", path)
    return folder["folder"] if folder else path.split("/", 1)[-1]


def _assemble(facts: PageFacts, summary_line: str, sections: list[tuple[str, list[str]]]) -> str:
    """Return the whole card, without the mark."""
    return card_text(
        facts.uid.name,
        {**facts.values, "license": facts.licence, "summary": summary_line},
        [AssetEntry(asset.format, asset.link, asset.digest) for asset in facts.assets],
        sections_text(sections),
    )


def _english(facts: PageFacts, summary_line: str) -> str:
    values = facts.values
    name, version = str(values["model-name"]), str(values.get("mindspore-version", ""))
    task = task_words(str(values.get("module-type", "")))[0] or "a task that is not stated"
    kinds = f" ({', '.join(facts.kinds)})" if facts.kinds else ""
    trained = _datasets(facts)
    first = f"{escape(name)} is a network for {task}{kinds}"
    if _backbone(facts):
        first += f", built on {escape(_backbone(facts))}"
    if facts.assets or facts.unverified:
        second = f"Its weights were trained with MindSpore {version}"
        if trained:
            second += f" on {escape(' and '.join(trained))}"
        if "train-backend" in values:
            second += f" ({values['train-backend']})"
    else:
        second = f"The card is for MindSpore {version} and names no checkpoint"
        if trained:
            second += f"; the data set is {escape(' and '.join(trained))}"
    told = [f"{first}.", f"{second}."]
    if "input-shape" in values:
        told.append(f"One input has the shape {_shape(values['input-shape'])}.")
    told.append(
        "It can be trained further." if values.get("fine-tunable") else "It is not meant to be trained further."
    )
    introduction = [" ".join(told)]
    if rows := results(facts.metrics, facts.values):
        introduction += ["The publisher states:", table("metric", "value", rows)]
    if links := _repositories(facts):
        introduction.append(f"The code stands at {', '.join(links)}.")
    if facts.unverified:
        introduction += ["Of these files no digest is known, so hubtool does not load them:", _list(facts.unverified)]
    source = (
        f"The facts on this card are those of [{facts.uid}]({_HUB}/{facts.uid.path}) on the public MindSpore Hub, "
        f"published by {escape(str(values.get('author', 'an unknown author')))}"
    )
    source += f", last changed on {values['update-time']}." if "update-time" in values else "."
    licence = f"The licence is {escape(facts.licence)}." if facts.licence else "The licence is not known."
    sections = [("Introduction", introduction), ("Usage", [_code(facts, 'or "Ascend"')])]
    if facts.references:
        sections.append(("References", [_references(facts)]))
    return _assemble(facts, f"{summary_line}.", [*sections, ("Source and licence", [f"{source} {licence}"])])


def _chinese(facts: PageFacts, summary_line: str) -> str:
    values = facts.values
    name, version = str(values["model-name"]), str(values.get("mindspore-version", ""))
    task = task_words(str(values.get("module-type", "")))[1] or str(values.get("module-type", "")) or "未注明任务"
    trained = "、".join(_datasets(facts))
    first = f"{escape(name)}是用于{task}的网络"
    if _backbone(facts):
        first += f"，骨干网络为{escape(_backbone(facts))}"
    second = f"权重由MindSpore {version}" if facts.assets else f"适用于MindSpore {version}，没有权重文件"
    if facts.assets:
        second += f"在{escape(trained)}上训练得到" if trained else "训练得到"
    told = [f"{first}。", f"{second}。"]
    if "input-shape" in values:
        told.append(f"单个输入的形状为{_shape(values['input-shape'])}。")
    told.append("参数可以继续训练。" if values.get("fine-tunable") else "参数不用于继续训练。")
    introduction = ["".join(told)]
    if rows := results(facts.metrics, facts.values):
        introduction += ["发布者给出的指标：", table("指标", "数值", rows)]
    if links := _repositories(facts):
        introduction.append(f"代码见{'、'.join(links)}。")
    if facts.unverified:
        introduction += ["以下文件没有摘要，hubtool不会加载：", _list(facts.unverified)]
    source = (
        f"本卡片的事实来自公共MindSpore Hub的[{facts.uid}]({_HUB}/{facts.uid.path})，"
        f"发布者为{escape(str(values.get('author', '未知')))}"
    )
    source += f"，更新于{values['update-time']}。" if "update-time" in values else "。"
    licence = f"许可证为{escape(facts.licence)}。" if facts.licence else "许可证未知。"
    sections = [("简介", introduction), ("用法", [_code(facts, '或"Ascend"')])]
    if facts.references:
        sections.append(("参考论文", [_references(facts)]))
    return _assemble(facts, f"{summary_line}。", [*sections, ("来源与许可证", [f"{source}{licence}"])])


def _backbone(facts: PageFacts) -> str:
    """Return the backbone, or nothing if it is called like the model."""
    backbone = str(facts.values.get("backbone-name", ""))
    same = vocabulary.fold(backbone) == vocabulary.fold(str(facts.values["model-name"]))
    return "" if same else backbone


def _datasets(facts: PageFacts) -> list[str]:
    text = facts.values.get("train-dataset")
    return [known or written for written, known in vocabulary.datasets(str(text))] if text else []


def _shape(value: object) -> str:
    if isinstance(value, list) and value and all(isinstance(item, list) for item in value):
        return ", ".join(map(_shape, value))
    return " × ".join(map(str, value)) if isinstance(value, list) else str(value)


def _repositories(facts: PageFacts) -> list[str]:
    keys = [key for key in facts.values if key == "repo-link" or key.endswith("-repo-link")]
    links = [str(facts.values[key]) for key in sorted(keys, key=lambda key: (key != "repo-link", key))]
    return [f"[{escape(_link_text(link))}]({link})" for link in links]


def _list(links: tuple[str, ...]) -> str:
    return "\n".join(f"- <{link}>" for link in links)


def _references(facts: PageFacts) -> str:
    lines = []
    for reference in facts.references:
        title = escape(reference.title)
        lines.append(f"- [{title}]({reference.link})" if reference.link else f"- {title}")
    return "\n".join(lines)


def _code(facts: PageFacts, comment: str) -> str:
    weights = any(asset.format in WEIGHT_FORMATS for asset in facts.assets)
    more = "" if weights else ", pretrained=False"
    lines = [
        *("```python", "import mindspore as ms", "import mindspore_hub as mshub", ""),
        *(f'ms.set_device("CPU")  # {comment}', ""),
        *(f'network = mshub.load("{facts.uid}"{more})', "network.set_train(False)", "```"),
    ]
    return "\n".join(lines)
