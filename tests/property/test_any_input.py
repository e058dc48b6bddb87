"""Whatever files of state, settings and arguments hold: hubtool's own error or an answer, and no other exception."""

from __future__ import annotations

import importlib
import json
import os
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from hubtool import approval
from hubtool import settings as configuration
from hubtool.card.repo_link import parse_repo_link
from hubtool.cli import app
from hubtool.errors import HubError
from hubtool.links import AllowedLink, LinkPolicy, host_entry
from hubtool.lockfile import lockfile
from hubtool.mirror import index as mirror_index
from hubtool.registry import git, sources
from hubtool.registry.index import SearchIndex
from hubtool.resolution import trust
from hubtool.uid import Uid
from tests.support.cards import write_local
from tests.support.checkpoints import SMALL, ckpt

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import click

UID = "tests/1.9/net"
DEEP_TOML = b"a = " + b"[" * 100_000
DEEP_TABLE = b".".join([b"a"] * 50_000) + b" = 1"
DEEP_JSON = b'{"a":' * 100_000
TOML = (
    *(
        "offline = true",
        "home = 3",
        "[validate]",
        "select = ['HT1']",
        "registry = '.'",
        "allowed-hosts = [1]",
        "[[card]]",
    ),
    *("[[registry]]", "name = 'a'", "source = 'https://[x'", "kind = 'git'", "trusted = ['a/b/c']", "version = 1"),
    *("[[card.asset]]", "size = -1", "sha256 = 'x'", "uid = 'a/b'", "mirrors = ['s3://']", "[code]", "a = nan"),
)
toml_texts = st.lists(st.sampled_from(TOML) | st.text(max_size=20), max_size=12)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["tree", "cards", "serial"]), inner),
    max_leaves=8,
)
any_state = (
    st.binary(max_size=200)
    | toml_texts.map(lambda lines: "\n".join(lines).encode("utf-8", "surrogatepass"))
    | json_values.map(lambda value: json.dumps(value).encode())
)


def ours(call: Callable[[], object]) -> None:
    """Call something that may raise hubtool's own errors only."""
    with suppress(HubError):
        call()


def _open_index(folder: Path) -> None:
    with SearchIndex.open(folder, ()):
        pass


