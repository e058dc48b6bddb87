"""Runs a usage block as a program of its own, with tracebacks that show the lines of the card.

``python -m hubtool.sandbox.usage_main SPEC``. :mod:`hubtool.sandbox.run` starts it.
"""

from __future__ import annotations

import json
import os
import sys
import traceback
from pathlib import Path
from types import ModuleType

from hubtool.sandbox import guard


def main() -> None:
    """Run the code of a specification."""
    spec = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    name = str(spec["name"])
    sys.argv = [name]
    main_module = ModuleType("__main__")
    main_module.__dict__.update({"__file__": name, "__builtins__": __builtins__})
    sys.modules["__main__"] = main_module
    # The error is reported there, apart from what the code prints; the code itself does not need it.
    answer = os.environ.pop("HUBTOOL_ANSWER", "")
    guard.install("a usage block", spec["writable"])
    try:
        exec(compile(spec["code"], name, "exec"), main_module.__dict__)  # noqa: S102 - what this program is for
    except SystemExit:
        raise
    except BaseException as error:  # noqa: BLE001 - as the interpreter does with any error of a program
        # The first frame is this function.
        shown = error.__traceback__.tb_next if error.__traceback__ else None
        sys.stdout.flush()
        traceback.print_exception(type(error), error, shown)
        sys.stderr.flush()
        if answer:
            first = next(iter(str(error).splitlines()), "")
            told = f"{type(error).__name__}: {first}" if first else type(error).__name__
            os.write(int(answer), json.dumps({"error": told[:1000]}).encode())
        sys.exit(1)


if __name__ == "__main__":
    main()
