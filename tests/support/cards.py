"""Cards and registries that tests write."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING

from tests.support.checkpoints import ckpt, filled

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

CONTENT = ckpt([filled("a.weight", (3, 4))])
TEXT = """# {name}

---

model-name: {name}
backbone-name: bert
module-type: nlp
fine-tunable: true
model-version: {version}
author: hubtool
update-time: 2026-11-23
user-id: hubtool
used-for: inference
mindspore-version: {version}
asset:
  - file-format: {form}
    asset-link: {link}
    asset-sha256: {digest}
network:
  provider: builtin
  entry: {entry}
  arguments: {arguments}
  ignore: {ignore}
license: Apache-2.0
summary: A model of the tests.

---

## Introduction

A model of the tests.

## Usage

```python
import mindspore_hub as mshub

network = mshub.load("{uid}")
```
"""


def write_card(
    root: Path,
    uid: str,
    *,
    link: str,
    content: bytes,
    entry: str = "bert",
    arguments: Mapping[str, object] | None = None,
    ignore: Sequence[str] = ("nothing.*",),
    form: str = "ckpt",
    digest: str | None = None,
) -> Path:
    """Write a card into a registry folder; its asset is at a link, with the content's digest unless one is given."""
    path = root / f"{uid}.md"
    path.parent.mkdir(parents=True, exist_ok=True)
    version, name = uid.split("/")[-2:]
    text = TEXT.format(
        name=name,
        version=version,
        uid=uid,
        link=link,
        form=form,
        digest=digest or hashlib.sha256(content).hexdigest(),
        entry=entry,
        arguments=json.dumps(arguments or {}),
        ignore=json.dumps(list(ignore)),
    )
    path.write_text(text, encoding="utf-8")
    return path


def write_cards(root: Path, *uids: str, entry: str = "bert") -> Path:
    """Write cards that share one asset, ``CONTENT``; return the folder."""
    for uid in uids:
        write_card(root, uid, link="https://download.mindspore.cn/models/model.ckpt", content=CONTENT, entry=entry)
    return root


def write_local(root: Path, uid: str, content: bytes, **more: object) -> Path:
    """Write a card whose asset stands beside it."""
    name = uid.rpartition("/")[2]
    suffix = more.get("form", "ckpt")
    path = write_card(root, uid, link=f"{name}/{name}.{suffix}", content=content, **more)  # type: ignore[arg-type] # passed on
    asset = path.with_suffix("") / f"{name}.{suffix}"
    asset.parent.mkdir(exist_ok=True)
    asset.write_bytes(content)
    return path
