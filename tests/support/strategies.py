"""Cards of every kind, for Hypothesis: valid, mutated, random bytes."""

from __future__ import annotations

import codecs

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from hubtool.card import schema

RELAXED = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])

WORDS = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=12)
PLAIN = st.sampled_from(
    [
        "a",
        "1.9",
        "1.10",
        "010",
        "2022-10-11",
        "2022-8-1",
        "2022/8/1",
        "2022-02-30",
        "Apache2.0",
        "apache-2.0",
        "N/A",
        "-",
        "no",
        "imagenet2012",
        "CIFAR-10",
        "x: y",
        "x:",
        "'q'",
        '"q"',
        "'1.10'",
        "@x",
        "*x",
        "&x y",
        "!t x",
        "[a, b",
        "{a: b}",
        "| ",
        "> x",
        "<https://gitee.com/x>",
        "http://gitee.com/x.ckpt",
        "https://example.org/x.onnx",
        "ABCDEF0123456789",
        "a" * 64,
        "True",
        "yes",
        "# c",
        "a # c",
        "模型：一",
        "\ta",
        "a\tb",
        "top1acc76.97 | top5acc93.44",
        "very good",
        ".CKPT",
        "v1.9",
        "",
    ]
)
KEYS = st.sampled_from(
    [
        *schema.known_keys(),
        "模型名称",
        "许可证",
        "Model_Name",
        "licence",
        "vit-repo-link",
        "unknown",
        "asset-link",
        "train-datasets",
    ]
)
COLONS = st.sampled_from([": ", ":", "：", ":\t", ":   ", " : "])
ENDS = st.sampled_from(["", " ", "\t", "  # note", " # note: x"])
BLANKS = st.sampled_from(["", "\n", "\n\n", "# a comment: x\n", "<<<<<<< a\n"])


@st.composite
def entries(draw: st.DrawFn) -> str:
    key, colon, end = draw(KEYS), draw(COLONS), draw(ENDS)
    kind = draw(st.integers(0, 5))
    if kind == 0:
        dash = draw(st.sampled_from(["- ", "-\n    ", "  - ", "-   "]))
        inner = "\n    ".join(
            f"{draw(KEYS | st.sampled_from(schema.known_keys('asset')))}: {draw(PLAIN)}" for _ in range(2)
        )
        return f"asset:\n\n{dash}{inner}\n"
    if kind == 1:
        return f"{key}: |\n  block: text  \n\n  # no comment\n"
    return f"{key}{colon}{draw(PLAIN | WORDS)}{end}\n"


@st.composite
def cards(draw: st.DrawFn) -> bytes:
    lines = "".join(part for _ in range(draw(st.integers(0, 8))) for part in (draw(entries()), draw(BLANKS)))
    title = draw(st.sampled_from(["# tiny\n\n", "# Other name\n", "", "<!-- hubtool: ignore HT2 -->\n# t\n", "text\n"]))
    body = draw(
        st.sampled_from(
            ["", "\n## Usage\n\n```python\nload('hub/1.9/x')\n", "\n---\n", "\n#### x\n[a](b)\n", "\n# t\n<!--\n"]
        )
        | WORDS
    )
    text = f"{title}---\n{lines}---\n{body}"
    if draw(st.booleans()):
        text = text.replace("\n", "\r\n")
    return draw(st.sampled_from([b"", codecs.BOM_UTF8])) + text.encode("utf-8", "surrogatepass")


@st.composite
def mutated(draw: st.DrawFn) -> bytes:
    data = bytearray(draw(cards()))
    for _ in range(draw(st.integers(1, 4))):
        place = draw(st.integers(0, len(data)))
        data[place : place + draw(st.integers(0, 6))] = draw(st.binary(max_size=6))
    return bytes(data)


ANY = cards() | mutated() | st.binary(max_size=300)
