"""Metrics read from cards."""

from __future__ import annotations

import re

import pytest

from hubtool.card import document, metrics, vocabulary
from tests.support import corpus


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("F1score96.07", [("F1score", "96.07", "")]),
        ("top1acc76.97 | top5acc93.44", [("top1acc", "76.97", ""), ("top5acc", "93.44", "")]),
        ("top1acc76.00", [("top1acc", "76.00", "")]),
        ("acc1.72e-05", [("acc", "1.72e-05", "")]),
        ("avgReward-9.11", [("avgReward", "-9.11", "")]),
        ("F-score84.5", [("F-score", "84.5", "")]),
        ("set5psnr32.57", [("set5psnr", "32.57", "")]),
        ("MR3340", [("MR", "3340", "")]),
        ("3.2mos", [("mos", "3.2", "")]),
        ("2.2m | 3.44d", [("m", "2.2", ""), ("d", "3.44", "")]),
        ("0.5macc75", [("0.5macc", "75", "")]),
        ("100%-EER:98.73 | TRP@FAR=0.1%:95.6", [("100%-EER", "98.73", ""), ("TRP@FAR=0.1%", "95.6", "")]),
        ("mAP@.5IoU45.2", [("mAP@.5IoU", "45.2", "")]),
        ("ctc greedy search CER5.62", [("ctc greedy search CER", "5.62", "")]),
        ("acc: 93.1 %", [("acc", "93.1", "%")]),
        ("精度93.1", [("精度", "93.1", "")]),
    ],
)
def test_metrics(text: str, found: list[tuple[str, str, str]]) -> None:
    read = metrics.parse(text)
    assert [(metric.name, metric.value, metric.unit) for metric in read.metrics] == found
    assert read.unread == ()
    assert [metric.number for metric in read.metrics] == [float(value) for _, value, _ in found]


@pytest.mark.parametrize("text", ["", "no", "-", "very good", "96.07", "a" * 1000, "|"])
def test_what_is_no_metric(text: str) -> None:
    read = metrics.parse(text)
    assert read.metrics == ()
    assert read.unread


def test_the_corpus_is_read_and_written() -> None:
    for path in corpus():
        line = re.search(r"^evaluation[ \t]*:(.*)$", document.parse(path.read_bytes()).front_matter or "", re.MULTILINE)
        if line is None or vocabulary.says_nothing(line[1]):
            continue
        read = metrics.parse(line[1].strip())
        assert read.unread == (), path
        written = " | ".join(map(str, read.metrics))
        assert metrics.parse(written) == read, path


@pytest.mark.parametrize("name", ["mape", "MAPE", "prefixsearchLER", "AvgHausdorffDistance", "hausdorffdistance"])
def test_less_of_an_error_or_a_distance_is_better(name: str) -> None:
    assert metrics.is_less_better(name)
