"""The embedded model: its files, what it tags, and that what it was judged by was never trained on."""

from __future__ import annotations

import hashlib
import importlib.util
import json
import random
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from hubtool.networks.builtin import build, infer
from hubtool.networks.builtin.text import encode, entities, read_vocabulary
from tests.support.modes import running

if TYPE_CHECKING:
    from collections.abc import Sequence

ROOT = Path(__file__).parents[2]
NAME = "tinybert_bilstmcrf_toyner"
FOLDER = ROOT / "registry" / "hubtool" / "2.10" / NAME
LENGTH = 48


@pytest.fixture(scope="module")
def sentences() -> Any:
    """The module that makes up sentences; tools are no package."""
    spec = importlib.util.spec_from_file_location("toyner_sentences", ROOT / "tools" / "toyner_sentences.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def record() -> Any:
    return json.loads((FOLDER / "training.json").read_text(encoding="utf-8"))


def stream(seed: int) -> random.Random:
    return random.Random(seed)  # noqa: S311 - sentences, not secrets


class Tagger:
    """The embedded model with its vocabulary and labels."""

    def __init__(self) -> None:
        import mindspore as ms

        self.vocabulary = read_vocabulary((FOLDER / "vocab.txt").read_text(encoding="utf-8").splitlines())
        self.labels = (FOLDER / "labels.txt").read_text(encoding="utf-8").split()
        weights = ms.load_checkpoint(str(FOLDER / f"{NAME}.ckpt"))
        shapes = {name: tuple(weight.shape) for name, weight in weights.items()}
        self.network = build("bert-ner", infer("bert-ner", {"num_attention_heads": 4}, shapes).config)
        assert ms.load_param_into_net(self.network, weights, strict_load=True) == ([], [])

    def __call__(self, texts: Sequence[str]) -> list[list[tuple[str, str, int, int]]]:
        import numpy as np
        from mindspore import Tensor

        rows = [encode(text, self.vocabulary, LENGTH) for text in texts]
        with running("graph"):
            tags = self.network(*(Tensor(np.array(column, np.int32)) for column in zip(*rows, strict=True)))
        return [entities(text, row, self.labels) for text, row in zip(texts, tags.asnumpy().tolist(), strict=True)]


@pytest.fixture(scope="module")
def tagger() -> Tagger:
    return Tagger()


def test_the_files_are_those_on_record(record: Any, sentences: Any) -> None:
    for name, file in record["files"].items():
        content = (FOLDER / name).read_bytes()
        assert len(content) == file["size"]
        assert hashlib.sha256(content).hexdigest() == file["sha256"]
    assert record["files"][f"{NAME}.ckpt"]["size"] <= 1_000_000
    assert (FOLDER / "labels.txt").read_text(encoding="utf-8").split() == list(sentences.LABELS)
    assert (FOLDER / "vocab.txt").read_text(encoding="utf-8").splitlines()[4:] == sentences.characters()


@pytest.mark.mindspore
@pytest.mark.parametrize(
    ("text", "want"),
    [
        ("王小明在北京大学读书", ["王小明/PER", "北京大学/ORG"]),
        ("李华昨天从上海去了杭州", ["李华/PER", "上海/LOC", "杭州/LOC"]),
        ("我和陈晓红一起去了西安", ["陈晓红/PER", "西安/LOC"]),
        ("清华大学位于北京", ["清华大学/ORG", "北京/LOC"]),
    ],
)
def test_it_tags_sentences_written_by_hand(tagger: Tagger, text: str, want: list[str]) -> None:
    assert [f"{piece}/{kind}" for piece, kind, _, _ in tagger([text])[0]] == want


@pytest.mark.mindspore
@pytest.mark.slow
def test_its_score_on_unseen_templates_and_names_is_the_one_on_record(
    tagger: Tagger, record: Any, sentences: Any
) -> None:
    # The first sentences of those that the record is about.
    writer = sentences.Writer(stream(record["seed"] + 1), held=True)
    unseen = [writer.sentence(LENGTH - 2) for _ in range(600)]
    true = said = right = 0
    for sentence, found in zip(unseen, tagger([each.text for each in unseen]), strict=True):
        ours, theirs = set(sentence.entities), {(kind, begin, end) for _, kind, begin, end in found}
        true, said, right = true + len(ours), said + len(theirs), right + len(ours & theirs)
    score = 2 * right / (true + said)
    assert score == pytest.approx(record["held_out"]["overall"]["f1"], abs=0.03)
    assert score > 0.85


def test_what_it_is_judged_by_was_never_trained_on(sentences: Any) -> None:
    trained = {*sentences.TEMPLATES, *sentences.FRAMES, *sentences.PLAIN}
    assert not trained & {*sentences.HELD_OUT_TEMPLATES, *sentences.HELD_OUT_PLAIN}
    names: dict[bool, set[str]] = {}
    for held in (False, True):
        writer = sentences.Writer(stream(1), held=held)
        names[held] = {writer.person() for _ in range(3000)} | {writer.place() for _ in range(3000)}
        names[held] |= {writer.organisation() for _ in range(3000)}
    assert len(names[True]) > 5000
    assert not names[True] & names[False]


@pytest.mark.parametrize("held", [False, True])
def test_sentences_name_their_entities_where_they_stand(sentences: Any, held: bool) -> None:
    rare = "龘靐"
    writer = sentences.Writer(stream(2), held=held, rare="" if held else rare)
    kinds = set()
    for _ in range(300):
        sentence = writer.sentence(46)
        assert 0 < len(sentence.text) <= 46
        assert "{" not in sentence.text
        tags = sentences.tags(sentence, 48)
        got = entities(sentence.text, tags, sentences.LABELS)
        assert {(kind, begin, end) for _, kind, begin, end in got} == set(sentence.entities)
        kinds |= {kind for kind, _, _ in sentence.entities}
    assert kinds == {"PER", "LOC", "ORG"}
