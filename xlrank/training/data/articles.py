"""Articles as plain text, for language modules that learn by inverse cloze: what an article begins with is to find the rest."""

import json
import logging
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from pathlib import Path

import numpy as np

from xlrank.collections.lines import text_lines
from xlrank.errors import XlrankError
from xlrank.text import clean, sentences, word_count
from xlrank.training.reading import read_lines

LEAST_SENTENCES = 6
LEAST_ARTICLES = 8
PASSAGE_WORDS = 30, 80
"""Words of a passage, at least and at most as far as its sentences allow."""
OPENING = 2
"""Sentences at most that an article is asked for with; passages come after them."""
HELDOUT_SHARE, HELDOUT_MOST = 0.05, 64
SHORT, NO_PASSAGE, REPEATED = (
    f"with fewer than {LEAST_SENTENCES} sentences",
    f"without {PASSAGE_WORDS[0]} words after the first {OPENING} sentences",
    "that repeat an earlier one",
)
EXPECTED = 'an article a line: JSON {"title", "text"}, title optional'
LOG = logging.getLogger("xlrank")


@dataclass(frozen=True)
class Article:
    """An article.

    Attributes:
        title: may be empty.
        sentences: of its text, at least six.
        words: how many each of them has.
    """

    title: str
    sentences: Sequence[str]
    words: Sequence[float]

    def question(self, random: np.random.Generator) -> tuple[str, str]:
        """A query and a later passage, drawn at random.

        The query is the title or the title and the first sentence; of an article without one, the first sentence or two.
        """
        first = random.random() < 0.5
        parts = [self.title, self.sentences[0]] if self.title else list(self.sentences[:OPENING])
        return " ".join(parts[:1] if first else parts), self._passage(random)

    def _passage(self, random: np.random.Generator) -> str:
        least, most = PASSAGE_WORDS
        starts = [i for i in range(OPENING, len(self.words)) if sum(self.words[i:]) >= least]
        start, wanted = starts[random.integers(len(starts))], random.uniform(least, most)
        stop, total = start + 1, self.words[start]
        while stop < len(self.words) and total < wanted and (total < least or total + self.words[stop] <= most):
            total += self.words[stop]
            stop += 1
        return " ".join(self.sentences[start:stop])


@dataclass(frozen=True)
class Articles:
    """Usable articles; none is on both sides.

    Attributes:
        train: to be drawn from.
        heldout: for the held-out loss.
        skipped: articles left out, by reason.
    """

    train: Sequence[Article]
    heldout: Sequence[Article]
    skipped: Mapping[str, int] = field(default_factory=dict)


def open_articles(paths: Sequence[Path]) -> Articles:
    """Read articles.

    Args:
        paths: JSON lines ``{"title", "text"}`` (``.jsonl``), else an article a line, of a ``.tsv`` its last column; ``.gz`` and
            ``.xz`` too.

    Raises:
        XlrankError: a file is malformed, or too few articles are long enough.
    """
    found: dict[bytes, Article] = {}
    skipped: Counter[str] = Counter()
    read = 0
    for path in paths:
        for title, text in read_articles(path):
            read += 1
            key = blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest()
            article, reason = (None, REPEATED) if key in found else _article(title, text)
            if article is None:
                skipped[reason] += 1
            else:
                found[key] = article
    reasons = ", ".join(f"{count:,} {reason}" for reason, count in skipped.items())
    names = ", ".join(map(str, paths))
    if len(found) < LEAST_ARTICLES:
        raise XlrankError(
            f"{names}: {len(found)} usable articles of {read:,} ({reasons or 'none skipped'}); "
            f"expected at least {LEAST_ARTICLES} of {LEAST_SENTENCES} sentences and more, one a line"
        )
    if skipped:
        LOG.warning("%s: %s of %s articles skipped: %s", names, f"{sum(skipped.values()):,}", f"{read:,}", reasons)
    wanted = min(HELDOUT_MOST, max(2, round(len(found) * HELDOUT_SHARE)))
    held = set(sorted(found)[:wanted])
    train = [article for key, article in found.items() if key not in held]
    return Articles(train, [found[key] for key in sorted(held)], dict(skipped))


def _article(title: str, text: str) -> tuple[Article | None, str]:
    """An article, or why it is none."""
    parts = sentences(text)
    if len(parts) < LEAST_SENTENCES:
        return None, SHORT
    counts = [word_count(part) for part in parts]
    if sum(counts[OPENING:]) < PASSAGE_WORDS[0]:
        return None, NO_PASSAGE
    return Article(clean(title), parts, counts), ""


def read_articles(path: Path) -> Iterator[tuple[str, str]]:
    """Title and text of each line; the title may be empty.

    Raises:
        XlrankError: a line is malformed, or the file cannot be read.
    """
    if not {".jsonl", ".json"} & set(path.suffixes):
        yield from (("", line) for line in read_lines(path))
        return
    for number, line in text_lines(path, EXPECTED):
        try:
            fields = json.loads(line)
        except json.JSONDecodeError as error:
            raise XlrankError(f"{path}, line {number}: not JSON ({error.msg}); expected {EXPECTED}") from None
        text, title = (fields.get("text"), fields.get("title") or "") if isinstance(fields, dict) else (None, "")
        if not isinstance(text, str) or not isinstance(title, str):
            raise XlrankError(f"{path}, line {number}: no texts under 'text' and 'title'; expected {EXPECTED}")
        yield title, text
