"""Modules as files: what is saved is what is loaded, and what is damaged, foreign or newer is refused."""

import hashlib
import json
from collections.abc import Callable
from dataclasses import FrozenInstanceError
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.conftest import changed_module, composed_states, make_adapter, make_head, make_ranking
from xlrank.bases import Base
from xlrank.composition import as_composition
from xlrank.composition.expression import Leaf
from xlrank.composition.functions import Average
from xlrank.errors import XlrankError
from xlrank.files import data_folder
from xlrank.modules import BaseReference, Module, shipped_modules
from xlrank.modules.formats import adapterhub_writer

from .formats.tiny import refused


@pytest.fixture
def module(tiny_base: Base) -> Module:
    return make_adapter(tiny_base, "ky", 3)


@pytest.fixture
def folder(module: Module, tmp_path: Path) -> Path:
    return module.save(tmp_path / "ky")


def edited(folder: Path, change: Callable[[dict[str, Any]], object]) -> Path:
    card = json.loads((folder / "module.json").read_text())
    change(card)
    (folder / "module.json").write_text(json.dumps(card))
    return folder


def test_saved_and_loaded_is_the_same(module: Module, folder: Path) -> None:
    loaded = Module.load(folder)
    assert loaded.name == str(folder)
    assert loaded.card() == module.card()
    assert (loaded.kind, loaded.role, loaded.language, loaded.base) == ("adapter", "language", "ky", module.base)
    assert set(loaded.tensors) == set(module.tensors)
    assert all(torch.equal(loaded.tensors[name], tensor) for name, tensor in module.tensors.items())
    assert sorted(path.name for path in folder.iterdir()) == ["module.json", "module.safetensors"]


def test_equal_by_content_whatever_the_name(module: Module, folder: Path, tmp_path: Path, tiny_base: Base) -> None:
    loaded = Module.load(folder)
    again = Module.load(loaded.save(tmp_path / "elsewhere"))
    assert module == loaded == again
    assert hash(module) == hash(again)
    assert module.digest == again.digest
    assert len(module.digest) == 16
    others = [
        make_adapter(tiny_base, "ky", 4),
        make_adapter(tiny_base, "ky", 3, non_linearity="gelu"),
        make_ranking(tiny_base, 3),
    ]
    assert len({module.digest, *(other.digest for other in others)}) == 4
    assert module != "ky"


def test_the_digest_depends_on_base_role_and_kind(module: Module) -> None:
    fields: dict[str, Any] = {
        "name": "x",
        "kind": "adapter",
        "role": "language",
        "language": "ky",
        "base": module.base,
        "config": module.config,
    }
    assert Module.create(module.tensors, **fields).digest == module.digest
    changes: list[dict[str, Any]] = [
        {"base": BaseReference("other", "0" * 16)},
        {"role": "ranking"},
        {"kind": "full"},
        {"config": {}},
    ]
    for change in changes:
        assert Module.create(module.tensors, **fields | change).digest != module.digest


def test_every_kind_is_saved_and_loaded(tiny_base: Base, tmp_path: Path) -> None:
    made = [
        make_adapter(tiny_base, "ky", 1),
        make_ranking(tiny_base, 1),
        make_ranking(tiny_base, 1, "full"),
        make_head(tiny_base, 1),
    ]
    for i, module in enumerate(made):
        assert Module.load(module.save(tmp_path / str(i))) == module


def test_a_module_is_immutable(module: Module) -> None:
    with pytest.raises(FrozenInstanceError):
        module.name = "other"  # type: ignore[misc]
    with pytest.raises(TypeError):
        module.tensors["layer.0.up.bias"] = torch.zeros(1)  # type: ignore[index]


def test_later_changes_to_the_sources_do_not_reach_it(module: Module) -> None:
    config: dict[str, Any] = {"reduction_factor": 2}
    made = Module.create(
        module.tensors, name="x", kind="adapter", role="language", language="ky", base=module.base, config=config
    )
    card = made.card()
    config["reduction_factor"] = 4
    assert made.card() == card


def test_no_tensor_is_read_before_it_is_needed(folder: Path) -> None:
    (folder / "module.safetensors").unlink()
    loaded = Module.load(folder)
    with pytest.raises(XlrankError, match=r"module\.safetensors: cannot be read"):
        _ = loaded.tensors


@pytest.mark.parametrize("place", [0, 40, -1])
def test_a_damaged_tensors_file_is_refused(folder: Path, place: int) -> None:
    content = bytearray((folder / "module.safetensors").read_bytes())
    content[place] ^= 1
    (folder / "module.safetensors").write_bytes(content)
    with pytest.raises(XlrankError, match=r"module\.safetensors: damaged \(its checksum"):
        _ = Module.load(folder).tensors


