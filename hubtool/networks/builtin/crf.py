"""A linear-chain conditional random field over a tag set whose last two tags are ``<START>`` and ``<STOP>``.

The score of a tag sequence is the sum of its emissions and of its transitions, ``<START>`` before the first tag and
``<STOP>`` behind the last one included (Lafferty, McCallum and Pereira 2001; Lample et al. 2016, arXiv 1603.01360).
As in the family's networks, padding is not masked: every position of a sequence is scored and tagged, so padding is
to be labelled like other text outside an entity when a network is trained.

Both recurrences are loops of the compiled graph, in PyNative mode too (through ``mindspore.jit``): unrolled, 128
steps would take seconds to compile, and step by step in PyNative mode a second to run.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import mindspore as ms
from mindspore import Parameter, Tensor, nn, ops
from mindspore.common.initializer import Initializer, Normal, initializer

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

# The score of what must not be; the family's value, kept because it takes part in the rounding of all scores.
_NEVER = -10000.0


class Transitions(Initializer):
    """New transition scores: standard normal, and none into ``<START>`` or out of ``<STOP>``."""

    def _initialize(self, arr: npt.NDArray[np.float32]) -> None:
        Normal(sigma=1.0, mean=0.0)(arr)
        arr[-2, :] = _NEVER
        arr[:, -1] = _NEVER


def _start(labels: int) -> Tensor:
    """Return the scores (1, L) before the first token: all tags but ``<START>`` are out of the question."""
    return Tensor([[_NEVER] * (labels - 2) + [0.0, _NEVER]], ms.float32)


@ms.jit
def viterbi(emissions: Tensor, transitions: Tensor) -> Tensor:
    """Find the tag sequence with the highest score; of equal ones the one whose tags, from the last, are smallest.

    Args:
        emissions: Score of each tag at each token, float32 (B, S, L).
        transitions: Score of going to a tag (row) from a tag (column), float32 (L, L).

    Returns:
        The tags, int32 (B, S).
    """
    steps = ops.transpose(emissions, (1, 0, 2))
    length = ops.shape(steps)[0]
    scores = ops.zeros_like(steps[0]) + _start(transitions.shape[0])
    history = ops.zeros_like(steps)
    place = Tensor(0, ms.int32)
    while place < length:
        history = ops.tensor_scatter_update(history, ops.reshape(place, (1, 1)), ops.expand_dims(scores, 0))
        best = ops.ReduceMax()(ops.expand_dims(scores, 1) + transitions, -1)
        scores = best + ops.gather(steps, place, 0)
        place = place + 1
    last = ops.Argmax(axis=-1)(scores + transitions[-1])
    # pointers[t] maps the tag at t to the best one before it. They are found at once, behind the loop, from the
    # scores that the loop went through.
    pointers = ops.Argmax(axis=-1)(ops.expand_dims(history, 2) + transitions)
    # chain[t] is to map any tag to the tag at t: the pointers behind t one after the other, from the last tag on.
    # Joining each map with the one `stride` further on, and doubling the stride, does so in log2(S) rounds; a map
    # that has reached the end is constant, and joining it with another leaves it as it is.
    end = ops.zeros_like(pointers[:1]) + ops.reshape(last, (1, -1, 1))
    chain = ops.concat((pointers[1:], end), 0)
    places = ops.cast(ops.arange(0, length, 1), ms.int32)
    stride = Tensor(1, ms.int32)
    while stride < length:
        further = ops.gather(chain, ops.minimum(places + stride, length - 1), 0)
        chain = ops.gather_d(chain, 2, further)
        stride = stride * 2
    return ops.cast(ops.transpose(chain[:, :, 0], (1, 0)), ms.int32)


@ms.jit
def log_partition(emissions: Tensor, transitions: Tensor) -> Tensor:
    """Return the logarithm (B,) of the sum of the exponentiated scores of all tag sequences.

    Args:
        emissions: Score of each tag at each token, float32 (B, S, L).
        transitions: Score of going to a tag (row) from a tag (column), float32 (L, L).
    """
    steps = ops.transpose(emissions, (1, 0, 2))
    length = ops.shape(steps)[0]
    scores = ops.zeros_like(steps[0]) + _start(transitions.shape[0])
    place = Tensor(0, ms.int32)
    while place < length:
        total = ops.logsumexp(ops.expand_dims(scores, 1) + transitions, -1)
        scores = total + ops.gather(steps, place, 0)
        place = place + 1
    return ops.logsumexp(scores + transitions[-1], -1)


def path_score(emissions: Tensor, transitions: Tensor, tags: Tensor) -> Tensor:
    """Return the score (B,) of one tag sequence each.

    Args:
        emissions: Score of each tag at each token, float32 (B, S, L).
        transitions: Score of going to a tag (row) from a tag (column), float32 (L, L).
        tags: The sequences, int32 (B, S).
    """
    labels = transitions.shape[0]
    emitted = ops.gather_d(emissions, 2, ops.expand_dims(tags, 2))
    edge = ops.zeros_like(tags[:, :1])
    to = ops.concat((tags, edge + (labels - 1)), 1)
    come = ops.concat((edge + (labels - 2), tags), 1)
    moved = ops.gather(ops.reshape(transitions, (-1,)), to * labels + come, 0)
    return emitted.sum(axis=(1, 2)) + moved.sum(axis=1)


class CRF(nn.Cell):
    """The field's transition scores, its decoder and its loss.

    Args:
        labels: Tags, ``<START>`` and ``<STOP>`` included.
    """

    def __init__(self, labels: int) -> None:
        super().__init__()
        self.transitions = Parameter(initializer(Transitions(), [labels, labels]))

    def construct(self, emissions: Tensor, tags: Tensor | None = None) -> Tensor:
        """Decode, or with tags compute the loss.

        Args:
            emissions: Score of each tag at each token, float32 (B, S, L).
            tags: True tags, int32 (B, S), or None.

        Returns:
            Without tags the best ones, int32 (B, S); with tags their mean negative log-likelihood, a scalar.
        """
        if tags is None:
            return viterbi(emissions, self.transitions)
        total = log_partition(emissions, self.transitions)
        return (total - path_score(emissions, self.transitions, tags)).mean()
