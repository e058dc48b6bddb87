"""What networks are run on, where only the authors' code for evaluation, export or data tells.

A network that is exported says its inputs itself. These are the others, as read in the code that is named with each: a
network for all versions of its code, with small batches and images where the network takes any size. Indices stay
within the tables that they look into, and lengths are not zero.
"""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import Final

from hubtool.card.known_answer import InputSpec


def _of(
    name: str, *shape: int, dtype: str = "float32", low: float | None = None, high: float | None = None
) -> InputSpec:
    return InputSpec(name=name, shape=shape, dtype=dtype, low=low, high=high)


def _ints(name: str, *shape: int, low: float | None = None, high: float | None = None) -> InputSpec:
    return _of(name, *shape, dtype="int32", low=low, high=high)


def _text(length: int, *names: str, batch: int = 1) -> tuple[InputSpec, ...]:
    return tuple(_ints(name, batch, length) for name in names)


_BERT: Final = ("input_ids", "input_mask", "token_type_id")
_READING: Final = (
    *_text(512, *_BERT),
    _of("start_position", 1),
    _of("end_position", 1),
    _ints("unique_id", 1, 1),
)

#: Of a card's name, which may have wildcards, what its network is run on; the first that fits counts.
_STATED: Final[tuple[tuple[str, tuple[InputSpec, ...]], ...]] = (
    # eval.py of IPT says the task by the length of ``idx``: x2, x3, x4, rain, noise of 30 and of 50.
    ("ipt_x2_set5", (_of("x", 1, 3, 48, 48), _ints("idx", 0))),
    ("ipt_x3_set5", (_of("x", 1, 3, 48, 48), _ints("idx", 1))),
    ("ipt_x4_set5", (_of("x", 1, 3, 48, 48), _ints("idx", 2))),
    ("ipt_derain_rain100l", (_of("x", 1, 3, 48, 48), _ints("idx", 3))),
    ("ipt_denoise30_cbsd68", (_of("x", 1, 3, 48, 48), _ints("idx", 4))),
    ("ipt_denoise50_cbsd68", (_of("x", 1, 3, 48, 48), _ints("idx", 5))),
    ("ipt_v1.0_*", (_of("x", 1, 3, 48, 48), _ints("idx", 6))),  # export_onnx.py, of a network of one task
    ("facerecognition_ms1mv2", (_of("x", 1, 3, 112, 112),)),  # export.py, of a batch of sixteen
    ("mvd_*", (_of("inputs", 1, 3, 288, 144),)),  # eval.py
    ("ddag_*", (_of("x1", 1, 3, 288, 144), _of("x2", 1, 3, 288, 144))),  # eval.py; both kinds of images
    ("isynet_*", (_of("x", 1, 3, 224, 224),)),  # src/dataset.py
    ("resnet50advpruning_imagenet2012", (_of("x", 1, 3, 224, 224),)),  # src/pet_dataset.py
    ("resnet-0.65x_v1.0_oxford_pets", (_of("x", 1, 3, 224, 224),)),
    ("renas_*", (_of("x", 1, 3, 32, 32),)),  # src/dataset.py, of CIFAR-10; so do the next three
    ("hournas_*", (_of("x", 1, 3, 32, 32),)),
    ("HourNAS-F_*", (_of("x", 1, 3, 32, 32),)),
    ("fdabnn_*", (_of("x", 1, 3, 32, 32),)),
    ("adabin_cifar10", (_of("x", 1, 3, 32, 32),)),
    ("ecolite_ucf101", (_of("inputvar", 1, 12, 224, 224),)),  # export.py: four segments of three colours
    ("icnet_cityscapes", (_of("x", 1, 3, 512, 1024),)),  # export.py has twice that; its pools need 480 pixels
    ("ssdmobilenetv2fpnlite_coco2017", (_of("x", 1, 3, 320, 320),)),  # config/ssdlite_mobilenetv2-fpn_gpu.yaml
    ("3dcnn_brast2017", (_of("flair_t2_node", 1, 2, 38, 38, 38), _of("t1_t1ce_node", 1, 2, 38, 38, 38))),  # eval.py
    ("aecrnet_reside", (_of("x", 1, 3, 64, 64),)),  # eval.py, of images of any size
    ("dbpn*_div2k", (_of("x", 1, 3, 32, 32),)),  # eval.py, of images of any size; so do the next two
    ("rdn_div2k", (_of("x", 1, 3, 32, 32),)),
    ("wdsr_div2k", (_of("x", 1, 3, 32, 32),)),
    ("vnet_promise2012", (_of("x", 1, 1, 64, 64, 32),)),  # src/vnet.py halves its sides four times
    ("ocrnet_cityscapes", (_of("x", 1, 3, 128, 256),)),  # src/cityscapes.py, of images of any size
    ("retinafaceresnet50_widerface", (_of("inputs", 1, 3, 320, 320),)),  # eval.py, of images of any size
    ("csd_div2k", (_of("x", 1, 3, 32, 32),)),  # eval.py, of images of any size
    ("delf_gldv2", (_of("images", 1, 3, 256, 256),)),  # export.py, of a pyramid of images
    # It computes in float16, and the values of larger inputs overflow.
    ("learningtoseeinthedark_sony", (_of("x", 1, 4, 128, 128),)),  # eval.py, of images of any size
    ("pgan_G_celeba", (_of("x", 1, 512), _of("alpha", low=0.0, high=1.0))),  # export.py
    ("stackedhourglass_mpii", (_of("imgs", 1, 256, 256, 3),)),  # export.py, of the network in its wrapper
    (
        "avacifar_cifar10",  # src/network_define.py: three views of an image
        tuple(_of(name, 1, 3, 32, 32) for name in ("x3", "x2", "x1")),
    ),
    ("simclr_encoder_cifar10", (_of("x_i", 1, 3, 32, 32), _of("x_j", 1, 3, 32, 32))),  # train.py
    ("simclr_linearclassifier_cifar10", (_of("x", 1, 2048),)),  # linear_eval.py: what the encoder gives
    ("drnet_classifier_imagenet2012", (_of("x", 1, 3, 224, 224), _ints("bn_selection", high=0))),  # eval.py
    ("drnet_predictor_imagenet2012", (_of("x", 1, 3, 128, 128),)),  # eval.py
    ("stnet_kinetics400", (_of("x", 1, 3, 35, 224, 224),)),  # default_config.yaml: 7 times 5 images
    ("srgan_div2k", (_of("x", 1, 3, 32, 32),)),  # eval.py, of images of any size
    ("irn_div2k", (_of("x", 1, 3, 32, 32),)),  # export.py
    ("sppnet_*", (_of("x", 1, 3, 224, 224),)),  # src/config.py
    ("vit_imagenet2012", (_of("x", 1, 3, 224, 224),)),  # config/vit_eval.yml
    ("fcanet_augmentedpascal", (_of("img", 1, 3, 384, 384), *(_of(name, 1, 1, 384, 384, low=0.0, high=1.0) for name in
        ("pos_mask_dist_src", "neg_mask_dist_src", "pos_mask_dist_first")))),  # src/trainer.py
    ("pwcnet_flyingchairs", (_of("x1_raw", 1, 3, 384, 448), _of("x2_raw", 1, 3, 384, 448))),  # src/pwc_modules.py
    (
        "naml_mindlarge",  # src/naml.py: 50 browsed news of one user, and five candidates
        (
            *(_ints(f"{name}_b", 1, 50) for name in ("category", "subcategory")),
            _ints("title_b", 1, 50, 16),
            _ints("abstract_b", 1, 50, 48),
            *(_ints(f"{name}_c", 1, 5) for name in ("category", "subcategory")),
            _ints("title_c", 1, 5, 16),
            _ints("abstract_c", 1, 5, 48),
        ),
    ),
    (
        "arbitrarystyletransfer_mscoco",  # export.py: an image, and what Inception sees in another
        (_of("content", 1, 3, 256, 256), _of("style", 1, 768, 15, 15)),
    ),
    ("ncf_movielens", (_ints("user_input", 1, 1), _ints("item_input", 1, 1))),  # src/ncf.py, without its masks
    ("dgu_udc", (*_text(224, *_BERT), _ints("label_ids", 1, 1))),  # run_dgu.py
    ("emotect_baidu", (*_text(64, *_BERT), _ints("label_ids", 1, 1))),  # run_ernie_classifier.py
    ("ernie_brcd", _READING),  # do_eval of run_ernie_mrc.py
    ("ernie_cmcr", _READING),
    ("tinybert_enwiki128_sst2", _text(64, "input_ids", "token_type_id", "input_mask")),  # export.py
    ("tinybert_enwiki128_*", _text(128, "input_ids", "token_type_id", "input_mask")),
    ("fasttext_agnews", (_ints("src_tokens", 1, 467), _ints("src_tokens_lengths", 1, 1, low=1, high=467))),  # export.py
    ("fasttext_dbpedia", (_ints("src_tokens", 1, 1120), _ints("src_tokens_lengths", 1, 1, low=1, high=1120))),
    ("fasttext_yelp", (_ints("src_tokens", 1, 2955), _ints("src_tokens_lengths", 1, 1, low=1, high=2955))),
    (
        "ktnet_*",  # src/KTNET_eval.py cuts texts into 384 words, and run_KTNET_record_eval.py gives the others
        (
            _of("input_mask", 1, 384, low=0.0, high=1.0),
            *(_of(name, 1, 384, dtype="int64") for name in ("src_ids", "pos_ids", "sent_ids")),
            _of("wn_concept_ids", 1, 384, 49, 1, dtype="int64"),
            _of("nell_concept_ids", 1, 384, 27, 1, dtype="int64"),
            _of("unique_id", 1, 1, dtype="int64"),
        ),
    ),
    (
        "dgcn_pubmed",  # export.py, for 200 of the 19,717 nodes
        (_of("adj", 200, 200), _of("ppmi", 200, 200), _of("feature", 200, 500)),
    ),
    (
        "moleculardynamics_water",  # export.py; atoms are no neighbours of themselves, and deviations are not zero
        (
            _of("d_coord", 1, 1536, 3),
            _ints("d_nlist", 1, 192, 138, low=192, high=1535),
            _ints("frames", 1, high=0),
            _of("avg", 2, 552, dtype="float16"),
            _of("std", 2, 552, dtype="float16", low=0.5, high=1.5),
            _ints("atype", 192),
            _ints("nlist", 1, 192, 138, high=191),
        ),
    ),
    (
        "luke_squad1.1",  # src/reading_comprehension; there is one kind of segments
        (
            _ints("word_ids", 1, 512),
            _ints("word_segment_ids", 1, 512, high=0),
            _ints("word_attention_mask", 1, 512, low=1),
            _ints("entity_ids", 1, 128),
            _ints("entity_position_ids", 1, 128, 30, high=511),
            _ints("entity_segment_ids", 1, 128, high=0),
            _ints("entity_attention_mask", 1, 128, low=1),
        ),
    ),
    (
        "tbnet_steam",  # src/tbnet.py, whose export wraps it and gives labels too
        (
            _of("items", 1, dtype="int64"),
            *(_of(name, 1, 39, dtype="int64") for name in ("relation1", "mid_entity", "relation2", "hist_item")),
        ),
    ),
    (
        "skipgram_text8",  # export.py
        (_ints("center_word", 8), _ints("pos_word", 8), _ints("neg_words", 8, 5)),
    ),
    ("tprr_re*albert_hotpotqa", _text(512, "input_ids", "attention_mask", "token_type_ids")),  # src/reader_eval.py
    (
        "tprr_readerdownstream_hotpotqa",  # src/reader.py: what its encoder gives for 32 tokens, all of them context
        (
            _of("para_state", 1, 4096),
            _of("sent_state", 1, 4096),
            _of("state", 1, 32, 4096),
            _of("context_mask", 1, 32, low=1.0, high=1.0),
        ),
    ),
    ("tprr_rerankdownstream_hotpotqa", (_of("cls_emd", 1, 4096),)),  # src/reranker.py
    (
        "bgcf_amazonbeauty",  # src/callback.py, for four users and four items of the 7,068 and the 3,570
        (
            *(_ints(name, 4, high=3569) for name in ("u_id", "pos_item_id")),
            _ints("neg_item_id", 4, 1, high=3569),
            *(_ints(name, 4, high=3569) for name in ("pos_users", "pos_items", "u_group_nodes")),
            _ints("u_neighs", 4, 40, high=3569),
            _ints("u_gnew_neighs", 4, 20, high=3569),
            _ints("i_group_nodes", 4, high=3569),
            _ints("i_neighs", 4, 40, high=3569),
            _ints("i_gnew_neighs", 4, 20, high=3569),
            _ints("neg_group_nodes", 4, high=3569),
            _ints("neg_neighs", 4, 40, high=3569),
            _ints("neg_gnew_neighs", 4, 20, high=3569),
            _ints("neg_item_num", low=1, high=1),
        ),
    ),
    (
        "tacotron2_ljspeech1*",  # src/dataset.py: 16 texts of 189 letters, 30 frames of sound, all of them there
        (
            _ints("text_inputs", 16, 189),
            _ints("input_length", 16, low=189, high=189),
            _of("mel_padded", 16, 80, 30),
            _of("text_mask", 16, 189, dtype="bool"),
            _of("mel_mask", 16, 80, 30, dtype="bool"),
            _of("rnn_mask", 16, 189, 512, dtype="bool"),
        ),
    ),
    ("gnmtv2_wmtende", _text(51, "source_ids", "source_mask", batch=128)),  # default_config.yaml; it keeps to its batch
    (
        "wideanddeepmultitable_outbrain",  # src/datasets.py; as many columns as the recipe's width without a checkpoint
        (
            _of("continue_val", 1, 32),
            _ints("indicator_id", 1, 2, high=15),
            _ints("emb_128_id", 1, 4, high=649999),
            _ints("emb_64_single_id", 1, 3, high=17299),
            *(
                _ints(f"multi_doc_{name}_id{mask}", 1, 5, high=None if mask else 20899)
                for name in ("ad_category", "event_entity", "ad_entity", "event_topic", "event_category", "ad_topic")
                for mask in ("", "_mask")
            ),
            *(_ints(name, 1, 1) for name in ("display_id", "ad_id", "display_ad_and_is_leak", "is_leak")),
        ),
    ),
    ("stgan_celeba", (_of("x", 1, 3, 128, 128), _of("a", 1, 4))),  # export.py
    ("pix2pix_G_facades", (_of("x", 1, 3, 256, 256),)),  # eval.py
    ("ecapatdnn_voxceleb", (_of("x", 1, 301, 80),)),  # export.py
    (
        "lpcnet_librispeech",  # src/train_lpcnet.py, for 15 steps; without training a frame is a step
        (_ints("pcm", 1, 15, 3, high=255), _of("feat", 1, 15, 20), _ints("pitch", 1, 15, 1, high=255),
         _of("noise", 1, 15, 384)),
    ),
)  # fmt: skip


def stated(name: str) -> tuple[InputSpec, ...]:
    """Return what a card's network is run on; nothing if its recipe or its script says that.

    Args:
        name: The name of the card, the last part of its UID.
    """
    return next((inputs for pattern, inputs in _STATED if fnmatchcase(name, pattern)), ())
