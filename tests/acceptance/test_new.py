"""`hubtool new` in real processes, with options and at a terminal."""

from __future__ import annotations

import hashlib
import os
import re
import select
import shutil
import subprocess
import sys
import time
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from hubtool.card import model
from hubtool.card.format import format_card
from hubtool.networks.builtin.inference import infer
from hubtool.networks.builtin.parameters import parameters
from tests.support import ROOT
from tests.support.checkpoints import SMALL, ckpt, filled, safetensors

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.cli import Cli

TOYNER = "hubtool/2.10/tinybert_bilstmcrf_toyner"
TOYNER_FILES = ROOT / "registry" / TOYNER
UID = "hubtool/2.11/mine"
MARK = "HT114"
EVERYTHING = (
    *("--author", "A Maintainer", "--license", "apache2", "--train-dataset", "toyner"),
    *(
        "--summary",
        "A small net.",
        "--introduction",
        "It finds *names*.\n\nMore.",
        "--argument",
        "num_attention_heads=4",
    ),
)


@pytest.fixture
def checkpoint(cli: Cli) -> Path:
    path = cli.folder / "mine.ckpt"
    shutil.copy(TOYNER_FILES / "tinybert_bilstmcrf_toyner.ckpt", path)
    return path


def read(cli: Cli, uid: str = UID) -> model.Card:
    return model.read((cli.registry / f"{uid}.md").read_bytes())


def new(cli: Cli, *arguments: str | Path) -> str:
    done = cli("new", *arguments, "--registry", cli.registry)
    assert done.code == 0, done.err
    return done.err


def codes(cli: Cli) -> set[str]:
    return {one["code"] for one in cli("validate", "--format", "json", cli.registry).json["diagnostics"]}


def test_what_can_be_known_is_filled_in(cli: Cli, checkpoint: Path) -> None:
    said = new(
        cli, UID, "--checkpoint", checkpoint, *EVERYTHING, "--evaluation", "F1score 87", "--measured", "By hand."
    )
    card = read(cli)
    asset = card.assets[0]
    assert asset.digest is not None
    assert asset.digest.hex == hashlib.sha256(checkpoint.read_bytes()).hexdigest()
    assert (asset.format, asset.size) == ("ckpt", checkpoint.stat().st_size)
    assert card.recipe is not None
    assert (card.recipe.provider, card.recipe.entry) == ("builtin", "bert-ner")
    assert card.recipe.arguments == {"num_attention_heads": 4}
    assert card.values["license"] == "Apache-2.0"
    assert card.values["train-dataset"] == "Toyner"
    assert card.values["user-id"] == "hubtool"
    assert card.values["input-shape"] == [128]
    assert re.fullmatch(r"\d{4}-\d\d-\d\d", str(card.values["update-time"]))
    assert "240,330 numbers (float32) in 50 tensors" in card.body
    assert "It finds *names*.\n\nMore." in card.body
    assert "By hand." in card.body
    assert "to fill in" not in said
    # All that is left is to publish the file.
    assert codes(cli) == {"HT315"}
    data = (cli.registry / f"{UID}.md").read_bytes()
    assert format_card(data).data == data


@pytest.mark.mindspore
@pytest.mark.slow
def test_the_usage_block_is_right_for_the_network(cli: Cli, checkpoint: Path) -> None:
    new(cli, UID, "--checkpoint", checkpoint, *EVERYTHING)
    done = cli("check", "--json", "--asset", checkpoint, cli.registry / f"{UID}.md")
    assert done.code == 0, done.out
    states = {row["name"]: row["state"] for row in done.json["rows"]}
    assert states.pop("links") == "not possible here"
    assert set(states.values()) == {"passed"}


SIZES: dict[str, object] = {
    "vocab_size": 131,
    "hidden_size": 64,
    "num_hidden_layers": 1,
    "num_attention_heads": 1,
    "intermediate_size": 96,
    "max_position_embeddings": 64,
    "type_vocab_size": 2,
}


