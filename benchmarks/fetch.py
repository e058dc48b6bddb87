"""`hubtool fetch` against other ways to get a file, hash it and write it, all in one run.

    python benchmarks/fetch.py [--quick] [--folder /dev/shm]

Serves files with nginx on loopback (as a child process with a configuration of its own): one file of 1 GiB, one of
100 MiB, and 1,000 files of 100 KiB. Every side is a fresh process that starts, transfers, computes SHA-256 and writes;
the sides take turns, and the fastest of several runs counts. Seconds, and the ratio to hubtool. A tool that is not
installed is left out, and said to be. The target for the small files is 1.5 times pooch. Then 100 MiB and 1 GiB over a
link that gives each connection 20 MB/s and 40 ms (a limiting server of our own), with one connection and with segments.

The folder should be in memory: what is compared is the way of the bytes, not a disk.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from sides import environment, nginx

ROOT = Path(__file__).resolve().parents[1]
MIB = 1 << 20
CARD = """# {name}

---

model-name: {name}
backbone-name: bert
module-type: nlp
fine-tunable: true
model-version: 1.9
author: hubtool
update-time: 2026-11-23
user-id: hubtool
used-for: inference
mindspore-version: 1.9
asset:
{assets}
license: Apache-2.0
summary: Made by benchmarks/fetch.py.

---

## Introduction

Made by benchmarks/fetch.py.
"""
PLAIN = """
import hashlib, sys, requests
for line in open(sys.argv[1]):
    link, digest, name = line.split()
    sha = hashlib.sha256()
    with requests.get(link, stream=True) as response, open(sys.argv[2] + "/" + name, "wb") as target:
        for block in response.iter_content(1 << 20):
            target.write(block)
            sha.update(block)
    assert sha.hexdigest() == digest
"""
POOCH = """
import sys, pooch
pooch.get_logger().setLevel("ERROR")
for line in open(sys.argv[1]):
    link, digest, name = line.split()
    pooch.retrieve(link, "sha256:" + digest, fname=name, path=sys.argv[2])
"""
HUGGING = """
import hashlib, sys
from huggingface_hub.file_download import http_get
for line in open(sys.argv[1]):
    link, digest, name = line.split()
    with open(sys.argv[2] + "/" + name, "wb+") as target:
        http_get(link, target, displayed_filename=name)
        target.seek(0)
        assert hashlib.file_digest(target, "sha256").hexdigest() == digest
"""
ARIA = """
import subprocess, sys
text = ""
for line in open(sys.argv[1]):
    link, digest, name = line.split()
    text += f"{link}\\n out={name}\\n checksum=sha-256={digest}\\n"
