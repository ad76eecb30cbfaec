"""Token vectors of a collection's documents on disk, made once for each composition of the documents' side.

A store is a folder of shards, each whole or not there: ``vectors.npy`` [tokens, dim] in float16 or 8 bits (then ``scales.npy``
[tokens] as well), ``pooled.npy`` [documents, hidden] float16, ``starts.npy`` [documents + 1], ``ids.txt``; and ``facts.json``
beside them. Documents are added when somebody asks for them, so that re-ordering the best hundred of a large collection costs
no more than these.
"""

import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from xlrank.errors import XlrankError
from xlrank.files import build_lock, make_folder, read_json, replacing, write_json, write_text
from xlrank.ranking.vectors import TokenVectors, starts_of

FORMAT = 1
"""Part of every store's facts: raise it when the same documents are to be stored in another way."""

SHARD = 512
"""Documents of a shard at most: what an interruption can cost."""

FACTS, IDS = "facts.json", "ids.txt"

Vectorise = Callable[[Sequence[str]], Iterator[tuple[list[int], TokenVectors]]]
"""From document ids to vectors, batch by batch, each with the numbers of its documents."""


@dataclass(frozen=True)
class Shard:
    """One shard, memory-mapped.

    Attributes:
        ids: of its documents.
        stored: their vectors as stored.
    """

    ids: list[str]
    stored: TokenVectors


class TokenStore:
    """The store in a folder; made where there is none.

    Args:
        folder: its name should carry a key of the facts.
        facts: JSON values of all that decides the vectors, ``storage`` among them; held against what the folder says.

    Raises:
        XlrankError: the folder holds vectors of other documents or modules, or cannot be written.
    """

    def __init__(self, folder: Path, facts: Mapping[str, Any]) -> None:
        self.folder, self.storage = folder, str(facts["storage"])
        wanted = {"format": FORMAT, **facts}
        if (folder / FACTS).is_file():
            _check_facts(folder, read_json(folder / FACTS), wanted)
        else:
            make_folder(folder)
            write_json(folder / FACTS, wanted)
        self._shards: dict[str, Shard] = {}
        self._places: dict[str, tuple[TokenVectors, int]] = {}
        self._look()

    @property
    def bytes(self) -> int:
        """Bytes of all vectors on disk."""
        return sum(path.stat().st_size for path in self.folder.glob("shard-*/*.npy"))

    def __len__(self) -> int:
        return len(self._places)

    def missing(self, ids: Sequence[str]) -> list[str]:
        """Those of some documents that are not there yet, each once."""
        return [id_ for id_ in dict.fromkeys(ids) if id_ not in self._places]

    def add(self, ids: Sequence[str], vectorise: Vectorise) -> None:
        """Store the documents that are not there yet, shard by shard; interrupted, the same call continues.

        Of several processes one makes a shard, and the others wait and take it.

        Raises:
            XlrankError: a vector is not finite, or nothing can be written.
        """
        if not self.missing(ids):
            return
        with build_lock(self.folder / "adding"):
            self._look(tidy=True)
            missing = self.missing(ids)
            for start in range(0, len(missing), SHARD):
                self._add_shard(missing[start : start + SHARD], vectorise)

    def read(self, ids: Sequence[str]) -> TokenVectors:
        """The vectors of some documents, in order.

        Raises:
            XlrankError: one was never added.
        """
        parts = []
        for id_ in ids:
            if id_ not in self._places:
                raise XlrankError(f"{self.folder}: holds no vectors of document {id_!r}; add it first")
            stored, place = self._places[id_]
            parts.append((stored, place, slice(*stored.starts[place : place + 2].tolist())))
        scales = [stored.scales[rows] for stored, _, rows in parts if stored.scales is not None]
        return TokenVectors(
            torch.cat([stored.vectors[rows] for stored, _, rows in parts]),
            starts_of(np.array([rows.stop - rows.start for _, _, rows in parts])),
            torch.stack([stored.pooled[place] for stored, place, _ in parts]),
            torch.cat(scales) if scales else None,
        )

    def shards(self) -> Iterator[Shard]:
        """All shards, in the order in which they were made."""
        yield from self._shards.values()

    def _look(self, *, tidy: bool = False) -> None:
        """Open the shards that are there; ``tidy`` deletes damaged ones, which only the process that adds may do."""
        for path in sorted(self.folder.glob("shard-*")):
            if path.name in self._shards:
                continue
            try:
                shard = _open(path)
            except (OSError, ValueError, EOFError, UnicodeDecodeError):
                if tidy:
                    shutil.rmtree(path, ignore_errors=True)
                continue
            self._shards[path.name] = shard
            self._places |= {id_: (shard.stored, place) for place, id_ in enumerate(shard.ids)}

    def _add_shard(self, ids: Sequence[str], vectorise: Vectorise) -> None:
        numbers: list[int] = []
        parts: list[TokenVectors] = []
        for rows, found in vectorise(ids):
            numbers += rows
            parts.append(_packed(found, self.storage, [ids[row] for row in rows]))
        last = max((int(name.removeprefix("shard-")) for name in self._shards), default=-1)
        with replacing(self.folder / f"shard-{last + 1:08}") as temporary:
            temporary.mkdir()
            _write(temporary, [ids[number] for number in numbers], TokenVectors.joined(parts))
        self._look()


