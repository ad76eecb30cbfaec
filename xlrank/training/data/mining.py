"""Training groups mined from questions and paragraphs: hard negatives that a first stage finds, and random ones."""

import json
import random
import re
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from xlrank.bases import Base
from xlrank.collections.reading import numbered_lines, read_documents
from xlrank.collections.records import Document
from xlrank.errors import XlrankError
from xlrank.files import cache_folder
from xlrank.progress import StageProgress, shown
from xlrank.retrieval import LuceneBM25
from xlrank.retrieval.dense import DenseRetriever
from xlrank.text import clean

Question = tuple[str, int, str]
"""A query, the position of the paragraph that answers it, and the text that does."""

RANKS = (2, 31)
SEARCHED = 256
"""Questions that are searched at a time."""

SENTENCE_END = re.compile(r"(?<=[.!?])\s+(?=[A-Z\"'(])")


@dataclass(frozen=True)
class Negatives:
    """How many negatives a group gets, and from where.

    Attributes:
        count: negatives a group.
        hard: how many of them a first stage finds.
        ranks: first and last rank that hard ones are drawn from, see :func:`mine`.
    """

    count: int
    hard: int
    ranks: tuple[int, int]

    def check(self, paragraphs: int, path: Path) -> None:
        """Check that such negatives can be drawn from so many paragraphs.

        Raises:
            XlrankError: they cannot.
        """
        if not 0 <= self.hard <= self.count:
            raise XlrankError(
                f"train pairs: {self.hard} hard of {self.count} negatives; expected none or more, and no more hard ones"
            )
        first, last = self.ranks
        if first < 1 or last - first < self.hard:
            raise XlrankError(f"train pairs: ranks {first} to {last} are too few for {self.hard} hard negatives and the answer")
        if self.count and paragraphs < last + self.count:
            raise XlrankError(f"{path}: {paragraphs} paragraphs; mining {self.count} negatives needs {last + self.count} or more")

    def draw(self, near: Sequence[int], answer: int, paragraphs: int, rng: random.Random) -> list[int]:
        """Positions of the negatives of one question, hard ones first; ``near`` are the first ranks, best first."""
        candidates = [i for i in near if i != answer][self.ranks[0] - 1 :]
        chosen = rng.sample(candidates, min(self.hard, len(candidates)))  # a word search may find fewer
        excluded = sorted({answer, *candidates})
        places = rng.sample(range(paragraphs - len(excluded)), self.count - len(chosen))
        return chosen + [_not_among(excluded, place) for place in places]


def mine(
    questions: Path,
    paragraphs: Path,
    *,
    base: Base | None = None,
    method: Literal["dense", "bm25"] = "dense",
    negatives: int = 4,
    hard: int = 3,
    ranks: tuple[int, int] = RANKS,
    limit: int = 2000,
    sentence_share: float = 0.3,
    language: str = "en",
    seed: int = 13,
    progress: StageProgress = shown,
) -> Iterator[dict[str, Any]]:
    """Groups from labelled questions: the answering paragraph, hard negatives near to the question, and random ones.

    A share of the groups asks with a paragraph's first sentence instead, its rest being the answer (an inverse cloze task,
    Lee et al. 2019): it teaches the ranker statements as queries, not only questions.

    Args:
        questions: JSON lines ``{"query_id", "text", "doc_id", "label"}``; only label 1 is used.
        paragraphs: JSON lines ``{"doc_id", "text"}``; those without text are left out.
        base: bi-encoder that finds the hard negatives (``dense`` only).
        method: ``dense``, or ``bm25`` by Lucene.
        negatives: negatives a group; 0 makes pairs ``{"query", "positive"}``, which late interaction can learn from.
        hard: how many of them are hard; where BM25 finds too few, random ones take their place.
        ranks: hard ones are drawn from the first ``ranks[1]`` paragraphs found, less the answering one and the first
            ``ranks[0] - 1`` others: the very nearest may answer the question as well.
        limit: groups at most; fewer where there are too few questions, or too few paragraphs, to keep to the share.
        sentence_share: share of inverse-cloze groups among all that are made, from 0 to 1.
        language: of the texts (``bm25`` only).
        seed: of all choices.
        progress: told what goes on; by default it is shown on standard error.

    Yields:
        JSON-able groups ``{"query", "positive", "negatives"}``.

    Raises:
        XlrankError: a file is malformed, or there is too little to mine that many negatives from.
    """
    _check_amounts(limit, sentence_share)
    with progress("reading paragraphs"):
        documents = [document for document in read_documents(paragraphs) if document.text]
    wanted = Negatives(negatives, hard, ranks)
    wanted.check(len(documents), paragraphs)
    if method == "dense" and base is None and negatives:
        raise XlrankError("train pairs: dense negatives need a base that finds them")
    rng = random.Random(seed)
    asked = _asked(questions, documents, limit, sentence_share, rng)
    if not negatives:
        yield from ({"query": query, "positive": positive} for query, _, positive in asked)
        return
    queries = [query for query, _, _ in asked]
    if method == "dense" and base is not None:
        ranking = _dense(queries, documents, base, ranks[1], progress)
    else:
        ranking = _bm25(queries, documents, language, ranks[1], progress)
    with progress("mining groups") as told:
        for number, (question, near) in enumerate(zip(asked, ranking, strict=True), 1):
            told(number, len(asked))
            yield _group(question, wanted.draw(near, question[1], len(documents), rng), documents)


