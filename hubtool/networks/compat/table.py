"""The table of the bridge: names in code for MindSpore 1.3 to 1.10, and their replacements today.

One row per name. ``gone`` is the first version (of MindSpore, unless the name belongs to another package) that no
longer has the name, or changed its meaning. ``stands`` is ``module:attribute``, ``module:`` for a whole module.
``exact`` says whether the same call gives the same numbers; a test computes them for each such row. A row whose name
still exists (``changed``) replaces it wherever the old code can meet it; the others are supplied where they are missing.

The names and versions are facts from MindSpore's release notes and from running the code of the model repository's
branches r1.3 to r1.10 on MindSpore 2.10 and NumPy 1.26.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

_CELLS: Final = "hubtool.networks.compat.cells"
_CHECKS: Final = "hubtool.networks.compat.checks"
_NOOP: Final = "hubtool.networks.compat.noop"
_PYTHON: Final = "hubtool.networks.compat.python_compat"


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
    """

    old: str
    gone: str
    stands: str
    exact: bool
    why: str
    changed: bool = False


# One row, one line.
# fmt: off
MINDSPORE: Final = (
    Replacement("mindspore.ms_function", "2.0", "mindspore:jit", True, "renamed"),
    Replacement("mindspore.common.api.ms_function", "2.0", "mindspore:jit", True, "renamed"),
    Replacement("mindspore.ms_class", "2.0", "mindspore:jit_class", True, "renamed"),
    Replacement("mindspore.nn.ResizeBilinear", "2.0", f"{_CELLS}:ResizeBilinear", True, "removed; ops.ResizeBilinearV2 computes it"),
    Replacement("mindspore.ops.ResizeBilinear", "2.0", f"{_CELLS}:ResizeBilinearOp", True, "renamed; the size became an input"),
    Replacement("mindspore.ops.operations.ResizeBilinear", "2.0", f"{_CELLS}:ResizeBilinearOp", True, "as mindspore.ops.ResizeBilinear"),
    Replacement("mindspore.ops.operations.image_ops.ResizeBilinear", "2.0", f"{_CELLS}:ResizeBilinearOp", True, "as mindspore.ops.ResizeBilinear"),
    Replacement("mindspore.ops.operations.nn_ops.ResizeBilinear", "2.0", f"{_CELLS}:ResizeBilinearOp", True, "as mindspore.ops.ResizeBilinear"),
    Replacement("mindspore.nn.Dropout", "2.0", f"{_CELLS}:Dropout", True, "keep_prob was any number; 1 and 0.9 as float32 are refused now", changed=True),
    Replacement("mindspore.nn.UpsamplingBilinear2d", "1.3", f"{_CELLS}:UpsamplingBilinear2d", True, "never in MindSpore; named in unused branches and forks"),
    Replacement("mindspore.ops.operations.Sum", "1.0", "mindspore.ops.operations:ReduceSum", True, "renamed"),
    Replacement("mindspore.nn.EmbeddingLookup", "2.0", f"{_CELLS}:EmbeddingLookup", True, "vocab_cache_size, for a cache of the parameter server, is gone", changed=True),
    Replacement("mindspore.common.initializer.initializer", "1.6", f"{_CELLS}:initializer", True, "what it gives had a method to_tensor()", changed=True),
    Replacement("mindspore.ops.ScalarCast", "2.0", f"{_CELLS}:ScalarCast", True, "only the widest type of each kind is taken now", changed=True),
    Replacement("mindspore.ops.set_seed", "1.0", f"{_NOOP}:set_seed", False, "moved to mindspore.set_seed"),
    Replacement("mindspore.ops.functional.control_depend", "1.3", f"{_NOOP}:control_depend", False, "removed; order follows from the program"),
    Replacement("mindspore.nn.optim.SparseAdam", "1.0", "mindspore.nn:Adam", False, "merged into Adam; training only"),
    Replacement("mindspore.nn.Sequential", "0.1", "mindspore.nn:SequentialCell", True, "never in MindSpore; SequentialCell is meant"),
    Replacement("mindspore.nn.Relu", "0.1", "mindspore.nn:ReLU", True, "misspelt in unused branches"),
    Replacement("mindspore.nn.BCEloss", "0.1", "mindspore.nn:BCELoss", True, "misspelt in unused branches"),
    Replacement("mindspore.nn.ConvTranspose2d", "0.1", "mindspore.nn:Conv2dTranspose", False, "another library's name, in unused branches"),
    Replacement("mindspore.nn.ConvTranspose3d", "0.1", "mindspore.nn:Conv3dTranspose", False, "another library's name, in unused branches"),
    Replacement("mindspore.nn.metrics.metric", "2.0", "mindspore.train.metrics.metric:", True, "moved"),
    Replacement("mindspore.profiler.profiling", "2.0", "mindspore.profiler:", True, "moved"),
    Replacement("mindspore.common.initializer.random_normal", "0.1", f"{_CELLS}:random_normal", False, "never in MindSpore; Normal is meant"),
    Replacement("mindspore.numpy.shape", "0.1", f"{_CELLS}:shape", True, "never in MindSpore; ops.shape is meant"),
    Replacement("mindspore.train.serialization._check_checkpoint_param", "1.9", f"{_NOOP}:nothing", False, "private; the loader checks"),
    Replacement("mindspore.nn.layer.basic.check_dense_input_shape", "1.8", f"{_NOOP}:nothing", False, "private; checked an input's shape"),
    Replacement("mindspore._checkparam.Validator", "2.0", f"{_CHECKS}:Validator", True, "a class became functions of its module"),
    Replacement("mindspore._checkparam.Rel", "2.0", f"{_CHECKS}:Rel", True, "an enumeration became constants of its module"),
    Replacement("mindspore._checkparam.check_int_positive", "1.0", "mindspore._checkparam:check_positive_int", True, "renamed"),
    Replacement("mindspore.dataset.vision.c_transforms", "2.0", "mindspore.dataset.vision:", True, "merged into mindspore.dataset.vision"),
    Replacement("mindspore.dataset.vision.py_transforms", "2.0", "mindspore.dataset.vision:", True, "merged into mindspore.dataset.vision"),
    Replacement("mindspore.dataset.transforms.c_transforms", "2.0", "mindspore.dataset.transforms:", True, "merged into mindspore.dataset.transforms"),
    Replacement("mindspore.dataset.transforms.py_transforms", "2.0", "mindspore.dataset.transforms:", True, "merged into mindspore.dataset.transforms"),
    Replacement("mindspore.dataset.transforms.vision", "1.0", "mindspore.dataset.vision:", True, "moved"),
    Replacement("mindspore.dataset.transforms.vision.c_transforms", "1.0", "mindspore.dataset.vision:", True, "moved"),
    Replacement("mindspore.dataset.transforms.vision.py_transforms", "1.0", "mindspore.dataset.vision:", True, "moved"),
    Replacement("mindspore.dataset.transforms.PyTensorOperation", "2.0", "mindspore.dataset.transforms.transforms:PyTensorOperation", True, "no longer exported"),
    Replacement("mindspore.dataset.vision.py_transforms.Normalize", "2.0", f"{_CELLS}:normalize_chw", True, "expected channels first; the merged one expects them last"),
    Replacement("mindspore.dataset.vision.py_transforms.Decode", "2.0", f"{_CELLS}:decode_pil", True, "gave a PIL image; the merged one gives an array"),
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
    "mindspore.parallel._transformer": "2.7",
    "mindspore.compression": "2.0",
    "mindspore.nn.layer.quant": "2.0",
}

#: Every row.
ROWS: Final = (*MINDSPORE, *PARALLEL, *PLAIN)