@pytest.mark.mindspore
@pytest.mark.parametrize(
    ("entry", "more", "said"),
    [
        ("bert", {}, None),
        pytest.param("bert-pretraining", {}, None, marks=pytest.mark.slow),
        pytest.param("bert-ner", {"num_labels": 5}, None, marks=pytest.mark.slow),
        # A tagger without a random field and a classifier have the same tensors; the first one that fits is taken.
        pytest.param("bert-ner", {"num_labels": 5}, "bert-ner", marks=pytest.mark.slow),
        pytest.param("bert-classifier", {"num_labels": 5}, "bert-classifier", marks=pytest.mark.slow),
        pytest.param("bert-squad", {}, None, marks=pytest.mark.slow),
    ],
)
def test_each_built_in_network_is_told_by_its_tensors(
    cli: Cli, entry: str, more: dict[str, object], said: str | None
) -> None:
    shapes = parameters(entry, infer(entry, {**SIZES, **more}, {}).config)
    path = cli.folder / "a.ckpt"
    path.write_bytes(ckpt([(name, shape, dtype, bytes(len(content))) for name, shape, dtype, content in
                           (filled(name, shape) for name, shape in shapes.items())]))  # fmt: skip
    new(cli, UID, "--checkpoint", path, *(["--entry", said] if said else []), *EVERYTHING[:-2])
    recipe = read(cli).recipe
    assert recipe is not None
    assert (recipe.provider, recipe.entry) == ("builtin", entry)
    assert ("subject = scores" in read(cli).body) is (entry == "bert-classifier")
    done = cli("check", "--json", "--asset", path, cli.registry / f"{UID}.md")
    rows = {row["name"]: row for row in done.json["rows"]}
    for name in ("coverage", "forward pass", "usage block"):
        assert rows[name]["state"] == "passed", rows[name]


def test_what_is_missing_is_marked_and_named(cli: Cli, checkpoint: Path) -> None:
    said = new(cli, UID, "--checkpoint", checkpoint, "--no-input")
    lines = (cli.registry / f"{UID}.md").read_text(encoding="utf-8").splitlines()
    marked = {number for number, line in enumerate(lines, 1) if "FILL IN" in line}
    assert {int(number) for number in re.findall(r"line (\d+):", said)} == marked
    found = cli("validate", "--format", "json", "--select", MARK, cli.registry).json["diagnostics"]
    assert {one["line"] for one in found} == marked
    assert {one["pointer"] or one["message"] for one in found}
    text = "\n".join(lines)
    for key in ("author", "license", "summary"):
        assert f"{key}: FILL IN" in text
    assert "num_attention_heads: 'FILL IN (one of 1, 2, 4, 11, 22, 44)'" in text


def test_with_nothing_known_all_is_marked(cli: Cli) -> None:
    new(cli, UID)
    text = (cli.registry / f"{UID}.md").read_text(encoding="utf-8")
    assert format_card(text.encode()).data == text.encode()
    for key in ("backbone-name", "module-type", "fine-tunable", "asset-sha256", "provider", "entry"):
        assert re.search(rf"{key}: '?FILL IN", text), key
    assert MARK in codes(cli)


def test_another_networks_checkpoint_has_no_recipe(cli: Cli) -> None:
    path = cli.folder / "a.ckpt"
    path.write_bytes(ckpt(SMALL))
    new(cli, UID, "--checkpoint", path, "--repo-link", "https://gitee.com/owner/code/tree/main/net")
    card = read(cli)
    assert card.values["repo-link"] == "https://gitee.com/owner/code/tree/main/net"
    assert card.values["network"] == {
        "provider": "repository",
        "entry": "FILL IN (what builds the network: src.module:function, or a script of its folder)",
    }


