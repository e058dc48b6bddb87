"""The oracle's plan, its records, and the part that runs beside MindSpore 2.0.0 as well."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from hubtool.card import model
from hubtool.checkpoint import coverage
from hubtool.errors import ArgumentError, RequirementError
from hubtool.sandbox.limits import ProgramLimits
from hubtool.uid import Uid
from hubtool.verification import rule
from maintain.oracle import answers, environment, family, run
from maintain.oracle.plan import CALLED, OLD, SCRIPT, SEARCH, OracleJob, plan
from tests.support import models

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

CARD = """# {name}

---

model-name: net
module-type: cv
repo-link: https://gitee.com/mindspore/models/tree/{revision}/{folder}
network:
{network}

---
"""
EXPORT = """  provider: repository
  entry: export.py
  argv: [--ckpt_file, '{checkpoint}']
  skip: ['export.py:3']
  capture: 2
  inputs:
  - {dtype: float32, name: x, shape: [8, 3]}
  parameters-sha256: abc"""
CALLABLE = """  provider: repository
  entry: src.network:Net
  arguments: {num_classes: 7}"""


def card(name: str, network: str = EXPORT, *, revision: str = "r1.9", folder: str = "cv/net") -> model.Card:
    text = CARD.format(name=name, revision=revision, folder=folder, network=network)
    return model.read(text.encode(), uid=Uid.parse(f"tests/1.9/{name}"))


def test_code_that_is_the_same_runs_once(tmp_path: Path) -> None:
    for revision in ("r1.8", "r1.9"):
        models.script_only(tmp_path / revision / "cv" / "net")
    models.script_only(tmp_path / "r1.10" / "cv" / "net", classes=6)
    cards = [card("a"), card("b"), card("c", revision="r1.8"), card("d", revision="r1.10"), card("e", CALLABLE)]
    jobs, reasons = plan(cards, checkout=str(tmp_path / "{revision}"))
    assert [job.uids for job in jobs] == [
        ["tests/1.9/a", "tests/1.9/b", "tests/1.9/c"],
        ["tests/1.9/d"],
        ["tests/1.9/e"],
    ]
    assert not reasons
    assert len({job.key(source) for job in jobs for source in (SCRIPT, OLD)}) == 6
    first, _, last = (job.request for job in jobs)
    assert first["argv"] == ["--ckpt_file", "{checkpoint}"]
    assert (first["entry"], first["skip"], first["capture"]) == ("export.py", ["export.py:3"], 2)
    assert first["inputs"] == [{"name": "x", "shape": [8, 3], "dtype": "float32"}]
    assert (last["entry"], last["callable"], last["capture"]) == ("", "src.network:Net", None)


def test_a_card_without_a_job_has_a_reason(tmp_path: Path) -> None:
    cards = [card("a"), card("b", "  provider: package\n  entry: mindcv.models:create_model")]
    jobs, reasons = plan(cards, checkout=str(tmp_path))
    assert jobs == []
    assert reasons == {
        "tests/1.9/a": "the checkout has no folder cv/net at r1.9",
        "tests/1.9/b": "its network does not come from a script",
    }


def test_shards_share_the_work_and_folders_select(tmp_path: Path) -> None:
    for number in range(12):
        models.script_only(tmp_path / "cv" / f"net{number}", classes=number + 1)
    cards = [card(f"n{number}", folder=f"cv/net{number}") for number in range(12)]
    parts = [plan(cards, checkout=str(tmp_path), shard=(part, 3))[0] for part in (1, 2, 3)]
    uids = [uid for jobs in parts for job in jobs for uid in job.uids]
    assert sorted(uids) == sorted(f"tests/1.9/n{number}" for number in range(12))
    jobs, _ = plan(cards, checkout=str(tmp_path), folder="cv/net1")
    assert [job.uids for job in jobs] == [["tests/1.9/n1"]]


def test_the_training_mode_is_another_job(tmp_path: Path) -> None:
    models.script_only(tmp_path / "cv" / "net")
    plain, trained = (plan([card("a")], checkout=str(tmp_path), train=train)[0][0] for train in (False, True))
    assert plain.key(OLD) != trained.key(OLD)


def test_a_card_that_says_training_mode_is_asked_in_it(tmp_path: Path) -> None:
    models.script_only(tmp_path / "cv" / "net")
    said = card("a")
    assert said.recipe is not None
    said = replace(said, recipe=replace(said.recipe, training_mode=True))
    (job,), _ = plan([said], checkout=str(tmp_path))
    assert job.request["train"] is True


def test_both_tasks_of_pre_training_are_asked_of_the_authors_classes() -> None:
    request = family.request_of(model.Recipe(provider="builtin", entry="bert-pretraining"))
    assert request is not None
    compile(request["text"], "program", "exec")
    assert "import BertPreTraining" in request["text"]
    assert [one["name"] for one in request["inputs"]][3:] == ["next_sentence_labels", "masked_lm_positions"]


def job(tmp_path: Path, *uids: str) -> OracleJob:
    request: dict[str, Any] = {
        "entry": "export.py",
        "argv": [],
        "skip": [],
        "callable": "",
        "wanted": None,
        "train": False,
        "capture": 1,
        "inputs": [],
        "facts": {},
        "arguments": {},
    }
    return OracleJob(code=tmp_path, identity="code", request=request, uids=list(uids))


def test_a_record_that_is_there_is_not_made_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    report = tmp_path / "records.jsonl"
    ran: list[str] = []

    def outcome(_: object, source: str, *__: object) -> dict[str, Any]:
        ran.append(source)
        return {"reason": "it failed"}

    monkeypatch.setattr(run, "_outcome", outcome)

    def go(of: OracleJob, again: str = "none") -> Mapping[str, Any]:
        return run.run([of], sources=(OLD,), python=None, report=report, limits=ProgramLimits(), again=again)

    go(job(tmp_path, "a/1.9/b"))
    whole = report.read_bytes()
    go(job(tmp_path, "a/1.9/b"))
    assert ran == [OLD]
    assert report.read_bytes() == whole
    # Another card with the same code and recipe is added to the record, and nothing runs.
    found = go(job(tmp_path, "a/1.8/b"))
    assert ran == [OLD]
    assert [record["uids"] for record in found.values()] == [["a/1.9/b", "a/1.8/b"]]
    assert [record["uids"] for record in run.records(report).values()] == [["a/1.9/b", "a/1.8/b"]]
    go(job(tmp_path, "a/1.9/b"), again="failed")
    assert ran == [OLD, OLD]
    # A run that was killed leaves a line that is cut off: what follows is read all the same.
    with report.open("ab") as file:
        file.write(b'{"key": "half')
    go(job(tmp_path, "a/1.7/b"))
    assert [record["uids"][-1] for record in run.records(report).values()] == ["a/1.7/b"]


@pytest.mark.parametrize(
    ("sources", "digest", "asked"),
    [
        ((OLD, CALLED), "abc", [OLD]),
        ((OLD, CALLED), "of the loss cell", [OLD, CALLED]),  # the script makes no network with these parameters
        ((OLD,), "of the loss cell", [OLD]),
        ((CALLED,), "abc", [CALLED]),  # the script's own network may not be the one that is meant
    ],
)
def test_the_callable_is_asked_where_the_script_makes_another_network(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sources: tuple[str, ...], digest: str, asked: list[str]
) -> None:
    found: list[str] = []

    def outcome(_job: object, source: str, *_: object) -> dict[str, Any]:
        if source != SEARCH:
            found.append(source)
        entry = {"entry": "export.py", "argv": [], "skip": []} if source == SEARCH else {}
        return {**entry, "reason": "", "networks": [{"digest": digest}], "chosen": 0, "outputs": [{"shape": [1]}]}

    monkeypatch.setattr(run, "_outcome", outcome)
    request = {"entry": "", "argv": [], "skip": [], "callable": "src.network:Net", "arguments": {}, "wanted": "abc"}
    job = OracleJob(code=tmp_path, identity="abc", request={**request, "train": False}, uids=["tests/1.9/net"])
    limits = ProgramLimits(seconds=9)
    run.run([job], sources=sources, python=tmp_path, report=tmp_path / "records.jsonl", limits=limits)
    assert found == asked


def test_statements_are_left_out_of_a_copy(tmp_path: Path) -> None:
    (tmp_path / "eval.py").write_text("a = 1\nb, c = read(\n    'x')\nif a:\n    print(b)\n", encoding="utf-8")
    run.leave_out(tmp_path, ["eval.py:2", "eval.py:5"])
    assert (tmp_path / "eval.py").read_text(encoding="utf-8") == "a = 1\nb = c = __stub__\nif a:\n    pass"


def test_the_digest_is_that_of_a_card() -> None:
    shapes = {"b.weight": (3, 4), "a": ()}
    assert answers.digest({name: list(shape) for name, shape in shapes.items()}) == coverage.digest_parameters(shapes)


class Tensor:
    def __init__(self, *shape: int) -> None:
        self.shape, self.dtype = shape, "Float32"


class Cell:
    """What the oracle asks of a network, without MindSpore."""

    def __init__(self, *cells: Cell, **shapes: tuple[int, ...]) -> None:
        self.cells = cells
        self.parameters = {name: Tensor(*shape) for name, shape in shapes.items()}

    def parameters_dict(self) -> dict[str, Tensor]:
        return self.parameters

    def cells_and_names(self) -> list[tuple[str, Cell]]:
        return [("", self), *((str(at), cell) for at, cell in enumerate(self.cells))]

    def construct(self, image: object, mask: object = None) -> None: ...


def test_which_of_several_networks_is_chosen() -> None:
    teacher, student, other = Cell(a=(9,), b=(9,)), Cell(a=(2,)), Cell(c=(1,), d=(1,), e=(1,))
    networks = answers.ScriptNetworks()
    assert answers.choose(networks, capture=1, wanted=None) is None
    for network in (teacher, student, other):
        networks.take(network, "load")
    networks.take(student, "load")
    assert [one[0] for one in networks.taken] == [teacher, student, other]
    student_digest = answers.digest({"a": [2]})
    assert answers.choose(networks, capture=1, wanted=student_digest) == 1  # the one that the card states
    assert answers.choose(networks, capture=1, wanted="another") == 0  # the one that the recipe takes
    assert answers.choose(networks, capture=None, wanted=None) == 2  # the largest
    networks.export(Cell(student), (Tensor(4, 3),))
    assert networks.exported == 3
    assert answers.choose(networks, capture=None, wanted=None) == 1  # the one within what is exported
    assert networks.inputs_of(1) == [{"name": "image", "shape": [4, 3], "dtype": "float32"}]


def test_parameters_keep_the_names_that_they_had() -> None:
    network = Cell(weight=(2,))
    networks = answers.ScriptNetworks()
    networks.take(network, "load")
    network.parameters = {"wrapped.weight": network.parameters["weight"]}
    assert list(networks.taken[0][2]) == ["weight"]


def test_a_batch_becomes_one_where_all_inputs_share_it() -> None:
    def tried(*shapes: list[int]) -> list[list[list[int]]]:
        inputs = [{"name": "x", "shape": shape, "dtype": "float32"} for shape in shapes]
        return [[one["shape"] for one in batch] for batch in answers.batches(inputs)]

    assert tried([8, 3], [8, 1]) == [[[1, 3], [1, 1]], [[8, 3], [8, 1]]]
    assert tried([1, 3]) == [[[1, 3]]]
    assert tried([5, 5], [4, 2]) == [[[5, 5], [4, 2]]]
    assert tried([1, 3, 48, 48], [4]) == [[[1, 3, 48, 48], [4]]]  # the length of an index is no batch
    assert tried([8, 3], []) == [[[8, 3], []]]


def test_nested_outputs_are_flattened_in_order() -> None:
    class Result:
        def __init__(self, value: float) -> None:
            self.value = value

        def asnumpy(self) -> Any:
            return np.array([self.value])

    nested = (Result(1), [Result(2), {"a": Result(3), "b": (Result(4), None)}], 5)
    assert [float(array.reshape(-1)[0]) for array in answers.flat(nested)] == [1, 2, 3, 4, 5]


def _logistic_map() -> Any:
    """Return a network that is chaotic with weights of the rule, and steady with smaller ones."""
    import mindspore as ms
    from mindspore import nn, ops

    usual = float(np.abs(rule.parameter("weight", (4, 4), "float32")).mean())

    class LogisticMap(nn.Cell):  # type: ignore[misc] # MindSpore has no types
        def __init__(self) -> None:
            super().__init__()
            self.weight = ms.Parameter(ms.Tensor(np.zeros((4, 4), np.float32)), name="weight")

        def construct(self, x: Any) -> Any:
            rate = ops.ReduceMean()(ops.Abs()(self.weight)) * (3.99 / usual)
            value = ops.Sigmoid()(x)
            for _ in range(40):
                value = rate * value * (1 - value)
            return value + x

    return LogisticMap()


def test_a_network_that_hangs_on_the_last_digits_is_asked_with_smaller_parameters() -> None:
    import mindspore as ms

    networks = answers.ScriptNetworks()
    networks.take(_logistic_map(), "load")
    inputs = [{"name": "x", "shape": [2, 3], "dtype": "float32"}]
    job = {"inputs": inputs, "capture": 1, "wanted": None, "train": False}
    steady = answers.answer(ms, rule, networks, job)
    assert (steady["reason"], steady["gain"], len(steady["outputs"])) == ("", 0.7, 1)
    assert steady["inputs"][0]["high"] == 30
    assert answers.answer(ms, rule, networks, {**job, "gain": 0.5})["gain"] == 0.5  # the largest that is asked for
    network, _, parameters = networks.taken[0]
    answers.fill(ms, rule, network, parameters, 1.0)
    found = answers.run(ms, rule, network, inputs, train=False)
    assert "last digits" in found["reason"]
    assert not found["outputs"]


def test_a_record_says_whether_its_network_computes_in_float16() -> None:
    import mindspore as ms
    from mindspore import nn

    job = {
        "inputs": [{"name": "x", "shape": [2, 3], "dtype": "float32"}],
        "capture": 1,
        "wanted": None,
        "train": False,
    }
    for kind, expected in ((ms.float16, True), (ms.float32, False)):
        networks = answers.ScriptNetworks()
        networks.take(nn.Dense(3, 4), "load")
        networks.taken[0][0].to_float(kind)  # as scripts do after they have loaded the weights
        assert answers.answer(ms, rule, networks, job)["float16"] is expected


def test_the_rule_is_read_from_its_file() -> None:
    loaded = answers.load_rule(rule.__file__)
    assert loaded.VERSION == rule.VERSION
    assert np.array_equal(loaded.parameter("a.gamma", (3,), "float32"), rule.parameter("a.gamma", (3,), "float32"))


def test_without_python_3_9_it_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ArgumentError, match=r"no Python with MindSpore 2\.0\.0 is given"):
        environment.python_of(None, None)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(RequirementError, match=r"there is no Python 3\.9 here"):
        environment.python_of(None, tmp_path / "environment")
    assert not (tmp_path / "environment").exists()


def test_another_python_is_refused(tmp_path: Path) -> None:
    other = tmp_path / "python"
    other.write_text("#!/bin/sh\necho 2.1.0\n", encoding="utf-8")
    other.chmod(0o755)
    with pytest.raises(RequirementError, match=r"has MindSpore 2\.1\.0, and the oracle needs 2\.0\.0"):
        environment.python_of(other, None)
    shutil.copy("/bin/true", other)
    with pytest.raises(RequirementError, match="has no MindSpore"):
        environment.python_of(other, None)


def test_reasons_are_counted_by_kind() -> None:
    assert run.reason_class("the network failed: TypeError: no (a.py:3)") == "the network failed: TypeError: no"
    kinds = {run.reason_class(f"output {at}: {at + 1} of 9 elements are NaN or infinite") for at in range(3)}
    assert len(kinds) == 1
    assert json.dumps(sorted(kinds)) == '["output 0: 0 of 0 elements are NaN or infinite"]'


def test_a_script_that_waits_for_ever_is_ended() -> None:
    sleep = answers.impatient(KeyboardInterrupt)
    for _ in range(20):
        sleep(3600)
    with pytest.raises(KeyboardInterrupt):
        sleep(3600)


@pytest.mark.mindspore
@pytest.mark.parametrize(
    ("formula", "gain"),
    [
        ("dense(x)", 1.0),
        ("ops.tanh(dense(x) / 3 + 8)", 0.7),
        ("dense(x) * ops.exp(600 * ops.square(dense.weight).mean())", 0.5),
        ("dense(x) * ops.exp(1200 * ops.square(dense.weight).mean())", 0.25),
        ("dense(x * 0)", None),
        ("dense(x) / 0", None),
    ],
)
def test_parameters_get_smaller_until_an_answer_says_something(formula: str, gain: float | None) -> None:
    import mindspore as ms
    from mindspore import nn, ops

    class Net(nn.Cell):  # type: ignore[misc] # MindSpore has no types
        def __init__(self) -> None:
            super().__init__()
            self.dense = nn.Dense(3, 5)

        def construct(self, x: Any) -> Any:
            return eval(formula, {"ops": ops, "dense": self.dense, "x": x})  # noqa: S307 - one of the six above

    networks = answers.ScriptNetworks()
    networks.take(Net(), "load")
    job = {"capture": 1, "wanted": None, "inputs": [{"name": "x", "shape": [1, 3], "dtype": "float32"}], "train": False}
    before = ms.get_context("mode")
    try:
        record = answers.answer(ms, rule, networks, job)
    finally:
        ms.set_context(mode=before)
    assert bool(record["outputs"]) is (gain is not None), record["reason"]
    if gain is None:
        assert record["reason"].endswith(("would prove nothing", "are NaN or infinite"))
    else:
        assert record["gain"] == gain
        bound = None if gain == 1 else 30.0
        assert record["inputs"][0].get("high") == bound
