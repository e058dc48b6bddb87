"""Links that are checked in the quick way, held against the way that every link can go."""

from __future__ import annotations

import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from hubtool.assets import links
from hubtool.assets.links import LinkPolicy
from hubtool.errors import ForbiddenLinkError

POLICY = LinkPolicy.of(["example.org", "files.example.org:8443", "http://lab.example.org:8080"])
HOSTS = ["example.org", "example.org.", "files.example.org:8443", "lab.example.org:8080", "127.0.0.1", "localhost:81"]
HOSTS += ["EXAMPLE.org", "other.org", "-.org", "a..b", "[::1]", "user@example.org", "example.org:0", ""]
HOSTS += ["example.org:99999"]
SIGNS = "aZ0._~!$&'()*+,;=:@/?%-#[]|\\ é\n\t<>"


def said(link: str) -> str:
    """Return what a link is checked to, or why it is refused."""
    try:
        return POLICY._check(link, "the link")
    except ForbiddenLinkError as error:
        return f"refused: {error.message}; {error.hint}"


@given(
    st.sampled_from(["https", "http", "HTTPS", "ftp", "file", ""]),
    st.sampled_from(HOSTS) | st.text(SIGNS, max_size=8),
    st.text(SIGNS, max_size=12),
    st.booleans(),
)
@example("https", "example.org", "a?", False)
@example("https", "example.org", "/a//b", False)
@example("https", "example.org", "", True)
def test_the_quick_way_says_what_the_other_one_says(scheme: str, host: str, rest: str, bare: bool) -> None:
    link = f"{scheme}://{host}" if bare else f"{scheme}://{host}/{rest}"
    quick = said(link)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(links, "_PLAIN", re.compile(r"(?!)"))
        assert said(link) == quick


def test_most_links_of_cards_go_the_quick_way() -> None:
    link = "https://download.mindspore.cn/toolkits/hub/models/1.9/lenet_mnist.ckpt?a=1"
    assert links._PLAIN.match(link)
