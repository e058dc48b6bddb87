"""The catalogue in a real browser: from file:// and from a web server."""

from __future__ import annotations

import fnmatch
import functools
import http.server
import shutil
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from hubtool import resources
from hubtool.catalogue import build as building
from hubtool.registry import FolderRegistry, Registries
from hubtool.registry.index import SearchIndex
from hubtool.toml import parse
from tests.support.cards import CONTENT, write_card

if TYPE_CHECKING:
    from collections.abc import Iterator

playwright = pytest.importorskip("playwright.sync_api")
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
QUERIES = parse((Path(__file__).parents[1] / "search/queries.toml").read_text(encoding="utf-8"))["query"]
MODEL = "models/mindspore/resnet50imagenet2012.html"
TASK = "tasks/image-classification.html"

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed"),
    pytest.mark.xdist_group("browser"),
]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the catalogue of the registry that comes with hubtool."""
    folder = tmp_path_factory.mktemp("catalogue") / "site"
    building.build(Registries.of_folders((resources.registry_folder(),)), folder)
    return folder


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with playwright.sync_playwright() as driver:
        opened = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield opened
        opened.close()


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None: ...


@pytest.fixture(params=["file", "http"])
def base(site: Path, request: pytest.FixtureRequest) -> Iterator[str]:
    """Return the address of the catalogue, in its folder and on a web server."""
    if request.param == "file":
        yield site.as_uri()
        return
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(_Quiet, directory=str(site))) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()


@pytest.fixture
def page(browser: Any, base: str) -> Iterator[Any]:
    """Return a page that says nothing on the console and asks nobody else."""
    context = browser.new_context(base_url=f"{base}/")
    context.set_default_timeout(60_000)
    opened = context.new_page()
    said: list[str] = []
    asked: list[str] = []
    opened.on("console", lambda message: said.append(message.text))
    opened.on("pageerror", lambda error: said.append(str(error)))
    opened.on("request", lambda request: asked.append(request.url))
    yield opened
    context.close()
    assert [text for text in said if "favicon" not in text] == []
    assert [url for url in asked if not url.startswith(f"{base}/")] == []
    assert asked


COUNTED = "count => document.querySelectorAll('#models li:not([hidden])').length === count"


def names(page: Any) -> list[str]:
    return [str(name) for name in page.locator("#models li:not([hidden]) h2 a").all_text_contents()]


def test_type_filter_open_copy_and_go_back(page: Any, base: str) -> None:
    page.goto(f"{base}/index.html")
    everything = len(names(page))  # of the first rows
    assert everything == 100
    page.get_by_role("button", name="Show more").click()
    assert len(names(page)) == 200
    assert page.evaluate("document.activeElement.textContent") == names(page)[100]
    total = page.locator("#status").text_content().split(" of ")[1]
    assert page.locator("#status").text_content() == f"{total.split()[0]} of {total}"
    page.keyboard.press("/")
    page.keyboard.type("resnt50 imagenet")
    assert names(page)[0] == "resnet50_imagenet2012"
    assert "“resnt50” was read as “resnet50”." in page.locator("#status").text_content()
    found = len(names(page))
    page.get_by_label("Checked").select_option("package")
    assert 0 < len(names(page)) < found
    filtered = len(names(page))
    page.wait_for_url("**/index.html#q=resnt50+imagenet&verified=package")
    page.go_back()
    page.wait_for_function(COUNTED, arg=found)
    page.go_forward()
    page.wait_for_function(COUNTED, arg=filtered)
    page.get_by_label("Search models").focus()
    page.keyboard.press("ArrowDown")
    assert page.evaluate("document.activeElement.textContent") == "resnet50_imagenet2012"
    page.keyboard.press("Enter")
    page.wait_for_url(f"**/{MODEL}")
    assert page.locator("h1").text_content() == "resnet50_imagenet2012"
    assert page.get_by_role("tabpanel").count() == 1
    page.get_by_role("tab", name="Lockfile").click()
    assert page.get_by_role("tabpanel").inner_text().startswith("hubtool lock mindspore/2.5/resnet50_imagenet2012")
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.locator("p.copied button").first.click()
    page.get_by_role("button", name="Copy: mindspore/2.5/").first.filter(has_text="Copied").wait_for()
    assert page.evaluate("navigator.clipboard.readText()") == "mindspore/2.5/resnet50_imagenet2012"
    page.go_back()
    page.wait_for_selector("#finder:not([hidden])")
    assert page.get_by_label("Search models").input_value() == "resnt50 imagenet"
    assert 0 < len(names(page)) < found


def test_the_other_language_keeps_the_search(page: Any, base: str) -> None:
    page.goto(f"{base}/index.html#q=object+detection")
    english = names(page)
    page.locator(".language").click()
    page.wait_for_url("**/zh/index.html*")
    assert names(page) == english
    assert page.locator("#status").text_content().endswith("个。")
    assert "目标检测" in page.locator("#models").text_content()


def test_a_version_is_opened_by_its_address(page: Any, base: str) -> None:
    page.goto(f"{base}/{MODEL}#v1.9")
    assert page.locator("details[id='v1.9']").evaluate("part => part.open")
    assert not page.locator("details[id='v1.8']").evaluate("part => part.open")


def test_a_task_is_opened_and_its_models_are_filtered(page: Any, base: str) -> None:
    page.goto(f"{base}/{MODEL}")
    page.get_by_role("link", name="image classification").click()
    page.wait_for_url(f"**/{TASK}")
    assert page.locator("svg circle").count() > 100
    page.locator("svg a").first.click()
    page.wait_for_url("**/models/**")
    page.go_back()
    page.get_by_role("link", name="in the list, with filters").click()
    page.wait_for_url("**/index.html#task=image-classification")
    assert page.get_by_label("Task").input_value() == "image-classification"


def test_nothing_found_does_not_stand_alone(page: Any, base: str) -> None:
    page.goto(f"{base}/index.html#q=zzzqqq&task=nonsense&sort=')")
    assert names(page) == []
    assert "Nothing found. Try a task" in page.locator("#status").text_content()


@pytest.mark.parametrize("width", [320, 390, 800, 1600])
def test_no_page_is_wider_than_the_screen(page: Any, base: str, width: int) -> None:
    page.set_viewport_size({"width": width, "height": 800})
    for name in ("index.html", MODEL, f"zh/{MODEL}", TASK):
        page.goto(f"{base}/{name}")
        assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_without_scripts_the_list_and_all_uses_are_read(browser: Any, site: Path) -> None:
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto((site / "index.html").as_uri())
    assert "Search and filters need JavaScript" in page.content()
    listed = page.locator("#models li").count()
    while page.locator("#after a").count():
        page.locator("#after a").click()
        listed += page.locator("#models li").count()
    assert listed > 500
    page.goto((site / "index.html").as_uri())
    assert not page.locator("#finder").is_visible()
    page.goto((site / MODEL).as_uri())
    for text in ("mshub.load(", "hubtool.load(", "hubtool lock ", "hubtool mirror bundle "):
        assert page.locator("pre", has_text=text).first.is_visible()
    context.close()


ENTRIES = """entries => Object.fromEntries(entries.map(entry => [entry.querySelector("h2").textContent, [
    entry.textContent.replace(/\\s+/g, ""), ...Array.from(entry.querySelectorAll("a"), link => decodeURI(link.href))
]]))"""


@pytest.mark.parametrize("language", ["", "zh/"])
def test_the_script_writes_entries_as_the_page_has_them(browser: Any, site: Path, language: str) -> None:
    found = []
    for script in (False, True):
        context = browser.new_context(java_script_enabled=script)
        page = context.new_page()
        page.goto((site / language / "index.html").as_uri())
        if script:
            page.wait_for_selector("#finder:not([hidden])")
        found.append(page.locator("#models li").evaluate_all(ENTRIES))
        context.close()
    page_s, script_s = found
    both = page_s.keys() & script_s.keys()
    assert len(both) >= 90
    assert {name: page_s[name] for name in both} == {name: script_s[name] for name in both}


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing(browser: Any, site: Path, scheme: str) -> None:
    axe = pytest.importorskip("axe_core_python")
    (script,) = Path(axe.__file__).parent.rglob("axe.min.js")
    context = browser.new_context(bypass_csp=True, color_scheme=scheme)
    page = context.new_page()
    for name in ("index.html#q=resnet50", MODEL, "zh/index.html#q=bert", f"zh/{MODEL}", TASK, f"zh/{TASK}"):
        page.goto(f"{site.as_uri()}/{name}")
        page.add_script_tag(content=script.read_text(encoding="utf-8"))
        found = page.evaluate("async () => (await axe.run()).violations.map(one => one.id)")
        assert page.evaluate("axe.version")
        assert found == [], name
    context.close()


TYPED = """text => {
    const words = document.getElementById("words");
    words.value = text;
    words.dispatchEvent(new Event("input"));
    return Array.from(document.querySelectorAll("#models li:not([hidden])"), row => row.dataset.uid).slice(0, 5);
}"""
OTHERS = (
    "reznet",
    "yolov5s quant",
    "文字识别",
    "bert 1.10",
    "unet++",
    "mobilnet v2 cifer10",
    "the best model",
    "r1.7 ssd",
)


def test_the_script_finds_what_the_command_line_finds(browser: Any, site: Path, tmp_path: Path) -> None:
    page = browser.new_page()
    page.goto((site / "index.html").as_uri())
    with SearchIndex.open(tmp_path, [FolderRegistry(resources.registry_folder())]) as index:
        for text in (*(query["text"] for query in QUERIES), *OTHERS):
            assert page.evaluate(TYPED, text) == [model.uid for model in index.search(text, 5)], text
    right = sum(
        any(
            fnmatch.fnmatchcase(uid, wanted)
            for uid in page.evaluate(TYPED, query["text"])[:1]
            for wanted in query["first"]
        )
        for query in QUERIES
    )
    assert right >= 0.9 * len(QUERIES)
    page.close()


def test_a_hostile_card_does_nothing(browser: Any, tmp_path: Path) -> None:
    root = tmp_path / "registry"
    path = write_card(root, "tests/1.9/model", link="https://example.com/model.ckpt", content=CONTENT)
    attack = "'</script><img src=x onerror=\"document.title=1\"><script>document.title=1</script> \u202e'"
    text = path.read_text(encoding="utf-8").replace("summary: A model of the tests.", f"summary: {attack}")
    path.write_text(f"{text}\n{attack}\n\n[a](javascript:document.title=1)\n", encoding="utf-8")
    building.build(Registries.of_folders((root,)), tmp_path / "site")
    page = browser.new_page()
    for name in ("index.html", "models/tests/model.html"):
        page.goto((tmp_path / "site" / name).as_uri())
        assert page.title() != "1"
        assert page.locator("img").count() == 0
        for link in page.locator("a").all():
            assert not link.evaluate("link => link.href").startswith("javascript:")
    page.close()
