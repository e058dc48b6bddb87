"""`hubtool load`."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import click

from hubtool.cli import complete, options, render

if TYPE_CHECKING:
    from pathlib import Path

    from hubtool.hub import Hub
    from hubtool.loader import LoadedNetwork
    from hubtool.networks.forward import Output
    from hubtool.resolution.trust import Agreement


@click.command()
@click.argument("uid", shell_complete=complete.uids)
@options.device
@click.option("--no-pretrained", is_flag=True, help="Build the network without its weights.")
@click.option("--smoke", is_flag=True, help="Run one forward pass, on random input.")
@click.option("--verify", is_flag=True, help="Repeat the known answer first, and load the network only if it is equal.")
@options.trust
@options.checkout
@options.lock
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def command(
    *,
    uid: str,
    device: str,
    no_pretrained: bool,
    smoke: bool,
    verify: bool,
    trust: bool,
    checkout: Path | None,
    lock: Path | None,
    as_json: bool,
) -> None:
    """Load a card's network, and report what was loaded.

    The checkpoint is fetched if it is not stored. UID is publisher/version/name, the URL of a card on the public hub,
    or the path of a card.
    """
    from hubtool import loader
    from hubtool.cli import consent
    from hubtool.cli.progress import transfer
    from hubtool.hub import Hub

    hub = Hub.open() if lock is None else Hub.open().with_lock(lock.absolute())
    resolution = hub.resolve(hub.find(uid), device=device, trust=trust, loading=True)
    agreement = None if trust else consent.ask(hub, resolution, checkout=checkout)
    if verify:
        _verify(hub, uid, device=resolution.device, trust=trust, checkout=checkout, agreement=agreement)
    with transfer(uid) as progress:
        loaded = loader.load(
            hub,
            resolution,
            pretrained=not no_pretrained,
            device=resolution.device,
            progress=progress,
            agreement=agreement,
            checkout=checkout,
        )
    if loaded.path is not None:
        _hand_over(loaded, as_json=as_json)
        return
    seconds = {name: round(value, 4) for name, value in loaded.seconds.items()}
    outputs: list[Output] = []
    if smoke:
        from hubtool.networks.forward import forward

        start = time.perf_counter()
        outputs = forward(loaded.network, loaded.built.example(), fixed=loaded.is_graph)
        seconds["smoke"] = round(time.perf_counter() - start, 4)
    if as_json:
        render.echo_json(_as_json(loaded, seconds))
    else:
        _print(loaded, seconds, outputs, resolution.device)


def _verify(
    hub: Hub, uid: str, *, device: str, trust: bool, checkout: Path | None, agreement: Agreement | None
) -> None:
    """Repeat the known answer of a card.

    Raises:
        NetworkError: If it is not equal.
    """
    from hubtool.errors import NetworkError
    from hubtool.verification import verify as verifying

    result = verifying.verify(hub, uid, device=device, trust=trust, checkout=checkout, agreement=agreement)
    if result.verdict != verifying.EQUAL:
        raise NetworkError(
            f"{uid} was not loaded: against its known answer it {_SAID[result.verdict]}: {result.reason}",
            hint="docs/known-answers.md says what that means; without --verify it is loaded all the same",
        )


_SAID = {"differs": "differs", "cannot run here": "cannot be run here", "nothing to compare": "cannot be compared"}


def _hand_over(loaded: LoadedNetwork, *, as_json: bool) -> None:
    if as_json:
        status = loaded.status.as_json() if loaded.status else None
        render.echo_json({"uid": loaded.uid, "path": str(loaded.path), "notes": list(loaded.notes), "status": status})
    else:
        rows = [("uid", loaded.uid), ("path", str(loaded.path)), *_status(loaded)]
        render.pairs([*rows, *(("note", note) for note in loaded.notes)])


def _status(loaded: LoadedNetwork) -> list[tuple[str, str]]:
    return [] if loaded.status is None else [("warning", render.plain(loaded.status.describe("the card")))]


def _as_json(loaded: LoadedNetwork, seconds: dict[str, float]) -> dict[str, object]:
    coverage = loaded.coverage
    return {
        "uid": loaded.uid,
        "network": type(loaded.network).__name__,
        "parameters": loaded.parameters,
        "elements": loaded.elements,
        "coverage": coverage.as_json() if coverage else None,
        "status": loaded.status.as_json() if loaded.status else None,
        "seconds": seconds,
        **({"notes": list(loaded.notes)} if loaded.notes else {}),
    }


def _print(loaded: LoadedNetwork, seconds: dict[str, float], outputs: list[Output], device: str) -> None:
    rows = [
        ("uid", loaded.uid),
        ("network", f"{type(loaded.network).__name__} on {device}"),
        ("parameters", f"{loaded.parameters:,} with {render.count(loaded.elements, 'element')}"),
    ]
    coverage = loaded.coverage
    if coverage is None and loaded.is_graph:
        rows.append(("coverage", "total: the graph carries its weights"))
    elif coverage is None:
        rows.append(("coverage", "no weights were asked for: the parameters are initialised at random"))
    else:
        of = render.count(loaded.parameters, "parameter")
        rows.append(("coverage", f"total: {len(coverage.loaded):,} of {of} from the checkpoint"))
        if coverage.prefix:
            rows.append(("", f"the prefix {coverage.prefix!r} was taken off the tensors' names"))
        if coverage.ignored:
            be = "is" if len(coverage.ignored) == 1 else "are"
            rows.append(("", f"{render.count(len(coverage.ignored), 'tensor')} {be} not used, as the recipe says"))
        if coverage.optimizer:
            be = "is" if len(coverage.optimizer) == 1 else "are"
            tensors = render.count(len(coverage.optimizer), "tensor")
            rows.append(("", f"{tensors} {be} an optimizer's state, and not placed"))
        if coverage.appended:
            be = "was" if len(coverage.appended) == 1 else "were"
            numbers = render.count(len(coverage.appended), "number")
            shown = ", ".join(coverage.appended[:5])
            rows.append(("", f"{numbers} {be} saved beside the weights, and not placed: {shown}"))
    rows.extend(_status(loaded))
    rows.extend(("note", note) for note in loaded.notes)
    rows.extend(("output", one.told) for one in outputs)
    rows.append(("seconds", ", ".join(f"{name} {value:.3f}" for name, value in seconds.items())))
    render.pairs(rows)
