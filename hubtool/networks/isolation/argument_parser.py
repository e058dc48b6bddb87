"""An argument parser that never prints, and never ends the program."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable


class ArgumentsRefusedError(SystemExit):
    """Raised by the private argument parsers instead of printing a usage message.

    Attributes:
        message: What is wrong with the arguments.
    """

    def __init__(self, message: str) -> None:
        super().__init__(2)
        self.message = message


class Script(Protocol):
    """The script whose arguments are parsed.

    Attributes:
        argv: What the code sees as ``sys.argv``.
        parsers: The argument parsers that the code made.
        on_parse: Called before a parser reads the arguments, with the arguments.
    """

    argv: list[str]
    parsers: list[argparse.ArgumentParser]
    on_parse: Callable[[argparse.ArgumentParser, list[str]], None] | None


class ScriptArgumentParser(argparse.ArgumentParser):
    """An argument parser that reads a script's arguments and never prints or ends the program."""

    namespace: Script

    def __init__(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 - as the original
        super().__init__(*args, **kwargs)
        self.namespace.parsers.append(self)

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:  # noqa: ANN401 - as the original
        """Parse like the original; by default, the script's arguments."""
        if args is None:
            if self.namespace.on_parse is not None:
                self.namespace.on_parse(self, self.namespace.argv)
            args = self.namespace.argv[1:]
        return super().parse_known_args(args, namespace)

    def parse_args(self, args: Any = None, namespace: Any = None) -> Any:  # noqa: ANN401 - as the original
        """Parse, and refuse unknown arguments."""
        parsed, rest = self.parse_known_args(args, namespace)
        if rest:
            self.error(f"unrecognized arguments: {' '.join(rest)}")
        return parsed

    def error(self, message: str) -> Any:  # noqa: ANN401 - as the original
        """Refuse the arguments."""
        raise ArgumentsRefusedError(message)

    def print_help(self, file: Any = None) -> None:  # noqa: ANN401 - as the original
        """Print nothing: the library is silent."""

    def exit(self, status: int = 0, message: str | None = None) -> Any:  # noqa: ANN401 - as the original
        """Refuse the arguments: the program goes on."""
        raise ArgumentsRefusedError(message or f"the parser ended the program with {status}")
