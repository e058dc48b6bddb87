"""The operators of a MindIR, read without MindSpore: what does more than compute is named, the unreadable refused."""

from __future__ import annotations

import resource
import time
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hubtool.checkpoint import operators
from hubtool.checkpoint.operators import foreign
from hubtool.errors import CheckpointError
from hubtool.resolution import trust
from hubtool.resolution.trust import TrustList
from tests.support.mindir import field, number

if TYPE_CHECKING:
    from pathlib import Path

DENSE = ("Load", "MatMul", "BiasAdd", "MakeTuple", "UpdateState", "Depend")


def attribute(name: str, text: str = "", kind: int = 8, *more: bytes) -> bytes:
    return field(1, name.encode()) + field(5, text.encode()) + field(16, kind) + b"".join(more)


def primitive(operator: str, *attributes: bytes) -> bytes:
    return field(1, f"{operator}:1".encode()) + field(2, operator.encode()) + b"".join(field(3, a) for a in attributes)


def node(operator: str, *attributes: bytes) -> bytes:
    return field(3, b"n") + field(4, operator.encode()) + b"".join(field(5, a) for a in attributes)


def graph(*nodes: bytes) -> bytes:
    return b"".join(field(1, one) for one in nodes) + field(2, b"g")


def model(
    *, nodes: tuple[bytes, ...] = (), functions: tuple[bytes, ...] = (), primitives: tuple[bytes, ...] = ()
) -> bytes:
    content = field(1, b"1.1") + field(2, b"MindSpore") + field(7, graph(*nodes))
    return content + b"".join(field(8, one) for one in functions) + b"".join(field(12, one) for one in primitives)


def read(tmp_path: Path, content: bytes) -> tuple[str, ...]:
    path = tmp_path / "x.mindir"
    path.write_bytes(content)
    return foreign(path)


CUSTOM = (attribute("func_type", "aot"), attribute("func_name", "/lib/evil.so:run"))


def test_ordinary_operators_are_ordinary(tmp_path: Path) -> None:
    nodes = (node("Constant", attribute("value", "x")), *(node(f"REF::{name}:1") for name in DENSE), node("REF::g"))
    content = model(nodes=nodes, functions=(graph(*nodes),), primitives=tuple(map(primitive, DENSE)))
    assert read(tmp_path, content) == ()


@pytest.mark.parametrize(
    "operator",
    ["Custom", "PyExecute", "PyInterpret", "PyFunc", "Print", "TensorDump", "ImageSummary", "TensorSummary", "GetNext",
     "Send", "Receive", "AllReduce", "Push", "PutMem", "HookBackward", "getattr", "resolve", "Unheard",
     "MetaFuncGraph::hyper_map", "ClassType::os.system", "S-Prim-Custom", "custom", "Custom ", "Add\0", "",
     "_HostAllGather", "AsStrided", "InitDataSetQueue"],
)  # fmt: skip
@pytest.mark.parametrize("where", ["primitive", "node", "function", "attribute", "closure", "input"])
def test_others_are_named_wherever_they_stand(tmp_path: Path, operator: str, where: str) -> None:
    inner = graph(node("REF::Add:1"), node(operator))
    content = {
        "primitive": model(primitives=(primitive("Add"), primitive(operator))),
        "node": model(nodes=(node("REF::Add:1"), node(operator))),
        "function": model(functions=(graph(node("REF::Add:1")), inner)),
        "attribute": model(nodes=(node("Constant", field(1, b"value") + field(13, inner)),)),
        "closure": model(primitives=(primitive("Add", field(17, field(17, field(7, inner)))),)),
        "input": model() + field(7, field(5, field(5, field(18, field(2, field(7, inner)))))),
    }[where]
    (found,) = read(tmp_path, content)
    assert operator.strip("\0") in found


def test_the_library_of_a_custom_operator_is_named(tmp_path: Path) -> None:
    for content in (model(primitives=(primitive("Custom", *CUSTOM),)), model(nodes=(node("Custom", *CUSTOM),))):
        (found,) = read(tmp_path, content)
        assert found.startswith("Custom (")
        assert "func_type 'aot'" in found
        assert "func_name '/lib/evil.so:run'" in found


@pytest.mark.parametrize(
    "content",
    [
        model(primitives=(primitive("Add", *CUSTOM),)),
        model(nodes=(node("REF::Add:1", *CUSTOM),)),
        model(primitives=(primitive("Add", attribute("cust_aicpu", "evil")),)),
        model() + field(7, field(8, attribute("graph_kernel", "evil"))),
        *(model(nodes=(node("Constant", attribute("value", "os", kind)),)) for kind in (33, 34, 35, 38)),
        model(nodes=(node("Constant", field(15, b"ClassType::os.system")),)),
        model(nodes=(node("Add", field(19, field(2, b"ShapeCalc"))),)),  # a functor, whatever the attribute's type
        model(nodes=(field(3, b"a node without operator"),)),
        # A field that comes twice: MindSpore takes the last one, and merges two graphs.
        model(primitives=(primitive("Custom", *CUSTOM) + field(2, b"Add"),)),
        model(primitives=(primitive("Add") + field(2, b"Custom"),)),
        field(7, graph(node("Custom"))) + model(nodes=(node("REF::Add:1"),)),
    ],
)
def test_code_under_an_ordinary_name_is_found(tmp_path: Path, content: bytes) -> None:
    assert read(tmp_path, content)


