"""`hubtool rule`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from hubtool.cli import output, render

if TYPE_CHECKING:
    from hubtool.card.rules import Rule


@click.command()
@click.argument("codes", nargs=-1, metavar="[CODE ...]")
@click.option("--markdown", is_flag=True, help="Print all rules as a page; docs/rules.md is this page.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def command(codes: tuple[str, ...], markdown: bool, as_json: bool) -> None:
    """Explain a rule: what it asks for, why, and how to fix a card.

    CODE is a code such as HT203, or the beginning of several such as HT2; without one, all rules are listed.
    """
    from hubtool.card import rules
    from hubtool.card.validate.selection import check_codes

    wanted = check_codes(codes, "CODE")
    found = [rule for code, rule in rules.load().items() if not wanted or code.startswith(wanted)]
    if as_json:
        render.echo_json(
            [
                {
                    "code": rule.code,
                    "name": rule.name,
                    "severity": str(rule.severity),
                    "fixes": rule.fixes,
                    "page": rule.page,
                }
                for rule in found
            ]
        )
    elif markdown:
        click.echo(_page(found), nl=False)
    elif wanted:
        click.echo("\n\n".join(_one(rule) for rule in found))
    else:
        for rule in found:
            click.echo(f"{rule.code}  {rule.severity!s:<7}  {'fix' if rule.fixes else '   '}  {rule.title}")


def _one(rule: Rule) -> str:
    colour = "red" if str(rule.severity) == "error" else "yellow"
    head = f"{output.style(rule.code, bold=True)} {rule.name} ({output.style(str(rule.severity), fg=colour)})"
    return f"{head}{', fixed by --fix' if rule.fixes else ''}\n\n{rule.page}"


_GROUPS = {
    "HT1": "The document",
    "HT2": "The front matter",
    "HT3": "The assets",
    "HT4": "The body",
    "HT5": "The registry as a whole",
    "HT6": "The network",
}


def _page(found: list[Rule]) -> str:
    parts = [
        "# Rules\n",
        "What `hubtool validate` checks. An *error* breaks programs that use the card; a *warning* should be fixed.\n",
        "This page is generated from the code by `hubtool rule --markdown`; change it there.\n",
    ]
    group = ""
    for rule in found:
        if rule.code[:3] != group:
            group = rule.code[:3]
            parts.append(f"## {_GROUPS[group]}\n")
        fixable = ", fixed by `--fix`" if rule.fixes else ""
        parts.append(f"### {rule.code} {rule.name}\n\n*{rule.severity}{fixable}*\n\n{rule.page}\n")
    return "\n".join(parts)
