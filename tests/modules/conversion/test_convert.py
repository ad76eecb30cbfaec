"""Modules from one format to another, alone and by the release; what is bad is named and spoils nothing else."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.modules.conversion import release_files as files
from tests.modules.formats.adapterhub_files import card as adapter_card
from tests.modules.formats.tiny import HIDDEN, make_bert, refused
from xlrank.bases import Base
from xlrank.files import file_hash
from xlrank.modules import Module
from xlrank.modules.conversion.convert import Conversion, convert
from xlrank.modules.verify import verify


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Base:
    return make_bert(tmp_path_factory.mktemp("bases") / "tiny")


@pytest.fixture(scope="module")
def release(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return files.write_release(tmp_path_factory.mktemp("made") / "release")


@pytest.fixture(scope="module")
def archive(release: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return files.packed(release, tmp_path_factory.mktemp("packed") / "release.zip")


@pytest.fixture(scope="module")
def converted(archive: Path, base: Base, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The whole release in our format; read only."""
    out = tmp_path_factory.mktemp("converted") / "out"
    done = convert(archive, out, base=base, licence="CC BY 4.0")
    assert set(done.written) == set(files.IDS)
    assert not (done.present or done.failed or done.left_out)
    return out


def equal(one: Module, other: Module) -> bool:
    same = all(torch.equal(one.tensors[name], tensor) for name, tensor in other.tensors.items())
    return same and set(one.tensors) == set(other.tensors) and dict(one.config) == dict(other.config)


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def edited(path: Path, **changes: Any) -> None:  # noqa: ANN401 - JSON values
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def test_a_whole_release(converted: Path, base: Base) -> None:
    kinds = {}
    for id_ in files.IDS:
        module = Module.load(converted / id_)
        assert len(verify(module, base)) >= 3
        kinds[id_] = (module.kind, module.role, module.language, "head.out.weight" in module.tensors)
    assert kinds == {
        "language/en": ("adapter", "language", "en", False),
        "language/ky": ("adapter", "language", "ky", False),
        "language/ky-mask": ("mask", "language", "ky", False),
        "ranking/en-rf2-mask": ("mask", "ranking", "en", True),
        "ranking/en-rf4": ("adapter", "ranking", "en", True),
        "ranking/monobert": ("full", "ranking", None, True),
    }
    assert sorted(path.name for path in converted.parent.iterdir()) == ["out"]


def test_the_origin_is_recorded(converted: Path, archive: Path) -> None:
    imported = Module.load(converted / "language/ky").training["imported"]
    assert imported["format"] == "AdapterHub"
    assert imported["name"] == "mlm_adapter"
    assert imported["licence"] == "CC BY 4.0"
    assert imported["source"] == {
        "name": "release.zip",
        "path": f"release/{files.ADAPTER_KY}",
        "files": {"release.zip": file_hash(archive)},
    }


def test_folders_give_what_archives_give(converted: Path, release: Path, base: Base, tmp_path: Path) -> None:
    done = convert(release, tmp_path / "out", base=base)
    assert set(done.written) == set(files.IDS)
    for id_, folder in done.written.items():
        assert equal(Module.load(folder), Module.load(converted / id_))
    source = Module.load(tmp_path / "out/language/ky-mask").training["imported"]["source"]
    weights = release / files.MASK_KY / "pytorch_diff.bin"
    assert source == {"name": "release", "path": files.MASK_KY, "files": {"pytorch_diff.bin": file_hash(weights)}}


