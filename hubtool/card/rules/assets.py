"""HT3xx: the assets."""

from __future__ import annotations

import ipaddress
import re
import socket
from typing import TYPE_CHECKING

from hubtool.card import placeholder, schema
from hubtool.card.model import strip_brackets
from hubtool.card.rules import web_pages
from hubtool.card.rules.base import rule, shown
from hubtool.card.rules.context import url_of
from hubtool.diagnostics import Severity
from hubtool.digest import FULL_LENGTH
from hubtool.settings import DEFAULT_HOSTS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hubtool.card.finding import Finding
    from hubtool.card.rules.context import Context, Url


@rule("HT301", Severity.ERROR)
def missing_digest(context: Context) -> Iterator[Finding]:
    """Every asset states its SHA-256.

    Without a digest, a good file cannot be told from a broken or forged one, and hubtool does not load it. Compute
    it with `sha256sum FILE` and write it as `asset-sha256`.
    """
    for violation in context.violations:
        if violation.keyword == "required" and violation.key == "asset-sha256":
            yield context.at(
                violation.pointer,
                "the asset has no digest: 'asset-sha256' is missing",
                hint="add the output of 'sha256sum FILE'",
            )


@rule("HT302", Severity.ERROR)
def malformed_digest(context: Context) -> Iterator[Finding]:
    """A digest has 64 hexadecimal digits, a short one at least 8.

    Any other text is not the SHA-256 of a file. The asset can never be verified, and hubtool does not load it. Compute
    the digest again with `sha256sum FILE`, and copy all of it.
    """
    for violation in context.violations:
        if violation.pointer.endswith("/asset-sha256"):
            yield context.at(
                violation.pointer,
                f"the digest {shown(violation.value)} is not 8 to 64 hexadecimal digits",
                hint="add the output of 'sha256sum FILE'",
            )


# A path has no scheme and does not leave its folder; whether it stays in the registry is checked when it is opened.
_LINK = re.compile(r"https?://[^/\s<>]+(/[^\s<>]*)?\Z")
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:")


@rule("HT303", Severity.ERROR)
def malformed_link(context: Context) -> Iterator[Finding]:
    """A link is an https URL, or a path relative to the card.

    Paths are for files in the registry itself: their parts are separated by `/`, and no part is `..`. Angle brackets
    around a link are allowed.
    """
    for pointer, asset in context.assets:
        link = asset.get("asset-link")
        problem = _problem(link) if "asset-link" in asset else None
        if problem:
            yield context.at(
                f"{pointer}/asset-link",
                f"the link {shown(link, 200)} {problem}",
                hint="write an https URL, or a path relative to the card",
            )


def _problem(link: object) -> str | None:
    if not isinstance(link, str) or not link.strip():
        return "is not text"
    text = strip_brackets(link)
    if _LINK.match(text):
        return None
    if _SCHEME.match(text):
        return "is neither an https URL nor a path"
    if re.search(r"[\s<>\\\0-\x1f]", text):
        return "has characters that a link cannot have"
    if text.startswith("/") or ".." in text.split("/"):
        return "leads out of the card's folder"
    return None


def _digests(context: Context) -> Iterator[tuple[str, dict[str, object], str]]:
    """Yield the pointer of each well-formed digest, with its asset and its text."""
    for pointer, asset in context.assets:
        digest = asset.get("asset-sha256")
        if isinstance(digest, str) and f"{pointer}/asset-sha256" not in context.violated:
            yield f"{pointer}/asset-sha256", asset, digest


@rule("HT304", Severity.WARNING)
def short_digest(context: Context) -> Iterator[Finding]:
    """A digest is complete: 64 digits.

    A short digest is the beginning of one, as some tools write it in file names. It tells a broken file from a good
    one, but with 8 digits a forged file with the same beginning can be made in minutes. hubtool checks that
    beginning only. Fetch the file from a source that you trust, and write the output of `sha256sum FILE`.
    """
    for pointer, _, digest in _digests(context):
        if len(digest) < FULL_LENGTH:
            yield context.at(
                pointer,
                f"the digest has {len(digest)} digits; a SHA-256 has {FULL_LENGTH}",
                hint="add the output of 'sha256sum FILE'",
            )


@rule("HT305", Severity.WARNING, fixes=True)
def digest_in_upper_case(context: Context) -> Iterator[Finding]:
    """A digest is in lower case.

    `sha256sum` prints it so, and programs compare digests as text. `--fix` writes it in lower case.
    """
    for pointer, _, digest in _digests(context):
        if digest != digest.lower():
            yield context.at(
                pointer,
                "the digest has upper-case letters",
                hint="write it in lower case",
                fix=context.rewrite(pointer, digest.lower()),
            )


_LOOPBACK = re.compile(r"localhost|127(\.[0-9]{1,3}){3}|\[::1\]")


