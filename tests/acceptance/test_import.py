"""Importing the public hub's cards: from the corpus where it is there, and from small sources that tests write."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import yaml

from hubtool.card import document, vocabulary
from hubtool.card.metrics import parse as parse_metrics
from hubtool.registry.folder import FolderRegistry, read_card
from hubtool.uid import Uid
from maintain.importing import ImportReport, import_cards, references
from tests.support import shared_folder

if TYPE_CHECKING:
    from tests.support.cli import Cli

ROOT = Path(__file__).parents[2]
REGISTRY = ROOT / "registry"

CARD = """# resnet50

---

model-name: resnet50

backbone-name: resnet

module-type: cv-super-resolution

fine-tunable: True

model-version: 1.10

train-dataset: imagenet2012

evaluation: top1acc76.97 | top5acc93.44

author: MindSpore team

update-time: 2023-2-7

repo-link: <https://gitee.com/mindspore/models/tree/r1.10/official/cv/resnet>

user-id: MindSpore

used-for: inference

mindspore-version: 1.10

asset:

-
    file-format: ckpt
    asset-link: <https://download.mindspore.cn/models/r1.10/resnet50.ckpt>
    asset-sha256: 41C1479844F6F848D4CAF902CF940EBE4727DF559495ED45885892FC55A2738F

license: Apache2.0

summary: resnet is used for cv

---

## Introduction

This sentence belongs to the public hub and stays there with it.

## Citation

