"""Training pairs made of news articles: the headline asks, a later passage of the same article answers."""

import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path

from xlrank.errors import XlrankError
from xlrank.text import clean, sentences, word_count
from xlrank.training.data.articles import read_articles
from xlrank.training.data.records import query_key

PASSAGE_WORDS = 35, 75
"""Words of a passage, at least and at most."""

LEAD_SHARE = 0.7
"""Share of the queries that are the title and the first sentence; the others are the title alone."""

UNTITLED, SHORT, REPEATED = "without a title", "without a later passage of whole sentences", "with a title that came before"


@dataclass(frozen=True)
class Headlines:
    """Pairs made of articles.

    Attributes:
        pairs: ``{"query", "positive"}``, one an article, in the articles' order.
        skipped: articles left out, by reason.
    """

    pairs: list[dict[str, str]]
    skipped: dict[str, int]


def headline_pairs(paths: Sequence[Path], *, seed: int, limit: int | None = None) -> Headlines:
    """A pair of every article that is long enough.

    The query is the title, for most articles with the first sentence (:data:`LEAD_SHARE`); the document is a run of later
    sentences (:data:`PASSAGE_WORDS`). Both are drawn by the seed and the title, so they do not depend on the other articles.

    Args:
        paths: JSON lines ``{"title", "text"}`` (``.gz`` and ``.xz`` too).
        seed: of the choices.
        limit: pairs at most.

    Raises:
        XlrankError: a file is malformed, or no article is long enough.
    """
    found: dict[str, dict[str, str]] = {}
    skipped: Counter[str] = Counter()
    for path in paths:
        for title, text in read_articles(path):
            if len(found) == limit:
                break
            name = query_key(title)
            if not name or name in found:
                skipped[REPEATED if name else UNTITLED] += 1
            elif pair := _pair(clean(title), text, random.Random(f"{seed} {name}")):
                found[name] = pair
            else:
                skipped[SHORT] += 1
    if not found:
        raise XlrankError(
            f"{', '.join(map(str, paths))}: no article with a title and a passage of {PASSAGE_WORDS[0]} to {PASSAGE_WORDS[1]} "
            "words after its first sentence; nothing to train on"
        )
    return Headlines(list(found.values()), dict(skipped))


def _pair(title: str, text: str, rng: random.Random) -> dict[str, str] | None:
    """A pair, or None where the text has no passage to answer with."""
    parts = sentences(text)
    spans = _spans([word_count(part) for part in parts])
    if not spans:
        return None
    start, stop = rng.choice(spans)
    query = f"{title} {parts[0]}" if rng.random() < LEAD_SHARE else title
    return {"query": query, "positive": " ".join(parts[start:stop])}


def _spans(words: Sequence[float]) -> list[tuple[int, int]]:
    """First sentence and the one after the last of every passage of a fitting length, the first sentence left out."""
    least, most = PASSAGE_WORDS
    return [
        (start, stop)
        for start in range(1, len(words))
        for stop, total in enumerate(accumulate(words[start:]), start + 1)
        if least <= total <= most
    ]