@rule("HT306", Severity.ERROR)
def host_not_allowed(context: Context) -> Iterator[Finding]:
    """A link leads to an allowed host.

    hubtool fetches from allowed hosts only (`hubtool settings` lists them). If you trust the host, add it
    (`allowed-hosts` in `hubtool.toml`, or `HUBTOOL_ALLOWED_HOSTS`); otherwise move the file.
    """
    for url in context.urls:
        host = url.host
        if host == placeholder.UNPUBLISHED_HOST:
            continue  # HT315 reports it
        if not _is_allowed(url, context.hosts) and not _LOOPBACK.fullmatch(host):
            near = nearness(host)
            yield context.at(
                url.pointer,
                f"the link leads to {shown(host)}, which is not an allowed host"
                + (f", and which only {near} can reach" if near else ""),
                hint=f"put the file where everyone can fetch it; for your network: HUBTOOL_ALLOWED_HOSTS={host[:80]}"
                if near
                else f"if you trust it, add it: HUBTOOL_ALLOWED_HOSTS={host[:80]}",
            )


def _is_allowed(url: Url, hosts: frozenset[str]) -> bool:
    """Whether a host is among those of the settings: by its name, with its port, or as a service with its scheme."""
    port = url.port or (":443" if url.scheme == "https" else ":80")
    names = {url.host, url.host + url.port, url.host + port}
    return not names.isdisjoint(hosts) or not {f"{url.scheme}://{name}" for name in names}.isdisjoint(hosts)


_NEAR_NAMES = re.compile(r"[^.:]+|.*\.(?:local|lan|internal|intranet|localdomain|home|corp|private|home\.arpa)")


def nearness(host: str) -> str:
    """Return what alone can reach a host, ``this machine`` or ``its own network``; empty if others can."""
    name = host.lower().strip("[]").removesuffix(".")
    if name == "localhost" or name.endswith((".localhost", "localhost.localdomain")):
        return "this machine"
    try:
        # inet_aton also reads '127.1' and '2130706433', as clients do.
        packed = socket.inet_aton(name) if re.fullmatch(r"[0-9a-fx.]+", name) else None
        address = ipaddress.ip_address(name if packed is None else packed)
    except (OSError, ValueError):
        return "its own network" if _NEAR_NAMES.fullmatch(name) else ""
    address = getattr(address, "ipv4_mapped", None) or address
    if address.is_loopback or address.is_unspecified:
        return "this machine"
    return "" if address.is_global else "its own network"


def is_only_here(link: str, hosts: frozenset[str]) -> bool:
    """Whether a link leads to a service of this machine that is not among the allowed hosts."""
    url = url_of("", link)
    return url is not None and bool(_LOOPBACK.fullmatch(url.host)) and not _is_allowed(url, hosts)


@rule("HT317", Severity.WARNING)
def link_to_this_machine(context: Context) -> Iterator[Finding]:
    """A link does not lead to the machine that it was written on.

    `localhost` and `127.0.0.1` are another machine for each reader. hubtool fetches from them for local trials, but
    such a card cannot be published to a registry that others read. Put the file where everyone can fetch it. If the
    local service is intended, allow it: `HUBTOOL_ALLOWED_HOSTS=http://127.0.0.1:8000`.
    """
    for url in context.urls:
        if is_only_here(url.link, context.hosts):
            yield context.at(
                url.pointer,
                f"the link leads to {shown(url.host)}, which is another machine for each reader",
                hint="put the file where everyone can fetch it, and write that link",
            )


@rule("HT316", Severity.ERROR, fixes=True)
def link_to_page(context: Context) -> Iterator[Finding]:
    """A link leads to the file itself, not to a page about it.

    `https://github.com/OWNER/NAME/blob/main/net.ckpt` is an HTML page with other bytes at each visit, and never has
    the digest of the file. So are folders (`/tree/`), releases (`/releases/tag/`), and the pages of Gitee, GitLab,
    Bitbucket, Gitea, Hugging Face and ModelScope. Write the link that downloads the file, such as `/raw/` in place of
    `/blob/`. `--fix` writes that link where it is known.
    """
    for url in context.urls:
        found = web_pages.page(strip_brackets(url.link))
        if found is None:
            continue
        written = None if found.raw is None else url.link.replace(strip_brackets(url.link), found.raw)
        yield context.at(
            url.pointer,
            f"the link leads to {found.what}",
            hint=f"write {found.raw}" if found.raw else "write the link that downloads the file",
            fix=None if written is None else context.rewrite(url.pointer, written),
        )


def _is_own_service(url: Url, hosts: frozenset[str]) -> bool:
    return not hosts.isdisjoint({f"http://{url.host}{url.port}", f"http://{url.host}{url.port or ':80'}"})


@rule("HT307", Severity.ERROR, fixes=True)
def plain_http(context: Context) -> Iterator[Finding]:
    """A link is https.

    Data sent over plain http can be changed on the way, and hubtool does not fetch it. `--fix` writes https for the
    public hub's own hosts, which serve https. Plain http is for servers on this machine only.
    """
    for url in context.urls:
        if url.scheme == "http" and not _LOOPBACK.fullmatch(url.host) and not _is_own_service(url, context.hosts):
            better = url.link.replace("http://", "https://", 1)
            yield context.at(
                url.pointer,
                "the link is plain http",
                hint="use https",
                fix=context.rewrite(url.pointer, better) if url.host in DEFAULT_HOSTS else None,
            )


