"""Links to a web page about files in place of a file, and the link of the file itself.

Each forge and hub shows files on pages whose addresses look like those of files. Only forms that are documented, or
that belong to one kind of server, are known here.
"""

from __future__ import annotations

import re
from typing import NamedTuple
from urllib.parse import unquote


class Page(NamedTuple):
    """What a link leads to, and the link of the file itself where that is certain."""

    what: str
    raw: str | None = None


_URL = re.compile(
    r"(?P<base>https?://(?P<host>[^/?#\s]+))/(?P<path>[^?#\s]*)(?P<query>\?[^#\s]*)?(?:#\S*)?\Z", re.IGNORECASE
)
_NAMES = r"(?P<repo>[^/]+/[^/]+)"
_FILE = "a page that shows the file, and not to the file"
_FOLDER = "the page of a folder, and not to a file"
_RELEASE = "the page of a release, and not to a file"
_HOME = "the page of a repository, and not to a file"
_SHARED = "a page on which the file can be downloaded, and not to the file"
# Kind of server, pattern of the path, what it is, and the path of the file itself.
_PAGES: tuple[tuple[str, re.Pattern[str], str, str | None], ...] = tuple(
    (kind, re.compile(rf"{pattern}/?\Z"), what, raw)
    for kind, pattern, what, raw in (
        ("github", rf"{_NAMES}/(?:blob|blame|edit)/(?P<rest>[^/]+/.+)", _FILE, r"\g<repo>/raw/\g<rest>"),
        ("github", rf"{_NAMES}/tree/.+", _FOLDER, None),
        ("github", rf"{_NAMES}/releases(?:/latest|/tag/.+)?", _RELEASE, None),
        ("github", r"[^/]+/[^/.]+", _HOME, None),
        ("gitee", rf"{_NAMES}/(?:blob|blame|edit)/(?P<rest>[^/]+/.+)", _FILE, r"\g<repo>/raw/\g<rest>"),
        ("gitee", rf"{_NAMES}/tree/.+", _FOLDER, None),
        ("gitee", rf"{_NAMES}/releases(?:/latest|/tag/.+)?", _RELEASE, None),
        ("gitee", r"[^/]+/[^/.]+", _HOME, None),
        ("gitcode", rf"{_NAMES}/(?:-/)?(?:blob|blame)/.+", _FILE, None),
        ("gitcode", rf"{_NAMES}/(?:-/)?tree/.+", _FOLDER, None),
        ("cnb", r".+/-/blob/.+", _FILE, None),
        ("any", r"(?P<repo>[^/]+(?:/[^/]+)+)/-/(?:blob|blame)/(?P<rest>[^/]+/.+)", _FILE, r"\g<repo>/-/raw/\g<rest>"),
        ("any", r"[^/]+(?:/[^/]+)+/-/tree/.+", _FOLDER, None),
        ("any", r"[^/]+(?:/[^/]+)+/-/releases(?:/[^/]+)?", _RELEASE, None),
        ("gitlab", rf"{_NAMES}/blob/(?P<rest>[^/]+/.+)", _FILE, r"\g<repo>/-/raw/\g<rest>"),
        ("gitlab", rf"{_NAMES}/tree/.+", _FOLDER, None),
        ("bitbucket", rf"{_NAMES}/src/(?P<rest>[^/]+/.+[^/])", _FILE, r"\g<repo>/raw/\g<rest>"),
        ("any", rf"{_NAMES}/src/(?P<rest>(?:branch|tag|commit)/[^/]+/.+)", _FILE, r"\g<repo>/raw/\g<rest>"),
        ("huggingface", r"(?P<repo>(?:(?:datasets|spaces)/)?[^/]+(?:/[^/]+)?)/(?:blob|blame)/(?P<rest>[^/]+/.+)", _FILE,
         r"\g<repo>/resolve/\g<rest>"),
        ("huggingface", r"(?:(?:datasets|spaces)/)?[^/]+(?:/[^/]+)?/tree/.+", _FOLDER, None),
        ("huggingface", r"(?!datasets/|spaces/)[^/]+/[^/.]+", _HOME, None),
        ("modelscope", r"(?P<repo>(?:models|datasets)/[^/]+/[^/]+)/file/view/(?P<rest>[^/]+/.+)", _FILE,
         r"\g<repo>/resolve/\g<rest>"),
        ("modelscope", r"(?:models|datasets)/[^/]+/[^/]+(?:/(?:files|summary|tree/.+))?", _HOME, None),
        ("modelers", r"(?:models|datasets)/[^/]+/[^/]+/blob/.+", _FILE, None),
        ("drive", r"file/d/.+|drive/.+|open", _SHARED, None),
        ("baidu", r"s/.+|share/.+", _SHARED, None),
        ("zenodo", r"(?P<repo>records?/[0-9]+)/preview/(?P<rest>.+)", _FILE, r"\g<repo>/files/\g<rest>"),
        ("zenodo", r"records?/[0-9]+", _SHARED, None),
    )
)  # fmt: skip
_KINDS = {
    "github.com": "github", "www.github.com": "github", "gitee.com": "gitee", "gitcode.com": "gitcode",
    "gitcode.net": "gitcode", "cnb.cool": "cnb", "gitlab.com": "gitlab", "bitbucket.org": "bitbucket",
    "huggingface.co": "huggingface", "hf.co": "huggingface", "www.huggingface.co": "huggingface",
    "hf-mirror.com": "huggingface", "modelscope.cn": "modelscope", "www.modelscope.cn": "modelscope",
    "modelscope.ai": "modelscope", "www.modelscope.ai": "modelscope", "modelers.cn": "modelers",
    "drive.google.com": "drive", "pan.baidu.com": "baidu", "zenodo.org": "zenodo", "www.zenodo.org": "zenodo",
}  # fmt: skip
# Self-hosted forges are usually named after their software: gitlab.example.org.
_OWN = {"github": "github", "gitlab": "gitlab", "gitee": "gitee", "bitbucket": "bitbucket"}
# With this query, GitHub sends the file itself.
_RAW_QUERY = re.compile(r"[?&]raw=(?:true|1)(?:&|\Z)", re.IGNORECASE)


def page(link: str) -> Page | None:
    """Return what page a link leads to, or None if it is not known to lead to one."""
    match = _URL.match(link)
    if match is None:
        return None
    host = match["host"].rpartition("@")[2].lower().partition(":")[0]
    query = match["query"] or ""
    if host in ("www.dropbox.com", "dropbox.com"):
        return _dropbox(link)
    kind = _KINDS.get(host) or _OWN.get(host.partition(".")[0], "any")
    if kind == "github" and _RAW_QUERY.search(query):
        return None
    path = match["path"]
    for whose, pattern, what, raw in _PAGES:
        if whose not in (kind, "any") or (whose == "any" and kind == "cnb"):
            continue
        found = pattern.match(path)
        if found is None:
            continue
        if raw is None:
            return Page(what)
        target = found.expand(raw)
        if kind == "modelscope":
            # ModelScope encodes the '/' of a path in the address of a page.
            target = target.replace("%2F", "/").replace("%2f", "/")
        bad = any(part in ("", ".", "..") for part in unquote(target).split("/"))
        return Page(what, None if bad else f"{match['base']}/{target}")
    return None


def _dropbox(link: str) -> Page | None:
    if re.search(r"[?&](?:dl|raw)=1(?:&|#|\Z)", link):
        return None
    head, mark, tail = link.partition("dl=0")
    return Page(_SHARED, f"{head}dl=1{tail}" if mark and head[-1:] in "?&" else None)
