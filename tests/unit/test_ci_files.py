"""The ready-made CI files of docs/ci: they are YAML, and what they run is there."""

from __future__ import annotations

import importlib
import re
import shlex
import shutil
import subprocess
from pathlib import Path
from typing import Any

import click
import pytest
import yaml

from hubtool.cli.app import COMMANDS

CI = Path(__file__).parents[2] / "docs" / "ci"
HUBTOOL = re.compile(r"hubtool (?P<command>[a-z]+)(?P<rest>[^|;&\n]*)")


NAMES = ("github.yml", "gitee.yml", "gitlab.yml")


class _GitLab(yaml.SafeLoader):
    """Reads GitLab's ``!reference [job, key]`` as a list."""


_GitLab.add_constructor("!reference", lambda _loader, node: {"reference": str(node)})


def scripts(name: str) -> list[str]:
    """Return the shell scripts of a CI file."""
    found: Any = yaml.load((CI / name).read_text(encoding="utf-8"), Loader=_GitLab)  # noqa: S506 - a safe loader
    if name == "github.yml":
        steps = [step for job in found["jobs"].values() for step in job["steps"]]
        return [step["run"] for step in steps if "run" in step]
    if name == "gitlab.yml":
        jobs = [job for job in found.values() if isinstance(job, dict) and "script" in job]
        return ["\n".join(line for line in job["script"] if isinstance(line, str)) for job in jobs]
    return ["\n".join(step["commands"]) for stage in found["stages"] for step in stage["steps"]]


@pytest.mark.parametrize("name", NAMES)
def test_what_a_ci_file_runs_is_there(name: str) -> None:
    used = set()
    for script in scripts(name):
        for match in HUBTOOL.finditer(script):
            command = importlib.import_module(COMMANDS[match["command"]][0]).command
            assert isinstance(command, click.Command)
            known = {option for parameter in command.params for option in parameter.opts}
            options = {word for word in shlex.split(match["rest"]) if word.startswith("--")}
            assert options <= known, f"{match[0]}: {options - known}"
            used.add((match["command"], *sorted(options)))
    assert used == {
        ("audit", "--markdown", "--report"),
        ("check",),
        ("fmt", "--check"),
        ("validate", "--format") if name == "github.yml" else ("validate",),
    }


@pytest.mark.parametrize("name", NAMES)
def test_the_scripts_of_a_ci_file_are_shell(name: str) -> None:
    if shutil.which("bash") is None:
        pytest.skip("bash is not installed")
    for script in scripts(name):
        done = subprocess.run(["bash", "-n"], input=script, text=True, capture_output=True, check=False)
        assert done.returncode == 0, done.stderr


def test_the_files_name_no_secret_and_take_few_rights() -> None:
    github: Any = yaml.safe_load((CI / "github.yml").read_text(encoding="utf-8"))
    assert github["permissions"] == {"contents": "read"}
    checkouts = [step for job in github["jobs"].values() for step in job["steps"] if "checkout" in step.get("uses", "")]
    assert checkouts
    assert all(step["with"]["persist-credentials"] is False for step in checkouts)
    # YAML 1.1 reads the key 'on' as true. Code of a change from elsewhere must not run with the target's rights.
    assert set(github[True]) == {"pull_request", "push", "schedule", "workflow_dispatch"}
    assert "secrets." not in (CI / "github.yml").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", NAMES)
def test_a_change_does_not_choose_the_rules_that_it_is_judged_by(name: str) -> None:
    text = "\n".join(scripts(name))
    assert "-name hubtool.toml -not -path './.git/*' -delete" in text
    assert re.search(r"git checkout --quiet \S+ -- hubtool.toml", text)


def test_actions_are_pinned_by_commit() -> None:
    for page in (CI / "github.yml", CI.parent / "validate.md"):
        used = re.findall(r"uses: (\S+)", page.read_text(encoding="utf-8"))
        assert used
        assert all(re.fullmatch(r"[\w./-]+@[0-9a-f]{40}", action) for action in used), used


def test_nothing_tells_anybody_to_install_a_name_that_belongs_to_nobody() -> None:
    root = CI.parents[1]
    pages = [root / "README.md", *root.glob("docs/**/*.md"), *root.glob("docs/ci/*"), *root.glob("hubtool/**/*.py")]
    install = re.compile(r"""pip3? install[^\n`]*?["' ](?:hubtool)(?:\[[a-z0-9,]+\])?["'`\s]""")
    for page in pages:
        text = page.read_text(encoding="utf-8")
        assert not install.search(text), f"{page}: {install.search(text)}"
