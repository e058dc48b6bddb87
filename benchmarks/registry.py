"""How the registry's index grows with the number of cards: time and memory against n.

    python benchmarks/registry.py [--cards 1000 10000 100000]

For each n, cards are generated into a folder, and in processes of their own: the index is built; opened again
unchanged; brought up to date after one changed card; searched (the median of ten queries); and a UID is resolved, in
a process that has no index to help it. Times are those of the processor, which other work on the machine does not
change, with those of the clock behind them. The exponent is the slope of log(time) against log(n) between the smallest
and the largest n: 0 is constant, 1 is linear.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import random
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

TASKS = ("cv-classification", "cv-object_detection", "nlp-machine_translation", "audio-speech_recognition", "gnn", "rl")
SETS = ("ImageNet2012", "COCO2017", "CIFAR-10", "WMT", "LibriSpeech", "Cora", "SQuAD")
NAMES = ("resnet", "bert", "yolo", "unet", "transformer", "conformer", "mobilenet", "gcn", "ssd", "vit", "crnn", "gan")
QUERIES = (
    "resnet",
    "bert squad",
    "yolo coco 1.9",
    "图像分类",
    "目标",
    "speech",
    "unet17",
    "mobile net",
    "gan cifar",
    "vit 101",
)
CARD = """# {name}

---

model-name: {model}
backbone-name: {model}
module-type: {task}
fine-tunable: true
model-version: '{version}'
train-dataset: {dataset}
evaluation: acc {metric}
author: A Team
update-time: 2026-11-23
repo-link: https://gitee.com/mindspore/models/tree/r{version}/official/{model}
user-id: {publisher}
used-for: inference
mindspore-version: '{version}'
asset:
  - file-format: ckpt
    asset-link: https://download.mindspore.cn/models/r{version}/{name}.ckpt
    asset-sha256: {digest}
license: Apache-2.0
summary: {model} trained on {dataset}.

---

## Introduction

{model} is a network that was generated for a benchmark.

## Usage

```python
import mindspore_hub as mshub

network = mshub.load("{publisher}/{version}/{name}")
```
"""


def generate(folder: Path, count: int) -> str:
    """Write so many cards; return the UID of one in the middle."""
    chance = random.Random(count)  # noqa: S311 - the same cards each time
    uid = ""
    for number in range(count):
        model = f"{chance.choice(NAMES)}{chance.randrange(200)}"
        dataset = chance.choice(SETS)
        version = f"1.{number % 20}"
        publisher = f"team{number % 5}"
        name = f"{model}_{dataset.lower()}_{number}"
        path = folder / publisher / version / f"{name}.md"
        path.parent.mkdir(parents=True, exist_ok=True)
        text = CARD.format(
            name=name,
            model=model,
            task=chance.choice(TASKS),
            version=version,
            dataset=dataset,
            metric=round(chance.uniform(50, 99), 2),
            publisher=publisher,
            digest=f"{chance.getrandbits(256):064x}",
        )
        path.write_text(text, encoding="utf-8")
        if number == count // 2:
            uid = f"{publisher}/{version}/{name}"
    return uid


def measure(what: str, folder: Path, home: Path, uid: str) -> None:
    """Do one thing in this process, and print its seconds and the process' memory as JSON."""
    from hubtool.registry import FolderRegistry, Registries
    from hubtool.registry.index import SearchIndex
    from hubtool.uid import Uid

    members = (FolderRegistry(folder),)
    times: list[tuple[float, float]] = []

    def timed(act: Callable[[], object]) -> None:
        start = processor(), time.perf_counter()
        act()
        times.append((processor() - start[0], time.perf_counter() - start[1]))

    if what == "search":
        with SearchIndex.open(home, members) as index:
            for query in QUERIES:
                timed(lambda query=query: index.search(query))
    elif what == "resolve":
        registries = Registries(members, home)
        timed(lambda: registries.read(Uid.parse(uid)))
    else:
        timed(lambda: SearchIndex.open(home, members).close())
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    cpu, clock = (statistics.median(column) for column in zip(*times, strict=True))
    print(json.dumps({"seconds": cpu, "clock": clock, "mib": peak}))


def processor() -> float:
    """Return the seconds of processor that this process and its ended workers have used."""
    workers = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + workers.ru_utime + workers.ru_stime


def run(what: str, folder: Path, home: Path, uid: str) -> dict[str, float]:
    """Measure one thing in a process of its own."""
    command = [sys.executable, __file__, "--measure", what, str(folder), str(home), uid]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    found: dict[str, float] = json.loads(done.stdout)
    return found


def measure_all(count: int) -> dict[str, dict[str, float]]:
    """Return the seconds and the memory of everything, for a number of cards."""
    with tempfile.TemporaryDirectory() as place:
        folder, home = Path(place, "registry"), Path(place, "home")
        uid = generate(folder, count)
        # Cards of the last two seconds are read again, in case they change once more within a tick of the clock.
        time.sleep(2.5)
        found = {"build": run("build", folder, home, uid), "unchanged": run("open", folder, home, uid)}
        card = folder / f"{uid}.md"
        card.write_text(card.read_text(encoding="utf-8").replace("A Team", "Another Team"), encoding="utf-8")
        found["one changed"] = run("open", folder, home, uid)
        found["search"] = run("search", folder, home, uid)
        size = sum(path.stat().st_size for path in (home / "index").iterdir()) / 2**20
        shutil.rmtree(home)
        found["resolve"] = min((run("resolve", folder, home, uid) for _ in range(3)), key=lambda one: one["seconds"])
        found["file"] = {"seconds": math.nan, "mib": size}
        return found


def main() -> None:
    """Measure for each number of cards and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cards", type=int, nargs="+", default=[1_000, 10_000, 100_000], help="the numbers of cards")
    parser.add_argument("--measure", nargs=4, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.measure:
        what, folder, home, uid = arguments.measure
        measure(what, Path(folder), Path(home), uid)
        return
    counts: list[int] = sorted(arguments.cards)
    found = {count: measure_all(count) for count in counts}
    print(f"{'':<12}" + "".join(f"{count:>32,}" for count in counts) + f"{'exponent':>10}")
    for name in ("build", "unchanged", "one changed", "search", "resolve"):
        row = [found[count][name] for count in counts]
        cells = "".join(
            f"{one['seconds'] * 1000:>10.1f} ({one['clock'] * 1000:>7.0f}) ms {one['mib']:>5.0f} MiB" for one in row
        )
        slope = math.nan
        if len(counts) > 1:
            slope = math.log(row[-1]["seconds"] / row[0]["seconds"]) / math.log(counts[-1] / counts[0])
        print(f"{name:<12}{cells}{slope:>10.2f}")
    print(f"{'file':<12}" + "".join(f"{found[count]['file']['mib']:>28.1f} MiB" for count in counts))


if __name__ == "__main__":
    os.environ.setdefault("PYTHONHASHSEED", "0")
    main()
