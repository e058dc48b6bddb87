"""`hubtool catalogue build`."""

from __future__ import annotations

import html
import re
from typing import TYPE_CHECKING

import pytest

from hubtool import resources
from hubtool.registry.published import site
from tests.support.cards import CONTENT, write_card, write_cards, write_local
from tests.support.server import serving

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
    assert re.fullmatch(r"1 model, 1 card: 12 files, [0-9.]+ KiB\n", done.err)
    assert "tests/1.9/model" in (cli.folder / "site/models/tests/model.html").read_text(encoding="utf-8")
    found = cli("catalogue", "build", "site", "--json").json
    assert (found["models"], found["cards"], found["files"], found["left_out"]) == (1, 1, 12, [])
    files = [path for path in (cli.folder / "site").rglob("*") if path.is_file()]
    assert found["size"] == sum(path.stat().st_size for path in files)


@pytest.mark.slow
def test_the_registry_that_comes_with_hubtool_fits_20_megabytes(cli: Cli) -> None:
    found = cli("catalogue", "build", "site", "--json", HUBTOOL_REGISTRY=str(resources.registry_folder())).json
    assert found["cards"] >= 2916
    assert found["left_out"] == []
    assert found["size"] < 20_000_000
    page = (cli.folder / "site/models/mindspore/stgcngcn15pemsd7m.html").read_text(encoding="utf-8")
    resolved = cli("resolve", "mindspore/1.10/stgcn_gcn15_pemsd7m", HUBTOOL_REGISTRY=str(resources.registry_folder()))
    call = 'hubtool.load("mindspore/1.10/stgcn_gcn15_pemsd7m", chebconv_matrix=chebconv_matrix, trust=True)'
    assert call in html.unescape(page)
    assert call in resolved.out
    assert "<code>chebconv_matrix</code>: 228 x 228 float32: the adjacency matrix" in page
    assert "chebconv_matrix, which you give to load: 228 x 228 float32: the adjacency matrix" in resolved.out
    files = ("index.html", "assets/catalogue.css", "assets/catalogue.js", "assets/facts.js")
    assert sum((cli.folder / "site" / name).stat().st_size for name in files) < 1_500_000


def test_beside_a_published_registry_and_a_mirror(cli: Cli) -> None:
    write_local(cli.registry, "tests/1.9/model", CONTENT)
    for _ in range(2):  # the second replaces the first
        published = cli("registry", "publish", cli.registry, "--to", "published", "--site")
        assert published.code == 0, published.err
        assert f"catalogue: {cli.folder / 'published/catalogue/index.html'}" in published.err
        mirrored = cli("mirror", "sync", "mirror", "--site", "--quiet")
        assert mirrored.code == 0, mirrored.err
    for place in ("published", "mirror"):
        page = cli.folder / place / "catalogue" / "models" / "tests" / "model.html"
        assert "tests/1.9/model" in page.read_text(encoding="utf-8")
    assert cli("mirror", "verify", "mirror").code == 0
    assert cli("mirror", "sync", "mirror", "--prune", "--grace", "0s", "--quiet").code == 0
    assert (cli.folder / "mirror" / "catalogue" / "index.html").is_file()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["s3://bucket/x", "--site"], "is no folder, and a catalogue is built in one"),
        (["mirror", "--site", "--uid", "a/*"], "--site and --uid exclude each other"),
        (["mirror", "--site", "--dry-run"], "--site and --dry-run exclude each other"),
    ],
)
def test_a_site_where_none_can_be(cli: Cli, options: list[str], words: str) -> None:
    done = cli("mirror", "sync", *options)
    assert done.code == 2
    assert words in done.err
    assert not (cli.folder / "mirror").exists()


@pytest.mark.usefixtures("card")
def test_cards_of_a_published_registry_are_in_it_or_named(cli: Cli) -> None:
    uids = ("other/1.9/a", "other/1.9/b", "mindspore/1.9/c")  # the last publisher is reserved
    site.publish(write_cards(cli.folder / "origin", *uids), cli.folder / "published")
    with serving(folder=cli.folder / "published") as web:
        assert cli("registry", "add", "site", web.url).code == 0
        assert cli("registry", "sync", "site").code == 0
        offline = cli("catalogue", "build", "site", "--json", HUBTOOL_OFFLINE="1")
        assert offline.code == 0, offline.err
        assert offline.json["cards"] == 1
        assert {why.partition(":")[0] for why in offline.json["left_out"]} >= set(uids[:2])
        done = cli("catalogue", "build", "site", "--json")
        assert done.code == 0, done.err
        assert done.json["cards"] == 3
        assert {why.partition(":")[0] for why in done.json["left_out"]} <= {uids[2]}
    assert (cli.folder / "site/models/other/a.html").is_file()
    assert not (cli.folder / "site/models/mindspore").exists()


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
