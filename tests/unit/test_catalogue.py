"""The catalogue: what its pages say, what nothing in a card can do to them, and where they may be written."""

from __future__ import annotations

import errno
import json
import os
import re
import signal
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest

from hubtool.catalogue import build as building
from hubtool.catalogue import facts
from hubtool.errors import ArgumentError
from hubtool.registry import Registries
from hubtool.uid import Uid
from tests.support.cards import CONTENT, write_card

HOSTILE = "\"><script>alert(1)</script><img src=x onerror=alert(2)>' \u202egnp.exe \u2066"


def build(root: Path, folder: Path) -> building.CatalogueReport:
    return building.build(Registries.of_folders((root,)), folder)


def one_card(root: Path, name: str = "model", **changes: str) -> Path:
    """Write a card; changes are of fields of its front matter."""
    path = write_card(root, f"tests/1.9/{name}", link="https://example.com/model.ckpt", content=CONTENT)
    text = path.read_text(encoding="utf-8")
    for key, value in changes.items():
        name = key.replace("_", "-")
        text = re.sub(rf"(?<=\n){name}: .*", f"{name}: {json.dumps(value)}".replace("\\", "\\\\"), text)
    path.write_text(text, encoding="utf-8")
    return path


def content(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


class Tags(HTMLParser):
    """Collects the elements of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))


def tags(path: Path) -> list[tuple[str, dict[str, str | None]]]:
    parser = Tags()
    parser.feed(path.read_text(encoding="utf-8"))
    return parser.found


@pytest.fixture
def root(tmp_path: Path) -> Path:
    made = tmp_path / "registry"
    made.mkdir()
    return made


def test_a_model_is_a_page_in_two_languages_with_all_its_versions(root: Path, tmp_path: Path) -> None:
    for version in ("1.9", "1.10"):
        write_card(root, f"tests/{version}/bert_squad", link="https://example.com/model.ckpt", content=CONTENT)
    report = build(root, tmp_path / "site")
    assert (report.models, report.cards, report.left_out) == (1, 2, ())
    assert sorted(content(tmp_path / "site")) == [
        "assets/catalogue.css",
        "assets/catalogue.js",
        "assets/facts.js",
        "catalogue.json",
        "index.html",
        "models/tests/bertsquad.html",
        "zh/index.html",
        "zh/models/tests/bertsquad.html",
    ]
    page = (tmp_path / "site" / "models/tests/bertsquad.html").read_text(encoding="utf-8")
    assert page.index("tests/1.10/bert_squad") < page.index("tests/1.9/bert_squad")  # the newest first
    assert "hubtool.load(&#34;tests/1.10/bert_squad&#34;)" in page
    assert "mshub.load(&#34;tests/1.10/bert_squad&#34;)" in page
    assert "hubtool lock tests/1.10/bert_squad" in page
    chinese = (tmp_path / "site" / "zh/models/tests/bertsquad.html").read_text(encoding="utf-8")
    assert '<html lang="zh-CN">' in chinese
    assert "已知答案" in chinese
    assert report.size == sum(map(len, content(tmp_path / "site").values()))


def test_every_link_of_a_page_leads_to_a_page_that_is_there(root: Path, tmp_path: Path) -> None:
    one_card(root)
    write_card(root, "tests/gpu/1.9/c++net", link="https://example.com/model.ckpt", content=CONTENT)
    site = tmp_path / "site"
    build(root, site)
    looked_at = 0
    for page in site.rglob("*.html"):
        for _, values in tags(page):
            for link in (values.get("href"), values.get("src")):
                if link and not link.startswith(("http", "#")):
                    assert (page.parent / link.partition("#")[0]).resolve().is_file(), (page, link)
                    looked_at += 1
    assert looked_at > 20


def test_nothing_of_a_card_becomes_markup(root: Path, tmp_path: Path) -> None:
    path = one_card(root, summary=HOSTILE, author=HOSTILE, license=HOSTILE, model_name=HOSTILE, backbone_name=HOSTILE)
    text = path.read_text(encoding="utf-8").replace("# model", f"# {HOSTILE}", 1)
    text = text.replace("https://example.com/model.ckpt", "'javascript:alert(3)//\"><script>'", 1)
    path.write_text(text + f"\n{HOSTILE}\n\n[a](javascript:alert(4))\n\n<iframe src=//example.com>\n", encoding="utf-8")
    site = tmp_path / "site"
    assert build(root, site).left_out == ()
    for page in site.rglob("*.html"):
        written = page.read_text(encoding="utf-8")
        assert not set("\u202e\u2066") & set(written)
        found = tags(page)
        assert "alert(1)" in written  # it is there, as text
        assert {tag for tag, _ in found}.isdisjoint({"iframe", "img", "object", "embed", "base", "style"})
        assert all(values.get("src", "").startswith(("assets/", "../")) for tag, values in found if tag == "script")  # type: ignore[union-attr]
        for tag, values in found:
            assert not [name for name in values if name.startswith("on") or name == "style"], (tag, values)
            assert not (values.get("href") or "").lower().startswith(("javascript:", "data:")), values
        policy = [values["content"] for tag, values in found if values.get("http-equiv") == "Content-Security-Policy"]
        assert policy == [
            "default-src 'none'; script-src 'self'; style-src 'self'; base-uri 'none'; form-action 'none'"
        ]


def test_the_facts_are_a_script_that_holds_data_only(root: Path, tmp_path: Path) -> None:
    one_card(root, summary=HOSTILE)
    build(root, tmp_path / "site")
    text = (tmp_path / "site/assets/facts.js").read_text(encoding="utf-8")
    assert text.startswith("var hubtoolFacts = ")
    found = json.loads(text.removeprefix("var hubtoolFacts = ").removesuffix(";\n"))
    assert [model["name"] for model in found["models"]] == ["model"]


def test_a_card_that_cannot_be_read_is_left_out_and_named(root: Path, tmp_path: Path) -> None:
    one_card(root)
    (root / "tests/1.9/broken.md").write_text("no front matter", encoding="utf-8")
    report = build(root, tmp_path / "site")
    assert report.cards == 1
    assert [why.partition(":")[0] for why in report.left_out] == ["tests/1.9/broken"]


def test_what_was_never_checked_is_not_called_checked(root: Path, tmp_path: Path) -> None:
    one_card(root)
    build(root, tmp_path / "site")
    page = (tmp_path / "site/index.html").read_text(encoding="utf-8")
    assert "not checked" in page
    assert "against the authors" not in page


@pytest.mark.parametrize("link", ["javascript:alert(1)", "data:text/html,x", "//example.com", 'https://a" b', "x.ckpt"])
def test_only_web_addresses_are_links(link: str) -> None:
    assert facts.linked(link) == ""
    assert facts.linked("https://example.com/a.ckpt") == "https://example.com/a.ckpt"


def test_a_page_is_below_the_folder() -> None:
    assert facts.page_of(Uid.parse("tests/1.9/ResNet-50_x")) == "models/tests/resnet50x.html"
    assert facts.page_of(Uid.parse("tests/gpu/1.9/net")) == "models/tests/gpu/net.html"


@pytest.mark.parametrize("left", ["notes.txt", "index.html", "catalogue.json"])
def test_a_folder_of_others_is_refused_and_stays(root: Path, tmp_path: Path, left: str) -> None:
    one_card(root)
    site = tmp_path / "site"
    site.mkdir()
    (site / left).write_text("mine", encoding="utf-8")
    with pytest.raises(ArgumentError, match="is not empty, and holds no catalogue"):
        build(root, site)
    assert content(site) == {left: b"mine"}


def test_a_file_of_others_in_a_catalogue_is_not_removed(root: Path, tmp_path: Path) -> None:
    one_card(root)
    build(root, tmp_path / "site")
    (tmp_path / "site/CNAME").write_text("mine", encoding="utf-8")
    with pytest.raises(ArgumentError, match=r"what hubtool did not make: CNAME"):
        build(root, tmp_path / "site")
    assert (tmp_path / "site/CNAME").read_text(encoding="utf-8") == "mine"


def test_a_file_is_refused(root: Path, tmp_path: Path) -> None:
    (tmp_path / "site").write_text("mine", encoding="utf-8")
    with pytest.raises(ArgumentError, match="is not a folder"):
        build(root, tmp_path / "site")


@pytest.mark.parametrize("exchanging", [True, False])
def test_an_older_catalogue_is_replaced_as_a_whole(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, exchanging: bool
) -> None:
    if not exchanging:
        monkeypatch.setattr(building, "_EXCHANGE", 1 << 20)  # no such flag: as on a system that cannot
    site = tmp_path / "site"
    site.mkdir()  # an empty folder is taken
    old = one_card(root, "old")
    build(root, site)
    old.unlink()
    one_card(root, "new")
    build(root, site)
    assert [path.name for path in (site / "models/tests").iterdir()] == ["new.html"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["registry", "site"]


def test_a_build_that_fails_leaves_the_old_one(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    one_card(root)
    build(root, tmp_path / "site")
    before = content(tmp_path / "site")

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(building, "_swap", full)
    with pytest.raises(OSError, match="No space"):
        build(root, tmp_path / "site")
    assert content(tmp_path / "site") == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["registry", "site"]


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="kills a process")
def test_a_killed_build_leaves_the_old_one_and_the_next_clears_up(root: Path, tmp_path: Path) -> None:
    one_card(root)
    site = tmp_path / "site"
    build(root, site)
    before = content(site)
    program = (
        "import os, pathlib, signal, sys\n"
        "from hubtool.catalogue import build\n"
        "from hubtool.registry import Registries\n"
        "build._swap = lambda *_: os.kill(os.getpid(), signal.SIGKILL)\n"
        "build.build(Registries.of_folders((pathlib.Path(sys.argv[1]),)), pathlib.Path(sys.argv[2]))\n"
    )
    done = subprocess.run([sys.executable, "-c", program, root, site], check=False, timeout=120)
    assert done.returncode == -signal.SIGKILL
    assert content(site) == before
    (left,) = tmp_path.glob(".site.*")
    build(root, site)
    assert left.is_dir()  # another build may be at work there
    os.utime(left, (0, 0))
    build(root, site)
    assert not left.exists()


def test_every_text_of_the_interface_is_used_and_in_both_languages() -> None:
    folder = Path(building.__file__).parent
    texts = json.loads((folder / "texts.json").read_text(encoding="utf-8"))
    used = "".join(path.read_text(encoding="utf-8") for path in [*folder.glob("templates/*"), *folder.glob("assets/*")])
    for key, both in texts.items():
        assert len(both) == 2, key
        assert all(both), key
        if key.startswith(("verified_", "js_")) or key in ("deprecated", "withdrawn"):
            continue
        assert f"t.{key}" in used or f'fact("{key}"' in used, key
    asked = set(re.findall(r"\bt\.(\w+)", used)) | set(re.findall(r'fact\("(\w+)"', used))
    assert asked <= set(texts)
    assert not asked & set(dir({}))  # a template would show the method of that name
