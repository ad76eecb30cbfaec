"""What a tree of files holds, told by names: the paper's layout, ours, and anyone's."""

from pathlib import Path, PurePosixPath

import pytest

from tests.modules.conversion.release_files import IDS, lora, packed, write_release
from xlrank.errors import XlrankError
from xlrank.modules.conversion.archives import members
from xlrank.modules.conversion.release import FoundModule, find_modules
from xlrank.modules.conversion.sources import MAX_FILES, Source

ADAPTER = ("adapter_config.json", "pytorch_adapter.bin")
STEP = "checkpoint-225000"


def found(*folders: str, files: tuple[str, ...] = ADAPTER, within: str = ".") -> dict[str, FoundModule]:
    paths = [PurePosixPath(folder, file) for folder in folders for file in files]
    return {module.id: module for module in find_modules(paths, PurePosixPath(within)).modules}


@pytest.fixture(scope="module")
def release(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_release(tmp_path_factory.mktemp("made") / "release")


@pytest.mark.parametrize("top", ["", "release", "a/b c/Ü"])
def test_the_papers_release(release: Path, top: str) -> None:
    files = [PurePosixPath(top, path.relative_to(release)) for path in release.rglob("*") if path.is_file()]
    findings = find_modules(files)
    assert {module.id: str(module.path) for module in findings.modules} == {
        id_: str(PurePosixPath(top, path)) for id_, path in IDS.items()
    }
    assert not findings.left_out
    told = {module.id: (module.format, module.role, module.language, module.reduction_factor) for module in findings.modules}
    assert told == {
        "language/en": ("adapterhub", "language", "en", 2),
        "language/ky": ("adapterhub", "language", "ky", 2),
        "language/ky-mask": ("composable-sft", "language", "ky", 2),
        "ranking/en-rf2-mask": ("composable-sft", "ranking", "en", 2),
        "ranking/en-rf4": ("adapterhub", "ranking", "en", 4),
        "ranking/monobert": ("hf", "ranking", None, None),
    }


@pytest.mark.parametrize("name", ["r.zip", "r.tar.gz"])
def test_an_archive_holds_what_its_folder_holds(release: Path, name: str, tmp_path: Path) -> None:
    findings = Source(packed(release, tmp_path / name)).find()
    assert {module.id: str(module.path) for module in findings.modules} == {id_: f"release/{path}" for id_, path in IDS.items()}


def test_an_archives_name_may_say_what_it_holds(release: Path, tmp_path: Path) -> None:
    archive = packed(release / "monobert", tmp_path / "monobert.zip", top=".")
    assert members(archive)
    assert [module.id for module in Source(archive).find().modules] == ["ranking/monobert"]


def test_the_module_itself_is_told_by_where_it_lies(release: Path) -> None:
    for id_, path in IDS.items():
        (module,) = Source(release / path).find().modules
        assert (module.id, str(module.path)) == (id_, ".")


def test_reduction_factors_in_ids() -> None:
    folders = [f"mlm/rf_{factor}/tr/{STEP}/mlm_adapter" for factor in (2, 4, 16)]
    assert list(found(*folders)) == ["language/tr", "language/tr-rf16", "language/tr-rf4"]
    folders = [f"ir/rf_2_{factor}/{STEP}/retrieval" for factor in (1, 16)]
    assert list(found(*folders)) == ["ranking/en-rf1", "ranking/en-rf16"]


def test_the_latest_checkpoint_is_taken() -> None:
    paths = [PurePosixPath(f"rf_2/tr/checkpoint-{step}/mlm_adapter/adapter.safetensors") for step in (900, 1000, 50)]
    findings = find_modules(paths)
    assert [module.step for module in findings.modules] == [1000]
    assert len(findings.left_out) == 2
    assert all("an earlier checkpoint of language/tr" in left.reason for left in findings.left_out)


def test_the_copy_beside_a_ranking_adapter_gives_way() -> None:
    own, copies = f"mlm/rf_2/en/{STEP}/mlm_adapter", [f"ir/rf_2_{n}/checkpoint-625000/en" for n in (1, 16)]
    paths = [PurePosixPath(folder, "pytorch_adapter.bin") for folder in (*copies, own)]
    findings = find_modules(paths)
    assert [str(module.path) for module in findings.modules] == [own]
    assert [str(left.path) for left in findings.left_out] == copies
    assert all("a copy of language/en" in left.reason for left in findings.left_out)
    assert [str(module.path) for module in find_modules(paths[:2]).modules] == copies[:1]


def test_unknown_languages_are_explained() -> None:
    module = found(f"mlm/rf_2/xx/{STEP}/mlm_adapter")["language/xx"]
    assert module.language is None
    assert "unknown language 'xx'" in module.problem


def test_our_own_ids() -> None:
    files = ("module.json", "module.safetensors")
    assert list(found("x/language/kg", "x/ranking/en", "y", files=files)) == ["language/ky", "module/y", "ranking/en"]
    assert found("language/ky-mask", files=("pytorch_diff.bin",))["language/ky-mask"].language == "ky"
    assert list(found("a/language/ky", files=("pytorch_diff.bin",))) == ["language/ky-mask"]


def test_trees_that_say_nothing() -> None:
    assert found("a/ky")["module/ky"].role is None
    assert found(".", within="/")["module/unnamed"].path == PurePosixPath(".")
    assert list(found("A b/Ц(1)")) == ["module/ц-1"]
    findings = find_modules(
        [PurePosixPath("a/ky/adapter.safetensors"), PurePosixPath("a/x/adapter.safetensors")], role="language"
    )
    assert {module.id: module.language for module in findings.modules} == {"language/ky": "ky", "language/x": None}
    assert list(found("a/x", "b/x", "y")) == ["module/a-x", "module/b-x", "module/y"]
    whole = ("config.json", "pytorch_model.bin")
    assert found("m/checkpoint-9", "m/checkpoint-10", files=whole)["ranking/m"].step == 10
    findings = find_modules([PurePosixPath(folder, "adapter.safetensors") for folder in ("a-b/x", "a/b/x")])
    assert [module.id for module in findings.modules] == ["module/a-b-x"]
    assert "would be called module/a-b-x, as a/b/x" in findings.left_out[0].reason


def test_what_is_no_module() -> None:
    assert not found("a", files=("config.json",))
    assert not found("a", files=("adapter_config.json",))
    assert not found("a", files=("model.safetensors",))
    assert list(found("a", files=("config.json", "model.safetensors"))) == ["ranking/a"]


def test_an_adapter_fusion_is_left_out_and_said(tmp_path: Path) -> None:
    adapters = [PurePosixPath(name, "adapter.safetensors") for name in ("out/ky", "out/rank")]
    fusion = PurePosixPath("out/ky,rank/adapter_fusion_config.json")
    findings = find_modules([*adapters, fusion])
    assert [module.id for module in findings.modules] == ["module/ky", "module/rank"]
    assert [(str(one.path), one.reason.partition(",")[0]) for one in findings.left_out] == [
        ("out/ky,rank", "an AdapterFusion of AdapterHub")
    ]
    (tmp_path / "fused").mkdir()
    (tmp_path / "fused" / fusion.name).touch()
    with pytest.raises(XlrankError, match="fused: is an AdapterFusion of AdapterHub, which cannot be read"):
        Source(tmp_path).find()


def test_nothing_found(tmp_path: Path) -> None:
    with pytest.raises(XlrankError, match="holds no module of a known format"):
        Source(tmp_path).find()
    (tmp_path / "weights.bin").touch()
    with pytest.raises(XlrankError, match=r"weights.bin: is no archive \(.zip"):
        Source.at(tmp_path / "weights.bin")
    assert Source.at(tmp_path / "missing") is None


def test_links_to_folders_and_hidden_folders_are_not_entered(tmp_path: Path) -> None:
    lora(tmp_path / "elsewhere" / "one")
    lora(tmp_path / "here" / "two")
    lora(tmp_path / "here" / ".three")
    (tmp_path / "here" / "link").symlink_to(tmp_path / "elsewhere")
    assert [str(module.path) for module in Source(tmp_path / "here").find().modules] == ["two"]


def test_a_home_folder_is_not_searched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.walk", lambda folder: iter([(str(folder), [], [f"{i}" for i in range(MAX_FILES + 1)])]))
    with pytest.raises(XlrankError, match="holds more than 100,000 files"):
        Source(tmp_path).find()
