"""`hubtool validate` and `hubtool rule` in real processes."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote

import pytest
from jsonschema import Draft7Validator

from hubtool.card import rules
from tests.support import ROOT, corpus, shared_folder

if TYPE_CHECKING:
    from tests.support.cli import Cli

VALID, INVALID = ROOT / "tests" / "examples" / "valid", ROOT / "tests" / "examples" / "invalid"
CARD = (VALID / "HT205-missing-key.md").read_text(encoding="utf-8")
MEMBERS = {"code", "severity", "path", "line", "column", "pointer", "message", "hint"}


def write(path: Path, text: str | bytes = CARD) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


def test_exit_codes(cli: Cli) -> None:
    good = write(cli.folder / "good.md")
    warned = write(cli.folder / "warned.md", CARD.replace("Apache-2.0", "Apache2.0"))
    bad = write(cli.folder / "bad.md", CARD.replace("fine-tunable: true", "fine-tunable: 3"))
    assert cli("validate", good).code == 0
    assert cli("validate", warned).code == 0
    assert cli("validate", "--strict", warned).code == 1
    assert cli("validate", "--strict", good).code == 0
    assert cli("validate", bad).code == 1
    assert cli("validate", good, cli.folder / "absent.md").code == 2
    assert cli("validate", "--select", "HT999", good).code == 2
    assert cli("validate", "--format", "xml", good).code == 2


def test_the_text_shows_the_place(cli: Cli) -> None:
    path = write(cli.folder / "模型.md", CARD.replace("author: The example team", "author: 团队\nlicence: MIT"))
    done = cli("validate", path)
    assert done.code == 1
    line = 1 + CARD[: CARD.index("author:")].count("\n") + 1
    place = f"  {line} | licence: MIT\n     | ^^^^^^^\n  hint: did you mean 'license'?\n"
    assert f"{path}:{line}:1: error HT206: the key 'licence' is not known\n{place}" in done.out
    assert done.out.endswith("1 card: 1 error, 0 warnings\n")


def test_a_card_cannot_steer_the_terminal(cli: Cli) -> None:
    path = write(cli.folder / "a\x1b[2J.md", CARD.replace("## Introduction", "#### \x1b[31mIntroduction\u202e"))
    for form in ("text", "github", "json", "sarif"):
        done = cli("validate", "--format", form, path)
        assert "\x1b" not in done.out
        assert done.out.isascii() or "\u202e" not in done.out


def test_wide_signs_are_underlined_in_their_place(cli: Cli) -> None:
    path = write(cli.folder / "a.md", CARD.replace("license: Apache-2.0", "license: 阿帕奇"))
    lines = cli("validate", path).out.splitlines()
    index = next(number for number, line in enumerate(lines) if "阿帕奇" in line and " | " in line)
    assert lines[index + 1].endswith("|          ^^^^^^")


def test_json_has_the_members_that_were_promised(cli: Cli) -> None:
    done = cli("validate", "--format", "json", INVALID)
    assert done.code == 1
    found = done.json
    assert set(found) == {"cards", "diagnostics", "summary"}
    assert found["cards"] == sum(1 for path in INVALID.rglob("*.md") if path.name != "README.md")
    assert all(set(one) == MEMBERS for one in found["diagnostics"])
    severities = [one["severity"] for one in found["diagnostics"]]
    assert found["summary"] == {"errors": severities.count("error"), "warnings": severities.count("warning")}
    # Among all examples there is one that HT503 misses when it is alone; that of HT101 is made by its own test.
    assert {one["code"] for one in found["diagnostics"]} == set(rules.load()) - {"HT101", "HT503"}
    assert cli("validate", "--format", "json", VALID / "HT205-missing-key.md").json == {
        "cards": 1, "diagnostics": [], "summary": {"errors": 0, "warnings": 0},
    }  # fmt: skip


def test_github_annotations(cli: Cli) -> None:
    write(cli.folder / "a,b%.md", CARD.replace("Apache-2.0", "100%"))
    done = cli("validate", "--format", "github", "a,b%.md")
    first = done.out.splitlines()[0]
    assert first.startswith("::warning file=a%2Cb%25.md,line=")
    assert ",title=HT211::the licence '100%25' is not an SPDX expression" in first


def validator() -> Draft7Validator:
    """Return the official schema's validator where it is at hand, else ours, written from the standard."""
    official = os.environ.get("SARIF_SCHEMA")
    path = Path(official) if official else ROOT / "tests" / "sarif-2.1.0-subset.schema.json"
    return Draft7Validator(json.loads(path.read_text(encoding="utf-8")))


