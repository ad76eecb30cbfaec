"""Training pairs for ranking: read, checked, and mined from questions and paragraphs with dense hard negatives."""

import json
import random
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from xlrank.bases import Base
from xlrank.collections.reading import numbered_lines, read_documents
from xlrank.collections.records import Document
from xlrank.errors import XlrankError
from xlrank.retrieval.dense import DenseRetriever
from xlrank.text import clean

NEAR = 31
"""Nearest paragraphs of a question that hard negatives are drawn from."""

SENTENCE_END = re.compile(r"(?<=[.!?])\s+(?=[A-Z\"'(])")


@dataclass(frozen=True)
class Group:
    """A query with one relevant document, first, and others that are not."""

    query: str
    documents: tuple[str, ...]


def read_groups(path: Path) -> list[Group]:
    """Groups from JSON lines ``{"query", "positive", "negatives": [...]}``.

    Raises:
        XlrankError: a line lacks a field or a text is empty (file and line named).
    """
    groups = []
    for place, line in numbered_lines(path, 'JSON lines with "query", "positive" and "negatives"'):
        try:
            fields = json.loads(line)
            if not isinstance(fields["negatives"], list):
                raise TypeError
            texts = [fields["query"], fields["positive"], *fields["negatives"]]
        except (json.JSONDecodeError, KeyError, TypeError):
            raise XlrankError(f'{place}: expected an object with "query", "positive" and a list "negatives"') from None
        texts = [clean(text) if isinstance(text, str) else "" for text in texts]
        if len(texts) < 3 or not all(texts):
            raise XlrankError(f"{place}: a text is missing or empty; each group needs a query, a positive and a negative")
        groups.append(Group(texts[0], tuple(texts[1:])))
    if not groups:
        raise XlrankError(f"{path}: holds no training groups")
    return groups


def mine_groups(
    questions: Path,
    paragraphs: Path,
    *,
    base: Base,
    negatives: int = 4,
    hard: int = 3,
    limit: int = 2000,
    sentence_share: float = 0.3,
    seed: int = 13,
) -> Iterator[dict[str, Any]]:
    """Groups from labelled questions: the answering paragraph, hard negatives near to the question, and random ones.

    A share of the groups asks with a paragraph's first sentence instead, its rest being the answer (an inverse cloze task):
    it teaches the ranker statements as queries, not only questions.

    Args:
        questions: JSON lines ``{"query_id", "text", "doc_id", "label"}``; only label 1 is used.
        paragraphs: JSON lines ``{"doc_id", "text"}``.
        base: bi-encoder that finds the hard negatives.
        negatives: negatives a group.
        hard: how many of them are hard.
        limit: groups in all.
        sentence_share: share of inverse-cloze groups.
        seed: of all choices.
    """
    documents = read_documents(paragraphs)
    if not 0 <= hard <= negatives or negatives < 1:
        raise XlrankError(
            f"train pairs: {hard} hard of {negatives} negatives; expected at least one negative, and no more hard ones"
        )
    rng = random.Random(seed)
    wanted = round(limit * (1 - sentence_share))
    asked = list(_questions(questions, {document.id: i for i, document in enumerate(documents)}))
    if len(documents) < NEAR + negatives:
        raise XlrankError(
            f"{paragraphs}: {len(documents)} paragraphs; mining {negatives} negatives needs {NEAR + negatives} or more"
        )
    rng.shuffle(asked)
    groups = [(query, place, documents[place].text) for query, place in asked[:wanted]]
    split = [(i, SENTENCE_END.split(document.text, maxsplit=1)) for i, document in enumerate(documents)]
    cloze = [
        (parts[0], i, parts[1]) for i, parts in split if len(parts) == 2 and len(parts[0].split()) >= 6 <= len(parts[1].split())
    ]
    rng.shuffle(cloze)
    groups += cloze[: limit - wanted]
    if not groups:
        raise XlrankError(f"{questions}: no question with label 1, and no paragraph of several sentences; nothing to train on")
    rng.shuffle(groups)
    yield from _with_negatives(groups, documents, base, negatives, hard, rng)


def _with_negatives(
    groups: Sequence[tuple[str, int, str]],
    documents: Sequence[Document],
    base: Base,
    negatives: int,
    hard: int,
    rng: random.Random,
) -> Iterator[dict[str, Any]]:
    retriever = DenseRetriever(base, max_length=128)
    vectors = retriever.embed([retriever.document_prefix + document.text for document in documents])
    queries = retriever.embed([retriever.query_prefix + query for query, _, _ in groups])
    for (query, place, positive), near in zip(groups, np.argsort(-(queries @ vectors.T), axis=1)[:, :NEAR], strict=True):
        # The very nearest may answer the question as well: hard negatives come from ranks 2 to 30.
        candidates = [int(i) for i in near if i != place][1:]
        chosen = rng.sample(candidates, hard)
        chosen += rng.sample([i for i in range(len(documents)) if i != place and i not in candidates], negatives - hard)
        yield {"query": query, "positive": positive, "negatives": [documents[i].text for i in chosen]}


def _questions(path: Path, places: dict[str, int]) -> Iterator[tuple[str, int]]:
    for place, line in numbered_lines(path, 'JSON lines with "text", "doc_id" and "label"'):
        try:
            fields = json.loads(line)
            text, document, label = clean(str(fields["text"])), str(fields["doc_id"]), fields["label"]
        except (json.JSONDecodeError, KeyError, TypeError):
            raise XlrankError(f'{place}: expected an object with "text", "doc_id" and "label"') from None
        if label not in (0, 1):
            raise XlrankError(f"{place}: the label {label!r} is neither 0 nor 1")
        if document not in places:
            raise XlrankError(f"{place}: unknown paragraph {document!r}")
        if label == 1 and text:
            yield text, places[document]
