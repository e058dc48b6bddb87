"""Calls of installed packages: outside the table of calls they run only if the user agrees."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

import pytest

from tests.support import terminal
from tests.support.cards import write_local
from tests.support.checkpoints import ckpt, filled

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.cli import Cli

pytestmark = pytest.mark.mindspore

# As mindcv 0.3 has it: the list of cell types is evaluated.
AMP = """
from mindspore import nn

def auto_mixed_precision(network, amp_level="O0", amp_cast_list=None):
    if amp_cast_list is not None:
        amp_cast_list = eval(amp_cast_list)
    return nn.Dense(3, 4)
"""
UID = "tests/2.10/net"


@pytest.fixture
def ran(cli: Cli, tmp_path: Path) -> Path:
    """Return the file that the code in the argument of a hostile card writes."""
    package = tmp_path / "site" / "mindcv"
    (package / "utils").mkdir(parents=True)
    for name in ("__init__.py", "utils/__init__.py"):
        (package / name).write_text("")
    (package / "utils" / "amp.py").write_text(AMP)
    (tmp_path / "site" / "mindcv-0.3.0.dist-info").mkdir()
    (tmp_path / "site" / "mindcv-0.3.0.dist-info" / "METADATA").write_text("Name: mindcv\nVersion: 0.3.0\n")
    cli.environ["PYTHONPATH"] = f"{tmp_path / 'site'}:{cli.environ.get('PYTHONPATH', '')}"
    content = ckpt([filled("weight", (4, 3)), filled("bias", (4,))])
    path = write_local(cli.registry, UID, content)
    head, _, rest = path.read_text("utf-8").partition("network:\n")
    code = f"__import__('pathlib').Path({str(tmp_path / 'ran')!r}).touch()"
    network = (
        "network:\n  provider: package\n  entry: mindcv.utils.amp:auto_mixed_precision\n  arguments:\n"
        f"    network: x\n    amp_cast_list: {json.dumps(code)}\n"
    )
    path.write_text(head + network + rest[rest.index("license:") :], encoding="utf-8")
    return tmp_path / "ran"


@pytest.mark.slow
def test_code_in_an_argument_runs_only_after_consent(cli: Cli, ran: Path) -> None:
    for arguments in (["resolve", UID], ["resolve", UID, "--explain"]):
        told = " ".join(cli(*arguments).out.split())
        assert "once you agree" in told
        assert "mindcv.utils.amp:auto_mixed_precision is not in hubtool's table of calls" in told
    for arguments in (["load", UID], ["check", UID], ["try", UID]):
        done = cli(*arguments)
        assert "mindcv.utils.amp:auto_mixed_precision" in " ".join((done.out + done.err).split()), done.err
    code, text = terminal.ask(cli, "load", UID, answer="n")
    assert code == 1
    assert "auto_mixed_precision" in text
    assert not ran.exists()
    assert cli("load", UID, "--trust").code == 0
    assert ran.exists()
    assert terminal.ask(cli, "load", UID, answer="a")[0] == 0
    assert cli("load", UID).code == 0
    assert re.search("loadable +yes\n", cli("resolve", UID).out)


def test_a_call_in_the_table_says_so(cli: Cli) -> None:
    content = ckpt([filled("weight", (4, 3))])
    path = write_local(cli.registry, UID, content)
    head, _, rest = path.read_text("utf-8").partition("network:\n")
    network = (
        "network:\n  provider: package\n  entry: mindcv.models:create_model\n  arguments: {model_name: resnet50}\n"
    )
    path.write_text(head + network + rest[rest.index("license:") :], encoding="utf-8")
    told = " ".join(cli("resolve", UID, "--explain").out.split())
    assert "it may run: hubtool's table of calls lists this entry with these arguments" in told
