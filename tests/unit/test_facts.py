"""Facts on the cards: recorded from code that these tests write, and read from the numbers of known answers."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from hubtool.card import facts_in_words, labels, model, rewrite
from hubtool.card.metrics import Metric, of_values
from hubtool.sandbox.limits import ProgramLimits
from hubtool.uid import Uid
from maintain.facts import gathering, preprocessing, run, steps
from maintain.importing import text
from maintain.importing.summary import MOST_CHARACTERS, summary

if TYPE_CHECKING:
    from collections.abc import Mapping

C = "mindspore.dataset.vision.c_transforms."
PY = "mindspore.dataset.vision.py_transforms."
UID = "mindspore/1.9/resnet50_imagenet2012"

CARD = """# resnet50_imagenet2012

---

model-name: resnet50
module-type: cv
train-dataset: ImageNet2012
repo-link: https://gitee.com/mindspore/models/tree/r1.9/official/cv/resnet
repo-revision: 0123456789abcdef0123456789abcdef01234567
network:
  provider: repository
  entry: export.py
  inputs:
  - dtype: float32
    name: x
    shape: [1, 3, 224, 224]
license: Apache-2.0
summary: A network.

---

"""

EVAL = """
import argparse
import mindspore as ms
from mindspore import nn, Model, context
import mindspore.dataset as ds
import mindspore.dataset.vision.c_transforms as C
from src.network import Net

parser = argparse.ArgumentParser()
parser.add_argument('--data_path', required=True)
parser.add_argument('--config_path')
args = parser.parse_args()
context.set_context(device_target='Ascend')
SIZE = {size}

def create_dataset(path, training):
    data = ds.ImageFolderDataset(path, num_parallel_workers=8)
    if training:
        operations = [C.RandomCropDecodeResize(SIZE)]
    else:
        operations = [C.Decode(), C.Resize(256), C.CenterCrop(SIZE)]
    operations += [{more}C.Normalize(mean=[0.485 * 255, 0.456 * 255, 0.406 * 255], std=[1.0, 2.0, 3.0]), C.HWC2CHW()]
    data = data.map(input_columns='image', operations=operations)
    data = data.map(input_columns='label', operations=ds.transforms.c_transforms.TypeCast(ms.int32))
    return data.batch(32)

network = Net()
ms.load_param_into_net(network, ms.load_checkpoint('x'))
print(Model(network, loss_fn=nn.SoftmaxCrossEntropyWithLogits(sparse=True)).eval(create_dataset(args.data_path, False)))
open('/tmp/never-reached', 'w')
"""

PLACES = {
    "reading": "ds.ImageFolderDataset(path, num_parallel_workers=8)",
    "cast": "ds.transforms.c_transforms.TypeCast(ms.int32)",
    "evaluation": "print(Model(network, loss_fn=nn.SoftmaxCrossEntropyWithLogits(sparse=True)).eval(create_dataset("
    "args.data_path, False)))",
    "operations": "[C.Decode(), C.Resize(256), C.CenterCrop(SIZE)]",
    "network": "network = Net()",
    "arguments": "args = parser.parse_args()",
}

NETWORK = """
import mindspore.nn as nn
from mindspore.ops import operations as P

class Net(nn.Cell):
    def __init__(self):
        super(Net, self).__init__()
        self.conv = nn.Conv2d(3, 64, 7)
        self.layers = nn.SequentialCell([self.conv, nn.ReLU()])

    def construct(self, x):
        return self.layers(x)
