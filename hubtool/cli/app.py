"""The commands, and what becomes of errors."""

from __future__ import annotations

import errno
import importlib
import os
import sys
from functools import partial
from typing import TYPE_CHECKING

import click

from hubtool.cli import output
from hubtool.errors import ArgumentError, ArgumentTypeError, HubError, InvalidNameError
from hubtool.version import __version__

if TYPE_CHECKING:
    from collections.abc import Callable

# Name -> (module, help). The help stands here so that `hubtool --help` imports no command.
COMMANDS = {
    "validate": ("hubtool.cli.validate", "Check cards against the schema and the rules."),
    "new": ("hubtool.cli.new", "Write a new card."),
    "fmt": ("hubtool.cli.fmt", "Format cards in the standard layout."),
    "preview": ("hubtool.cli.preview", "Show a card as readers will see it."),
    "check": ("hubtool.cli.check", "Check everything that publishing a card requires."),
    "try": ("hubtool.cli.try_", "Run the usage block of a card."),
    "publish": ("hubtool.cli.publish", "Publish a card with its files, as one commit for review."),
    "deprecate": ("hubtool.cli.deprecate", "Mark a published card as deprecated."),
    "withdraw": ("hubtool.cli.withdraw", "Mark a published card as withdrawn."),
    "rule": ("hubtool.cli.rule", "Explain a rule: what it asks for, why, and how to fix a card."),
    "list": ("hubtool.cli.list", "List the cards of the registries."),
    "search": ("hubtool.cli.search", "Find models by words."),
    "show": ("hubtool.cli.show", "Show a card."),
    "compare": ("hubtool.cli.compare", "Show the facts of several cards side by side."),
    "registry": ("hubtool.cli.registry", "Add, sync and publish registries."),
    "resolve": ("hubtool.cli.resolve", "Report what it takes to load a card, without loading it."),
    "inspect": ("hubtool.cli.inspect", "List the tensors of a checkpoint."),
    "fetch": ("hubtool.cli.fetch", "Download the assets of a card into the store."),
    "lock": ("hubtool.cli.lock", "Pin cards to the byte, in a file for review."),
    "sync": ("hubtool.cli.sync", "Download exactly what a lockfile pins."),
    "diff": ("hubtool.cli.diff", "Show what differs between cards, lockfiles, checkpoints and code."),
    "load": ("hubtool.cli.load", "Load a card's network, and report what was loaded."),
    "run": ("hubtool.cli.run", "Classify pictures or texts with the network of a card."),
    "verify": ("hubtool.cli.verify", "Check that networks compute the known answers of their cards."),
    "export": ("hubtool.cli.export", "Write a network with its weights as a MindIR."),
    "cache": ("hubtool.cli.cache", "Manage the store: list, verify, prune, remove."),
    "mirror": ("hubtool.cli.mirror", "Copy registries with all their assets, and check the copies."),
    "audit": ("hubtool.cli.audit", "Check the links and repositories of whole registries."),
    "catalogue": ("hubtool.cli.catalogue", "Build the catalogue: web pages of all cards."),
    "serve": ("hubtool.cli.serve", "Serve a mirror over HTTP."),
    "doctor": ("hubtool.cli.doctor", "Report what this machine has, and what it lacks to load a card."),
    "trust": ("hubtool.cli.trust", "Show and change whose code may run here."),
    "settings": ("hubtool.cli.settings", "Show every setting and where it came from."),
}
# Name -> module of commands that are not listed, because all that they do is say where they went.
_MOVED = {"network": "hubtool.cli.network"}


_MAX_SHOWN_NAME = 300  # characters


class _Commands(click.Group):
    """A group that imports a command when it is used."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        """Return the names of the commands."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 - click's signature
        """Import a command."""
        module = COMMANDS[cmd_name][0] if cmd_name in COMMANDS else _MOVED.get(cmd_name)
        if module is None:
            return None
        command = importlib.import_module(module).command
        return command if isinstance(command, click.Command) else None

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002 - click's signature
        """List the commands without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in COMMANDS.items()])

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find a command; name the nearest one if there is none."""
        if args and args[0] not in {*COMMANDS, *_MOVED} and not args[0].startswith("-"):
            import difflib

            near = difflib.get_close_matches(args[0], COMMANDS, n=1)
            ctx.fail(f"there is no command {args[0]!r}" + (f"; did you mean '{near[0]}'?" if near else ""))
        return super().resolve_command(ctx, args)


@click.command(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 120})
@click.version_option(__version__, prog_name="hubtool", message="%(prog)s %(version)s")
@click.option("--debug", is_flag=True, help="Show a traceback if hubtool itself fails (also HUBTOOL_DEBUG=1).")
def app(debug: bool) -> None:
    """hubtool: the model-hub registry and asset manager for MindSpore."""
    if debug:
        os.environ["HUBTOOL_DEBUG"] = "1"


def run(arguments: list[str], program: click.Command = app, name: str = "hubtool") -> int:
    """Run a command line; return the exit code, with errors said on standard error.

    Args:
        arguments: What was typed after the program's name.
        program: The program.
        name: Its name, for help and errors.
    """
    try:
        code = _run(arguments, program, name)
        sys.stdout.flush()
    except (output.ClosedError, BrokenPipeError):
        output.drop()
        return 141
    except output.OutputError as error:
        output.drop()
        say(error)
        return 1
    return code


