"""Modules from a Hub: a real server on this machine, real downloads into a real cache, in processes of their own."""

import hashlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import make_adapter, make_ranking
from xlrank.bases import Base
from xlrank.modules import Module
from xlrank.modules.formats import adapterhub_writer
from xlrank.modules.hub import _choose
from xlrank.modules.locate import HubId

from .formats.tiny import refused
from .hub_server import Hub, load, serving

OURS, THEIRS, MIXED = "org/ours", "org/theirs", "org/mixed"


@pytest.fixture(scope="module")
def modules(tiny_base: Base, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Module]:
    """Two modules of ours and one for the other libraries."""
    return {"ky": make_adapter(tiny_base, "ky", 1), "new": make_adapter(tiny_base, "ky", 2), "rank": make_ranking(tiny_base, 3)}


@pytest.fixture(scope="module")
def published(tiny_base: Base, modules: dict[str, Module], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folders as repositories: ours (two commits, one with a subfolder), AdapterHub's, and odd ones."""
    root = tmp_path_factory.mktemp("published")
    modules["ky"].save(root / "first")
    modules["new"].save(root / "second")
    modules["ky"].save(root / "second" / "old" / "ky")
    (root / "second" / "README.md").write_text("not downloaded")
    adapterhub_writer.write(modules["rank"], root / "theirs", tiny_base, name="rank")
    (root / "theirs" / "pytorch_adapter.bin").write_bytes(b"not downloaded: there is a safetensors file")
    modules["ky"].save(root / "mixed")
    (root / "mixed" / "Module.json").write_text("{}")
    (root / "empty").mkdir()
    (root / "empty" / "README.md").write_text("nothing here")
    return root


@pytest.fixture
def hub(published: Path) -> Iterator[Hub]:
    with serving() as hub:
        hub.add(OURS, published / "first", "v1")
        hub.add(OURS, published / "second", "main", "refs/pr/2")
        hub.add(THEIRS, published / "theirs", "main")
        hub.add(MIXED, published / "mixed", "main")
        hub.add("org/empty", published / "empty", "main")
        yield hub


def commit(hub: Hub, revision: str) -> str:
    return hub.revisions[OURS, revision]


def checksum(folder: Path, name: str = "module.safetensors") -> str:
    return hashlib.sha256((folder / name).read_bytes()).hexdigest()


def test_downloads_what_was_asked_for_and_says_where_it_is_from(hub: Hub, modules: dict[str, Module], tmp_path: Path) -> None:
    ids = ["hub:org/ours", "hub:org/ours@v1", f"hub:org/ours@{commit(hub, 'v1')}", "hub:org/ours/old/ky@refs/pr/2"]
    newest, tag, pinned, folder = load(hub, tmp_path, *ids)
    assert newest["digest"] == modules["new"].digest
    assert newest["training"] == {"hub": {"repository": OURS, "revision": "main", "commit": commit(hub, "main")}}
    assert tag["digest"] == pinned["digest"] == folder["digest"] == modules["ky"].digest
    assert tag["training"]["hub"] == {"repository": OURS, "revision": "v1", "commit": commit(hub, "v1")}
    assert pinned["training"]["hub"] == {"repository": OURS, "revision": commit(hub, "v1"), "commit": commit(hub, "v1")}
    place = {"repository": OURS, "folder": "old/ky", "revision": "refs/pr/2", "commit": commit(hub, "main")}
    assert folder["training"]["hub"] == place
    assert folder["folder"].endswith(f"snapshots/{commit(hub, 'main')}/old/ky")
    # Nothing but what belongs to modules, the settings first; and no content twice, by whatever name it is asked for.
    assert hub.got() == ["module.json", "module.safetensors"] * 2
    for found, name in ((newest, "new"), (folder, "ky")):
        assert set(Module.load(found["folder"]).tensors) == set(modules[name].tensors)


def test_what_is_in_the_cache_is_not_downloaded_again(hub: Hub, modules: dict[str, Module], tmp_path: Path) -> None:
    pinned = f"hub:org/ours@{commit(hub, 'main')}"
    load(hub, tmp_path, "hub:org/ours", pinned)
    hub.requests.clear()
    assert load(hub, tmp_path, pinned)[0]["digest"] == modules["new"].digest
    assert hub.requests == []
    hub.revisions[OURS, "main"] = commit(hub, "v1")
    assert load(hub, tmp_path, "hub:org/ours")[0]["digest"] == modules["ky"].digest
    assert hub.got() == ["module.json", "module.safetensors"]


def test_offline_the_cache_is_all_there_is(hub: Hub, modules: dict[str, Module], tmp_path: Path) -> None:
    load(hub, tmp_path, "hub:org/ours")
    hub.requests.clear()
    branch, pinned, other, folder = load(
        hub,
        tmp_path,
        "hub:org/ours",
        f"hub:org/ours@{commit(hub, 'main')}",
        "hub:org/ours@v1",
        "hub:org/ours/old/ky",
        offline=True,
    )
    assert branch["digest"] == pinned["digest"] == modules["new"].digest
    assert branch["training"]["hub"]["commit"] == commit(hub, "main")
    assert other == {"error": "hub:org/ours@v1: is not in the cache, and HF_HUB_OFFLINE is set; unset it to download the module"}
    assert "is not in the cache" in folder["error"]
    assert hub.requests == []


def test_without_a_connection_the_cache_does(hub: Hub, modules: dict[str, Module], tmp_path: Path) -> None:
    load(hub, tmp_path, "hub:org/ours")
    gone = Hub(endpoint="http://127.0.0.1:9")  # the port of "discard": nobody listens
    cached, other = load(gone, tmp_path, "hub:org/ours", "hub:org/ours@v1")
    assert cached["digest"] == modules["new"].digest
    assert other["error"].startswith("hub:org/ours@v1: is not in the cache, and the Hub cannot be reached (")
    hub.errors[OURS] = (503, "")
    cached, other = load(hub, tmp_path, "hub:org/ours", "hub:org/ours@v1")
    assert cached["digest"] == modules["new"].digest
    assert "cannot be reached (HTTP 503)" in other["error"]


def test_the_checksum_is_that_of_the_weights(hub: Hub, published: Path, tiny_bert_folder: Path, tmp_path: Path) -> None:
    right, wrong = checksum(published / "second"), "0" * 64
    theirs = checksum(published / "theirs", "adapter.safetensors")
    good, bad, foreign = load(
        hub,
        tmp_path,
        f"hub:org/ours#sha256={right.upper()}",
        f"hub:org/ours@main#sha256={wrong}",
        (f"hub:org/theirs#sha256={wrong}", {"base": str(tiny_bert_folder), "role": "ranking"}),
    )
    assert "digest" in good
    assert f"its sha256 is '{right}', not '{wrong}'" in bad["error"]
    assert f"adapter.safetensors: its sha256 is {theirs}, expected {wrong}" in foreign["error"]


def test_other_weights_than_the_card_says_are_refused(hub: Hub, published: Path, tmp_path: Path) -> None:
    # The card agrees with the checksum asked for; the file beside it is another one.
    swapped = tmp_path / "swapped"
    swapped.mkdir()
    (swapped / "module.json").write_bytes((published / "first" / "module.json").read_bytes())
    (swapped / "module.safetensors").write_bytes((published / "second" / "module.safetensors").read_bytes())
    hub.add("org/swapped", swapped, "main")
    found = load(hub, tmp_path, f"hub:org/swapped#sha256={checksum(published / 'first')}")[0]
    with refused("module.safetensors: damaged (its checksum is not the one in module.json)"):
        _ = Module.load(found["folder"]).tensors


def test_modules_of_other_libraries_come_through_the_same_door(
    hub: Hub, modules: dict[str, Module], published: Path, tiny_base: Base, tiny_bert_folder: Path, tmp_path: Path
) -> None:
    id = f"hub:org/theirs#sha256={checksum(published / 'theirs', 'adapter.safetensors')}"
    options = {"base": str(tiny_bert_folder), "role": "ranking", "language": "en"}
    bare, found = load(hub, tmp_path, "hub:org/theirs", (id, options))
    assert "of format 'adapterhub', which does not say enough; give base= and role=" in bare["error"]
    assert "xlrank module convert" in bare["error"]
    assert found["training"]["hub"]["commit"] == hub.revisions[THEIRS, "main"]
    assert found["training"]["imported"]["format"] == "AdapterHub"
    assert sorted(set(hub.got())) == [
        "adapter.safetensors",
        "adapter_config.json",
        "head_config.json",
        "model_head.safetensors",
    ]
    # Files in a cache are links to its blobs, which the readers of other libraries' files let pass.
    folder = next((tmp_path / "hub").glob("models--org--theirs/snapshots/*"))
    assert (folder / "adapter.safetensors").is_symlink()
    again = Module.load(folder, base=tiny_base, role="ranking", language="en")
    assert again.digest == found["digest"] and set(again.tensors) == set(modules["rank"].tensors)


def test_what_is_not_there_or_not_allowed_is_said_in_one_line(hub: Hub, tmp_path: Path) -> None:
    hub.errors |= {"org/gated": (403, "GatedRepo"), "org/private": (401, "RepoNotFound"), "org/teapot": (418, "")}
    problems = {
        "hub:org/none": "no such repository on the Hub, or a private one",
        "hub:org/ours@v7": "the repository has no revision 'v7'",
        "hub:org/gated": "its owner grants access to those who ask for it",
        "hub:org/private": "no such repository on the Hub, or a private one",
        "hub:org/teapot": "the Hub refused it (HTTP 418)",
        "hub:org/empty": "holds no module; give a repository of modules",
        "hub:org/ours/other": "holds no module; modules are in its folders old/ky",
        "hub:org/mixed": "'Module.json' and 'module.json' differ in case only",
        "hub:org": "not the id of a module on the Hub; expected hub:ORG/NAME",
    }
    for (id, problem), found in zip(problems.items(), load(hub, tmp_path, *problems), strict=True):
        assert problem in found["error"] and id in found["error"] and "\n" not in found["error"], found
    format = load(hub, tmp_path, ("hub:org/ours", {"format": "peft"}))[0]
    assert "has no weights of format 'peft'" in format["error"]
    assert hub.got() == []


@pytest.mark.parametrize(("name", "size"), [("module.safetensors", 5 << 30), ("module.json", 2 << 20)])
def test_nothing_is_downloaded_that_claims_to_be_too_large(hub: Hub, tmp_path: Path, name: str, size: int) -> None:
    hub.sizes[name] = size
    found = load(hub, tmp_path, "hub:org/ours")[0]
    assert f"hub:org/ours: {name} has {size:,} bytes, expected at most" in found["error"]
    assert hub.got() == []


def test_a_cache_that_cannot_be_written_is_named(hub: Hub, tmp_path: Path) -> None:
    (tmp_path / "hub").write_text("a file where the cache should be")
    assert "cannot be stored in the cache" in load(hub, tmp_path, "hub:org/ours")[0]["error"]


def test_the_origin_survives_saving_and_is_no_part_of_the_content(hub: Hub, modules: dict[str, Module], tmp_path: Path) -> None:
    found = load(hub, tmp_path, ("hub:org/ours", {"save": str(tmp_path / "saved")}))[0]
    saved = Module.load(tmp_path / "saved")
    assert saved.training == found["training"] == {"hub": {"repository": OURS, "revision": "main", "commit": commit(hub, "main")}}
    assert saved == modules["new"] and saved.digest == found["digest"]


def test_weights_in_several_files_are_refused_with_the_reason() -> None:
    names = (
        "config.json",
        "model.safetensors.index.json",
        "model-00001-of-00002.safetensors",
        "model-00002-of-00002.safetensors",
    )
    with refused("hub:org/large: its weights are in several files (model.safetensors.index.json)"):
        _choose(HubId.parse("hub:org/large"), None, dict.fromkeys(names, 10))