def _check_facts(folder: Path, found: Mapping[str, Any], wanted: Mapping[str, Any]) -> None:
    for name in [*wanted, *found]:
        if found.get(name) != wanted.get(name):
            raise XlrankError(
                f"{folder}: its vectors were made with another {name} ({found.get(name)!r}, not {wanted.get(name)!r}); "
                "delete the folder, and they are made again"
            )


def _packed(found: TokenVectors, storage: str, ids: Sequence[str]) -> TokenVectors:
    """Vectors as they are stored."""
    finite = torch.isfinite(found.pooled).all(1).numpy()
    if not finite.all() or not bool(torch.isfinite(found.vectors).all()):
        name = ids[int(np.argmin(finite))]
        raise XlrankError(
            f"late interaction: the vectors of document {name!r} or one beside it hold NaN; the modules are damaged"
        )
    if storage == "float16":
        return TokenVectors(found.vectors.half(), found.starts, found.pooled.half())
    scales = found.vectors.abs().amax(1).clamp(min=1e-8) / 127
    return TokenVectors((found.vectors / scales[:, None]).round().to(torch.int8), found.starts, found.pooled.half(), scales)


def _write(folder: Path, ids: Sequence[str], stored: TokenVectors) -> None:
    arrays = {"vectors": stored.vectors, "pooled": stored.pooled, "scales": stored.scales}
    for name, tensor in arrays.items():
        if tensor is not None:
            np.save(folder / f"{name}.npy", tensor.numpy())
    np.save(folder / "starts.npy", stored.starts)
    write_text(folder / IDS, "".join(f"{id_}\n" for id_ in ids))


def _open(folder: Path) -> Shard:
    """A shard; raises one of the errors that a damaged file gives."""
    arrays = {path.stem: np.load(path, mmap_mode="c", allow_pickle=False) for path in folder.glob("*.npy")}
    ids = (folder / IDS).read_text(encoding="utf-8").split("\n")[:-1]
    starts: NDArray[np.int64] = np.asarray(arrays.get("starts", []), np.int64)
    vectors, pooled, scales = (arrays.get(name) for name in ("vectors", "pooled", "scales"))
    if vectors is None or pooled is None or not len(ids) == len(starts) - 1 == len(pooled) or vectors.ndim != 2:
        raise ValueError("its files do not belong together")
    if starts[0] != 0 or (np.diff(starts) < 0).any() or starts[-1] != len(vectors) or vectors.dtype not in (np.float16, np.int8):
        raise ValueError("its files do not belong together")
    if (scales is not None and len(scales) != len(vectors)) or (scales is None) != (vectors.dtype == np.float16):
        raise ValueError("its files do not belong together")
    scale = None if scales is None else torch.from_numpy(scales)
    return Shard(ids, TokenVectors(torch.from_numpy(vectors), starts, torch.from_numpy(pooled), scale))
