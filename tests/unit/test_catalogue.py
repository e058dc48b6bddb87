"""The catalogue: what its pages say, what nothing in a card can do to them, and where they may be written."""

from __future__ import annotations

import errno
import hashlib
import itertools
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
from hubtool.catalogue import facts, plots, site_folder
from hubtool.errors import ArgumentError
from hubtool.registry import Registries
from hubtool.uid import Uid
from tests.support.cards import CONTENT, write_card, write_local
from tests.support.checkpoints import ckpt, filled

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
    ours = [name for name in sorted(content(tmp_path / "site")) if "architectures/" not in name]
    assert ours == [
        "assets/catalogue.css",
        "assets/catalogue.js",
        "assets/facts.js",
        "catalogue.json",
        "index.html",
        "models/tests/bertsquad.html",
        "tasks/fill-mask.html",
        "zh/index.html",
        "zh/models/tests/bertsquad.html",
        "zh/tasks/fill-mask.html",
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
    for name, data in content(site).items():
        assert not set("\u202e\u2066") & set(data.decode()), name
    for page in site.rglob("*.html"):
        written = page.read_text(encoding="utf-8")
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


@pytest.mark.parametrize("kind", ["folder", "fifo", "dangling", "unreadable"])
def test_what_has_the_name_of_a_card_and_is_none_is_left_out_and_named(
    root: Path, tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    one_card(root)
    path = root / "tests/1.9/odd.md"
    if kind == "folder":
        path.mkdir()
    elif kind == "fifo":
        os.mkfifo(path)
    elif kind == "dangling":
        path.symlink_to(tmp_path / "absent")
    else:
        path.write_bytes(b"")
        is_file = Path.is_file

        def failing(one: Path) -> bool:
            if one.name == "odd.md":
                raise OSError(errno.EIO, "the disk fails", str(one))
            return is_file(one)

        monkeypatch.setattr(Path, "is_file", failing)
    report = build(root, tmp_path / "site")
    assert report.cards == 1
    (why,) = report.left_out
    assert why.startswith("tests/1.9/odd: ")


def test_no_two_models_share_a_page_whatever_they_are_called(root: Path, tmp_path: Path) -> None:
    uids = ["a/1.0/net", "a/net.html/1.0/foo", "A/1.0/net", "a/1.0/a.net", "a/a/1.0/net", "a/GPU/1.0/x", "a/gpu/1.0/x"]
    uids += [f"a/1.0/{'汉' * 84}", f"a/1.0/{'汉' * 83}字", f"a/1.0/{'ﷺ' * 40}", f"{'汉' * 84}/1.0/net", "a/1.0/ﹰ"]
    for uid in uids:
        write_card(root, uid, link="https://example.com/model.ckpt", content=CONTENT)
    site = tmp_path / "site"
    report = build(root, site)
    assert (report.models, report.cards, report.left_out) == (len(uids), len(uids), ())
    pages = [facts.page_of(Uid.parse(uid)) for uid in uids]
    assert len({page.casefold() for page in pages}) == len(uids)
    folders = {page.rpartition("/")[0].casefold() for page in pages}
    assert not folders & {page.casefold() for page in pages}
    for uid, page in zip(uids, pages, strict=True):
        assert f"<code>{uid}</code>" in (site / page).read_text(encoding="utf-8")
        assert f"<code>{uid}</code>" in (site / "zh" / page).read_text(encoding="utf-8")
    build(root, site)  # and it is known again


def test_what_the_caller_gives_and_agrees_to_is_said(root: Path, tmp_path: Path) -> None:
    given = {"matrix": {"from-caller": "the <distances>", "shape": [2, 3], "dtype": "float32"}}
    for name, link in (("known", "https://gitee.com/mindspore/models"), ("other", "https://example.com/who/what")):
        path = write_card(
            *(root, f"tests/1.9/{name}"), link="https://example.com/model.ckpt", content=CONTENT, arguments=given
        )
        text = path.read_text(encoding="utf-8").replace("provider: builtin", "provider: repository")
        path.write_text(text.replace("asset:", f"repo-link: {link}\nasset:", 1), encoding="utf-8")
    build(root, tmp_path / "site")
    known, other = ((tmp_path / f"site/models/tests/{name}.html").read_text("utf-8") for name in ("known", "other"))
    for module in ("hubtool", "mshub"):
        assert f"network = {module}.load(&#34;tests/1.9/known&#34;, matrix=matrix, trust=True)" in known
        assert f"network = {module}.load(&#34;tests/1.9/other&#34;, matrix=matrix)" in other
    assert "<code>matrix</code>: 2 x 3 float32: the &lt;distances&gt;" in known
    assert "hubtool load tests/1.9/known" not in known  # the command line cannot give a tensor
    assert "only if you agree: for one run by trust=True" in known
    assert "<code>hubtool trust add gitee.com/mindspore</code>" in known
    assert "not on the trust list" in other
    assert "<code>hubtool trust add example.com/who/what</code>" in other


def test_a_network_of_hubtool_itself_needs_nothing_else(root: Path, tmp_path: Path) -> None:
    one_card(root)
    build(root, tmp_path / "site")
    page = (tmp_path / "site/models/tests/model.html").read_text(encoding="utf-8")
    assert "hubtool.load(&#34;tests/1.9/model&#34;)" in page
    assert "trust" not in page


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
    assert facts.page_of(Uid.parse("tests/gpu/1.9/net")) == "models/tests/gpu.net.html"


@pytest.mark.parametrize("left", ["notes.txt", "index.html", "catalogue.json"])
def test_a_folder_of_others_is_refused_and_stays(root: Path, tmp_path: Path, left: str) -> None:
    one_card(root)
    site = tmp_path / "site"
    site.mkdir()
    (site / left).write_text("mine", encoding="utf-8")
    with pytest.raises(ArgumentError, match="is not empty, and holds no catalogue"):
        build(root, site)
    assert content(site) == {left: b"mine"}


@pytest.mark.parametrize("name", ["CNAME", "models/CNAME", "assets/logo.png", "zh/models/tests/.hidden", "assets/a/b"])
def test_a_file_of_others_in_a_catalogue_is_not_removed(root: Path, tmp_path: Path, name: str) -> None:
    one_card(root)
    build(root, tmp_path / "site")
    added = tmp_path / "site" / name
    added.parent.mkdir(exist_ok=True)
    added.write_text("mine", encoding="utf-8")
    with pytest.raises(ArgumentError, match=rf"what hubtool did not make: .*{name}"):
        build(root, tmp_path / "site")
    assert added.read_text(encoding="utf-8") == "mine"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["registry", "site"]


def test_a_link_in_a_catalogue_is_not_removed(root: Path, tmp_path: Path) -> None:
    one_card(root)
    build(root, tmp_path / "site")
    (tmp_path / "site/assets").rename(tmp_path / "mine")
    (tmp_path / "site/assets").symlink_to(tmp_path / "mine")
    with pytest.raises(ArgumentError, match="what hubtool did not make: assets"):
        build(root, tmp_path / "site")


@pytest.mark.parametrize("where", [".", ".."])
@pytest.mark.parametrize("built", [True, False])
def test_the_working_folder_is_not_replaced(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: str, built: bool
) -> None:
    one_card(root)
    site = tmp_path / "site"
    if built:
        build(root, site)
    (site / "assets").mkdir(parents=True, exist_ok=True)
    monkeypatch.chdir(site if where == "." else site / "assets")
    with pytest.raises(ArgumentError, match="holds the working folder, and is replaced as a whole"):
        build(root, Path(where))


@pytest.mark.skipif(sys.platform != "linux", reason="reads the list of mounts")
def test_a_mount_point_is_refused_before_anything_is_built(root: Path) -> None:
    one_card(root)
    places = [Path(line.split(" ")[4]) for line in Path("/proc/self/mountinfo").read_text("utf-8").splitlines()]
    folders = [place for place in places if place.is_dir() and "\\" not in str(place)]
    assert Path("/proc") in folders
    for place in folders:
        with pytest.raises(ArgumentError, match="is a mount point"):
            site_folder._check(place)
    with pytest.raises(ArgumentError, match="mount point"):
        build(root, Path("/proc"))


def test_the_permissions_of_the_folder_are_kept(root: Path, tmp_path: Path) -> None:
    one_card(root)
    site = tmp_path / "site"
    site.mkdir()
    for mode in (0o750, 0o700, 0o755):
        site.chmod(mode)
        build(root, site)
        assert site.stat().st_mode & 0o7777 == mode


def test_a_new_folder_has_the_usual_permissions(root: Path, tmp_path: Path) -> None:
    one_card(root)
    build(root, tmp_path / "site")
    (tmp_path / "other").mkdir()
    assert (tmp_path / "site").stat().st_mode == (tmp_path / "other").stat().st_mode


@pytest.mark.parametrize("name", ["a**b", "a[b]c", "[!x]", "Site", "a b\\n", "x" * 255])
def test_any_name_of_a_folder_is_taken_and_its_parts_are_cleared(root: Path, tmp_path: Path, name: str) -> None:
    one_card(root)
    site = tmp_path / name
    build(root, site)
    part = site.with_name(f"{site_folder._beginning(site)}0123abcd.catalogue-part")
    old = site.with_name(f"{part.name}-old")
    others = [
        f"{part.name}x",
        f".other.0123abcd{site_folder._PART}",
        f"{site_folder._beginning(site)}mine.catalogue-part",
    ]
    for left in (part, old):
        (left / "models").mkdir(parents=True)  # the marker comes last
        os.utime(left, (0, 0))
    mine = part.with_name(part.name.replace("0123abcd", "0123abce"))
    (mine / "photos").mkdir(parents=True)
    os.utime(mine, (0, 0))
    for other in others:
        (tmp_path / other).mkdir()
        os.utime(tmp_path / other, (0, 0))
    build(root, site)
    assert {path.name for path in tmp_path.iterdir()} == {"registry", name, mine.name, *others}


def test_a_folder_that_cannot_be_made_is_said_with_a_hint(root: Path, tmp_path: Path) -> None:
    one_card(root)
    (tmp_path / "file").write_text("mine", encoding="utf-8")
    (tmp_path / "loop").symlink_to("loop")
    for folder in ("file/site", "file/a/site", "loop", "loop/site", "x" * 300):
        with pytest.raises(ArgumentError, match=r"cannot be built in|is not a folder") as caught:
            build(root, tmp_path / folder)
        assert caught.value.hint


def test_a_catalogue_that_cannot_be_replaced_is_put_back(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one_card(root)
    site = tmp_path / "site"
    build(root, site)
    before = content(site)
    monkeypatch.setattr(site_folder, "_EXCHANGE", 1 << 20)
    rename = Path.rename

    def failing(one: Path, to: Path) -> Path:
        if one.name.endswith(site_folder._PART):
            raise OSError(errno.EIO, "the disk fails")
        return rename(one, to)

    monkeypatch.setattr(Path, "rename", failing)
    with pytest.raises(OSError, match="the disk fails"):
        build(root, site)
    assert content(site) == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["registry", "site"]


def killed_build(root: Path, site: Path, sabotage: str) -> None:
    """Build in a process that lines of Python, run before, let kill itself."""
    program = (
        "import os, pathlib, signal, sys\n"
        "from hubtool.catalogue import build, site_folder\n"
        "from hubtool.registry import Registries\n"
        f"{sabotage}"
        "build.build(Registries.of_folders((pathlib.Path(sys.argv[1]),)), pathlib.Path(sys.argv[2]))\n"
    )
    done = subprocess.run([sys.executable, "-c", program, root, site], check=False, timeout=120)
    assert done.returncode == -signal.SIGKILL


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="kills a process")
def test_a_build_that_is_killed_between_its_renames_is_put_right_by_the_next(root: Path, tmp_path: Path) -> None:
    one_card(root)
    site = tmp_path / "site"
    build(root, site)
    before = content(site)
    killed_build(
        root,
        site,
        "site_folder._EXCHANGE = 1 << 20\n"
        "rename = pathlib.Path.rename\n"
        "def killed(one, to):\n"
        "    rename(one, to)\n"
        "    if str(to).endswith('-old'): os.kill(os.getpid(), signal.SIGKILL)\n"
        "pathlib.Path.rename = killed\n",
    )
    assert not site.exists()
    (old,) = tmp_path.glob(".site.*-old")
    assert content(old) == before
    site_folder._restore(site)
    assert content(site) == before
    build(root, site)
    assert not list(tmp_path.glob(".site.*-old"))


def test_a_file_is_refused(root: Path, tmp_path: Path) -> None:
    (tmp_path / "site").write_text("mine", encoding="utf-8")
    with pytest.raises(ArgumentError, match="is not a folder"):
        build(root, tmp_path / "site")


@pytest.mark.parametrize("exchanging", [True, False])
def test_an_older_catalogue_is_replaced_as_a_whole(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, exchanging: bool
) -> None:
    if not exchanging:
        monkeypatch.setattr(site_folder, "_EXCHANGE", 1 << 20)  # no such flag: as on a system that cannot
    elif sys.platform != "linux":
        pytest.skip("exchanging is of Linux")
    aside = []
    rename = Path.rename

    def watched(one: Path, to: Path) -> Path:
        aside.append(to.name.endswith("-old"))
        return rename(one, to)

    monkeypatch.setattr(Path, "rename", watched)
    site = tmp_path / "site"
    site.mkdir()  # an empty folder is taken
    old = one_card(root, "old")
    build(root, site)
    old.unlink()
    one_card(root, "new")
    build(root, site)
    assert any(aside) is not exchanging
    assert [path.name for path in (site / "models/tests").iterdir()] == ["new.html"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["registry", "site"]


def test_a_build_that_fails_leaves_the_old_one(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    one_card(root)
    build(root, tmp_path / "site")
    before = content(tmp_path / "site")

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(site_folder, "_swap", full)
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
    killed_build(root, site, "site_folder._swap = lambda *_: os.kill(os.getpid(), signal.SIGKILL)\n")
    assert content(site) == before
    (left,) = tmp_path.glob(".site.*")
    build(root, site)
    assert left.is_dir()  # another build may be at work there
    os.utime(left, (0, 0))
    build(root, site)
    assert not left.exists()


def evaluated(root: Path, uid: str, evaluation: str, elements: int = 0) -> Path:
    """Write a card with results, and with the number of its parameters."""
    path = write_card(root, uid, link="https://example.com/model.ckpt", content=CONTENT)
    text = path.read_text(encoding="utf-8").replace("\nauthor:", f"\nevaluation: {evaluation}\nauthor:", 1)
    text = text.replace(f"\nmodel-name: {path.stem}", f"\nmodel-name: {path.stem.partition('_')[0]}")
    if elements:
        text = text.replace("\nnetwork:", f"\nnetwork:\n  elements: {elements}", 1)
    path.write_text(text, encoding="utf-8")
    return path


def test_results_are_a_table_and_a_plot_where_versions_differ(root: Path, tmp_path: Path) -> None:
    listed = (
        "[{data-set: ImageNet-1k, split: validation, metric: top1acc, value: 76.5, unit: '%', source: publisher},"
        " {metric: top5acc, value: 93, source: 'https://example.com/log'}]"
    )
    evaluated(root, "tests/1.9/model", "top1acc71.5 | top5acc93")
    evaluated(root, "tests/1.10/model", listed)
    site = tmp_path / "site"
    assert build(root, site).left_out == ()
    page = (site / "models/tests/model.html").read_text(encoding="utf-8")
    assert "<td>ImageNet-1k</td><td>validation</td><td>top1acc</td><td>76.5%</td><td>Publisher</td>" in page
    assert '<td><a href="https://example.com/log">https://example.com/log</a></td>' in page
    assert "<svg" not in page  # results on other data are not joined
    evaluated(root, "tests/1.8/model", "top1acc70")
    build(root, site)
    page = (site / "models/tests/model.html").read_text(encoding="utf-8")
    assert page.count("<svg") == 1
    assert page.count("<circle") == 2
    assert "<title>1.8: 70</title>" in page


def test_a_task_has_a_page_with_its_models_by_size(root: Path, tmp_path: Path) -> None:
    sizes = {"resnet18": 11_000_000, "resnet34": 21_000_000, "resnet50": 25_000_000, "resnet101": 44_000_000}
    for name, elements in sizes.items():
        result = "top1acc71.5 | top1acc92" if name == "resnet34" else f"top1acc{elements / 10**6}"
        path = evaluated(root, f"tests/1.9/{name}_imagenet", result, elements)
        text = path.read_text(encoding="utf-8").replace("module-type: nlp", "module-type: cv-classification")
        path.write_text(text, encoding="utf-8")
    site = tmp_path / "site"
    build(root, site)
    page = (site / "tasks/image-classification.html").read_text(encoding="utf-8")
    assert page.count("<circle") == 4
    assert "<title>resnet34_imagenet: top1acc 71.5, 21 M</title>" in page  # what a card states twice: the first
    assert page.count('class="leads"') == 2  # resnet18, and resnet34, which no larger one surpasses
    model = (site / "models/tests/resnet18imagenet.html").read_text(encoding="utf-8")
    assert 'href="../../tasks/image-classification.html"' in model
    assert 'href="../models/tests/resnet18imagenet.html"' in page
    assert (site / "zh/tasks/image-classification.html").is_file()


def test_tensors_are_listed_where_the_file_is_at_hand(root: Path, tmp_path: Path) -> None:
    content = ckpt([filled("conv.weight", (2, 3))])
    write_local(root, "tests/1.9/near", content)
    write_card(root, "tests/1.9/stored", link="https://example.com/model.ckpt", content=content)
    write_card(root, "tests/1.9/broken", link="https://example.com/other.ckpt", content=b"broken")
    store = tmp_path / "store"
    for data in (content, b"broken"):
        digest = hashlib.sha256(data).hexdigest()
        blob = store / "blobs/sha256" / digest[:2] / digest
        blob.parent.mkdir(parents=True)
        blob.write_bytes(data)
    site = tmp_path / "site"
    building.build(Registries.of_folders((root,)), site, (store,))
    for name in ("near", "stored"):
        page = (site / f"models/tests/{name}.html").read_text(encoding="utf-8")
        assert "<td>conv.weight</td><td>2 × 3</td><td>float32</td>" in page, name
        assert "not stated</td><td><code>" not in page  # the size is known then
    assert "Tensors" not in (site / "models/tests/broken.html").read_text(encoding="utf-8")


def test_cards_whose_names_differ_in_case_only_are_told_apart(root: Path, tmp_path: Path) -> None:
    for name in ("net", "Net"):
        one_card(root, name)
    site = tmp_path / "site"
    build(root, site)
    (page,) = (site / "models/tests").glob("*.html")
    found = [values["id"] for tag, values in tags(page) if tag == "details" and values.get("id")]
    assert found == ["v1.9", "v1.9-1"]
    assert 'href="#v1.9-1"' in page.read_text(encoding="utf-8")


def test_a_card_that_no_uid_can_name_is_named(root: Path, tmp_path: Path) -> None:
    one_card(root)
    (root / "tests/1.9/my model.md").write_text("# my model\n", encoding="utf-8")
    (problem,) = build(root, tmp_path / "site").left_out
    assert problem == "tests/1.9/my model.md: 'tests/1.9/my model' is not a UID: 'my model' is not a name"


def test_a_long_list_has_more_pages(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(building, "_MODELS_PER_PAGE", 2)
    for number in range(5):
        one_card(root, f"model{number}")
    site = tmp_path / "site"
    build(root, site)
    listed, name = [], "index.html"
    while name:
        found = tags(site / name)
        links = [values.get("href") or "" for tag, values in found if tag == "a"]
        listed += [Path(link).stem for link in links if "models/" in link and "#" not in link]
        name = next((link.removeprefix("../") for link in links if "list/" in link and "zh" not in link), "")
    assert listed == [f"model{number}" for number in range(5)]


@pytest.mark.parametrize(
    ("low", "high"),
    [
        *((54.05, 83.26), (0, 0), (1e-9, 2e-9), (-9.11, -9.11), (0.1, 1e9), (99.99, 100), (5, 5.0001)),
        *((1e-15, 4e-15), (76.97, 76.97000000000001), (-1e15, 1e15), (0, 1e-15), (999999.5, 999999.5)),
    ],
)
def test_the_ticks_of_an_axis_hold_its_values(low: float, high: float) -> None:
    for most in (3, 6):
        ticks = plots._ticks(low, high, most)
        assert ticks[0] <= low
        assert ticks[-1] >= high
        assert 2 <= len(ticks) <= most + 2
        assert ticks == sorted(set(ticks))


@pytest.mark.parametrize(
    ("elements", "value"), [(-5, "7"), (10**15, "1.0e-300"), (10**15, "1.7e+308"), (10**15, "-1.7e+308")]
)
def test_a_result_that_no_plot_can_show_is_left_out_of_it(
    root: Path, tmp_path: Path, elements: int, value: str
) -> None:
    results = [(10, "1"), (100, "2"), (1000, "3"), (10**4, "4"), (elements, value)]
    for at, (size, result) in enumerate(results):
        listed = f"[{{metric: top1acc, value: {result}, source: publisher}}]"
        path = evaluated(root, f"tests/1.9/resnet{at}_imagenet", listed, size)
        text = path.read_text(encoding="utf-8").replace("module-type: nlp", "module-type: cv-classification")
        path.write_text(text, encoding="utf-8")
    evaluated(root, "tests/1.8/resnet4_imagenet", "[{metric: top1acc, value: 2, source: publisher}]")
    site = tmp_path / "site"
    build(root, site)
    page = (site / "tasks/image-classification.html").read_text(encoding="utf-8")
    assert page.count("<circle") == 4
    assert "resnet4imagenet" in page


def test_models_of_two_publishers_with_one_name_are_two_points(root: Path, tmp_path: Path) -> None:
    for publisher in ("one", "other"):
        for at in (1, 2):
            path = evaluated(root, f"{publisher}/1.9/resnet{at}_imagenet", f"top1acc{at}", 10**at)
            text = path.read_text(encoding="utf-8").replace("module-type: nlp", "module-type: cv-classification")
            path.write_text(text, encoding="utf-8")
    site = tmp_path / "site"
    build(root, site)
    assert (site / "tasks/image-classification.html").read_text(encoding="utf-8").count("<circle") == 4


def test_the_words_of_many_versions_do_not_overlap() -> None:
    made = plots.over_versions("t", [(f"1.{at}", at % 7, str(at % 7)) for at in range(500)])
    assert len(made.marks) == 500
    places = [x for x, _ in made.across]
    assert all(other - one >= len("1.499") * 6.5 for one, other in itertools.pairwise(places))
    labelled = [mark.x for mark in made.marks if mark.label]
    assert all(other - one >= 6.5 for one, other in itertools.pairwise(labelled))


@pytest.mark.parametrize("sizes", [[1, 1], [5, 5], [1, 10**12], [999, 1000], [25_557_032, 25_610_152]])
def test_points_lie_within_the_plot(sizes: list[int]) -> None:
    dots = [
        plots.Dot(name=f"m{at}", label=f"m{at}", href=f"m{at}.html", elements=size, value=at, shown=str(at))
        for at, size in enumerate(sizes)
    ]
    for less in (True, False):
        made = plots.by_size("t", dots, less_is_better=less)
        for mark in made.marks:
            assert made.left <= mark.x <= made.right
            assert 0 < mark.y <= made.floor
        assert any(mark.leads for mark in made.marks)
        assert all(made.left <= x <= made.right for x, _ in made.across)


def test_every_text_of_the_interface_is_used_and_in_both_languages() -> None:
    folder = Path(building.__file__).parent
    texts = json.loads((folder / "texts.json").read_text(encoding="utf-8"))
    used = "".join(path.read_text(encoding="utf-8") for path in [*folder.glob("templates/*"), *folder.glob("assets/*")])
    for key, both in texts.items():
        assert len(both) == 2, key
        assert all(both), key
        if key.startswith(("verified_", "size_", "js_", "status_", "fact_")):
            continue
        assert f"t.{key}" in used or f'fact("{key}"' in used or key in facts.FACTS, key
    asked = set(re.findall(r"\bt\.(\w+)", used)) | set(re.findall(r'fact\("(\w+)"', used))
    assert asked <= set(texts)
    assert not asked & set(dir({}))  # a template would show the method of that name
