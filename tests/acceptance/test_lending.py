"""A card without a recipe: the project's seed as it was given, and what is borrowed, said and refused."""

from __future__ import annotations

import hashlib
import os
import re
import warnings
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

import hubtool
import mindspore_hub as mshub
from hubtool import resources
from hubtool.card import vocabulary
from hubtool.card.yaml_text import ORDER_OF_FACTS
from hubtool.digest import digest_file
from hubtool.errors import BorrowedRecipeWarning, RecipeError, RegistryWarning
from hubtool.lockfile import lockfile as locks
from hubtool.registry.folder import read_card
from tests.support import repositories, shared_folder
from tests.support.git import git
from tests.support.lending import BERT, CALL, FOLDER, NER, SCRIPT, write
from tests.support.server import serving

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.cli import Cli

FLAGSHIP = "mindspore/1.9/bertfinetune_bilstmcrf_chinesener"
URL = f"https://gitee.com/mindspore/hub/blob/master/mshub_res/assets/{FLAGSHIP}.md"


@pytest.fixture
def seed() -> Path:
    path = shared_folder() / "corpus" / "seed.md"
    if not path.is_file():
        pytest.skip(f"the seed card is absent: {path}")
    return path


@pytest.fixture
def packaged(environment: Cli, monkeypatch: pytest.MonkeyPatch) -> Cli:
    """Use the packaged registry."""
    environment.environ["HUBTOOL_REGISTRY"] = str(resources.registry_folder())
    monkeypatch.setenv("HUBTOOL_REGISTRY", environment.environ["HUBTOOL_REGISTRY"])
    return environment


def test_the_packaged_flagship_agrees_with_the_seed_in_every_fact(seed: Path) -> None:
    ours, theirs = read_card(resources.registry_folder() / f"{FLAGSHIP}.md", None), read_card(seed, None)
    # The summary is our own sentence, as every packaged card's; the recipe and its use are what the seed lacks.
    added = {"summary", "network", *ORDER_OF_FACTS}
    compared = {*ours.values, *theirs.values} - {*added, "license", "repo-link", "asset"}
    assert {key: ours.values.get(key) for key in compared} == {key: theirs.values.get(key) for key in compared}
    assert ours.text("model-name") == "bert_finetune"
    assert ours.repo_link == theirs.repo_link
    assert ours.assets == theirs.assets
    assert vocabulary.licence(str(ours.text("license"))) == vocabulary.licence(str(theirs.text("license")))


def test_the_seed_resolves_as_the_flagship_does(packaged: Cli, seed: Path) -> None:
    done, flagship = packaged("resolve", str(seed), "--json"), packaged("resolve", FLAGSHIP, "--json")
    assert done.code == 0, done.err
    found = done.json
    borrowed = found["network"].pop("borrowed")
    assert borrowed["uid"] == FLAGSHIP
    assert borrowed["match"] == "digest"
    assert found["network"]["entry"] == "bert-ner"
    for key in ("provider", "entry", "arguments", "ignore"):
        assert found["network"][key] == flagship.json["network"][key]
    for key in ("assets", "requires", "device", "consent", "loadable", "reasons"):
        assert found[key] == flagship.json[key]
    assert "borrowed" not in flagship.json["network"]
    line = f"borrowed from {FLAGSHIP} of the packaged registry: it names the same asset, by its whole digest"
    assert borrowed["why"] == line
    for command in (["resolve"], ["show"], ["preview"], ["resolve", "--explain"]):
        assert line in " ".join(packaged(*command, str(seed)).out.split())
    assert packaged("show", str(seed), "--json").json["borrowed"]["uid"] == FLAGSHIP
    assert packaged("resolve", str(seed), "--explain", "--json").json["explanation"]["borrowed"] == line


