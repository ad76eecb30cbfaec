"""Sparse fine-tunings of composable-sft (Ansell et al., ACL 2022): folders with one ``pytorch_diff.bin``.

The file holds ``{"diffs": {parameter: {"size", "index_steps", "values"}}, "abs": {parameter: values}}``. Positions are flat in
COLUMN-major order (as the library counts them), ascending, and stored as steps from one to the next.
"""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from xlrank.errors import XlrankError
from xlrank.files import file_hash, replacing
from xlrank.modules.formats.files import MAX_BYTES, check_tensors, checked_size, load_checkpoint
from xlrank.modules.formats.naming import Names, check_writable
from xlrank.modules.formats.pickles import NUMPY_NAMES, TENSOR_NAMES
from xlrank.modules.module import Module, Role

if TYPE_CHECKING:
    from xlrank.bases import Base

FILE = "pytorch_diff.bin"
INDEX, VALUE = "index.", "value."


def read(folder: Path, base: "Base", *, role: Role, language: str | None = None, name: str | None = None) -> Module:
    """A module of kind ``mask`` from a folder of composable-sft.

    Args:
        folder: holds ``pytorch_diff.bin``, written under any numpy.
        base: the base that the mask was learned for.
        role: ``ranking`` or ``language``.
        language: code of the language, if it is a language module.
        name: the module's name; the folder if not given.

    Returns:
        ``index.{param}`` int32 [k], row-major, ascending; ``value.{param}`` float32 [k]; ``absolute.{param}``; ``head.*``.

    Raises:
        XlrankError: the file is damaged, holds code, or does not fit the base.
    """
    path = Path(folder) / FILE
    content = load_checkpoint(path, names=TENSOR_NAMES | NUMPY_NAMES, stand_ins=_STAND_INS)
    names = Names(base, path)
    diffs, absolute = _parts(content, path)
    _check_values(diffs, absolute, path)
    tensors: dict[str, Tensor] = {}
    for foreign, tensor in absolute.items():
        _add(tensors, names.absolute(foreign, tensor), tensor, names)
    for foreign, entry in diffs.items():
        parameter = names.strip(foreign)
        decoded = _decode(foreign, entry, names.encoder.get(parameter), names)
        if decoded is not None:
            if f"absolute.{parameter}" in tensors:
                raise names.error(f"{foreign!r} has both differences and absolute values; expected one of them")
            _add(tensors, INDEX + parameter, decoded[0], names)
            _add(tensors, VALUE + parameter, decoded[1], names)
    training = {"imported": {"format": "composable-sft", "sha256": file_hash(path)}}
    config = names.check_head(tensors, role)
    return names.module(tensors, kind="mask", role=role, language=language, name=name, config=config, training=training)


def write(module: Module, folder: Path, base: "Base") -> None:
    """Write a module of kind ``mask`` so that composable-sft (and :func:`read`) load it.

    Raises:
        XlrankError: the module is of another kind or base, its head is not of the architecture's own form, or the folder cannot
            be written.
    """
    check_writable(module, base, "mask", (INDEX, VALUE))
    path = Path(folder) / FILE
    names = Names(base, path)
    absolute = {name: tensor.clone() for name, tensor in names.foreign(module).items()}
    diffs = {}
    for name, index in module.tensors.items():
        parameter = name.removeprefix(INDEX)
        if not name.startswith(INDEX) or names.prefix + parameter in absolute:  # a head's own layer hides the base's pooler
            continue
        if parameter not in names.encoder or len(module.tensors.get(VALUE + parameter, ())) != len(index):
            raise XlrankError(
                f"module {module.name!r}: {name!r} is not for a parameter of base {base.name!r}, or lacks its values"
            )
        diffs[names.prefix + parameter] = _encode(index, module.tensors[VALUE + parameter], names.encoder[parameter])
    with replacing(path) as temporary:
        torch.save({"diffs": diffs, "abs": absolute}, temporary)


def column_to_row_major(positions: NDArray[np.int64], shape: tuple[int, ...]) -> NDArray[np.int64]:
    """Flat row-major positions [k] of flat column-major ones, in the same order; all must lie inside ``shape``."""
    return np.ravel_multi_index(np.unravel_index(positions, shape, order="F"), shape, order="C").astype(np.int64)


def row_to_column_major(positions: NDArray[np.int64], shape: tuple[int, ...]) -> NDArray[np.int64]:
    """The inverse of :func:`column_to_row_major`."""
    return np.ravel_multi_index(np.unravel_index(positions, shape, order="C"), shape, order="F").astype(np.int64)


