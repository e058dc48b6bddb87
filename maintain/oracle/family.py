"""Programs that make the networks of the BERT family out of the authors' own classes, for cards that hubtool builds.

Their scripts need data before they make a network, so the classes are used as their evaluation scripts use them. Where
the authors decode a result outside of the network (the best path of a CRF), the program does that with their function.
Pure.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from hubtool.networks.builtin.provider import inputs_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from hubtool.card.model import Recipe
    from hubtool.networks.builtin import BertConfig

#: The name of the program in the folder of the model.
ENTRY: Final = "hubtool_oracle.py"
#: BERT-base for Chinese text, as the repository's configuration files have it; a checkpoint would give these sizes.
BASE: Final[Mapping[str, object]] = {
    "vocab_size": 21128,
    "hidden_size": 768,
    "num_hidden_layers": 12,
    "num_attention_heads": 12,
    "intermediate_size": 3072,
    "max_position_embeddings": 512,
    "type_vocab_size": 2,
}
#: What the repository's scripts have where no argument says otherwise.
_LABELS: Final = {"bert-ner": 11, "bert-classifier": 2}
_HEAD: Final = """
import numpy as np
from mindspore import Tensor, load_param_into_net
from mindspore import dtype as mstype
from src.bert_model import BertConfig, BertModel

config = BertConfig(
    seq_length={seq_length}, vocab_size={vocab_size}, hidden_size={hidden_size},
    num_hidden_layers={num_hidden_layers}, num_attention_heads={num_attention_heads},
    intermediate_size={intermediate_size}, hidden_act="gelu", hidden_dropout_prob=0.0,
    attention_probs_dropout_prob=0.0, max_position_embeddings={max_position_embeddings},
    type_vocab_size={type_vocab_size}, initializer_range=0.02,
    use_relative_positions={use_relative_positions}, dtype=mstype.float32, compute_type=mstype.float32)
"""
_NETWORKS: Final = {
    "bert": """
network = BertModel(config, False)
""",
    "bert-pretraining": """
from mindspore import nn
from src.bert_for_pre_training import BertPreTraining


class Network(nn.Cell):
    def __init__(self):
        super().__init__()
        self.bert = BertPreTraining(config, False, False)

    def construct(self, input_ids, input_mask, token_type_id, next_sentence_labels, masked_lm_positions):
        return self.bert(input_ids, input_mask, token_type_id, masked_lm_positions)


network = Network()
""",
    "bert-classifier": """
from src.bert_for_finetune import BertCLS


class Network(BertCLS):
    def construct(self, input_ids, input_mask, token_type_id):
        return self.bert(input_ids, input_mask, token_type_id)


network = Network(config, False, {num_labels})
""",
    "bert-ner": """
from src.bert_for_finetune import BertNER
from src.CRF import postprocess

labels = {num_labels}
tags = {{str(at): at for at in range(labels - 2)}}
tags.update({{"<START>": labels - 2, "<STOP>": labels - 1}})


class Network(BertNER):
    def construct(self, input_ids, input_mask, token_type_id):
        scores = self.bert(input_ids, input_mask, token_type_id)
        if not self.use_crf:
            return scores
        backpointers, best = self.loss(scores, None)
        return scores, Tensor(np.array(postprocess(backpointers, best), np.int32))


network = Network(config, 1, False, labels, {use_crf}, {with_lstm}, tags)
""",
    "bert-squad": """
from src.bert_for_finetune import BertSquad


class Network(BertSquad):
    def construct(self, input_ids, input_mask, token_type_id):
        return self.bert(input_ids, input_mask, token_type_id)


network = Network(config, False, 2)
""",
}


def sizes_of(recipe: Recipe) -> dict[str, object]:
    """Return the arguments that a built-in network is built with for its known answer, besides those of the recipe.

    The sizes of a network of another family come from its checkpoint.
    """
    if recipe.entry not in _NETWORKS:
        return {}
    sizes = {**BASE, **({"num_labels": _LABELS[recipe.entry]} if recipe.entry in _LABELS else {})}
    return {name: value for name, value in sizes.items() if name not in recipe.arguments}


def request_of(recipe: Recipe) -> dict[str, Any] | None:
    """Return what the oracle is asked about a card with a built-in network; None if the authors have no such class.

    Args:
        recipe: The card's recipe.
    """
    from hubtool.networks.builtin import infer  # noqa: PLC0415

    if recipe.entry not in _NETWORKS:
        return None
    arguments = {**sizes_of(recipe), **recipe.arguments}
    config: BertConfig = infer(recipe.entry, arguments, {}).config
    inputs = [one.as_json() for one in inputs_of(recipe.entry, config)]
    values = {"use_crf": False, "with_lstm": False, "use_relative_positions": False, "num_labels": 2, **arguments}
    text = (_HEAD + _NETWORKS[recipe.entry]).format(seq_length=inputs[0]["shape"][1], **values)
    return {
        "entry": ENTRY,
        "text": text + "\nload_param_into_net(network, {})\n",
        "argv": [],
        "skip": [],
        "capture": 1,
        "callable": "",
        "arguments": {},
        "wanted": None,
        "inputs": inputs,
    }
