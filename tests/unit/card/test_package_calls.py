"""Which calls of installed packages need consent: everything that the table of calls does not list."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

import pytest

from hubtool import loader, resources
from hubtool.card import package_calls
from hubtool.card.model import Recipe
from hubtool.errors import HubError, NetworkError, RecipeError
from hubtool.hub import Hub
from hubtool.registry.folder import read_card
from hubtool.resolution import trust
from hubtool.resolution.trust import TrustList
from hubtool.settings import Settings
from tests.support.cards import write_local

if TYPE_CHECKING:
    from pathlib import Path

CODE = "__import__('os').system('touch ran')"
YOLO: dict[str, Any] = {
    "model_name": "yolov5",
    "num_classes": 80,
    "model_cfg": {
        "anchors": [[10, 13, 16, 30]],
        "stride": [8, 16],
        "depth_multiple": 0.33,
        "width_multiple": 0.5,
        "backbone": [[-1, 1, "ConvNormAct", [64, 6, 2, "act=nn.SiLU()"]]],
        "head": [[[-1, 0], 1, "YOLOv5Head", ["nc", "anchors", "stride"]]],
    },
}


def recipe(entry: str, **arguments: object) -> Recipe:
    return Recipe(provider="package", entry=entry, arguments=arguments)


def yolo(change: Any) -> Recipe:
    arguments = copy.deepcopy(YOLO)
    change(arguments)
    return recipe("mindyolo.models:create_model", **arguments)


def nested(depth: int) -> object:
    value: object = CODE
    for _ in range(depth):
        value = [value]
    return value


def test_every_packaged_card_passes_the_table() -> None:
    root = resources.registry_folder()
    cards = [path for path in root.rglob("*.md") if b"provider: package" in path.read_bytes()]
    assert len(cards) == 116
    for path in cards:
        found = read_card(path, None).recipe
        assert found is not None
        assert package_calls.outside(found) is None, path
        assert trust.decide_call(found, TrustList()) is None


HOSTILE = [
    recipe("mindcv.utils.amp:auto_mixed_precision", amp_cast_list=CODE),
    recipe("mindcv.utils.download:DownLoad", url="https://evil.example"),
    recipe("mindcv.models:build_model", model_name="resnet50"),
    recipe("mindaudio.models:anything"),
    recipe("mindcv.models:create_model", model_name="resnet50", amp_cast_list=CODE),
    recipe("mindcv.models:create_model", model_name="resnet50", checkpoint_path="/etc/passwd"),
    recipe("mindcv.models:create_model", model_name="resnet50", pretrained=True),
    recipe("mindcv.models:create_model", model_name="resnet50", num_classes=10**12),
    recipe("mindcv.models:create_model", model_name="resnet50", num_classes="5"),
    recipe("mindcv.models:create_model", model_name="resnet50\n"),
    recipe("mindcv.models:create_model", model_name=["resnet50"]),
    recipe("mindcv.models:create_model"),
    recipe("mindocr.models:build_model", name_or_config={"backbone": {"name": "SVTRNet", "norm_layer": CODE}}),
    recipe("mindocr.models:build_model", name_or_config="crnn_vgg7", ckpt_load_path="x.ckpt"),
    yolo(lambda to: to["model_cfg"]["backbone"][0].__setitem__(2, CODE)),
    yolo(lambda to: to["model_cfg"]["backbone"][0][3].append(CODE)),
    yolo(lambda to: to["model_cfg"]["backbone"][0][3].append(f"act={CODE}")),
    yolo(lambda to: to["model_cfg"]["backbone"][0][3].append("act=nn.SiLU().__class__")),
    yolo(lambda to: to["model_cfg"]["backbone"][0][3].append([CODE])),
    yolo(lambda to: to["model_cfg"]["head"][0][3].append({"a": CODE})),
    yolo(lambda to: to["model_cfg"]["head"][0].__setitem__(0, CODE)),
    yolo(lambda to: to["model_cfg"]["head"][0].__setitem__(1, 10**9)),
    yolo(lambda to: to["model_cfg"]["backbone"][0][3].__setitem__(0, 10**9)),
    yolo(lambda to: to["model_cfg"]["backbone"].extend([[-1, 1, "ConvNormAct", [64]]] * 1000)),
    yolo(lambda to: to["model_cfg"].__setitem__("backbone", CODE)),
    yolo(lambda to: to["model_cfg"].__setitem__("width_multiple", 10**9)),
    yolo(lambda to: to["model_cfg"].__setitem__("recompute", True)),
    yolo(lambda to: to["model_cfg"].__setitem__("anchors", CODE)),
    yolo(lambda to: to.__setitem__("checkpoint_path", "x.ckpt")),
]


def test_a_call_in_the_table_needs_no_consent() -> None:
    assert package_calls.outside(yolo(lambda _: None)) is None


@pytest.mark.parametrize("hostile", HOSTILE)
def test_what_the_table_does_not_list_needs_consent(hostile: Recipe) -> None:
    decision = trust.decide_call(hostile, TrustList())
    assert decision is not None
    assert not decision.allowed
    assert decision.hint is not None
    assert f"hubtool trust add {decision.entry}" in decision.hint
    assert "table" in decision.why
    assert len(decision.why) < 1000
    assert decision.entry is not None
    assert trust.parse_entry(decision.entry) == decision.entry


def test_agreement_is_bound_to_package_entry_and_arguments() -> None:
    asked = recipe("mindcv.utils.amp:auto_mixed_precision", amp_cast_list="[nn.Conv2d]")
    decision = trust.decide_call(asked, TrustList())
    assert decision is not None
    assert decision.entry is not None
    agreed = TrustList().add(decision.entry)
    again = trust.decide_call(asked, agreed)
    assert again is not None
    assert again.allowed
    for other in (
        recipe("mindcv.utils.amp:auto_mixed_precision", amp_cast_list=CODE),
        recipe("mindcv.utils.amp:other", amp_cast_list="[nn.Conv2d]"),
        recipe("mindyolo.utils.amp:auto_mixed_precision", amp_cast_list="[nn.Conv2d]"),
    ):
        unasked = trust.decide_call(other, agreed)
        assert unasked is not None
        assert not unasked.allowed
    now = trust.decide_call(asked, TrustList(), agreed_now=True)
    assert now is not None
    assert now.allowed
    package = trust.decide_call(asked, TrustList().add("package/mindcv"))
    assert package is not None
    assert package.allowed


def test_what_the_users_own_call_gives_needs_no_consent() -> None:
    odd = recipe("mindcv.models:create_model", model_name="resnet50", num_classes=10**12)
    assert trust.decide_call(odd, TrustList(), overridden=("num_classes",)) is None
    assert trust.decide_call(odd, TrustList(), overridden=("in_channels",)) is not None
    extra = recipe("mindcv.models:create_model", model_name="resnet50", features_only=True)
    assert trust.decide_call(extra, TrustList(), overridden=("features_only",)) is None


@pytest.mark.parametrize("arguments", [{"a": nested(17)}, {"a": nested(100_000)}, {"a": [0] * 30_000}])
def test_arguments_that_are_too_large_are_an_error(arguments: dict[str, object]) -> None:
    with pytest.raises(RecipeError, match="too large"):
        package_calls.outside(recipe("mindcv.models:create_model", **arguments))


PACKAGE = """
import os
def create_model(**arguments):
    open(os.environ["RAN"], "w").close()
    raise SystemExit