def test_a_new_version_takes_over_the_old_ones_fields(cli: Cli, checkpoint: Path) -> None:
    old = cli.registry / f"{TOYNER}.md"
    old.parent.mkdir(parents=True)
    shutil.copy(ROOT / "registry" / f"{TOYNER}.md", old)
    shutil.copytree(TOYNER_FILES, old.with_suffix(""))
    beside = cli.registry / "hubtool" / "2.11" / "mine" / "vocab.txt"
    beside.parent.mkdir(parents=True)
    shutil.copy(TOYNER_FILES / "vocab.txt", beside)
    said = new(cli, UID, "--checkpoint", checkpoint, "--from", TOYNER, "--file", beside)
    assert "labels.txt: if this card has it too, give it with --file" in said
    before, card = model.read(old.read_bytes()), read(cli)
    for key in ("module-type", "train-dataset", "license", "author", "summary", "fine-tunable"):
        assert card.values[key] == before.values[key]
    assert before.recipe is not None
    own = replace(before.recipe, known_answer=None, weights_answer=None, parameters=None)
    assert card.recipe == own, "what was measured is of the old network"
    assert "evaluation" not in card.values
    assert [asset.link for asset in card.assets] == ["https://unpublished.invalid/mine.ckpt", "mine/vocab.txt"]
    assert f'uid = "{UID}"' in card.body
    assert TOYNER not in card.body.replace(f"since {TOYNER}", "")
    assert f"FILL IN (what is new since {TOYNER}; " in card.body


@pytest.mark.parametrize("name", ["none.safetensors", "none.ckpt", "sizes.ckpt", "sizes.safetensors"])
def test_an_empty_checkpoint_is_refused(cli: Cli, name: str) -> None:
    path = cli.folder / name
    no_size = {"a": {"dtype": "F32", "shape": [0], "data_offsets": [0, 0]}}
    path.write_bytes(
        {
            "none.safetensors": safetensors({}, b""),
            "none.ckpt": b"",
            "sizes.ckpt": ckpt([filled("a", (0, 3))]),
            "sizes.safetensors": safetensors(no_size, b""),
        }[name]
    )
    done = cli("new", "lab/1.0/x", "--checkpoint", path, "--registry", cli.registry, "--no-input")
    assert done.code != 0
    assert f"{name} is empty: it " in done.err
    assert "save the network's parameters" in done.err
    assert "SHA-256" not in done.err
    assert not (cli.registry / "lab").exists()


def test_one_number_is_one_number(cli: Cli) -> None:
    path = cli.folder / "one.ckpt"
    path.write_bytes(ckpt([filled("a", ())]))
    new(cli, "lab/1.0/x", "--checkpoint", path, "--no-input")
    assert "holds 1 number (float32) in 1 tensor." in (cli.registry / "lab/1.0/x.md").read_text(encoding="utf-8")


def test_a_card_that_is_there_is_never_overwritten(cli: Cli, checkpoint: Path) -> None:
    path = cli.registry / f"{UID}.md"
    path.parent.mkdir(parents=True)
    path.write_text("mine\n", encoding="utf-8")
    done = cli("new", UID, "--checkpoint", checkpoint, "--registry", cli.registry)
    assert done.code == 1
    assert "is there already" in done.err
    assert path.read_text(encoding="utf-8") == "mine\n"
    path.unlink()
    path.symlink_to(cli.folder / "nowhere.md")
    assert cli("new", UID, "--registry", cli.registry).code == 1
    assert not (cli.folder / "nowhere.md").exists()
    assert [one.name for one in path.parent.iterdir()] == [path.name]


