"""The bench as tests, one for each case; docs/faults.md says how each one ends."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.acceptance.faults import bench, disks
from tests.acceptance.faults.page import DOCUMENT, NOT_APPLICABLE, documented, page

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path
    from types import ModuleType


# What the usual run meets: every fault on one path, and on every other path one fault of each kind.
COMMON_PATH = "fresh"
COMMON_FAULTS = {"refuse", "reset", "flip", "full 5", "write"}


def cases(table: ModuleType) -> list[tuple[str, str]]:
    return [(fault, path) for fault in table.FAULTS for path in table.PATHS if table.applicable(fault, path)]


def params(table: ModuleType) -> Sequence[object]:
    found = []
    for fault, path in cases(table):
        marks = [pytest.mark.root] if table is disks else [pytest.mark.s3] if path == "bucket" else []
        if path != COMMON_PATH and fault not in COMMON_FAULTS:
            marks.append(pytest.mark.slow)
        found.append(pytest.param(fault, path, marks=marks, id=f"{path}-{table.FAULTS[fault]}"))
    return found


@pytest.mark.parametrize(("fault", "path"), params(bench))
def test_a_fault_ends_as_the_page_says(fault: str, path: str, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    place = request.getfixturevalue("bucket") if path == "bucket" else None
    said = documented(bench.FAULTS, bench.PATHS)[fault, path]
    assert str(bench.run(fault, path, tmp_path, place)) in said.split(", or ")


@pytest.mark.parametrize(("fault", "path"), params(disks))
def test_a_fault_of_the_disk_ends_as_the_page_says(fault: str, path: str, tmp_path: Path) -> None:
    assert str(disks.run(fault, path, tmp_path)) == documented(disks.FAULTS, disks.PATHS)[fault, path]


@pytest.mark.parametrize("table", [bench, disks])
def test_the_page_lists_every_case_and_no_other(table: ModuleType) -> None:
    said = documented(table.FAULTS, table.PATHS)
    assert set(said) == {(fault, path) for fault in table.FAULTS for path in table.PATHS}
    assert {case for case, cell in said.items() if cell != NOT_APPLICABLE} == set(cases(table))


def test_the_page_says_what_the_bench_would_write() -> None:
    servers, on_disks = (documented(table.FAULTS, table.PATHS) for table in (bench, disks))
    assert page(servers, on_disks) == DOCUMENT.read_text(encoding="utf-8")
