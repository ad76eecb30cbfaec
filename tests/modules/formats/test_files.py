import hashlib
import json
import os
from pathlib import Path

import pytest
import torch

from xlrank.modules.formats.files import (
    MAX_CONFIG_BYTES,
    check_sha256,
    check_tensors,
    first_file,
    load_checkpoint,
    read_bytes,
    read_config,
    read_tensors,
)

from .containers import ALL, PICKLED, TENSORS, Save, save_zip
from .tiny import refused


@pytest.mark.parametrize("save", ALL)
def test_reads_every_container(tmp_path: Path, save: Save) -> None:
    read = read_tensors(save(TENSORS, tmp_path / "model.bin"))
    assert read.keys() == TENSORS.keys()
    assert all(torch.equal(read[name], tensor) and read[name].dtype == tensor.dtype for name, tensor in TENSORS.items())


@pytest.mark.parametrize("save", PICKLED)
def test_reads_tied_tensors_parameters_and_metadata(tmp_path: Path, save: Save) -> None:
    layer = torch.nn.Linear(4, 3)
    values = layer.state_dict() | {"tied": layer.weight, "view": layer.weight[1:]}
    read = read_tensors(save(values, tmp_path / "model.bin"))
    assert torch.equal(read["tied"], layer.weight) and torch.equal(read["view"], layer.weight[1:])
    assert not read["tied"].requires_grad
    state = save(layer.state_dict(), tmp_path / "state.bin")  # an OrderedDict with an attribute
    assert read_tensors(state).keys() == {"weight", "bias"}


@pytest.mark.parametrize("save", ALL)
@pytest.mark.parametrize("part", [0.0, 0.1, 0.5, 0.7, 0.97])
def test_refuses_cut_off_files(tmp_path: Path, save: Save, part: float) -> None:
    path = save(TENSORS, tmp_path / "model.bin")
    path.write_bytes(path.read_bytes()[: int(part * path.stat().st_size)])
    with refused(str(path), "was not loaded"):
        read_tensors(path)


@pytest.mark.parametrize("save", PICKLED)
@pytest.mark.parametrize(
    "value", [[torch.zeros(2)], torch.zeros(2), {"a": {"b": torch.zeros(2)}}, {1: torch.zeros(2)}, {"a": 1}, 7]
)
def test_refuses_what_is_no_flat_mapping(tmp_path: Path, save: Save, value: object) -> None:
    with refused("flat mapping of names to tensors"):
        read_tensors(save(value, tmp_path / "model.bin"))


@pytest.mark.parametrize("save", ALL)
@pytest.mark.parametrize("bad", [float("nan"), float("inf"), float("-inf")])
def test_refuses_values_that_are_not_finite(tmp_path: Path, save: Save, bad: float) -> None:
    with refused("'b'", "NaN or infinite"):
        read_tensors(save({"a": torch.ones(3), "b": torch.tensor([1.0, bad])}, tmp_path / "model.bin"))


@pytest.mark.parametrize("save", PICKLED)
def test_refuses_tensors_larger_than_the_file(tmp_path: Path, save: Save) -> None:
    with refused("'a'", "more values than the file holds"):
        read_tensors(save({"a": torch.zeros(1).expand(1 << 40)}, tmp_path / "model.bin"))
    many = torch.zeros(10_000)
    with refused("more values than the file holds"):
        read_tensors(save({f"t{i}": many[i:] for i in range(50)}, tmp_path / "model.bin"))


def test_refuses_missing_large_and_odd_files(tmp_path: Path) -> None:
    with refused("model.bin", "cannot be read"):
        read_tensors(tmp_path / "model.bin")
    with refused("is no regular file"):
        read_tensors(tmp_path)
    os.mkfifo(tmp_path / "pipe.bin")
    with refused("is no regular file"):
        read_tensors(tmp_path / "pipe.bin")
    path = save_zip(TENSORS, tmp_path / "model.bin")
    with refused("expected at most 100"):
        read_tensors(path, 100)
    with refused("expected at most 100"):
        load_checkpoint(path, 100)


def test_follows_no_link_out_of_the_folder(tmp_path: Path) -> None:
    inside, outside = tmp_path / "module", tmp_path / "elsewhere"
    inside.mkdir()
    save_zip(TENSORS, outside)
    (inside / "model.bin").symlink_to(outside)
    with refused("symbolic link that leaves its folder"):
        read_tensors(inside / "model.bin")
    (inside / "own").write_bytes(outside.read_bytes())
    (inside / "linked.bin").symlink_to("own")
    assert read_tensors(inside / "linked.bin").keys() == TENSORS.keys()
    (inside / "loop.bin").symlink_to("loop.bin")
    with refused("loop.bin", "cannot be read"):
        read_tensors(inside / "loop.bin")
    (tmp_path / "folder").symlink_to(inside)  # the folder itself may be one: the user named it
    assert read_tensors(tmp_path / "folder" / "linked.bin").keys() == TENSORS.keys()
    (outside.parent / "c.json").write_text("{}")
    (inside / "config.json").symlink_to("../c.json")
    with refused("symbolic link that leaves its folder"):
        read_config(inside / "config.json")