def test_a_cut_tensors_file_is_refused(folder: Path) -> None:
    content = (folder / "module.safetensors").read_bytes()
    (folder / "module.safetensors").write_bytes(content[:-100])
    with pytest.raises(XlrankError, match="damaged"):
        _ = Module.load(folder).tensors


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_values_that_are_not_finite_are_refused(module: Module, tmp_path: Path, value: float) -> None:
    tensors = {name: tensor.clone() for name, tensor in module.tensors.items()}
    tensors["layer.1.down.weight"][2, 3] = value
    bad = Module.create(tensors, name="x", kind="adapter", role="language", language="ky", base=module.base, config=module.config)
    with pytest.raises(XlrankError, match=r"tensor 'layer\.1\.down\.weight' holds NaN or infinite values"):
        _ = Module.load(bad.save(tmp_path / "bad")).tensors


@pytest.mark.parametrize("name", ["none", "language/xx", "./none", "language"])
def test_a_missing_module_lists_the_shipped_ones(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(XlrankError, match=r"no such folder with module\.json, and not among the shipped ones \(") as caught:
        Module.load(name)
    assert all(shipped in str(caught.value) for shipped in shipped_modules())
    assert str(caught.value).endswith("a repository of the Hub is written hub:ORG/NAME")


@pytest.mark.parametrize("key", ["format", "kind", "role", "base", "sha256"])
def test_a_card_that_lacks_a_field_is_refused(folder: Path, key: str) -> None:
    with pytest.raises(XlrankError, match=rf"module\.json: not a module's description \(no '{key}'\)"):
        Module.load(edited(folder, lambda card: card.pop(key)))


@pytest.mark.parametrize(
    "change", [{"kind": "prefix"}, {"role": "other"}, {"format": 2}, {"kind": ["adapter"]}, {"format": "1"}, {"format": True}]
)
def test_unknown_kinds_and_newer_formats_are_refused(folder: Path, change: dict[str, object]) -> None:
    with pytest.raises(XlrankError, match="unknown format, kind or role; made by a newer xlrank"):
        Module.load(edited(folder, lambda card: card.update(change)))


@pytest.mark.parametrize(
    "base",
    ["x", {"name": "x"}, None, {"name": 7, "fingerprint": "0"}, {"name": "a\nb", "fingerprint": "0"}, {"fingerprint": "0"}],
)
def test_a_card_with_a_malformed_base_is_refused(folder: Path, base: object) -> None:
    with pytest.raises(XlrankError, match="'base' must hold 'name' and 'fingerprint'"):
        Module.load(edited(folder, lambda card: card.update(base=base)))


@pytest.mark.parametrize(
    ("key", "value", "expected"),
    [
        ("language", 7, "a language's code or null"),
        ("language", "", "a language's code or null"),
        ("language", "k\x1by", "a language's code or null"),
        ("language", "k" * 301, "a language's code or null"),
        ("config", [], "an object"),
        ("config", None, "an object"),
        ("training", "by hand", "an object"),
        ("sha256", 7, "64 hexadecimal digits"),
        ("sha256", "f" * 63, "64 hexadecimal digits"),
        ("sha256", "F" * 64, "64 hexadecimal digits"),
        ("sha256", "f" * 64 + "\n", "64 hexadecimal digits"),
    ],
)
def test_a_card_with_a_field_of_another_type_is_refused(folder: Path, key: str, value: object, expected: str) -> None:
    with refused("module.json", f"'{key}' must be {expected}"):
        Module.load(edited(folder, lambda card: card.update({key: value})))


def test_optional_fields_may_be_missing(folder: Path) -> None:
    loaded = Module.load(edited(folder, lambda card: [card.pop(key) for key in ("language", "config", "training")]))
    assert (loaded.language, loaded.config, loaded.training) == (None, {}, {})


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "not valid JSON"),
        ("{", "not valid JSON"),
        ("[]", "expected a JSON object"),
        ("[" * 100_000, "not valid JSON"),
        (" " * (1 << 20) + "{}", "expected at most 1,048,576"),
    ],
)
def test_a_card_that_is_no_object_is_refused(folder: Path, text: str, problem: str) -> None:
    (folder / "module.json").write_text(text)
    with refused("module.json", problem):
        Module.load(folder)


@pytest.mark.parametrize("name", ["module.json", "module.safetensors"])
def test_links_out_of_the_folder_are_refused(folder: Path, tmp_path: Path, name: str) -> None:
    (folder / name).rename(tmp_path / name)
    (folder / name).symlink_to(tmp_path / name)
    with refused(name, "is a symbolic link that leaves its folder"):
        _ = Module.load(folder).tensors


def test_tensors_that_are_no_safetensors_file_are_refused(folder: Path) -> None:
    (folder / "module.safetensors").write_bytes(b"\xff" * 64)
    digest = hashlib.sha256(b"\xff" * 64).hexdigest()
    with refused("module.safetensors", "is damaged or no safetensors file"):
        _ = Module.load(edited(folder, lambda card: card.update(sha256=digest))).tensors


def test_names_that_differ_in_case_only_are_refused(folder: Path) -> None:
    (folder / "Module.json").write_text("{}")
    with refused(str(folder), "'Module.json' and 'module.json' differ in case only"):
        Module.load(folder)


