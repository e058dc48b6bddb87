"""Cards of one network, some with a recipe and some without."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.support.cards import TEXT

if TYPE_CHECKING:
    from pathlib import Path

LINK = "https://download.mindspore.cn/models/r1.9/net.ckpt"
OTHER_LINK = "https://download.mindspore.cn/models/r1.9/other.ckpt"
DIGEST = "ab" * 32
OTHER_DIGEST = "cd" * 32
FOLDER = "https://gitee.com/mindspore/models/tree/r1.9/official/nlp/bert"
NER = "  provider: builtin\n  entry: bert-ner\n"
BERT = "  provider: builtin\n  entry: bert\n"
SCRIPT = "  provider: repository\n  entry: export.py\n"
CALL = "  provider: package\n  entry: mindcv.models:create_model\n  arguments: {checkpoint_path: x}\n"


def write(
    root: Path,
    uid: str,
    *,
    recipe: str | None = None,
    link: str = LINK,
    digest: str = DIGEST,
    repo_link: str = FOLDER,
    model: str = "bert_finetune",
    dataset: str = "ChineseNER",
    form: str = "ckpt",
    more: str = "",
) -> Path:
    """Write a card into a registry folder, with a recipe or without one."""
    version, name = uid.split("/")[-2:]
    text = TEXT.format(
        name=name, version=version, uid=uid, link=link, form=form, digest=digest, entry="", arguments="", ignore=""
    )
    head, _, rest = text.partition("network:\n")
    head = head.replace(f"model-name: {name}", f"model-name: {model}\ntrain-dataset: {dataset}\nrepo-link: {repo_link}")
    network = "" if recipe is None else f"network:\n{recipe}"
    path = root / f"{uid}.md"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"{head}{more}{network}{rest[rest.index('license:') :]}", encoding="utf-8")
    return path
