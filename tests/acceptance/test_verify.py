"""`hubtool verify`: known answers repeated on this machine, in programs of their own."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from hubtool.card import known_answer, model
from tests.support import wait_until
from tests.support.git import git
from tests.support.repositories import SCRIPT, card, repository

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.cli import Cli

pytestmark = [
    pytest.mark.mindspore,
    pytest.mark.skipif(shutil.which("git") is None, reason="the git program is not installed"),
]
UID = "tests/1.9/net"
TINY = "hubtool/2.10/tinybert_bilstmcrf_toyner"


_answers: dict[str, str] = {}
"""The known answer of the network of these tests, measured once in each process that runs tests."""


@pytest.fixture
def recorded(cli: Cli, tmp_path: Path) -> Path:
    """Write a card whose network is built with the code of a trusted repository, and its known answer."""
    root = repository(tmp_path / "models")
    card(cli, root, SCRIPT)
    path = cli.registry / f"{UID}.md"
    assert cli("trust", "add", str(root)).code == 0
    if not _answers:
        done = cli("verify", "--record", path)
        assert done.code == 0, done.err
        recipe = path.read_text(encoding="utf-8")
        _answers["text"] = recipe[recipe.index("  known-answer:\n") : recipe.index("license:")]
    else:
        text = path.read_text(encoding="utf-8")
        path.write_text(text.replace("license:", f"{_answers['text']}license:", 1), encoding="utf-8")
    return path


def change(path: Path, before: str, after: str) -> None:
    text = path.read_text(encoding="utf-8")
    assert re.search(before, text)
    path.write_text(re.sub(before, after, text, count=1), encoding="utf-8")


def valid_problems(cli: Cli, path: Path) -> list[str]:
    """Return what the schema and the rules find in the recipe; that the link is a local one does not matter here."""
    found = cli("validate", "--select", "HT207,HT601", "--format", "json", path).json["diagnostics"]
    return [one["message"] for one in found if "repo-link" not in one["message"]]


def test_an_answer_is_recorded_and_repeated(cli: Cli, recorded: Path) -> None:
    recipe = model.read(recorded.read_bytes()).recipe
    assert recipe is not None
    assert recipe.known_answer is not None
    assert recipe.known_answer["inputs"] == [{"name": "x", "shape": [1, 3], "dtype": "float32"}], "a batch of one"
    assert not valid_problems(cli, recorded)
    done = cli("verify", UID, "--json")
    assert done.code == 0, done.err
    assert done.json["verdict"] == "equal"
    assert done.json["source"] == "itself"
    assert done.json["largest"] <= 1e-6


@pytest.mark.slow
def test_only_what_is_equal_is_loaded(cli: Cli, recorded: Path) -> None:
    loaded = cli("load", UID, "--verify", "--json")
    assert loaded.code == 0, loaded.err
    change(recorded, r"mean: \S+", "mean: 9.5")
    assert "differs" in cli("verify", UID).out
    refused = cli("load", UID, "--verify")
    assert refused.code == 1
    assert "was not loaded: against its known answer it differs" in refused.err


@pytest.mark.slow
def test_an_answer_with_the_weights(cli: Cli, recorded: Path) -> None:
    assert cli("verify", UID, "--weights", "--json").json["verdict"] == "nothing to compare"
    assert cli("verify", "--record", "--weights", recorded).code == 0
    assert cli("verify", UID, "--weights", "--json").json["verdict"] == "equal"
    assert cli("verify", UID, "--json").json["verdict"] == "equal", "the other answer is still there"
    asset = recorded.with_suffix("") / "net.ckpt"
    data = bytearray(asset.read_bytes())
    data[-1] ^= 1
    asset.write_bytes(data)
    changed = cli("verify", UID, "--weights", "--json")
    assert changed.code == 3
    assert changed.json["verdict"] == "cannot run here"


@pytest.mark.parametrize(
    ("before", "after", "told"),
    [
        (r"mean: \S+", "mean: 9.5", "it differs by"),
        pytest.param(
            *(r"shape: \[1, 5\]", "shape: [5, 1]", r"its shape is \[1, 5\] and should be \[5, 1\]"),
            marks=pytest.mark.slow,
        ),
        (r"network:", f"network:\n  parameters-sha256: {'0' * 64}", "it is another network"),
        pytest.param(
            *(r"num_classes: 5|--ckpt_file,", "--num_classes, '4', --ckpt_file,", r"its shape is \[1, 4\]"),
            marks=pytest.mark.slow,
        ),
    ],
)
def test_what_differs(cli: Cli, recorded: Path, before: str, after: str, told: str) -> None:
    change(recorded, before, after)
    done = cli("verify", UID, "--json")
    assert done.code == 1
    assert done.json["verdict"] == "differs"
    assert re.search(told, done.json["reason"])


@pytest.mark.parametrize(
    ("before", "after", "told"),
    [
        ("rule: 1", "rule: 7", "version 7 of the rule"),
        (r"mean: \S+", "mean: .nan", "'.nan' is not a finite number"),
        (r"values: \[[^\]]*\]", "values: [1.0]", "output 1 has 1 values"),
        (r"  known-answer:\n(    .*\n)+", "", "its recipe has no 'known-answer'"),
        (r"- name: x\n      shape: \[1, 3\]", r"- name: x\n      shape: [90000, 300000]", "more than 4"),
    ],
)
def test_what_cannot_be_compared(cli: Cli, recorded: Path, before: str, after: str, told: str) -> None:
    change(recorded, before, after)
    done = cli("verify", UID, "--json")
    assert done.code == 4
    assert done.json["verdict"] == "nothing to compare"
    assert told in done.json["reason"]
    # And validating says so, unless the answer is simply not there.
    assert bool(valid_problems(cli, recorded)) is ("has no" not in told)


NETWORK = """
import sys
import time
import numpy as np
from mindspore import Parameter, Tensor, nn, ops
from mindspore.common.initializer import initializer


