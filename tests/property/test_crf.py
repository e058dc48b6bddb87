"""The CRF against a plain reference in NumPy, and against the definition where all sequences can be listed."""

from __future__ import annotations

import itertools
import sys
import time
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.modes import MODES, running

pytestmark = pytest.mark.mindspore
NEVER = -10000.0


@pytest.fixture(scope="module", autouse=True)
def _recursion() -> None:
    """Raise the recursion limit as MindSpore does when it first compiles: Hypothesis warns of changes within a test."""
    sys.setrecursionlimit(max(sys.getrecursionlimit(), 10_000))


def decode(emissions: Any, transitions: Any) -> Any:
    """Viterbi's algorithm, one sequence and one token after the other, in float32 as the network computes."""
    import numpy as np

    tags = np.zeros(emissions.shape[:2], np.int32)
    for row, sequence in enumerate(emissions):
        scores = np.full(len(transitions), NEVER, np.float32)
        scores[-2] = 0
        pointers = []
        for emission in sequence:
            moves = scores + transitions
            pointers.append(moves.argmax(axis=1))
            scores = moves.max(axis=1) + emission
        tag = int((scores + transitions[-1]).argmax())
        for place in reversed(range(len(sequence))):
            tags[row, place] = tag
            tag = int(pointers[place][tag])
    return tags


def score(emission: Any, transitions: Any, tags: tuple[int, ...]) -> float:
    path = (len(transitions) - 2, *tags, len(transitions) - 1)
    moved = sum(float(transitions[to, come]) for come, to in itertools.pairwise(path))
    return moved + sum(float(row[tag]) for row, tag in zip(emission, tags, strict=True))


def example(seed: int, batch: int, length: int, labels: int, *, ties: bool) -> tuple[Any, Any]:
    import numpy as np

    numbers = np.random.default_rng(seed)
    emissions = numbers.normal(size=(batch, length, labels)) * 3
    transitions = numbers.normal(size=(labels, labels))
    if ties:  # small whole numbers: many sequences have the same score
        emissions, transitions = emissions.round() % 2, transitions.round() % 2
    transitions[-2, :] = NEVER
    transitions[:, -1] = NEVER
    return emissions.astype(np.float32), transitions.astype(np.float32)


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["pynative", "graph"])
@settings(max_examples=12, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    batch=st.integers(1, 4),
    length=st.integers(1, 40),
    labels=st.integers(3, 12),
    ties=st.booleans(),
)
def test_the_decoder_finds_the_tags_of_the_reference(  # noqa: PLR0917 - Hypothesis and pytest pass them by name
    mode: str, seed: int, batch: int, length: int, labels: int, ties: bool
) -> None:
    import numpy as np
    from mindspore import Tensor

    from hubtool.networks.builtin.crf import viterbi

    emissions, transitions = example(seed, batch, length, labels, ties=ties)
    with running(mode):
        tags = viterbi(Tensor(emissions), Tensor(transitions)).asnumpy()
    assert tags.dtype == np.int32
    assert np.array_equal(tags, decode(emissions, transitions))


@pytest.mark.parametrize("labels", [3, 4])
@pytest.mark.parametrize("length", [1, 5])
def test_decoder_and_loss_agree_with_all_sequences_listed(labels: int, length: int) -> None:
    import numpy as np
    from mindspore import Tensor

    from hubtool.networks.builtin.crf import log_partition, path_score, viterbi

    emissions, transitions = example(5, 3, length, labels, ties=False)
    given_tags = np.random.default_rng(6).integers(0, labels - 2, (3, length)).astype(np.int32)
    with running("pynative"):
        tags = viterbi(Tensor(emissions), Tensor(transitions)).asnumpy()
        totals = log_partition(Tensor(emissions), Tensor(transitions)).asnumpy()
        scores = path_score(Tensor(emissions), Tensor(transitions), Tensor(given_tags)).asnumpy()
    for row in range(3):
        listed = {
            path: score(emissions[row], transitions, path) for path in itertools.product(range(labels), repeat=length)
        }
        best = max(listed, key=lambda path: listed[path])
        assert tuple(tags[row]) == best
        assert totals[row] == pytest.approx(np.logaddexp.reduce(list(listed.values())), abs=1e-3)
        assert scores[row] == pytest.approx(listed[tuple(given_tags[row].tolist())], abs=1e-3)


@pytest.mark.parametrize("mode", MODES)
def test_the_decoder_is_decently_fast(mode: str) -> None:
    from mindspore import Tensor

    from hubtool.networks.builtin.crf import viterbi

    emissions, transitions = (Tensor(array) for array in example(1, 8, 128, 40, ties=False))
    with running(mode):
        viterbi(emissions, transitions).asnumpy()  # compiles
        begin = time.monotonic()
        viterbi(emissions, transitions).asnumpy()
    # 0.02 s on two idle cores; unrolled in PyNative mode it would be 0.3 to 1.
    assert time.monotonic() - begin < 0.5
