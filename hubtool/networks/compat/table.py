"""The table of the bridge: names in code for MindSpore 1.3 to 1.10, and their replacements today.

One row per name. ``gone`` is the first version (of MindSpore, unless the name belongs to another package) that no
longer has the name, or changed its meaning. ``stands`` is ``module:attribute``, ``module:`` for a whole module.
``exact`` says whether the same call gives the same numbers; a test computes them for each such row. A row whose name
still exists (``changed``) replaces it wherever the old code can meet it; the others are supplied where they are missing.

The names and versions are facts from MindSpore's release notes and from running the code of the model repository's
branches r1.3 to r1.10 on MindSpore 2.10 and NumPy 1.26. Names were looked up in 2.0.0, 2.7.0, 2.8.0, 2.9.0 and 2.10.0: "2.7"
also says that something is gone since a version between 2.0.0 and 2.7.0.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

_CELLS: Final = "hubtool.networks.compat.cells"
_CHECKS: Final = "hubtool.networks.compat.checks"
_NOOP: Final = "hubtool.networks.compat.noop"
_OPERATORS: Final = "hubtool.networks.compat.operators"
_PYTHON: Final = "hubtool.networks.compat.python_compat"
_TRANSFORMER: Final = "hubtool.networks.compat.transformer"
_TRANSFORMS: Final = "hubtool.networks.compat.transforms"


@dataclass(frozen=True, slots=True)
class Replacement:
    """One replaced name.

    Attributes:
        old: The dotted name that old code uses.
        gone: The first version without it, or with another meaning.
        stands: Its replacement, ``module:attribute``, or ``module:`` for a module.
        exact: Whether the same call gives the same numbers.
        why: What changed.
        changed: Whether the name still exists, with another meaning or signature.
        meaning: Whether today's is right for code of 2.x: the row is for code of 1.x only.
    """

    old: str
    gone: str
    stands: str
    exact: bool
    why: str
    changed: bool = False
    meaning: bool = False


# One row, one line.
# fmt: off
MINDSPORE: Final = (
    Replacement("mindspore.ms_function", "2.7", f"{_CELLS}:ms_function", True, "renamed to jit; its first argument was fn"),
    Replacement("mindspore.common.api.ms_function", "2.7", f"{_CELLS}:ms_function", True, "renamed to jit; its first argument was fn"),
    Replacement("mindspore.ms_class", "2.7", "mindspore:jit_class", True, "renamed"),
    Replacement("mindspore.nn.ResizeBilinear", "2.7", f"{_CELLS}:ResizeBilinear", True, "removed; ops.ResizeBilinearV2 computes it"),
    Replacement("mindspore.ops.ResizeBilinear", "2.7", f"{_CELLS}:ResizeBilinearOp", True, "renamed; the size became an input"),
    Replacement("mindspore.ops.operations.ResizeBilinear", "2.7", f"{_CELLS}:ResizeBilinearOp", True, "as mindspore.ops.ResizeBilinear"),
    Replacement("mindspore.ops.operations.image_ops.ResizeBilinear", "2.0", f"{_CELLS}:ResizeBilinearOp", True, "as mindspore.ops.ResizeBilinear"),
    Replacement("mindspore.ops.operations.nn_ops.ResizeBilinear", "2.7", f"{_CELLS}:ResizeBilinearOp", True, "as mindspore.ops.ResizeBilinear"),
    Replacement("mindspore.nn.Dropout", "2.0", f"{_CELLS}:Dropout", True, "keep_prob was any number; 1 and 0.9 as float32 are refused now", changed=True),
    Replacement("mindspore.nn.UpsamplingBilinear2d", "1.3", f"{_CELLS}:UpsamplingBilinear2d", True, "never in MindSpore; named in unused branches and forks"),
    Replacement("mindspore.ops.operations.Sum", "1.0", "mindspore.ops.operations:ReduceSum", True, "renamed"),
    Replacement("mindspore.ops.ResizeNearestNeighbor", "2.0", f"{_CELLS}:resize_nearest_neighbor", True, "took the whole part of a size that is a quotient", changed=True),
    Replacement("mindspore.nn.MaxPool2d", "2.0", f"{_CELLS}:MaxPool2d", True, "took a quotient without a remainder, such as 4.0", changed=True),
    Replacement("mindspore.nn.CellList", "2.0", f"{_CELLS}:CellList", True, "took the whole part of an index that is a quotient", changed=True),
    Replacement("mindspore.nn.EmbeddingLookup", "2.0", f"{_CELLS}:EmbeddingLookup", True, "vocab_cache_size, for a cache of the parameter server, is gone", changed=True),
    Replacement("mindspore.common.initializer.initializer", "1.6", f"{_CELLS}:initializer", True, "what it gives had a method to_tensor(), and could be reshaped", changed=True),
    Replacement("mindspore.ops.Cast", "2.0", f"{_OPERATORS}:Cast", True, "graphs dropped a cast of None whose result nothing used; it is refused now", changed=True),
    Replacement("mindspore.ops.Reshape", "2.0", f"{_OPERATORS}:Reshape", True, "a side may be a quotient without a remainder, such as 4.0; 2.0.0 refuses it, too, and code of 1.x relies on it", changed=True),
    Replacement("mindspore.ops.Tile", "2.0", f"{_OPERATORS}:Tile", True, "as mindspore.ops.Reshape", changed=True),
    Replacement("mindspore.ops.dot", "2.0", f"{_OPERATORS}:dot", True, "its arguments were x1 and x2", changed=True),
    Replacement("mindspore.ops.ScalarCast", "2.7", f"{_OPERATORS}:ScalarCast", True, "only the widest type of each kind is taken now", changed=True),
    Replacement("mindspore.ops.functional.scalar_cast", "2.7", f"{_OPERATORS}:scalar_cast", True, "as mindspore.ops.ScalarCast", changed=True),
    Replacement("mindspore.ops.ScalarToArray", "2.7", f"{_OPERATORS}:ScalarToArray", True, "still there, and refused when it is called", changed=True),
    Replacement("mindspore.ops.functional.scalar_to_array", "2.7", f"{_OPERATORS}:scalar_to_array", True, "as mindspore.ops.ScalarToArray", changed=True),
    Replacement("mindspore.ops.operations.GatherV2", "2.7", "mindspore.ops:Gather", True, "renamed; the old name is there, and refused when it is called", changed=True),
    Replacement("mindspore.ops.operations.DynamicShape", "2.7", "mindspore.ops:TensorShape", True, "renamed; the old name is there, and refused when it is called", changed=True),
    Replacement("mindspore.nn.SSIM", "2.7", f"{_CELLS}:SSIM", True, "today's calls ScalarCast in a way that is refused", changed=True),
    Replacement("mindspore.nn.PSNR", "2.7", f"{_CELLS}:PSNR", True, "as mindspore.nn.SSIM", changed=True),
    Replacement("mindspore.nn.GRU", "2.0", f"{_CELLS}:GRU", True, "dropout was any number; 0 is refused now", changed=True),
    Replacement("mindspore.nn.LSTM", "2.0", f"{_CELLS}:LSTM", True, "as mindspore.nn.GRU", changed=True),
    Replacement("mindspore.nn.RNN", "2.0", f"{_CELLS}:RNN", True, "as mindspore.nn.GRU", changed=True),
    Replacement("mindspore.ops.Div", "2.7", "mindspore.ops:RealDiv", True, "dropped the fraction of whole numbers", changed=True, meaning=True),
    Replacement("mindspore.ops.div", "2.7", f"{_OPERATORS}:div", True, "as mindspore.ops.Div", changed=True, meaning=True),
    Replacement("mindspore.ops.divide", "2.7", f"{_OPERATORS}:div", True, "as mindspore.ops.Div", changed=True, meaning=True),
    Replacement("mindspore.ops.true_divide", "2.7", f"{_OPERATORS}:div", True, "as mindspore.ops.Div", changed=True, meaning=True),
    Replacement("mindspore.ops.ArgMaxWithValue", "2.7", f"{_OPERATORS}:ArgMaxWithValue", True, "places were int32, and are int64", changed=True, meaning=True),
    Replacement("mindspore.ops.ArgMinWithValue", "2.7", f"{_OPERATORS}:ArgMinWithValue", True, "as mindspore.ops.ArgMaxWithValue", changed=True, meaning=True),
    Replacement("mindspore.ops.set_seed", "1.0", f"{_NOOP}:set_seed", False, "moved to mindspore.set_seed"),
    Replacement("mindspore.ops.functional.control_depend", "1.3", f"{_NOOP}:control_depend", False, "removed; order follows from the program"),
    Replacement("mindspore.nn.optim.SparseAdam", "1.0", "mindspore.nn:Adam", False, "merged into Adam; training only"),
    Replacement("mindspore.nn.Sequential", "0.1", "mindspore.nn:SequentialCell", True, "never in MindSpore; SequentialCell is meant"),
    Replacement("mindspore.nn.Relu", "0.1", "mindspore.nn:ReLU", True, "misspelt in unused branches"),
    Replacement("mindspore.nn.BCEloss", "0.1", "mindspore.nn:BCELoss", True, "misspelt in unused branches"),
    Replacement("mindspore.nn.ConvTranspose2d", "0.1", "mindspore.nn:Conv2dTranspose", False, "another library's name, in unused branches"),
    Replacement("mindspore.nn.ConvTranspose3d", "0.1", "mindspore.nn:Conv3dTranspose", False, "another library's name, in unused branches"),
    Replacement("mindspore.nn.metrics.metric", "2.0", "mindspore.train.metrics.metric:", True, "moved"),
    Replacement("mindspore.profiler.profiling", "2.7", "mindspore.profiler:", True, "moved"),
    Replacement("mindspore.common.initializer.random_normal", "0.1", f"{_CELLS}:random_normal", False, "never in MindSpore; Normal is meant"),
    Replacement("mindspore.numpy.shape", "0.1", f"{_CELLS}:shape", True, "never in MindSpore; ops.shape is meant"),
    Replacement("mindspore.train.serialization._check_checkpoint_param", "1.9", f"{_NOOP}:nothing", False, "private; the loader checks"),
    Replacement("mindspore.nn.layer.basic.check_dense_input_shape", "2.7", f"{_NOOP}:nothing", False, "private; checked an input's shape"),
    Replacement("mindspore.parallel._ps_context._is_role_pserver", "2.8", f"{_NOOP}:no", False, "private; one process trains without a parameter server"),
    Replacement("mindspore.parallel._ps_context._get_ps_mode_rank", "2.8", f"{_NOOP}:zero", False, "private; as _is_role_pserver"),
    Replacement("mindspore.train.callback._checkpoint._check_file_name_prefix", "2.7", f"{_NOOP}:nothing", False, "private; checked the name of a file to save"),
    Replacement("mindspore.nn.transformer.AttentionMask", "2.0", f"{_TRANSFORMER}:AttentionMask", True, "removed, with all of mindspore.nn.transformer"),
    Replacement("mindspore.nn.transformer.TransformerEncoder", "2.0", f"{_TRANSFORMER}:TransformerEncoder", True, "removed; without a past and without experts"),
    Replacement("mindspore.nn.transformer.transformer.AttentionMask", "2.0", f"{_TRANSFORMER}:AttentionMask", True, "removed, with all of mindspore.nn.transformer"),
    Replacement("mindspore.nn.transformer.transformer.TransformerEncoder", "2.0", f"{_TRANSFORMER}:TransformerEncoder", True, "removed; without a past and without experts"),
    Replacement("mindspore.nn.transformer.layers._LayerNorm", "2.0", f"{_TRANSFORMER}:LayerNorm", True, "removed, with all of mindspore.nn.transformer"),
    Replacement("mindspore._checkparam.Validator", "2.0", f"{_CHECKS}:Validator", True, "a class became functions of its module"),
    Replacement("mindspore._checkparam.Rel", "2.0", f"{_CHECKS}:Rel", True, "an enumeration became constants of its module"),
    Replacement("mindspore._checkparam.check_int_positive", "1.0", "mindspore._checkparam:check_positive_int", True, "renamed"),
    Replacement("mindspore.dataset.vision.c_transforms", "2.8", "mindspore.dataset.vision:", True, "merged into mindspore.dataset.vision"),
    Replacement("mindspore.dataset.vision.py_transforms", "2.8", "mindspore.dataset.vision:", True, "merged into mindspore.dataset.vision"),
    Replacement("mindspore.dataset.transforms.c_transforms", "2.8", "mindspore.dataset.transforms:", True, "merged into mindspore.dataset.transforms"),
    Replacement("mindspore.dataset.transforms.py_transforms", "2.8", "mindspore.dataset.transforms:", True, "merged into mindspore.dataset.transforms"),
    Replacement("mindspore.dataset.transforms.vision", "1.0", "mindspore.dataset.vision:", True, "moved"),
    Replacement("mindspore.dataset.transforms.vision.c_transforms", "1.0", "mindspore.dataset.vision:", True, "moved"),
    Replacement("mindspore.dataset.transforms.vision.py_transforms", "1.0", "mindspore.dataset.vision:", True, "moved"),
    Replacement("mindspore.dataset.transforms.PyTensorOperation", "2.0", "mindspore.dataset.transforms.transforms:PyTensorOperation", True, "no longer exported"),
    Replacement("mindspore.dataset.vision.py_transforms.Normalize", "2.8", f"{_TRANSFORMS}:normalize_chw", True, "expected channels first; the merged one expects them last"),
    Replacement("mindspore.dataset.vision.py_transforms.Decode", "2.8", f"{_TRANSFORMS}:decode_pil", True, "gave a PIL image; the merged one gives an array"),
    Replacement("mindspore.dataset.vision.py_transforms.NormalizePad", "2.8", f"{_TRANSFORMS}:normalize_pad_chw", True, "expected channels first; the merged one expects them last"),
    Replacement("mindspore.dataset.vision.py_transforms.Cutout", "2.8", f"{_TRANSFORMS}:cutout", False, "renamed to CutOut, and channels first; random"),
    Replacement("mindspore.dataset.vision.py_transforms.RgbToBgr", "2.8", f"{_TRANSFORMS}:RgbToBgr", True, "removed"),
    Replacement("mindspore.dataset.vision.c_transforms.RgbToBgr", "2.8", f"{_TRANSFORMS}:rgb_to_bgr_hwc", True, "removed"),
    Replacement("mindspore.dataset.transforms.py_transforms.OneHotOp", "2.8", f"{_TRANSFORMS}:OneHotOp", True, "renamed to OneHot, which gives integers"),
    Replacement("mindspore.dataset.transforms.py_transforms.Compose", "2.8", f"{_TRANSFORMS}:Compose", True, "called by hand, it gave a tuple; the merged one gives one array"),
    Replacement("mindspore.dataset.transforms.py_transforms.PyTensorOperation", "2.8", "mindspore.dataset.transforms.transforms:PyTensorOperation", False, "no longer exported; a base class"),
    Replacement("mindspore.dataset.GraphData", "2.10", f"{_NOOP}:GraphData", False, "removed; data only"),
)

PARALLEL: Final = tuple(
    Replacement(f"mindspore.{module}.{name}", "2.0", f"{_NOOP}:{stands}", False, why, changed=True)
    for module, name, stands, why in (
        ("communication", "init", "nothing", "a network is built by one process: no group is joined"),
        ("communication.management", "init", "nothing", "as mindspore.communication.init"),
        ("communication", "get_rank", "zero", "one process has rank 0"),
        ("communication", "get_local_rank", "zero", "one process has rank 0"),
        ("communication", "get_group_size", "one", "one process is a group of one"),
        ("communication", "get_local_rank_size", "one", "one process is a group of one"),
        ("communication", "release", "nothing", "no group was joined"),
        ("communication", "create_group", "nothing", "no group is made"),
    )
)

PLAIN: Final = (
    Replacement("numpy.bool", "NumPy 1.24", "builtins:bool", True, "an alias of the builtin"),
    Replacement("numpy.int", "NumPy 1.24", "builtins:int", True, "an alias of the builtin"),
    Replacement("numpy.float", "NumPy 1.24", "builtins:float", True, "an alias of the builtin"),
    Replacement("numpy.complex", "NumPy 1.24", "builtins:complex", True, "an alias of the builtin"),
    Replacement("numpy.object", "NumPy 1.24", "builtins:object", True, "an alias of the builtin"),
    Replacement("numpy.str", "NumPy 1.24", "builtins:str", True, "an alias of the builtin"),
    Replacement("numpy.long", "NumPy 1.24", "builtins:int", True, "an alias of the builtin"),
    Replacement("numpy.unicode", "NumPy 1.24", "builtins:str", True, "an alias of the builtin"),
    Replacement("numpy.asscalar", "NumPy 1.23", f"{_PYTHON}:asscalar", True, "a.item() is the same"),
    Replacement("collections.Callable", "Python 3.10", "collections.abc:Callable", True, "moved"),
    Replacement("collections.Hashable", "Python 3.10", "collections.abc:Hashable", True, "moved"),
    Replacement("collections.Iterable", "Python 3.10", "collections.abc:Iterable", True, "moved"),
    Replacement("collections.Iterator", "Python 3.10", "collections.abc:Iterator", True, "moved"),
    Replacement("collections.Mapping", "Python 3.10", "collections.abc:Mapping", True, "moved"),
    Replacement("collections.MutableMapping", "Python 3.10", "collections.abc:MutableMapping", True, "moved"),
    Replacement("collections.Sequence", "Python 3.10", "collections.abc:Sequence", True, "moved"),
    Replacement("inspect.getargspec", "Python 3.11", f"{_PYTHON}:getargspec", True, "the first four of getfullargspec"),
    Replacement("time.clock", "Python 3.8", "time:perf_counter", False, "the processor's time; training logs only"),
    Replacement("fractions.gcd", "Python 3.9", "math:gcd", True, "moved"),
    Replacement("yaml.load", "PyYAML 6", f"{_PYTHON}:yaml_load", True, "the loader became required", changed=True),
    Replacement("yaml.load_all", "PyYAML 6", f"{_PYTHON}:yaml_load_all", True, "the loader became required", changed=True),
)

# fmt: on

#: Removed modules of MindSpore without a replacement: importing them works, calling anything is an error.
GONE: Final = {
    "mindspore.nn.transformer": "2.0",
    "mindspore.parallel._transformer": "2.8",
    "mindspore.compression": "2.0",
    "mindspore.nn.layer.quant": "2.0",
}

#: Methods of tensors that are gone or different: what they were stands in :mod:`hubtool.networks.compat.operators`.
METHODS: Final = frozenset({"div", "divide", "repeat", "set_parameter_data", "sum", "true_divide"})

#: Every row.
ROWS: Final = (*MINDSPORE, *PARALLEL, *PLAIN)
