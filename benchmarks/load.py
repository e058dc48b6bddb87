"""A warm `hubtool.load` against construction, `load_checkpoint` and `load_param_into_net`, at the size of BERT-base.

    python benchmarks/load.py

Makes a checkpoint of BERT-base with BiLSTM and CRF (random weights, 423 MB) in a temporary registry, loads it once
with hubtool so that it is warm, and then runs both sides several times, each time in a process of its own. `import
mindspore` is not counted on either side. Prints the median seconds, their ratio, and the peak memory of the warm load
beyond what the process had after `import mindspore`, against the size of the tensors.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

UID = "benchmark/1.9/bert_base_bilstm_crf"
CONFIG = {"num_labels": 12, "use_crf": True, "with_lstm": True, "num_attention_heads": 12}

CARD = """# bert_base_bilstm_crf

---

model-name: bert_base
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
  - file-format: ckpt
    asset-link: bert.ckpt
    asset-sha256: {digest}
network:
  provider: builtin
  entry: bert-ner
license: Apache-2.0
summary: BERT-base with a BiLSTM and a CRF, with random weights.

---

## Introduction

Made by benchmarks/load.py.
"""


def peak_bytes() -> int:
    """Return the most memory that this process has had in RAM, in bytes."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return next(int(line.split()[1]) * 1024 for line in status.splitlines() if line.startswith("VmHWM"))


def reset_peak() -> int:
    """Forget the peak so far; return the memory in RAM now, in bytes."""
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
    return peak_bytes()


def make(folder: Path) -> None:
    """Write the registry with its checkpoint."""
    import mindspore
    import numpy as np

    from hubtool.digest import digest_file
    from hubtool.networks.builtin import infer, parameters

    config = infer("bert-ner", CONFIG, {}).config
    numbers = np.random.default_rng(0)
    entries = [
        {"name": name, "data": mindspore.Tensor(numbers.standard_normal(shape, np.float32) * np.float32(0.02))}
        for name, shape in parameters("bert-ner", config).items()
    ]
    cards = folder / "registry" / Path(UID).parent
    cards.mkdir(parents=True)
    mindspore.save_checkpoint(entries, str(cards / "bert.ckpt"))
    digest = digest_file(cards / "bert.ckpt")
    (folder / "registry" / f"{UID}.md").write_text(CARD.format(digest=digest), encoding="utf-8")


def plain(folder: Path) -> dict[str, float]:
    """Construct with initialisation, read the .ckpt, and put it into the network."""
    import time

    import mindspore

    from hubtool.networks.builtin import build, infer

    config = infer("bert-ner", CONFIG, {}).config
    base = reset_peak()
    start = time.perf_counter()
    network = build("bert-ner", config)
    values = mindspore.load_checkpoint(str(folder / "registry" / Path(UID).parent / "bert.ckpt"))
    missing, unexpected = mindspore.load_param_into_net(network, values)
    seconds = time.perf_counter() - start
    if missing or unexpected:
        raise SystemExit(f"the checkpoint does not fit: {missing} {unexpected}")
    return {
        "seconds": seconds,
        "peak": peak_bytes() - base,
        "check": float(network.bert.dense_1.weight.asnumpy().sum()),
    }


def warm(folder: Path) -> dict[str, float]:
    """Load with hubtool what was loaded before."""
    import time

    import mindspore  # noqa: F401 - not counted

    import hubtool

    os.environ.update(HUBTOOL_REGISTRY=str(folder / "registry"), HUBTOOL_HOME=str(folder / "home"), HUBTOOL_OFFLINE="1")
    base = reset_peak()
    start = time.perf_counter()
    network = hubtool.load(UID)
    seconds = time.perf_counter() - start
    # Reading every value makes every page of the mapped file count, as the first forward pass would.
    total = sum(float(parameter.asnumpy().ravel()[::997].sum()) for parameter in network.get_parameters())
    touched = sum(int(parameter.asnumpy().view("u1").max()) >= 0 for parameter in network.get_parameters())
    if not touched or total != total:  # noqa: PLR0124 - not a number
        raise SystemExit("the weights cannot be read")
    elements = sum(parameter.size for parameter in network.get_parameters())
    return {
        "seconds": seconds,
        "peak": peak_bytes() - base,
        "check": float(network.bert.dense_1.weight.asnumpy().sum()),
        "bytes": elements * 4,
    }


def make_room() -> None:
    """Have the system give up page cache until 2 GiB are free.

    MindSpore's `load_checkpoint` compares the size of a file with the memory that is *free*, not available,
    and so refuses on a machine whose memory is full of page cache. Memory that a process used and returned is free.
    """
    script = "block = bytearray(2 << 30)\nfor at in range(0, len(block), 4096): block[at] = 1"
    subprocess.run([sys.executable, "-c", script], check=True)


def run(side: str, folder: Path) -> dict[str, float]:
    """Run one side in a process of its own."""
    make_room()
    command = [sys.executable, __file__, "--side", side, "--folder", str(folder)]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, env={**os.environ, "GLOG_v": "3"})
    result: dict[str, float] = json.loads(done.stdout.splitlines()[-1]) if side != "make" else {}
    return result


def main() -> None:
    """Run both sides and print the ratio."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeat", type=int, default=5, help="how often each side runs")
    parser.add_argument("--side", choices=["make", "plain", "warm"], help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.side == "make":
        make(options.folder)
        return
    if options.side:
        print(json.dumps({"plain": plain, "warm": warm}[options.side](options.folder)))
        return
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        run("make", folder)
        cold = run("warm", folder)
        sides: dict[str, list[dict[str, float]]] = {"plain": [], "warm": []}
        for _ in range(options.repeat):
            for side, runs in sides.items():
                runs.append(run(side, folder))
    if {round(one["check"], 4) for runs in sides.values() for one in runs} != {round(cold["check"], 4)}:
        raise SystemExit("the two sides loaded different weights")
    seconds = {side: statistics.median(one["seconds"] for one in runs) for side, runs in sides.items()}
    peak = {side: max(one["peak"] for one in runs) for side, runs in sides.items()}
    size = cold["bytes"]
    rows = [
        ("tensors", f"{size / 1e6:8.1f} MB"),
        (
            "construct + load_checkpoint + place",
            f"{seconds['plain']:8.3f} s, peak {peak['plain'] / size:.2f} x tensors",
        ),
        ("hubtool.load, first time (converts)", f"{cold['seconds']:8.3f} s"),
        ("hubtool.load, warm", f"{seconds['warm']:8.3f} s, peak {peak['warm'] / size:.2f} x tensors"),
        ("ratio (target: at least 25)", f"{seconds['plain'] / seconds['warm']:8.1f}"),
        ("peak (target: at most 1.30)", f"{peak['warm'] / size:8.2f}"),
    ]
    for name, value in rows:
        print(f"{name:<36} {value}")


if __name__ == "__main__":
    main()
