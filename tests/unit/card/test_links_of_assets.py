"""Links of assets that lead to pages, or to the machine that they were written on."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from hubtool import settings
from hubtool.card import model
from hubtool.card.rules import web_pages
from hubtool.card.rules.assets import is_only_here, nearness
from hubtool.card.validate.autofix import fix_file
from hubtool.card.validate.check import check, fixes
from hubtool.errors import PublishError
from hubtool.git.remotes import Remote
from hubtool.hub import Hub
from hubtool.publish import plan
from tests.support.cards import write_card

if TYPE_CHECKING:
    from pathlib import Path

    from hubtool.diagnostics import Diagnostic


@pytest.mark.parametrize(
    ("link", "raw"),
    [
        ("https://github.com/a/b/blob/main/n.ckpt", "https://github.com/a/b/raw/main/n.ckpt"),
        ("https://www.github.com/a/b/blob/v1/x/n.ckpt#L1", "https://www.github.com/a/b/raw/v1/x/n.ckpt"),
        ("https://gitee.com/a/b/blob/master/x/n.ckpt", "https://gitee.com/a/b/raw/master/x/n.ckpt"),
        ("https://gitlab.com/g/s/p/-/blob/main/n.ckpt?ref_type=heads", "https://gitlab.com/g/s/p/-/raw/main/n.ckpt"),
        ("https://git.example.org/g/p/-/blob/main/n.ckpt", "https://git.example.org/g/p/-/raw/main/n.ckpt"),
        ("https://bitbucket.org/a/b/src/main/n.ckpt", "https://bitbucket.org/a/b/raw/main/n.ckpt"),
        ("https://codeberg.org/a/b/src/branch/main/n.ckpt", "https://codeberg.org/a/b/raw/branch/main/n.ckpt"),
        ("https://huggingface.co/a/b/blob/main/n.ckpt", "https://huggingface.co/a/b/resolve/main/n.ckpt"),
        ("https://huggingface.co/datasets/a/b/blob/main/n", "https://huggingface.co/datasets/a/b/resolve/main/n"),
        (
            "https://modelscope.cn/models/a/b/file/view/master/x%2Fn.ckpt?status=2",
            "https://modelscope.cn/models/a/b/resolve/master/x/n.ckpt",
        ),
        ("https://www.dropbox.com/s/abc/n.ckpt?dl=0", "https://www.dropbox.com/s/abc/n.ckpt?dl=1"),
        ("https://github.com/a/b/tree/main/x", None),
        ("https://gitee.com/a/b/tree/master/x", None),
        ("https://github.com/a/b/releases/tag/v1", None),
        ("https://gitee.com/a/b/releases/tag/v1", None),
        ("https://github.com/a/b", None),
        ("https://www.modelscope.cn/models/a/b/files", None),
        ("https://modelers.cn/models/a/b/blob/main/n.ckpt", None),
        ("https://drive.google.com/file/d/abc/view", None),
        ("https://github.com/a/b/blob/main/../../n.ckpt", None),
    ],
)
def test_pages(link: str, raw: str | None) -> None:
    found = web_pages.page(link)
    assert found is not None
    assert found.raw == raw
    assert raw is None or web_pages.page(raw) is None


@pytest.mark.parametrize(
    "link",
    [
        "https://github.com/a/b/raw/main/n.ckpt",
        "https://github.com/a/b/blob/main/n.ckpt?raw=true",
        "https://github.com/a/b/releases/download/v1/n.ckpt",
        "https://github.com/a/b/releases/latest/download/n.ckpt",
        "https://gitee.com/a/b/raw/master/blob/n.ckpt",
        "https://raw.githubusercontent.com/a/b/main/n.ckpt",
        "https://huggingface.co/a/b/resolve/main/n.ckpt",
        "https://git.sr.ht/~a/b/blob/main/n.ckpt",
        "https://download.mindspore.cn/a/b/blob/main/n.ckpt",
        "a/b/blob/main/n.ckpt",
    ],
)
def test_files(link: str) -> None:
    assert web_pages.page(link) is None


def found_in(path: Path, hosts: frozenset[str] = frozenset(settings.DEFAULT_HOSTS)) -> list[Diagnostic]:
    return [
        one for one in check(path.read_bytes(), path=str(path), hosts=hosts).diagnostics if one.code.startswith("HT3")
    ]


def test_a_page_is_named_and_mended(tmp_path: Path) -> None:
    path = write_card(tmp_path, "lab/1.9/net", link="<https://github.com/a/b/blob/main/net.ckpt>", content=b"x")
    (one,) = (one for one in found_in(path) if one.code == "HT316")
    assert "a page that shows the file" in one.message
    assert one.hint == "write https://github.com/a/b/raw/main/net.ckpt"
    assert one.fixable
    outcome = fix_file(path, root=None, uid=None, hosts=frozenset({"github.com"}), wanted={"HT316"}, write=True)
    assert outcome is not None
    assert "asset-link: <https://github.com/a/b/raw/main/net.ckpt>" in path.read_text()


@pytest.mark.parametrize(
    ("host", "near"),
    [
        ("localhost", "this machine"), ("127.0.0.1", "this machine"), ("127.1", "this machine"),
        ("0.0.0.0", "this machine"), ("[::1]", "this machine"), ("[::ffff:127.0.0.1]", "this machine"),  # noqa: S104
        ("2130706433", "this machine"), ("a.localhost", "this machine"), ("10.0.0.1", "its own network"),
        ("192.168.1.2", "its own network"), ("[fd00::1]", "its own network"), ("169.254.1.1", "its own network"),
        ("buildbox", "its own network"), ("store.local", "its own network"), ("example.org", ""), ("8.8.8.8", ""),
    ],
)  # fmt: skip
def test_who_reaches_a_host(tmp_path: Path, host: str, near: str) -> None:
    assert nearness(host) == near
    path = write_card(tmp_path, "lab/1.9/net", link=f"https://{host}/net.ckpt", content=b"x")
    codes = {one.code: one for one in found_in(path)}
    assert ("HT317" in codes) != ("HT306" in codes)
    if "HT306" in codes:
        assert near in codes["HT306"].message
    assert not found_in(path, hosts=frozenset({host}))


def test_a_named_service_of_this_machine_is_meant(tmp_path: Path) -> None:
    path = write_card(tmp_path, "lab/1.9/net", link="http://127.0.0.1:8000/net.ckpt", content=b"x")
    assert [one.code for one in found_in(path)] == ["HT317"]
    for hosts in ({"http://127.0.0.1:8000"}, {"127.0.0.1"}, {"127.0.0.1:8000"}):
        assert not found_in(path, hosts=frozenset(hosts))
    assert [one.code for one in found_in(path, hosts=frozenset({"127.0.0.1:9"}))] == ["HT317"]
    lab = write_card(tmp_path, "lab/1.9/lab", link="http://lab:8080/net.ckpt", content=b"x")
    assert {one.code for one in found_in(lab)} == {"HT306", "HT307"}
    assert not found_in(lab, hosts=frozenset({"http://lab:8080"}))
    assert is_only_here("https://localhost/x", frozenset())
    assert not is_only_here("https://example.org/localhost", frozenset())


def test_a_link_to_this_machine_is_not_published_for_others(tmp_path: Path) -> None:
    path = write_card(tmp_path, "lab/1.9/net", link="http://127.0.0.1:8000/net.ckpt", content=b"x")
    card = model.read(path.read_bytes())

    def look(url: str | None, **environ: str) -> tuple[str, ...]:
        current = settings.load({"HOME": str(tmp_path), "HUBTOOL_HOME": str(tmp_path), **environ}, tmp_path)
        remote = None if url is None else Remote(name="origin", url=url)
        return plan._look_at_links(Hub.open(current), card, remote)

    for url in ("https://example.org/lab/cards.git", "git@example.org:lab/cards.git"):
        with pytest.raises(PublishError, match="leads to this machine") as caught:
            look(url)
        assert "HUBTOOL_ALLOWED_HOSTS" in str(caught.value.hint)
        assert look(url, HUBTOOL_ALLOWED_HOSTS="http://127.0.0.1:8000") == ()
    for near in (None, "/srv/cards.git", "file:///srv/cards.git"):
        assert "leads to this machine" in look(near)[0]
    assert look("http://127.0.0.1:3000/lab/cards.git") == ()


def test_a_fix_is_made_for_known_links_only(tmp_path: Path) -> None:
    path = write_card(tmp_path, "lab/1.9/net", link="https://github.com/a/b/tree/main/net", content=b"x")
    assert "HT316" in {one.code for one in found_in(path)}
    _, fixed = fixes(path.read_bytes(), uid=None, hosts=frozenset(), wanted={"HT316"})
    assert fixed == []
