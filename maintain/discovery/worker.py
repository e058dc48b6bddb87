"""The program that finds the recipe of one card: ``python -m maintain.discovery.worker JOB SCRATCH``.

:func:`maintain.discovery.run.discover` runs it in hubtool's sandbox. It writes what it found to the file descriptor
``HUBTOOL_ANSWER``, one JSON object a line; the last line counts.
"""

from __future__ import annotations

import json
import os
import sys
import traceback
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hubtool.sandbox import guard
from maintain.discovery import handwritten
from maintain.discovery.heuristics import NetworkFacts
from maintain.discovery.outcome import recipe_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

#: Besides what the sandbox refuses anyway. These matter where namespaces are not allowed; a network needs none of them.
REFUSED = (
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

        from hubtool.networks.compat import cells, checks, noop  # noqa: F401, PLC0415
        from maintain.discovery import packages, search  # noqa: F401, PLC0415

        guard.install("discovery", [sys.argv[2]], refused=REFUSED)
        _do(job, say)
    except BaseException:  # noqa: BLE001 - the code may raise anything, SystemExit too, and the report says what
        reason = traceback.format_exc(limit=-2).strip().splitlines()[-1][:300]
        say({"recipe": None, "reason": f"discovery failed: {reason}", "notes": []})
    finally:
        os._exit(0)


def _do(job: Mapping[str, Any], say: Callable[[dict[str, Any]], object]) -> None:
    """Do one job; say what was built, and again how it ran."""
    from hubtool.networks import repository  # noqa: PLC0415 - after MindSpore
    from maintain.discovery import packages, search  # noqa: PLC0415 - the same

    place = repository.CodeFolder(root=Path(job["root"]).resolve(), folder="", identity=job["identity"])
    facts = NetworkFacts(**job["facts"])
    if job["provider"] == "package":
        checkout = Path(job["root"])
        outcome = packages.attempt(job["distribution"], job["folder"], facts, checkout if checkout.is_dir() else None)
    else:
        hints = [(recipe_of(hint["recipe"]), hint["digest"]) for hint in job.get("hints", ())]
        outcome = search.attempt(place, facts, of=job["folder"], seconds=job["timeout"] * 0.8, hints=hints)
        for hint in job.get("hints", ()):
            if outcome.recipe is not None and not outcome.network and hint["digest"] == outcome.digest:
                outcome.network, outcome.parameters, outcome.elements = (
                    hint["network"],
                    hint["parameters"],
                    hint["elements"],
                )
        if outcome.recipe is not None:
            outcome.recipe = replace(outcome.recipe, rename=handwritten.renames(place.root))
    say(outcome.as_json())
    if job["smoke"] and outcome.recipe is not None:
        search.forward(place, outcome)
        say(outcome.as_json())


if __name__ == "__main__":
    main()
