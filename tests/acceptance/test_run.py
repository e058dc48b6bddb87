"""`hubtool run` and `hubtool.pipeline`: a picture or a sentence goes in, labels come out."""

from __future__ import annotations

import hashlib
import io
import json
import shutil
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from PIL import Image

import hubtool
from hubtool import resources
from hubtool.errors import ArgumentError, NetworkError, RecipeError
from tests.support import ROOT, shared_folder
from tests.support.cards import write_local

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.cli import Cli

pytestmark = pytest.mark.mindspore

TAGGER = "hubtool/2.10/tinybert_bilstmcrf_toyner"
DIGITS = "hubtool/2.10/lenet_digits"
SENTENCE = "王小明在北京大学读书"
FOUND = [
    {"entity": "PER", "text": "王小明", "start": 0, "end": 3},
    {"entity": "ORG", "text": "北京大学", "start": 4, "end": 8},
]


@pytest.fixture
def embedded(cli: Cli) -> Cli:
    """Return a command line whose registry has the two models that come with hubtool."""
    shutil.copytree(resources.registry_folder() / "hubtool", cli.registry / "hubtool", dirs_exist_ok=True)
    return cli


def pictures() -> dict[str, Path]:
    """Return the pictures of digits of the tests, by their digits."""
    return {path.stem.rpartition("_")[2]: path for path in sorted((ROOT / "tests" / "data" / "digits").glob("*.png"))}


def test_the_readme_way(embedded: Cli) -> None:
    """As a process: nothing of the test's own is in it."""
    digit, path = next(iter(pictures().items()))
    run = embedded.process("run", DIGITS, path, "--json")
    assert run.code == 0, run.err
    ((label, *_),) = [one["found"] for one in run.json]
    assert label["label"] == digit
    assert 0.5 < label["score"] <= 1


def test_sentences(embedded: Cli) -> None:
    run = embedded("run", TAGGER, "--text", SENTENCE, "--json")
    assert run.json == [{"input": SENTENCE, "found": FOUND}]
    text = embedded.folder / "text.txt"
    text.write_text(f"{SENTENCE}\n\n你好\n", encoding="utf-8")
    run = embedded("run", TAGGER, text)
    assert run.out.splitlines() == [
        SENTENCE,
        "  PER  王小明    characters 0 to 3",
        "  ORG  北京大学  characters 4 to 8",
        "你好",
        "  nothing found",
    ]


def test_another_script_and_emoji(embedded: Cli) -> None:
    run = embedded("run", TAGGER, "--text", "Hello 😀 ☃", "--json")
    assert run.json == [{"input": "Hello 😀 ☃", "found": []}]


def test_pictures(embedded: Cli) -> None:
    known = pictures()
    run = embedded("run", DIGITS, *known.values(), "--top", "2", "--json")
    assert [one["found"][0]["label"] for one in run.json] == list(known)
    assert [len(one["found"]) for one in run.json] == [2] * len(known)
    run = embedded("run", DIGITS, next(iter(known.values())))
    assert run.out.split()[0] == next(iter(known))
    assert "█" not in run.out  # bars are for terminals


@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA", "CMYK", "P", "1"])
def test_pictures_of_any_kind(embedded: Cli, mode: str) -> None:
    digit, path = next(iter(pictures().items()))
    other = embedded.folder / ("picture.jpg" if mode == "CMYK" else "picture.png")
    Image.open(path).convert("L").convert(mode).save(other)
    run = embedded("run", DIGITS, other, "--json")
    assert run.code == 0, run.err
    if mode != "1":
        assert run.json[0]["found"][0]["label"] == digit