def test_a_card_with_a_recipe_opens_no_index(packaged: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    from hubtool.registry import index

    def opened(*_: object, **__: object) -> Any:
        raise AssertionError

    monkeypatch.setattr(index.SearchIndex, "open", opened)
    assert packaged("resolve", FLAGSHIP).code == 0
    assert not (packaged.home / "index").exists()


# -- loading -----------------------------------------------------------------------------------------------------------


def oracle() -> bytes:
    return (shared_folder() / "oracles" / "bert" / "ner_bilstm_crf.ckpt").read_bytes()


def digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


RECIPE = NER + "  arguments: {num_attention_heads: 4}\n"


@pytest.mark.mindspore
def test_loading_warns_and_notes_where_the_recipe_is_from(environment: Cli) -> None:
    content = oracle()
    write(environment.registry, "tests/1.9/lender", recipe=RECIPE, digest=digest(content))
    with serving() as server:
        link = server.put("/m.ckpt", content)
        path = write(environment.folder, "a/1.9/card", link=link, digest=digest(content))
        with pytest.warns(BorrowedRecipeWarning, match="borrowed from tests/1.9/lender of .*: it names the same asset"):
            network = mshub.load(str(path))
    assert len(network.parameters_dict()) == 66
    done = environment("load", str(path))
    assert done.code == 0, done.err
    assert "the recipe is borrowed from tests/1.9/lender" in done.out
    assert "66 of 66 parameters from the checkpoint" in done.out
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        hubtool.load(str(environment.registry / "tests/1.9/lender.md"), pretrained=False, **SIZES)


SIZES: dict[str, Any] = {"num_labels": 7, "vocab_size": 50, "hidden_size": 16, "num_hidden_layers": 1}


@pytest.mark.mindspore
def test_the_family_that_a_stored_checkpoint_fits(environment: Cli) -> None:
    from hubtool.networks.builtin import infer, parameters
    from tests.support.checkpoints import ckpt, filled

    config = infer(
        "bert-ner",
        {"num_labels": 9, "use_crf": True, "with_lstm": True, "vocab_size": 40, "hidden_size": 64}
        | {"num_hidden_layers": 1, "max_position_embeddings": 32},
        {},
    ).config
    content = ckpt([filled(name, shape) for name, shape in parameters("bert-ner", config).items()])
    with serving() as server:
        path = write(environment.folder, "a/1.9/card", link=server.put("/m.ckpt", content), digest=digest(content))
        before = environment("resolve", str(path))
        assert "none was borrowed: no registry knows one" in " ".join(before.out.split())
        with pytest.raises(RecipeError, match="none was borrowed") as caught:
            hubtool.load(str(path))
        assert "hubtool fetch" in str(caught.value.hint)
        assert environment("fetch", str(path)).code == 0
    found = environment("resolve", str(path), "--json").json
    assert found["loadable"] is True
    assert found["network"]["entry"] == "bert-ner"
    assert found["network"]["borrowed"]["match"] == "tensors"
    assert "whose tensors fit bert-ner alone" in found["network"]["borrowed"]["why"]
    with pytest.warns(BorrowedRecipeWarning, match="taken from the stored checkpoint"):
        network = mshub.load(str(path), source="local")
    assert network.bert.dense_1.weight.shape == (9, 64)

    # Two different recipes fit: a third is not guessed.
    for name, recipe in (("one", NER), ("two", BERT)):
        write(environment.registry, f"tests/1.9/{name}", recipe=recipe, digest=digest(content))
    found = environment("resolve", str(path), "--json").json
    assert found["network"] is None
    assert "tests/1.9/one" in found["reasons"][0]
    assert "tests/1.9/two" in found["reasons"][0]


def test_a_checkpoint_that_two_networks_fit_is_not_guessed(environment: Cli) -> None:
    from hubtool.networks.builtin import infer, parameters
    from tests.support.checkpoints import ckpt, filled

    sizes = {"vocab_size": 40, "hidden_size": 64, "num_hidden_layers": 1, "max_position_embeddings": 32}
    config = infer("bert-classifier", {"num_labels": 9, **sizes}, {}).config
    content = ckpt([filled(name, shape) for name, shape in parameters("bert-classifier", config).items()])
    with serving() as server:
        path = write(environment.folder, "a/1.9/card", link=server.put("/m.ckpt", content), digest=digest(content))
        assert environment("fetch", str(path)).code == 0
    found = environment("resolve", str(path), "--json").json
    assert found["network"] is None
    assert "its checkpoint fits bert-ner and bert-classifier" in found["reasons"][0]


# -- consent -----------------------------------------------------------------------------------------------------------


def test_code_needs_the_consent_that_it_needs_for_its_own_card(environment: Cli) -> None:
    write(environment.registry, "tests/1.9/lender", recipe=SCRIPT, more=f"repo-revision: '{'1' * 40}'\n")
    path = write(environment.folder, "a/1.9/card")
    found = environment("resolve", str(path), "--json").json
    assert found["loadable"] is False
    assert "loading runs code of gitee.com/mindspore/models, and you have not agreed" in found["consent"]
    explained = environment("resolve", str(path), "--explain", "--json").json["explanation"]
    assert explained["code"]["commit"] == "1" * 40
    assert explained["trust"]["allowed"] is False
    assert explained["borrowed"].startswith("borrowed from tests/1.9/lender")
    # A stranger's repository is not reached through a trusted card's recipe.
    path = write(environment.folder, "a/1.9/card", repo_link=FOLDER.replace("/mindspore/", "/stranger/"))
    found = environment("resolve", str(path), "--json", HUBTOOL_TRUST="1").json
    assert found["network"] is None
    assert "runs code of a repository, and the card names other code" in found["reasons"][0]


def test_a_call_of_a_package_needs_the_consent_to_that_call(environment: Cli) -> None:
    lender = write(environment.registry, "tests/2.3/lender", recipe=CALL)
    path = write(environment.folder, "a/2.3/card")
    own, borrowed = (environment("resolve", str(one), "--json").json["consent"] for one in (lender, path))
    assert own is not None
    assert borrowed == own


def without(environment: Cli, uid: str) -> None:
    """Write the card of a UID anew, with neither its recipe nor its commit."""
    text = (environment.registry / f"{uid}.md").read_text("utf-8")
    head, _, rest = re.sub(r"repo-revision: .*\n", "", text).partition("network:\n")
    path = environment.registry / "tests" / "1.9" / "without.md"
    path.write_text(head + rest[rest.index("license:") :], encoding="utf-8")


@pytest.mark.mindspore
def test_borrowed_code_runs_once_it_is_agreed_to(environment: Cli, tmp_path: Path) -> None:
    root = repositories.repository(tmp_path / "models")
    uid = repositories.card(environment, root, repositories.CALLABLE)
    without(environment, uid)
    done = environment("load", "tests/1.9/without")
    assert done.code == 1
    assert "is not on the trust list" in done.err
    assert environment("trust", "add", str(root)).code == 0
    done = environment("load", "tests/1.9/without")
    assert done.code == 0, done.err
    assert f"the recipe is borrowed from {uid}" in done.out


# -- publishing --------------------------------------------------------------------------------------------------------


def test_what_is_published_must_have_a_recipe_of_its_own(packaged: Cli, seed: Path) -> None:
    path = packaged.folder / "seed.md"
    path.write_bytes(seed.read_bytes())
    done = packaged("check", str(path), HUBTOOL_OFFLINE="1")
    assert done.code == 1
    assert "the card has no recipe" in done.out


# -- the flagship ------------------------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.mindspore
def test_the_seed_loads_the_flagships_network(
    environment: Cli, seed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only the two lines that name the asset differ from the seed as it was given: its real bytes are not here."""
    import mindspore as ms
    import numpy as np

    from hubtool.networks.builtin import infer, parameters

    config = infer("bert-ner", {"num_labels": 12, "use_crf": True, "with_lstm": True}, {}).config
    numbers = np.random.default_rng(0)
    tensors = {
        name: numbers.standard_normal(shape, np.float32) * np.float32(0.02)
        for name, shape in parameters("bert-ner", config).items()
    }
    checkpoint = tmp_path / "flagship.ckpt"
    ms.save_checkpoint([{"name": name, "data": ms.Tensor(value)} for name, value in tensors.items()], str(checkpoint))
    with serving() as server:
        link = server.put("/flagship.ckpt", checkpoint.read_bytes(), block=1 << 20)
        text = re.sub(r"asset-link: .*", f"asset-link: <{link}>", seed.read_text("utf-8"))
        text = re.sub(r"asset-sha256: .*", f"asset-sha256: {digest_file(checkpoint)}", text)
        path = environment.folder / "seed.md"
        path.write_text(text, encoding="utf-8")

        # Of the packaged cards, that of the same folder, model and data set lends: the real flagship.
        monkeypatch.setenv("HUBTOOL_REGISTRY", str(resources.registry_folder()))
        with pytest.warns(BorrowedRecipeWarning, match=f"borrowed from {FLAGSHIP} of the packaged registry"):
            network = mshub.load("seed.md")
    assert len(network.parameters_dict()) == 210
    for name, parameter in network.parameters_dict().items():
        np.testing.assert_array_equal(parameter.asnumpy(), tensors[name])
    ids = ms.Tensor(np.ones((1, 128)), ms.int32)
    assert network(ids, ids, ids * 0).shape == (1, 128)

    # By URL: the seed stands in a registry before the packaged one, as the public hub that someone put there.
    hub = environment.registry / f"{FLAGSHIP}.md"
    hub.parent.mkdir(parents=True)
    hub.write_text(text, encoding="utf-8")
    folders = os.pathsep.join((str(environment.registry), str(resources.registry_folder())))
    monkeypatch.setenv("HUBTOOL_REGISTRY", folders)
    told = f"borrowed from {FLAGSHIP} of the packaged registry"
    with pytest.warns(RegistryWarning), pytest.warns(BorrowedRecipeWarning, match=told):
        again = mshub.load(URL)
    np.testing.assert_array_equal(again.bert.dense_1.weight.asnumpy(), tensors["bert.dense_1.weight"])


# -- lockfiles ---------------------------------------------------------------------------------------------------------


def test_a_lockfile_pins_the_card_that_lends(environment: Cli, tmp_path: Path) -> None:
    content = b"not read"
    lender = write(environment.registry, "tests/1.9/lender", recipe=NER, digest=digest(content))
    with serving() as server:
        write(environment.registry, "tests/1.9/card", link=server.put("/m.ckpt", content), digest=digest(content))
        done = environment("lock", "tests/1.9/card")
        assert done.code == 0, done.err
        assert "tests/1.9/card borrows the recipe of tests/1.9/lender" in done.err
        lock = locks.parse((environment.folder / "hub.lock").read_text("utf-8"))
        assert lock.cards[0].recipe == locks.LockedRecipe(uid="tests/1.9/lender", sha256=digest(lender.read_bytes()))
        assert locks.parse(locks.format_lockfile(lock)) == lock

        # Another recipe, or none: what is pinned stays, to the byte.
        for later in (BERT, None):
            write(environment.registry, "tests/1.9/lender", recipe=later, digest=digest(content))
            found = environment("resolve", "tests/1.9/card", "--frozen", "--json").json
            assert found["network"]["entry"] == "bert-ner"
            assert found["network"]["borrowed"]["match"] == "lock"
            assert found["card"]["pinned"] is True
        assert environment("resolve", "tests/1.9/card", "--json").json["network"] is None

        # Another machine has it from a registry that still has these bytes, or not at all.
        write(environment.registry, "tests/1.9/lender", recipe=NER, digest=digest(content))
        there = replace(environment, environ={**environment.environ, "HUBTOOL_HOME": str(tmp_path / "there")})
        assert there("sync").code == 0
        lender.unlink()
        assert there("resolve", "tests/1.9/card", "--frozen", "--json").json["network"]["entry"] == "bert-ner"
        elsewhere = replace(environment, environ={**environment.environ, "HUBTOOL_HOME": str(tmp_path / "elsewhere")})
        for command in (["sync"], ["resolve", "tests/1.9/card", "--frozen"]):
            done = elsewhere(*command)
            assert done.code == 1
            assert "its recipe is that of tests/1.9/lender" in done.err + done.out


def test_a_lockfile_that_pins_no_recipe_allows_none(environment: Cli) -> None:
    content = b"not read"
    with serving() as server:
        write(environment.registry, "tests/1.9/card", link=server.put("/m.ckpt", content), digest=digest(content))
        assert environment("lock", "tests/1.9/card").code == 0
    write(environment.registry, "tests/1.9/lender", recipe=NER, digest=digest(content))
    assert environment("resolve", "tests/1.9/card", "--json").json["network"]["entry"] == "bert-ner"
    found = environment("resolve", "tests/1.9/card", "--frozen", "--json").json
    assert found["network"] is None
    assert "hub.lock pins none for it" in found["reasons"][0]
    done = environment("lock")
    assert "its recipe is that of tests/1.9/lender" in done.out
    assert environment("resolve", "tests/1.9/card", "--frozen", "--json").json["network"]["entry"] == "bert-ner"


def test_a_lockfile_pins_the_code_of_a_borrowed_recipe(environment: Cli, tmp_path: Path) -> None:
    root = repositories.repository(tmp_path / "models")
    uid = repositories.card(environment, root, repositories.CALLABLE)
    commit = git(root, "rev-parse", "HEAD")
    without(environment, uid)
    assert environment("lock", "tests/1.9/without").code == 0
    (card,) = locks.parse((environment.folder / "hub.lock").read_text("utf-8")).cards
    assert card.code is not None
    assert (card.code.repository, card.code.commit) == (root.as_uri(), commit)
    assert environment("sync").code == 0
    found = environment("resolve", "tests/1.9/without", "--frozen", "--explain", "--json")
    assert found.code == 0, found.err
    assert found.json["explanation"]["code"]["commit"] == commit
    text = (environment.folder / "hub.lock").read_text("utf-8")
    head, _, _ = text.partition("[card.code]")
    (environment.folder / "hub.lock").write_text(head, encoding="utf-8")
    done = environment("resolve", "tests/1.9/without", "--frozen")
    assert done.code == 1
    assert "the lockfile has none" in done.err
