"""Plain text for masked language modelling: a sample of the lines, the held-out part split off, packed into blocks.

Memory depends on the word pieces that are asked for, not on the size of the files: of all distinct lines those are kept whose
hashes are smallest, which is a uniform sample, in an order that is random and yet the same for the same text and seed.
"""

import hashlib
import logging
from array import array
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from xlrank.errors import XlrankError
from xlrank.languages import LANGUAGES
from xlrank.scripts import script_share
from xlrank.text import spelled
from xlrank.training.reading import MAX_LINE, Reading, read_lines

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

__all__ = ["MAX_LINE", "TextBlocks", "TextFacts", "read_lines", "text_blocks"]

HELDOUT_BLOCKS = 128
"""Blocks of the held-out part that are used at most: enough for a stable loss, cheap enough to compute often."""

CHARACTERS_A_PIECE = 10
"""Characters kept for every word piece asked for: twice what a multilingual vocabulary needs for any language it knows."""

LETTERS_LOOKED_AT = 1_000_000
"""Characters whose scripts are counted."""

EXPECTED_SHARE = 0.5
"""Share of a text's letters in its language's script below which it is taken to be in another language, and a warning is due."""

HASHES = 1 << 64
LOG = logging.getLogger("xlrank")


@dataclass(frozen=True)
class TextFacts:
    """What was found in the files.

    Attributes:
        lines: lines with text (very long ones count as several).
        distinct: different ones among them; an estimate, within a few percent, where ``sampled``.
        sampled: whether there was more text than was asked for.
        dropped: lines left out because they hold NUL characters.
        cut: lines so long that they became several.
        script: of the language, if one was named.
        share: share of the letters in that script (of the first million kept characters), or None.
        pieces: word pieces in the blocks, special tokens left out.
    """

    lines: int = 0
    distinct: int = 0
    sampled: bool = False
    dropped: int = 0
    cut: int = 0
    script: str | None = None
    share: float | None = None
    pieces: int = 0

    @property
    def duplicates(self) -> int:
        """Lines that repeat another one."""
        return max(0, self.lines - self.distinct)


@dataclass(frozen=True)
class TextBlocks:
    """Packed token ids, [blocks, length], special tokens at both ends of each: for training and held out.

    Attributes:
        train: int32 [blocks, length].
        heldout: int32 [blocks, length]; no line of them is among the training lines.
        facts: what was found in the files.
        vocabulary: word pieces that the tokenizer knows.
    """

    train: NDArray[np.int32]
    heldout: NDArray[np.int32]
    facts: TextFacts = field(default_factory=TextFacts)
    vocabulary: int = 0

    def support(self, extra: int = 0, seed: int = 0, vocabulary: int | None = None) -> NDArray[np.int64]:
        """The word pieces that a restricted softmax is over, sorted: those that occur, and others drawn as further negatives.

        Args:
            extra: how many that do not occur are added; all of them, if there are fewer.
            seed: of the draw.
            vocabulary: pieces 0 … vocabulary - 1 are drawn from; by default what the tokenizer knows.
        """
        present = np.unique(np.concatenate([self.train.ravel(), self.heldout.ravel()])).astype(np.int64)
        if extra < 0:
            raise XlrankError(f"training: {extra} extra negatives; expected a number from 0 on")
        absent = np.setdiff1d(np.arange(self.vocabulary if vocabulary is None else vocabulary, dtype=np.int64), present)
        drawn = np.random.default_rng(seed).choice(absent, min(extra, len(absent)), replace=False)
        return np.sort(np.concatenate([present, drawn]))

    @classmethod
    def joined(cls, parts: Sequence["TextBlocks"]) -> "TextBlocks":
        """The blocks of several texts, one after another, with their facts added up."""
        facts = [part.facts for part in parts]
        counts = {key: sum(getattr(fact, key) for fact in facts) for key in ("lines", "distinct", "dropped", "cut", "pieces")}
        return cls(
            train=np.concatenate([part.train for part in parts]),
            heldout=np.concatenate([part.heldout for part in parts]),
            facts=TextFacts(**counts, sampled=any(fact.sampled for fact in facts)),
            vocabulary=max(part.vocabulary for part in parts),
        )