class Net(nn.Cell):
    def __init__(self, num_classes=5):
        super().__init__()
        self.head = nn.Dense(3, num_classes)
        self.drop = nn.Dropout(p=0.5)
        self.table = Parameter(Tensor(np.arange(5), __import__("mindspore").int32), name="table", requires_grad=False)

    def construct(self, x):
        BODY
        return self.head(x) + self.table
"""


MARKED = "open('it-runs', 'w').close(); time.sleep(300)"
ANSWER = """  known-answer:
    rule: 1
    source: itself
    mindspore: 2.10.0
    device: CPU
    date: 2026-11-30
    tolerance: 0.0001
    outputs:
    - {dtype: float32, shape: [1, 5], mean: 0.1, deviation: 0, values: NUMBERS}
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("body", "code", "told"),
    [
        ("print('a' * 100_000); sys.stderr.write('b'); x = self.drop(x)", 0, ""),
        ("x = x + Tensor(np.random.rand(1, 3).astype(np.float32))", 1, "it draws random numbers"),
        ("x = x / 0 - x / 0", 1, "NaN or infinite"),
        ("x.no_such_method()", 1, "the forward pass failed: AttributeError"),
        ("while True: time.sleep(1)", 1, "it did not end within 20 seconds"),
        ("import os; os._exit(7)", 1, "it ended with 7"),
        ("return 3", 1, "it returns no tensor"),
        ("return {'a': (x, [x])}", 0, ""),
        ("return self.head(x * 0) + self.table", 1, "the same for other inputs"),
    ],
)
def test_networks_that_behave_in_their_own_way(cli: Cli, tmp_path: Path, body: str, code: int, told: str) -> None:
    network = NETWORK.replace("BODY", body)
    root = repository(tmp_path / "models", {"src/network.py": network})
    card(cli, root, SCRIPT)
    path = cli.registry / f"{UID}.md"
    assert cli("trust", "add", str(root)).code == 0
    done = cli("verify", "--record", "--timeout", "20", path, "--json")
    assert done.code == code, done.err
    assert told in done.err
    if code == 0:
        assert cli("verify", path, "--json").json["verdict"] == "equal"
    else:
        assert "known-answer" not in path.read_text(encoding="utf-8"), "nothing is half written"


