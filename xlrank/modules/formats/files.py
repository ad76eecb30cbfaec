"""Tensors and settings from files of others: no code, no more memory than the file itself asks for, no surprise."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from xlrank.errors import XlrankError
from xlrank.files import file_hash
from xlrank.modules.formats.layout import shard_index
from xlrank.modules.formats.pickles import TENSOR_NAMES, PickleError, check_checkpoint

if TYPE_CHECKING:
    from torch import Tensor

MAX_BYTES = 4 << 30
"""Largest file of weights that is read (a multilingual BERT has 0.7 GB, XLM-R large 2.2)."""
MAX_CONFIG_BYTES = 1 << 20
MAX_NAME = 300
DTYPES = frozenset(
    f"torch.{name}" for name in ("float16", "bfloat16", "float32", "float64", "int64", "int32", "int16", "int8", "uint8", "bool")
)
TIED = 4
"""How often the bytes of one file may be named again by tied tensors."""
EXPONENTS = {
    "torch.float16": ("int16", 0x7C00),
    "torch.bfloat16": ("int16", 0x7F80),
    "torch.float32": ("int32", 0x7F800000),
    "torch.float64": ("int64", 0x7FF0000000000000),
}
"""By floating type: integers of its size, and the bits of its exponent, which are all set in NaN and infinite values only."""
CHUNK = 1 << 17
COMMIT = re.compile(r"[0-9a-f]{40}")


def read_tensors(path: Path, max_bytes: int = MAX_BYTES) -> dict[str, Tensor]:
    """The tensors of a flat state dictionary, on the CPU and as stored.

    Args:
        path: a ``.safetensors`` file, or a PyTorch checkpoint (zip or older format) under any other name.
        max_bytes: largest file that is read.

    Returns:
        Dense tensor by name, every floating one finite.

    Raises:
        XlrankError: the file is missing, a link that leaves its folder, too large, cut off, compressed, or holds code or
            anything else than finite dense tensors by name.
    """
    size = checked_size(path, max_bytes)
    tensors = _read_safetensors(path) if path.suffix == ".safetensors" else load_checkpoint(path, max_bytes)
    if not isinstance(tensors, Mapping):
        raise XlrankError(f"{path}: expected a flat mapping of names to tensors, found a {type(tensors).__name__}")
    return check_tensors(tensors, path, size)


def first_file(folder: Path, names: Sequence[str]) -> Path:
    """The first of the named files that the folder has.

    Raises:
        XlrankError: it has none of them.
    """
    for name in names:
        if (folder / name).is_symlink() or (folder / name).exists():
            return folder / name
    if index := shard_index(names, {path.name for path in folder.iterdir()} if folder.is_dir() else ()):
        raise XlrankError(f"{folder}: {sharded(index)}")
    raise XlrankError(f"{folder}: holds neither {' nor '.join(names)}; give the folder that the weights were saved in")


def sharded(index: str) -> str:
    """Why weights in several files are refused, and what helps."""
    return (
        f"its weights are in several files ({index}), which modules are not read from; load the model with transformers, "
        'and save it with max_shard_size="100GB"'
    )


def read_config(path: Path) -> dict[str, Any]:
    """A JSON object of at most 1 MB.

    Raises:
        XlrankError: the file is missing, a link that leaves its folder, too large, or no JSON object.
    """
    content = read_bytes(path, MAX_CONFIG_BYTES)
    try:
        values = json.loads(content.decode("utf-8"))
    except (ValueError, RecursionError):
        raise XlrankError(f"{path}: not valid JSON; restore the file as it was published") from None
    if not isinstance(values, dict):
        raise XlrankError(f"{path}: expected a JSON object with settings, found a {type(values).__name__}")
    return values


def checked_size(path: Path, max_bytes: int) -> int:
    """The size in bytes of a regular file that stays in its folder.

    Raises:
        XlrankError: it is missing, no regular file, too large, or a symbolic link to somewhere else. The one exception are the
            links that the Hugging Face cache consists of.
    """
    try:
        target = path.resolve(strict=True)
        inside = target.is_relative_to(path.parent.resolve(strict=True))
        size = target.stat().st_size
    except (OSError, RuntimeError) as error:  # RuntimeError: links in a circle
        reason = getattr(error, "strerror", None) or "links in a circle"
        raise XlrankError(f"{path}: cannot be read ({reason}); give the folder that the module was saved in") from None
    if not inside and not _is_cached(path, target):
        raise XlrankError(f"{path}: is a symbolic link that leaves its folder; put a copy of the file there")
    if not target.is_file():
        raise XlrankError(f"{path}: is no regular file")
    if size > max_bytes:
        raise XlrankError(f"{path}: has {size:,} bytes, expected at most {max_bytes:,}; is it what you meant to load?")
    return size


def _is_cached(path: Path, target: Path) -> bool:
    """Whether ``models--X/snapshots/COMMIT[/folder]/file`` is a link to ``models--X/blobs/file`` of the same repository."""
    folder = path.parent.resolve()
    for snapshot in (folder, *folder.parents):
        if COMMIT.fullmatch(snapshot.name) and snapshot.parent.name == "snapshots":
            repository = snapshot.parent.parent
            return repository.name.startswith("models--") and target.parent == repository / "blobs"
    return False


def read_bytes(path: Path, max_bytes: int = MAX_BYTES) -> bytes:
    """The whole of a file that :func:`checked_size` lets pass.

    Raises:
        XlrankError: the file is missing, unreadable, a link that leaves its folder, or too large.
    """
    size = checked_size(path, max_bytes)
    try:
        with path.open("rb") as stream:
            content = stream.read(size + 1)
    except OSError as error:
        raise XlrankError(f"{path}: cannot be read ({error.strerror})") from None
    if len(content) != size:
        raise XlrankError(f"{path}: was changed while it was read; try again")
    return content


def check_sha256(path: Path, expected: str) -> None:
    """Hold a file's bytes against a checksum, before anything in it is parsed.

    Raises:
        XlrankError: the file is missing, too large, a link that leaves its folder, or another one than expected.
    """
    checked_size(path, MAX_BYTES)
    try:
        found = file_hash(path)
    except OSError as error:
        raise XlrankError(f"{path}: cannot be read ({error.strerror})") from None
    if found != expected:
        raise XlrankError(f"{path}: its sha256 is {found}, expected {expected}; get the file that was meant, or its own checksum")


def load_checkpoint(
    path: Path,
    max_bytes: int = MAX_BYTES,
    names: frozenset[str] = TENSOR_NAMES,
    stand_ins: Sequence[tuple[Any, str]] = (),
) -> object:
    """What a PyTorch checkpoint (zip or older format) holds, tensors on the CPU; see :func:`check_tensors` before using them.

    Args:
        path: the file.
        max_bytes: largest file that is read.
        names: globals that its pickle may call for, as ``module name``.
        stand_ins: harmless replacements of globals that torch does not allow by itself, with the full name they stand for.

    Raises:
        XlrankError: whatever is wrong with the file: it is damaged or holds code and was not loaded.
    """
    content = read_bytes(path, max_bytes)
    import torch

    try:
        check_checkpoint(content, names)
        with torch.serialization.safe_globals(list(stand_ins)):
            # From memory: what was checked is what is loaded, and torch does not try its tar format.
            return torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
    except Exception as error:
        reason = f" ({error})" if isinstance(error, PickleError) else ""
        raise XlrankError(f"{path}: is damaged or holds code and was not loaded{reason}; get a copy that you trust") from None


def check_tensors(tensors: Mapping[Any, Any], path: Path, size: int) -> dict[str, Tensor]:
    """The same mapping, once its tensors are known to be plain, dense and finite.

    Args:
        tensors: what was found in the file, by name.
        path: the file, for messages.
        size: the file's bytes; storages that claim to hold more are refused before they are touched.

    Raises:
        XlrankError: something is no dense tensor of an ordinary type, is larger than the file, or holds NaN or infinite values.
    """
    import torch

    storages: set[int] = set()
    stored = total = 0
    for name, tensor in tensors.items():
        if not isinstance(name, str) or len(name) > MAX_NAME or not isinstance(tensor, torch.Tensor):
            raise XlrankError(f"{path}: {_short(name)} is no tensor with a name; expected a flat mapping of names to tensors")
        if tensor.layout != torch.strided or tensor.device.type != "cpu" or str(tensor.dtype) not in DTYPES:
            raise XlrankError(f"{path}: tensor {_short(name)} is not dense or of an unusual type ({tensor.dtype})")
        storage = tensor.untyped_storage()
        stored += storage.nbytes() if storage.data_ptr() not in storages else 0
        storages.add(storage.data_ptr())
        claimed = tensor.numel() * tensor.element_size()
        total += claimed
        if claimed > storage.nbytes() or stored > size or total > TIED * size:
            raise XlrankError(f"{path}: tensor {_short(name)} claims more values than the file holds; it was not loaded")
    for name, tensor in tensors.items():
        if tensor.is_floating_point() and not _is_finite(tensor):
            raise XlrankError(f"{path}: tensor {_short(name)} holds NaN or infinite values; get a whole copy or train again")
    return {name: tensor.detach() for name, tensor in tensors.items()}


def parse_safetensors(content: bytes, path: Path) -> dict[str, Tensor]:
    """The tensors of a safetensors file that is in memory, as :func:`read_tensors` gives them.

    Args:
        content: the whole file.
        path: the file, for messages.

    Raises:
        XlrankError: it is damaged, or holds anything else than finite dense tensors.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load

    try:
        tensors = load(content)
    except (SafetensorError, ValueError, KeyError, RuntimeError, MemoryError):
        raise XlrankError(f"{path}: is damaged or no safetensors file and was not loaded; get a whole copy") from None
    return check_tensors(tensors, path, len(content))


def _is_finite(tensor: Tensor) -> bool:
    """Whether no exponent is all ones, asked of the bits on one thread, a cache's worth at a time.

    Many small parallel operations of torch would take a hundred times as long on processors that others use as well.
    """
    import torch

    integer, ones = EXPONENTS[str(tensor.dtype)]
    bits = tensor.detach().contiguous().view(getattr(torch, integer)).numpy().reshape(-1)
    return not any(((bits[i : i + CHUNK] & ones) == ones).any() for i in range(0, bits.size, CHUNK))


def _read_safetensors(path: Path) -> dict[str, Tensor]:
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        return load_file(path, device="cpu")
    except (SafetensorError, OSError, ValueError, KeyError, RuntimeError, MemoryError):
        raise XlrankError(f"{path}: is damaged or no safetensors file and was not loaded; get a whole copy") from None


def _short(name: object) -> str:
    """A foreign name as it may stand in a message: quoted, on one line, not too long."""
    return repr(name[:80]) if isinstance(name, str) else f"a {type(name).__name__}"
