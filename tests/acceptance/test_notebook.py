"""What notebooks show, in a real kernel: results and cards as tables, and the progress of downloads."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.cards import write_card
from tests.support.server import serving

if TYPE_CHECKING:
    from tests.support.cli import Cli

pytest.importorskip("ipykernel")
pytest.importorskip("nbclient")

# Runs the cell that comes from standard input, and prints its outputs.
PROGRAM = """
import json, sys, nbclient, nbformat
cells = [nbformat.v4.new_code_cell(source) for source in json.load(sys.stdin)]
notebook = nbformat.v4.new_notebook(cells=cells)
nbclient.NotebookClient(notebook, timeout=120, kernel_name="python3").execute()
print(json.dumps([cell.outputs for cell in notebook.cells]))
"""


def outputs(cli: Cli, *sources: str) -> list[list[dict[str, Any]]]:
    """Return the outputs of each cell."""
    environ = {**os.environ, **cli.environ, "HUBTOOL_REGISTRY": str(cli.registry)}
    command = [sys.executable, "-W", "ignore", "-c", PROGRAM]
    done = subprocess.run(
        command, input=json.dumps(sources), capture_output=True, text=True, timeout=180, check=False, env=environ
    )
    assert done.returncode == 0, done.stderr
    found: list[list[dict[str, Any]]] = json.loads(done.stdout)
    return found


def test_a_notebook_shows_progress_and_cards(cli: Cli) -> None:
    content = bytes(300_000)
    with serving() as server:
        write_card(cli.registry, "tests/1.9/model", link=server.put("/model.ckpt", content), content=content)
        fetched, shown = outputs(
            cli,
            "import hubtool\nfetched = hubtool.fetch('tests/1.9/model', progress=True)",
            "hubtool.show('tests/1.9/model')",
        )
    (bar,) = fetched  # one bar, which was updated in place
    assert bar["output_type"] == "display_data"
    assert bar["data"]["text/plain"] == "model.ckpt: 293.0 KiB of 293.0 KiB"
    assert bar["data"]["text/html"].startswith('<progress max="300000" value="300000"></progress>')
    (card,) = shown
    assert "<table>" in card["data"]["text/html"]
    assert "A model of the tests." in card["data"]["text/plain"]
