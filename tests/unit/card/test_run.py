"""Many cards: found, checked, remembered."""

from __future__ import annotations

import os
import sqlite3
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from hubtool.card.files import find_cards
from hubtool.card.validate import cache as caches
from hubtool.card.validate import run
from hubtool.card.validate.run import ValidateOptions, check_paths
from hubtool.card.validate.selection import Selection, check_codes, for_folders
from hubtool.errors import ArgumentError, SettingsError

if TYPE_CHECKING:
    from hubtool.card.validate.result import CardResult
    from hubtool.uid import Uid

EXAMPLES = Path(__file__).parents[2] / "examples"
CARD = (EXAMPLES / "valid" / "HT205-missing-key.md").read_bytes()
LICENCE = CARD.replace(b"Apache-2.0", b"Apache2.0")


def write(path: Path, data: bytes = CARD) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path


def codes(path: Path, options: ValidateOptions | None = None) -> list[str]:
    return [found.code for found in check_paths([path], options or ValidateOptions()).diagnostics]


def test_what_is_a_card(tmp_path: Path) -> None:
    for name in ("b.md", "a.md", "x/c.md", "README.md", "x/ReadMe.md", ".h.md", ".git/d.md", "e.txt", "f.MD"):
        write(tmp_path / name)
    assert [one.path for one in find_cards([tmp_path])] == [str(tmp_path / name) for name in ("a.md", "b.md", "x/c.md")]
    twice = find_cards([tmp_path / "x", tmp_path, tmp_path / "x" / ".." / "a.md", tmp_path / "e.txt"])
    assert [Path(one.path).name for one in twice] == ["c.md", "a.md", "b.md", "e.txt"]
    with pytest.raises(ArgumentError, match="does not exist"):
        list(find_cards([tmp_path / "absent"]))


def test_links_that_turn_in_circles(tmp_path: Path) -> None:
    write(tmp_path / "a.md")
    (tmp_path / "again").symlink_to(tmp_path, target_is_directory=True)
    (tmp_path / "self.md").symlink_to("self.md")
    (tmp_path / "gone.md").symlink_to("nowhere.md")
    report = check_paths([tmp_path])
    assert report.cards == 3
    assert [(Path(found.path).name, found.code) for found in report.diagnostics] == [
        ("gone.md", "HT101"),
        ("self.md", "HT101"),
    ]