def test_what_is_done_is_not_done_again(
    archive: Path, base: Base, converted: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = shutil.copytree(converted, tmp_path / "out")
    shutil.rmtree(out / "ranking/en-rf4")
    seen: list[tuple[int, int]] = []
    before = contents(out)
    done = convert(archive, out, base=base, licence="CC BY 4.0", progress=lambda *state: seen.append(state))
    assert list(done.written) == ["ranking/en-rf4"]
    assert set(done.present) == set(files.IDS) - {"ranking/en-rf4"}
    assert seen == [(5, 6), (6, 6)]
    assert before.items() <= contents(out).items()

    monkeypatch.setattr("xlrank.modules.conversion.sources.unpack", lambda *_: pytest.fail("unpacked for nothing"))
    assert len(convert(archive, out, base=base, licence="CC BY 4.0").present) == 6


def test_the_same_module_from_elsewhere_is_there_already(converted: Path, release: Path, base: Base, tmp_path: Path) -> None:
    out = shutil.copytree(converted, tmp_path / "out")
    before = contents(out)
    assert set(convert(release, out, base=base).present) == set(files.IDS)
    assert contents(out) == before


def test_the_result_may_lie_inside_the_source(release: Path, base: Base, tmp_path: Path) -> None:
    source = shutil.copytree(release, tmp_path / "release")
    assert len(convert(source, source / "a", base=base).written) == 6
    assert convert(source, source / "a", base=base) == Conversion(present={id_: source / "a" / id_ for id_ in files.IDS})


def test_other_modules_are_never_overwritten(release: Path, base: Base, tmp_path: Path) -> None:
    source = shutil.copytree(release, tmp_path / "release")
    convert(source, tmp_path / "out", base=base)
    before = contents(tmp_path / "out")
    files.mask(source / files.MASK_RANKING, ranking=False)
    done = convert(source, tmp_path / "out", base=base)
    assert list(done.failed) == ["ranking/en-rf2-mask"]
    assert "holds another module already" in done.failed["ranking/en-rf2-mask"]
    assert len(done.present) == 5
    assert contents(tmp_path / "out") == before
    with refused("holds another module already"):
        convert(source / files.MASK_KY, tmp_path / "out/language/ky", base=base)
    with refused("is not empty"):
        convert(source / files.MASK_KY, tmp_path / "out", base=base)
    with refused("is not empty"):
        convert(source / files.ADAPTER_KY, tmp_path / "out", base=base, to="adapterhub")
    assert contents(tmp_path / "out") == before


def test_another_licence_is_another_module(release: Path, base: Base, tmp_path: Path) -> None:
    source = release / files.MASK_KY
    assert convert(source, tmp_path / "out", base=base, licence="CC0").written
    assert convert(source, tmp_path / "out", base=base).present
    with refused("holds another module already"):
        convert(source, tmp_path / "out", base=base, licence="CC BY 4.0")


def bad_release(release: Path, folder: Path) -> Path:
    """The release with one module that has no configuration, one of NaN, and one in no known language."""
    folder = shutil.copytree(release, folder)
    (folder / files.ADAPTER_KY / "adapter_config.json").unlink()
    weights = torch.load(folder / files.RANKING / "pytorch_adapter.bin")
    next(iter(weights.values()))[0] = float("nan")
    torch.save(weights, folder / files.RANKING / "pytorch_adapter.bin")
    files.mask(folder / "sft/mlm/rf_2/xx")
    return folder


@pytest.mark.parametrize("packed", [False, True])
def test_bad_modules_are_named_and_spoil_nothing(packed: bool, release: Path, base: Base, tmp_path: Path) -> None:
    source = bad_release(release, tmp_path / "bad")
    if packed:
        source = files.packed(source, tmp_path / "bad.tar.gz")
    done = convert(source, tmp_path / "out", base=base)
    assert set(done.failed) == {"language/ky", "ranking/en-rf4", "language/xx-mask"}
    assert set(done.written) == set(files.IDS) - {"language/ky", "ranking/en-rf4"}
    assert "adapter_config.json: cannot be read" in done.failed["language/ky"]
    assert "NaN" in done.failed["ranking/en-rf4"]
    assert "unknown language 'xx'" in done.failed["language/xx-mask"]
    assert all(reason.startswith(str(source)) and "\n" not in reason for reason in done.failed.values())
    assert not (tmp_path / "out/language/ky").exists()
    assert not [path for path in tmp_path.rglob(".*")]


def test_one_module(release: Path, base: Base, tmp_path: Path) -> None:
    done = convert(release / files.ADAPTER_KY, tmp_path / "a", base=base.name)
    assert done == Conversion(written={"language/ky": tmp_path / "a"})
    assert Module.load(tmp_path / "a").language == "ky"
    convert(release / files.ADAPTER_KY, tmp_path / "b", base=base, role="language", language="Uyghur")
    assert Module.load(tmp_path / "b").language == "ug"


def test_what_the_path_does_not_say_must_be_given(base: Base, tmp_path: Path) -> None:
    source = files.lora(tmp_path / "mine")
    with refused("mine", "--role"):
        convert(source, tmp_path / "out", base=base)
    with refused("mine", "--lang"):
        convert(source, tmp_path / "out", base=base, role="language")
    assert not (tmp_path / "out").exists()
    convert(source, tmp_path / "out", base=base, role="language", language="ky")
    module = Module.load(tmp_path / "out")
    assert (module.kind, module.role, module.language) == ("lora", "language", "ky")


def test_a_tree_of_anyones_modules(base: Base, tmp_path: Path) -> None:
    files.language_adapter(tmp_path / "tree/ky", "ky")
    files.lora(tmp_path / "tree/tr")
    files.mask(tmp_path / "tree/unnamed")
    done = convert(tmp_path / "tree", tmp_path / "out", base=base, role="language")
    assert sorted(done.written) == ["language/ky", "language/tr-lora"]
    assert "--lang" in done.failed["language/unnamed-mask"]
    with refused("holds 3 modules", "one language"):
        convert(tmp_path / "tree", tmp_path / "out", base=base, role="language", language="ky")


@pytest.mark.parametrize(
    ("head", "expected"), [(None, {"ranking/en-rf4": True}), (False, {"ranking/en-rf4": False, "ranking/monobert": False})]
)
def test_heads(head: bool | None, expected: dict[str, bool], archive: Path, base: Base, tmp_path: Path) -> None:
    convert(archive, tmp_path / "out", base=base, head=head)
    for id_, has_head in expected.items():
        module = Module.load(tmp_path / "out" / id_)
        assert ("head.out.weight" in module.tensors, "pooling" in module.config) == (has_head, has_head)
        verify(module, base)


def test_heads_that_are_asked_for_must_be_there(release: Path, base: Base, tmp_path: Path) -> None:
    with refused("BertForMaskedLM", "no relevance head"):
        convert(release / files.ADAPTER_KY, tmp_path / "out", base=base, head=True)
    with refused("has no head"):
        convert(release / files.MASK_KY, tmp_path / "out", base=base, head=True)


@pytest.mark.parametrize(
    ("id_", "to"),
    [
        ("language/ky", "adapterhub"),
        ("ranking/en-rf4", "adapterhub"),
        ("language/ky-mask", "composable-sft"),
        ("ranking/en-rf2-mask", "composable-sft"),
        ("mine", "peft"),
    ],
)
def test_there_and_back(id_: str, to: Any, converted: Path, base: Base, tmp_path: Path) -> None:  # noqa: ANN401 - a literal
    source = converted / id_
    if id_ == "mine":
        convert(files.lora(tmp_path / "lora"), tmp_path / "mine", base=base, role="ranking")
        source = tmp_path / "mine"
    module = Module.load(source)
    assert convert(source, tmp_path / "theirs", base=base, to=to).written
    assert convert(source, tmp_path / "theirs", base=base, to=to).present
    record = json.loads((tmp_path / "theirs/xlrank.json").read_text())
    assert record["sha256"] == module.sha256
    assert record["training"] == module.training
    language = module.language if module.role == "language" else None
    convert(tmp_path / "theirs", tmp_path / "ours", base=base, role=module.role, language=language)
    assert equal(Module.load(tmp_path / "ours"), module)


def test_a_tree_of_ours_to_theirs(converted: Path, base: Base, tmp_path: Path) -> None:
    done = convert(converted / "language", tmp_path / "out", base=base, to="adapterhub")
    assert sorted(done.written) == ["language/en", "language/ky"]
    assert "'mask'; AdapterHub's format holds adapters only" in done.failed["language/ky-mask"]
    config = json.loads((tmp_path / "out/language/ky/adapter_config.json").read_text())
    assert config["name"] == "ky"
    with refused("only AdapterHub's format"):
        convert(converted / "language/ky", tmp_path / "x", base=base, name="x")
    convert(converted / "language/ky", tmp_path / "x", base=base, to="adapterhub", name="kyrgyz")
    assert json.loads((tmp_path / "x/adapter_config.json").read_text())["name"] == "kyrgyz"


def test_ours_may_be_copied_but_not_renamed(converted: Path, base: Base, tmp_path: Path) -> None:
    convert(converted / "language/ky", tmp_path / "out", base=base)
    assert Module.load(tmp_path / "out").card() == Module.load(converted / "language/ky").card()
    with refused("its role is 'language', not 'ranking'"):
        convert(converted / "language/ky", tmp_path / "x", base=base, role="ranking")
    with refused("module 'nowhere'"):
        convert("nowhere", tmp_path / "x", base=base)


def test_shipped_modules_can_be_exported(tmp_path: Path) -> None:
    convert("mlm/ky", tmp_path / "out", base="xlrank/e5-small", to="adapterhub")
    assert (tmp_path / "out/adapter.safetensors").is_file()


def test_unknown_wishes(base: Base, tmp_path: Path) -> None:
    wrong: list[tuple[dict[str, Any], str]] = [
        ({"to": "onnx"}, "unknown module format 'onnx'"),
        ({"role": "head"}, "unknown role 'head'"),
        ({"language": "xx"}, "unknown language 'xx'"),
    ]
    for wish, word in wrong:
        with refused(word):
            convert(tmp_path, tmp_path / "out", base=base, **wish)
    with refused("is a whole model", "ranking"):
        convert(files.cross_encoder(tmp_path / "model"), tmp_path / "out", base=base, role="language", language="ky")


def test_wrong_bases(release: Path, converted: Path, tmp_path: Path) -> None:
    (tmp_path / "x-uncased").mkdir()
    other = make_bert(tmp_path / "x-uncased", pooler=False)
    source = files.ranking_adapter(tmp_path / "cased", model_name="some-cased")
    with refused("'some-cased'", "uncased", "--same-base"):
        convert(source, tmp_path / "out", base=other, role="ranking")
    assert convert(source, tmp_path / "told", base=other, role="ranking", same_base=True).written
    wide = files.ranking_adapter(tmp_path / "wide", hidden_size=2 * HIDDEN)
    with refused("'hidden_size' is 16", "has 8"):
        convert(wide, tmp_path / "out", base=other, role="ranking")
    deep = files.ranking_adapter(tmp_path / "deep")
    weights = torch.load(deep / "pytorch_adapter.bin")
    weights |= {name.replace("layer.1", "layer.2"): tensor for name, tensor in weights.items()}
    torch.save(weights, deep / "pytorch_adapter.bin")
    with refused("layer.2", "2 layers"):
        convert(deep, tmp_path / "out", base=other, role="ranking")
    model = files.cross_encoder(tmp_path / "model", vocab_size=31)
    with refused("vocab_size is 31, but 30"):
        convert(model, tmp_path / "out", base=other)
    edited(
        converted.parent.joinpath(shutil.copytree(converted / "language/ky", tmp_path / "own"), "module.json"),
        base={"name": "some/base", "fingerprint": "0" * 16},
    )
    with refused("made for base 'some/base' (0000000000000000)"):
        convert(tmp_path / "own", tmp_path / "out", base=other)
    assert not (tmp_path / "out").exists()


def test_a_damaged_result_is_named_and_spoils_nothing(release: Path, base: Base, converted: Path, tmp_path: Path) -> None:
    out = shutil.copytree(converted, tmp_path / "out")
    (out / "language/ky/module.json").write_text("{")
    done = convert(release, out, base=base)
    assert list(done.failed) == ["language/ky"]
    assert "module.json: not valid JSON" in done.failed["language/ky"]
    assert len(done.present) == 5


def test_hostile_archives_leave_nothing(release: Path, base: Base, tmp_path: Path) -> None:
    import zipfile

    archive = files.packed(release, tmp_path / "release.zip")
    with zipfile.ZipFile(archive, "a") as zipped:
        zipped.writestr("../evil", "x")
    with refused("release.zip", "'../evil'"):
        convert(archive, tmp_path / "out", base=base)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["release.zip"]


def test_links_out_of_a_folder(release: Path, base: Base, tmp_path: Path) -> None:
    (tmp_path / "sft").mkdir()
    (tmp_path / "sft/pytorch_diff.bin").symlink_to(release / files.MASK_KY / "pytorch_diff.bin")
    with refused("symbolic link that leaves its folder"):
        convert(tmp_path / "sft", tmp_path / "out", base=base, role="ranking")


def test_names_in_a_folder_that_differ_in_case_only(base: Base, tmp_path: Path) -> None:
    source = files.lora(tmp_path / "lora")
    (source / "Adapter_Config.json").write_text("{}")
    with refused("differ in case only"):
        convert(source, tmp_path / "out", base=base, role="ranking")


def test_unknown_activations(base: Base, tmp_path: Path) -> None:
    source = files.ranking_adapter(tmp_path / "mine")
    (source / "adapter_config.json").write_text(json.dumps(adapter_card({"non_linearity": "exec"}, name="retrieval")))
    with refused("non_linearity", "exec"):
        convert(source, tmp_path / "out", base=base, role="ranking")