def _say_what_is_ignored(arguments: list[str]) -> None:
    """Print which settings of the project's file are not in force, as every command but `settings` would hide it."""
    from pathlib import Path

    from hubtool import settings

    if not arguments or arguments[0] not in COMMANDS or arguments[0] == "settings":
        return
    try:
        ignored = settings.load().ignored if settings.project_file(Path.cwd()) is not None else ()
    except (HubError, OSError):
        return  # the command itself says it
    if ignored:
        keys = ", ".join(one.key for one in ignored)
        click.echo(f"{output.style('note', fg='cyan')}: {ignored[0].why}: not in force: {keys}", err=True)
        click.echo(f"      {ignored[0].file}; run 'hubtool settings approve' to use it, if you trust it", err=True)


def _run(arguments: list[str], program: click.Command, name: str) -> int:
    try:
        _say_what_is_ignored(arguments)
        result = program.main(args=arguments, prog_name=name, standalone_mode=False)
    except click.exceptions.Exit as stop:
        return stop.exit_code
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except (click.Abort, KeyboardInterrupt):
        return interrupted()
    except HubError as error:
        say(error)
        return exit_code(error)
    except (output.ClosedError, output.OutputError, BrokenPipeError):
        raise
    except OSError as error:
        _show_details(error)
        say(_of_the_system(error))
        return 1
    except Exception as error:  # noqa: BLE001 - any error ends in one line; a traceback is shown only if asked for
        return _say_fault(error)
    return result if isinstance(result, int) else 0


_HINTS = {
    errno.EACCES: "check its permissions, and those of the folders above it",
    errno.ENOTDIR: "where a folder should be, there is a file: correct the path",
    errno.ENAMETOOLONG: "choose a shorter path",
}


def _of_the_system(error: OSError) -> HubError:
    """Return an error of a file or the network that no command foresaw, as hubtool says its errors."""
    name = os.fsdecode(error.filename) if isinstance(error.filename, (str, bytes)) else ""
    name = name if len(name) <= _MAX_SHOWN_NAME else f"{name[:_MAX_SHOWN_NAME]}..."
    why = error.strerror or str(error) or type(error).__name__
    if error.errno == errno.ENOENT and not name and _is_folder_gone():
        return HubError("the working folder no longer exists", hint="change to a folder that exists")
    return HubError(f"{name}: {why}" if name else why, hint=_HINTS.get(error.errno or 0))


def _is_folder_gone() -> bool:
    try:
        os.getcwd()  # noqa: PTH109 - Path.cwd is this
    except FileNotFoundError:
        return True
    return False


def _show_details(error: Exception) -> bool:
    """Show the traceback of an error if the user asked for details (``--debug``); return whether that was so."""
    if not os.environ.get("HUBTOOL_DEBUG"):
        return False
    import traceback

    click.echo("".join(traceback.format_exception(error)), err=True, nl=False)
    return True


def _say_fault(error: Exception) -> int:
    """Report a fault of hubtool in one line; keep the details in a file, or show them if the user asked for them."""
    import tempfile
    import traceback

    first = str(error).partition("\n")[0][:_MAX_SHOWN_NAME]
    what = f"{type(error).__name__}: {first}" if first else type(error).__name__
    if _show_details(error):
        say(HubError(f"this is a fault of hubtool: {what}", hint="please report it with the lines above"))
        return 1
    try:
        with tempfile.NamedTemporaryFile(
            "w", prefix="hubtool-fault-", suffix=".txt", encoding="utf-8", errors="backslashreplace", delete=False
        ) as stream:
            stream.write(f"hubtool {__version__}, Python {sys.version}\n")
            traceback.print_exception(error, file=stream)
    except OSError:
        hint = "'hubtool --debug ...' shows the details; please report them"
    else:
        hint = f"please report it with {stream.name}, which has the details; 'hubtool --debug ...' shows them"
    say(HubError(f"this is a fault of hubtool: {what}", hint=hint))
    return 1


def interrupted() -> int:
    """Report that the command was interrupted; return its exit code."""
    click.echo("interrupted", err=True)
    if "mindspore" in sys.modules:
        # MindSpore, interrupted while it is imported or run, aborts the process when Python shuts down.
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(130)
    return 130


def exit_code(error: HubError | output.OutputError) -> int:
    """Return the exit code of a command that ends with an error: 2 for wrong use, else 1."""
    return 2 if isinstance(error, (InvalidNameError, ArgumentError, ArgumentTypeError)) else 1


def say(error: HubError | output.OutputError, what: str = "", echo: Callable[[str], None] | None = None) -> None:
    """Print an error, on standard error unless told otherwise, with what it is of before it."""
    echo = echo or partial(click.echo, err=True)
    echo(f"{output.style('error', fg='red', bold=True)}: {what}{error.message}")
    if error.hint:
        echo(f"{output.style('hint', fg='cyan')}: {error.hint}")
