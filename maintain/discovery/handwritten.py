"""Recipes that maintainers wrote by hand, where a number of the data set decides and no script says it.

Each is built and verified like any other; the numbers are the published ones of the data sets.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from hubtool.card.model import Recipe
from maintain.discovery import heuristics

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from maintain.discovery.heuristics import NetworkFacts

# What a card of TinyBERT is called after, and what its scripts call the task.
_TINYBERT_TASKS: Final = {"sst2": "SST-2", "qnli": "QNLI", "mnli": "MNLI"}

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


# The tags of CoNLL-2000, in its training and its test set.
_CHUNK_TAGS: Final = (
    "O",
    *(
        f"{place}-{chunk}"
        for chunk in ("ADJP", "ADVP", "CONJP", "INTJ", "LST", "NP", "PP", "PRT", "SBAR", "UCP", "VP")
        for place in "BI"
    ),
)

_ROBERTA_LARGE: Final[dict[str, object]] = {
    "hidden_size": 1024,
    "num_hidden_layers": 24,
    "num_attention_heads": 16,
    "intermediate_size": 4096,
    "hidden_act": "gelu",
    "hidden_dropout_prob": 0.1,
    "attention_probs_dropout_prob": 0.1,
    "max_position_embeddings": 514,
    "type_vocab_size": 1,
    "initializer_range": 0.02,
    "layer_norm_eps": 1e-05,
    "pad_token_id": 1,
    "output_attentions": False,
    "output_hidden_states": False,
    "is_decoder": False,
}

# What stands in the name of a card of a fine-tuned BERT, and the built-in network that it means; the first counts.
_BERT: Final[tuple[tuple[str, str, dict[str, object]], ...]] = (
    ("bilstmcrf", "bert-ner", {"use_crf": True, "with_lstm": True}),
    ("crf", "bert-ner", {"use_crf": True}),
    ("ner", "bert-ner", {}),
    ("squad", "bert-squad", {}),
    ("15classifier", "bert-classifier", {"num_labels": 15}),
    ("cola", "bert-classifier", {"num_labels": 2}),
)


# Networks that the code of a card's revision does not build, or of which two readings are possible: a wrong network is
# worse than none. The name of a card, its first part, or its whole UID, and why.
_WITHHELD: Final = {
    "mindspore/1.5/retinafaceresnet50_widerface": "export.py needs src.network, which the code at r1.5 lacks",
    "hrnet_cityscapes": "its file is that of hrnetw48seg_cityscapes, HRNet-W48 for segmentation, and its folder "
    "builds HRNet-W30 for ImageNet",
    "tnt_v1.0_oxford_pets": "the folder no longer has the TNT-B of 384 pixels for Oxford-IIIT Pet",
    "lenetquant_mnist": "its fake quantisation needs mindspore.compression, which MindSpore no longer has",
    "augvit": "its class Block calls super(Block).__init__(), which initialises no cell: MindSpore 2.0.0 refuses it",
    "wavemlp": "its classes PatchEmbedOverlapping and Downsample call super(...).__init__() without self, which "
    "initialises no cell: MindSpore 2.0.0 refuses them too",
    "opt_cococaption": "its code imports the name config of a module config, which no folder of it has",
    "transformer_wmt": "its model-name says large, and its accuracy is that of base: which it is cannot be told",
    "ktnet": "its match attention computes with weights that its code draws at random when it is built, outside of all "
    "parameters: no checkpoint has them, and each load would compute something else",
    "multitasknet": "its script counts vehicles, colours and types in the data set, and for which of its two inputs, "
    "heat maps or segments, the checkpoint was trained the card does not say",
}  # fmt: skip


# Cards whose checkpoint is, byte for byte, that of another version, and whose own branch builds another network or
# none: by the branch that builds the network of the checkpoint (docs/decisions/code-of-repositories.md).
_OTHER_BRANCH: Final = {
    "r1.3": ("1.5/gan_G_mnist", "1.5/tnt_imagenet2012"),
    "r1.5": (
        *("1.3/ctpn_icdar2013", "1.3/facerecognition_ms1mv2", "1.3/fasterrcnnresnetv150_coco2017"),
        *("1.3/fasterrcnnresnetv1101_coco2017", "1.3/fasterrcnnresnetv1152_coco2017", "1.3/gnmtv2_wmtende"),
        *("1.3/inceptionresnetv2_imagenet2012", "1.3/resnet152_imagenet2012"),
        *("1.3/ssimae_mvtecadcarpet", "1.3/ssimae_mvtecadgrid"),
    ),
    "r1.6": (
        # These files are older than r1.7's code.
        *(f"1.7/fasterrcnnresnetv1{depth}_coco2017" for depth in (50, 101, 152)),
        *("1.3/lstm_aclimdbv1", "1.5/lstm_aclimdbv1", "1.3/warpctc_captcha", "1.5/warpctc_captcha"),
        *("1.3/moleculardynamics_water", "1.5/moleculardynamics_water"),  # which have no export.py
        "1.5/wdsr_div2k",
    ),
    "r1.7": (
        *("1.5/sknet_cifar10", "1.6/sknet_cifar10", "1.6/tall_tacos"),
        *("1.8/cgan_G_mnist", "1.9/cgan_G_mnist", "1.10/cgan_G_mnist"),
    ),
    "r1.8": (
        *("1.3/irn_div2k", "1.6/irn_div2k", "1.7/irn_div2k"),  # whose code computes in float16 only, as a whole
        *("1.9/tbnet_steam", "1.10/tbnet_steam"),
    ),
}

# Folders whose export.py sets something up between the weights and the export, without which the network does not run:
# pads for the places of a face, or the type that it computes with. Its option for the checkpoint, and the line to leave
# out.
_READY_AT_EXPORT: Final = {
    "APDrawingGAN": ("", 34),
    "FaceRecognition": ("--pretrained", 60),
    "molecular_dynamics": ("--checkpoint_path", 40),
    "repvgg": ("--pretrained", 42),
}

# MINDlarge_config.yaml, as in evaluation; one user, and five candidates as in training.
_NAML: Final[dict[str, object]] = {
    "phase": "eval",
    "n_categories": 19,
    "n_sub_categories": 286,
    "n_words": 74308,
    "n_browsed_news": 50,
    "n_words_title": 16,
    "n_words_abstract": 48,
    "word_embedding_dim": 304,
    "category_embedding_dim": 112,
    "query_vector_dim": 208,
    "n_filters": 400,
    "window_size": 3,
    "batch_size": 1,
    "neg_sample": 4,
}

# What scripts do to the names in a checkpoint before they load it: the folder, the script, a text that shows that the
# script of this version does it, and the rules.
_RENAMES: Final[tuple[tuple[str, str, str, dict[str, str]], ...]] = (
    ("faster_rcnn", "eval.py", "fpn_ncek", {"fpn_ncek": "fpn_neck"}),
    ("naml", "src/naml.py", "NAMLWithLossCell", {"^network.": ""}),
    ("tinybert", "run_task_distill.py", "tinybert_", {"tinybert_": "bert_", "^bert.": ""}),
    ("tinybert", "export.py", "tinybert_", {"tinybert_": "bert_", "^bert.": ""}),
    ("wide_and_deep_multitable", "src/wide_and_deep.py", "PredictWithSigmoid", {"^network.": ""}),
    ("yolox", "eval.py", "ema.", {"^ema.": ""}),
)  # fmt: skip


def renames(folder: Path) -> tuple[tuple[str, str], ...]:
    """Return the rules by which the code of a folder renames the tensors of a checkpoint; none for most.

    Args:
        folder: The folder of the model, with its scripts.
    """
    for name, script, shown, rules in _RENAMES:
        file = folder / script
        if folder.name == name and file.is_file() and shown in file.read_text(encoding="utf-8", errors="replace"):
            return tuple(rules.items())
    return ()


def other_branch(uid: str) -> str:
    """Return the branch that builds the network of a card's checkpoint; an empty text if it is the card's own."""
    return next((branch for branch, names in _OTHER_BRANCH.items() if uid.removeprefix("mindspore/") in names), "")


def withheld(uid: str) -> str:
    """Return why no recipe is looked for, or an empty text."""
    name = uid.rpartition("/")[2]
    return _WITHHELD.get(uid) or _WITHHELD.get(name) or _WITHHELD.get(name.partition("_")[0], "")


def builtin(folder: str, facts: NetworkFacts) -> Recipe | None:
    """Return the recipe with one of hubtool's own networks for a card, or None.

    The scripts for these tasks want data to know how many labels there are; the built-in networks ask the checkpoint.

    Args:
        folder: The folder of its repo-link.
        facts: What it says.
    """
    tuned = facts.name.lower()
    if folder.strip("/") == "official/nlp/bert_thor":
        return _bert_large(tuned)
    if folder.strip("/") != "official/nlp/bert":
        return None
    if tuned == "bertbase_cnnews128":
        return Recipe(provider="builtin", entry="bert-pretraining")
    found = (
        (entry, arguments)
        for word, entry, arguments in _BERT
        if tuned.startswith(("bertfinetun", "bertbilstm")) and word in tuned
    )
    entry, arguments = next(found, ("", {}))
    return Recipe(provider="builtin", entry=entry, arguments=arguments) if entry else None


def _bert_large(name: str) -> Recipe:
    """Return the recipe of a large encoder: of Chinese news with its vocabulary, else of English Wikipedia."""
    chinese = "cnnews" in name
    arguments = {
        "vocab_size": 21128 if chinese else 30522,
        "hidden_size": 1024,
        "num_hidden_layers": 24,
        "num_attention_heads": 16,
        "intermediate_size": 4096,
        **({"use_relative_positions": True} if chinese else {}),
    }
    return Recipe(provider="builtin", entry="bert", arguments=arguments, ignore=("*cls1.*", "*cls2.*"))


def recipes(folder: str, facts: NetworkFacts) -> Iterator[Recipe]:
    """Yield the recipes that are known for a card.

    Args:
        folder: The folder of its repo-link.
        facts: What it says.
    """
    name = folder.rpartition("/")[2]
    arguments: dict[str, object]
    argv: tuple[str, ...]
    inputs: tuple[tuple[str, tuple[int, ...], str], ...]
    if name == "osnet":
        for dataset, persons in _PERSONS.items():
            if dataset in facts.name.lower():
                yield Recipe(
                    provider="repository",
                    entry="src.osnet:create_osnet",
                    arguments={"num_classes": persons},
                    inputs=(("x", (1, 3, 256, 128), "float32"),),
                )
    elif name == "stgcn":  # the graph of PeMSD7-M has 228 sensors; which matrix is wanted stands in its configuration
        kind, of = ("chebconv", "Laplacian") if "cheb" in facts.name else ("gcnconv", "adjacency matrix")
        scaled = f"{'random-walk' if '15' in facts.name else 'symmetric'} normalised, of the distances of the sensors"
        arguments = {
            "Kt": 3,
            "Ks": 2,
            "blocks": [[1], [64, 16, 64], [64, 16, 64], [128, 128], [1]],
            "T": 12,
            "n_vertex": 228,
            "gated_act_func": "glu",
            "graph_conv_type": kind,
            "chebconv_matrix": _given(f"the {of}, {scaled}", [228, 228], -0.01, 0.02),
            "drop_rate": 0.5,
        }
        yield _recipe("src.model.models:STGCN_Conv", arguments, ("x", (1, 1, 12, 228), "float32"))
    elif name == "ManiDP":  # its search writes thres.npy, which neither the repository nor a checkpoint has
        arguments = {"thres": _given("the thresholds of the 18 layers, thres.npy of the search", [18], 0, 0.2)}
        yield _recipe("src.resnet:resnet20", arguments, ("x", (1, 3, 32, 32), "float32"))
    elif name == "tprr":  # one card for each part of a model whose scripts need all of its data
        for piece, entry in _TPRR.items():
            if piece in facts.name:
                arguments = {"batch_size": 1} if entry.endswith(":Albert") else {}
                yield Recipe(provider="repository", entry=entry, arguments=arguments)
    elif name == "tinybert":  # the cards are of the students for tasks; its first script loads the teacher of all
        for word, task in _TINYBERT_TASKS.items():
            if word in facts.name:
                argv = ("--config_path", f"{{folder}}/td_config/td_config_{word}.yaml", "--task_name", task)
                yield Recipe(provider="repository", entry="export.py", argv=(*argv, "--ckpt_file", "{checkpoint}"))
    elif name == "simclr":  # one card for the encoder with its projection, and one for the classifier of its features
        argv = ("--ckpt_simclr_encoder", "{checkpoint}", "--ckpt_linear_classifier", "{checkpoint}")
        number = 1 if "encoder" in facts.name else 2
        yield Recipe(provider="repository", entry="export.py", argv=argv, capture=number)
    elif name == "dgu" and "udc" in facts.name:  # two labels, as scripts/export.sh says; older code asks for no task
        labels = ("--number_labels", "2", "--ckpt_file", "{checkpoint}")
        yield Recipe(provider="repository", entry="export.py", argv=("--task_name", "udc", *labels))
        yield Recipe(provider="repository", entry="export.py", argv=labels)
    elif name == "naml":  # its scripts load into the loss cell, and the network in it is not exported as a whole
        yield Recipe(provider="repository", entry="src.naml:NAML", arguments={"args": dict(_NAML)})
    elif name == "senta":  # its script loads into the loss cell, and exports the network in it
        argv = ("--ckpt_file", "{checkpoint}")
        inputs = tuple((one, (1, 512), "int32") for one in ("src_ids", "sent_ids", "input_mask"))
        yield Recipe(provider="repository", entry="export.py", argv=argv, capture=2, inputs=inputs)
    elif name == "ArbitraryStyleTransfer":  # its first script loads the network that looks at styles
        argv = ("--ckpt_path", "{checkpoint}")
        yield Recipe(provider="repository", entry="export.py", argv=argv, training_mode=True)
        # Since r1.7 the network asks where it runs, and export.py does not say it; the checkpoints are of Ascend.
        arguments = {"args": {"platform": "Ascend"}, "style_dim": 100}
        entry = "src.model:style_transfer_model"
        yield Recipe(provider="repository", entry=entry, arguments=arguments, training_mode=True)
    elif name == "sdne" and "wiki" in facts.name:  # its script loads into the loss cell, and exports the network in it
        argv = ("--ckpt_file", "{checkpoint}")
        inputs = (("X", (256, 2405), "float32"),)
        yield Recipe(provider="repository", entry="export.py", argv=argv, capture=2, inputs=inputs)
    elif name == "ntsnet":  # as eval.py: its script for export lays out images as another device crops them
        arguments = {"topK": 6, "resnet50Path": ""}
        recipe = _recipe("src.network:NTS_NET", arguments, ("x", (1, 3, 448, 448), "float32"))
        yield replace(recipe, initialise=True)
    elif name == "wide_and_deep_multitable":  # a file of the data set says how wide its inputs are together
        arguments = {
            "input_emb_dim": {"shape-of": "dense_layer_1.weight", "axis": 0, "otherwise": 1248},
            "batch_size": 131072,
            "deep_layers_act": "relu",
            "init_args": [-0.01, 0.01],
            "weight_bias_init": ["normal", "normal"],
            "emb_init": "normal",
            "keep_prob": 1.0,
            "dropout_flag": False,
        }
        entry = "src.wide_and_deep:WideDeepModel"
        yield Recipe(provider="repository", entry=entry, arguments={"config": arguments})
    elif name == "mass":  # its script exports it for one text, and its configuration says 192
        yield Recipe(
            provider="repository",
            entry="export.py",
            argv=("--checkpoint_file_path", "{checkpoint}", "--existed_ckpt", "{checkpoint}", "--batch_size", "1"),
            skip=("export.py:57", "export.py:65"),
        )
    elif name == "dlrm":  # its first configuration is for a cluster that fetches its data
        argv = ("--checkpoint_path", "{checkpoint}", "--enable_modelarts", "False")
        yield Recipe(provider="repository", entry="export.py", argv=argv)
    elif name == "Pix2Pix":  # eval.py sets all to training, and the generator draws nothing
        argv = ("--ckpt", "{checkpoint}")
        yield Recipe(provider="repository", entry="export.py", argv=argv, training_mode=True)
    elif name == "U-GAT-IT":  # its normalisation is that of the image: inference runs in training mode
        argv = ("--checkpoint_url", "{checkpoint}")
        yield Recipe(provider="repository", entry="export.py", argv=argv, training_mode=True)
    elif name == "dgcn" and "pubmed" in facts.name:  # export.py says the features of CiteSeer; PubMed has 500
        arguments = {"input_dim": 500, "hidden_dim": 36, "output_dim": 3, "dropout": 0.5}
        yield Recipe(provider="repository", entry="src.dgcn:DGCN", arguments=arguments)
    elif name == "DRNet":  # it loads the predictor of the resolution first, then the classifier
        number = 2 if "classifier" in facts.name else 1
        yield Recipe(provider="repository", entry="eval.py", capture=number)
    elif name == "snn_mlp":  # its script reads a name that it never sets
        kind = next((kind for kind in ("snnmlp_t", "snnmlp_s", "snnmlp_b") if kind in facts.name), "snnmlp_t")
        yield _recipe(f"src.snn_mlp:{kind}", {}, ("x", (1, 3, 224, 224), "float32"))
    elif name == "DDAG":  # the number of persons, and of parts as its scripts for each data set give it
        for dataset, persons, parts in (("sysumm01", 395, 3), ("regdb", 206, 0)):
            if dataset in facts.name.lower():
                arguments = {"low_dim": 512, "class_num": persons, "part": parts, "nheads": 0}
                yield Recipe(provider="repository", entry="src.models.ddag:DDAG", arguments=arguments)
    elif name == "ADNet":  # it loads the weights of its backbone first
        yield Recipe(
            provider="repository",
            entry="export_model.py",
            argv=("--weight_file", "{scratch}/ADNet_SL_epoch_29.ckpt"),  # it takes this name to pieces
            capture=3,  # after the backbone and a layer for one video
            inputs=(("x", (128, 3, 112, 112), "float32"),),
        )
    elif name == "siamRPN":  # before r1.6 only training gives it both images, and without it they come out as they are
        arguments = {"groups": 1, "k": 5, "s": 4}
        for flag in ("is_310infer", "is_train"):
            yield Recipe(
                provider="repository",
                entry="src.net:SiameseRPN",
                arguments={**arguments, flag: True},
                inputs=(("template", (1, 3, 127, 127), "float32"), ("detection", (1, 3, 255, 255), "float32")),
            )
    elif name in _READY_AT_EXPORT:  # without the line that loads the weights, the network is taken where it is exported
        option, line = _READY_AT_EXPORT[name]
        argv = (option, "{checkpoint}") if option else ()
        yield Recipe(provider="repository", entry="export.py", argv=argv, skip=(f"export.py:{line}",))
    elif name == "alexnet" and "imagenet" in facts.name:  # as its scripts: the network turns and scales bytes itself
        arguments = {"num_classes": 1000, "channel": 3, "phase": "train", "include_top": True, "off_load": True}
        yield _recipe("src.alexnet:AlexNet", arguments, ("x", (1, 224, 224, 3), "uint8"))
    elif name == "lpcnet":  # its script loads into the loss cell, and exports the two halves
        arguments = {"nb_used_features": 20, "training": False, "rnn_units1": 384, "rnn_units2": 16}
        yield Recipe(provider="repository", entry="src.lpcnet:LPCNet", arguments=arguments)
    elif (
        name == "dcgan"
    ):  # its script loads into the cell that trains, optimizers and all: features are the discriminator's
        yield Recipe(
            provider="repository",
            entry="src.discriminator:Discriminator",
            ignore=("*.optimizer.*", "*netG.generator.*"),
            inputs=(("x", (100, 3, 32, 32), "float32"),),
        )
    elif name == "pcb_rpp":
        kind = "RPP" if "rpp" in facts.name.lower() else "PCB"
        argv = ("--config_path", f"{{folder}}/config/eval_{kind}_market.yaml", "--checkpoint_url", "{checkpoint}")
        yield Recipe(provider="repository", entry="export.py", argv=argv, inputs=(("x", (64, 3, 384, 128), "float32"),))
    elif name == "ernie":
        yield from _ernie(facts.name.lower())
    elif name == "IPT" and facts.name.startswith(
        "ipt_v1.0"
    ):  # one head, and the scale of the task, as its script for evaluation gives them
        scale = ("--scale", "1", "--derain") if "derain" in facts.name else ("--scale", facts.name[-1])
        yield Recipe(
            provider="repository",
            entry="export_onnx.py",
            argv=("--pth_path", "{checkpoint}", "--task_id", "0", "--num_queries", "1", *scale),
        )
    elif name == "RCAN":  # the PSNR of the card is that of Set5, doubled
        yield Recipe(
            provider="repository",
            entry="eval.py",
            argv=("--ckpt_path", "{checkpoint}", "--scale", "2"),
            skip=("eval.py:47",),
        )
    elif name == "ghostnet" and "ghostnet-600" in facts.name:  # another file than the other sizes
        arguments = {"model_name": "600M", "multiplier": 1.75, "final_drop": 0.8}
        arguments["num_classes"] = heuristics.class_count(facts) or 1000
        yield _recipe("src.ghostnet600:ghostnet", arguments, ("x", (1, 3, 224, 224), "float32"))
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
    elif name == "gpt":
        inputs = (("input_ids", (1, 1024), "int32"), ("input_mask", (1, 1024), "float32"))
        arguments = {"name": "gpt"}
        yield Recipe(
            provider="repository", entry="mindspore_hub_conf:create_network", arguments=arguments, inputs=inputs
        )
    elif (
        name == "ghostnet_quant"
    ):  # its asset is that of the card for Oxford-IIIT Pet, whose classes its configuration has
        yield Recipe(
            provider="repository",
            entry="eval.py",
            argv=("--checkpoint_path", "{checkpoint}", "--platform", "GPU"),
            skip=("eval.py:62",),
            inputs=(("x", (1, 3, 224, 224), "float32"),),
        )
    elif name == "ddpg":  # its environment is a pendulum: three numbers of state, and one of action
        half = "Critic" if "critic" in facts.name else "Actor"
        state, action = ("x" if half == "Actor" else "state", (1, 3), "float32"), ("action", (1, 1), "float32")
        yield Recipe(
            provider="repository",
            entry=f"src.ac_net:{half}Net",
            arguments={"state_dim": 3, "action_dim": 1},
            inputs=(state,) if half == "Actor" else (state, action),
        )
    elif name == "slowfast":  # its other configuration is that of the weights that training began with
        yield Recipe(
            provider="repository",
            entry="export.py",
            requires=("fvcore",),
            argv=(
                "--cfg",
                "{folder}/configs/AVA/SLOWFAST_32x2_R50_SHORT.yaml",
                *("TEST.CHECKPOINT_FILE_PATH", "{checkpoint}"),
            ),
            skip=("export.py:37",),  # it prints the configuration
            inputs=(
                ("slowpath", (1, 3, 8, 256, 384), "float32"),
                ("fastpath", (1, 3, 32, 256, 384), "float32"),
                ("boxes", (1, 28, 4), "float32"),
            ),
        )
    elif name == "SinGAN" and "_G_" in facts.name:  # one generator for each scale: the checkpoint says how wide it is
        channels = {"shape-of": "head.layers.0.weight", "axis": 0, "otherwise": 32}
        arguments = {"opt": {"nfc": channels, "num_layer": 5, "ker_size": 3, "stride": 1, "padd_size": 0}}
        image = (1, 3, 25, 34)
        yield Recipe(
            provider="repository",
            entry="src.model:Gen",
            arguments=arguments,
            inputs=(("x", image, "float32"), ("y", image, "float32")),
        )
    elif (
        name == "lstm_crf"
    ):  # the tags of CoNLL-2000, and its longest sentence; on Ascend, vectors are a multiple of 16
        table = "lstm.embedding.embedding_table"
        width = {"shape-of": table, "axis": 1, "otherwise": 304}
        arguments = {
            "vocab_size": _rows(table),
            "tag_to_index": {tag: place for place, tag in enumerate(_CHUNK_TAGS)},
            "embedding_size": width,
            "hidden_size": 320,
            "num_layers": 2,
            "weight": {"zeros": [_rows(table), width]},
            "bidirectional": True,
            "batch_size": 20,
            "seq_length": 78,
            "is_training": False,
        }
        yield Recipe(
            provider="repository",
            entry="src.LSTM_CRF:Lstm_CRF",
            arguments=arguments,
            inputs=(("feature", (20, 78), "int32"), ("label", (20, 78), "int32")),
        )
    elif name == "luke" and "squad" in facts.name:  # LUKE-large: its configuration comes with the first checkpoint
        words = {"shape-of": "luke.embeddings.word_embeddings.embedding_table", "axis": 0, "otherwise": 50265}
        entities = "luke.entity_embeddings.entity_embeddings.embedding_table"
        arguments = {
            **_ROBERTA_LARGE,
            "vocab_size": words,
            "entity_vocab_size": {"shape-of": entities, "axis": 0, "otherwise": 500000},
            "entity_emb_size": {"shape-of": entities, "axis": 1, "otherwise": 256},
        }
        yield Recipe(
            provider="repository",
            entry="src.reading_comprehension.model:LukeForReadingComprehension",
            arguments={"config": arguments},
            inputs=(
                *((f"word_{part}", (1, 512), "int32") for part in ("ids", "segment_ids", "attention_mask")),
                ("entity_ids", (1, 128), "int32"),
                ("entity_position_ids", (1, 128, 30), "int32"),
                *((f"entity_{part}", (1, 128), "int32") for part in ("segment_ids", "attention_mask")),
            ),
        )
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


def _ernie(name: str) -> Iterator[Recipe]:
    """One script for each kind of task; the numbers of labels are those of ``scripts/run_finetune_eval.sh``."""
    three = tuple((name, (1, 512), "int32") for name in ("input_ids", "input_mask", "token_type_id"))
    if "dbqa" in name or "bdqa" in name:
        argv = ("--ckpt_file", "{checkpoint}", "--task_type", "dbqa", "--number_labels", "2")
        yield Recipe(provider="repository", entry="export.py", argv=argv, inputs=three)
    elif "msraner" in name:  # the map of labels that its script opens is for counting only, not for the network
        for line in (190, 186):
            argv = ("--do_eval", "true", "--number_labels", "7", "--eval_data_file_path", "{scratch}")
            yield Recipe(
                provider="repository",
                entry="run_ernie_ner.py",
                argv=(*argv, "--load_finetune_checkpoint_path", "{checkpoint}"),
                skip=(f"run_ernie_ner.py:{line}",),
                inputs=tuple((name, (1, 256), "int32") for name in (*(name for name, _, _ in three), "label_ids")),
            )
    elif any(task in name for task in ("drcd", "brcd", "cmrc", "cmcr")):
        argv = ("--do_eval", "true", "--number_labels", "2", "--load_finetune_checkpoint_path", "{checkpoint}")
        yield Recipe(provider="repository", entry="run_ernie_mrc.py", argv=argv)


def _rows(parameter: str, otherwise: int = _VOCABULARY) -> dict[str, object]:
    return {"shape-of": parameter, "axis": 0, "otherwise": otherwise}


def _table(parameter: str, width: int) -> dict[str, object]:
    return {"weight": {"zeros": [_rows(parameter), width]}, "vocab_size": _rows(parameter)}


def _given(what: str, shape: list[int], low: float, high: float) -> dict[str, object]:
    """Return an argument that the caller gives; see ``hubtool/card/caller_arguments.py``."""
    return {"from-caller": what, "shape": shape, "dtype": "float32", "low": low, "high": high}


def _recipe(entry: str, arguments: dict[str, object], one: tuple[str, tuple[int, ...], str]) -> Recipe:
    return Recipe(provider="repository", entry=entry, arguments=arguments, inputs=(one,))
