"""The program that finds the recipe of one card: ``python -m maintain.discovery.worker JOB SCRATCH``.

:func:`maintain.discovery.run.discover` runs it in hubtool's sandbox. It writes what it found to the file descriptor
``HUBTOOL_ANSWER``, one JSON object a line; the last line counts.
"""

from __future__ import annotations

import json
import os
import sys
import traceback
from pathlib import Path
from typing import Any

from hubtool.sandbox import guard

# Besides what the sandbox refuses anyway. These matter where namespaces are not allowed; a network needs none of them.
_REFUSED = (
    *("socket.connect", "socket.bind", "socket.sendto", "socket.getaddrinfo"),
    *("ftplib.connect", "http.client.connect", "smtplib.connect", "urllib.Request"),
    *("subprocess.Popen", "os.system", "os.exec", "os.posix_spawn", "os.fork", "os.forkpty", "pty.spawn"),
    *("os.kill", "os.killpg"),
)


def main() -> None:
    """Do the job, and end without waiting for threads that the code started."""
    job = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    answer = int(os.environ.pop("HUBTOOL_ANSWER"))

    def say(outcome: dict[str, Any]) -> None:
        os.write(answer, json.dumps(outcome).encode() + b"\n")

    try:
        import mindspore  # noqa: F401, PLC0415 - before the guard, as all that it imports
        from mindspore import dataset, nn, ops, train  # noqa: F401, PLC0415

        from hubtool.networks.compat import cells, checks, quiet  # noqa: F401, PLC0415
        from maintain.discovery import attempt  # noqa: PLC0415

        guard.install("discovery", [sys.argv[2]], refused=_REFUSED)
        attempt.main(job, say)
    except BaseException:  # noqa: BLE001 - the code may raise anything, SystemExit too, and the report says what
        reason = traceback.format_exc(limit=-2).strip().splitlines()[-1][:300]
        say({"recipe": None, "reason": f"discovery failed: {reason}", "notes": []})
    finally:
        os._exit(0)


if __name__ == "__main__":
    main()