command = ["aria2c", "-q", "-x4", "-j4", "--allow-overwrite=true", "-d", sys.argv[2], "-i", "-"]
subprocess.run(command, input=text, text=True, check=True)
"""
CURL = 'while read link digest name; do got=$(curl -sf "$link" | tee "$2/$name" | openssl dgst -sha256 -r); '
CURL += '[ "${got%% *}" = "$digest" ] || exit 1; done < "$1"'


def has(module: str) -> bool:
    """Whether Python can import a module."""
    return subprocess.run([sys.executable, "-c", f"import {module}"], capture_output=True, check=False).returncode == 0


def sides() -> tuple[dict[str, list[str]], list[str]]:
    """Return the commands to compare, each taking a list of files and a folder, and the names of those left out."""
    found = {"requests and hashlib": [sys.executable, "-c", PLAIN]}
    missing = []
    for name, tools, command in (
        ("curl | openssl dgst", ("curl", "openssl"), ["bash", "-c", CURL, "curl"]),
        ("aria2c -x4 --checksum", ("aria2c",), [sys.executable, "-c", ARIA]),
    ):
        if all(map(shutil.which, tools)):
            found[name] = command
        else:
            missing.append(name)
    for name, module, text in (("pooch", "pooch", POOCH), ("huggingface_hub", "huggingface_hub", HUGGING)):
        if has(module):
            found[name] = [sys.executable, "-c", text]
        else:
            missing.append(name)
    return found, missing


def timed(command: list[str], folder: Path, environ: dict[str, str]) -> tuple[float, float, int]:
    """Run a command; return its seconds, its processor seconds, and its peak memory in bytes."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    started = time.perf_counter()
    process = subprocess.Popen(command, env=environ, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    _, errors = b"", process.stderr.read() if process.stderr else b""
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - started
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        raise SystemExit(f"{command[:3]} failed: {errors.decode(errors='replace')[-2000:]}")
    return seconds, usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024


def write_card(registry: Path, name: str, files: list[tuple[str, str]]) -> str:
    """Write a card that names files; return its UID."""
    assets = [
        f"  - file-format: ckpt\n    asset-link: {link}\n    asset-sha256: {digest}\n    asset-id: a{number}"
        for number, (link, digest) in enumerate(files)
    ]
    path = registry / "benchmark" / "1.9" / f"{name}.md"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(CARD.format(name=name, assets="\n".join(assets)), encoding="utf-8")
    return f"benchmark/1.9/{name}"


def compare(title: str, folder: Path, files: list[tuple[str, str]], registry: Path, repeat: int) -> None:
    """Run all sides on some files, and print what they took."""
    listing = folder / "list"
    listing.write_text("".join(f"{link} {digest} {link.rpartition('/')[2]}\n" for link, digest in files))
    per_card = max(1, len(files) // 10)
    uids = [
        write_card(registry, f"files_{len(files)}_{at}", files[at : at + per_card])
        for at in range(0, len(files), per_card)
    ]
    own = {"PYTHONPATH": str(ROOT), "HUBTOOL_REGISTRY": str(registry), "HUBTOOL_HOME": str(folder / "out")}
    environ = environment(folder / "bytecode", **own)
    commands, missing = sides()
    if len(files) > 1:
        commands.pop("curl | openssl dgst", None)  # two processes for each file: that measures their starting
    all_sides = {"hubtool fetch": [sys.executable, "-m", "hubtool", "fetch", "-q", *uids]}
    all_sides.update({name: [*command, str(listing), str(folder / "out")] for name, command in commands.items()})
    results: dict[str, list[tuple[float, float, int]]] = {name: [] for name in all_sides}
    for _ in range(repeat):
        for name, command in all_sides.items():
            results[name].append(timed(command, folder / "out", environ))
    print(f"\n{title}, fastest of {repeat}:")
    best = min(results["hubtool fetch"])[0]
    for name, runs in results.items():
        seconds, processor, _ = min(runs)
        memory = max(run[2] for run in runs)
        print(
            f"  {name:24} {seconds:7.2f} s  {seconds / best:5.2f} of hubtool's"
            f"  (processor {processor:5.2f} s, peak {memory / MIB:4.0f} MiB)"
        )
    for name in missing:
        print(f"  {name:24} is not installed here: left out")


class Limited(BaseHTTPRequestHandler):
    """Gives each connection so many bytes per second, and answers late."""

    protocol_version = "HTTP/1.1"
    content = b""
    rate = 20e6
    latency = 0.04

    def log_message(self, *args: object) -> None:
        """Say nothing."""

    def do_GET(self) -> None:
        """Answer."""
        time.sleep(self.latency)
        text = self.headers.get("Range", "bytes=0-").partition("=")[2]
        first, _, last = text.partition("-")
        start, end = int(first), int(last) + 1 if last else len(self.content)
        self.send_response(206 if "Range" in self.headers else 200)
        self.send_header("Content-Length", str(end - start))
        self.send_header("Content-Range", f"bytes {start}-{end - 1}/{len(self.content)}")
        self.send_header("Accept-Ranges", "bytes")
        self.send_header("ETag", '"one"')
        self.end_headers()
        view, step, due = memoryview(self.content), 256 << 10, time.monotonic()
        try:
            for at in range(start, end, step):
                self.wfile.write(view[at : min(end, at + step)])
                due += step / self.rate
                time.sleep(max(0.0, due - time.monotonic()))
        except OSError:
            self.close_connection = True  # the client has enough


def limited(folder: Path, size: int, repeat: int) -> None:
    """Compare one connection and segments where each connection is limited."""
    Limited.content = os.urandom(size)
    digest = hashlib.sha256(Limited.content).hexdigest()
    server = ThreadingHTTPServer(("127.0.0.1", 0), Limited)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    link = f"http://127.0.0.1:{server.server_address[1]}/limited.ckpt"
    registry = folder / "registry"
    uid = write_card(registry, "limited", [(link, digest)])
    own = {"PYTHONPATH": str(ROOT), "HUBTOOL_REGISTRY": str(registry), "HUBTOOL_HOME": str(folder / "out")}
    environ = environment(folder / "bytecode", **own)
    seconds = {}
    for connections in (1, 8):
        command = [sys.executable, "-m", "hubtool", "fetch", "-q", "--connections", str(connections), uid]
        seconds[connections] = min(timed(command, folder / "out", environ)[0] for _ in range(repeat))
    server.shutdown()
    print(f"\n{size // MIB} MiB at 20 MB/s per connection and 40 ms:")
    print(f"  one connection  {seconds[1]:6.2f} s")
    print(f"  segments        {seconds[8]:6.2f} s  {seconds[1] / seconds[8]:.2f} times as fast")


def main() -> None:
    """Run everything."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="a tenth of the bytes, two runs")
    parser.add_argument("--folder", type=Path, help="where to put files; in memory, where there is /dev/shm")
    parser.add_argument("--repeat", type=int, default=5)
    parser.add_argument("--only", choices=["large", "small", "limited"])
    options = parser.parse_args()
    place = options.folder or (Path("/dev/shm") if Path("/dev/shm").is_dir() else None)  # noqa: S108 (memory)
    repeat = 2 if options.quick else options.repeat  # the first one compiles
    scale = 10 if options.quick else 1
    with tempfile.TemporaryDirectory(dir=place) as name:
        folder = Path(name)
        registry = folder / "registry"
        registry.mkdir()
        if options.only == "limited":
            limited(folder, 100 * MIB, repeat)
            limited(folder, 1024 * MIB // scale, 1)
            return
        if shutil.which("nginx") is None:
            print("nginx is not installed here: the rest is left out")
            return
        (folder / "www").mkdir()
        with nginx(folder, folder / "www") as base:
            if options.only in (None, "large"):
                for size in (1024 // scale, 100):
                    sha = hashlib.sha256()
                    with (folder / "www" / "large.ckpt").open("wb") as target:
                        for _ in range(size):
                            block = os.urandom(MIB)
                            sha.update(block)
                            target.write(block)
                    files = [(f"{base}/large.ckpt", sha.hexdigest())]
                    compare(f"one file of {size} MiB", folder, files, registry, repeat)
            if options.only in (None, "small"):
                files = []
                for number in range(1000 // scale):
                    content = os.urandom(100 << 10)
                    (folder / "www" / f"{number}.ckpt").write_bytes(content)
                    files.append((f"{base}/{number}.ckpt", hashlib.sha256(content).hexdigest()))
                compare(f"{len(files)} files of 100 KiB", folder, files, registry, repeat)
        if options.only is None:
            # Last: it holds its file in this process.
            limited(folder, 100 * MIB, repeat)
            limited(folder, 1024 * MIB // scale, 1)
    print(json.dumps({"cpus": os.cpu_count(), "load": os.getloadavg()}))


if __name__ == "__main__":
    main()
