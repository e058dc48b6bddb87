"""Bars of downloads in a notebook; tests/acceptance/test_notebook.py shows them in a real one."""

from __future__ import annotations

import sys
from types import ModuleType, SimpleNamespace

import pytest

from hubtool import progress


@pytest.fixture
def outputs(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, str]]:
    """Return what a kernel is given to show."""
    given: list[dict[str, str]] = []

    def add(shown: dict[str, str], **_: object) -> SimpleNamespace:
        given.append(shown)
        return SimpleNamespace(update=add)

    package, module = ModuleType("IPython"), ModuleType("IPython.display")
    package.get_ipython = lambda: SimpleNamespace(kernel=None)  # type: ignore[attr-defined]
    module.display = add  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "IPython", package)
    monkeypatch.setitem(sys.modules, "IPython.display", module)
    return given


def test_a_file_of_unknown_size_ends_with_what_was_received(outputs: list[dict[str, str]]) -> None:
    with progress.shown(True) as report_of:
        report = report_of("<a>")
        assert report is not None
        report(0, None)
        report(700, None)
    assert outputs[0]["text/html"].startswith("<progress></progress>")
    assert outputs[-1] == {"text/plain": "<a>: 700 bytes", "text/html": "&lt;a&gt;: 700 bytes"}


def test_a_download_that_fails_leaves_no_bar(outputs: list[dict[str, str]]) -> None:
    def fail() -> None:
        with progress.shown(True) as report_of:
            report = report_of("a")
            assert report is not None
            report(0, 1000)
            report(700, 1000)
            raise OSError("cut")

    with pytest.raises(OSError, match="cut"):
        fail()
    assert outputs[-1] == {"text/plain": "a: 700 bytes of 1000 bytes", "text/html": "a: 700 bytes of 1000 bytes"}


@pytest.mark.parametrize("size", [0, 1000])
def test_a_file_that_is_complete_keeps_its_full_bar(outputs: list[dict[str, str]], size: int) -> None:
    with progress.shown(True) as report_of:
        report = report_of("a")
        assert report is not None
        report(0, size)
        report(size, size)
    full = max(size, 1)
    assert outputs[-1]["text/html"].startswith(f'<progress max="{full}" value="{full}"></progress>')


def test_a_stored_file_gets_no_bar(outputs: list[dict[str, str]]) -> None:
    with progress.shown(True) as report_of:
        report_of("a")
    assert not outputs