def test_a_module_must_be_what_was_asked_for(folder: Path, tiny_base: Base, tiny_xlmr_base: Base) -> None:
    assert Module.load(folder, base=tiny_base, role="language", language="ky", head=True) == Module.load(folder)
    with refused("its role is 'language', not 'ranking'"):
        Module.load(folder, role="ranking")
    with refused("its language is 'ky', not 'ug'"):
        Module.load(folder, language="ug")
    with refused("was made for base"):
        Module.load(folder, base=tiny_xlmr_base)


def test_folders_of_other_libraries_are_read(tiny_base: Base, tmp_path: Path) -> None:
    adapterhub_writer.write(make_ranking(tiny_base, 3), tmp_path / "rank", tiny_base, name="rank")
    loaded = Module.load(tmp_path / "rank", base=tiny_base, role="ranking", language="en")
    assert (loaded.name, loaded.role, loaded.language) == (str(tmp_path / "rank"), "ranking", "en")
    assert "head.out.weight" in loaded.tensors
    for head, role in ((False, "ranking"), (None, "language")):
        without = Module.load(tmp_path / "rank", base=tiny_base, role=role, head=head)  # type: ignore[arg-type]
        assert not any(name.startswith("head.") for name in without.tensors)
    with refused("'adapterhub'", "give base= and role=", "`xlrank module convert`"):
        Module.load(tmp_path / "rank")
    with refused("'adapterhub'", "give role='language' or role='ranking'"):
        Module.load(tmp_path / "rank", base=tiny_base)
    with refused("expected one of adapterhub, composable-sft, peft, hf"):
        Module.load(tmp_path / "rank", format="zip")


def test_a_whole_model_can_only_be_a_ranking_module(tiny_base: Base, tiny_bert_folder: Path) -> None:
    with refused("can only be a ranking module"):
        Module.load(tiny_bert_folder, base=tiny_base, role="language")


def test_another_base_is_refused_with_both_names(module: Module, tiny_base: Base, tiny_xlmr_base: Base) -> None:
    module.check_base(tiny_base)
    with pytest.raises(XlrankError) as caught:
        module.check_base(tiny_xlmr_base)
    for part in (tiny_base.name, tiny_base.fingerprint, tiny_xlmr_base.name, tiny_xlmr_base.fingerprint, module.name):
        assert part in str(caught.value)


def test_the_description(module: Module) -> None:
    made = Module.create(
        {"a": torch.zeros(2, 3), "b": torch.zeros(4, dtype=torch.float16)},
        name="language/ky",
        kind="adapter",
        role="language",
        language="ky",
        base=module.base,
        config={"reduction_factor": 2},
        training={"licence": "CC0", "curve": [[1, 2.0]], "steps": 7},
    )
    lines = made.describe().splitlines()
    assert lines[0] == "language/ky: adapter language module for ky"
    assert lines[1] == f"base: {module.base.name} ({module.base.fingerprint})"
    assert lines[2:6] == ["reduction_factor: 2", "parameters: 10 (32 bytes)", 'licence: "CC0"', "steps: 7"]
    assert lines[6:] == [f"sha256: {made.sha256}"]


def test_saving_replaces_a_module_as_a_whole(module: Module, folder: Path, tiny_base: Base) -> None:
    other = make_adapter(tiny_base, "ky", 5)
    other.save(folder)
    assert Module.load(folder) == other != module


def test_saving_does_not_delete_what_is_no_module(module: Module, folder: Path) -> None:
    # --out given as the folder above: the modules in it must survive.
    with pytest.raises(XlrankError):
        module.save(folder.parent)
    assert Module.load(folder) == module


def test_shipped_modules_load_by_id() -> None:
    assert "head/mlm" in shipped_modules()
    assert shipped_modules() == sorted(shipped_modules())
    module = Module.load("head/mlm")
    assert (module.kind, module.role, module.source) == ("head", "head", data_folder() / "modules" / "head/mlm")


def test_a_halved_module_acts_the_same(tiny_base: Base, tmp_path: Path) -> None:
    whole = [make_adapter(tiny_base, code, seed, invertible=False) for seed, code in enumerate(("ky", "en"))]
    halves = [Module.load(module.halved().save(tmp_path / str(i))) for i, module in enumerate(whole)]
    assert [2 * module.bytes for module in halves] == [module.bytes for module in whole]
    assert halves[0].training == whole[0].training
    pairs = [("көпүрө", "the bridge of the river"), ("школа", "a school")]
    for average in (False, True):
        states = []
        for one, other in (whole, halves):
            composition = Average((Leaf("a", one), Leaf("b", other))) if average else as_composition(one) + other
            states.append(composed_states(tiny_base, composition, pairs))
        assert (states[1] - states[0]).abs().max() < 5e-3
    wide = changed_module(whole[0], {name: tensor * 1e6 for name, tensor in whole[0].tensors.items()})
    with pytest.raises(XlrankError, match="holds values above 65,504; keep it in float32"):
        wide.halved()
