"""``xlrank module`` as it is typed: what it prints, and one line with exit code 2 for anything that is wrong."""

import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.conftest import changed_module, make_adapter, make_head, make_lora, make_mask, make_ranking
from tests.modules.conversion import release_files as files
from tests.modules.formats.tiny import make_bert
from xlrank.bases import Base
from xlrank.cli.main import main
from xlrank.modules import BaseReference, Module, shipped_modules


@dataclass
class Said:
    """What a command printed and ended with."""

    code: int
    out: str
    error: str


Command = Callable[..., Said]


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Command:
    def run(*words: object) -> Said:
        monkeypatch.setattr(sys, "argv", ["xlrank", "module", *map(str, words)])
        with pytest.raises(SystemExit) as caught:
            main()
        printed = capsys.readouterr()
        code = caught.value.code
        return Said(code if isinstance(code, int) else 0, printed.out, printed.err)

    return run


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Base:
    return make_bert(tmp_path_factory.mktemp("bases") / "tiny")


def one_line(said: Said, *words: str) -> None:
    assert said.code == 2
    assert said.error.startswith("xlrank: ")
    assert said.error.count("\n") == 1
    assert all(word in said.error for word in words), said.error


def test_list(command: Command) -> None:
    assert command("list").out.split() == shipped_modules()


def test_show(command: Command, tiny_base: Base, tmp_path: Path) -> None:
    module = make_adapter(tiny_base, "ky", 1)
    folder = module.save(tmp_path / "ky")
    assert command("show", folder).out.startswith(f"{folder}: adapter language module for ky\n")
    assert json.loads(command("show", folder, "--json").out) == module.card()
    one_line(command("show", tmp_path), "no such folder with module.json")


def test_convert_a_release(command: Command, base: Base, tmp_path: Path) -> None:
    archive = files.packed(files.write_release(tmp_path / "made"), tmp_path / "release.tar.gz")
    out = tmp_path / "out"
    said = command("convert", archive, "--out", out, "--base", base.name, "--licence", "CC0")
    assert said.code == 0
    assert [line.split(":")[0] for line in said.out.splitlines()] == list(files.IDS)
    assert "modules: 6 done" in said.error
    again = command("convert", archive, "--out", out, "--base", base.name, "--licence", "CC0")
    assert again.out.count("was there already") == 6
    assert Module.load(out / "ranking/monobert").training["imported"]["licence"] == "CC0"
    verified = command("verify", *(out / id_ for id_ in files.IDS))
    assert verified.code == 0
    assert verified.out.count("all values are finite") == 6


def test_convert_names_what_failed(command: Command, base: Base, tmp_path: Path) -> None:
    release = files.write_release(tmp_path / "made")
    (release / files.MASK_KY / "pytorch_diff.bin").write_bytes(b"PK\x03\x04")
    files.language_adapter(release / "adapter/mlm/rf_2/kg/checkpoint-1/mlm_adapter")
    said = command("convert", release, "--out", tmp_path / "out", "--base", base.name)
    assert said.code == 2
    assert said.out.count("written to") == 5
    assert "checkpoint-1/mlm_adapter: left out, an earlier checkpoint of language/ky" in said.out
    *others, problem, last = said.error.splitlines()
    assert problem.startswith("problem: language/ky-mask: ")
    assert "pytorch_diff.bin" in problem
    assert last == "xlrank: 1 of 6 not converted: language/ky-mask"


def test_convert_one_with_every_option(command: Command, base: Base, tmp_path: Path) -> None:
    source = files.ranking_adapter(tmp_path / "mine")
    options = ("--base", base.name, "--role", "ranking", "--lang", "English", "--no-head", "--licence", "MIT")
    said = command("convert", source, "--out", tmp_path / "out", *options)
    assert said.code == 0, said.error
    module = Module.load(tmp_path / "out")
    assert (module.role, module.language, module.training["imported"]["licence"]) == ("ranking", "en", "MIT")
    assert not any(name.startswith("head.") for name in module.tensors)
    back = ("--to", "adapterhub", "--name", "again", "--base", base.name)
    assert command("convert", tmp_path / "out", "--out", tmp_path / "back", *back).code == 0
    assert json.loads((tmp_path / "back/adapter_config.json").read_text())["name"] == "again"


def test_convert_refuses_in_one_line(command: Command, base: Base, tmp_path: Path) -> None:
    mine = files.lora(tmp_path / "mine")
    (tmp_path / "x.zip").write_bytes(b"PK\x03\x04rubbish")
    out = tmp_path / "out"
    one_line(command("convert", mine, "--out", out, "--base", base.name), "mine", "--role")
    one_line(command("convert", mine, "--out", out, "--base", tmp_path / "none", "--role", "ranking"), "cannot be loaded")
    one_line(command("convert", tmp_path / "x.zip", "--out", out, "--base", base.name), "x.zip", "get a whole copy")
    one_line(command("convert", tmp_path / "no.zip", "--out", out, "--base", base.name), "no.zip")
    assert not out.exists()
    assert command("convert", mine, "--out", out).code == 2