"""


def _operation(name: str, *args: object, **kwargs: object) -> dict[str, Any]:
    return {"operation": name, "args": list(args), "kwargs": kwargs}


def _repository(folder: Path, *, size: int = 224, more: str = "", other: Mapping[str, str] | None = None) -> str:
    """Write the code of the card; ``other`` has names of :data:`PLACES`, and what stands there instead."""
    code = folder / "models-r1.9" / "official/cv/resnet"
    (code / "src").mkdir(parents=True)
    (code / "src/network.py").write_text(NETWORK)
    script = EVAL.replace("{size}", str(size)).replace("{more}", more)
    for name, instead in (other or {}).items():
        assert PLACES[name] in script
        script = script.replace(PLACES[name], instead)
    (code / "eval.py").write_text(script)
    return str(folder / "{repository}-{revision}")


def _prepared(folder: Path, checkout: str, text: str = CARD) -> preprocessing.Prepared:
    card = model.read(text.encode(), uid=Uid.parse(UID))
    (found,) = preprocessing.of_cards(
        [card], checkouts=[checkout], limits=ProgramLimits(seconds=60), report=folder / "records.jsonl"
    ).values()
    return found


def test_the_steps_are_those_of_the_evaluation_script(tmp_path: Path) -> None:
    found = _prepared(tmp_path, _repository(tmp_path))
    assert found.reason == ""
    assert found.source == "eval.py"
    assert list(found.steps) == [
        {"color": "RGB"},
        {"resize": {"shorter": 256}},
        {"crop": {"size": [224, 224]}},
        {"normalize": {"mean": [123.675, 116.28, 103.53], "std": [1.0, 2.0, 3.0]}},
        {"layout": "CHW"},
    ]


def test_numbers_of_folders_that_are_left_alone_are_those_of_the_classes(tmp_path: Path) -> None:
    assert _prepared(tmp_path, _repository(tmp_path)).folders


@pytest.mark.parametrize(
    ("place", "instead"),
    [
        ("cast", "lambda label: label + 1"),
        ("cast", "ds.transforms.c_transforms.Fill(3)"),
        ("reading", "ds.ImageFolderDataset(path, class_indexing={'a': 1})"),
        ("reading", "ds.ImageFolderDataset(path, None, 8, False, None, None, {'a': 1})"),
        ("reading", "ds.MindDataset(path)"),
        ("evaluation", "[each['label'] + 1 for each in create_dataset(args.data_path, False).create_dict_iterator()]"),
    ],
)
def test_numbers_that_may_be_others_are_not_said_to_be_those_of_folders(
    tmp_path: Path, place: str, instead: str
) -> None:
    found = _prepared(tmp_path, _repository(tmp_path, other={place: instead}))
    assert found.reason == ""  # the steps are known all the same
    assert not found.folders


@pytest.mark.parametrize(
    "other",
    [
        {"arguments": "parser.add_argument('--platform'); args = parser.parse_args()\n"
         "if args.platform not in ('Ascend', 'GPU'): raise ValueError('Unsupported platform.')"},
        {"arguments": "parser.add_argument('--is_distributed', type=int, default=1); args = parser.parse_args()\n"
         "if args.is_distributed: raise ValueError('Not support distribute eval.')"},
        {"arguments": "args = parser.parse_args(); import PIL; PIL.Image.new"},
        {"arguments": "args = parser.parse_args(); open('./src/network.py'); open('../src/network.py')"},
        {"arguments": "import os; parser.add_argument('--eval_url', required=True); args = parser.parse_args()\n"
         "os.path.join(args.eval_url)"},
        {"network": "import numpy as np; network = Net(np.load('thres.npy').astype(np.float32))"},
        {"network": "import numpy as np\nclass Odd(nn.Cell):\n"
         "    def __init__(self): np.zeros([1, ms.Parameter(3).shape[0]])\nnetwork = Odd()"},
        {"reading": "ds.PaddedDataset([{'image': 0}]) + ds.ImageFolderDataset(path)"},
        {"operations": "[C.ComposeOp([C.Decode(), C.Resize(256), C.CenterCrop(SIZE)])()]"},
    ],
)  # fmt: skip
def test_what_no_picture_depends_on_does_not_end_the_recording(tmp_path: Path, other: dict[str, str]) -> None:
    found = _prepared(tmp_path, _repository(tmp_path, other=other))
    assert found.reason == ""
    assert [next(iter(step)) for step in found.steps] == ["color", "resize", "crop", "normalize", "layout"]
    assert found.folders


def test_data_sets_that_are_joined_leave_the_steps_unknown(tmp_path: Path) -> None:
    found = _prepared(
        tmp_path, _repository(tmp_path, other={"reading": "ds.MindDataset(path) + ds.ImageFolderDataset(path)"})
    )
    assert found.steps == ()
    assert "joined" in found.reason


def test_the_configuration_is_given_by_the_recipes_own_option(tmp_path: Path) -> None:
    option = "parser.add_argument('--net_config'); args = parser.parse_args(); open(args.net_config).close()"
    checkout = _repository(tmp_path, other={"arguments": option})
    (tmp_path / "models-r1.9/official/cv/resnet/net.yaml").write_text("size: 224\n")
    assert "NoneType" in _prepared(tmp_path, checkout).reason
    named = CARD.replace("entry: export.py\n", "entry: export.py\n  argv: [--net_config, '{folder}/net.yaml']\n")
    found = _prepared(tmp_path, checkout, named)
    assert (found.reason, found.source) == ("", "eval.py with net.yaml")


def test_a_recipe_of_the_evaluation_script_has_its_arguments(tmp_path: Path) -> None:
    options = "parser.add_argument('--platform'); args = parser.parse_args()\n"
    options += "SIDE = 300 if args.platform == 'GPU' else 256"
    operations = "[C.Decode(), C.Resize(SIDE), C.CenterCrop(SIZE)]"
    checkout = _repository(tmp_path, other={"arguments": options, "operations": operations})
    found = _prepared(tmp_path, checkout, CARD.replace("export.py\n", "eval.py\n  argv: [--platform, GPU]\n"))
    assert {"resize": {"shorter": 300}} in found.steps


def test_axes_are_put_in_order_last() -> None:
    listed = [_operation(C + "Decode"), _operation(C + "HWC2CHW")]
    listed.append(_operation(C + "Normalize", [1.0], [2.0], is_hwc=False))
    assert steps.of_operations(listed)[-2:] == [{"normalize": {"mean": [1.0], "std": [2.0]}}, {"layout": "CHW"}]


def test_a_recorded_run_is_not_run_again(tmp_path: Path) -> None:
    checkout = _repository(tmp_path)
    first = _prepared(tmp_path, checkout)
    lines = (tmp_path / "records.jsonl").read_text()
    assert _prepared(tmp_path, checkout) == first
    assert (tmp_path / "records.jsonl").read_text() == lines


def test_steps_for_another_size_than_the_networks_are_not_those_of_the_card(tmp_path: Path) -> None:
    found = _prepared(tmp_path, _repository(tmp_path, size=299))
    assert found.steps == ()
    assert "another size" in found.reason


def test_a_function_of_the_repositorys_own_leaves_the_steps_unknown(tmp_path: Path) -> None:
    found = _prepared(tmp_path, _repository(tmp_path, more="lambda picture: picture / 2, "))
    assert found.steps == ()
    assert "the repository's own" in found.reason


def test_configurations_that_differ_leave_the_steps_unknown(tmp_path: Path) -> None:
    checkout = _repository(tmp_path)
    code = tmp_path / "models-r1.9/official/cv/resnet"
    script = (code / "eval.py").read_text().replace("C.Resize(256)", "C.Resize(240 if args.config_path else 256)")
    (code / "eval.py").write_text(script)
    (code / "default_config.yaml").write_text("data_path: ''\n")
    found = _prepared(tmp_path, checkout)
    assert found.steps == ()
    assert "different ways" in found.reason


def test_pictures_of_pillow_are_made_smaller_with_antialias() -> None:
    listed = [_operation(PY + "Decode"), _operation(PY + "Resize", [256, 256]), _operation(PY + "CenterCrop", 224)]
    listed.append(_operation(PY + "ToTensor"))
    assert steps.of_operations([_operation("mindspore.dataset.transforms.py_transforms.Compose", listed)]) == [
        {"color": "RGB"},
        {"resize": {"size": [256, 256], "antialias": True}},
        {"crop": {"size": [224, 224]}},
        {"rescale": {"factor": 1 / 255}},
        {"layout": "CHW"},
    ]


def test_pillows_way_of_bicubic_is_told_from_that_of_opencv() -> None:
    for name, more in {"PILCUBIC": {"antialias": True}, "BICUBIC": {}}.items():
        inter = {"name": f"mindspore.dataset.vision.Inter.{name}"}
        listed = [_operation(C + "Decode"), _operation(C + "Resize", 256, inter), _operation(C + "HWC2CHW")]
        assert steps.of_operations(listed)[1] == {"resize": {"shorter": 256, "interpolation": "bicubic", **more}}


@pytest.mark.parametrize(
    ("operations", "reason"),
    [
        ([_operation(C + "Resize", 256)], "not decoded first"),
        ([_operation(C + "Decode", False)], "order of channels"),
        ([_operation(C + "Decode"), _operation(C + "RandomHorizontalFlip")], "RandomHorizontalFlip"),
        ([_operation(C + "Decode"), _operation(C + "Resize", 256)], "axes"),
        ([_operation(C + "Decode"), _operation(C + "Resize", {"name": "config.size"})], "size that is not known"),
        ([_operation(C + "Decode"), _operation(C + "HWC2CHW"), _operation(C + "Normalize", [1.0], [1.0])], "order"),
        ([_operation(C + "Decode"), _operation(C + "Normalize", [1.0, 2.0], [1.0])], "not known"),
    ],
)
def test_what_is_not_understood_is_no_step(operations: list[dict[str, Any]], reason: str) -> None:
    with pytest.raises(steps.UnknownStepError, match=reason):
        steps.of_operations(operations)


@pytest.mark.parametrize(
    ("values", "mean", "kind"),
    [
        ([0.1, -0.2], 0.01, "scores"),
        ([3.0, 2.0], 1.0, "scores"),
        ([0.3, 0.2], 0.25, "probabilities"),
        ([0.3, 0.2], 0.4, None),
        ([-3.0, -2.0], -2.5, None),
    ],
)
def test_the_numbers_of_an_answer_say_what_they_are(values: list[float], mean: float, kind: str | None) -> None:
    assert gathering.kind_of({"shape": [1, 4], "mean": mean, "values": values}) == kind


ANSWER = "  known-answer:\n    outputs:\n    - {dtype: float32, shape: [1, 1001], mean: 0.0, values: [1.5, -2.0]}\n"
FURTHER = {"vocabulary": "imagenet-1k", "classes": 1001}


def _card_of_1001() -> str:
    at = CARD.index("license:")
    return CARD[:at] + ANSWER + CARD[at:]


def test_the_first_classes_have_labels_where_the_script_says_what_they_are() -> None:
    card = model.read(_card_of_1001().encode(), uid=Uid.parse(UID))
    known = preprocessing.Prepared(steps=({"color": "RGB"},), source="eval.py", folders=True)
    assert gathering.gather(card, known).values["labels"] == FURTHER
    assert "labels" not in gathering.gather(card, replace(known, folders=False)).values
    more = model.read(_card_of_1001().replace("1001", "1002").encode(), uid=Uid.parse(UID))
    assert "labels" not in gathering.gather(more, known).values
    assert facts_in_words.lines({"labels": FURTHER}) == [("labels", "imagenet-1k, and 1 more class without a label")]


def test_a_run_that_took_too_long_is_no_record(tmp_path: Path) -> None:
    checkout = _repository(tmp_path, other={"arguments": "while True: pass"})
    card = model.read(CARD.encode(), uid=Uid.parse(UID))
    (found,) = preprocessing.of_cards(
        [card], checkouts=[checkout], limits=ProgramLimits(seconds=1), report=tmp_path / "records.jsonl"
    ).values()
    assert not found.measured
    assert (tmp_path / "records.jsonl").read_text() == ""


@pytest.mark.parametrize("checkouts", [(), ("/no/such/{repository}-{revision}",)])
def test_what_was_not_run_takes_nothing_from_a_card(tmp_path: Path, checkouts: tuple[str, ...]) -> None:
    path = tmp_path / f"registry/{UID}.md"
    path.parent.mkdir(parents=True)
    whole = (Path(__file__).parents[2] / f"registry/{UID}.md").read_text()
    data = text.renewed(rewrite.with_facts(whole, {"labels": FURTHER}).encode())
    assert text.look(data).imported  # or what is on it would stay in any case
    path.write_bytes(data)
    filled = run.fill(
        tmp_path / "registry", checkouts=checkouts, pattern="*", report=tmp_path / "records.jsonl",
        limits=ProgramLimits(seconds=60), parallel=1, write=True,
    )  # fmt: skip
    assert filled.changed == 0
    assert filled.cards[UID].values.keys() == {*gathering.FIELDS} - {"evaluation"}
    assert path.read_bytes() == data


def test_labels_need_as_many_classes_as_the_network_has() -> None:
    answer = "  known-answer:\n    outputs:\n    - {dtype: float32, shape: [1, 1001], mean: 0.0, values: [1.5, -2.0]}\n"
    at = CARD.index("license:")
    card = model.read((CARD[:at] + answer + CARD[at:]).encode(), uid=Uid.parse(UID))
    found = gathering.gather(card, None)
    assert found.values["outputs"] == [{"kind": "scores", "axes": "NK"}]
    assert "labels" not in found.values
    assert "1,001" in found.unknown["labels"]
    whole = model.read((CARD[:at] + answer.replace("1001", "1000") + CARD[at:]).encode(), uid=Uid.parse(UID))
    assert gathering.gather(whole, None).values["labels"] == "imagenet-1k"


@pytest.mark.parametrize(
    ("name", "count", "first", "last"),
    [
        ("imagenet-1k", 1000, "tench", "toilet tissue"),
        ("cifar-10", 10, "airplane", "truck"),
        ("cifar-100", 100, "apple", "worm"),
        ("coco-80", 80, "person", "toothbrush"),
        ("voc-20", 20, "aeroplane", "tvmonitor"),
        ("mnist", 10, "0", "9"),
    ],
)
def test_lists_of_labels(name: str, count: int, first: str, last: str) -> None:
    found = labels.names(name)
    assert found is not None
    assert (len(found), len(set(found)), found[0], found[-1]) == (count, count, first, last)


def test_facts_stand_in_their_order_and_every_other_line_stays() -> None:
    facts = {"labels": "imagenet-1k", "task": "image-classification", "preprocessing": [{"layout": "CHW"}]}
    new = rewrite.with_facts(CARD, facts)
    assert "\ntask: image-classification\npreprocessing:\n  - layout: CHW\nlabels: imagenet-1k\nnetwork:\n" in new
    assert rewrite.with_facts(new, facts) == new
    assert rewrite.with_facts(new, dict.fromkeys(facts)) == CARD
    recipe = {"provider": "repository", "entry": "eval.py"}
    assert rewrite.with_recipe(new, recipe, "f" * 40).index("repo-revision") < new.index("task:")


def test_an_evaluation_is_read_in_both_forms() -> None:
    listed = [{"metric": "top1acc", "value": 76.97, "unit": "%", "source": "publisher"}]
    assert of_values({"evaluation": listed}).metrics == (Metric(name="top1acc", value="76.97", unit="%"),)
    assert of_values({"evaluation": "top1acc 76.97"}).metrics == (Metric(name="top1acc", value="76.97"),)
    assert of_values({"evaluation": "N/A"}).metrics == of_values({}).metrics == ()


def test_a_summary_says_what_the_card_holds_and_no_more() -> None:
    values: dict[str, Any] = {"model-name": "resnet50", "module-type": "cv", "train-dataset": "ImageNet2012"}
    assert summary(values) == "Classifies images into the 1,000 classes of ImageNet; ResNet-50"
    values["network"] = {"known-answer": {"outputs": [{"shape": [1, 2048]}]}}
    assert summary(values) == "Classifies images (ImageNet2012); ResNet-50"
    assert summary({"model-name": "mystery"}) == "A task that is not stated; mystery"
    assert summary({"model-name": "squeezenet1_1", "module-type": "cv"}).endswith("SqueezeNet (squeezenet1_1)")
    assert len(summary({**values, "model-name": "x" * 500, "evaluation": "acc 1" * 50})) <= MOST_CHARACTERS


def test_a_renewed_card_is_still_the_imports_own_and_an_edited_one_is_left() -> None:
    registry = Path(__file__).parents[2] / "registry"
    data = (registry / f"{UID}.md").read_bytes()
    changed = rewrite.with_facts(data.decode(), {"task": "object-detection"}).encode()
    new = text.renewed(changed)
    assert new != changed
    assert text.look(new).imported
    assert "Detects objects" in str(model.read(new).values["summary"])
    edited = data.replace(b"is a network for", b"is one network for")
    assert text.renewed(edited) == edited