@pytest.mark.usefixtures("recorded")
def test_a_network_that_became_random(cli: Cli, tmp_path: Path) -> None:
    folder = tmp_path / "models/research/net/src/network.py"
    folder.write_text(NETWORK.replace("BODY", "x = x * Tensor(np.random.rand(1).astype(np.float32))"))
    done = cli("verify", UID, "--checkout", tmp_path / "models", "--json")
    assert done.code == 1
    assert done.json["verdict"] == "differs"
    assert "draws random numbers" in done.json["reason"]


SATURATED = "return ops.tanh(self.head(x) / 3 + 8)"
OVERFLOWS = "return self.head(x) * ops.exp(300 * ops.square(self.head.weight).mean())"


@pytest.mark.slow
@pytest.mark.parametrize("body", [SATURATED, OVERFLOWS])
def test_smaller_parameters_where_an_answer_would_say_nothing(cli: Cli, tmp_path: Path, body: str) -> None:
    root = repository(tmp_path / "models", {"src/network.py": NETWORK.replace("BODY", body)})
    card(cli, root, SCRIPT)
    path = cli.registry / f"{UID}.md"
    assert cli("trust", "add", str(root)).code == 0
    done = cli("verify", "--record", path)
    assert done.code == 0, done.err
    recipe = model.read(path.read_bytes()).recipe
    assert recipe is not None
    assert recipe.known_answer is not None
    assert recipe.known_answer["gain"] in (0.7, 0.5, 0.25)
    assert known_answer.parse(recipe.known_answer).inputs[0].high == 30
    assert not valid_problems(cli, path)
    assert cli("verify", UID, "--json").json["verdict"] == "equal"
    change(path, r"gain: \S+", "gain: 1.0")
    assert cli("verify", UID, "--json").json["verdict"] == "differs"
    change(path, r"gain: \S+", "gain: 2")
    assert valid_problems(cli, path)


ENTRY = """  provider: repository
  entry: src.network:Net
  arguments:
    graph: {from-caller: the weights of the inputs, shape: [3], dtype: float32, low: 1, high: 2}
  inputs:
    - {name: x, shape: [2, 3], dtype: float32}
"""


@pytest.mark.slow
def test_a_network_that_wants_a_tensor_from_its_caller(cli: Cli, tmp_path: Path) -> None:
    network = (
        NETWORK.replace("num_classes=5", "graph").replace("3, num_classes", "3, 5").replace("BODY", "x = x * GRAPH")
    )
    network = network.replace("GRAPH", "self.graph").replace(
        "super().__init__()", "super().__init__(); self.graph = graph"
    )
    root = repository(tmp_path / "models", {"src/network.py": network})
    card(cli, root, ENTRY)
    path = cli.registry / f"{UID}.md"
    assert cli("trust", "add", str(root)).code == 0
    done = cli("verify", "--record", path)
    assert done.code == 0, done.err
    assert cli("verify", UID, "--json").json["verdict"] == "equal"
    change(path, "high: 2", "high: 3")
    assert cli("verify", UID, "--json").json["verdict"] == "differs", "its values are part of the answer"
    told = cli("resolve", UID)
    assert "graph, which you give to load: 3 float32: the weights of the inputs" in told.out
    assert f'hubtool.load("{UID}", graph=graph' in told.out
    refused = cli("load", UID)
    assert refused.code == 2, refused.err
    assert "the network needs graph, which no checkpoint has" in refused.err
    change(path, r"shape: \[3\]", "shape: 3")
    assert "does not say which tensor the caller gives for 'graph'" in cli("resolve", UID).out


