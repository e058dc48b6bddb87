"""A status comes and goes without a trace, whatever the card."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hubtool.card import model
from hubtool.card.status import DEPRECATED, WITHDRAWN, Status, with_status, without_status
from hubtool.errors import CardError

EXAMPLES = sorted((Path(__file__).parents[1] / "examples" / "valid").rglob("*.md"))
REGISTRY = Path(__file__).parents[2] / "registry"

reasons = st.text(st.characters(blacklist_categories=("Cs", "Cc", "Zl", "Zp")), min_size=1, max_size=80).map(
    lambda text: " ".join(text.split())
)
statuses = st.builds(
    lambda kind, reason, successor: Status(kind=kind, reason=reason or "x", successor=successor),
    st.sampled_from([DEPRECATED, WITHDRAWN]),
    reasons,
    st.none() | st.just("tests/1.9/next"),
)


@given(st.sampled_from(EXAMPLES), statuses, statuses, st.sampled_from(["", "crlf", "bom"]))
def test_a_status_comes_and_goes(path: Path, first: Status, second: Status, form: str) -> None:
    data = without_status(path.read_bytes())
    data = data.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n") if form == "crlf" else data
    data = b"\xef\xbb\xbf" + data.removeprefix(b"\xef\xbb\xbf") if form == "bom" else data
    try:
        model.read(data)
        once = with_status(data, first, name="card")
    except CardError:
        return  # not a card, or one whose YAML is not whole
    assert model.read(once).status == first
    assert without_status(once) == data
    twice = with_status(once, second, name="card")
    assert model.read(twice).status == second
    assert without_status(twice) == data
    assert with_status(twice, second, name="card") == twice
    # Every line that was there still is, in its order.
    lines = iter(twice.split(b"\n"))
    assert all(line in lines for line in data.split(b"\n"))


@given(st.binary(max_size=400) | st.text(max_size=400).map(lambda text: text.encode("utf-8", "surrogatepass")))
def test_any_bytes_are_read(data: bytes) -> None:
    bare = without_status(data)
    assert without_status(bare) == bare
    with suppress(CardError):
        with_status(data, Status(kind=WITHDRAWN, reason="why"), name="card")


def test_cards_of_the_registry_can_be_retired() -> None:
    paths = sorted(REGISTRY.glob("*/*/*.md"))[::20]
    if len(paths) < 50:
        pytest.skip("the registry is not here")
    status = Status(kind=DEPRECATED, reason="a test: of # signs", successor="tests/1.9/next")
    for path in paths:
        data = path.read_bytes()
        after = with_status(data, status, name=str(path))
        assert model.read(after).status == status
        assert without_status(after) == data
