"""Train the embedded model ``hubtool/2.10/tinybert_bilstmcrf_toyner`` and write its files.

A small network of the flagship's architecture (BERT, BiLSTM, CRF) learns to tag persons, places and organisations in
made-up Chinese sentences, from nothing, on a CPU, in a few minutes::

    python tools/train_toyner.py

It is then judged by sentences whose templates and names it has not seen. All randomness comes from ``--seed``.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import math
import random
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import mindspore as ms
import numpy as np
from mindspore import Tensor, nn
from toyner_sentences import LABELS, Sentence, Writer, characters, tags

from hubtool.networks.builtin import build, infer
from hubtool.networks.builtin.text import FIRST, LAST, PAD, UNKNOWN, encode, entities, read_vocabulary

if TYPE_CHECKING:
    from collections.abc import Sequence

NAME: Final = "tinybert_bilstmcrf_toyner"
FOLDER: Final = Path(__file__).resolve().parents[1] / "registry" / "hubtool" / "2.10" / NAME
SHORT: Final = 32
MIDDLE: Final = 48
LONG: Final = 128
ARGUMENTS: Final[dict[str, object]] = {
    "vocab_size": 0,  # that of the vocabulary
    "hidden_size": 44,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 176,
    "max_position_embeddings": LONG,
    "type_vocab_size": 2,
    "num_labels": len(LABELS),
    "with_lstm": True,
    "use_crf": True,
    "initializer_range": 0.1,  # the family's 0.02 suits widths of hundreds, not of tens
    "dropout_prob": 0.1,
    "hidden_dropout_prob": 0.05,
    "attention_probs_dropout_prob": 0.05,
}
#: Written by hand, and not of the generator's templates; what comes of them is recorded, not trained on.
EXAMPLES: Final = (
    "王小明在北京大学读书",
    "李华昨天从上海去了杭州",
    "张伟是华为公司的工程师",
    "我和陈晓红一起去了西安",
    "清华大学位于北京",
    "今天天气很好，我们去公园玩吧",
    "中国科学院的赵明教授到武汉作报告",
    "刘洋、周敏都住在成都",
)


def batch(sentences: Sequence[Sentence], vocabulary: dict[str, int], length: int) -> tuple[np.ndarray[Any, Any], ...]:
    """Encode sentences: ids, masks, types and tags, each int32 (sentences, length)."""
    rows = [(*encode(each.text, vocabulary, length), tags(each, length)) for each in sentences]
    return tuple(np.array(column, np.int32) for column in zip(*rows, strict=True))


def learning_rates(steps: int, peak: float) -> list[float]:
    """Rise for a twentieth of the steps, then fall along half a cosine."""
    rise = max(1, steps // 20)
    fall = max(1, steps - rise)
    return [
        peak * (step + 1) / rise
        if step < rise
        else peak * (0.01 + 0.495 * (1 + math.cos(math.pi * (step - rise) / fall)))
        for step in range(steps)
    ]


def shape(step: int) -> tuple[int, int]:
    """Return the batch and the length of a training step: most sentences are short, but all positions are to be met."""
    return (16, LONG) if step % 4 == 3 else (64, SHORT)


def train(network: nn.Cell, vocabulary: dict[str, int], *, steps: int, seed: int) -> None:
    """Train on freshly made sentences."""
    rare = "".join(token for token in vocabulary if len(token) == 1 and "一" <= token <= "鿿")
    writer = Writer(random.Random(seed), held=False, rare=rare)  # noqa: S311 - sentences, not secrets
    rates = learning_rates(steps, 3e-3)
    optimizer = nn.Adam(network.trainable_params(), learning_rate=rates)
    step_cell = nn.TrainOneStepCell(network, optimizer)
    step_cell.set_train()
    begin = time.monotonic()
    for step in range(steps):
        count, length = shape(step)
        columns = batch([writer.sentence(length - 2) for _ in range(count)], vocabulary, length)
        loss = step_cell(*(Tensor(column) for column in columns))
        if step % 100 == 98:
            print(f"step {step + 1}: loss {float(loss.asnumpy()):.3f}, {time.monotonic() - begin:.0f} s", flush=True)
    network.set_train(False)


def predict(
    network: nn.Cell, texts: Sequence[str], vocabulary: dict[str, int], length: int
) -> list[list[tuple[str, str, int, int]]]:
    """Tag texts, a hundred at a time, and read the entities off."""
    found = []
    for begin in range(0, len(texts), 100):
        part = texts[begin : begin + 100]
        rows = [encode(text, vocabulary, length) for text in part]
        inputs = [Tensor(np.array(column, np.int32)) for column in zip(*rows, strict=True)]
        for text, row in zip(part, network(*inputs).asnumpy().tolist(), strict=True):
            found.append(entities(text, row, LABELS))
    return found


def evaluate(
    network: nn.Cell, sentences: Sequence[Sentence], vocabulary: dict[str, int]
) -> dict[str, dict[str, float | int]]:
    """Compare entities, which count as right where type, begin and end are; overall and for each type."""
    guesses = predict(network, [each.text for each in sentences], vocabulary, MIDDLE)
    counts: dict[str, list[int]] = {kind: [0, 0, 0] for kind in ("overall", "PER", "LOC", "ORG")}
    for sentence, guess in zip(sentences, guesses, strict=True):
        true = set(sentence.entities)
        said = {(kind, begin, end) for _, kind, begin, end in guess}
        for kind, count in counts.items():
            ours = {each for each in true if kind in {"overall", each[0]}}
            theirs = {each for each in said if kind in {"overall", each[0]}}
            count[0] += len(ours)
            count[1] += len(theirs)
            count[2] += len(ours & theirs)
    return {
        kind: {
            "f1": round(2 * right / max(1, true + said), 4),
            "precision": round(right / max(1, said), 4),
            "recall": round(right / max(1, true), 4),
            "entities": true,
            "found": said,
            "right": right,
        }
        for kind, (true, said, right) in counts.items()
    }


def main() -> None:
    """Train, evaluate, and write checkpoint, vocabulary, labels and figures."""
    parser = argparse.ArgumentParser(description="Train the embedded model and write its files.")
    parser.add_argument("--steps", type=int, default=3300)
    parser.add_argument("--seed", type=int, default=20261123)
    parser.add_argument("--output", type=Path, default=FOLDER)
    options = parser.parse_args()

    ms.set_context(mode=ms.GRAPH_MODE, device_target="CPU")
    ms.set_seed(options.seed)
    tokens = [PAD, UNKNOWN, FIRST, LAST, *characters()]
    vocabulary = read_vocabulary(tokens)
    arguments = {**ARGUMENTS, "vocab_size": len(tokens)}
    network = build("bert-ner", infer("bert-ner", arguments, {}).config)

    begin = time.monotonic()
    train(network, vocabulary, steps=options.steps, seed=options.seed)
    seconds = time.monotonic() - begin

    options.output.mkdir(parents=True, exist_ok=True)
    checkpoint = options.output / f"{NAME}.ckpt"
    checkpoint.unlink(missing_ok=True)  # MindSpore leaves what it writes read-only
    ms.save_checkpoint(network, str(checkpoint))
    checkpoint.chmod(0o644)
    (options.output / "vocab.txt").write_text("\n".join(tokens) + "\n", encoding="utf-8")
    (options.output / "labels.txt").write_text("\n".join(LABELS) + "\n", encoding="utf-8")

    writer = Writer(random.Random(options.seed + 1), held=True)  # noqa: S311 - sentences, not secrets
    unseen = [writer.sentence(MIDDLE - 2) for _ in range(2000)]
    scores = evaluate(network, unseen, vocabulary)
    known = Writer(random.Random(options.seed + 2), held=False)  # noqa: S311 - sentences, not secrets
    seen = evaluate(network, [known.sentence(MIDDLE - 2) for _ in range(1000)], vocabulary)
    examples = {
        text: [f"{piece}/{kind}" for piece, kind, _, _ in found]
        for text, found in zip(EXAMPLES, predict(network, EXAMPLES, vocabulary, MIDDLE), strict=True)
    }
    report = {
        "entry": "bert-ner",
        "arguments": arguments,
        "seed": options.seed,
        "steps": options.steps,
        "sentences": sum(shape(step)[0] for step in range(options.steps)),
        "seconds": round(seconds),
        "mindspore": ms.__version__,
        "parameters": sum(math.prod(each.shape) for each in network.get_parameters()),
        "held_out": {"sentences": len(unseen), **scores},
        "templates_and_names_of_training": {"sentences": 1000, **seen},
        "examples": examples,
        "files": {
            path.name: {"size": path.stat().st_size, "sha256": hashlib.sha256(path.read_bytes()).hexdigest()}
            for path in (checkpoint, options.output / "vocab.txt", options.output / "labels.txt")
        },
    }
    text = json.dumps(report, ensure_ascii=False, indent=2) + "\n"
    (options.output / "training.json").write_text(text, encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
