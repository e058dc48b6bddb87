"""What stands on the encoder: tags, classes, answers, and the two tasks of pre-training.

Each network has two parts, as the family's have: ``net.bert`` computes scores, and ``net`` itself adds what the task
does with them (the CRF, the evaluation of answers, the loss in training). Shapes: B batch, S sequence length,
H hidden size, L labels, P masked positions, V vocabulary.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import mindspore as ms
from mindspore import Parameter, nn, ops
from mindspore.common.initializer import initializer

from hubtool.networks.builtin.bert import EPSILON, BertModel, CheckedCell, compute_in, dense
from hubtool.networks.builtin.crf import CRF
from hubtool.networks.builtin.lstm import BiLSTM

if TYPE_CHECKING:
    from mindspore import Tensor

    from hubtool.networks.builtin.config import BertConfig

# What the evaluation of answers adds to the scores of real tokens, so that padding never wins; the family's value.
_REAL = 100.0


class CrossEntropy(nn.Cell):
    """The mean negative log-probability of the true classes."""

    def construct(self, log_probabilities: Tensor, labels: Tensor) -> Tensor:
        """Turn log-probabilities (..., C) and classes (...) into a scalar."""
        rows = ops.reshape(log_probabilities, (-1, log_probabilities.shape[-1]))
        return -ops.gather_d(rows, 1, ops.reshape(labels, (-1, 1))).mean()


def _max_length(config: BertConfig) -> int | None:
    return None if config.use_relative_positions else config.max_position_embeddings


class TagScores(CheckedCell):
    """Encoder, optional BiLSTM and a dense layer: the scores of each token's labels."""

    def __init__(self, config: BertConfig, compute_type: str) -> None:
        super().__init__(_max_length(config))
        self.bert = BertModel(config, compute_type=compute_type)
        self.dense_1 = dense(config.hidden_size, config.num_labels or 0, config, compute_type)
        self.dropout = nn.Dropout(p=config.dropout_prob)
        self.with_lstm = config.with_lstm
        if config.with_lstm:
            self.lstm = BiLSTM(config.hidden_size, config.hidden_size // 2)
        self.use_crf = config.use_crf
        self.labels = config.num_labels
        self.log_softmax = ops.LogSoftmax(axis=-1)

    def construct(self, input_ids: Tensor, input_mask: Tensor, token_type_id: Tensor) -> Tensor:
        """Return log-probabilities (B * S, L), or for a CRF emissions (B, S, L)."""
        vectors, _, _ = self.bert(input_ids, token_type_id, input_mask)
        vectors = self.dropout(vectors)
        if self.with_lstm:
            vectors = self.lstm(vectors)
        scores = ops.cast(self.dense_1(vectors), ms.float32)
        if self.use_crf:
            return scores
        return self.log_softmax(ops.reshape(scores, (-1, self.labels)))


class BertForTagging(CheckedCell):
    """A label for every token: ``bert-ner``, optionally with a BiLSTM and a CRF.

    Args:
        config: Sizes and switches; ``num_labels`` is needed.
        compute_type: Type that encoder and head compute in.
    """

    def __init__(self, config: BertConfig, *, compute_type: str = "float32") -> None:
        super().__init__(_max_length(config))
        self.bert = TagScores(config, compute_type)
        self.use_crf = config.use_crf
        self.loss = CRF(config.num_labels or 0) if config.use_crf else CrossEntropy()

    def construct(
        self, input_ids: Tensor, input_mask: Tensor, token_type_id: Tensor, label_ids: Tensor | None = None
    ) -> Tensor:
        """Tag sequences.

        Args:
            input_ids: Token ids, int32 (B, S).
            input_mask: 1 for a token and 0 for padding, int32 (B, S).
            token_type_id: Token types, int32 (B, S).
            label_ids: True labels, int32 (B, S); used in training mode only.

        Returns:
            Log-probabilities, float32 (B * S, L), or with a CRF the best tags, int32 (B, S); in training mode, where
            labels are given, the loss.
        """
        scores = self.bert(input_ids, input_mask, token_type_id)
        if self.training and label_ids is not None:
            return self.loss(scores, label_ids)
        if self.use_crf:
            return self.loss(scores)
        return scores


class ClassScores(CheckedCell):
    """Encoder and a dense layer on the pooled vector: the scores of a sequence's classes."""

    def __init__(self, config: BertConfig, compute_type: str) -> None:
        super().__init__(_max_length(config))
        self.bert = BertModel(config, compute_type=compute_type)
        self.dense_1 = dense(config.hidden_size, config.num_labels or 0, config, compute_type)
        self.dropout = nn.Dropout(p=config.dropout_prob)
        self.normalise = config.log_softmax
        self.log_softmax = ops.LogSoftmax(axis=-1)

    def construct(self, input_ids: Tensor, input_mask: Tensor, token_type_id: Tensor) -> Tensor:
        """Return log-probabilities (B, L), or in a regression the bare scores."""
        _, pooled, _ = self.bert(input_ids, token_type_id, input_mask)
        scores = ops.cast(self.dense_1(self.dropout(pooled)), ms.float32)
        return self.log_softmax(scores) if self.normalise else scores


class BertForClassification(CheckedCell):
    """A class for every sequence: ``bert-classifier``.

    Args:
        config: Sizes and switches; ``num_labels`` is needed.
        compute_type: Type that encoder and head compute in.
    """

    def __init__(self, config: BertConfig, *, compute_type: str = "float32") -> None:
        super().__init__(_max_length(config))
        self.bert = ClassScores(config, compute_type)
        self.regression = not config.log_softmax
        self.loss = nn.MSELoss() if self.regression else CrossEntropy()

    def construct(
        self, input_ids: Tensor, input_mask: Tensor, token_type_id: Tensor, label_ids: Tensor | None = None
    ) -> Tensor:
        """Classify sequences.

        Args:
            input_ids: Token ids, int32 (B, S).
            input_mask: 1 for a token and 0 for padding, int32 (B, S).
            token_type_id: Token types, int32 (B, S).
            label_ids: True classes, int32 (B,), or in a regression float32 of the scores' number; used in training
                mode only.

        Returns:
            Log-probabilities (bare scores in a regression), float32 (B, L); in training mode, where labels are
            given, the loss.
        """
        scores = self.bert(input_ids, input_mask, token_type_id)
        if self.training and label_ids is not None:
            if self.regression:
                return self.loss(scores, ops.reshape(ops.cast(label_ids, ms.float32), scores.shape))
            return self.loss(scores, label_ids)
        return scores


class AnswerScores(CheckedCell):
    """Encoder and a dense layer: how likely an answer starts, and ends, at each token."""

    def __init__(self, config: BertConfig, compute_type: str) -> None:
        super().__init__(_max_length(config))
        self.bert = BertModel(config, compute_type=compute_type)
        self.dense1 = dense(config.hidden_size, 2, config, compute_type)
        self.dropout = nn.Dropout(p=config.dropout_prob)
        self.log_softmax = ops.LogSoftmax(axis=1)

    def construct(self, input_ids: Tensor, input_mask: Tensor, token_type_id: Tensor) -> Tensor:
        """Return log-probabilities (B, S, 2) of start and end, each over the tokens of its sequence."""
        vectors, _, _ = self.bert(input_ids, token_type_id, input_mask)
        return self.log_softmax(ops.cast(self.dense1(self.dropout(vectors)), ms.float32))


class BertForAnswers(CheckedCell):
    """The answer to a question as a piece of a text: ``bert-squad``.

    Args:
        config: Sizes and switches.
        compute_type: Type that encoder and head compute in.
    """

    def __init__(self, config: BertConfig, *, compute_type: str = "float32") -> None:
        super().__init__(_max_length(config))
        # Three counters that the family's checkpoints hold and nothing reads.
        self.total_num = Parameter(initializer("zeros", [1]), requires_grad=False)
        self.start_num = Parameter(initializer("zeros", [1]), requires_grad=False)
        self.end_num = Parameter(initializer("zeros", [1]), requires_grad=False)
        self.bert = AnswerScores(config, compute_type)
        self.loss = CrossEntropy()

    def construct(  # noqa: PLR0917 - the order is that of the family's network, whose scripts pass all by position
        self,
        input_ids: Tensor,
        input_mask: Tensor,
        token_type_id: Tensor,
        start_position: Tensor | None = None,
        end_position: Tensor | None = None,
        unique_id: Tensor | None = None,
        is_impossible: Tensor | None = None,  # noqa: ARG002 - scripts of the family pass it, and it has no effect there
    ) -> Tensor | tuple[Tensor, Tensor, Tensor]:
        """Find answers.

        Args:
            input_ids: Token ids of question and text, int32 (B, S).
            input_mask: 1 for a token and 0 for padding, int32 (B, S).
            token_type_id: 0 in the question and 1 in the text, int32 (B, S).
            start_position: First token of the true answer, int32 (B,); used in training mode only.
            end_position: Last token of the true answer, int32 (B,); used in training mode only.
            unique_id: Numbers of the examples, which come back with their scores.
            is_impossible: Not used.

        Returns:
            Log-probabilities of start and end, float32 (B, S, 2); where ``unique_id`` is given (unique_id, start
            scores (B, S), end scores (B, S)), real tokens lifted above padding; in training mode, where both
            positions are given, the loss.
        """
        scores = self.bert(input_ids, input_mask, token_type_id)
        start = scores[:, :, 0]
        end = scores[:, :, 1]
        if self.training and start_position is not None and end_position is not None:
            return (self.loss(start, start_position) + self.loss(end, end_position)) / 2.0
        if unique_id is not None:
            lift = _REAL * ops.cast(input_mask, ms.float32)
            return unique_id, start + lift, end + lift
        return scores


class MaskedTokens(nn.Cell):
    """Log-probabilities of the tokens at masked positions; the embedding table is the last layer's weight."""

    def __init__(self, config: BertConfig, compute_type: str) -> None:
        super().__init__()
        hidden = config.hidden_size
        self.output_bias = Parameter(initializer("zeros", [config.vocab_size]))
        self.dense = dense(hidden, hidden, config, compute_type, activation=config.hidden_act)
        self.layernorm = compute_in(nn.LayerNorm((hidden,), epsilon=EPSILON), compute_type)
        self.hidden_size = hidden
        self.compute_type = getattr(ms, compute_type)
        self.product = ops.MatMul(transpose_b=True)
        self.log_softmax = ops.LogSoftmax(axis=-1)

    def construct(self, vectors: Tensor, table: Tensor, positions: Tensor) -> Tensor:
        """Turn vectors (B, S, H), table (V, H) and positions (B, P) into (B * P, V)."""
        chosen = ops.reshape(ops.gather(vectors, positions, 1, 1), (-1, self.hidden_size))
        chosen = self.layernorm(self.dense(ops.cast(chosen, self.compute_type)))
        scores = self.product(chosen, ops.cast(table, self.compute_type))
        return self.log_softmax(ops.cast(scores, ms.float32) + self.output_bias)


class NextSentence(nn.Cell):
    """Log-probabilities of whether the second sentence follows the first."""

    def __init__(self, config: BertConfig, compute_type: str) -> None:
        super().__init__()
        self.dense = dense(config.hidden_size, 2, config, compute_type)
        self.log_softmax = ops.LogSoftmax(axis=-1)

    def construct(self, pooled: Tensor) -> Tensor:
        """Turn (B, H) into (B, 2)."""
        return self.log_softmax(ops.cast(self.dense(pooled), ms.float32))


class PreTrainingScores(CheckedCell):
    """Encoder and both heads of pre-training."""

    def __init__(self, config: BertConfig, compute_type: str) -> None:
        super().__init__(_max_length(config))
        self.bert = BertModel(config, compute_type=compute_type)
        self.cls1 = MaskedTokens(config, compute_type)
        self.cls2 = NextSentence(config, compute_type)

    def construct(
        self, input_ids: Tensor, input_mask: Tensor, token_type_id: Tensor, masked_lm_positions: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Return masked-token log-probabilities (B * P, V) and next-sentence log-probabilities (B, 2)."""
        vectors, pooled, table = self.bert(input_ids, token_type_id, input_mask)
        return self.cls1(vectors, table, masked_lm_positions), self.cls2(pooled)


class BertForPreTraining(CheckedCell):
    """Both tasks of pre-training: ``bert-pretraining``.

    Args:
        config: Sizes and switches.
        compute_type: Type that encoder and heads compute in.
    """

    def __init__(self, config: BertConfig, *, compute_type: str = "float32") -> None:
        super().__init__(_max_length(config))
        self.bert = PreTrainingScores(config, compute_type)
        self.next_loss = CrossEntropy()

    def construct(  # noqa: PLR0917 - the order is that of the family's network, whose scripts pass all by position
        self,
        input_ids: Tensor,
        input_mask: Tensor,
        token_type_id: Tensor,
        next_sentence_labels: Tensor | None = None,
        masked_lm_positions: Tensor | None = None,
        masked_lm_ids: Tensor | None = None,
        masked_lm_weights: Tensor | None = None,
    ) -> Tensor | tuple[Tensor, Tensor]:
        """Compute the scores of both tasks or, where all labels are given, the loss.

        Args:
            input_ids: Token ids, int32 (B, S).
            input_mask: 1 for a token and 0 for padding, int32 (B, S).
            token_type_id: Token types, int32 (B, S).
            next_sentence_labels: 0 or 1, int32 (B, 1) or (B,).
            masked_lm_positions: Which tokens were masked, int32 (B, P); always needed.
            masked_lm_ids: What they were, int32 (B, P).
            masked_lm_weights: 1 for a masked token and 0 for padding among them, float32 (B, P).

        Returns:
            What ``net.bert`` returns, or the sum of both tasks' losses, a scalar.
        """
        if masked_lm_positions is None:
            raise ValueError("bert-pretraining needs masked_lm_positions, int32 (batch, masked tokens)")
        tokens, following = self.bert(input_ids, input_mask, token_type_id, masked_lm_positions)
        if next_sentence_labels is None or masked_lm_ids is None or masked_lm_weights is None:
            return tokens, following
        weights = ops.reshape(ops.cast(masked_lm_weights, ms.float32), (-1,))
        losses = -ops.reshape(ops.gather_d(tokens, 1, ops.reshape(masked_lm_ids, (-1, 1))), (-1,))
        # The small term keeps a batch without masked tokens from dividing by zero; it is the family's.
        masked = (losses * weights).sum() / (weights.sum() + 1e-5)
        return masked + self.next_loss(following, next_sentence_labels)
