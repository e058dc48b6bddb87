"""The command line without MindSpore: what it prints, and with which code it exits."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support.cards import write_card, write_local
from tests.support.checkpoints import ckpt, filled
from tests.support.server import serving

if TYPE_CHECKING:
    from tests.support.cli import Cli

UID = "tests/1.9/model"
CONTENT = ckpt([filled("a.weight", (3, 4)), filled("a.bias", (3,))])


def test_resolve_says_everything_and_touches_no_network(cli: Cli) -> None:
    write_local(cli.registry, UID, CONTENT)
    done = cli("resolve", UID, "--json", HUBTOOL_OFFLINE="1")
    assert done.code == 0
    assert set(done.json) == {
        "uid", "card", "assets", "network", "requires", "device", "consent", "fit", "loadable", "reasons",
    }  # fmt: skip
    assert done.json["uid"] == UID
    assert done.json["loadable"] is True
    assert done.json["reasons"] == []
    assert done.json["device"] in ("CPU", "Ascend")
    assert done.json["network"]["entry"] == "bert"
    asset = done.json["assets"][0]
    assert asset["weights"] is True
    assert asset["stored"] == str(cli.registry / "tests/1.9/model/model.ckpt")
    text = cli("resolve", UID).out
    assert "loadable" in text
    assert f'hubtool.load("{UID}")' in text


def test_resolve_of_the_packaged_registry(cli: Cli) -> None:
    del cli.environ["HUBTOOL_REGISTRY"]
    done = cli("resolve", "mindspore/1.9/bertfinetune_bilstmcrf_chinesener", "--json")
    assert done.json["assets"][0]["digest"] == "a16876856ec3bddfa17a4e3db7292d7fae7ce62939f00f29e30268dd8911e6c6"
    assert done.json["assets"][0]["stored"] is None
    assert done.json["network"]["entry"] == "bert-ner"


def test_a_uid_that_does_not_exist_gets_close_matches(cli: Cli) -> None:
    write_local(cli.registry, UID, CONTENT)
    for near in ("tests/1.9/modle", "tests/1.10/model", "Tests/1.9/MODEL"):
        done = cli("resolve", near)
        assert done.code == 1
        assert f"did you mean {UID}?" in done.err
        assert done.out == ""


@pytest.mark.parametrize("name", ["../x", "/etc/passwd", "a/1.0/\x1b[31mb", "a/1.0/" + "b" * 1000, "a//b", ""])
def test_a_malformed_uid_is_refused_before_any_path_is_made(cli: Cli, name: str) -> None:
    done = cli("resolve", name)
    assert done.code == 2
    assert "is not a UID" in done.err
    assert "\x1b[31mb" not in done.err


def test_a_card_that_is_a_link_out_of_the_registry_is_refused(cli: Cli) -> None:
    outside = write_local(cli.folder / "elsewhere", UID, CONTENT)
    (cli.registry / "tests/1.9").mkdir(parents=True)
    (cli.registry / f"{UID}.md").symlink_to(outside)
    done = cli("resolve", UID)
    assert done.code == 1
    assert "leads out of the registry" in done.err


@pytest.mark.parametrize(
    "link", ["../../../secret.ckpt", "model/../../../../secret.ckpt", "./%2e%2e/%2e%2e/%2e%2e/secret.ckpt"]
)
def test_an_asset_link_that_leads_out_of_the_registry_is_refused(cli: Cli, link: str) -> None:
    (cli.registry.parent / "secret.ckpt").write_bytes(CONTENT)
    write_card(cli.registry, UID, link=link, content=CONTENT)
    done = cli("fetch", UID)
    assert done.code == 1
    assert "leads out of the registry" in done.err
    assert cli("resolve", UID, "--json").json["assets"][0]["stored"] is None


def test_assets_that_cannot_be_read_are_not_taken_for_none(cli: Cli) -> None:
    write_card(cli.registry, UID, link="%2e%2e", content=CONTENT)  # in YAML, '%' starts no plain value
    done = cli("fetch", UID)
    assert done.code == 1
    assert "the card has faults: 17:17: the front matter is not YAML" in done.err
    assert "the card has faults" in cli("resolve", UID, "--json").json["reasons"][0]


def test_fetch_stores_once_and_works_offline_afterwards(cli: Cli) -> None:
    with serving() as server:
        write_card(cli.registry, UID, link=server.put("/m.ckpt", CONTENT), content=CONTENT)
        first = cli("fetch", UID, "--json")
        assert first.code == 0, first.err
        stored = Path(first.json["assets"][0]["stored"])
        assert stored.read_bytes() == CONTENT
        assert stored.is_relative_to(cli.home)
        assert cli("fetch", UID).code == 0
        assert server.gets("/m.ckpt") == 1
        assert cli("fetch", UID, "--force").code == 0
        assert server.gets("/m.ckpt") == 2
    assert cli("fetch", UID, HUBTOOL_OFFLINE="1").code == 0
    assert cli("resolve", UID, "--json", HUBTOOL_OFFLINE="1").json["assets"][0]["stored"] == str(stored)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("HUBTOOL_OFFLINE", "maybe"),
        ("HUBTOOL_MIRRORS", "https://me:SECRET@mirror.example"),
        ("HUBTOOL_MIRRORS", "ftp://mirror.example/x"),
        ("HUBTOOL_MIRRORS", "https://mirror.example/?token=SECRET"),
        ("HUBTOOL_MIRRORS", "http://a..b/"),
        ("HUBTOOL_MIRRORS", "http://"),
        ("HUBTOOL_MIRRORS", "https://mirror.example:99999"),
        ("HUBTOOL_ALLOWED_HOSTS", "a..b"),
        ("HUBTOOL_ALLOWED_HOSTS", "mirror.example:99999"),
        ("HUBTOOL_REGISTRY", ":"),
    ],
)
def test_a_wrong_setting_is_named_and_has_one_exit_code(cli: Cli, name: str, text: str) -> None:
    write_card(cli.registry, UID, link="https://gitee.com/m.ckpt", content=CONTENT)
    done = cli("fetch", UID, **{name: text})  # type: ignore[arg-type] # the variables are text
    assert done.code == 1
    assert done.err.startswith(f"error: {name}")
    assert "SECRET" not in done.err


def test_offline_and_not_stored(cli: Cli) -> None:
    with serving() as server:
        write_card(cli.registry, UID, link=server.put("/m.ckpt", CONTENT), content=CONTENT)
        done = cli("fetch", UID, HUBTOOL_OFFLINE="1")
        assert done.code == 1
        assert "network may not be used" in done.err
        assert server.requests == []
        resolution = cli("resolve", UID, "--json", HUBTOOL_OFFLINE="1").json
        assert resolution["loadable"] is False
        assert "offline" in resolution["reasons"][0]


def test_wrong_bytes_are_reported_with_both_digests_and_deleted(cli: Cli) -> None:
    with serving() as server:
        write_card(cli.registry, UID, link=server.put("/m.ckpt", CONTENT), content=b"other", digest="ab" * 32)
        done = cli("fetch", UID)
    assert done.code == 1
    assert "ab" * 32 in done.err
    assert "sha-256" in done.err.lower()
    assert [path for path in cli.home.rglob("*") if path.is_file() and path.stat().st_size == len(CONTENT)] == []


def test_a_host_that_is_not_allowed(cli: Cli) -> None:
    write_card(cli.registry, UID, link="https://example.org/m.ckpt", content=CONTENT)
    done = cli("fetch", UID)
    assert done.code == 1
    assert "example.org, which is not an allowed host" in done.err
    assert "HUBTOOL_ALLOWED_HOSTS=example.org" in done.err
    assert any("not an allowed host" in reason for reason in cli("resolve", UID, "--json").json["reasons"])


def test_inspect_lists_tensors_of_a_file_and_of_a_uid(cli: Cli) -> None:
    path = write_local(cli.registry, UID, CONTENT).with_suffix("") / "model.ckpt"
    by_file, by_uid = cli("inspect", path, "--json").json, cli("inspect", UID, "--json").json
    assert by_file == by_uid
    assert by_file["totals"] == {"tensors": 2, "elements": 15, "bytes": 60}
    assert by_file["tensors"][0] == {"name": "a.weight", "shape": [3, 4], "dtype": "float32", "bytes": 48}
    text = cli("inspect", UID).out
    assert "a.weight" in text
    assert "2 tensors, 15 elements" in text


@pytest.mark.parametrize("tenth", range(10))
def test_inspect_of_a_truncated_checkpoint(cli: Cli, tenth: int) -> None:
    path = cli.folder / "cut.ckpt"
    path.write_bytes(CONTENT[: len(CONTENT) * tenth // 10])
    done = cli("inspect", path)
    assert done.code == 1
    assert "cut.ckpt" in done.err
    assert "hint" in done.err


def test_settings_show_values_and_origins(cli: Cli) -> None:
    (cli.folder / "hubtool.toml").write_text('allowed-hosts = ["hub.example.org"]\n')
    assert cli("settings", "approve").code == 0
    values = cli("settings", "--json").json
    assert values["home"] == {"value": str(cli.home), "origin": "variable HUBTOOL_HOME"}
    assert "hub.example.org" in values["allowed_hosts"]["value"]
    assert str(cli.folder / "hubtool.toml") in values["allowed_hosts"]["origin"]
    assert "from: variable HUBTOOL_HOME" in cli("settings").out


def test_a_settings_file_in_a_clone_is_not_obeyed_until_it_is_approved(cli: Cli) -> None:
    write_local(cli.registry, UID, CONTENT)
    write_local(cli.folder / "clone" / "cards", "evil/1.9/net", CONTENT)
    file = cli.folder / "clone" / "hubtool.toml"
    file.write_text('registry = "cards"\nhome = "forged"\nallowed-hosts = ["evil.example"]\n')
    environ = {name: cli.environ[name] for name in cli.environ if name not in ("HUBTOOL_HOME", "HUBTOOL_REGISTRY")}
    inside = replace(cli, folder=file.parent, environ={**environ, "XDG_CACHE_HOME": str(cli.folder / "cache")})
    assert inside("show", "evil/1.9/net").code == 1
    done = inside("show", "hubtool/2.10/tinybert_bilstmcrf_toyner")
    assert "not in force: allowed-hosts, home, registry" in done.err
    assert "hubtool settings approve" in done.err
    assert inside("fetch", "hubtool/2.10/tinybert_bilstmcrf_toyner").code == 0
    assert not (file.parent / "forged").exists()
    shown = inside("settings")
    assert f"'registry' of {file}: the file is not approved" in shown.out
    assert {one["key"] for one in inside("settings", "--json").json["ignored"]} == {"allowed-hosts", "home", "registry"}
    done = inside("settings", "approve")
    assert done.code == 0
    assert "forged" in done.out
    assert inside("show", "evil/1.9/net").code == 0
    assert inside("settings", "revoke").code == 0
    assert inside("show", "evil/1.9/net").code == 1
    assert cli("settings", "approve", "nowhere.toml").code == 1


def test_validate_finds_everything_at_once(cli: Cli) -> None:
    path = write_local(cli.registry, UID, CONTENT)
    assert cli("validate", path).code == 0
    text = path.read_text().replace("model-version: 1.9", "model-version: one").replace("license:", "licence:")
    path.write_text(text)
    done = cli("validate", path, "--format", "json")
    assert done.code == 1
    assert done.json["cards"] == 1
    assert done.json["summary"]["errors"] == 3
    assert set(done.json["diagnostics"][0]) == {
        "code", "severity", "path", "line", "column", "pointer", "message", "hint",
    }  # fmt: skip
    found = {(item["line"], item["column"], item["code"]) for item in done.json["diagnostics"]}
    assert (9, 16, "HT207") in found  # model-version: one
    assert f"{path}:9:16: error HT207" in cli("validate", path).out


def test_usage_errors_exit_with_2(cli: Cli) -> None:
    assert cli("validate", cli.folder / "absent").code == 2
    assert cli("resolve").code == 2
    assert cli("resolve", UID, "--device", "TPU").code == 2
    done = cli("resovle", UID)
    assert done.code == 2
    assert "did you mean 'resolve'?" in done.err
    assert cli("--nonsense").code == 2


def test_a_setting_that_cannot_be_used_is_named(cli: Cli) -> None:
    done = cli("resolve", UID, HUBTOOL_REGISTRY=str(cli.folder / "absent"))
    assert done.code == 1
    assert "absent is not a folder" in done.err


@pytest.mark.parametrize(
    ("arguments", "forbidden"),
    [
        (["--version"], {"click", "yaml", "json", "mindspore", "numpy", "requests", "jinja2"}),
        (["--help"], {"yaml", "rich", "jsonschema", "mindspore", "numpy", "requests", "jinja2"}),
        (["settings"], {"rich", "jsonschema", "mindspore", "numpy", "requests", "jinja2"}),
        (["list"], {"rich", "jsonschema", "markdown_it", "mindspore", "numpy", "requests", "jinja2"}),
        (
            ["search", "model"],
            {"rich", "jsonschema", "markdown_it", "mindspore", "numpy", "requests", "jinja2"},
        ),
        (
            ["show", UID],
            {
                "rich",
                "jsonschema",
                "jsonschema_rs",
                "markdown_it",
                "mindspore",
                "numpy",
                "requests",
                "jinja2",
                "sqlite3",
            },
        ),
        (
            ["registry", "list"],
            {"rich", "jsonschema", "markdown_it", "mindspore", "numpy", "requests", "jinja2"},
        ),
        (["resolve", UID], {"rich", "jsonschema", "mindspore", "numpy", "requests", "jinja2"}),
        (["validate"], {"rich", "mindspore", "numpy", "requests", "jinja2"}),
        (["fmt"], {"rich", "jsonschema", "mindspore", "numpy", "requests", "jinja2"}),
        (["new", "hub/1/new"], {"rich", "jsonschema", "mindspore", "numpy", "requests", "jinja2"}),
        (["preview", UID], {"jsonschema", "mindspore", "numpy", "requests", "jinja2"}),
        (["inspect", UID], {"rich", "jsonschema", "mindspore", "numpy", "requests", "jinja2"}),
    ],
)
def test_commands_import_only_what_they_use(cli: Cli, arguments: list[str], forbidden: set[str]) -> None:
    write_local(cli.registry, UID, CONTENT)
    forbidden |= {"jsonschema_rs"} if "jsonschema" in forbidden else set()
    script = (
        "import sys\nfrom hubtool.cli import main\n"
        "try:\n    main(sys.argv[1:])\nexcept SystemExit as stop:\n    assert not stop.code, stop.code\n"
        f"loaded = {sorted(forbidden)!r} and sorted(set({sorted(forbidden)!r}) & set(sys.modules))\n"
        "assert not loaded, loaded\n"
    )
    subprocess.run([sys.executable, "-c", script, *arguments], env=cli.environ, cwd=cli.folder, check=True, timeout=60)


def test_importing_hubtool_imports_nothing_heavy(cli: Cli) -> None:
    script = (
        "import sys, hubtool, mindspore_hub\n"
        "heavy = {'mindspore', 'numpy', 'requests', 'jinja2', 'jsonschema', 'jsonschema_rs', 'rich', 'click'}\n"
        "loaded = heavy & set(sys.modules)\n"
        "assert not loaded, loaded\n"
    )
    subprocess.run([sys.executable, "-c", script], env=cli.environ, check=True, timeout=60)


@pytest.mark.parametrize(
    ("typed", "now"),
    [
        (("registry", "import", "a hub", "--into", "x", "--help"), "import 'a hub' --into x --help"),
        (("registry", "import"), "import"),
        (("network", "discover", "--all", "--checkout", "x"), "discover --all --checkout x"),
        (("network", "write", "recipes.json"), "discover --write"),
        (("network",), ""),
    ],
)
def test_commands_of_maintainers_say_where_they_went(cli: Cli, typed: tuple[str, ...], now: str) -> None:
    done = cli(*typed)
    assert done.code == 2
    assert not done.out
    assert "moved to a program for maintainers" in done.err
    assert done.err.endswith(f"type: python -m maintain {now}".rstrip() + "\n")


def test_commands_that_moved_are_not_listed(cli: Cli) -> None:
    assert "network " not in [line[2:10] for line in cli("--help").out.splitlines()]
    assert "import" not in [line.split()[0] for line in cli("registry", "--help").out.splitlines() if line.strip()]


@pytest.mark.parametrize("command", ["import", "discover", "oracle", "answers", "loadability"])
def test_maintainers_have_the_commands(cli: Cli, command: str) -> None:
    assert command in cli.maintain("--help").out
    done = cli.maintain(command, "--help")
    assert done.code == 0
    assert done.out.startswith(f"Usage: python -m maintain {command}")


def test_the_reader_of_a_pipe_may_go_away(cli: Cli) -> None:
    for number in range(200):
        (cli.folder / f"{number}.md").write_text("no card\n")
    command = f"{sys.executable} -m hubtool validate {cli.folder} | head -1"
    done = subprocess.run(command, shell=True, env=cli.environ, capture_output=True, text=True, timeout=60, check=True)  # noqa: S602 - a pipe needs a shell
    assert done.stderr == ""


def test_doctor_names_what_is_missing(cli: Cli) -> None:
    write_card(cli.registry, UID, link="https://example.org/m.ckpt", content=CONTENT)
    done = cli("doctor", UID, "--json")
    assert done.code == 1
    assert any("not an allowed host" in problem for problem in done.json["problems"])
    assert done.json["store"]["path"] == str(cli.home)
    assert "problem" in cli("doctor", UID).out
    # Without the packages of this environment, MindSpore is what is missing first.
    bare = cli("doctor", "--json", PATH="/nonexistent").json
    assert any("git program" in problem for problem in bare["problems"])


def test_trust_is_kept_in_the_users_file(cli: Cli) -> None:
    assert "not agreed yet" in cli("trust", "list").out
    assert cli("trust", "add", "https://github.com/me/models.git").code == 0
    assert cli("trust", "remove", "gitee.com/mindspore").code == 0
    entries = {row["entry"]: row for row in cli("trust", "list", "--json").json["entries"]}
    assert entries["github.com/me/models"] == {"entry": "github.com/me/models", "origin": "added", "agreed": True}
    assert "gitee.com/mindspore" not in entries
    done = cli("trust", "add", "everything")
    assert done.code == 2
    assert "neither an organisation nor a repository" in done.err