def test_what_cannot_be_used_does_not_stop_the_rest(embedded: Cli) -> None:
    digit, path = next(iter(pictures().items()))
    (embedded.folder / "sound.wav").write_bytes(b"RIFF\x24\x00\x00\x00WAVEfmt ")
    run = embedded("run", DIGITS, embedded.folder / "sound.wav", path, "--json")
    assert run.code == 1
    assert [one["found"][0]["label"] for one in run.json] == [digit]
    assert "sound.wav is no picture" in run.err
    run = embedded("run", TAGGER, "--text", "字" * 100_001, "--text", SENTENCE, "--json")
    assert run.code == 1
    assert [one["found"] for one in run.json] == [FOUND]
    assert "100,001 characters" in run.err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((DIGITS,), "there is no input"),
        ((DIGITS, "no-such.png"), "there is no file"),
        ((DIGITS, "https://example.org/x.png"), "is a URL"),
        ((DIGITS, "--text", "x"), "--text is for texts"),
        ((TAGGER, "-", "-"), "can be read once"),
        (("lenet_digits", "x.png"), f"did you mean {DIGITS}"),
    ],
)
def test_wrong_use(embedded: Cli, arguments: tuple[str, ...], words: str) -> None:
    run = embedded("run", *arguments)
    assert run.code == 2, run.err
    assert words in run.err


def test_texts_that_are_none(embedded: Cli) -> None:
    for name, content, words in (
        ("empty.txt", b"\n \n", "holds no text"),
        ("sound.txt", b"\xff\xfb\x90\x00" * 20, "not text in UTF-8"),
        ("long.txt", b"x" * 10_000_000, "more than 400,000 bytes"),
    ):
        (embedded.folder / name).write_bytes(content)
        run = embedded("run", TAGGER, embedded.folder / name)
        assert run.code == 1
        assert f"{name}" in run.err
        assert words in run.err
    (embedded.folder / "good.txt").write_text(f"{SENTENCE}\n", encoding="utf-8")
    run = embedded("run", TAGGER, "empty.txt", "good.txt", "sound.txt", "good.txt", "--text", " ", "--json")
    assert run.code == 1
    assert [one["found"] for one in run.json] == [FOUND, FOUND]
    assert run.err.splitlines() == [
        "error: the text is empty",
        "hint: give a sentence",
        "error: empty.txt: it holds no text",
        "hint: write a sentence on a line",
        "error: sound.txt:1: this is not text in UTF-8",
        "hint: save it as UTF-8",
    ]


def test_a_vocabulary_with_line_ends_of_unicode(embedded: Cli) -> None:
    """The vocabularies of Google's networks have such tokens: each token's number is that of its line."""
    path = embedded.registry / f"{TAGGER}.md"
    vocabulary = path.with_suffix("") / "vocab.txt"
    tokens = vocabulary.read_bytes().split(b"\n")
    before = hashlib.sha256(vocabulary.read_bytes()).hexdigest(), len(vocabulary.read_bytes())
    tokens[next(place for place, token in enumerate(tokens) if len(token) == 3)] = "\u2028".encode()
    vocabulary.write_bytes(b"\n".join(tokens))
    after = hashlib.sha256(vocabulary.read_bytes()).hexdigest(), len(vocabulary.read_bytes())
    changed(embedded, TAGGER, before[0], after[0])
    assert before[1] == after[1]
    assert embedded("run", TAGGER, "--text", SENTENCE, "--json").json == [{"input": SENTENCE, "found": FOUND}]
    vocabulary.write_bytes(vocabulary.read_bytes() + "\u2028\n".encode())
    twice = hashlib.sha256(vocabulary.read_bytes()).hexdigest()
    changed(embedded, TAGGER, after[0], twice)
    changed(embedded, TAGGER, f"asset-size: {before[1]}", f"asset-size: {before[1] + 4}")
    run = embedded("run", TAGGER, "--text", SENTENCE)
    assert run.code == 1
    assert f"vocab.txt of {TAGGER}: the vocabulary holds" in run.err


def test_a_mark_of_byte_order_is_no_letter(embedded: Cli) -> None:
    text = embedded.folder / "marked.txt"
    text.write_text(SENTENCE, encoding="utf-8-sig")
    assert embedded("run", TAGGER, text, "--json").json[0]["found"][0]["text"] == "王小明"


def test_a_deprecated_model_says_so(embedded: Cli) -> None:
    changed(embedded, DIGITS, "license:", "status: deprecated\nstatus-reason: It is old.\nlicense:")
    run = embedded("run", DIGITS, next(iter(pictures().values())))
    assert run.code == 0
    assert "deprecated: It is old" in run.err


def changed(cli: Cli, uid: str, before: str, after: str) -> str:
    path = cli.registry / f"{uid}.md"
    text = path.read_text(encoding="utf-8")
    assert before in text
    path.write_text(text.replace(before, after), encoding="utf-8")
    return uid


