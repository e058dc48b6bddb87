"""`hubtool doctor`."""

from __future__ import annotations

import platform
import shutil
from importlib import metadata
from typing import TYPE_CHECKING

import click

from hubtool.cli import render

if TYPE_CHECKING:
    from pathlib import Path

# What networks and commands use, and what it is for.
PACKAGES = {
    "mindspore": "building and running networks",
    "numpy": "building and running networks (MindSpore needs a version below 2)",
    "requests": "fetching assets",
    "jsonschema": "reading lockfiles",
    "jsonschema-rs": "validating cards",
    "rich": "progress bars and cards at the terminal",
}


@click.command()
@click.argument("uid", required=False)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def command(uid: str | None, as_json: bool) -> int:
    """Report what this machine has, and what it lacks to load the network of a card.

    The exit code is 1 if the card, or without one any network, cannot be loaded here.
    """
    from importlib.util import find_spec

    from hubtool.hub import Hub
    from hubtool.networks.fitting import resolve_fitted
    from hubtool.requirements import INSTALL_MINDSPORE
    from hubtool.resolution import machine
    from hubtool.transfer import proxies

    hub = Hub.open()
    here = machine.probe()
    packages = {name: _version(name) for name in PACKAGES}
    problems = []
    if here.mindspore is None:
        problems.append(f"MindSpore is not installed: {INSTALL_MINDSPORE}")
    numpy = packages["numpy"]
    if numpy is not None and int(numpy.partition(".")[0]) >= 2:
        problems.append(f"NumPy {numpy} is installed, but MindSpore needs a version below 2: pip install 'numpy<2'")
    if shutil.which("git") is None:
        problems.append("the git program is not installed: networks whose code is in a repository cannot be fetched")
    resolution = resolve_fitted(hub.resolve(hub.find(uid))) if uid else None
    if resolution is not None:
        problems += [reason for reason in resolution.reasons if reason not in problems]
        if resolution.fit is not None and resolution.fit.arguments:
            stated = ", ".join(f"{name}={value}" for name, value in resolution.fit.arguments.items())
            problems.append(f"the stored checkpoint: {resolution.fit.why}; load it with {stated}")
    free = _free(hub.store.root)
    through = {scheme: proxy for scheme in ("https", "http") if (proxy := proxies.of_scheme(scheme)) is not None}
    if any(proxy.is_socks for proxy in through.values()) and find_spec("socks") is None:
        problems.append("a SOCKS proxy is set, and PySocks is not installed: pip install 'requests[socks]'")
    # That takes seconds: not where the question is about a card.
    measured = uid is None and here.mindspore is not None and machine.has_slow_convolutions()
    convolutions = _convolutions() if measured else None
    if as_json:
        render.echo_json(
            {
                "python": platform.python_version(),
                "platform": platform.platform(),
                "devices": list(here.devices),
                "packages": packages,
                "store": {"path": str(hub.store.root), "free": free},
                "registries": [str(member.root) for member in hub.registries.members],
                "offline": hub.settings.offline,
                "convolutions": convolutions,
                "proxies": {scheme: proxy.shown for scheme, proxy in through.items()},
                "uid": resolution.uid if resolution else None,
                "problems": problems,
            }
        )
        return 1 if problems else 0
    rows = [
        ("python", f"{platform.python_version()} on {platform.platform()}"),
        ("devices", ", ".join(here.devices)),
        *((name, packages[name] or f"not installed; it is for {use}") for name, use in PACKAGES.items()),
        ("store", f"{hub.store.root}, {render.size(free)} free"),
        *(("registry", str(member.root)) for member in hub.registries.members),
        ("offline", str(hub.settings.offline)),
        *((f"{scheme} proxy", f"{proxy.shown} ({proxy.variable})") for scheme, proxy in through.items()),
    ]
    if convolutions is not None:
        rows.append(("convolutions", _told(convolutions)))
    if resolution is not None:
        rows.append(("card", f"{resolution.uid}: {'loadable' if resolution.loadable else 'not loadable'}"))
    rows += [("problem", problem) for problem in problems]
    if not problems:
        rows.append(("problems", "none"))
    render.pairs(rows)
    return 1 if problems else 0


def _convolutions() -> dict[str, float] | None:
    """Return the seconds of a convolution as MindSpore chooses, and held to AVX2; None if it does not run."""
    from hubtool.errors import RequirementError
    from hubtool.networks import convolution_time

    try:
        return {"default": convolution_time.measure(None), "AVX2": convolution_time.measure("AVX2")}
    except RequirementError:
        return None


def _told(convolutions: dict[str, float]) -> str:
    from hubtool.resolution.machine import INSTRUCTIONS

    plain, held = convolutions["default"], convolutions["AVX2"]
    return (
        f"{plain / held:.0f} times as fast with {INSTRUCTIONS}=AVX2 ({held * 1000:.1f} ms, else {plain * 1000:.1f}); "
        "hubtool sets it before it imports MindSpore, and a program that imports MindSpore first has to set it itself"
    )


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def _free(path: Path) -> int:
    while not path.exists() and path != path.parent:
        path = path.parent
    return shutil.disk_usage(path).free
