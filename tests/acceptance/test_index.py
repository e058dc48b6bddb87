"""The index, and what answers from it: list, search, show, completion, and hub_list of the drop-in."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import mindspore_hub
from hubtool.errors import StoreError
from hubtool.registry import FolderRegistry
from hubtool.registry import index_file as indexes
from hubtool.registry.index import CardFilter, SearchIndex
from hubtool.uid import Uid
from tests.support.cards import write_card

if TYPE_CHECKING:
    from hubtool.registry.entry import CardEntry
    from tests.support.cli import Cli

LINK = "https://download.mindspore.cn/models/model.ckpt"
ROOT = Path(__file__).parents[2]
NER = "bertfinetune_bilstmcrf_chinesener"


def _card(root: Path, uid: str, *, age: float = 10, **changes: str) -> Path:
    """Write a card; it looks as if it had been there for some seconds."""
    path = write_card(root, uid, link=LINK, content=b"content")
    text = path.read_text(encoding="utf-8")
    for key, value in changes.items():
        line = f"{key.replace('_', '-')}: "
        start = text.find(f"\n{line}") + 1
        if start:
            text = text[:start] + line + value + text[text.index("\n", start) :]
        else:
            text = text.replace("license:", f"{line}{value}\nlicense:", 1)
    path.write_text(text, encoding="utf-8")
    os.utime(path, (time.time() - age,) * 2)
    return path


def _uids(done: object) -> list[str]:
    assert isinstance(done, list)
    return [one["uid"] for one in done]


@pytest.fixture
def cards(cli: Cli) -> Cli:
    """Return a command line with some cards of different kinds."""
    _card(
        cli.registry,
        "mindspore/1.9/resnet50_imagenet2012",
        module_type="cv",
        train_dataset="ImageNet2012",
        model_name="resnet50",
    )
    _card(
        cli.registry,
        "mindspore/1.10/resnet50_imagenet2012",
        module_type="cv",
        train_dataset="ImageNet2012",
        model_name="resnet50",
    )
    _card(
        cli.registry,
        "mindspore/1.9/ssdresnet50_coco2017",
        module_type="cv-object_detection",
        train_dataset="COCO2017",
        model_name="ssd_resnet50",
    )
    _card(
        cli.registry,
        "mindspore/1.9/crnn_icdar",
        module_type="cv-scene_text_recognition",
        train_dataset="ICDAR2013_SCUT-FORU",
        model_name="crnn",
    )
    _card(
        cli.registry,
        "mindspore/1.9/bertfinetune_bilstmcrf_chinesener",
        module_type="nlp",
        train_dataset="ChineseNER",
        summary="Finds named entities.",
        model_name="bert",
    )
    _card(
        cli.registry,
        "huawei/1.9/fanyi",
        module_type="nlp-machine_translation",
        summary="中文到英文的翻译模型。",
        model_name="翻译",
    )
    return cli  # fmt: skip


# -- list -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "names"),
    [
        ([], {"resnet50_imagenet2012", "ssdresnet50_coco2017", "crnn_icdar", NER, "fanyi"}),
        (["--task", "cv"], {"resnet50_imagenet2012", "ssdresnet50_coco2017", "crnn_icdar"}),
        (["--task", "CV-Object-Detection"], {"ssdresnet50_coco2017"}),
        (["--task", "object-detection"], {"ssdresnet50_coco2017"}),
        (["--task", "image classification"], {"resnet50_imagenet2012"}),
        (["--task", "机器翻译"], {"fanyi"}),
        (["--task", "image-to-text"], {"crnn_icdar"}),
        (["--task", "c"], set()),
        (["--dataset", "imagenet"], {"resnet50_imagenet2012"}),
        (["--dataset", "icdar2013"], {"crnn_icdar"}),
        (["--dataset", "SCUT_FORU"], {"crnn_icdar"}),
        (["--dataset", "%"], set()),
        (["--version", "1.10"], {"resnet50_imagenet2012"}),
        (["--version", "r1.10"], {"resnet50_imagenet2012"}),
        (["--version", "1.1"], set()),
        (["--publisher", "huawei"], {"fanyi"}),
        (["--format", ".ckpt", "--publisher", "huawei"], {"fanyi"}),
        (["--format", "mindir"], set()),
        (["--task", "nlp", "--publisher", "mindspore"], {NER}),
    ],
)  # fmt: skip
def test_list_filters(cards: Cli, options: list[str], names: set[str]) -> None:
    done = cards("list", "--json", *options)
    assert done.code == 0
    uids = _uids(done.json)
    assert {uid.rpartition("/")[2] for uid in uids} == names


def test_list_says_what_was_perhaps_meant(cards: Cli) -> None:
    done = cards("list", "--task", "cv-object_detektion")
    assert (done.code, done.out) == (0, "")
    assert "did you mean --task cv-object_detection?" in done.err
    assert "did you mean --dataset 'ImageNet2012'?" in cards("list", "--dataset", "imagenett2012").err


def test_list_of_loadable_cards(cards: Cli) -> None:
    path = cards.registry / "mindspore/1.9/crnn_icdar.md"
    text = path.read_text()
    start = text.index("network:")
    path.write_text(text[:start] + text[text.index("license:") :])
    uids = _uids(cards("list", "--loadable", "--json").json)
    assert len(uids) == 5
    assert "mindspore/1.9/crnn_icdar" not in uids


# -- search -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "first"),
    [
        (
            "resnet50",
            "mindspore/1.10/resnet50_imagenet2012",
        ),  # the model itself before what is built on it, newest first
        ("RESNET50 1.9", "mindspore/1.9/resnet50_imagenet2012"),
        ("ssd resnet", "mindspore/1.9/ssdresnet50_coco2017"),
        ("ner", "mindspore/1.9/bertfinetune_bilstmcrf_chinesener"),  # within chinesener
        ("crf chinese", "mindspore/1.9/bertfinetune_bilstmcrf_chinesener"),
        ("entities", "mindspore/1.9/bertfinetune_bilstmcrf_chinesener"),
        ("命名实体识别", "mindspore/1.9/bertfinetune_bilstmcrf_chinesener"),
        ("目标检测", "mindspore/1.9/ssdresnet50_coco2017"),
        ("翻译", "huawei/1.9/fanyi"),
        ("译", "huawei/1.9/fanyi"),
        ("英文的", "huawei/1.9/fanyi"),
        ("object detection", "mindspore/1.9/ssdresnet50_coco2017"),
        ("scut-foru", "mindspore/1.9/crnn_icdar"),
        ("huawei/1.9/fan", "huawei/1.9/fanyi"),
    ],
)
def test_search_finds(cards: Cli, words: str, first: str) -> None:
    done = cards("search", *words.split(), "--json")
    assert done.code == 0
    assert _uids(done.json)[:1] == [first]


@pytest.mark.parametrize(
    "words",
    ["absent", "文英", '"', "*", "AND", "OR(q q)", "exact:x", "-", "' OR 7=7 --", "^q"],
)
def test_search_finds_nothing_and_reads_no_query_language(cards: Cli, words: str) -> None:
    done = cards("search", "--json", "--", words)
    assert done.code == 0
    assert done.json == []
    assert "hint: " in done.err


def test_search_shows_a_model_once_and_says_what_it_left_out(cards: Cli) -> None:
    done = cards("search", "resnet50", "absent")
    assert done.out.splitlines()[0].startswith("mindspore/1.10/resnet50_imagenet2012  image-classification  ")
    assert done.out.splitlines()[0].endswith("(2 versions: 1.9, 1.10)")
    assert done.out.count("/resnet50_imagenet2012") == 1
    assert "left out: 'absent'" in done.err
    lines = cards("search", "resnet50_imagenet2012", "--all-versions").out.splitlines()
    assert [line.split()[0].split("/")[1] for line in lines] == ["1.10", "1.9"]
    (one,) = cards("search", "resnet50_imagenet2012", "--json").json
    assert one["versions"] == ["mindspore/1.10/resnet50_imagenet2012", "mindspore/1.9/resnet50_imagenet2012"]
    assert "1 of 4 models" in cards("search", "mindspore", "--limit", "1").err


def test_list_shows_a_model_once_and_versions_in_their_order(cards: Cli) -> None:
    lines = cards("list", "--dataset", "imagenet").out.splitlines()
    assert len(lines) == 1
    assert lines[0].endswith("ImageNet2012  (2 versions: 1.9, 1.10)")
    lines = cards("list", "--dataset", "imagenet", "--all-versions").out.splitlines()
    assert [line.split()[0].split("/")[1] for line in lines] == ["1.10", "1.9"]
    assert "1.9, 1.10" in cards("list", "--version", "7").err


def test_search_prints_lines(cards: Cli) -> None:
    done = cards("search", "fanyi")
    assert done.out.startswith("huawei/1.9/fanyi  translation  中文到英文")
    assert cards("search").code == 2


# -- show -------------------------------------------------------------------------------------------------------------


def test_show_is_plain_where_there_is_no_terminal(cards: Cli) -> None:
    uid = "mindspore/1.9/resnet50_imagenet2012"
    done = cards("show", uid)
    assert done.code == 0
    assert "\x1b" not in done.out
    assert "## Introduction" in done.out
    assert f'network = mshub.load("{uid}")' in done.out
    value = cards("show", uid, "--json").json
    assert value["front_matter"]["mindspore-version"] == "1.9"
    assert value["title"] == "resnet50_imagenet2012"
    assert value["others"] == []
    assert "## Usage" in value["body"]
    absent = cards("show", "mindspore/1.9/resnet51_imagenet2012")
    assert absent.code == 1
    assert f"did you mean {uid}" in absent.err


def test_a_short_name_is_the_newest_version(cards: Cli) -> None:
    newest, oldest = "mindspore/1.10/wide_and_deep", "mindspore/1.9/wide_and_deep"
    for uid in (newest, oldest):
        _card(cards.registry, uid)
    done = cards("show", "Wide_and_DEEP", "--json")
    assert done.code == 0
    assert done.json["uid"] == newest
    assert done.err == f"Wide_and_DEEP is {newest}, the newest of 2\n"
    for command in ("fetch", "load", "resolve", "lock", "inspect"):
        refused = cards(command, "wide_and_deep")
        assert refused.code == 2, command
        assert f"did you mean {newest}? (2 of this name)" in refused.err
    assert "its publisher and version are missing" in cards("show", "no_such_name").err
    for near in ("wide", "Wide-and", "wide_an_deep"):
        for command in ("show", "load"):
            refused = cards(command, near)
            assert refused.code == 2, command
            assert f"hint: did you mean {newest}? To find more: hubtool search {near}" in refused.err
    found = cards("resolve", "mindspore/wide_and_deep").err
    assert f"it has 2 parts\nhint: did you mean {newest}? (2 of this name)" in found
    assert "; to find models: hubtool search" in cards("show", "残差网络").err
    assert "\nhint: to find models: hubtool search con\n" in cards("show", "mindspore/1.9/con").err
    other = "huawei/99.0/Wide_and_Deep"
    _card(cards.registry, other)
    refused = cards("show", "wide_and_deep")
    assert refused.code == 2
    assert f"is a model of 2 publishers\nhint: say which: {other}, {newest}" in refused.err
    _card(cards.registry, other, status="withdrawn")
    assert cards("show", "wide_and_deep", "--json").json["uid"] == newest


def test_show_at_a_terminal_lays_the_card_out_and_lets_nobody_steer_it(cards: Cli) -> None:
    pty = pytest.importorskip("pty", reason="pseudo-terminals are POSIX's")
    path = _card(cards.registry, "mindspore/1.9/evil", summary='"a \\e]0;title\\a b"')
    path.write_text(path.read_text() + "\n| a | b |\n| - | - |\n| 1 | 2 |\n\nEvil: \x1b[2J\x9b31m.\n", encoding="utf-8")
    parent, child = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "hubtool", "show", "mindspore/1.9/evil"],
        env={**cards.environ, "TERM": "xterm", "COLUMNS": "100"},
        stdout=child,
        stderr=child,
    )
    os.close(child)
    blocks = []
    while True:
        try:
            block = os.read(parent, 1 << 16)
        except OSError:
            break  # Linux' way to say that the other side has closed
        if not block:
            break
        blocks.append(block)
    os.close(parent)
    assert process.wait(timeout=60) == 0
    out = b"".join(blocks).decode("utf-8")
    assert "\x1b[" in out  # there are styles
    assert "## Introduction" not in out
    assert "Introduction" in out
    assert "| - | - |" not in out  # the table is drawn
    for steering in ("\x1b[2J", "\x1b]0;", "\x9b"):
        assert steering not in out


# -- the file ---------------------------------------------------------------------------------------------------------


def _open(cli: Cli, **more: bool) -> SearchIndex:
    return SearchIndex.open(cli.home, [FolderRegistry(cli.registry)], **more)


def test_changes_are_seen_and_what_did_not_change_is_not_read_again(
    cards: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[str] = []
    entries = FolderRegistry.entries

    def counted(self: FolderRegistry, group: str) -> list[CardEntry]:
        read.append(group)
        return entries(self, group)

    monkeypatch.setattr(FolderRegistry, "entries", counted)
    _open(cards).close()
    assert len(read) == 6
    file = indexes.file(cards.home)
    inode = file.stat().st_ino
    read.clear()
    _open(cards).close()
    assert read == []
    assert file.stat().st_ino == inode
    _card(cards.registry, "mindspore/1.9/crnn_icdar", module_type="audio", age=9)
    (cards.registry / "huawei/1.9/fanyi.md").unlink()
    _card(cards.registry, "mindspore/1.9/new")
    with _open(cards) as index:
        assert index.uids(CardFilter(task="audio")) == ["mindspore/1.9/crnn_icdar"]
        assert not index.search("scene text recognition")  # the old facts are not found any more
        assert not index.search("翻译")
        assert len(index.uids()) == 6
    assert sorted(read) == ["mindspore/1.9/crnn_icdar", "mindspore/1.9/new"]
    # Touched but not changed: read, found to be the same, and nothing else.
    read.clear()
    os.utime(cards.registry / "mindspore/1.9/new.md", (1, 1))
    _open(cards).close()
    _open(cards).close()
    assert read == ["mindspore/1.9/new"]


def test_a_card_changed_twice_within_one_tick_of_the_clock_is_seen(cards: Cli) -> None:
    path = _card(cards.registry, "mindspore/1.9/new", module_type="rl", age=0)
    stat = path.stat()
    with _open(cards) as index:
        assert index.uids(CardFilter(task="rl")) == ["mindspore/1.9/new"]
    text = path.read_text().replace("module-type: rl", "module-type: mm")
    path.write_text(text)  # the same size
    os.utime(path, ns=(stat.st_mtime_ns, stat.st_mtime_ns))
    with _open(cards) as index:
        assert index.uids(CardFilter(task="mm")) == ["mindspore/1.9/new"]


def test_of_two_registries_the_first_decides_also_where_it_does_not_match(cards: Cli) -> None:
    later = cards.folder / "later"
    _card(later, "mindspore/1.9/crnn_icdar", module_type="audio")
    _card(later, "mindspore/1.9/only", module_type="audio")
    registries = [FolderRegistry(cards.registry), FolderRegistry(later, "later")]
    with SearchIndex.open(cards.home, registries) as index:
        assert index.uids(CardFilter(task="audio")) == ["mindspore/1.9/only"]
        assert [model.uid for model in index.search("audio")] == ["mindspore/1.9/only"]
        assert [(one.uid, one.other) for one in index.conflicts()] == [("mindspore/1.9/crnn_icdar", "later")]
        assert len(index.uids()) == 7
    with SearchIndex.open(cards.home, registries[::-1]) as index:
        assert len(index.uids(CardFilter(task="audio"))) == 2


@pytest.mark.parametrize(
    "damage",
    [b"", b"garbage", b"SQLite format 3\0" + bytes(100)],
    ids=["empty", "garbage", "header"],
)
def test_a_damaged_index_is_made_anew(cards: Cli, damage: bytes) -> None:
    _open(cards).close()
    indexes.file(cards.home).write_bytes(damage)
    with _open(cards) as index:
        assert len(index.uids()) == 6
    assert sqlite3.connect(indexes.file(cards.home)).execute("PRAGMA integrity_check").fetchone() == ("ok",)


def test_an_index_damaged_within_is_made_anew_or_named(cards: Cli) -> None:
    _open(cards).close()
    good = indexes.file(cards.home).read_bytes()
    for page in range(1, len(good) // 4096):
        indexes.file(cards.home).write_bytes(good[: page * 4096] + b"\xff" * 4096 + good[(page + 1) * 4096 :])
        try:
            with _open(cards) as index:
                index.uids()
                index.search("resnet")
        except StoreError:
            pass  # a page that only this question needed
        _card(cards.registry, "mindspore/1.9/crnn_icdar", age=10 + page)


def test_an_index_of_another_schema_is_left_alone(cards: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    _open(cards).close()
    old = indexes.file(cards.home)
    monkeypatch.setattr(indexes, "SCHEMA", indexes.SCHEMA + 1)
    with _open(cards) as index:
        assert len(index.uids()) == 6
    assert old.is_file()
    assert indexes.file(cards.home) != old
    # A file of this name with another schema inside is made anew.
    indexes.file(cards.home).write_bytes(old.read_bytes())
    with _open(cards) as index:
        assert len(index.uids()) == 6


def test_a_home_that_cannot_be_written_breaks_nothing(cards: Cli) -> None:
    blocked = cards.folder / "file"
    blocked.write_text("not a folder")
    cards.environ["HUBTOOL_HOME"] = str(blocked / "home")
    assert len(cards("list", "--json").json) == 6
    assert len(cards("search", "resnet50", "--all-versions", "--json").json) == 3
    assert cards("resolve", "mindspore/1.9/crnn_icdar").code == 0
    assert "did you mean" in cards("resolve", "mindspore/1.9/crnn_icdra").err
    assert blocked.read_text() == "not a folder"


def test_a_full_disk_breaks_nothing(cards: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    update = indexes._update

    def full(connection: sqlite3.Connection, registries: object, *, fresh: bool) -> bool:
        if connection.execute("PRAGMA database_list").fetchone()[2]:
            connection.execute("PRAGMA max_page_count = 2")  # what SQLite says then is what it says of a full disk
        return update(connection, registries, fresh=fresh)  # type: ignore[arg-type] # passed through

    monkeypatch.setattr(indexes, "_update", full)
    with _open(cards) as index:
        assert len(index.uids()) == 6
    assert not indexes.file(cards.home).exists()
    assert not list(indexes.file(cards.home).parent.glob("*.part"))


def test_many_processes_start_at_once(cards: Cli) -> None:
    for number in range(200):
        _card(cards.registry, f"tests/1.9/model{number}")
    with ThreadPoolExecutor(8) as pool:
        done = list(pool.map(lambda _: cards("list", "--json"), range(8)))
    assert [one.code for one in done] == [0] * 8
    assert {len(one.json) for one in done} == {206}
    assert not list((cards.home / "index").glob("*.part"))


def test_a_killed_writer_leaves_nothing_that_anybody_reads(cards: Cli) -> None:
    for number in range(400):
        _card(cards.registry, f"tests/1.9/model{number}")
    for instant in range(6):
        process = subprocess.Popen(
            [sys.executable, "-m", "hubtool", "list", "--json"],
            env=cards.environ,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        time.sleep(0.15 + 0.1 * instant)
        process.send_signal(signal.SIGKILL)
        process.wait()
        path = indexes.file(cards.home)
        if path.is_file():
            assert sqlite3.connect(path).execute("SELECT count(*) FROM card").fetchone() == (406,)
            path.unlink()
    assert len(cards("list", "--json").json) == 406


def test_readers_are_not_disturbed_by_a_writer(cards: Cli) -> None:
    with _open(cards) as reader:
        for turn in range(5):
            _card(cards.registry, f"tests/1.9/model{turn}")
            with _open(cards) as writer:
                assert len(writer.uids()) == 7 + turn
            assert len(reader.uids()) == 6
            assert len(reader.search("resnet50", versions=True)) == 3


def test_a_card_that_cannot_be_read_is_listed_by_its_uid(cards: Cli) -> None:
    path = cards.registry / "tests/1.9/broken.md"
    path.parent.mkdir(parents=True)
    path.write_bytes(b"\xff\xfe no card")
    (path.parent / "not a uid.md").write_text("x")
    (path.parent / "loop.md").symlink_to(path.parent / "loop.md")
    (path.parent / "out.md").symlink_to("/etc/passwd")
    assert "tests/1.9/broken" in _uids(cards("list", "--json").json)
    assert len(cards("list", "--json").json) == 7


# -- the drop-in, completion, close matches ---------------------------------------------------------------------------


def test_hub_list_answers_from_the_index(environment: Cli) -> None:
    _card(environment.registry, "mindspore/1.9/a")
    _card(environment.registry, "mindspore/1.10/b")
    assert mindspore_hub.hub_list() == ["mindspore/1.9/a", "mindspore/1.10/b"]
    assert mindspore_hub.hub_list("r1.9") == ["mindspore/1.9/a"]
    assert indexes.file(environment.home).is_file()


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_shells_complete_uids(cards: Cli, shell: str) -> None:
    cards("list")
    for typed, expected in (
        ("mindspore/1.9/res", ["mindspore/1.9/resnet50_imagenet2012"]),
        ("fan", ["huawei/1.9/fanyi"]),
        ("nothing", []),
    ):
        done = cards(
            _HUBTOOL_COMPLETE=f"{shell}_complete",
            COMP_WORDS=f"hubtool resolve {typed}",
            COMP_CWORD=typed if shell == "fish" else "2",
        )
        assert done.err == ""
        assert [word for word in done.out.replace(",", "\n").split("\n") if "/" in word] == expected
    assert "hubtool" in cards(_HUBTOOL_COMPLETE=f"{shell}_source").out


def test_completion_is_silent_where_settings_are_wrong(cards: Cli) -> None:
    (cards.folder / "hubtool.toml").write_text("nonsense")
    done = cards(_HUBTOOL_COMPLETE="bash_complete", COMP_WORDS="hubtool show m", COMP_CWORD="2")
    assert (done.out.strip(), done.err) == ("", "")


def test_close_matches_come_from_the_index_where_there_is_one(cards: Cli) -> None:
    before = cards("resolve", "mindspore/1.9/resnet50_imagnet2012").err
    cards("list")
    assert indexes.file(cards.home).is_file()
    after = cards("resolve", "mindspore/1.9/resnet50_imagnet2012").err
    assert "did you mean mindspore/1.9/resnet50_imagenet2012" in before
    assert "did you mean mindspore/1.9/resnet50_imagenet2012" in after
    with _open(cards) as index:
        assert index.near("mindspore/1.9/crnn")[0] == "mindspore/1.9/crnn_icdar"
        assert index.near("??") == []


def test_entries_survive_json() -> None:
    registry = FolderRegistry(ROOT / "registry")
    uid = "mindspore/1.9/bertfinetune_bilstmcrf_chinesener"
    (entry,) = registry.entries(uid)
    assert type(entry).of_json(entry.as_published()) == entry
    assert entry.loadable
    assert entry.digest == registry.digest(Uid.parse(uid))
