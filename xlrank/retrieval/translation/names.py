"""Which document words a query word is spelt like, in whatever script: how names find each other.

The words are compared in a common spelling, by an edit distance in which vowels and related consonants cost little (scripts write
them loosely, or not at all) and an ending that only the query word has costs next to nothing (Turkic, Finnic and other suffixes).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xlrank.retrieval.translation.romanise import LETTERS, romanise

Codes = NDArray[np.int64]
"""Spellings as numbers of letters, from 1; 0 fills up [words, longest]."""

NUMBER = {letter: i + 1 for i, letter in enumerate(LETTERS)}
VOWELS = "aeiou"
RELATED = ("bpf", "vfu", "dt", "gkh", "sSzC", "CSJ", "Jgi", "vb", "zJ", "hk")
"""Consonants that languages and scripts take for each other."""
RELATED_COST, VOWEL_COST, VOWEL_GAP, BREATH_GAP, FIGURE_COST, ENDING_COST = 0.4, 0.25, 0.4, 0.5, 3.0, 0.12
SHORTEST = 4
"""Letters of a document word that has spelling enough to go by."""
SHORTEST_SPELLING = 3
CANDIDATES = 30
"""Document words that are compared letter by letter, those that share the most pairs of letters."""
LONG = 0.6
"""A query word counts as no longer than its document word divided by this: short words begin many long ones."""
BLOCK = 20_000


@dataclass(frozen=True)
class Alike:
    """Pairs of a query word and a document word that are spelt alike.

    Attributes:
        query: numbers of the query words [pairs].
        document: numbers of the document words [pairs].
        likeness: above 0, 1 for the same spelling [pairs].
    """

    query: NDArray[np.int64]
    document: NDArray[np.int64]
    likeness: NDArray[np.float32]


class Spellings:
    """The words of a collection by their spelling.

    Args:
        words: lower-cased.

    Attributes:
        lengths: of each word's common spelling; 0 where it is too short to go by [words].
    """

    def __init__(self, words: Sequence[str]) -> None:
        spelt = [romanise(word) if len(word) >= SHORTEST else "" for word in words]
        spelt = ["" if len(s) < SHORTEST_SPELLING or s.isdigit() else s for s in spelt]
        self.lengths = np.array([len(s) for s in spelt], np.int64)
        self._numbers = np.flatnonzero(self.lengths)
        self._spelt = [spelt[i] for i in self._numbers]
        self._codes, self._grams = _codes(self._spelt), dict[str, int]()
        for spelling in self._spelt:
            for gram in _letter_pairs(spelling):
                self._grams.setdefault(gram, len(self._grams))
        counted = self._matrix(self._spelt)
        self._rarity = np.log(max(1, len(self._spelt)) / np.maximum(1, np.asarray(counted.sum(axis=0)).ravel())).astype(
            np.float32
        )
        self._weighed = self._unit(counted)

    def alike(self, words: Sequence[str], floor: float = 0.7) -> Alike:
        """Document words that are spelt like these, of a likeness of at least ``floor``."""
        spelt = [romanise(word) if len(word) >= SHORTEST_SPELLING else "" for word in words]
        asked = [i for i, s in enumerate(spelt) if len(s) >= SHORTEST_SPELLING and not s.isdigit()]
        if not asked or not len(self._numbers):
            return Alike(np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0, np.float32))
        shared = (self._unit(self._matrix([spelt[i] for i in asked])) @ self._weighed.T).tocsr()
        rows, columns = [], []
        for row in range(len(asked)):
            begin, end = shared.indptr[row], shared.indptr[row + 1]
            found = shared.indices[begin:end]
            if end - begin > CANDIDATES:
                found = found[np.argpartition(-shared.data[begin:end], CANDIDATES)[:CANDIDATES]]
            rows.append(np.full(len(found), row))
            columns.append(found)
        of, column = np.concatenate(rows), np.concatenate(columns).astype(np.int64)
        likeness = self._likeness(_codes([spelt[i] for i in asked]), of, column)
        close = likeness >= floor
        return Alike(np.array(asked)[of[close]], self._numbers[column[close]], likeness[close])

    def _likeness(self, asked: Codes, row: NDArray[np.int64], column: NDArray[np.int64]) -> NDArray[np.float32]:
        """1 less the distance in parts of the document word's length, for pairs of words."""
        result = np.zeros(len(row), np.float32)
        for start in range(0, len(row), BLOCK):
            queries, documents = asked[row[start : start + BLOCK]], self._codes[column[start : start + BLOCK]]
            length = np.maximum((documents > 0).sum(axis=1), LONG * (queries > 0).sum(axis=1))
            result[start : start + BLOCK] = 1 - edit_distance(queries, documents) / length
        return result

    def _matrix(self, spelt: Sequence[str]) -> Any:  # noqa: ANN401 - scipy's own types
        """Which words have which pairs of letters, sparse [words, pairs]."""
        from scipy.sparse import csr_matrix

        places = [(i, self._grams[g]) for i, s in enumerate(spelt) for g in _letter_pairs(s) if g in self._grams]
        rows, columns = zip(*places, strict=True) if places else ((), ())
        return csr_matrix((np.ones(len(places), np.float32), (rows, columns)), shape=(len(spelt), max(1, len(self._grams))))

    def _unit(self, counted: Any) -> Any:  # noqa: ANN401
        from scipy.sparse import diags

        weighed = counted @ diags(self._rarity) if len(self._rarity) == counted.shape[1] else counted
        norms = np.sqrt(np.asarray(weighed.multiply(weighed).sum(axis=1)).ravel())
        return (diags(1 / np.maximum(norms, 1e-9)) @ weighed).tocsr()


