"""`hubtool resolve`."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import TYPE_CHECKING

import click

from hubtool.card import facts_in_words
from hubtool.card.caller_arguments import caller_arguments
from hubtool.cli import complete, render
from hubtool.cli.paths import LocalPath
from hubtool.errors import RecipeError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from hubtool.networks.explain import CodeToRun, Explanation
    from hubtool.resolution.resolver import Resolution, ResolvedAsset


@click.command()
@click.argument("uid", shell_complete=complete.uids)
@click.option(
    "--device",
    type=click.Choice(["auto", "CPU", "GPU", "Ascend"], case_sensitive=False),
    default="auto",
    help="The device to load on; auto is Ascend where there is one, else CPU.",
)
@click.option(
    "--frozen", is_flag=True, help="Accept nothing but what the lockfile pins: --lock, HUBTOOL_LOCK or hub.lock."
)
@click.option(
    "--lock",
    type=LocalPath(dir_okay=False, path_type=Path),
    help="Lockfile to use; implies --frozen.",
)
@click.option(
    "--explain", is_flag=True, help="Also say what loading would fetch, which code would run, and whether it may."
)
@click.option(
    "--checkout",
    type=LocalPath(exists=True, file_okay=False, path_type=Path),
    help="With --explain: a folder with the tree of the card's repository, in place of its repo-link.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def command(
    *, uid: str, device: str, frozen: bool, lock: Path | None, explain: bool, checkout: Path | None, as_json: bool
) -> None:
    """Report what it takes to load a card, without loading it.

    Nothing is fetched and nothing is run. UID is publisher/version/name, the URL of a card on the public hub, or the
    path of a card. The exit code is 1 if there is no such card, or if a lockfile is in force that does not pin it.
    """
    from hubtool.hub import Hub
    from hubtool.networks.fitting import resolve_fitted

    hub = Hub.open()
    if lock is not None or (frozen and hub.settings.lock is None):
        from hubtool.lockfile.lockfile import FILE_NAME

        hub = hub.with_lock((lock or Path(FILE_NAME)).absolute())
    resolution = resolve_fitted(hub.resolve(hub.find(uid), device=device))
    explanation = None
    if explain:
        from hubtool.networks import explain as explaining

        explanation = explaining.explain(hub, resolution, checkout=checkout)
    if as_json:
        members = resolution.as_json()
        render.echo_json(members if explanation is None else {**members, "explanation": explanation.as_json()})
        return
    _print(resolution)
    if explanation is not None:
        click.echo()
        render.pairs(explained(explanation))


def _print(resolution: Resolution) -> None:
    from hubtool.card import known_answer

    card, recipe = resolution.card, resolution.recipe
    rows = [("uid", resolution.uid), ("card", str(card.path))]
    if summary := card.text("summary"):
        rows.append(("summary", summary))
    rows += [(key, render.plain(text)) for key, text in facts_in_words.lines(card.values) if key != "evaluation"]
    if card.status is not None:
        rows.append(("status", render.plain(card.status.describe("it"))))
    rows.extend(("card fault", fault) for fault in card.faults)
    rows.extend(
        (
            "note",
            f"{other.registry} has this UID too, with another card (sha256 {other.digest[:12]}...); it is not used",
        )
        for other in resolution.others
    )
    for asset in resolution.assets:
        rows.append(("weights" if asset.weights else "asset", asset.asset.link))
        rows.append(("", _state(asset)))
    rows.extend(("note", note) for note in resolution.notes)
    if resolution.pinned:
        rows.append(("pinned", "yes: this is what the lockfile says, to the byte"))
    if recipe:
        rows.append(("network", f"{recipe.provider} {recipe.entry}"))
        rows.extend(("", one) for one in _arguments(recipe.arguments))
        rows.extend(("", f"ignores {pattern}") for pattern in recipe.ignore)
        rows.extend(("", f"renames {before} to {after or 'nothing, taking it off'}") for before, after in recipe.rename)
        rows.append(("known answer", known_answer.told_of(recipe.known_answer)))
    if resolution.loan is not None:
        rows.append(("", resolution.loan.why))
    weights = resolution.weights
    if weights is not None and weights.asset.runner is not None:
        rows.append(("graph", f"a whole network in one file, run by {weights.asset.runner}"))
    rows.append(("requires", ", ".join(f"{name}{spec}" for name, spec in resolution.requires.items()) or "not known"))
    rows.append(("device", resolution.device))
    if resolution.fit is not None:
        rows.append(("checkpoint", resolution.fit.why))
        rows.extend(
            ("", f"it would fit with {name} = {value} (an argument of load, or of the recipe)")
            for name, value in resolution.fit.arguments.items()
        )
    otherwise = "once you agree that its code runs" if resolution.ready else "no"
    rows.append(("loadable", "yes" if resolution.loadable else otherwise))
    rows.extend(("", f"- {reason}") for reason in resolution.reasons)
    render.pairs(rows)
    if resolution.ready:
        click.echo()
        for line in resolution.python:
            click.echo(f"    {line}" if line else "")


def _arguments(arguments: Mapping[str, object]) -> list[str]:
    asked = {}
    with contextlib.suppress(RecipeError):  # which is among the reasons why it is not loadable
        asked = {one.name: f"{one.name}, which you give to load: {one}" for one in caller_arguments(arguments)}
    return [asked.get(name) or f"{name} = {value!r}" for name, value in arguments.items()]


def _state(asset: ResolvedAsset) -> str:
    digest = asset.asset.digest
    stored = f"stored at {asset.stored}" if asset.stored else "not stored"
    return f"{asset.asset.format}, {render.size(asset.asset.size)}, sha256 {digest or 'not stated'}, {stored}"


def explained(explanation: Explanation, most: int = 12, *, with_trust: bool = True) -> list[tuple[str, str]]:
    """Return an explanation as rows of a name and a text, with at most ``most`` files and lines of code."""
    rows = []
    for one in explanation.downloads:
        rows.append(("downloads", one.asset.link))
        rows.append(("", f"{render.size(one.asset.size)}, sha256 {one.asset.digest or 'not stated'}"))
    if not explanation.downloads:
        rows.append(("downloads", "no asset: what is loaded is here already, or there is nothing to load"))
    code = explanation.code
    if explanation.borrowed is not None:
        rows.append(("recipe", explanation.borrowed))
    if explanation.package is not None:
        rows.append(("code", f"of the installed distribution {explanation.package}"))
        rows.append(("", f"begins at {explanation.entry}"))
        rows.extend(("", f"  with {one}") for one in _arguments(explanation.arguments))
        if explanation.decision is None and explanation.refused is None and with_trust:
            rows.append(("trust", "it may run: hubtool's table of calls lists this entry with these arguments"))
    elif explanation.graph is not None:
        rows.append(("code", f"the operators of the graph {explanation.graph.asset.file_name}, run by MindSpore"))
        if explanation.graph.stored is None:
            rows.append(("", "not stored: they are read when it is, and before MindSpore loads it"))
        elif explanation.decision is None and explanation.refused is None and with_trust:
            rows.append(("trust", "it may run: all of its operators only compute"))
    elif code is None:
        rows.append(("code", "none from elsewhere: nothing but hubtool and MindSpore runs"))
    else:
        rows.append(("code", f"{code.repository}, folder {code.folder or 'of the top'}"))
        rows.append(("", _commit(code)))
        rows.append(("", f"begins at {' '.join((code.entry, *code.argv))}"))
        rows.extend(("", f"  with {one}") for one in _arguments(code.arguments))
        if code.checkout is not None:
            rows.append(("", code.checkout))
        if code.files is None:
            rows.append(("", "not stored: loading fetches that folder, and only that; its files can be listed then"))
        else:
            rows.append(("", f"{len(code.files):,} Python files at {code.stored}"))
            rows.extend(("", f"  {name}") for name in code.files[:most])
            if len(code.files) > most:
                rows.append(("", f"  and {len(code.files) - most:,} more (--json lists all)"))
            places = render.count(len(code.touches), "place")
            rows.append(("touches", f"{places}, as far as reading shows" if code.touches else "none"))
            rows.extend(("", f"  {one.path}:{one.line}: {one.kind}: {one.what}") for one in code.touches[:most])
            if len(code.touches) > most:
                rows.append(("", f"  and {len(code.touches) - most:,} more (--json lists all)"))
    if explanation.refused is not None and with_trust:
        rows.append(("trust", f"it does not run: {explanation.refused}"))
    decision = explanation.decision
    if decision is not None and with_trust:
        rows.append(("trust", f"{'it may run' if decision.allowed else 'it may not run yet'}: {decision.why}"))
        if decision.hint:
            rows.append(("", decision.hint))
    return rows


def _commit(code: CodeToRun) -> str:
    if code.commit is None:
        return f"commit not pinned: {code.revision or 'the default branch'} is looked up once, and then recorded"
    if code.commit == code.revision:
        return f"commit {code.commit}, pinned by the card"
    return f"commit {code.commit}, which {code.revision or 'the default branch'} was when it was first fetched"
