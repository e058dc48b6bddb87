"""Loading: from the name of a card to a network with its weights, through the library and through the command line."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import hubtool
import mindspore_hub as mshub
from hubtool import resources
from hubtool.checkpoint.reading import read_header
from hubtool.digest import digest_file
from hubtool.errors import (
    ArgumentError,
    ArgumentTypeError,
    AssetError,
    CardNotFoundError,
    CheckpointError,
    CoverageError,
    HubError,
    InvalidNameError,
    OfflineError,
    RecipeError,
)
from tests.support import shared_folder
from tests.support.cards import write_card, write_local
from tests.support.server import serving

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.cli import Cli

pytestmark = pytest.mark.mindspore

FLAGSHIP = "mindspore/1.9/bertfinetune_bilstmcrf_chinesener"
UID = "tests/1.9/ner_bilstm_crf"


def oracle(name: str) -> bytes:
    return (shared_folder() / "oracles" / "bert" / f"{name}.ckpt").read_bytes()


def write_oracle(root: Path, name: str = "ner_bilstm_crf", entry: str = "bert-ner", **more: Any) -> str:
    uid = f"tests/1.9/{name}"
    more.setdefault("arguments", {"num_attention_heads": 4})
    write_local(root, uid, oracle(name), entry=entry, **more)
    return uid


def call(network: Any, name: str, *names: str) -> Any:
    import mindspore as ms
    import numpy as np

    arrays = np.load(shared_folder() / "oracles" / "bert" / f"{name}.npz")
    return network(*(ms.Tensor(arrays[key].astype(np.int32)) for key in names)), arrays


def test_the_network_of_a_card_computes_what_the_original_did(environment: Cli) -> None:
    import numpy as np

    network = hubtool.load(write_oracle(environment.registry))
    emissions, arrays = call(network.bert, "ner_bilstm_crf", "input_ids", "input_mask", "token_type_ids")
    np.testing.assert_allclose(emissions.asnumpy(), arrays["output_0"], rtol=1e-4, atol=1e-4)
    tags, _ = call(network, "ner_bilstm_crf", "input_ids", "input_mask", "token_type_ids")
    np.testing.assert_array_equal(tags.asnumpy(), arrays["output_1"])
    assert str(tags.dtype) == "Int32"
    assert not network.training


def test_by_path_by_url_and_by_uid(environment: Cli) -> None:
    uid = write_oracle(environment.registry)
    path = environment.registry / f"{uid}.md"
    first = hubtool.load(uid)
    for name, source in [
        (str(path), "local"),
        (f"https://gitee.com/mindspore/hub/blob/master/mshub_res/assets/{uid}.md", "gitee"),
        (f"https://www.mindspore.cn/resources/hub/details?Tests{uid.removeprefix('tests')}", "github"),
    ]:
        other = hubtool.load(name, source=source)
        assert (other.bert.dense_1.weight.asnumpy() == first.bert.dense_1.weight.asnumpy()).all()


def test_training_changes_the_network_and_not_the_stored_file(environment: Cli) -> None:
    import mindspore as ms
    import numpy as np

    uid = write_oracle(environment.registry)
    files = [environment.registry / uid / "ner_bilstm_crf.ckpt"]
    network = hubtool.load(uid)
    files += [path for path in environment.home.rglob("*.safetensors") if path.is_file()]
    assert len(files) == 2
    before = [digest_file(path) for path in files]
    other = hubtool.load(uid)
    weight = network.bert.dense_1.weight
    old = weight.asnumpy().copy()
    optimizer = ms.nn.SGD([weight], learning_rate=1.0)
    optimizer((ms.Tensor(np.ones(weight.shape, np.float32)),))
    np.testing.assert_allclose(weight.asnumpy(), old - 1, rtol=1e-5, atol=1e-5)
    np.testing.assert_array_equal(other.bert.dense_1.weight.asnumpy(), old)
    assert [digest_file(path) for path in files] == before
    np.testing.assert_array_equal(hubtool.load(uid).bert.dense_1.weight.asnumpy(), old)


def test_weights_outlive_everything_that_was_loaded_with_them(environment: Cli) -> None:
    import gc

    import numpy as np

    network = hubtool.load(write_oracle(environment.registry))
    values = {name: parameter.asnumpy().copy() for name, parameter in network.parameters_and_names()}
    for path in environment.home.rglob("*.safetensors"):
        path.unlink()
    gc.collect()
    for name, parameter in network.parameters_and_names():
        np.testing.assert_array_equal(parameter.asnumpy(), values[name])


def test_a_checkpoint_of_another_network_is_an_error_that_lists_the_tensors(environment: Cli) -> None:
    uid = write_oracle(environment.registry, "pretraining", "bert")
    with pytest.raises(CoverageError) as caught:
        hubtool.load(uid)
    coverage: Any = caught.value.coverage
    assert not coverage.missing
    assert "bert.cls1.output_bias" in coverage.unexpected
    assert "in the checkpoint but not in the network" in str(caught.value)
    network, report = hubtool.load(uid, strict=False)
    assert report == coverage
    assert network.bert_embedding_lookup.embedding_table.shape == (131, 48)


def test_a_recipe_may_say_what_is_not_used(environment: Cli) -> None:
    uid = write_oracle(environment.registry, "pretraining", "bert", ignore=["*cls1.*", "*cls2.*"])
    _, report = hubtool.load(uid, strict=False)
    assert report is not None
    assert report.is_total
    assert len(report.ignored) == 7
    assert report.prefix == "bert.bert."
    uid = write_oracle(environment.registry, "pretraining", "bert", ignore=["*cls1.*"])
    with pytest.raises(CoverageError, match="cls2"):
        hubtool.load(uid)


@pytest.mark.parametrize("prefix", ["", "network.", "model._backbone."])
def test_training_checkpoints(environment: Cli, prefix: str) -> None:
    import mindspore as ms
    import numpy as np

    source = environment.folder / "source.ckpt"
    source.write_bytes(oracle("ner_bilstm_crf"))
    values = {name: value.asnumpy() for name, value in ms.load_checkpoint(str(source)).items()}
    entries = [{"name": prefix + name, "data": ms.Tensor(value)} for name, value in values.items()]
    for moment in ("adam_m", "adam_v"):
        entries += [
            {"name": f"{moment}.{prefix}{name}", "data": ms.Tensor(value * 0)} for name, value in values.items()
        ]
    entries += [
        {"name": name, "data": ms.Tensor(np.array([1.0], np.float32))}
        for name in ("global_step", "learning_rate", "beta1_power", "loss_scale", "current_iterator_step")
    ]
    trained = environment.folder / "trained.ckpt"
    ms.save_checkpoint(entries, str(trained))
    uid = "tests/1.9/trained"
    write_local(environment.registry, uid, trained.read_bytes(), entry="bert-ner", arguments={"num_attention_heads": 4})
    network, report = hubtool.load(uid, strict=False)
    assert report is not None
    assert report.is_total
    assert report.prefix == prefix
    assert len(report.optimizer) == 2 * len(values) + 5
    np.testing.assert_array_equal(network.bert.dense_1.weight.asnumpy(), values["bert.dense_1.weight"])


def test_without_weights_the_network_is_initialised(environment: Cli) -> None:
    import numpy as np

    arguments = {"num_attention_heads": 4, "hidden_size": 48, "num_hidden_layers": 1, "intermediate_size": 96,
                 "vocab_size": 50, "num_labels": 7, "use_crf": True}  # fmt: skip
    uid = "tests/1.9/fresh"
    write_card(
        environment.registry, uid, link="https://gitee.com/x.ckpt", content=b"", entry="bert-ner", arguments=arguments
    )
    network = hubtool.load(uid, pretrained=False)
    assert network.bert.dense_1.weight.shape == (7, 48)
    table = network.bert.bert.bert_embedding_lookup.embedding_table.asnumpy()
    assert 0.005 < np.std(table) < 0.05
    assert hubtool.load(uid, pretrained=False, num_labels=9).bert.dense_1.weight.shape == (9, 48)
    with pytest.raises(RecipeError, match="num_labls"):
        hubtool.load(uid, pretrained=False, num_labls=9)


TINY = "hubtool/2.10/tinybert_bilstmcrf_toyner"


@pytest.mark.usefixtures("environment")
def test_fine_tuning_on_other_labels_keeps_the_body(monkeypatch: pytest.MonkeyPatch) -> None:
    import numpy as np

    monkeypatch.delenv("HUBTOOL_REGISTRY")
    whole = hubtool.load(TINY)
    with pytest.raises(RecipeError) as caught:
        hubtool.load(TINY, num_labels=5)
    assert "strict=False" in str(caught.value)
    network, coverage = hubtool.load(TINY, num_labels=5, strict=False)
    assert coverage is not None
    assert {item.name for item in coverage.mismatched} == {
        "bert.dense_1.weight", "bert.dense_1.bias", "loss.transitions",
    }  # fmt: skip
    assert not coverage.missing
    assert not coverage.unexpected
    fresh = {item.name for item in coverage.mismatched}
    before = whole.parameters_dict()
    for name, parameter in network.parameters_dict().items():
        if name in fresh:
            assert np.isfinite(parameter.asnumpy()).all()
            assert 5 in parameter.shape
        else:
            np.testing.assert_array_equal(parameter.asnumpy(), before[name].asnumpy())
    # Without its weights it is this network all the same, and no BERT-base.
    bare = hubtool.load(TINY, num_labels=5, pretrained=False)
    assert sum(one.size for one in bare.get_parameters()) == sum(one.size for one in network.get_parameters())


def test_sizes_that_stand_in_a_checkpoint_are_not_guessed(environment: Cli) -> None:
    uid = "tests/1.9/far"
    write_card(environment.registry, uid, link="https://gitee.com/x.ckpt", content=b"", entry="bert-ner")
    with pytest.raises(RecipeError, match="which is not stored: vocab_size, hidden_size"):
        hubtool.load(uid, pretrained=False, num_labels=9)


def test_arguments_without_a_name_come_after_the_look_up(environment: Cli) -> None:
    with pytest.raises(CardNotFoundError):
        hubtool.load("tests/1.9/none", 10, pretrained=False)
    uid = write_oracle(environment.registry)
    with pytest.raises(ArgumentTypeError, match="bert-ner takes its arguments by name"):
        hubtool.load(uid, 10)


def test_the_names_of_the_public_package_are_there() -> None:
    program = """