def edit_distance(queries: Codes, documents: Codes) -> NDArray[np.float32]:
    """The cheapest way from each query spelling to its document spelling, an ending of the query's nearly for free [pairs]."""
    lengths, wanted = (queries > 0).sum(axis=1), (documents > 0).sum(axis=1)
    pairs = np.arange(len(queries))
    costs = np.zeros((len(queries), documents.shape[1] + 1), np.float32)
    costs[:, 1:] = np.cumsum(GAP[documents], axis=1)
    best = np.full(len(queries), np.inf, np.float32)
    for i in range(queries.shape[1]):
        letter = queries[:, i]
        after = np.empty_like(costs)
        after[:, 0] = costs[:, 0] + GAP[letter]
        cheaper = np.minimum(costs[:, 1:] + GAP[letter][:, None], costs[:, :-1] + EXCHANGE[letter[:, None], documents])
        for j in range(documents.shape[1]):
            after[:, j + 1] = np.minimum(cheaper[:, j], after[:, j] + GAP[documents[:, j]])
        costs = np.where((i < lengths)[:, None], after, costs)
        ended = costs[pairs, wanted] + ENDING_COST * (lengths - i - 1)
        best = np.where(i < lengths, np.minimum(best, ended), best)
    return best.astype(np.float32)


def _codes(spelt: Sequence[str]) -> Codes:
    codes = np.zeros((len(spelt), max(map(len, spelt), default=1)), np.int64)
    for row, spelling in enumerate(spelt):
        codes[row, : len(spelling)] = [NUMBER[letter] for letter in spelling]
    return codes


def _letter_pairs(spelling: str) -> set[str]:
    """Neighbouring letters, with the word's start, and neighbouring consonants."""
    marked, consonants = "^" + spelling, "".join(letter for letter in spelling if letter not in VOWELS)
    pairs = {marked[i : i + 2] for i in range(len(marked) - 1)}
    return pairs | {"_" + consonants[i : i + 2] for i in range(max(1, len(consonants) - 1))}


def _exchange() -> NDArray[np.float32]:
    table = np.ones((len(LETTERS) + 1,) * 2, np.float32)
    for group, cost in (*((related, RELATED_COST) for related in RELATED), (VOWELS, VOWEL_COST)):
        numbers = [NUMBER[letter] for letter in group]
        table[np.ix_(numbers, numbers)] = cost
    figures = [NUMBER[figure] for figure in "0123456789"]
    table[figures, :] = table[:, figures] = FIGURE_COST
    np.fill_diagonal(table, 0)
    return table


def _gap() -> NDArray[np.float32]:
    gap = np.ones(len(LETTERS) + 1, np.float32)
    gap[[NUMBER[vowel] for vowel in VOWELS]] = VOWEL_GAP
    gap[NUMBER["h"]] = BREATH_GAP
    return gap


EXCHANGE, GAP = _exchange(), _gap()
