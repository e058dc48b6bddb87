"""`hubtool fmt` in real processes."""

from __future__ import annotations

import stat
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.support import ROOT, corpus

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.cli import Cli

UNTIDY = """<!-- hubtool: ignore HT504 -->


#  tiny  #
---
# above all

# of the summary
summary: "It's small"   # beside
license:   Apache-2.0
unknown-key: 1.0   # kept as it is


model-version: 1.10
asset:
- asset-sha256: a16876856ec3bddfa17a4e3db7292d7fae7ce62939f00f29e30268dd8911e6c6
  file-format: 'ckpt'
  asset-link: <https://download.mindspore.cn/a.ckpt>
fine-tunable: True
input-shape: [3,224 , 224]
model-name: >-
  tiny
  one
network: {entry: bert, provider: builtin, ignore: ["*a*"]}
# at the end
---



Text
##   Introduction ##
- a

- b
<!-- hubtool: ignore-next HT404 -->
[x](y.md)
```python
load()


```


[r]: https://example.org
"""
TIDY = """<!-- hubtool: ignore HT504 -->

# tiny

---

# above all

model-name: >-
  tiny
  one
fine-tunable: True
input-shape: [3, 224, 224]
model-version: '1.10'
asset:
  - file-format: ckpt
    asset-link: <https://download.mindspore.cn/a.ckpt>
    asset-sha256: a16876856ec3bddfa17a4e3db7292d7fae7ce62939f00f29e30268dd8911e6c6
network:
  provider: builtin
  entry: bert
  ignore: ['*a*']
unknown-key: 1.0  # kept as it is
license: Apache-2.0
# of the summary
summary: It's small  # beside
# at the end

---

Text

## Introduction

- a

- b

<!-- hubtool: ignore-next HT404 -->
[x](y.md)

```python
load()


```

[r]: https://example.org
"""


def write(cli: Cli, name: str = "hub/1.10/tiny.md", text: str = UNTIDY) -> Path:
    path = cli.registry / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text.encode())
    return path


def test_an_untidy_card_is_laid_out(cli: Cli) -> None:
    path = write(cli)
    path.chmod(0o640)
    done = cli("fmt", path)
    assert done.code == 0
    assert path.read_text(encoding="utf-8") == TIDY
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    assert done.out == f"formatted {path}\n"
    before = path.stat()
    assert cli("fmt").code == 0  # the registries
    assert path.stat() == before


def test_check_changes_nothing_and_names_the_cards(cli: Cli) -> None:
    path, good = write(cli), write(cli, "hub/1.10/good.md", TIDY)
    done = cli("fmt", "--check", cli.registry)
    assert done.code == 1
    assert done.out == f"would format {path}\n"
    assert path.read_bytes() == UNTIDY.encode()
    assert cli("fmt", "--check", good).code == 0


def test_the_diff_can_be_applied(cli: Cli) -> None:
    path = write(cli)
    done = cli("fmt", "--diff", path)
    assert done.code == 1
    assert path.read_bytes() == UNTIDY.encode()
    subprocess.run(
        ["git", "apply", "--unsafe-paths", f"--directory={cli.registry.parent}", "-p1", "-"],
        input=done.out.replace(f"/{str(path).lstrip('/')}", "/registry/hub/1.10/tiny.md").encode(),
        cwd=cli.registry.parent,
        check=True,
    )
    assert path.read_text(encoding="utf-8") == TIDY


def test_standard_input(cli: Cli) -> None:
    def piped(*arguments: str, text: str = UNTIDY) -> tuple[int, str]:
        done = subprocess.run(
            [sys.executable, "-m", "hubtool", "fmt", *arguments],
            input=text.encode(),
            capture_output=True,
            env=cli.environ,
            cwd=cli.folder,
            check=False,
            timeout=60,
        )
        return done.returncode, done.stdout.decode()

    assert piped("-") == (0, TIDY)
    assert piped("--check", "-") == (1, "")
    assert piped("--check", "-", text=TIDY) == (0, "")
    assert piped("--diff", "-")[1].startswith("--- a/-\n+++ b/-\n")
    assert piped("-", text="no card\n") == (1, "no card\n")
    assert piped("-", "x.md")[0] == 2


def test_a_card_that_cannot_be_read_is_named_and_left_alone(cli: Cli) -> None:
    broken = "# a\n---\nmodel-name: a\nevaluation: -\n---\n\n\n\nText\n"
    path = write(cli, text=broken)
    done = cli("fmt", path)
    assert done.code == 1
    assert f"{path}: not formatted: 4:13: the front matter is not YAML" in done.err
    assert path.read_bytes() == broken.encode()
    assert cli("fmt", cli.folder / "absent.md").code == 2


def test_a_link_out_of_the_folder_is_not_followed(cli: Cli) -> None:
    outside = cli.folder / "outside.md"
    outside.write_text(UNTIDY, encoding="utf-8")
    (cli.registry / "hub" / "1").mkdir(parents=True)
    (cli.registry / "hub" / "1" / "a.md").symlink_to(outside)
    done = cli("fmt", cli.registry)
    assert done.code == 1
    assert "leads out of the folder" in done.err
    assert outside.read_text(encoding="utf-8") == UNTIDY


def test_windows_line_ends_and_byte_order_marks_go(cli: Cli) -> None:
    path = write(cli)
    path.write_bytes(b"\xef\xbb\xbf" + UNTIDY.replace("\n", "\r\n").encode())
    assert cli("fmt", path).code == 0
    assert path.read_text(encoding="utf-8") == TIDY


@pytest.mark.slow
def test_our_own_registry_is_laid_out(cli: Cli) -> None:
    done = cli("fmt", "--check", ROOT / "registry")
    assert done.code == 0, done.out[:2000]


def test_what_the_import_writes_is_laid_out(cli: Cli) -> None:
    paths = corpus()[:200]
    source = cli.folder / "hub"
    root = next(parent for parent in paths[0].parents if parent.name == "mindspore-hub")
    for path in paths:
        target = source / path.relative_to(root)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(path.read_bytes())
    into = cli.folder / "into"
    cli.maintain("import", source, "--into", into, "--quiet")
    assert len(list(into.rglob("*.md"))) > 100
    done = cli("fmt", "--check", into)
    assert done.code == 0, done.out[:2000]