def _parts(content: object, path: Path) -> tuple[Mapping[str, Mapping[str, Any]], Mapping[str, Any]]:
    """The file's two mappings, once their outlines are right."""
    parts = content if isinstance(content, dict) else {}
    diffs, absolute = parts.get("diffs", {}), parts.get("abs", {})
    if not {"diffs", "abs"} & parts.keys() or not isinstance(diffs, dict) or not isinstance(absolute, dict):
        raise XlrankError(f"{path}: expected a mapping with 'diffs' and 'abs'; is it a sparse fine-tuning of composable-sft?")
    others = [str(key)[:40] for key, part in parts.items() if key not in ("diffs", "abs") and not _empty(part)]
    if others:
        raise XlrankError(f"{path}: holds {others[0]!r} besides 'diffs' and 'abs'; such sparse fine-tunings cannot be read")
    if not all(isinstance(name, str) for name in (*diffs, *absolute)):
        raise XlrankError(f"{path}: its parameters are not all named by text; is it a sparse fine-tuning of composable-sft?")
    for name, entry in diffs.items():
        known = isinstance(entry, dict) and {"size", "index_steps", "values"} <= entry.keys()
        if not known or not isinstance(entry["index_steps"], list | tuple):
            raise XlrankError(f"{path}: {name[:80]!r} is no entry of 'size', 'index_steps' (a list) and 'values'")
    return diffs, absolute


def _empty(part: object) -> bool:
    return part is None or (isinstance(part, dict) and not part)


def _check_values(diffs: Mapping[str, Mapping[str, Any]], absolute: Mapping[str, Any], path: Path) -> None:
    """All tensors of the file are plain and finite, differences are lists of floating values."""
    values = {("diffs", name): entry["values"] for name, entry in diffs.items()}
    tensors = {f"{part} {name}": tensor for (part, name), tensor in values.items()}
    tensors |= {f"abs {name}": tensor for name, tensor in absolute.items()}
    check_tensors(tensors, path, checked_size(path, MAX_BYTES))
    for name, tensor in tensors.items():
        if not tensor.is_floating_point() or (name.startswith("diffs") and tensor.dim() != 1):
            raise XlrankError(f"{path}: {name[:80]!r} has no list of floating values")


def _decode(name: str, entry: Mapping[str, Any], shape: tuple[int, ...] | None, names: Names) -> tuple[Tensor, Tensor] | None:
    """Row-major positions and differences of one parameter; None if it is untouched."""
    steps, values = entry["index_steps"], entry["values"]
    if len(steps) != len(values):
        raise names.error(f"{name[:80]!r} has {len(steps)} positions for {len(values)} differences; get a whole copy")
    if shape is None:
        if not steps:
            return None
        raise names.error(f"{name[:80]!r} is no parameter of base {names.base.name!r}; use the base that it was made for")
    if not isinstance(entry["size"], list | tuple) or tuple(entry["size"]) != shape:
        raise names.error(f"{name[:80]!r} is not of size {list(shape)} as in base {names.base.name!r}; use its own base")
    if not steps:
        return None
    positions = _positions(steps, math.prod(shape))
    if positions is None:
        raise names.error(f"positions of {name[:80]!r} do not ascend from 0 or leave its {math.prod(shape):,} values")
    rows = column_to_row_major(positions, shape)
    order = np.argsort(rows)
    narrow = np.int32 if math.prod(shape) <= np.iinfo(np.int32).max else np.int64  # half the bytes of a mask are positions
    return torch.from_numpy(rows[order].astype(narrow)), values[torch.from_numpy(order)]


def _positions(steps: list[Any] | tuple[Any, ...], count: int) -> NDArray[np.int64] | None:
    """Ascending positions in [0, count) from the steps between them, or None if they are anything else."""
    if any(type(step) is not int for step in steps) or steps[0] < 0 or min(steps[1:], default=1) < 1:
        return None
    if len(steps) > count or max(steps) >= count:  # so that the sum cannot overflow
        return None
    positions = np.cumsum(np.array(steps, dtype=np.int64))
    return positions if positions[-1] < count else None


def _encode(index: Tensor, values: Tensor, shape: tuple[int, ...]) -> dict[str, Any]:
    """One entry of ``diffs`` from row-major positions."""
    columns = row_to_column_major(index.long().numpy(), shape)
    order = np.argsort(columns)
    steps = np.diff(columns[order], prepend=0).tolist()
    return {"size": torch.Size(shape), "index_steps": steps, "values": values[torch.from_numpy(order)].clone()}


def _add(tensors: dict[str, Tensor], name: str, tensor: Tensor, names: Names) -> None:
    if name in tensors:
        raise names.error(f"holds {name!r} twice, with and without the model prefix")
    tensors[name] = tensor


class _IntegerType:
    """Stands for ``numpy.dtype``, but only remembers how an integer's bytes are to be read."""

    def __init__(self, code: str, *_: object) -> None:
        if code not in ("i4", "i8", "u4", "u8"):
            raise ValueError("numpy scalars must be integers")
        self.signed = code.startswith("i")
        self.size = int(code[1])
        self.big = False

    def __setstate__(self, state: tuple[object, ...]) -> None:
        """Take over the byte order of a pickled numpy type."""
        self.big = state[1] == ">"


def _integer(kind: _IntegerType, content: bytes) -> int:
    """Stands for numpy's scalar constructor: a plain integer."""
    if type(kind) is not _IntegerType or type(content) is not bytes or len(content) != kind.size:
        raise ValueError("numpy scalars must be integers")
    return int.from_bytes(content, "big" if kind.big else "little", signed=kind.signed)


_STAND_INS = [
    (_IntegerType, "numpy.dtype"),
    (_integer, "numpy.core.multiarray.scalar"),
    (_integer, "numpy._core.multiarray.scalar"),
]
