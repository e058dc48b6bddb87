"""Record what MindSpore 2.0.0 computes for the small networks of the tests: tests/oracles/kinds.json.

    python tools/record_kinds.py PYTHON

PYTHON is a Python 3.9 with MindSpore 2.0.0, as `python -m maintain oracle --environment DIR` builds one.
"""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))  # tests/ and maintain/ are in the checkout only


def main() -> None:
    """Run the oracle on a repository with all kinds, and write the answers."""
    from hubtool.card import model
    from hubtool.sandbox.limits import ProgramLimits
    from hubtool.uid import Uid
    from maintain.oracle import run, settle
    from maintain.oracle.plan import OLD, plan
    from tests.support import kinds

    with tempfile.TemporaryDirectory() as name:
        root = kinds.repository(Path(name) / "kinds")
        head = "# net\n\n---\n\nmodel-name: net\n"
        cards = [
            model.read(
                f"{head}repo-link: https://example.org/a/b/tree/main/kinds/{kind}\nnetwork:\n{kinds.recipe(kind)}\n---\n".encode(),
                uid=Uid.parse(f"kinds/1.9/{kind}"),
            )
            for kind in kinds.KINDS
        ]
        jobs, reasons = plan(cards, checkout=str(root))
        if reasons:
            sys.exit(str(reasons))
        records = run.run(
            jobs,
            sources=(OLD,),
            python=Path(sys.argv[1]),
            report=Path(name) / "records.jsonl",
            limits=ProgramLimits(seconds=120),
        )
    answers = {}
    for record in records.values():
        kind = record["uids"][0].rpartition("/")[2]
        if record["reason"]:
            sys.exit(f"{kind}: {record['reason']}")
        answers[kind] = settle.answer_of(OLD, record).as_json()
    path = ROOT / "tests/oracles/kinds.json"
    path.write_text(json.dumps(dict(sorted(answers.items())), indent=1) + "\n", encoding="utf-8")
    print(f"{path}: {len(answers)} answers")


if __name__ == "__main__":
    main()
