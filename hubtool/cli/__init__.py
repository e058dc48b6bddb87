"""The command line: parse, build, call, render. No logic stands here.

What a command needs is imported when it runs, so that `hubtool --version` does not wait for a YAML parser.
"""

from __future__ import annotations

import gc
import sys
from contextlib import suppress


def main(arguments: list[str] | None = None) -> None:
    """Run the command line and exit with its code: 0 done, 1 a problem was found, 2 wrong use, 130 interrupted."""
    from hubtool.cli import output

    arguments = sys.argv[1:] if arguments is None else arguments
    output.guard()
    if arguments == ["--version"]:
        from hubtool.version import __version__

        with suppress(output.ClosedError, output.OutputError):  # then it is said below
            sys.stdout.write(f"hubtool {__version__}\n")
            sys.stdout.flush()
            return
    # A command allocates many objects that live to the end and few reference cycles. Garbage collection took a
    # sixteenth of the CPU time of fetching a thousand small files.
    gc.set_threshold(50_000)
    from hubtool.cli.app import run

    code = run(arguments)
    gc.freeze()
    sys.exit(code)
