"""`hubtool mirror sync --dry-run` over a large published registry, as a whole process.

    python benchmarks/dry_run.py [--cards 20000] [--repeat 3]

Writes a registry of cards with one asset each, publishes it with `hubtool registry publish`, serves the folder on
127.0.0.1, adds and syncs it, and plans a mirror of it. Prints the seconds of each run, and the number of cards that
were fetched: none, because the index says what a plan needs.
"""

from __future__ import annotations

import argparse
import hashlib
import subprocess
import sys
import tempfile
import threading
import time
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from mirror import ASSET, CARD
from sides import environment

ROOT = Path(__file__).parents[1]


class Handler(SimpleHTTPRequestHandler):
    """Serves the published registry, and counts the cards."""

    cards = 0

    def log_message(self, *_: object) -> None:
        """Count instead of printing."""
        if self.path.startswith("/cards/"):
            Handler.cards += 1


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cards", type=int, default=20_000)
    parser.add_argument("--repeat", type=int, default=3)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="hubtool-dry-run-") as scratch:
        folder = Path(scratch)
        cards = folder / "registry" / "benchmark" / "1.9"
        cards.mkdir(parents=True)
        (folder / "empty").mkdir()
        for at in range(arguments.cards):
            asset = ASSET.format(digest=hashlib.sha256(b"%d" % at).hexdigest())
            (cards / f"m{at}.md").write_text(CARD.format(name=f"m{at}", assets=asset), encoding="utf-8")
        own = {"HUBTOOL_HOME": folder / "home", "HUBTOOL_REGISTRY": folder / "empty", "XDG_CONFIG_HOME": folder}
        environ = environment(
            folder / "bytecode", PYTHONPATH=str(ROOT), **{key: str(path) for key, path in own.items()}
        )

        def run(*words: str | Path) -> float:
            start = time.perf_counter()
            command = [sys.executable, "-m", "hubtool", *words]
            subprocess.run(command, env=environ, stdout=subprocess.DEVNULL, check=True)
            return time.perf_counter() - start

        print(f"publish: {run('registry', 'publish', folder / 'registry', '--to', folder / 'site'):.1f} s")
        server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, directory=str(folder / "site")))
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_address[1]}/"
        environ["HUBTOOL_ALLOWED_HOSTS"] = url.rstrip("/")
        run("registry", "add", "lab", url)
        print(f"registry sync: {run('registry', 'sync'):.1f} s")
        times = [run("mirror", "sync", folder / "mirror", "--dry-run", "--json") for _ in range(arguments.repeat)]
        print("mirror sync --dry-run: " + ", ".join(f"{seconds:.1f} s" for seconds in times))
        print(f"cards fetched: {Handler.cards}")
        server.shutdown()


if __name__ == "__main__":
    main()