@pytest.mark.slow
@pytest.mark.usefixtures("recorded")
@pytest.mark.parametrize(("body", "told"), [("x = x / 0 - x / 0", "NaN or infinite"), ("return 3", "no tensor")])
def test_a_network_that_has_no_answer_any_more_differs(cli: Cli, tmp_path: Path, body: str, told: str) -> None:
    """It ran: that is no reason to say that it could not be compared here."""
    code = tmp_path / "models/research/net/src/network.py"
    code.write_text(NETWORK.replace("BODY", body))
    done = cli("verify", UID, "--checkout", tmp_path / "models", "--json")
    assert (done.code, done.json["verdict"]) == (1, "differs")
    assert told in done.json["reason"]


@pytest.mark.usefixtures("recorded")
def test_without_consent_nothing_runs(cli: Cli, tmp_path: Path) -> None:
    assert cli("trust", "remove", str(tmp_path / "models")).code == 0
    done = cli("verify", UID, "--json")
    assert done.code == 3
    assert done.json["verdict"] == "cannot run here"
    assert "trust" in done.json["reason"]


@pytest.mark.slow
def test_training_mode_is_said_and_done(cli: Cli, tmp_path: Path) -> None:
    body = "assert self.training, 'evaluation'; x = x + 1"
    root = repository(tmp_path / "models", {"src/network.py": NETWORK.replace("BODY", body)})
    card(cli, root, SCRIPT)
    path = cli.registry / f"{UID}.md"
    assert cli("trust", "add", str(root)).code == 0
    assert "AssertionError: evaluation" in cli("verify", "--record", path).err
    change(path, "  inputs:", "  training-mode: true\n  inputs:")
    assert cli("verify", "--record", path).code == 0
    assert cli("verify", UID).code == 0


@pytest.mark.slow
def test_many_cards_with_a_report(cli: Cli, recorded: Path, tmp_path: Path) -> None:
    text = recorded.read_text(encoding="utf-8")
    for name, change_of in (("same", ()), ("other", (r"mean: \S+", "mean: 9.5")), ("none", ("rule: 1", "rule: 9"))):
        path = recorded.with_name(f"{name}.md")
        path.write_text(re.sub(*change_of, text) if change_of else text, encoding="utf-8")
    report = tmp_path / "report.jsonl"
    done = cli("verify", "--all", "--report", report, "--json")
    assert done.code == 1
    assert done.json["counts"] == {"equal": 2, "nothing to compare": 1, "differs": 1}
    lines = [json.loads(line) for line in report.read_text().splitlines()]
    assert {line["uid"]: line["verdict"] for line in lines} == {
        UID: "equal",
        "tests/1.9/same": "equal",
        "tests/1.9/other": "differs",
        "tests/1.9/none": "nothing to compare",
    }
    # A killed run leaves half a line: it is measured again, and the rest is not.
    whole = report.read_bytes()
    kept = [line for line in whole.splitlines(keepends=True) if b"other" not in line]
    report.write_bytes(b"".join(kept) + b'{"uid": "tests/1.9/oth')
    again = cli("verify", "--all", "--report", report)
    assert again.code == 1
    assert "differs             tests/1.9/other" in again.out
    assert "2 equal" in again.out
    assert len(report.read_text().splitlines()) == 5, "behind the line that was cut off"
    report.write_bytes(b"".join(kept))
    # What is no report stays as it is, and a place that cannot be written is said before anything runs.
    report.write_text('{"my": "precious"}')
    assert cli("verify", UID, "tests/1.9/other", "--report", report).code == 2
    assert report.read_text() == '{"my": "precious"}'
    nowhere = cli("verify", UID, "tests/1.9/other", "--report", tmp_path / "none" / "report.jsonl")
    assert nowhere.code == 2
    assert "cannot be written" in nowhere.err
    report.write_text("no report\n")
    refused = cli("verify", "--all", "--report", report)
    assert refused.code == 2
    assert f"{report}:1 is not a line of a report" in refused.err