@pytest.mark.parametrize("path", [INVALID, VALID])
def test_sarif(cli: Cli, path: Path) -> None:
    write(cli.folder / "模 型.md", "# t\n")
    done = cli("validate", "--format", "sarif", path, "模 型.md")
    log = done.json
    validator().validate(log)
    (run,) = log["runs"]
    described = run["tool"]["driver"]["rules"]
    assert [rule["id"] for rule in described] == list(rules.load())
    for result in run["results"]:
        assert described[result["ruleIndex"]]["id"] == result["ruleId"]
        assert described[result["ruleIndex"]]["defaultConfiguration"]["level"] == result["level"]
    uris = {result["locations"][0]["physicalLocation"]["artifactLocation"]["uri"] for result in run["results"]}
    assert "%E6%A8%A1%20%E5%9E%8B.md" in uris
    for uri in uris:
        assert Path(unquote(uri.removeprefix("file://"))).name.endswith(".md")


def test_fix_and_diff(cli: Cli) -> None:
    path = write(
        cli.folder / "a.md", CARD.replace("Apache-2.0", "Apache2.0").replace("model-name: tiny", "model-name: other")
    )
    before = path.read_bytes()
    shown = cli("validate", "--diff", "a.md")
    assert shown.code == 1
    assert shown.out.startswith("--- a/a.md\n+++ b/a.md\n@@ ")
    assert "-license: Apache2.0\n+license: Apache-2.0\n" in shown.out
    assert "--fix would fix 1 problem in 1 card" in shown.err
    assert path.read_bytes() == before
    patch = subprocess.run(["git", "apply", "--check", "-"], cwd=cli.folder, input=shown.out, text=True, check=False)
    assert patch.returncode == 0
    fixed = cli("validate", "--fix", "--format", "json", "a.md")
    assert fixed.code == 0
    assert [one["code"] for one in fixed.json["diagnostics"]] == ["HT107"]
    assert "fixed 1 problem in 1 card" in fixed.err
    assert path.read_bytes() == before.replace(b"Apache2.0", b"Apache-2.0")
    assert cli("validate", "--diff", "a.md").code == 0
    assert cli("validate", "--fix", "--select", "HT3", "a.md").code == 0


def test_the_cache_can_be_deleted_and_left_out(cli: Cli) -> None:
    path = write(cli.folder / "a.md", CARD.replace("Apache-2.0", "Apache2.0"))
    first = cli("validate", path)
    cache = cli.home / "validate.sqlite3"
    assert cache.is_file()
    assert cli("validate", path).out == first.out
    cache.unlink()
    assert cli("validate", path).out == first.out
    cache.unlink()
    assert cli("validate", "--no-cache", path).out == first.out
    assert not cache.exists()
    closed = cli.folder / "file"
    closed.write_text("")
    assert cli("validate", path, HUBTOOL_HOME=str(closed)).out == first.out


def test_settings_of_the_project(cli: Cli) -> None:
    write(cli.folder / "hub" / "a.md", CARD.replace("Apache-2.0", "Apache2.0"))
    (cli.folder / "hubtool.toml").write_text('[validate]\nignore = ["HT211"]\n\n[validate.folders]\nhub = ["HT1"]\n')
    assert "0 warnings" in cli("validate", "hub").out
    assert "1 warning" in cli("validate", "--select", "HT211", "hub").out
    shown = cli("settings", "--json").json["validate"]
    assert shown["value"] == {
        "select": [],
        "ignore": ["HT211"],
        "folders": {str(cli.folder.resolve() / "hub"): ["HT1"]},
    }
    assert shown["origin"] == str(cli.folder / "hubtool.toml")
    assert "ignore: HT211" in cli("settings").out


def test_rule_pages(cli: Cli) -> None:
    listed = cli("rule").out
    assert len(listed.splitlines()) == len(rules.load())
    page = cli("rule", "HT203").out
    assert page.startswith("HT203 too-deep (error)\n\n")
    assert rules.load()["HT203"].page in page
    assert cli("rule", "ht3").out.count("HT3") >= 14
    assert cli("rule", "HT999").code == 2
    assert {one["code"] for one in cli("rule", "--json").json} == set(rules.load())