1. [Deep Residual Learning for Image Recognition](https://arxiv.org/pdf/1512.03385v1.pdf)
2. Somebody, Else. A Paper Without Any Link At All. Some Venue 2020.
"""


def _source(folder: Path, text: str = CARD, uid: str = "mindspore/1.10/resnet50_imagenet2012") -> Path:
    path = folder / "mshub_res/assets" / f"{uid}.md"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> tuple[ImportReport, Path, Path]:
    """Import the whole corpus once; returns the report, the source and the registry."""
    source = shared_folder() / "corpus/mindspore-hub"
    into = tmp_path_factory.mktemp("imported")
    return import_cards(source, into), source, into


# -- the corpus -------------------------------------------------------------------------------------------------------


def test_every_card_of_the_corpus_is_imported(corpus: tuple[ImportReport, Path, Path]) -> None:
    report, source, into = corpus
    uids = {Uid.of_path(path.relative_to(source)) for path in map(Path, source.rglob("*.md"))}  # type: ignore[arg-type] # a pure path is enough
    assert len(report.cards) == len(uids) == 2915
    assert report.count("written") == 2915
    assert set(FolderRegistry(into).uids()) == uids


def test_what_was_imported_is_clean_and_every_warning_is_for_a_maintainer(
    cli: Cli, corpus: tuple[ImportReport, Path, Path]
) -> None:
    found = cli("validate", corpus[2], "--format", "json").json
    assert (found["cards"], found["summary"]["errors"]) == (2915, 0)
    # A short digest, a data set that nobody knows, a repository that nobody names.
    assert {diagnostic["code"] for diagnostic in found["diagnostics"]} <= {"HT304", "HT210", "HT504"}
    assert len(found["diagnostics"]) < 140


def test_importing_again_changes_nothing(corpus: tuple[ImportReport, Path, Path]) -> None:
    _, source, into = corpus
    before = {path: (path.stat().st_mtime_ns, path.stat().st_ino) for path in into.rglob("*.md")}
    again = import_cards(source, into)
    assert again.count("unchanged") == 2915
    assert before == {path: (path.stat().st_mtime_ns, path.stat().st_ino) for path in into.rglob("*.md")}


def test_the_committed_registry_is_what_an_import_writes(corpus: tuple[ImportReport, Path, Path]) -> None:
    report, _, into = corpus
    committed = import_cards(corpus[1], REGISTRY, dry_run=True)
    states = {card.uid: card.state for card in committed.cards}
    wrong = [uid for uid, state in states.items() if state in ("written", "updated", "refused")]
    assert not wrong, f"run 'python -m maintain import' and commit: {wrong[:5]}"
    # Written by hand: the cards of the BERT family, and those that say why a rule on their network is ignored, that
    # another version's code builds it, or that it needs something from its caller.
    told = ("<!-- hubtool: ignore HT60", "Its file is, byte for byte, that of", "; no checkpoint has it.")
    kept = [uid for uid, state in states.items() if state == "kept" and "bert" not in uid]
    texts = {uid: (REGISTRY / f"{uid}.md").read_text(encoding="utf-8") for uid in kept}
    assert [uid for uid, text in texts.items() if not any(mark in text for mark in told)] == []
    assert {*kept} < {card.uid for card in report.cards}
    assert not committed.left
    assert into != REGISTRY


def test_no_sentence_of_the_public_hub_is_carried_over(corpus: tuple[ImportReport, Path, Path]) -> None:
    report, source, into = corpus
    theirs: set[str] = set()
    titles: set[str] = set()
    for card in report.cards:
        body = document.parse((source / f"{card.uid}.md").read_bytes()).body
        titles |= {vocabulary.fold(item.title) for item in references.items(body) if item.title}
        prose = re.sub(r"```.*?```", "", body, flags=re.DOTALL)
        theirs |= {
            folded
            for sentence in re.split(r"(?<=[.!?。！？])\s+|\n+", prose)
            if len(sentence.split()) >= 5 and len(folded := vocabulary.fold(sentence)) >= 25
        }
    theirs -= titles
    assert len(theirs) > 3000
    for card in report.cards:
        ours = document.parse((into / f"{card.uid}.md").read_bytes()).body
        without = re.sub(r"^- .*$|```.*?```", "", ours, flags=re.MULTILINE | re.DOTALL)
        for sentence in re.split(r"(?<=[.。])\s+|\n+", without):
            assert vocabulary.fold(sentence) not in theirs, f"{card.uid}: {sentence}"


@pytest.mark.slow
def test_facts_survive_and_are_read_alike_by_every_yaml_reader(corpus: tuple[ImportReport, Path, Path]) -> None:
    report, source, into = corpus
    for card in report.cards:
        uid = Uid.parse(card.uid)
        new = read_card(into / uid.path, uid)
        text = document.parse((into / uid.path).read_bytes()).front_matter
        plain = yaml.safe_load(text or "")
        assert not new.faults
        for key in ("model-version", "mindspore-version", "accuracy", "model-name", "summary"):
            assert isinstance(plain.get(key, ""), str), (card.uid, key)
        for asset in plain.get("asset", []):
            assert re.fullmatch(r"[0-9a-f]{8,64}", asset["asset-sha256"]), card.uid
        assert vocabulary.task(plain["module-type"]) == plain["module-type"]
        assert vocabulary.licence(plain["license"]) == plain["license"]
        if "evaluation" in plain:
            assert not parse_metrics(plain["evaluation"]).unread
        old = read_card(source / uid.path, uid) if not uid.name.endswith("_cn") else None
        if old is None:
            continue
        digests = {asset.link: asset.digest for asset in old.assets if asset.digest}
        assert {asset.link: asset.digest for asset in new.assets} == digests
        stated = parse_metrics(old.text("evaluation") or "").metrics
        assert parse_metrics(new.text("evaluation") or "").metrics == stated
        assert new.mindspore_version == old.mindspore_version
        assert new.repo_link == (old.repo_link or None)


def test_translations_are_cards_in_chinese(corpus: tuple[ImportReport, Path, Path]) -> None:
    report, _, into = corpus
    translations = [card.uid for card in report.cards if card.uid.endswith("_cn")]
    assert len(translations) == 10
    for uid in translations:
        new = read_card(into / f"{uid}.md", Uid.parse(uid))
        original = read_card(into / f"{uid.removesuffix('_cn')}.md", Uid.parse(uid.removesuffix("_cn")))
        assert "## 用法" in new.body
        assert {(a.link, a.digest) for a in new.assets} == {(a.link, a.digest) for a in original.assets}, uid


def test_the_packaged_registry_resolves_every_card_of_the_corpus() -> None:
    source = shared_folder() / "corpus/mindspore-hub"
    registry = FolderRegistry(REGISTRY)
    for path in source.rglob("*.md"):
        uid = Uid.parse(str(path.relative_to(source).with_suffix("")))
        card = registry.read(uid)
        assert card is not None, uid
        assert card.text("summary"), uid


# -- small sources ----------------------------------------------------------------------------------------------------


def test_facts_are_normalised_and_said(cli: Cli) -> None:
    done = cli.maintain("import", _source(cli.folder / "hub"), "--into", cli.registry, "--json")
    assert done.code == 0
    (card,) = done.json["cards"]
    assert card["state"] == "written"
    normalised = {note["key"]: note["what"] for note in card["normalised"]}
    assert normalised["mindspore-version"] == "1.10 -> '1.10', as text"
    assert normalised["update-time"] == "2023-2-7 -> 2023-02-07"
    assert normalised["module-type"] == "cv-super-resolution -> cv-super_resolution"
    assert normalised["train-dataset"] == "imagenet2012 -> ImageNet2012"
    assert normalised["license"] == "Apache2.0 -> Apache-2.0"
    text = (cli.registry / "mindspore/1.10/resnet50_imagenet2012.md").read_text()
    assert "mindspore-version: '1.10'\n" in text
    assert "evaluation: top1acc 76.97 | top5acc 93.44\n" in text
    assert "    asset-sha256: 41c1479844f6f848d4caf902cf940ebe4727df559495ed45885892fc55a2738f\n" in text
    assert "- [Deep Residual Learning for Image Recognition](https://arxiv.org/abs/1512.03385)\n" in text
    assert "- A Paper Without Any Link At All\n" in text
    assert 'mshub.load("mindspore/1.10/resnet50_imagenet2012")' in text
    assert "belongs to the public hub" not in text
    assert cli("validate", cli.registry).code == 0
    assert "1 unchanged" in cli.maintain("import", cli.folder / "hub", "--into", cli.registry).out


def test_what_is_not_known_is_left_out_and_said(cli: Cli) -> None:
    text = CARD.replace("evaluation: top1acc76.97 | top5acc93.44", "evaluation: -").replace("imagenet2012", "N/A", 1)
    text = re.sub(r"    asset-sha256: .*\n", "", text).split("## Citation")[0]
    done = cli.maintain("import", _source(cli.folder / "hub", text), "--into", cli.registry, "--json")
    unknown = {note["key"] for note in done.json["cards"][0]["unknown"]}
    assert unknown == {"evaluation", "train-dataset", "asset", "references"}
    card = read_card(cli.registry / "mindspore/1.10/resnet50_imagenet2012.md", None)
    assert {"evaluation", "train-dataset", "asset"} & card.values.keys() == set()
    assert "<https://download.mindspore.cn/models/r1.10/resnet50.ckpt>" in card.body
    out = cli.maintain("import", cli.folder / "hub", "--into", cli.registry).out
    assert "not known: train-dataset: the source says 'N/A'" in out


def test_a_short_digest_stays_short(cli: Cli) -> None:
    text = re.sub(r"asset-sha256: \w+", "asset-sha256: 01234567", CARD)
    done = cli.maintain("import", _source(cli.folder / "hub", text), "--into", cli.registry, "--json")
    assert "only 8 digits" in done.json["cards"][0]["unknown"][0]["what"]
    text = (cli.registry / "mindspore/1.10/resnet50_imagenet2012.md").read_text()
    # In quotes: eight digits alone are a number to other readers.
    assert "asset-sha256: '01234567'\n" in text


def test_several_assets_under_one_item_are_told_apart(tmp_path: Path) -> None:
    digest = "ab" * 32
    text = CARD.replace(
        "license:",
        f"    asset-link: https://download.mindspore.cn/models/second.ckpt\n    asset-sha256: {digest}\n\nlicense:",
    ).replace("\n\n    asset-link: https://download", "\n    asset-link: https://download")
    import_cards(_source(tmp_path / "hub", text), tmp_path / "registry")
    card = read_card(tmp_path / "registry/mindspore/1.10/resnet50_imagenet2012.md", None)
    assert [(asset.format, asset.link[-12:]) for asset in card.assets] == [
        ("ckpt", "esnet50.ckpt"),
        ("ckpt", "/second.ckpt"),
    ]


def test_cards_written_or_changed_by_hand_are_kept(tmp_path: Path) -> None:
    source, registry = _source(tmp_path / "hub"), tmp_path / "registry"
    path = registry / "mindspore/1.10/resnet50_imagenet2012.md"
    path.parent.mkdir(parents=True)
    path.write_text("# by hand\n\n---\n\nmodel-name: x\n\n---\n")
    before = path.read_bytes()
    (card,) = import_cards(source, registry).cards
    assert (card.state, card.reason) == ("kept", "it was written by hand")
    assert path.read_bytes() == before
    path.unlink()
    import_cards(source, registry)
    written = path.read_text()
    for change in (
        ("resnet50 is a network", "resnet50 is our network"),
        ("license: Apache-2.0", "license: MIT"),
        ("model-name: resnet50\n", "model-name: resnet50\n# a note\n"),
        ("## Usage", "## How to use it"),
        ("asset-sha256: 41c1", "asset-sha256: 42c1"),
    ):
        path.write_text(written.replace(*change))
        assert path.read_text() != written
        (card,) = import_cards(source, registry).cards
        assert (card.state, card.reason) == ("kept", "it was changed since an import wrote it"), change
    # Whoever takes the mark away has made the card their own.
    path.write_text(re.sub(r"<!-- hubtool: imported.*-->\n", "", written))
    assert import_cards(source, registry).cards[0].reason == "it was written by hand"


def test_what_others_add_to_a_card_stays_in_it(tmp_path: Path) -> None:
    source, registry = _source(tmp_path / "hub"), tmp_path / "registry"
    import_cards(source, registry)
    path = registry / "mindspore/1.10/resnet50_imagenet2012.md"
    recipe = "network:\n  provider: repository\n  entry: src.resnet:resnet50\n  arguments:\n    class_num: 1001\n"
    text = path.read_text().replace("license:", f"{recipe}license:")
    text = re.sub(r"(    asset-sha256: \w+\n)", r"\1    asset-size: 1234\n", text)
    path.write_text(text)
    assert import_cards(source, registry).cards[0].state == "unchanged"
    # The source's facts change: the card follows, and what was added stays.
    _source(tmp_path / "hub", CARD.replace("top1acc76.97", "top1acc77.01"))
    assert import_cards(source, registry).cards[0].state == "updated"
    card = read_card(path, None)
    assert card.text("evaluation") == "top1acc 77.01 | top5acc 93.44"
    assert card.recipe is not None
    assert card.recipe.arguments == {"class_num": 1001}
    assert card.assets[0].size == 1234
    assert import_cards(source, registry).cards[0].state == "unchanged"


def test_a_card_that_the_source_no_longer_has_is_named_and_left(cli: Cli) -> None:
    source = _source(cli.folder / "hub")
    cli.maintain("import", source, "--into", cli.registry)
    (source / "mshub_res/assets/mindspore/1.10/resnet50_imagenet2012.md").unlink()
    _source(source, uid="mindspore/1.10/other")
    done = cli.maintain("import", source, "--into", cli.registry, "--json")
    assert done.json["left"] == ["mindspore/1.10/resnet50_imagenet2012"]
    assert (cli.registry / "mindspore/1.10/resnet50_imagenet2012.md").is_file()


def test_files_that_are_no_cards_are_refused_with_their_reason(cli: Cli) -> None:
    source = _source(cli.folder / "hub")
    _source(source, "no front matter", "mindspore/1.10/text")
    _source(source, "---\n- 1\n---\n", "mindspore/1.10/list")
    (source / "mshub_res/assets/mindspore/1.10/binary.md").write_bytes(b"\xff\x00")
    (source / "mshub_res/assets/mindspore/top.md").write_text(CARD)
    done = cli.maintain("import", source, "--into", cli.registry, "--json")
    assert done.code == 1
    states = {card["uid"]: (card["state"], bool(card["reason"])) for card in done.json["cards"]}
    assert states.pop("mindspore/1.10/resnet50_imagenet2012") == ("written", False)
    assert set(states.values()) == {("refused", True)}
    assert len(states) == 4


def test_a_dry_run_writes_nothing(cli: Cli) -> None:
    done = cli.maintain("import", _source(cli.folder / "hub"), "--into", cli.folder / "new", "--dry-run")
    assert "1 written" in done.out
    assert not (cli.folder / "new").exists()
    assert cli.maintain("import", cli.folder / "absent").code == 2


def test_every_line_of_the_report_is_json_too(cli: Cli) -> None:
    _source(cli.folder / "hub", CARD.replace("author: MindSpore team", 'author: "\\e[31mred"'))
    done = cli.maintain("import", cli.folder / "hub", "--into", cli.registry)
    assert "\x1b" not in done.out
    assert json.loads(cli.maintain("import", cli.folder / "hub", "--into", cli.registry, "--json").out)["summary"]
