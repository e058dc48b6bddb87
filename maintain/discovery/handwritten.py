"""Recipes that maintainers wrote by hand, where a number of the data set decides and no script says it.

Each is built and verified like any other; the numbers are the published ones of the data sets.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from hubtool.card.model import Recipe

if TYPE_CHECKING:
    from collections.abc import Iterator

    from maintain.discovery.heuristics import NetworkFacts

_TPRR: Final = {
    "readeralbert": "src.albert:Albert",
    "rerankalbert": "src.albert:Albert",
    "readerdownstream": "src.reader_downstream:Reader_Downstream",
    "rerankdownstream": "src.rerank_downstream:Rerank_Downstream",
}

# Sizes of vocabularies come from the checkpoint; what stands here is for building without one.
_VOCABULARY: Final = 20000

# How many persons the training sets of these data sets have.
_PERSONS: Final = {"market1501": 751, "dukemtmc": 702, "msmt17": 1041}


def recipes(folder: str, facts: NetworkFacts) -> Iterator[Recipe]:
    """Yield the recipes that are known for a card.

    Args:
        folder: The folder of its repo-link.
        facts: What it says.
    """
    name = folder.rpartition("/")[2]
    arguments: dict[str, object]
    if name == "osnet":
        for dataset, persons in _PERSONS.items():
            if dataset in facts.name.lower():
                yield Recipe(
                    provider="repository",
                    entry="src.osnet:create_osnet",
                    arguments={"num_classes": persons},
                    inputs=(("x", (1, 3, 256, 128), "float32"),),
                )
    elif name == "tprr":  # one card for each part of a model whose scripts need all of its data
        for part, entry in _TPRR.items():
            if part in facts.name:
                arguments = {"batch_size": 1} if entry.endswith(":Albert") else {}
                yield Recipe(provider="repository", entry=entry, arguments=arguments)
    elif name == "snn_mlp":  # its script reads a name that it never sets
        kind = next((kind for kind in ("snnmlp_t", "snnmlp_s", "snnmlp_b") if kind in facts.name), "snnmlp_t")
        yield _recipe(f"src.snn_mlp:{kind}", {}, ("x", (1, 3, 224, 224), "float32"))
    elif name == "FCANet":  # its constructor's default is 512; its configuration says 384
        yield Recipe(provider="repository", entry="src.model.fcanet:FCANet", arguments={"size": 384})
    elif name == "tgcn":  # its graph is a parameter: the checkpoint brings it
        nodes, hidden, pre = (207, 64, 3) if "losloop" in facts.name else (156, 100, 1)
        side = {"shape-of": "adj", "axis": 0, "otherwise": nodes}
        arguments = {"adj": {"zeros": [side, side]}, "hidden_dim": hidden, "pre_len": pre}
        yield _recipe(
            "src.task:SupervisedForecastTask", arguments, ("inputs", (1, 12 if nodes == 207 else 4, nodes), "float32")
        )
    elif name == "textcnn":
        arguments = {
            "vocab_len": _rows("embedding.embedding_table"),
            "word_len": 51,
            "num_classes": 2,
            "vec_length": 40,
        }
        yield _recipe("src.textcnn:TextCNN", arguments, ("x", (1, 51), "int32"))
    elif name == "textrcnn":
        cell = next((cell for cell in ("lstm", "gru") if cell in facts.name.lower()), "vanilla")
        arguments = {**_table("embedding.embedding_table", 300), "cell": cell, "batch_size": 64}
        yield _recipe("src.textrcnn:textrcnn", arguments, ("x", (64, 50), "int32"))
    elif name == "lstm":
        arguments = {
            **_table("embedding.embedding_table", 300),
            "embed_size": 300,
            "num_hiddens": 100,
            "num_layers": 2,
            "bidirectional": True,
            "num_classes": 2,
            "batch_size": 64,
        }
        yield _recipe("src.lstm:SentimentNet", arguments, ("inputs", (64, 500), "int32"))
    elif name == "skipgram":
        size = {"shape-of": "c_emb.embedding_table", "axis": 1, "otherwise": 288}
        arguments = {"vocab_size": _rows("c_emb.embedding_table"), "emb_dimension": size}
        yield Recipe(provider="repository", entry="src.skipgram:SkipGram", arguments=arguments)
    elif name == "rotate" and "wn18rr" in facts.name.lower():  # its scripts count the lines of the data set's lists
        arguments = {
            "num_entity": _rows("entity_embedding", 40943),
            "num_relation": _rows("relation_embedding", 11),
            "hidden_dim": 500,
            "gamma": 6.0,
            "double_entity_embedding": True,
            "double_relation_embedding": False,
        }
        yield Recipe(provider="repository", entry="src.rotate:RotatE", arguments={"config": arguments})


#: Models for which no recipe would be right, by the first part of a card's name.
_MISSING: Final = {
    "stgcn": "its graph, the matrix of the distances between the sensors, is a constant of the network that comes "
    "from the data set's files: no checkpoint has it",
    "multitasknet": "its script counts vehicles, colours and types in the data set, and for which of its two inputs, "
    "heat maps or segments, the checkpoint was trained the card does not say",
}


def missing(facts: NetworkFacts) -> str:
    """Return why no recipe would build the network of a card as it was trained; empty if nothing is known.

    Args:
        facts: What the card says.
    """
    return _MISSING.get(facts.name.partition("_")[0], "")


def _rows(parameter: str, otherwise: int = _VOCABULARY) -> dict[str, object]:
    return {"shape-of": parameter, "axis": 0, "otherwise": otherwise}


def _table(parameter: str, width: int) -> dict[str, object]:
    return {"weight": {"zeros": [_rows(parameter), width]}, "vocab_size": _rows(parameter)}


def _recipe(entry: str, arguments: dict[str, object], one: tuple[str, tuple[int, ...], str]) -> Recipe:
    return Recipe(provider="repository", entry=entry, arguments=arguments, inputs=(one,))