def text_blocks(
    paths: Sequence[Path],
    tokenizer: "PreTrainedTokenizerBase",
    *,
    length: int,
    max_tokens: int,
    seed: int,
    heldout: float = 0.01,
    language: str | None = None,
) -> TextBlocks:
    """Shuffle the lines, hold out a share, tokenise until there are ``max_tokens`` pieces, and pack them into blocks.

    Duplicate lines are kept once, so that no held-out line is among the training lines.

    Args:
        paths: see :func:`~xlrank.training.reading.read_lines`.
        tokenizer: the base's.
        length: word pieces a block, both special tokens included.
        max_tokens: word pieces of training text at most.
        seed: of the order.
        heldout: share of the lines.
        language: ISO 639-1 code; a text that is mostly in another script is warned of.

    Raises:
        XlrankError: a file cannot be used, or there is too little text for one block of each part.
    """
    reading, sample = Reading(), _Sample(max_tokens * CHARACTERS_A_PIECE, seed)
    for path in paths:
        for line in read_lines(path, reading):
            sample.add(line if language is None else spelled(line, language))
    lines, names = sample.lines(), ", ".join(map(str, paths))
    cut = max(1, round(len(lines) * heldout))
    wanted = min(max_tokens, HELDOUT_BLOCKS * (length - 2))
    parts = [_pack(lines[:cut], tokenizer, length, wanted), _pack(lines[cut:], tokenizer, length, max_tokens)]
    if not len(parts[0]) or not len(parts[1]):
        raise XlrankError(
            f"{names}: only {len(lines)} distinct lines; that is too little text for blocks of {length} word pieces"
        )
    script = None if language is None else LANGUAGES[language].script
    share = None if script is None else script_share(lines, script, LETTERS_LOOKED_AT)
    if language is not None and share is not None and share < EXPECTED_SHARE:
        name = LANGUAGES[language].name
        LOG.warning("%s: only %.0f %% of the letters are %s; is this text %s (%s)?", names, 100 * share, script, name, language)
    facts = TextFacts(
        lines=reading.lines,
        distinct=sample.distinct(),
        sampled=sample.is_full,
        dropped=reading.dropped,
        cut=reading.cut,
        script=script,
        share=None if share is None else round(share, 4),
        pieces=sum(part.shape[0] * (length - 2) for part in parts),
    )
    return TextBlocks(train=parts[1], heldout=parts[0], facts=facts, vocabulary=len(tokenizer))


class _Sample:
    """Distinct lines up to a number of characters, drawn uniformly, in random order (those with the smallest hashes)."""

    def __init__(self, characters: int, seed: int) -> None:
        self.budget, self.key = characters, seed.to_bytes(8, "big")
        self.kept: dict[int, str] = {}
        self.size, self.limit = 0, HASHES

    @property
    def is_full(self) -> bool:
        return self.limit < HASHES

    def add(self, line: str) -> None:
        digest = hashlib.blake2b(line.encode("utf-8", "surrogatepass"), digest_size=8, key=self.key).digest()
        number = int.from_bytes(digest, "big")
        if number < self.limit and number not in self.kept:
            self.kept[number] = line
            self.size += len(line)
            if self.size > 2 * self.budget:
                self._shrink()

    def lines(self) -> list[str]:
        if self.is_full and self.size > self.budget:
            self._shrink()  # what is kept beyond the budget depends on the order of the files
        return [line for _, line in sorted(self.kept.items())]

    def distinct(self) -> int:
        """How many distinct lines there were: counted, or estimated by how close together the kept hashes lie."""
        return round(len(self.kept) * HASHES / self.limit) if self.is_full else len(self.kept)

    def _shrink(self) -> None:
        kept: dict[int, str] = {}
        size = 0
        for number, line in sorted(self.kept.items()):
            size += len(line)
            if size > self.budget and kept:
                self.limit = number
                break
            kept[number] = line
        self.kept, self.size = kept, sum(map(len, kept.values()))


def _pack(lines: Sequence[str], tokenizer: "PreTrainedTokenizerBase", length: int, max_tokens: int) -> NDArray[np.int32]:
    pieces = array("i")
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
