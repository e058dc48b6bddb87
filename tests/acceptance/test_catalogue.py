"""`hubtool catalogue build`."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from hubtool import resources
from tests.support.cards import CONTENT, write_card

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.cli import Cli


@pytest.fixture
def card(cli: Cli) -> Path:
    return write_card(cli.registry, "tests/1.9/model", link="https://example.com/model.ckpt", content=CONTENT)


@pytest.mark.usefixtures("card")
def test_it_builds_pages_and_says_where_they_are(cli: Cli) -> None:
    done = cli("catalogue", "build", "site")
    assert done.code == 0, done.err
    index = cli.folder / "site/index.html"
    assert done.out == f"{index}\n"
    assert re.fullmatch(r"1 model, 1 card: 8 files, [0-9.]+ KiB\n", done.err)
    assert "tests/1.9/model" in (cli.folder / "site/models/tests/model.html").read_text(encoding="utf-8")
    found = cli("catalogue", "build", "site", "--json").json
    assert (found["models"], found["cards"], found["files"], found["left_out"]) == (1, 1, 8, [])


def test_the_registry_that_comes_with_hubtool_fits_20_megabytes(cli: Cli) -> None:
    found = cli("catalogue", "build", "site", "--json", HUBTOOL_REGISTRY=str(resources.registry_folder())).json
    assert found["cards"] >= 2916
    assert found["left_out"] == []
    assert found["size"] < 20_000_000
    files = ("index.html", "assets/catalogue.css", "assets/catalogue.js", "assets/facts.js")
    assert sum((cli.folder / "site" / name).stat().st_size for name in files) < 1_500_000


@pytest.mark.usefixtures("card")
def test_a_folder_of_others_is_refused(cli: Cli) -> None:
    done = cli("catalogue", "build", cli.registry)
    assert done.code == 2
    assert "is not empty, and holds no catalogue" in done.err
    assert "hint: give a new or an empty folder" in done.err
    assert sorted(path.name for path in cli.registry.iterdir()) == ["tests"]


def test_a_status_is_shown(cli: Cli, card: Path) -> None:
    text = card.read_text(encoding="utf-8")
    status = "status: withdrawn\nstatus-reason: wrong <weights>\nsuperseded-by: tests/1.10/model\nlicense:"
    card.write_text(text.replace("license:", status, 1), encoding="utf-8")
    assert cli("catalogue", "build", "site").code == 0
    page = (cli.folder / "site/models/tests/model.html").read_text(encoding="utf-8")
    assert "Withdrawn: wrong &lt;weights&gt;" in page
    assert "Use instead: <code>tests/1.10/model</code>" in page
    assert '<span class="badge">Withdrawn</span>' in (cli.folder / "site/index.html").read_text(encoding="utf-8")


@pytest.mark.usefixtures("card")
def test_what_to_install_is_said(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    import importlib.util

    find = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name, *rest: None if name == "jinja2" else find(name, *rest)
    )
    done = cli("catalogue", "build", "site")
    assert done.code == 1
    assert "needs the package jinja2" in done.err
    assert "pip install 'jinja2" in done.err
    assert not (cli.folder / "site").exists()
