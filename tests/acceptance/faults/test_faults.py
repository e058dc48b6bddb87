"""The bench as tests, one for each case; docs/faults.md says how each one ends."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.acceptance.faults.bench import FAULTS, NOT_APPLICABLE, PATHS, applicable, documented, run
from tests.acceptance.seaweed import seaweed

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.acceptance.seaweed import Bucket

CASES = [(fault, path) for fault in FAULTS for path in PATHS if applicable(fault, path)]


@pytest.fixture(scope="module")
def bucket(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bucket]:
    with seaweed(tmp_path_factory.mktemp("seaweed") / "data") as one:
        yield one


@pytest.mark.parametrize(("fault", "path"), CASES, ids=[f"{path}-{FAULTS[fault]}" for fault, path in CASES])
def test_a_fault_ends_as_the_page_says(fault: str, path: str, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    place = request.getfixturevalue("bucket") if path == "bucket" else None
    assert str(run(fault, path, tmp_path, place)) in documented()[fault, path].split(", or ")


def test_the_page_lists_every_case_and_no_other() -> None:
    said = documented()
    assert set(said) == {(fault, path) for fault in FAULTS for path in PATHS}
    assert {case for case, cell in said.items() if cell != NOT_APPLICABLE} == set(CASES)