def test_verify_every_kind(command: Command, tiny_base: Base, tmp_path: Path) -> None:
    made = {
        "adapter": (make_adapter(tiny_base, "ky", 1), "names and shapes fit 2 layers of hidden size 32"),
        "ranking": (make_ranking(tiny_base, 1), "its relevance head fits: 1 output(s), cls pooling"),
        "full": (make_ranking(tiny_base, 1, kind="full"), "parameters"),
        "mask": (make_mask(tiny_base, "ky", 1), "changes 4 of the base's"),
        "lora": (make_lora(tiny_base, "ky", 1), "changes 4 of the base's"),
        "head": (make_head(tiny_base, 1), "its prediction head fits"),
    }
    for name, (module, fact) in made.items():
        said = command("verify", module.save(tmp_path / name))
        assert said.code == 0, said.error
        assert fact in said.out
        assert "made for base" in said.out


def test_verify_says_what_it_could_not_check(command: Command, tiny_base: Base, tmp_path: Path) -> None:
    stranger = changed_module(
        module := make_adapter(tiny_base, "ky", 1), module.tensors, base=BaseReference("org/nowhere", tiny_base.fingerprint)
    ).save(tmp_path / "x")
    said = command("verify", stranger)
    assert said.code == 0
    assert "base 'org/nowhere' is not at hand" in said.out
    assert "names and shapes fit" in command("verify", stranger, "--base", tiny_base.name).out


def broken(base: Base) -> dict[str, tuple[Module, str]]:
    """Modules whose checksum is right and whose content is not."""
    adapter, ranking = make_adapter(base, "ky", 1), make_ranking(base, 1)
    mask, lora = make_mask(base, "ky", 1), make_lora(base, "ky", 1)
    first = "embeddings.word_embeddings.weight"
    layer = "encoder.layer.0.attention.self.query"

    def without(module: Module, name: str) -> Module:
        return changed_module(module, {key: tensor for key, tensor in module.tensors.items() if key != name})

    def with_(module: Module, **tensors: Any) -> Module:  # noqa: ANN401 - tensors
        return changed_module(module, {**module.tensors, **tensors})

    far = torch.tensor([1 << 40]), torch.ones(1)
    return {
        "nan": (with_(adapter, **{"layers.0": torch.tensor([float("nan")])}), "NaN or infinite"),
        "missing": (without(adapter, next(iter(adapter.tensors))), "lacks tensor"),
        "unknown": (with_(adapter, surplus=torch.ones(2)), "unknown tensor 'surplus'"),
        "activation": (changed_module(adapter, adapter.tensors, {"non_linearity": "exec"}), "unknown activation 'exec'"),
        "factor": (changed_module(adapter, adapter.tensors, {"reduction_factor": 1e-9}), "has shape"),
        "text": (
            changed_module(adapter, adapter.tensors, {"reduction_factor": "2"}),
            "reduction factors must be positive numbers",
        ),
        "setting": (changed_module(adapter, adapter.tensors, {"surplus": 1}), "unknown adapter setting 'surplus'"),
        "head": (with_(ranking, **{"head.out.weight": torch.ones(1, 5)}), "no relevance head for hidden size 32"),
        "pooling": (changed_module(ranking, ranking.tensors, {"pooling": "max"}), "unknown pooling 'max'"),
        "indices": (with_(mask, **{f"index.{first}": far[0], f"value.{first}": far[1]}), "indices do not fit"),
        "values": (without(mask, f"value.{first}"), "its positions and differences are not two lists"),
        "parameter": (with_(mask, **{"index.x": far[0], "value.x": far[1]}), "which base"),
        "ranks": (with_(lora, **{f"A.{layer}": torch.ones(7, 32)}), "its A and B are not"),
        "sizes": (with_(lora, **{f"A.{layer}": torch.ones(3, 5)}), "has shape [32, 5]"),
        "predictions": (with_(make_head(base, 1), bias=torch.ones(3)), "bias of its prediction head is [3]"),
        "full": (changed_module(make_ranking(base, 1, kind="full"), {"x": torch.ones(1)}), "does not have"),
    }


BROKEN = [*"nan missing unknown activation factor text setting head pooling".split(), *"indices values parameter".split()]
BROKEN += ["ranks", "sizes", "predictions", "full"]


@pytest.mark.parametrize("name", BROKEN)
def test_verify_finds_what_is_wrong(name: str, command: Command, tiny_base: Base, tmp_path: Path) -> None:
    module, problem = broken(tiny_base)[name]
    said = command("verify", module.save(tmp_path / "bad"))
    one_line(said, str(tmp_path / "bad"), problem)


def test_verify_refuses_other_bases(command: Command, tiny_base: Base, tiny_xlmr_base: Base, tmp_path: Path) -> None:
    folder = make_adapter(tiny_base, "ky", 1).save(tmp_path / "ky")
    one_line(command("verify", folder, "--base", tiny_xlmr_base.name), "was made for base", tiny_base.fingerprint)
    one_line(command("verify", folder, "--base", tmp_path / "none"), "cannot be loaded")


def test_verify_goes_on_after_a_bad_one(command: Command, tiny_base: Base, tmp_path: Path) -> None:
    good = make_adapter(tiny_base, "ky", 1).save(tmp_path / "good")
    bad = make_adapter(tiny_base, "ky", 1).save(tmp_path / "bad")
    content = (bad / "module.safetensors").read_bytes()
    (bad / "module.safetensors").write_bytes(content[:-1])
    said = command("verify", bad, good, tmp_path / "none")
    assert said.code == 2
    assert f"{good}: names and shapes fit" in said.out
    problems = said.error.splitlines()
    assert [line.split(":")[0] for line in problems] == ["problem", "problem", "xlrank"]
    assert "damaged" in problems[0]
    assert problems[-1] == "xlrank: 2 of 3 modules are not sound, listed above"
