"""Tensors and settings from files of others: no code, no more memory than the file itself asks for, no surprise."""

import io
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from xlrank.errors import XlrankError
from xlrank.modules.formats.pickles import TENSOR_NAMES, PickleError, check_checkpoint

MAX_BYTES = 4 << 30
"""Largest file of weights that is read (a multilingual BERT has 0.7 GB, XLM-R large 2.2)."""
MAX_CONFIG_BYTES = 1 << 20
MAX_NAME = 300
DTYPES = frozenset(
    {torch.float16, torch.bfloat16, torch.float32, torch.float64, torch.int64, torch.int32, torch.int16, torch.int8}
    | {torch.uint8, torch.bool}
)
TIED = 4
"""How often the bytes of one file may be named again by tied tensors."""


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
    raise XlrankError(f"{folder}: holds neither {' nor '.join(names)}; give the folder that the weights were saved in")


def read_config(path: Path) -> dict[str, Any]:
    """A JSON object of at most 1 MB.

    Raises:
        XlrankError: the file is missing, a link that leaves its folder, too large, or no JSON object.
    """
    checked_size(path, MAX_CONFIG_BYTES)
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise XlrankError(f"{path}: cannot be read ({error.strerror})") from None
    except (ValueError, RecursionError):
        raise XlrankError(f"{path}: not valid JSON; restore the file as it was published") from None
    if not isinstance(values, dict):
        raise XlrankError(f"{path}: expected a JSON object with settings, found a {type(values).__name__}")
    return values


def checked_size(path: Path, max_bytes: int) -> int:
    """The size in bytes of a regular file that stays in its folder.

    Raises:
        XlrankError: it is missing, no regular file, too large, or a symbolic link to somewhere else.
    """
    try:
        target = path.resolve(strict=True)
        inside = target.is_relative_to(path.parent.resolve(strict=True))
        size = target.stat().st_size
    except (OSError, RuntimeError) as error:  # RuntimeError: links in a circle
        reason = getattr(error, "strerror", None) or "links in a circle"
        raise XlrankError(f"{path}: cannot be read ({reason}); give the folder that the module was saved in") from None
    if not inside:
        raise XlrankError(f"{path}: is a symbolic link that leaves its folder; put a copy of the file there")
    if not target.is_file():
        raise XlrankError(f"{path}: is no regular file")
    if size > max_bytes:
        raise XlrankError(f"{path}: has {size:,} bytes, expected at most {max_bytes:,}; is it what you meant to load?")
    return size


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
    checked_size(path, max_bytes)
    try:
        content = path.read_bytes()
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
    storages: set[int] = set()
    stored = total = 0
    for name, tensor in tensors.items():
        if not isinstance(name, str) or len(name) > MAX_NAME or not isinstance(tensor, Tensor):
            raise XlrankError(f"{path}: {_short(name)} is no tensor with a name; expected a flat mapping of names to tensors")
        if tensor.layout != torch.strided or tensor.device.type != "cpu" or tensor.dtype not in DTYPES:
            raise XlrankError(f"{path}: tensor {_short(name)} is not dense or of an unusual type ({tensor.dtype})")
        storage = tensor.untyped_storage()
        stored += storage.nbytes() if storage.data_ptr() not in storages else 0
        storages.add(storage.data_ptr())
        claimed = tensor.numel() * tensor.element_size()
        total += claimed
        if claimed > storage.nbytes() or stored > size or total > TIED * size:
            raise XlrankError(f"{path}: tensor {_short(name)} claims more values than the file holds; it was not loaded")
    for name, tensor in tensors.items():
        if tensor.is_floating_point() and not tensor.isfinite().all():
            raise XlrankError(f"{path}: tensor {_short(name)} holds NaN or infinite values; get a whole copy or train again")
    return {name: tensor.detach() for name, tensor in tensors.items()}


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
