"""What discovery says of a failure is fit for others to read."""

from __future__ import annotations

import pytest

from maintain.discovery.run import without_folders


@pytest.mark.parametrize(
    ("text", "plain"),
    [
        ("no name 'x' (/home/me/r1.9/opt/config.py) (src/a.py:22)", "no name 'x' (config.py) (src/a.py:22)"),
        ("No such file or directory: '/cache/data/model.ckpt'", "No such file or directory: 'model.ckpt'"),
        (
            "see https://gitee.com/mindspore/models, a/b/c.py, 1/2",
            "see https://gitee.com/mindspore/models, a/b/c.py, 1/2",
        ),
        ("", ""),
    ],
)
def test_folders_of_this_machine_are_left_out(text: str, plain: str) -> None:
    assert without_folders(text) == plain