def test_a_card_that_does_not_say_enough_runs_nothing(embedded: Cli) -> None:
    changed(embedded, DIGITS, "preprocessing:", "unknown:")
    run = embedded("run", DIGITS, next(iter(pictures().values())))
    assert run.code == 1, run.err
    assert "it has no preprocessing" in run.err
    with pytest.raises(RecipeError, match="no preprocessing"):
        hubtool.pipeline(str(embedded.registry / f"{DIGITS}.md"), source="local")


def test_labels_that_do_not_fit(embedded: Cli) -> None:
    changed(embedded, DIGITS, "labels: {asset: labels.txt}", "labels: [a, b, c]")
    run = embedded("run", DIGITS, next(iter(pictures().values())))
    assert run.code == 1, run.err
    assert "the card states 3 labels" in run.err


def test_python(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HUBTOOL_HOME", str(cli.home))
    card = resources.registry_folder() / f"{DIGITS}.md"
    digits = hubtool.pipeline(str(card), source="local")
    assert digits.task == "image-classification"
    assert len(digits.labels) == 10
    digit, path = next(iter(pictures().items()))
    picture = Image.open(path)
    for source in (path, str(path), picture, np.asarray(picture.convert("RGB")), io.BytesIO(path.read_bytes())):
        assert digits(source)[0].label == digit
    both = digits([path, picture], top=1)
    assert [len(one) for one in both] == [1, 1]
    assert digit in repr(both[0])
    with pytest.raises(ArgumentError, match="top must be a whole number"):
        digits(path, top=0)


def test_a_text_is_classified_as_the_network_says(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    """The small BERT classifier of ../shared, whose outputs are log-probabilities, with word pieces."""
    monkeypatch.setenv("HUBTOOL_HOME", str(cli.home))
    tokens = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "good", "film", "un", "##watch", "##able", *map(str, range(122))]
    content = (shared_folder() / "oracles" / "bert" / "classifier.ckpt").read_bytes()
    path = write_local(
        cli.registry, "tests/1.9/classifier", content, entry="bert-classifier", arguments={"num_attention_heads": 4}
    )
    beside = path.with_suffix("")
    (beside / "vocab.txt").write_text("\n".join(tokens) + "\n", encoding="utf-8")
    digest = hashlib.sha256((beside / "vocab.txt").read_bytes()).hexdigest()
    text = path.read_text(encoding="utf-8")
    network: Any = hubtool.load(str(path), source="local")
    import mindspore as ms

    ids = [2, 4, 5, 6, 7, 8, 1, 3]
    row = [[*ids, *[0] * (24 - len(ids))]]
    mask = [[1] * len(ids) + [0] * (24 - len(ids))]
    expected = np.exp(
        network(ms.Tensor(row, ms.int32), ms.Tensor(mask, ms.int32), ms.Tensor([[0] * 24], ms.int32)).asnumpy()
    )
    labels = [f"label {number}" for number in range(expected.shape[1])]
    text = text.replace(
        "network:\n",
        f"""  - file-format: txt
    asset-link: classifier/vocab.txt
    asset-sha256: {digest}
task: text-classification
preprocessing:
  - tokenize: {{tokenizer: bert, vocabulary: vocab.txt, length: 24}}
outputs:
  - kind: log-probabilities
labels: {json.dumps(labels)}
network:
""",
    )
    path.write_text(text, encoding="utf-8")
    classifier = hubtool.pipeline(str(path), source="local")
    found = classifier("Good film unwatchable ☃", top=len(labels))
    scores = {one.label: one.score for one in found}
    np.testing.assert_allclose([scores[label] for label in labels], expected[0], atol=1e-6)
    with pytest.raises(ArgumentError, match="has 30 tokens"):
        classifier("film " * 30)
    path.write_text(
        text.replace("kind: log-probabilities", "kind: scores, name: x").replace(
            "  - kind: scores, name: x", "  - {kind: features}\n  - {kind: scores}"
        ),
        encoding="utf-8",
    )
    with pytest.raises(NetworkError, match="number 2 is read"):
        hubtool.pipeline(str(path), source="local")("good film")