def test_an_operator_may_name_itself_as_its_kernel(tmp_path: Path) -> None:
    assert read(tmp_path, model(primitives=(primitive("Log", attribute("cust_aicpu", "Log")),))) == ()


def external(location: str) -> bytes:
    return model() + field(7, field(3, field(12, field(1, location.encode()))))


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\xd8\x5e\x3a\x7f" + b"encrypted" * 40,
        model()[:-1],
        model() + field(9, field(1, b"a dataset pipeline")),
        model() + field(99, b"of the future"),
        model() + field(7, field(9, b"/tmp/bprop")),
        model() + number(7 << 3 | 3) + number(7 << 3 | 4),
        model() + field(7, 5),
        model(nodes=(field(4, b"N" * 5000),)),
        model(nodes=(node("Constant", field(16, 77)),)),
        field(7, graph()),
        field(2, b"PyTorch") + field(7, graph()),
        *map(external, ["/etc/passwd", "../../x", "a/../../x", "", "a/b/c/d", "a\\..\\b"]),
    ],
)
def test_what_cannot_be_read_is_refused(tmp_path: Path, content: bytes) -> None:
    with pytest.raises(CheckpointError, match="cannot be read as a MindIR"):
        read(tmp_path, content)


def test_weights_may_stand_in_files_beside_the_graph(tmp_path: Path) -> None:
    assert read(tmp_path, external("x_variables/data_0")) == ()


def deep(levels: int) -> bytes:
    inner = b""
    for _ in range(levels):
        inner = field(17, inner)
    return model(nodes=(field(5, inner),))


HOSTILE = {
    "dimensions": lambda: model() + field(7, field(3, field(1, 5) * (1 << 23))),
    "nodes": lambda: model() + field(7, field(1, b"") * (1 << 23)),
    "operators": lambda: model(nodes=tuple(node(f"Evil{at}") for at in range(100_000))),
    "libraries": lambda: model(nodes=(node("Custom", *CUSTOM * 100_000),)),
    "names": lambda: model(nodes=(node("Add") + field(4, b"Add") * 500_000,)),
    "deep": lambda: deep(2000),
    "unknown": lambda: field(1, b"") * (1 << 23) + model(),
}


@pytest.mark.parametrize("kind", HOSTILE)
def test_hostile_files_take_little_time_and_memory(tmp_path: Path, kind: str) -> None:
    content = HOSTILE[kind]()
    (tmp_path / "x.mindir").write_bytes(content)
    del content
    operators._ordinary()
    before = resource.getrusage(resource.RUSAGE_SELF)
    start = time.process_time()
    with pytest.raises(CheckpointError):
        foreign(tmp_path / "x.mindir")
    assert time.process_time() - start < 4  # 2 s on an idle machine
    after = resource.getrusage(resource.RUSAGE_SELF)
    assert (after.ru_maxrss - before.ru_maxrss) >> 10 < 200


@given(at=st.integers(0, 10_000), flip=st.integers(1, 255), cut=st.integers(0, 10_000))
def test_damage_is_an_error_or_an_answer(
    tmp_path_factory: pytest.TempPathFactory, at: int, flip: int, cut: int
) -> None:
    content = bytearray(model(nodes=tuple(map(node, DENSE)), primitives=(primitive("Custom", *CUSTOM),)))
    content[at % len(content)] ^= flip
    path = tmp_path_factory.mktemp("m") / "x.mindir"
    path.write_bytes(content[: (cut % (2 * len(content))) or None])
    try:
        found = foreign(path)
    except CheckpointError:
        return
    assert all(isinstance(one, str) for one in found)


def test_agreement_is_bound_to_the_file(tmp_path: Path) -> None:
    path = tmp_path / "x.mindir"
    path.write_bytes(model(primitives=(primitive("Custom", *CUSTOM),)))
    decision = trust.decide_graph("ab" * 32, operators.foreign(path), TrustList())
    assert decision is not None
    assert not decision.allowed
    assert "/lib/evil.so:run" in decision.why
    assert decision.entry is not None
    agreed = TrustList().add(decision.entry)
    for digest, allowed in (("ab" * 32, True), ("cd" * 32, False)):
        again = trust.decide_graph(digest, operators.foreign(path), agreed)
        assert again is not None
        assert again.allowed is allowed


def test_the_table_leaves_out_what_does_more_than_compute() -> None:
    ordinary = operators._ordinary()
    assert {"MatMul", "Conv2D", "MakeTuple", "Switch", "LSTM"} <= ordinary
    assert not [name for name in ordinary if name.startswith(("Py", "Custom", "_")) or "Summary" in name]