def test_a_pipe_is_no_card(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.md")
    (found,) = check_paths([tmp_path]).diagnostics
    assert (found.code, found.line) == ("HT101", 1)
    assert "regular file" in found.message


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_what_may_not_be_read_is_said(tmp_path: Path) -> None:
    write(tmp_path / "a.md").chmod(0)
    write(tmp_path / "closed" / "b.md")
    (tmp_path / "closed").chmod(0)
    try:
        report = check_paths([tmp_path])
    finally:
        (tmp_path / "closed").chmod(0o700)
    assert sorted(Path(found.path).name for found in report.diagnostics) == ["a.md", "closed"]
    assert {found.code for found in report.diagnostics} == {"HT101"}


@pytest.mark.parametrize(
    "name", ["模型.md", "модель.md", "e\u0301.md", "a b.md", "a\nb.md", "a\x1b[31m.md", "-x.md", "🙂.md"]
)
def test_names_of_all_kinds(tmp_path: Path, name: str) -> None:
    write(tmp_path / "hub" / "1.9" / name, LICENCE)
    options = ValidateOptions(cache=tmp_path / "cache.sqlite3")
    for _ in range(2):
        (found,) = [one for one in check_paths([tmp_path / "hub"], options).diagnostics if one.code == "HT211"]
        assert found.path.isprintable()
        assert Path(found.path).parent == tmp_path / "hub" / "1.9"


def test_a_name_that_is_not_utf8(tmp_path: Path) -> None:
    name = os.fsdecode(b"\xff\xfe.md")
    try:
        write(tmp_path / name, LICENCE)
    except OSError:
        pytest.skip("this file system has UTF-8 names only")
    for _ in range(2):
        (found,) = check_paths([tmp_path], ValidateOptions(cache=tmp_path / "cache.sqlite3")).diagnostics
        found.path.encode("utf-8")


def test_a_large_file_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "large.md"
    with path.open("wb") as stream:
        stream.truncate(50 << 20)
    started = time.perf_counter()
    assert codes(path) == ["HT101"]
    assert time.perf_counter() - started < 1


@pytest.fixture
def registry(tmp_path: Path) -> Path:
    for number in range(5):
        write(
            tmp_path / "registry" / "hub" / "1.9" / f"tiny_{number}.md",
            LICENCE.replace(b"1.9/tiny", b"1.9/tiny_%d" % number),
        )
    return tmp_path / "registry"


def test_the_cache_changes_no_result(registry: Path, tmp_path: Path) -> None:
    options = ValidateOptions(cache=tmp_path / "home" / caches.FILE_NAME)
    plain = check_paths([registry])
    assert [check_paths([registry], options) for _ in range(3)] == [plain] * 3
    assert len(plain.diagnostics) == 5


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return the names of the cards that are really checked, as they are."""
    from hubtool.card.validate import check

    names: list[str] = []
    original = check.check

    def spy(data: bytes, *, path: str, uid: Uid | None, hosts: frozenset[str]) -> CardResult:
        names.append(f"{uid.name if uid else '?'}.md")
        return original(data, path=path, uid=uid, hosts=hosts)

    monkeypatch.setattr(check, "check", spy)
    return names


def test_only_what_changed_is_checked(registry: Path, tmp_path: Path, seen: list[str]) -> None:
    options = ValidateOptions(cache=tmp_path / caches.FILE_NAME)
    check_paths([registry], options)
    assert len(seen) == 5
    del seen[:]
    check_paths([registry], options)
    assert seen == []
    # As long, and within the same tick of the clock: only the bytes tell.
    path = registry / "hub" / "1.9" / "tiny_2.md"
    status = path.stat()
    write(path, path.read_bytes().replace(b"Apache2.0", b"Apache9.0"))
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    report = check_paths([registry], options)
    assert seen == ["tiny_2.md"]
    assert [found.message for found in report.diagnostics if "9.0" in found.message]
    # Touched, and not changed.
    del seen[:]
    (registry / "hub" / "1.9" / "tiny_3.md").touch()
    check_paths([registry], options)
    assert seen == []
    # Older than the last check by more than any clock's tick: the status is enough.
    for one in registry.rglob("*.md"):
        os.utime(one, ns=(0, time.time_ns() - 10**11))
    check_paths([registry], options)
    assert seen == []


def test_another_state_of_the_rules_empties_the_cache(
    registry: Path, tmp_path: Path, seen: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    options = ValidateOptions(cache=tmp_path / caches.FILE_NAME)
    check_paths([registry], options)
    monkeypatch.setattr(caches, "rules_key", lambda: "another")
    check_paths([registry], options)
    check_paths([registry], ValidateOptions(cache=options.cache, hosts=frozenset({"x.example"})))
    assert len(seen) == 15


@pytest.mark.parametrize("content", [b"", b"not a database", b"SQLite format 3\0" + b"x" * 5000])
def test_a_broken_cache_is_replaced(registry: Path, tmp_path: Path, content: bytes) -> None:
    path = tmp_path / caches.FILE_NAME
    path.write_bytes(content)
    expected = check_paths([registry])
    for _ in range(3):
        assert check_paths([registry], ValidateOptions(cache=path)) == expected
    assert sqlite3.connect(path).execute("SELECT count(*) FROM cards").fetchone() == (5,)


def test_a_cache_that_cannot_be_written_is_done_without(registry: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    assert check_paths([registry], ValidateOptions(cache=tmp_path / "file" / "cache")) == check_paths([registry])


def test_a_locked_cache_is_done_without(registry: Path, tmp_path: Path) -> None:
    path = tmp_path / caches.FILE_NAME
    check_paths([registry], ValidateOptions(cache=path))
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    assert check_paths([registry], ValidateOptions(cache=path)) == check_paths([registry])
    other.execute("ROLLBACK")
    other.close()


def test_processes_find_the_same(tmp_path: Path) -> None:
    for number in range(600):
        write(tmp_path / "hub" / "1.9" / f"tiny_{number:03}.md", LICENCE if number % 7 else b"\xff")
    alone = check_paths([tmp_path])
    assert check_paths([tmp_path], ValidateOptions(jobs=2)) == alone
    assert check_paths([tmp_path], ValidateOptions(jobs=2, cache=tmp_path / "cache.sqlite3")) == alone
    assert len(alone.diagnostics) > 600
    fixed = list(run.fix_paths([tmp_path], ValidateOptions(jobs=2), write=True))
    assert len(fixed) == 600 - 86
    assert list(run.fix_paths([tmp_path], ValidateOptions(jobs=2), write=True)) == []


def test_select_and_ignore(registry: Path) -> None:
    write(registry / "hub" / "1.9" / "bad.md", b"# t\n")

    def found(**selection: tuple[str, ...]) -> set[str]:
        return set(codes(registry, ValidateOptions(selection=Selection(**selection))))  # type: ignore[arg-type]  # select and ignore only

    assert found() == {"HT104", "HT211"}
    assert found(select=("HT2",)) == {"HT211"}
    assert found(ignore=("HT211",)) == {"HT104"}
    assert found(select=("HT",), ignore=("HT1", "HT2")) == set()


def test_codes_are_those_of_rules() -> None:
    assert check_codes(["ht211", " HT3 ", ""], "here") == ("HT211", "HT3")
    with pytest.raises(ArgumentError, match="here: no rule has the code 'HT999'"):
        check_codes(["HT999"], "here")


def test_settings_of_the_registry(registry: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    write(registry / "hub" / "1.8" / "bad.md", b"# t\n")

    def found(text: str) -> set[str]:
        (registry / "hubtool.toml").write_text(text)
        return set(codes(registry, ValidateOptions(selection=Selection(folders=for_folders([registry], all_of=False)))))

    assert found("") == {"HT104", "HT211"}
    assert found('[validate]\nignore = ["HT2"]\n') == {"HT104"}
    assert found('[validate]\nselect = ["HT2"]\n') == {"HT211"}
    assert found('[validate.folders]\n"hub/1.8" = ["HT1"]\n') == {"HT211"}
    assert found('[validate.folders]\n"hub/1" = ["HT"]\n') == {"HT104", "HT211"}
    with pytest.raises(SettingsError, match=r"'validate\.select' is 3"):
        found("[validate]\nselect = 3\n")
    with pytest.raises(SettingsError) as caught:
        found("[validate]\nselct = []\n")
    assert caught.value.hint == "did you mean 'select'?"
    with pytest.raises(ArgumentError, match="no rule has the code 'HTX'"):
        found('[validate]\nignore = ["HTX"]\n')


def test_suppression(tmp_path: Path) -> None:
    path = tmp_path / "a.md"
    assert codes(write(path, LICENCE)) == ["HT211"]
    assert codes(write(path, b"<!-- hubtool: ignore HT211 -->\n" + LICENCE)) == []
    assert codes(write(path, LICENCE + b"\n<!-- hubtool: ignore HT1, HT2 -->\n")) == []
    assert codes(write(path, b"<!-- hubtool: ignore HT3 -->\n" + LICENCE)) == ["HT211"]
    link = b"\n[x](nowhere.md)\n"
    assert codes(write(path, CARD + link)) == ["HT404"]
    assert codes(write(path, CARD + b"<!-- hubtool: ignore HT404 -->\n" + link)) == []
    assert codes(write(path, CARD + b"<!-- hubtool: ignore-next HT404 -->\n" + link)) == []
    assert codes(write(path, CARD + b"<!-- hubtool: ignore-next HT404 -->\n" + link + link)) == ["HT404"]
    assert codes(write(path, CARD + b"\n<!-- hubtool: ignore-next HT405 -->\n#### Deep\n")) == []
    assert codes(write(path, CARD + b"\n<!-- hubtool: ignore -->\n")) == ["HT113"]


def test_a_hundred_findings_of_a_rule_are_enough(tmp_path: Path) -> None:
    data = CARD.replace(b"license:", b"".join(b"key-%d: 1\n" % number for number in range(3000)) + b"license:")
    assert len(codes(write(tmp_path / "a.md", data))) == 100
