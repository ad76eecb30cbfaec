import io
import pickle
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from xlrank.modules.formats.files import read_tensors
from xlrank.modules.formats.pickles import TENSOR_NAMES, PickleError, check_pickle

from .containers import PICKLED, TENSORS, Save, save_legacy, save_zip
from .tiny import Code, refused

DAMAGED = "is damaged or holds code and was not loaded"


def rewritten(path: Path, change: Callable[[str, bytes], bytes] = lambda _, data: data, compression: int = 0) -> Path:
    """The zip file with changed entries, perhaps compressed."""
    with zipfile.ZipFile(path) as archive:
        entries = {entry.filename: archive.read(entry) for entry in archive.infolist()}
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, data in entries.items():
            archive.writestr(name, change(name, data))
    return path


@pytest.mark.parametrize("save", PICKLED)
def test_never_runs_code(tmp_path: Path, save: Save) -> None:
    marker = tmp_path / "pwned"
    path = save({"a": torch.zeros(2), "b": Code(marker)}, tmp_path / "model.bin")
    with refused(DAMAGED, "mknod"):
        read_tensors(path)
    assert not marker.exists()


def test_never_runs_code_of_a_bare_pickle_or_a_tar(tmp_path: Path) -> None:
    marker, path = tmp_path / "pwned", tmp_path / "model.bin"
    path.write_bytes(pickle.dumps({"a": Code(marker)}))
    with refused(DAMAGED, "no PyTorch file"):
        read_tensors(path)
    with tarfile.open(path, "w") as archive:
        archive.addfile(tarfile.TarInfo("storages"), io.BytesIO())
    with refused(DAMAGED, "no PyTorch file"):
        read_tensors(path)
    assert not marker.exists()


@pytest.mark.parametrize("save", PICKLED)
@pytest.mark.parametrize(
    "value",
    [
        {"a": bytearray(4)},
        {"a": torch.eye(3).to_sparse()},
        {"a": torch.zeros(3, device="meta")},
        {"a": {1, 2}},
        {"a": complex(1, 2)},
    ],
    ids=["bytearray", "sparse", "meta", "set", "complex"],
)
def test_refuses_what_only_torch_would_allow(tmp_path: Path, save: Save, value: object) -> None:
    with refused(DAMAGED):
        read_tensors(save(value, tmp_path / "model.bin"))


def test_refuses_storages_larger_than_the_file(tmp_path: Path) -> None:
    path = save_zip({"a": torch.zeros(7)}, tmp_path / "model.bin")
    rewritten(path, lambda name, data: data.replace(b"K\x07", b"J\x00\x00\x00\x40") if name.endswith("data.pkl") else data)
    with refused("was not loaded"):
        read_tensors(path)
    path = save_legacy({"a": torch.zeros(7)}, path)
    path.write_bytes(path.read_bytes().replace(b"K\x07", b"J\x00\x00\x00\x40"))
    with refused("was not loaded"):
        read_tensors(path)
    path = save_legacy({"a": torch.zeros(7)}, path)  # only the tensor's size, which makes torch enlarge its storage
    start, _, rest = path.read_bytes().partition(b"K\x07")
    path.write_bytes(start + b"K\x07" + rest.replace(b"K\x07", b"M\x00\x40"))
    with refused("was not loaded"):
        read_tensors(path)


def test_refuses_unusual_archives(tmp_path: Path) -> None:
    path = rewritten(save_zip(TENSORS, tmp_path / "model.bin"), compression=zipfile.ZIP_DEFLATED)
    with refused(DAMAGED, "compressed"):
        read_tensors(path)
    with zipfile.ZipFile(save_zip(TENSORS, path), "a") as archive:
        archive.writestr("other/DATA.PKL", b"")
    with refused(DAMAGED, "no single data.pkl"):
        read_tensors(path)
    with zipfile.ZipFile(save_zip(TENSORS, path), "a") as archive:
        archive.writestr("MODEL/DATA/0", b"")
    with refused(DAMAGED, "a name twice"):
        read_tensors(path)


def test_refuses_pickles_made_to_exhaust_the_stack() -> None:
    nested = b"\x80\x02}N" + b"\x85" * 1_000_000 + b"Ns."
    with pytest.raises(PickleError, match="too many tuples"):
        check_pickle(nested, 0, TENSOR_NAMES)


@pytest.mark.parametrize(
    "data", [b"", b"\x80\x02", b"\x80\x02X\xff\xff\xff\xff.", b"\x80\x02U", b"\x80\x04.", b"\x80\x02ios\nx\n."]
)
def test_refuses_pickles_of_other_operations(data: bytes) -> None:
    with pytest.raises(PickleError, match="its pickle"):
        check_pickle(data, 0, TENSOR_NAMES)


def test_every_failure_is_one_line(tmp_path: Path) -> None:
    path = save_zip(TENSORS, tmp_path / "model.bin")
    content = path.read_bytes()
    for at in range(0, len(content), 7):  # a file with one damaged byte loads, or is refused: nothing else
        path.write_bytes(content[:at] + bytes([content[at] ^ 0x41]) + content[at + 1 :])
        try:
            read_tensors(path)
        except Exception:
            with refused(str(path)):
                read_tensors(path)
