"""Plain text for masked language modelling: reading, splitting off the held-out part, packing into blocks."""

import gzip
import lzma
import random
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from xlrank.errors import XlrankError

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

MAX_LINE = 20_000
"""Characters of a line that are used; the rest of a longer one is dropped."""

HELDOUT_BLOCKS = 128
"""Blocks of the held-out part that are used at most: enough for a stable loss, cheap enough to compute often."""

OPENERS = {".xz": lzma.open, ".gz": gzip.open}


def read_lines(path: Path) -> Iterator[str]:
    """The lines of a UTF-8 text file, ``.xz`` or ``.gz`` included; of a ``.tsv`` the last column.

    Raises:
        XlrankError: the file is missing, damaged or not UTF-8 (with the line's number).
    """
    tabular = ".tsv" in path.suffixes
    number = 0
    try:
        with OPENERS.get(path.suffix, open)(path, "rb") as stream:  # type: ignore[operator]
            for number, raw in enumerate(stream):
                line = raw.decode("utf-8-sig" if number == 0 else "utf-8")
                text = line.rstrip("\n").rpartition("\t")[2] if tabular else line.strip()
                if text and "\0" not in text:
                    yield text[:MAX_LINE]
    except UnicodeDecodeError:
        raise XlrankError(f"{path}: line {number + 1} is not UTF-8 text; convert the file first") from None
    except (OSError, EOFError, lzma.LZMAError, zlib.error) as error:
        raise XlrankError(f"{path}: cannot be read ({error})") from None


@dataclass(frozen=True)
class TextBlocks:
    """Packed token ids, [blocks, length], special tokens at both ends of each: for training and held out."""

    train: NDArray[np.int32]
    heldout: NDArray[np.int32]

    def support(self) -> NDArray[np.int64]:
        """The word pieces that occur, sorted."""
        return np.unique(np.concatenate([self.train.ravel(), self.heldout.ravel()])).astype(np.int64)


def text_blocks(
    paths: Sequence[Path], tokenizer: "PreTrainedTokenizerBase", *, length: int, max_tokens: int, seed: int, heldout: float = 0.01
) -> TextBlocks:
    """Shuffle the lines, hold out a share, tokenise until there are ``max_tokens`` pieces, and pack them into blocks.

    Duplicate lines are kept once, so that no held-out line is among the training lines.

    Raises:
        XlrankError: there is too little text for one block of each part.
    """
    lines = list(dict.fromkeys(line for path in paths for line in read_lines(path)))
    random.Random(seed).shuffle(lines)
    cut = max(1, round(len(lines) * heldout))
    parts = [_pack(lines[:cut], tokenizer, length, max_tokens), _pack(lines[cut:], tokenizer, length, max_tokens)]
    if not len(parts[0]) or not len(parts[1]):
        names = ", ".join(map(str, paths))
        raise XlrankError(
            f"{names}: only {len(lines)} distinct lines; that is too little text for blocks of {length} word pieces"
        )
    return TextBlocks(train=parts[1], heldout=parts[0][:HELDOUT_BLOCKS])


def _pack(lines: Sequence[str], tokenizer: "PreTrainedTokenizerBase", length: int, max_tokens: int) -> NDArray[np.int32]:
    pieces: list[int] = []
    for start in range(0, len(lines), 1000):
        for ids in tokenizer(list(lines[start : start + 1000]), add_special_tokens=False)["input_ids"]:
            pieces.extend(ids)
        if len(pieces) >= max_tokens:
            break
    inner = length - 2
    count = min(len(pieces), max_tokens) // inner
    blocks = np.empty((count, length), np.int32)
    blocks[:, 0], blocks[:, -1] = tokenizer.cls_token_id, tokenizer.sep_token_id
    blocks[:, 1:-1] = np.asarray(pieces[: count * inner], np.int32).reshape(count, inner)
    return blocks