def test_the_versions_of_reports_are_written_into_cards(cli: Cli, recorded: Path, tmp_path: Path) -> None:
    change(recorded, r"    equal-on: \[[^]]*\]\n", "    equal-on: [2.10.0]\n")
    lines = [
        {"uid": UID, "verdict": verdict, "mindspore": version, "weights": weights, "of": version}
        for version, verdict, weights in (
            ("2.9.0", "equal", False),
            ("2.7.0", "equal", False),
            ("2.8.0", "differs", False),
            ("2.7.1", "equal", True),
        )
    ]
    report = tmp_path / "report.jsonl"
    report.write_text("".join(json.dumps(line) + "\n" for line in lines))
    for written in ("1 card written", "0 cards written"):
        assert cli.maintain("versions", report, "--registry", cli.registry).out.strip() == written
    recipe = model.read(recorded.read_bytes()).recipe
    assert recipe is not None
    assert recipe.known_answer is not None
    assert recipe.known_answer["equal-on"] == ["2.7.0", "2.9.0", "2.10.0"]


def test_several_cards_have_the_code_of_the_worst(cli: Cli, recorded: Path) -> None:
    text = recorded.read_text(encoding="utf-8")
    recorded.with_name("none.md").write_text(re.sub(r"  known-answer:\n(    .*\n)+", "", text), encoding="utf-8")
    done = cli("verify", "tests/1.9/none", "tests/1.9/absent")
    assert done.code == 3
    assert "cannot run here     tests/1.9/absent" in done.out
    assert "nothing to compare  tests/1.9/none" in done.out
    assert cli("verify", "tests/1.9/none", "--weights", "--json").json["verdict"] == "nothing to compare"
    weights = cli("verify", "tests/1.9/none", UID, "--weights", "--json")
    assert weights.code == 4
    assert weights.json["counts"] == {"nothing to compare": 2}


def test_what_could_not_run_is_tried_again(cli: Cli, recorded: Path, tmp_path: Path) -> None:
    report = tmp_path / "report.jsonl"
    root = str(tmp_path / "models")
    assert cli("trust", "remove", root).code == 0
    assert cli("verify", UID, "--report", report).code == 3
    assert cli("trust", "add", root).code == 0
    assert cli("verify", UID, "--report", report).code == 0
    assert recorded.is_file()


def test_an_answer_chooses_no_arguments_of_code(cli: Cli, recorded: Path) -> None:
    """Consent is about the recipe; arguments in an answer would reach code that nobody agreed to."""
    change(recorded, "    outputs:", "    arguments: {num_classes: 5}\n    outputs:")
    done = cli("verify", UID, "--json")
    assert done.code == 4
    assert "only that of a built-in network has 'arguments'" in done.json["reason"]
    assert valid_problems(cli, recorded)


def test_a_name_is_one_card(cli: Cli, recorded: Path) -> None:
    """A file that has the name of a UID is not the card that was asked about."""
    other = cli.folder / UID
    other.parent.mkdir(parents=True)
    other.write_text(recorded.read_text(encoding="utf-8").replace("known-answer", "weights-answer"), encoding="utf-8")
    assert cli("verify", UID, "--json").json["verdict"] == "equal"


def test_a_checkout_is_refused_where_no_repository_is_used(cli: Cli, tmp_path: Path) -> None:
    del cli.environ["HUBTOOL_REGISTRY"]
    done = cli("verify", TINY, "--checkout", tmp_path)
    assert "a checkout is of no use" in done.out + done.err


