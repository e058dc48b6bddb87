"""What assets are called in events: each of a run as no other one."""

from __future__ import annotations

from hubtool.transfer.events import FetchRequest, Labels, total


def wanted(name: str, uid: str = "", size: int | None = None) -> FetchRequest:
    return FetchRequest(link=f"https://gitee.com/{uid}/{name}?token=SECRET", digest=None, size=size, name=name, uid=uid)


def labels(*given: FetchRequest) -> list[str]:
    named = Labels()
    return [named.label(one).label for one in given]


def test_names_that_are_free_stay_as_they_are() -> None:
    assert labels(wanted("a.ckpt", "p/1/a"), wanted("b.ckpt", "p/1/b")) == ["a.ckpt", "b.ckpt"]
    one = wanted("a.ckpt", "p/1/a")
    assert Labels().label(one) is one


def test_names_that_are_taken_get_what_tells_them_apart() -> None:
    assert labels(
        wanted("m.ckpt", "p/1/a"),
        wanted("m.ckpt", "p/1/a"),
        wanted("m.ckpt", "p/1/b"),
        wanted("m.ckpt", "p/1/b"),
        wanted("m.ckpt", "p/1/b"),
        wanted("m.ckpt", "p/1/a"),
    ) == ["m.ckpt", "m.ckpt (2)", "m.ckpt (p/1/b)", "m.ckpt (p/1/b, 2)", "m.ckpt (p/1/b, 3)", "m.ckpt (3)"]


def test_names_that_look_like_ours() -> None:
    found = labels(wanted("m (2)", "a"), wanted("m", "a"), wanted("m", "a"), wanted("m (b)", "c"), wanted("m", "b"))
    assert len({*found}) == 5


def test_a_thousand_of_one_name() -> None:
    found = labels(*[wanted("m.ckpt", "p/1/a")] * 1000, *[wanted("m.ckpt", f"p/1/{number}") for number in range(1000)])
    assert len({*found}) == 2000


def test_an_asset_without_a_name_is_called_by_its_link() -> None:
    assert labels(wanted("", "x"), wanted("", "x")) == ["https://gitee.com/x/?...", "https://gitee.com/x/?... (2)"]


def test_a_total_is_known_or_not() -> None:
    assert total([]) == 0
    assert total([wanted("a", size=2), wanted("b", size=3)]) == 5
    assert total([wanted("a", size=2), wanted("b")]) is None
