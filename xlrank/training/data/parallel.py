"""Sentence pairs with a pivot language, for language modules that are to agree with it: read, checked, weighted, split."""

import hashlib
import logging
import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from xlrank.bases import Base, UnknownPieces
from xlrank.collections.parallel import SentencePair, read_pairs
from xlrank.errors import XlrankError
from xlrank.languages import LANGUAGES
from xlrank.ranking.texts import word_pieces
from xlrank.scripts import script_share
from xlrank.text import spelled, word_count

FULL_WEIGHT_WORDS = 8
"""Pivot words from which on a pair counts in full; a menu entry of two words says little about how sentences mean."""
HELDOUT_SHARE, HELDOUT_MOST = 0.05, 128
"""Held out is this share of the pairs, and no more than so many."""
LEAST_PAIRS = 4
FOREIGN_SHARE = 0.2
"""Share of a side's letters in its language's script below which it is in another; brand names alone leave more."""
EMPTY, COPY, SWAPPED, NO_CONTENT, REPEATED = (
    "with an empty side",
    "untranslated (both sides equal)",
    "with the sides swapped",
    "without any word on one side",
    "that repeat an earlier pair",
)
LOG = logging.getLogger("xlrank")


@dataclass(frozen=True)
class Pair:
    """A sentence and its translation.

    Attributes:
        text: in the language of the module.
        pivot: its translation.
        source: where it is from.
        weight: how often it is drawn, relative to others.
    """

    text: str
    pivot: str
    source: str
    weight: float


@dataclass(frozen=True)
class Pairs:
    """Usable pairs, split by their texts: no text and no translation is on both sides.

    Attributes:
        train: to be drawn from by weight.
        heldout: for the held-out loss.
        sources: usable pairs by source, those of weight 0 left out.
        skipped: pairs left out, by reason.
    """

    train: Sequence[Pair]
    heldout: Sequence[Pair]
    sources: Mapping[str, int]
    skipped: Mapping[str, int] = field(default_factory=dict)


def open_pairs(paths: Sequence[Path], language: str, pivot: str, base: Base, weights: Mapping[str, float] | None = None) -> Pairs:
    """Read and check parallel files.

    Args:
        paths: see :func:`~xlrank.collections.parallel.read_pairs`.
        language: code of the texts.
        pivot: code of the translations.
        base: whose tokenizer decides what has content.
        weights: by source, or by the start of its name and ``*``; the longest that fits counts. Others weigh 1; 0 leaves out.

    Raises:
        XlrankError: a file is malformed, a weight is negative or names no source, or too few pairs are usable.
    """
    if language == pivot:
        raise XlrankError(f"sentence pairs: both sides are {language!r}; expected translations into another language, the pivot")
    checker = _Checker(language, pivot)
    kept = [pair for path in paths for pair in checker.usable(path, base)]
    names, weigh = ", ".join(map(str, paths)), _Weights(weights or {}, {pair.source for pair in kept})
    pairs = [Pair(p.text, p.translation, p.source, _weight(p.translation) * weigh.of(p.source)) for p in kept]
    pairs = [pair for pair in pairs if pair.weight > 0]
    if len(pairs) < LEAST_PAIRS:
        reasons = "; ".join(f"{count:,} {reason}" for reason, count in checker.skipped.items()) or "none skipped"
        raise XlrankError(
            f"{names}: {len(pairs)} usable pairs ({reasons}); expected at least {LEAST_PAIRS} of {language} and {pivot}"
        )
    train, heldout = _split(pairs)
    if not train:
        raise XlrankError(f"{names}: the pairs share too few sentences to hold some out; give more of different ones")
    return Pairs(train, heldout, dict(sorted(Counter(pair.source for pair in pairs).items())), dict(checker.skipped))


