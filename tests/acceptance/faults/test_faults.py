"""The bench as tests, one for each case; docs/faults.md says how each one ends."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.acceptance.faults.bench import FAULTS, NOT_APPLICABLE, PATHS, applicable, documented, run

if TYPE_CHECKING:
    from pathlib import Path

CASES = [(fault, path) for fault in FAULTS for path in PATHS if applicable(fault, path)]


@pytest.mark.parametrize(("fault", "path"), CASES, ids=[f"{path}-{FAULTS[fault]}" for fault, path in CASES])
def test_a_fault_ends_as_the_page_says(fault: str, path: str, tmp_path: Path) -> None:
    assert str(run(fault, path, tmp_path)) in documented()[fault, path].split(", or ")


def test_the_page_lists_every_case_and_no_other() -> None:
    said = documented()
    assert set(said) == {(fault, path) for fault in FAULTS for path in PATHS}
    assert {case for case, cell in said.items() if cell != NOT_APPLICABLE} == set(CASES)
