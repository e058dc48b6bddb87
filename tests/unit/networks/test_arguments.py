"""Arguments without a name, and those that an entry point does not take."""

from __future__ import annotations

from typing import Any

import pytest

from hubtool.errors import ArgumentTypeError, RecipeError
from hubtool.networks.builtin.inference import infer
from hubtool.networks.entry_point import bound


def lenet(num_class: int = 10, num_channel: int = 1, *, include_top: bool = True) -> None:
    """Stand for a constructor."""


def create_network(name: str, *args: Any, **kwargs: Any) -> None:
    """Stand for the public hub's convention."""


def alexnet(num_classes: int, /) -> None:
    """Stand for a constructor whose argument has no name."""


@pytest.mark.parametrize(
    ("entry", "positional", "arguments", "called"),
    [
        (lenet, (), {"num_class": 10}, ((), {"num_class": 10})),
        (lenet, (5,), {"num_class": 10, "include_top": True}, ((), {"num_class": 5, "include_top": True})),
        (lenet, (5, 3), {}, ((), {"num_class": 5, "num_channel": 3})),
        (create_network, (10,), {"name": "lenet", "x": 1}, (("lenet", 10), {"x": 1})),
        (create_network, (), {"name": "lenet"}, ((), {"name": "lenet"})),
        (print, (1, 2), {}, ((1, 2), {})),
    ],
)
def test_arguments_without_a_name_go_to_the_signature(
    entry: Any, positional: tuple[object, ...], arguments: dict[str, object], called: object
) -> None:
    assert bound(entry, "src.net:Net", positional, arguments) == called


@pytest.mark.parametrize(
    ("positional", "arguments", "part"),
    [
        ((), {"num_labels": 5}, "did you mean 'num_class'? its arguments are num_class, num_channel, include_top"),
        ((), {"class_num": 5}, "did you mean 'num_class'?"),
        ((), {"num_chanel": 5}, "did you mean 'num_channel'?"),
        ((), {"zzz": 5}, "its arguments are num_class"),
        ((1, 2, 3), {}, "takes at most 2 arguments without a name, but 3 were given"),
    ],
)
def test_what_an_entry_does_not_take_is_named_with_what_it_takes(
    positional: tuple[object, ...], arguments: dict[str, object], part: str
) -> None:
    with pytest.raises((ArgumentTypeError, RecipeError)) as caught:
        bound(lenet, "src.lenet:LeNet5", positional, arguments)
    assert part in str(caught.value)
    assert "src.lenet:LeNet5" in caught.value.message


@pytest.mark.parametrize("name", ["class_num", "num_classes", "num_class", "n_classes"])
def test_the_class_argument_of_built_in_networks_is_proposed(name: str) -> None:
    with pytest.raises(RecipeError) as caught:
        infer("bert-ner", {}, {}, overrides={name: 5})
    assert caught.value.hint is not None
    assert caught.value.hint.startswith("did you mean 'num_labels'?")