class _Checker:
    """What is wrong with pairs, counted over all files."""

    def __init__(self, language: str, pivot: str) -> None:
        self.languages = language, pivot
        self.scripts = LANGUAGES[language].script, LANGUAGES[pivot].script
        self.skipped: Counter[str] = Counter()
        self.seen: set[tuple[str, str]] = set()

    def usable(self, path: Path, base: Base) -> list[SentencePair]:
        """The usable pairs of a file; one line warns of the others."""
        language, pivot = self.languages
        pairs = [p._replace(text=spelled(p.text, language), translation=spelled(p.translation, pivot)) for p in read_pairs(path)]
        faults = dict[str, list[int]]()
        kept = []
        for pair in pairs:
            reason = self.fault(pair)
            if reason:
                faults.setdefault(reason, []).append(pair.line)
            else:
                kept.append(pair)
        pieces = word_pieces(base, [side for pair in kept for side in (pair.text, pair.translation)])
        UnknownPieces(base, str(path)).look(pieces)
        empty = [pair.line for pair in kept if not (pieces[pair.text] and pieces[pair.translation])]
        if empty:
            faults[NO_CONTENT] = sorted(faults.get(NO_CONTENT, []) + empty)
        self.skipped.update({reason: len(lines) for reason, lines in faults.items()})
        if faults:
            named = ", ".join(f"{len(lines):,} {reason} (line {lines[0]})" for reason, lines in faults.items())
            count = sum(map(len, faults.values()))
            LOG.warning("%s: %s of %s pairs skipped: %s", path, f"{count:,}", f"{len(pairs):,}", named)
        left_out = set(empty)
        return [pair for pair in kept if pair.line not in left_out]

    def fault(self, pair: SentencePair) -> str | None:
        """Why a pair is of no use, if so."""
        if not (pair.text and pair.translation):
            return EMPTY
        if pair.text.casefold() == pair.translation.casefold():
            return COPY
        if not (word_count(pair.text) and word_count(pair.translation)):
            return NO_CONTENT
        wrong = [_is_foreign(side, script) for side, script in zip(pair[2:], self.scripts, strict=True)]
        if any(wrong):
            return self._wrong_script(pair, wrong)
        if (pair.text, pair.translation) in self.seen:
            return REPEATED
        self.seen.add((pair.text, pair.translation))
        return None

    def _wrong_script(self, pair: SentencePair, wrong: Sequence[bool]) -> str:
        own, theirs = self.scripts
        if own != theirs and all(wrong) and not (_is_foreign(pair.text, theirs) or _is_foreign(pair.translation, own)):
            return SWAPPED
        return f"with a text not in {own} script" if wrong[0] else f"with a translation not in {theirs} script"


class _Weights:
    """Weights by source."""

    def __init__(self, given: Mapping[str, float], sources: Iterable[str]) -> None:
        self.given, known = given, sorted(sources)
        for pattern, weight in given.items():
            if not (math.isfinite(weight) and weight >= 0):
                raise XlrankError(f"weight {pattern}={weight}: expected a number from 0 on")
            if known and not any(_fits(pattern, source) for source in known):
                raise XlrankError(
                    f"weight {pattern}={weight:g}: no such source; expected one of {', '.join(known)}, or a start and *"
                )

    def of(self, source: str) -> float:
        """A source's weight: the longest pattern that fits decides, an exact name before all."""
        fitting = [pattern for pattern in self.given if _fits(pattern, source)]
        return self.given[max(fitting, key=lambda p: (not p.endswith("*"), len(p)))] if fitting else 1.0


def _fits(pattern: str, source: str) -> bool:
    return source.startswith(pattern[:-1]) if pattern.endswith("*") else source == pattern


def _weight(pivot: str) -> float:
    return min(1.0, word_count(pivot) / FULL_WEIGHT_WORDS)


def _is_foreign(text: str, script: str) -> bool:
    """Whether a text's letters, if it has any, are of another script."""
    share = script_share([text], script)
    return share is not None and share < FOREIGN_SHARE


def _split(pairs: Sequence[Pair]) -> tuple[list[Pair], list[Pair]]:
    """Training and held-out pairs.

    Held-out texts are drawn by weight, as training pairs are, with random numbers made of their hashes: the same for the same
    texts, whatever else the files hold (Efraimidis and Spirakis 2006). Pairs that share a side with them are not trained on.
    """
    order: dict[str, float] = {}
    for pair in pairs:
        number = int.from_bytes(hashlib.blake2b(pair.text.encode("utf-8", "surrogatepass"), digest_size=8).digest(), "big")
        wait = -math.log((number + 1) / (2**64 + 1)) / pair.weight
        order[pair.text] = min(wait, order.get(pair.text, math.inf))
    wanted = min(HELDOUT_MOST, max(2, round(len(order) * HELDOUT_SHARE)))
    chosen = set(sorted(order, key=lambda text: (order[text], text))[:wanted])
    pivots = {pair.pivot for pair in pairs if pair.text in chosen}
    train = [pair for pair in pairs if pair.text not in chosen and pair.pivot not in pivots]
    # Of each text and each translation one pair: in a batch of sentences that compete, it would compete with itself.
    heldout: list[Pair] = []
    taken = set[tuple[str, str]]()
    for pair in pairs:
        sides = {("text", pair.text), ("pivot", pair.pivot)}
        if pair.text in chosen and not sides & taken:
            heldout.append(pair)
            taken |= sides
    return train, heldout