import mindspore_hub
from mindspore_hub.info import CellInfo
from mindspore_hub.list import hub_list
from mindspore_hub.load import load, load_weights
from mindspore_hub.manage import get_hub_dir, set_hub_dir
import mindspore_hub.load
assert callable(mindspore_hub.load) and mindspore_hub.load is load
assert mindspore_hub.__version__ and "__version__" in mindspore_hub.__all__
from mindspore_hub import *
info = CellInfo("registry/hubtool/2.10/tinybert_bilstmcrf_toyner.md")
assert (info.name, info.dataset is None or info.dataset) and info.author and info.input_shape is None
assert info.asset[0]["file-format"] == "ckpt"
"""
    subprocess.run([sys.executable, "-c", program], check=True, cwd=Path(__file__).parents[2])


def test_load_weights(environment: Cli) -> None:
    import mindspore as ms
    import numpy as np

    uid = write_oracle(environment.registry)
    (environment.folder / "o.ckpt").write_bytes(oracle("ner_bilstm_crf"))
    expected = ms.load_checkpoint(str(environment.folder / "o.ckpt"))
    weights = mshub.load_weights(uid)
    assert list(weights) == list(expected)
    for name, parameter in weights.items():
        assert isinstance(parameter, ms.Parameter)
        assert parameter.name == name
        np.testing.assert_array_equal(parameter.asnumpy(), expected[name].asnumpy())


def test_the_store_may_be_read_only(environment: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    blocker = environment.folder / "file"
    blocker.write_text("")
    monkeypatch.setenv("HUBTOOL_HOME", str(blocker / "below"))  # nothing can be made below a file, not even by root
    network = hubtool.load(write_oracle(environment.registry))
    assert network.bert.dense_1.weight.asnumpy().any()


@pytest.mark.parametrize(
    ("error", "arguments", "options"),
    [
        (TypeError, (5,), {}),
        (TypeError, (None,), {}),
        (TypeError, (UID,), {"pretrained": "yes"}),
        (TypeError, (UID,), {"force_reload": 1}),
        (TypeError, (UID,), {"source": 3}),
        (LookupError, (UID, 10), {}),
        (ValueError, ("",), {}),
        (ValueError, ("bert",), {}),
        (ValueError, ("../../etc/passwd",), {}),
        (ValueError, ("https://gitee.com/x",), {}),
        (ValueError, (UID,), {"source": "pypi"}),
        (CardNotFoundError, ("tests/1.9/absent",), {}),
        (LookupError, ("tests/1.9/absent",), {}),
        (HubError, ("absent.md",), {"source": "local"}),
    ],
)
@pytest.mark.usefixtures("environment")
def test_wrong_arguments(error: type[Exception], arguments: tuple[Any, ...], options: Any) -> None:
    with pytest.raises(error) as caught:
        mshub.load(*arguments, **options)
    assert isinstance(caught.value, HubError)
    assert isinstance(caught.value, (ArgumentTypeError, InvalidNameError, ArgumentError, HubError))


def test_a_truncated_checkpoint_with_its_right_digest(environment: Cli) -> None:
    content = oracle("bert_base")
    for tenth in range(10):
        uid = f"tests/1.9/cut{tenth}"
        write_local(environment.registry, uid, content[: len(content) * tenth // 10])
        with pytest.raises(CheckpointError, match=f"cut{tenth}.ckpt"):
            hubtool.load(uid)


def test_a_checkpoint_that_is_not_of_the_recipes_network(environment: Cli) -> None:
    with pytest.raises((RecipeError, CoverageError)):
        hubtool.load(write_oracle(environment.registry, "squad", "bert-ner"))


def test_what_was_tampered_with_after_it_was_stored_is_fetched_again(environment: Cli) -> None:
    content = oracle("bert_base")
    with serving() as server:
        write_card(
            environment.registry,
            UID,
            link=server.put("/m.ckpt", content),
            content=content,
            arguments={"num_attention_heads": 4},
        )
        hubtool.load(UID)
        (blob,) = (path for path in (environment.home / "blobs").rglob("*") if path.is_file())
        blob.chmod(0o644)
        blob.write_bytes(content[:-1] + b"x")
        hubtool.load(UID)
        assert server.gets("/m.ckpt") == 2
        assert blob.read_bytes() == content
        hubtool.load(UID, force_reload=True)
        assert server.gets("/m.ckpt") == 3


def test_offline(environment: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    content = oracle("bert_base")
    with serving() as server:
        write_card(
            environment.registry,
            UID,
            link=server.put("/m.ckpt", content),
            content=content,
            arguments={"num_attention_heads": 4},
        )
        monkeypatch.setenv("HUBTOOL_OFFLINE", "1")
        with pytest.raises(OfflineError):
            hubtool.load(UID)
        assert server.requests == []
        monkeypatch.setenv("HUBTOOL_OFFLINE", "0")
        hubtool.load(UID)
    monkeypatch.setenv("HUBTOOL_OFFLINE", "1")
    assert hubtool.load(UID).dense.weight.shape == (48, 48)


def forge(home: Path) -> None:
    """Make all derived weights of a store zeros, with records that vouch for them."""
    (twin,) = (home / "derived" / "safetensors").glob("*/*.safetensors")
    data = twin.read_bytes()
    header = 8 + int.from_bytes(data[:8], "little")
    twin.unlink()
    twin.write_bytes(data[:header] + bytes(len(data) - header))
    (record,) = (home / "records" / "safetensors").glob("*/*.json")
    found = twin.stat()
    times = {"mtime_ns": found.st_mtime_ns, "ctime_ns": found.st_ctime_ns, "inode": found.st_ino}
    value = {"digest": digest_file(twin), "size": found.st_size, **times, "source": record.stem}
    record.write_text(json.dumps(value))


@pytest.mark.parametrize("kind", ["home", "store"])
def test_weights_that_another_store_derived_are_not_believed(
    environment: Cli, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    uid = write_oracle(environment.registry)
    hubtool.load(uid)
    forge(environment.home)
    monkeypatch.setenv("HUBTOOL_HOME", str(environment.folder / "own"))
    if kind == "store":
        monkeypatch.setenv("HUBTOOL_STORES", str(environment.home))
    else:  # a home that came with a clone or an archive
        shutil.copytree(environment.home, environment.folder / "own", copy_function=shutil.copy2)
    network = hubtool.load(uid)
    assert any(parameter.asnumpy().any() for parameter in network.get_parameters())
    emissions, arrays = call(network.bert, "ner_bilstm_crf", "input_ids", "input_mask", "token_type_ids")
    assert abs(emissions.asnumpy() - arrays["output_0"]).max() < 1e-3


def test_the_hubs_other_functions(environment: Cli) -> None:
    write_oracle(environment.registry)
    write_card(environment.registry, "tests/1.10/other", link="https://gitee.com/x.ckpt", content=b"")
    assert mshub.hub_list() == [UID, "tests/1.10/other"]
    assert mshub.hub_list("r1.10") == ["tests/1.10/other"]
    with pytest.raises(ValueError, match="not a version"):
        mshub.hub_list("first")
    with pytest.raises(TypeError):
        mshub.hub_list(1.9)  # type: ignore[arg-type]  # that is what is tested
    assert mshub.get_hub_dir() == str(environment.home)
    other = environment.folder / "other"
    try:
        mshub.set_hub_dir(str(other))
        assert mshub.get_hub_dir() == str(other)
        hubtool.load(UID)
        assert (other / "derived").is_dir()
        assert not (environment.home / "derived").exists()
    finally:
        mshub.set_hub_dir(None)
    assert mshub.get_hub_dir() == str(environment.home)


def test_a_card_without_checkpoint(environment: Cli) -> None:
    write_card(environment.registry, UID, link="https://gitee.com/x.txt", content=b"", form="txt")
    with pytest.raises(AssetError, match="names no checkpoint"):
        hubtool.load(UID)


def test_the_command_line(environment: Cli) -> None:
    uid = write_oracle(environment.registry)
    done = environment("load", uid, "--smoke", "--json")
    assert done.code == 0, done.err
    assert set(done.json) == {"uid", "network", "parameters", "elements", "coverage", "seconds", "status"}
    assert done.json["uid"] == uid
    assert done.json["parameters"] == done.json["coverage"]["loaded"] == 66
    assert {"loaded", "missing", "unexpected", "mismatched"} <= set(done.json["coverage"])
    assert "smoke" in done.json["seconds"]
    text = environment("load", uid, "--smoke").out
    assert "66 of 66 parameters from the checkpoint" in text
    assert "Int32 [1, 64]" in text
    done = environment("load", write_oracle(environment.registry, "pretraining", "bert"))
    assert done.code == 1
    assert "bert.cls1.dense.bias" in done.err
    done = environment("load", uid, "--device", "Ascend")
    assert done.code == 1
    assert "there is no Ascend on this machine; there is CPU" in done.err
    assert "--device CPU" in done.err


# -- the flagship ------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def flagship(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Return a checkpoint with the exact names and shapes of the flagship's: 106 million random parameters, 423 MB."""
    import mindspore as ms
    import numpy as np

    from hubtool.networks.builtin import infer, parameters

    config = infer("bert-ner", {"num_labels": 12, "use_crf": True, "with_lstm": True}, {}).config
    numbers = np.random.default_rng(0)
    entries = [
        {"name": name, "data": ms.Tensor(numbers.standard_normal(shape, np.float32) * np.float32(0.02))}
        for name, shape in parameters("bert-ner", config).items()
    ]
    path = tmp_path_factory.mktemp("flagship") / "flagship.ckpt"
    ms.save_checkpoint(entries, str(path))
    yield path
    path.unlink()