READERS: dict[str, tuple[str, Callable[[Path], Callable[[], object]]]] = {
    "the user's settings": ("config/hubtool/hubtool.toml", lambda _: configuration.load),
    "the project's settings": ("hubtool.toml", lambda _: configuration.load),
    "the list of registries": ("config/hubtool/registries.toml", lambda path: lambda: sources.load(path)),
    "the trust list": ("config/hubtool/trust.json", lambda path: lambda: trust.read(path)),
    "the approvals": ("config/hubtool/approved.json", lambda path: lambda: approval.read(path)),
    "a lock": ("hub.lock", lambda path: lambda: lockfile.read(path)),
    "the state of a repository": ("state.json", lambda path: lambda: git.synced(path.parent)),
    "the cards that went": ("gone.json", lambda path: lambda: git._gone(path.parent)),
    "the index of a mirror": ("index.json", lambda path: lambda: mirror_index.parse(path.read_bytes(), "it")),
    "the index of the cards": ("home/index.sqlite", lambda path: lambda: _open_index(path.parent)),
}


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a folder in which a command works, with a registry of one card."""
    for name in [name for name in os.environ if name.startswith("HUBTOOL_")]:
        monkeypatch.delenv(name)
    write_local(tmp_path / "registry", UID, ckpt(SMALL))
    for name, value in {
        "HUBTOOL_HOME": tmp_path / "home",
        "HUBTOOL_REGISTRY": tmp_path / "registry",
        "HUBTOOL_OFFLINE": "1",
        "XDG_CONFIG_HOME": tmp_path / "config",
    }.items():
        monkeypatch.setenv(name, str(value))
    monkeypatch.chdir(tmp_path)
    return tmp_path


FEW = settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.mark.parametrize("name", READERS)
@FEW
@example(data=DEEP_TOML)
@example(data=DEEP_TABLE)
@example(data=DEEP_JSON)
@example(data=b"\xff\xfe")
@example(data=b"a = 1\na = 2\n\0")
@given(data=any_state)
def test_any_bytes_in_a_file_of_state(place: Path, name: str, data: bytes) -> None:
    file, reader = READERS[name]
    path = place / file
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    path.chmod(0o600)
    ours(reader(path))


schemes = st.sampled_from(["https://", "http://", "s3://", "ssh://", "file:", "git+"])
any_link = st.text(max_size=60) | st.tuples(schemes, st.text("ab/.:@[]%?#\\ 0-é", max_size=30)).map("".join)


@FEW
@example(text="https://[bad")
@example(text="https://h/%252e%252e%252f")
@example(text="file:host/x")
@example(text="\ud800")
@example(text="~0")
@given(
    text=st.text(max_size=60)
    | st.tuples(
        st.sampled_from(["https://", "http://", "s3://", "ssh://", "file:", "git+"]),
        st.text("ab/.:@[]%?#\\ 0-é", max_size=30),
    ).map("".join)
)
def test_any_link(text: str) -> None:
    for read in (
        LinkPolicy().check,
        lambda link: LinkPolicy().follow(AllowedLink.of("https://download.mindspore.cn/a"), link),
        host_entry,
        parse_repo_link,
        lambda link: sources.parse("a", link),
        Uid.parse,
        trust.parse_entry,
        lambda link: LinkPolicy.allowing(more=[link]),
    ):
        ours(lambda read=read: read(text))  # type: ignore[misc] # bound now


# -- arguments ---------------------------------------------------------------------------------------------------------

# Surrogates are left to tests with processes; no shell passes null characters. None of these serves, publishes, runs
# code of a card or goes to the network.
SAFE = (
    *("validate", "fmt", "preview", "rule", "list", "search", "show", "resolve", "inspect", "fetch", "lock", "sync"),
    *("diff", "cache", "doctor", "trust", "settings", "new", "registry", "export", "load", "deprecate", "withdraw"),
)
WORDS = (
    *(UID, "registry", f"registry/{UID}.md", "hub.lock", ".", "--", "", "a/b", "*", "a/1/b/c/d", "lab/1.0/x", "="),
    *("https://[bad", "0", "-1", "1e9", "x\x1b[31m", "n" * 300, "é", "--json", "--help"),
    *("ls", "add", "a=b"),
)
words = st.sampled_from(WORDS) | st.text("ab/.-=:*[]\\é ", max_size=12).filter(
    lambda text: not text.startswith(("/", "~"))
)


def _options(command: click.Command) -> list[str]:
    found = [name for parameter in command.params for name in getattr(parameter, "opts", ()) if name.startswith("--")]
    for name in getattr(command, "commands", {}):
        found += [name, *_options(command.commands[name])]  # type: ignore[attr-defined] # a group
    return found


@pytest.mark.usefixtures("place")
@pytest.mark.parametrize("command", SAFE)
@settings(FEW)
@given(data=st.data())
def test_any_arguments(command: str, capsys: pytest.CaptureFixture[str], data: st.DataObject) -> None:
    options = _options(importlib.import_module(app.COMMANDS[command][0]).command)
    arguments = data.draw(st.lists(words | st.sampled_from(options or ["--json"]), max_size=5))
    # Standard input would be waited for, and MindSpore takes seconds.
    if command in ("load", "export"):
        arguments = ["lab/1.0/absent", *arguments]
    arguments = [one for one in arguments if one not in ("-", "--debug", "--device")]
    code = app.run([command, *arguments])
    said: Any = capsys.readouterr()
    assert code in (0, 1, 2), ascii(said.err)
    assert "a fault of hubtool" not in said.err, ascii(said.err)
    assert "Traceback" not in said.out + said.err


def test_an_empty_path_is_named(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Found by the test above: it was taken for the current folder."""
    for arguments in (["export", UID, ""], ["inspect", UID, "-o", ""], ["lock", UID, "-o", ""], ["new", UID, "-o", ""]):
        code = app.run(arguments)
        said = capsys.readouterr().err
        assert code == 2, said
        assert "a fault of hubtool" not in said
    assert "an empty text is not a path" in said
    assert not (place / "hub.lock").exists()
