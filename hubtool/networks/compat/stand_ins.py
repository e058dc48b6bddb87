"""Stand-ins for packages that only training or evaluation needs: importing works, calling is an error.

An installed package is used itself; a package that is not in the table is simply missing.
"""

from __future__ import annotations

import types
from typing import Any, Final

from hubtool.errors import RequirementError

#: Import name -> distribution.
PACKAGES: Final[dict[str, str]] = {
    "Levenshtein": "Levenshtein", "Polygon": "Polygon3", "SimpleITK": "SimpleITK", "StreamManagerApi": "mxVision",
    "MxpiDataType_pb2": "mxVision", "aic_caption": "aic_caption", "amct_mindspore": "amct_mindspore", "annoy": "annoy", "auto_augment": "auto_augment",
    "batchgenerators": "batchgenerators", "cv2": "opencv-python-headless", "cython_bbox": "cython_bbox", "Cython": "Cython", "pyximport": "Cython",
    "decord": "decord", "faiss": "faiss-cpu", "gensim": "gensim", "got10k": "got10k", "h5py": "h5py", "imageio": "imageio",
    "imgaug": "imgaug", "inflect": "inflect", "jieba": "jieba", "jiwer": "jiwer", "joblib": "joblib", "kaldi_io": "kaldi_io",
    "lanms": "lanms", "lap": "lap", "librosa": "librosa", "lmdb": "lmdb", "lxml": "lxml", "lz4": "lz4", "matplotlib": "matplotlib",
    "medpy": "medpy", "menpo": "menpo", "mindspore_gs": "mindspore-gs", "mindspore_serving": "mindspore-serving", "modelarts": "modelarts",
    "motmetrics": "motmetrics", "moxing": "moxing", "msgpack": "msgpack", "mxnet": "mxnet", "netCDF4": "netCDF4", "networkx": "networkx",
    "nibabel": "nibabel", "nltk": "nltk", "nnmnkwii": "nnmnkwii", "numba": "numba", "onnx": "onnx", "onnxruntime": "onnxruntime", "opencc": "OpenCC",
    "paddle": "paddlepaddle", "pandas": "pandas", "panopticapi": "panopticapi", "plyfile": "plyfile", "prettytable": "prettytable",
    "pyclipper": "pyclipper", "pycocotools": "pycocotools", "pynvml": "pynvml", "python_speech_features": "python_speech_features",
    "rawpy": "rawpy", "regex": "regex", "rouge": "rouge", "rouge_score": "rouge-score", "sacrebleu": "sacrebleu", "sacremoses": "sacremoses", "seaborn": "seaborn",
    "sentencepiece": "sentencepiece", "shapely": "shapely", "skimage": "scikit-image", "sklearn": "scikit-learn", "soundfile": "soundfile",
    "sox": "sox", "spacy": "spacy", "speechbrain": "speechbrain", "subword_nmt": "subword-nmt", "tabulate": "tabulate", "te": "te", "tbe": "te", "topi": "te",
    "tensorboardX": "tensorboardX", "tensorflow": "tensorflow", "terminaltables": "terminaltables", "texttable": "texttable", "toolz": "toolz", "cytoolz": "cytoolz", "torch": "torch",
    "torchaudio": "torchaudio", "torchvision": "torchvision", "transformers": "transformers", "tokenizers": "tokenizers", "ujson": "ujson", "unidecode": "Unidecode",
    "vega": "noah-vega", "wikipedia2vec": "wikipedia2vec", "xlrd": "xlrd", "xtcocotools": "xtcocotools", "zhon": "zhon", "json_tricks": "json_tricks", "mmcv": "mmcv",
    "fvcore": "fvcore", "iopath": "iopath", "simplejson": "simplejson", "marisa_trie": "marisa-trie", "pytorch_lightning": "pytorch-lightning", "soft_renderer": "soft_renderer",
    "resampy": "resampy", "pyworld": "pyworld", "tgt": "tgt", "g2p_en": "g2p-en", "pypinyin": "pypinyin", "pydub": "pydub", "edit_distance": "edit-distance", "bs4": "beautifulsoup4", "ftfy": "ftfy",
    "mindspore_hub": "mindspore-hub", "mindinsight": "mindinsight", "datasets": "datasets", "wandb": "wandb", "wget": "wget", "mir_eval": "mir_eval", "huggingface_hub": "huggingface-hub", "lpips": "lpips", "openslide": "openslide-python", "icu": "PyICU", "gym": "gym", "mindspore_rl": "mindspore-rl",
    "optuna": "optuna", "pydicom": "pydicom", "pyhocon": "pyhocon", "obs": "esdk-obs-python", "thop": "thop", "timm": "timm", "graphviz": "graphviz", "pybind11": "pybind11", "tensorpack": "tensorpack",
}  # fmt: skip

#: Import name -> distribution of other modules that are called otherwise than what pip installs.
OTHER_NAMES: Final = {
    "PIL": "pillow",
    "absl": "absl-py",
    "attr": "attrs",
    "dateutil": "python-dateutil",
    "google": "protobuf",
    "hydra": "hydra-core",
    "ml_collections": "ml-collections",
    "pkg_resources": "setuptools",
    "yaml": "pyyaml",
}