def _group(question: Question, negatives: Sequence[int], documents: Sequence[Document]) -> dict[str, Any]:
    query, _, positive = question
    return {"query": query, "positive": positive, "negatives": [documents[i].text for i in negatives]}


def _check_amounts(limit: int, share: float) -> None:
    if not 0 <= share <= 1:
        raise XlrankError(f"train pairs: a share of {share:g} sentences; expected a number from 0 to 1 (--sentences)")
    if limit < 1:
        raise XlrankError(f"train pairs: a limit of {limit} groups; expected 1 or more (--limit)")


def _asked(path: Path, documents: Sequence[Document], limit: int, share: float, rng: random.Random) -> list[Question]:
    """Questions and inverse-cloze groups in the share asked for, as many as there are of both, in a random order."""
    asked = list(labelled(path, {document.id: i for i, document in enumerate(documents)}))
    rng.shuffle(asked)
    split = [(i, SENTENCE_END.split(document.text, maxsplit=1)) for i, document in enumerate(documents)]
    cloze = [
        (parts[0], i, parts[1]) for i, parts in split if len(parts) == 2 and len(parts[0].split()) >= 6 <= len(parts[1].split())
    ]
    rng.shuffle(cloze)
    if not asked and share < 1:
        raise XlrankError(f"{path}: no question with label 1; nothing to train on but sentences alone (--sentences 1)")
    if not cloze and share > 0:
        raise XlrankError(f"{path}: no paragraph has several sentences; leave groups that ask with one out (--sentences 0)")
    questions, sentences = _numbers(len(asked), len(cloze), limit, share)
    groups = [(query, place, documents[place].text) for query, place in asked[:questions]] + cloze[:sentences]
    rng.shuffle(groups)
    return groups


def _numbers(questions: int, sentences: int, limit: int, share: float) -> tuple[int, int]:
    """How many of each there are in the largest set with the share of sentences; whichever is short bounds both."""
    for total in range(min(limit, questions + sentences), 0, -1):
        wanted = round(total * (1 - share))
        if wanted <= questions and total - wanted <= sentences:
            return wanted, total - wanted
    return 0, 0


def labelled(path: Path, places: dict[str, int]) -> Iterator[tuple[str, int]]:
    """The questions with label 1, and the numbers of the paragraphs that answer them.

    Args:
        path: JSON lines ``{"text", "doc_id", "label"}``.
        places: number of each paragraph by its id.

    Raises:
        XlrankError: a line is malformed, or names an unknown paragraph.
    """
    for place, line in numbered_lines(path, 'JSON lines with "text", "doc_id" and "label"'):
        try:
            fields = json.loads(line)
            text, document, label = clean(str(fields["text"])), str(fields["doc_id"]), fields["label"]
        except (ValueError, KeyError, TypeError, RecursionError):
            raise XlrankError(f'{place}: expected an object with "text", "doc_id" and "label"') from None
        if label not in (0, 1):
            raise XlrankError(f"{place}: the label {label!r} is neither 0 nor 1")
        if document not in places:
            raise XlrankError(f"{place}: unknown paragraph {document!r}")
        if label == 1 and text:
            yield text, places[document]


def _dense(
    queries: Sequence[str], documents: Sequence[Document], base: Base, depth: int, progress: StageProgress
) -> Iterator[list[int]]:
    """Positions of the nearest paragraphs of each query by cosine, best first."""
    retriever = DenseRetriever(base, max_length=128)
    with progress("embedding paragraphs") as told:
        vectors = retriever.embed([document.text for document in documents], told, side="document")
    with progress("embedding questions") as told:
        asked = retriever.embed(queries, told, side="query")
    for start in range(0, len(asked), SEARCHED):
        similarity = asked[start : start + SEARCHED] @ vectors.T
        for row in np.argsort(-similarity, axis=1)[:, :depth]:
            yield [int(i) for i in row]


def _bm25(
    queries: Sequence[str], documents: Sequence[Document], language: str, depth: int, progress: StageProgress
) -> Iterator[list[int]]:
    """Positions of the best paragraphs of each query by BM25, best first; fewer where fewer share a word with it."""
    lucene = LuceneBM25(language)
    # The title is left out: the ranker will not see it either.
    untitled = [Document(str(i), document.text) for i, document in enumerate(documents)]
    with progress("indexing paragraphs") as told:
        index = lucene.index(untitled, cache_folder() / "indexes", told)
    with progress("searching with the questions"):
        found = lucene.search(index, {str(i): query for i, query in enumerate(queries)}, depth)
    for i in range(len(queries)):
        yield [int(id_) for id_, _ in found.rankings.get(str(i), ())]


def _not_among(excluded: Sequence[int], place: int) -> int:
    """The number at ``place`` among the whole numbers that are not in the sorted ``excluded``."""
    number = place
    while True:
        shifted = place + bisect_left(excluded, number + 1)
        if shifted == number:
            return number
        number = shifted