def test_the_page_of_rules_is_current(cli: Cli) -> None:
    written = (ROOT / "docs" / "rules.md").read_text(encoding="utf-8")
    assert cli("rule", "--markdown").out == written, "write it anew: hubtool rule --markdown > docs/rules.md"


def test_the_packaged_registry_has_no_error(cli: Cli) -> None:
    done = cli("validate", "--format", "json", ROOT / "registry")
    assert done.code == 0
    assert done.json["summary"]["errors"] == 0


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x00\xff" * 1000,
        os.urandom(4096),
        b"# t\n\n---\n",
        b"# t\n",
        "# t\n\n---\na: b\n---\n".encode("utf-16"),
        b"# t\n\n---\na: " + b"[" * 100_000 + b"\n---\n",
        b"# t\n\n---\na: &a [1]\nb: &b [" + b"*a," * 5000 + b"]\nc: [" + b"*b," * 5000 + b"]\n---\n",
        b"# t\n\n---\na: 1\na: 2\n---\n",
        b"# t\n\n---\n\ta: 1\n---\n",
        b"x" * (50 << 20),
    ],
    ids=["empty", "binary", "random", "one fence", "none", "UTF-16", "deep", "bomb", "duplicate", "tab", "50 MB"],
)
def test_bad_cards(cli: Cli, data: bytes) -> None:
    path = write(cli.folder / "bad.md", data)
    done = cli("validate", "--format", "json", path)
    assert done.code == 1
    assert done.err == ""
    assert done.json["summary"]["errors"] >= 1
    assert all(one["line"] >= 1 and one["column"] >= 1 for one in done.json["diagnostics"])
    assert cli("validate", "--fix", path).code == 1
    assert path.read_bytes() == data


def test_the_corpus(cli: Cli) -> None:
    """Every fault that the issue counts is found, and good cards are not called wrong."""
    cards = corpus()
    done = cli("validate", "--format", "json", shared_folder() / "corpus" / "mindspore-hub")
    assert done.code == 1
    assert done.err == ""
    found = done.json
    assert found["cards"] == len(cards) == 2915
    by_code: dict[str, set[str]] = {}
    for one in found["diagnostics"]:
        by_code.setdefault(one["code"], set()).add(one["path"])
    assert len(by_code["HT208"]) == 448
    assert len(by_code["HT304"]) == 118
    assert len(by_code["HT201"]) == 178
    flagship = [one for one in found["diagnostics"] if one["path"].endswith("1.9/bertfinetune_bilstmcrf_chinesener.md")]
    assert [one["code"] for one in flagship if one["severity"] == "error"] == []


@pytest.mark.slow
def test_the_corpus_can_be_mended(cli: Cli) -> None:
    source = corpus()[0].parents[2]
    copy = cli.folder / "copy"
    subprocess.run(["cp", "-r", str(source), str(copy)], check=True)
    fixed = cli("validate", "--fix", "--format", "json", copy)
    assert re.search(r"fixed [\d,]+ problems in 2,915 cards", fixed.err)
    left = {one["code"] for one in fixed.json["diagnostics"]}
    assert not left & {"HT208", "HT209", "HT211", "HT213", "HT215", "HT309", "HT111"}
    assert cli("validate", "--diff", copy).code == 0


def test_memory_and_processes_are_bounded(cli: Cli) -> None:
    program = (
        "import resource, subprocess, sys;"
        "command = [sys.executable, '-m', 'hubtool', 'validate', '--no-cache', sys.argv[1]];"
        "subprocess.run(command, stdout=subprocess.DEVNULL);"
        "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)"
    )
    folder = shared_folder() / "corpus" / "mindspore-hub"
    done = subprocess.run(
        [sys.executable, "-c", program, str(folder)], env=cli.environ, capture_output=True, text=True, check=True
    )
    assert int(done.stdout) < 120 << 10, "the largest process, in KiB"


def test_hooks_and_settings_are_as_documented() -> None:
    hooks = (ROOT / ".pre-commit-hooks.yaml").read_text(encoding="utf-8")
    assert "entry: hubtool validate" in hooks
    page = (ROOT / "docs" / "validate.md").read_text(encoding="utf-8")
    if sys.version_info >= (3, 11):
        import tomllib
    else:
        import tomli as tomllib
    for block in re.findall(r"```toml\n(.*?)```", page, re.DOTALL):
        assert tomllib.loads(block)["validate"]