#: Calls at import time that do not change the network.
HARMLESS: Final = frozenset(
    {
        "cv2.setNumThreads", "cv2.ocl.setUseOpenCL", "matplotlib.use", "matplotlib.pyplot.switch_backend", "matplotlib.pyplot.rcParams.update",
        "numba.jit", "numba.njit", "numba.cuda.jit", "pandas.set_option", "pyximport.install", "nltk.download", "mxnet.random.seed", "moxing.file.shift",
        "torch.manual_seed", "tensorflow.set_random_seed", "jieba.setLogLevel", "regex.compile", "inflect.engine", "torch.no_grad", "faiss.omp_set_num_threads", "numba.vectorize",
        "mindspore.parallel._transformer.layers._valid_type_checks", "mindspore.parallel._transformer.layers._valid_value_checks",
        "mindspore.parallel._transformer.layers._args_type_validator_check", "mindspore.parallel._transformer.op_parallel_config._check_config",
        "tensorflow.compat.v1.disable_eager_execution", "sklearn.utils.check_random_state", "transformers.logging.set_verbosity_error",
    }
)  # fmt: skip


def distribution_of(module: str) -> str:
    """Return the name of the distribution that has a module, as pip takes it.

    Args:
        module: The name of a module; of a dotted one, the first part counts.
    """
    head = module.partition(".")[0]
    return PACKAGES.get(head) or OTHER_NAMES.get(head, head)


class StandInModule(types.ModuleType):
    """A package that is not installed."""

    def __init__(self, name: str) -> None:
        super().__init__(name, f"{name} is not installed; this stands in for it.")
        self.__path__: list[str] = []

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - whatever old code expects
        if name.startswith("__"):
            raise AttributeError(name)
        value = stand_in(f"{self.__name__}.{name}")
        setattr(self, name, value)
        return value


class _StandIn(type):
    """The metaclass of stand-ins: these are classes, so that old code can inherit from them."""

    dotted: str

    def __call__(cls, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 - whatever old code expects
        dotted = cls.dotted
        if dotted in HARMLESS or dotted.startswith("moxing."):  # moxing copies data to and from a cloud
            return (
                args[0]
                if len(args) == 1 and not kwargs and isinstance(args[0], types.FunctionType)
                else stand_in(dotted)
            )
        if len(args) == 1 and not kwargs and isinstance(args[0], (types.FunctionType, type)):
            return args[0]  # a decorator: the function stays unchanged, and fails when it calls the package
        head = dotted.partition(".")[0]
        if head == "mindspore":
            raise RequirementError(
                f"{dotted} was called, which MindSpore no longer has", hint="load the card with an older MindSpore"
            )
        raise RequirementError(
            f"{dotted} was called, but the package {head} is not installed",
            hint=f"pip install {distribution_of(head)}",
        )

    def __getattr__(cls, name: str) -> Any:  # noqa: ANN401 - whatever old code expects
        if name.startswith("__"):
            raise AttributeError(name)
        return stand_in(f"{cls.dotted}.{name}")

    def __repr__(cls) -> str:
        return f"<stand-in for {cls.dotted}>"

    def __or__(cls, other: Any) -> Any:  # noqa: ANN401 - as the original
        return cls

    def __add__(cls, other: Any) -> Any:  # noqa: ANN401 - flags are combined
        return cls

    def __iter__(cls) -> Any:  # noqa: ANN401 - nothing to iterate over
        return iter(())


def stand_in(dotted: str) -> Any:  # noqa: ANN401 - whatever old code expects
    """Return the stand-in for a name of a package that is not installed."""
    return _StandIn(dotted.rpartition(".")[2], (), {"dotted": dotted, "__module__": __name__})


class AttributeDict(dict[str, Any]):
    """A dictionary whose keys are also attributes, nested ones included, like easydict."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 - as dict
        super().__init__()
        for name, value in dict(*args, **kwargs).items():
            self[name] = value

    def __setitem__(self, name: str, value: object) -> None:
        super().__setitem__(name, nest(value))

    def __setattr__(self, name: str, value: object) -> None:
        self[name] = value

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - any value
        try:
            return self[name]
        except KeyError:
            raise AttributeError(name) from None

    def __delattr__(self, name: str) -> None:
        del self[name]

    def update(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 - as the original
        """Add entries; nested dictionaries get attributes too."""
        for name, value in dict(*args, **kwargs).items():
            self[name] = value


def nest(value: object) -> object:
    """Return a value with every dictionary in it as an :class:`AttributeDict`."""
    if isinstance(value, dict) and not isinstance(value, AttributeDict):
        return AttributeDict(value)
    if isinstance(value, (list, tuple)) and type(value) in (list, tuple):
        return type(value)(nest(item) for item in value)
    return value


def _progress(iterable: Any = None, *_: object, **__: object) -> Any:  # noqa: ANN401 - any iterable
    return iterable if iterable is not None else stand_in("tqdm.bar")


#: Small packages that a few lines replace.
SMALL: Final[dict[str, dict[str, Any]]] = {
    "easydict": {"EasyDict": AttributeDict},
    "tqdm": {"tqdm": _progress, "trange": range},
}


def module(name: str) -> types.ModuleType | None:
    """Return the stand-in for a module that is not installed, or None."""
    head = name.partition(".")[0]
    if head in SMALL:
        small = types.ModuleType(name)
        vars(small).update(SMALL[head], __path__=[])
        return small
    return StandInModule(name) if head in PACKAGES else None