auto_mixed_precision = create_model
"""


def _hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, entry: str, argument: str) -> tuple[Hub, Path]:
    """Return a hub with one card that calls a package, and the file that the package writes when it is called."""
    registry = tmp_path / "registry"
    path = write_local(registry, "tests/2.10/net", b"a")
    head, _, rest = path.read_text("utf-8").partition("network:\n")
    network = f"network:\n  provider: package\n  entry: {entry}\n  arguments:\n    {argument}\n"
    path.write_text(head + network + rest[rest.index("license:") :], encoding="utf-8")
    package = tmp_path / "site" / "mindcv"
    (package / "utils").mkdir(parents=True)
    for name in ("__init__.py", "models.py", "utils/__init__.py", "utils/amp.py"):
        (package / name).write_text(PACKAGE)
    (tmp_path / "site" / "mindcv-0.3.0.dist-info").mkdir()
    (tmp_path / "site" / "mindcv-0.3.0.dist-info" / "METADATA").write_text("Name: mindcv\nVersion: 0.3.0\n")
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    monkeypatch.setenv("RAN", str(tmp_path / "ran"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.delenv("HUBTOOL_TRUST", raising=False)
    current = Settings(registry=(registry,), home=tmp_path / "home", stores=(), offline=True, allowed_hosts=())
    return Hub.open(current), tmp_path / "ran"


@pytest.mark.mindspore
def test_loading_asks_before_anything_of_the_package_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hub, ran = _hub(tmp_path, monkeypatch, "mindcv.utils.amp:auto_mixed_precision", f'amp_cast_list: "{CODE}"')
    consent = hub.resolve(hub.find("tests/2.10/net")).consent
    assert consent is not None
    assert "auto_mixed_precision" in consent
    with pytest.raises(NetworkError, match="auto_mixed_precision") as caught:
        loader.load(hub, hub.resolve(hub.find("tests/2.10/net")), pretrained=False)
    assert caught.value.hint is not None
    assert "--trust" in caught.value.hint
    assert not ran.exists()
    with pytest.raises((HubError, SystemExit)):
        loader.load(hub, hub.resolve(hub.find("tests/2.10/net"), trust=True), pretrained=False)
    assert ran.exists()


@pytest.mark.mindspore
def test_a_listed_call_runs_without_consent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hub, ran = _hub(tmp_path, monkeypatch, "mindcv.models:create_model", "model_name: resnet50")
    assert hub.resolve(hub.find("tests/2.10/net")).consent is None
    overrides = {"num_classes": 5, "features_only": True}
    resolution = hub.resolve(hub.find("tests/2.10/net"), overridden=overrides)
    with pytest.raises((HubError, SystemExit)):
        loader.load(hub, resolution, pretrained=False, overrides=overrides)
    assert ran.exists()