def make_cached(root: Path, repository: str = "models--org--name", commit: str = "ab" * 20, folder: str = "") -> Path:
    """A file as the Hugging Face cache keeps it: a link into the blobs of its repository."""
    blob = root / repository / "blobs" / "c0ffee"
    blob.parent.mkdir(parents=True)
    blob.write_text("{}")
    path = root / repository / "snapshots" / commit / folder / "config.json"
    path.parent.mkdir(parents=True)
    path.symlink_to(os.path.relpath(blob, path.parent))
    return path


@pytest.mark.parametrize("folder", ["", "sub", "sub/folder"])
def test_follows_the_links_of_the_hubs_cache(tmp_path: Path, folder: str) -> None:
    path = make_cached(tmp_path / "hub", folder=folder)
    assert read_config(path) == {}
    (tmp_path / "link").symlink_to(tmp_path / "hub")  # the cache itself may be one: the user put it there
    assert read_config(tmp_path / "link" / path.relative_to(tmp_path / "hub")) == {}


def test_follows_no_other_links_of_that_shape(tmp_path: Path) -> None:
    elsewhere = make_cached(tmp_path, "models--org--other").resolve()
    blob_elsewhere = make_cached(tmp_path, "models--org--linked")
    (tmp_path / "models--org--linked" / "blobs" / "c0ffee").unlink()
    (tmp_path / "models--org--linked" / "blobs" / "c0ffee").symlink_to(elsewhere)  # a blob is no link
    beside = make_cached(tmp_path, "models--org--beside")
    (beside.parents[2] / "config.json").write_text("{}")
    beside.unlink()
    beside.symlink_to("../../config.json")  # in the repository, but no blob
    foreign = make_cached(tmp_path, "models--org--foreign")
    foreign.unlink()
    foreign.symlink_to(elsewhere)  # a blob, but another repository's
    deeper = make_cached(tmp_path, "models--org--deeper")
    (tmp_path / "models--org--deeper" / "blobs" / "more").mkdir()
    (tmp_path / "models--org--deeper" / "blobs" / "more" / "x").write_text("{}")
    deeper.unlink()
    deeper.symlink_to("../../blobs/more/x")
    others = [make_cached(tmp_path, "datasets--org--name"), make_cached(tmp_path, "models--org--main", commit="main")]
    for path in (blob_elsewhere, beside, foreign, deeper, *others):
        with refused(str(path), "symbolic link that leaves its folder"):
            read_config(path)


def test_holds_a_file_against_its_checksum(tmp_path: Path) -> None:
    path = tmp_path / "model.bin"
    path.write_bytes(b"weights")
    right = hashlib.sha256(b"weights").hexdigest()
    check_sha256(path, right)
    with refused(str(path), f"its sha256 is {right}, expected {'0' * 64}"):
        check_sha256(path, "0" * 64)
    with refused("cannot be read"):
        check_sha256(tmp_path / "none", right)


def test_reads_no_more_than_what_was_measured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "model.bin").write_bytes(b"weights")
    assert read_bytes(tmp_path / "model.bin", 7) == b"weights"
    with refused("expected at most 6"):
        read_bytes(tmp_path / "model.bin", 6)
    monkeypatch.setattr("xlrank.modules.formats.files.checked_size", lambda path, limit: 3)
    with refused("was changed while it was read"):
        read_bytes(tmp_path / "model.bin")


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
@pytest.mark.parametrize("place", [0, 131_072, -1])
def test_finds_a_single_value_that_is_not_finite(dtype: torch.dtype, place: int) -> None:
    limits = torch.finfo(dtype)
    values = torch.tensor([limits.max, limits.min, limits.tiny, -0.0], dtype=dtype).repeat(50_000)
    assert check_tensors({"a": values, "none": values[:0], "one": values[0]}, Path("x"), values.nbytes)
    for bad in (float("nan"), -float("nan"), float("inf"), -float("inf")):
        changed = values.clone()
        changed[place] = bad
        for shaped in (changed, changed.view(400, 500).T):
            with refused("'a'", "NaN or infinite"):
                check_tensors({"a": shaped}, Path("x"), values.nbytes)


def test_takes_the_first_file_that_is_there(tmp_path: Path) -> None:
    with refused(str(tmp_path), "a.safetensors nor b.bin"):
        first_file(tmp_path, ("a.safetensors", "b.bin"))
    (tmp_path / "b.bin").touch()
    assert first_file(tmp_path, ("a.safetensors", "b.bin")).name == "b.bin"
    (tmp_path / "a.safetensors").symlink_to("gone")
    assert first_file(tmp_path, ("a.safetensors", "b.bin")).name == "a.safetensors"


def test_reads_settings(tmp_path: Path) -> None:
    path = tmp_path / "config.json"
    path.write_text(json.dumps({"name": "ky", "r": 4}), encoding="utf-8")
    assert read_config(path) == {"name": "ky", "r": 4}


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"", "not valid JSON"),
        (b"\xff\xfe", "not valid JSON"),
        (b"[1]", "expected a JSON object"),
        (b"[" * 100_000, "not valid JSON"),
        (b'{"r": ' + b"9" * 10_000 + b"}", "not valid JSON"),
        (b" " * (MAX_CONFIG_BYTES + 1), "expected at most"),
        (None, "cannot be read"),
    ],
)
def test_refuses_other_settings(tmp_path: Path, content: bytes | None, problem: str) -> None:
    if content is not None:
        (tmp_path / "config.json").write_bytes(content)
    with refused("config.json", problem):
        read_config(tmp_path / "config.json")