def test_bad_input_is_named(cli: Cli) -> None:
    bad = cli.folder / "a.ckpt"
    bad.write_bytes(b"no checkpoint")
    odd = cli.folder / "a.xyz"
    odd.write_bytes(b"x")
    for arguments, message in [
        (("no-uid",), "is not a UID"),
        (("../../2.10/x",), "is not a UID"),
        ((UID, "--license", "no such licence"), "is no 'license' of the vocabulary"),
        ((UID, "--module-type", "nlp-text_clasification"), "did you mean nlp-text_classification"),
        ((UID, "--evaluation", "good"), "'good' is not a metric"),
        ((UID, "--input-shape", "wide"), "is not a shape"),
        ((UID, "--mindspore-version", "new"), "cannot be 'mindspore-version'"),
        ((UID, "--update-time", "2026-02-30"), "is not a date"),
        ((UID, "--fine-tunable", "maybe"), "fine-tunable is 'maybe'"),
        ((UID, "--argument", "four"), "is not an argument"),
        ((UID, "--author", "\x1b"), "author is empty"),
        ((UID, "--checkpoint", str(bad)), "a.ckpt"),
        ((UID, "--file", str(odd)), "nothing is known of the format .xyz"),
        ((UID, "--from", "hubtool/1/none"), "hubtool/1/none"),
        ((UID, "-o", "x.md", "--registry", "r"), "not both"),
    ]:
        done = cli("new", *arguments)
        assert done.code in (1, 2), arguments
        assert message in done.err, done.err
        assert not list(cli.folder.rglob("*.md"))


def test_text_that_yaml_would_misread_stays_text(cli: Cli) -> None:
    new(cli, UID, "--author", "a: b # c", "--summary", "- 'x' \"y\"\nz", "--backbone-name", "yes", "--accuracy", "0.90")
    card = read(cli)
    assert card.values["author"] == "a: b # c"
    assert card.values["summary"] == "- 'x' \"y\" z"
    assert card.values["backbone-name"] == "yes"
    assert card.values["accuracy"] == "0.90"


@pytest.mark.skipif(sys.platform == "win32", reason="there are no pseudo-terminals")
def test_at_a_terminal_the_rest_is_asked_for(cli: Cli, checkpoint: Path) -> None:
    import pty

    here, there = pty.openpty()
    command = [
        sys.executable,
        "-m",
        "hubtool",
        "new",
        UID,
        "--checkpoint",
        str(checkpoint),
        "--registry",
        str(cli.registry),
    ]
    process = subprocess.Popen(
        command,
        stdin=there,
        stdout=there,
        stderr=there,
        cwd=cli.folder,
        env={**cli.environ, "TERM": "dumb", "INPUTRC": os.devnull},
        start_new_session=True,
    )
    os.close(there)
    seen = ""

    def until(text: str) -> None:
        nonlocal seen
        deadline = time.monotonic() + 60
        while text not in seen:
            assert time.monotonic() < deadline, seen
            if select.select([here], [], [], 1)[0]:
                try:
                    seen += os.read(here, 4096).decode("utf-8", "replace")
                except OSError:
                    break
        assert text in seen
        seen = seen.partition(text)[2]

    def say(question: str, answer: str) -> None:
        until(question)
        until(": ")
        os.write(here, answer.encode() + b"\n")

    try:
        say("the task", "")  # as the tensors say
        say("built on", "")
        say("trained further", "no")
        say("the data set", "toyner")
        say("the metrics", "good")
        until("is not a metric")
        say("the metrics", "F1score 87.12")
        say("who made", "团队")
        say("version of MindSpore", "2.10")
        say("the licence", "Apa\t")  # the Tab key completes it
        say("one sentence", "A small net.")
        say("what it does", "It finds names.")
        say("num_attention_heads", "5")
        until("is none of these")
        say("num_attention_heads", "4")
        until("mine.md")
        process.wait(timeout=60)
    finally:
        process.kill()
        process.wait()
        os.close(here)
    assert process.returncode == 0
    card = read(cli)
    assert card.values["module-type"] == "nlp-named_entity_recognition"
    assert card.values["fine-tunable"] is False
    assert card.values["train-dataset"] == "Toyner"
    assert card.values["author"] == "团队"
    assert card.values["license"] == "Apache-2.0"
    assert card.recipe is not None
    assert card.recipe.arguments == {"num_attention_heads": 4}
    text = (cli.registry / f"{UID}.md").read_text(encoding="utf-8")
    assert re.findall(r"FILL IN \((.*?)\)", text) == ["on which data it was measured, and how"]