@pytest.mark.slow
def test_a_lockfile_holds_for_what_is_verified_before_loading(cli: Cli, recorded: Path, tmp_path: Path) -> None:
    """The pinned code is verified, and no other, also where the branch has moved on."""
    root = tmp_path / "models"
    made = cli("lock", UID)
    assert made.code == 0, made.err
    lock = cli.folder / "hub.lock"
    assert cli("load", UID, "--lock", lock, "--verify").code == 0
    code = root / "research/net/src/network.py"
    code.write_text(code.read_text().replace("return self.head(", "return 2 * self.head("))
    git(root, "commit", "--all", "--quiet", "-m", "changed")
    assert cli("load", UID, "--lock", lock, "--verify").code == 0
    assert recorded.is_file()


@pytest.mark.slow
def test_ctrl_c_ends_the_networks_that_run(cli: Cli, tmp_path: Path) -> None:
    root = repository(tmp_path / "models", {"src/network.py": NETWORK.replace("BODY", MARKED)})
    card(cli, root, SCRIPT)
    path = cli.registry / f"{UID}.md"
    answer = ANSWER.replace("NUMBERS", "[0.1, 0.1, 0.1, 0.1, 0.1]")
    path.write_text(path.read_text().replace("license:", f"{answer}license:", 1), encoding="utf-8")
    path.with_name("other.md").write_text(path.read_text().replace("mean: 0.1", "mean: 0.2"), encoding="utf-8")
    assert cli("trust", "add", str(root)).code == 0
    with subprocess.Popen(
        [sys.executable, "-m", "hubtool", "verify", UID, "tests/1.9/other", "--timeout", "250"],
        cwd=cli.folder,
        env={**cli.environ, "TMPDIR": str(tmp_path)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    ) as process:
        # It may write in its scratch folder only. Others come and go meanwhile, which os.walk passes over in silence.
        wait_until(lambda: any("it-runs" in names for _, _, names in os.walk(tmp_path)))
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=60)
    assert process.returncode == 130


@pytest.mark.slow
@pytest.mark.parametrize("answer", ["[1]", '{"outputs": 1}', "[" * 5000, '{"outputs": [{"dtype": 3}]}', "x"])
def test_a_network_that_answers_by_itself(cli: Cli, recorded: Path, tmp_path: Path, answer: str) -> None:
    """What its code writes into the answer is read like any other file of a stranger."""
    body = (
        "import os, stat\n"
        "        for number in range(3, 64):\n"
        "            try:\n"
        "                if stat.S_ISFIFO(os.fstat(number).st_mode): os.write(number, SAID)\n"
        "            except OSError: pass\n"
        "        os._exit(0)"
    ).replace("SAID", repr(answer.encode()))
    code = tmp_path / "models/research/net/src/network.py"
    code.write_text(NETWORK.replace("BODY", body))
    recorded.with_name("same.md").write_bytes(recorded.read_bytes())
    done = cli("verify", UID, "tests/1.9/same", "--checkout", tmp_path / "models", "--json")
    assert done.code == 3, done.err
    assert done.json["counts"] == {"cannot run here": 2}


@pytest.mark.slow
def test_shards_share_the_work(cli: Cli, recorded: Path) -> None:
    text = recorded.read_text(encoding="utf-8")
    for number in range(4):
        recorded.with_name(f"n{number}.md").write_text(text, encoding="utf-8")
    seen: list[str] = []
    for part in (1, 2):
        done = cli("verify", "--all", "--shard", f"{part}/2", "--json")
        assert done.code == 0
        seen += [result["uid"] for result in done.json["results"]]
    assert sorted(seen) == sorted([UID, *(f"tests/1.9/n{number}" for number in range(4))])
    assert cli("verify", "--all", "--shard", "3/2").code == 2
    assert cli("verify", "--all", "--shard", "half").code == 2
    assert cli("verify", UID, "--shard", "1/2").code == 2
    assert cli("verify").code == 2


@pytest.mark.slow
def test_the_embedded_model_has_both_answers(cli: Cli) -> None:
    del cli.environ["HUBTOOL_REGISTRY"]
    for more in ((), ("--weights",)):
        done = cli("verify", TINY, "--json", *more)
        assert done.code == 0, done.err
        assert done.json["verdict"] == "equal"