def usage_block(card: Path) -> str:
    match = re.search(r"## Usage.*?```python\n(.*?)```", card.read_text(encoding="utf-8"), re.DOTALL)
    assert match is not None
    return match[1].replace('"Ascend"', '"CPU"')


@pytest.mark.slow
def test_the_flagship(cli: Cli, flagship: Path) -> None:
    import numpy as np

    with serving() as server:
        link = server.put("/flagship.ckpt", flagship.read_bytes(), block=1 << 20)
        card = (resources.registry_folder() / f"{FLAGSHIP}.md").read_text(encoding="utf-8")
        own_usage = usage_block(resources.registry_folder() / f"{FLAGSHIP}.md")
        card = re.sub(r"asset-link: .*", f"asset-link: {link}", card)
        card = re.sub(r"asset-sha256: .*", f"asset-sha256: {digest_file(flagship)}", card)
        (cli.registry / FLAGSHIP).parent.mkdir(parents=True)
        (cli.registry / f"{FLAGSHIP}.md").write_text(card, encoding="utf-8")

        # Two processes want it at once, one of them by the public card's own usage block: there is one download.
        public = usage_block(shared_folder() / "corpus" / "mindspore-hub" / f"{FLAGSHIP}.md")
        check = "\nnetwork.bert.dense_1.weight.asnumpy().tofile('weight.bin')\nprint(len(network.parameters_dict()))\n"
        results: dict[str, Any] = {}
        threads = [
            threading.Thread(
                target=lambda: results.update(
                    script=subprocess.run(
                        [sys.executable, "-c", public + check],
                        env=cli.environ,
                        cwd=cli.folder,
                        capture_output=True,
                        text=True,
                        check=False,
                        timeout=600,
                    )
                )
            ),
            threading.Thread(target=lambda: results.update(command=cli("load", FLAGSHIP, "--json", timeout=600))),
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert server.gets("/flagship.ckpt") == 1
    script, command = results["script"], results["command"]
    assert script.returncode == 0, script.stderr
    assert script.stdout.split()[-1] == "210"
    weight = np.fromfile(cli.folder / "weight.bin", np.float32).reshape(12, 768)
    assert command.code == 0, command.err
    assert command.json["parameters"] == command.json["coverage"]["loaded"] == 210
    assert command.json["elements"] * 4 == pytest.approx(423e6, rel=0.01)
    for kind in ("missing", "unexpected", "mismatched"):
        assert command.json["coverage"][kind] == []

    # Not by MindSpore's own reader: it refuses a file that is larger than what the page cache leaves of the memory.
    (tensor,) = [one for one in read_header(flagship).tensors if one.name == "bert.dense_1.weight"]
    content = flagship.read_bytes()
    stored = b"".join(content[offset : offset + length] for offset, length in tensor.segments)
    np.testing.assert_array_equal(np.frombuffer(stored, np.float32).reshape(12, 768), weight)

    # And now without any network, by our own card's usage block.
    done = subprocess.run(
        [sys.executable, "-c", own_usage + "\nprint(tags.shape, emissions.shape)"],
        env={**cli.environ, "HUBTOOL_OFFLINE": "1"},
        cwd=cli.folder,
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "(1, 128) (1, 128, 12)"