# Which endings of a file name belong to a format; another known ending contradicts it.
_ENDINGS = {
    "ckpt": "ckpt",
    "safetensors": "safetensors",
    "mindir": "mindir",
    "air": "air",
    "onnx": "onnx",
    "om": "om",
    "ms": "mslite",
    "mslite": "mslite",
    "txt": "txt",
    "json": "json",
}


@rule("HT308", Severity.WARNING)
def format_unlike_link(context: Context) -> Iterator[Finding]:
    """The format is that of the file that the link names.

    A loader chooses its reader by the stated format. Correct the format or the link.
    """
    for pointer, asset in context.assets:
        link, stated = asset.get("asset-link"), asset.get("file-format")
        if not isinstance(link, str) or not isinstance(stated, str) or f"{pointer}/file-format" in context.violated:
            continue
        name = re.split(r"[?#]", strip_brackets(link), maxsplit=1)[0].rpartition("/")[2]
        named = _ENDINGS.get(name.rpartition(".")[2].lower())
        if named is not None and named != stated:
            yield context.at(
                f"{pointer}/file-format",
                f"the format is {shown(stated)}, but the link names a file of format '{named}'",
                hint="correct the one that is wrong",
            )


@rule("HT309", Severity.WARNING, fixes=True)
def link_in_brackets(context: Context) -> Iterator[Finding]:
    """A link in the front matter has no angle brackets.

    They mark a link in Markdown. The front matter is YAML, where they are part of the text, and every tool would have
    to strip them. hubtool accepts them; `--fix` removes them.
    """
    links = [(f"/{schema.escape(key)}", value) for key, value in context.values.items() if key.endswith("repo-link")]
    links += [(f"{pointer}/asset-link", asset.get("asset-link")) for pointer, asset in context.assets]
    for pointer, link in links:
        if isinstance(link, str) and (bare := strip_brackets(link)) != link.strip():
            yield context.at(
                pointer,
                "the link is in angle brackets",
                hint="write it without them",
                fix=context.rewrite(pointer, bare),
            )


_VERSION_IN_LINK = re.compile(r"/r(?P<folder>[0-9]+(?:\.[0-9]+)+)/|[_-]v(?P<digits>[0-9]{3,4})(?=[_.-])")


@rule("HT310", Severity.WARNING)
def asset_of_other_version(context: Context) -> Iterator[Finding]:
    """A checkpoint is named for the version that the card is for.

    The public hub's links contain the version of MindSpore: `/r1.9/` in the path, and `_v190_` in the name. A link of
    another version is often left over from a copied card. Correct the link, or the card's version.
    """
    version = context.text("mindspore-version")
    if version is None:
        return
    short = ".".join(version.split(".")[:2])
    for url in context.urls:
        for match in _VERSION_IN_LINK.finditer(url.link):
            digits = match["digits"]
            # v190 is 1.9.0 and v1100 is 1.10.0: the first digit is the major version, the last the patch.
            named = f"{digits[0]}.{digits[1:-1]}" if digits else ".".join(match["folder"].split(".")[:2])
            if named != short:
                yield context.at(
                    url.pointer,
                    f"the link names version {named}, but the card is for version {version}",
                    hint="correct the link, or the card's version",
                )
                break


_DIGEST_IN_NAME = re.compile(r"[-_](?P<digest>[0-9a-f]{8})(?:-[0-9]{3}v[0-9])?\.[a-z]+\Z")


@rule("HT313", Severity.WARNING)
def digest_unlike_name(context: Context) -> Iterator[Finding]:
    """The short digest in a file's name is the beginning of its digest.

    Names such as `yolov5s_300e_mAP376-df4a45b6.ckpt` end with the first 8 digits of the file's SHA-256. If the card
    states another digest, one of the two belongs to another file. Compute the digest again.
    """
    for pointer, asset, digest in _digests(context):
        link = asset.get("asset-link")
        if not isinstance(link, str):
            continue
        match = _DIGEST_IN_NAME.search(strip_brackets(link))
        # Eight digits without a letter may be a date.
        if match and not match["digest"].isdecimal() and not digest.lower().startswith(match["digest"]):
            yield context.at(
                pointer,
                f"the digest begins with {digest[:8]}, but the file is named for {match['digest']}",
                hint="compute the digest again with 'sha256sum FILE'",
            )


@rule("HT315", Severity.ERROR)
def unpublished_link(context: Context) -> Iterator[Finding]:
    """The file of every asset is published.

    `hubtool new` writes a link to `unpublished.invalid`, a host that never exists, for a file that is on the author's
    disk only. `hubtool publish` replaces it with the final link. Or put the file where everyone can fetch it, and write
    that link.
    """
    for url in context.urls:
        if url.host == placeholder.UNPUBLISHED_HOST:
            yield context.at(
                url.pointer,
                "the file is not published yet: its link leads nowhere",
                hint="publish it with 'hubtool publish', or write the link under which it can be fetched",
            )
