"""docs/faults.md: written by the bench, and read by its tests."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from tests.acceptance.faults import bench, disks

if TYPE_CHECKING:
    from collections.abc import Mapping

    Outcomes = Mapping[tuple[str, str], str]

DOCUMENT = Path(__file__).parents[3] / "docs" / "faults.md"
NOT_APPLICABLE = "n/a"

# Where the moment decides, both ends stand on the page.
EITHER = {("gzip", "parallel"): "arrives, or DigestError, nothing kept"}


def page(servers: Outcomes, on_disks: Outcomes) -> str:
    """Return docs/faults.md."""
    lines = [
        "# Faults, and how each one ends",
        "",
        "Made by `python -m tests.acceptance.faults`, which runs every fault against every path of the client;",
        "the tests hold that this page is current. After each case it is checked: no wrong byte is visible, what is",
        "kept of the file is resumable and the rest is gone, the error names the cause (the link, or the place on the",
        "disk) and a remedy and no secret, and no thread, file descriptor or lock is left. Then the fault is taken",
        "away, and the file comes; what was kept is resumed.",
        "",
        "*arrives*: the right file came all the same. Otherwise: the error, and whether a part is kept for a later",
        "run. *Named*: the report of the sync names the asset, its link and what is wrong, the mirror's index says",
        "that it is missing, all others are there, and the next run brings it.",
        "",
        "## Servers",
        "",
        "A real server on this machine misbehaves. Where two ends are named, chance decides: whether the first",
        "connection still brings bytes when the answers to the others are found faulty.",
        "",
        *(f"- **{name}**: {text}." for name, text in bench.PATHS.items()),
        "",
        "An attempt is made three times here (five by default), and a server may ask to wait for 1.5 seconds",
        "(two minutes by default).",
        "",
        *_table(bench.FAULTS, bench.PATHS, servers),
        "",
        "## Disks",
        "",
        "A real file system of a few MiB, in memory, gets full or read-only, loses its permissions, or has something",
        "else where a file belongs. Only I/O errors are made up: the call of the system fails that writes, flushes or",
        "renames. *MirrorError*: the sync could not write the mirror's index either, and ends with that error; what",
        "the mirror had, it has. *n/a*: there is no part of a run before.",
        "",
        *(f"- **{name}**: {text}." for name, text in disks.PATHS.items()),
        "",
        *_table(disks.FAULTS, disks.PATHS, on_disks),
    ]
    return "\n".join([*lines, ""])


def _table(faults: Mapping[str, str], paths: Mapping[str, str], outcomes: Outcomes) -> list[str]:
    lines = ["| fault | " + " | ".join(paths) + " |", "|---|" + "---|" * len(paths)]
    for fault, text in faults.items():
        cells = [EITHER.get((fault, path)) or outcomes.get((fault, path), NOT_APPLICABLE) for path in paths]
        lines.append(f"| {text} | " + " | ".join(cells) + " |")
    return lines


def documented(faults: Mapping[str, str], paths: Mapping[str, str]) -> dict[tuple[str, str], str]:
    """Return what docs/faults.md says of these."""
    head = "| fault | " + " | ".join(paths) + " |"
    text = DOCUMENT.read_text(encoding="utf-8").partition(f"{head}\n")[2].partition("\n\n")[0]
    names = {said: fault for fault, said in faults.items()}
    found = {}
    for line in text.splitlines()[1:]:
        said, *cells = (cell.strip() for cell in line.strip("|").split("|"))
        found.update({(names.get(said, said), path): cell for path, cell in zip(paths, cells, strict=True)})
    return found
