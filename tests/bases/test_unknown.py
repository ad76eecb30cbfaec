"""Warnings of texts that a base's tokenizer does not know: by query, and over all documents, wherever texts are scored."""

import logging
from collections.abc import Iterator

import pytest

from tests.conftest import make_ranking
from xlrank.bases import Base, UnknownPieces
from xlrank.ranking import Ranker
from xlrank.retrieval.dense.encoders import MeanPooledEncoder

KNOWN, FOREIGN = "the river and the bridge of the school", "ﺷﻪ ﻫﻪ the"


@pytest.fixture(autouse=True)
def warnings(caplog: pytest.LogCaptureFixture) -> Iterator[pytest.LogCaptureFixture]:
    with caplog.at_level(logging.WARNING, "xlrank"):
        yield caplog


def said(warnings: pytest.LogCaptureFixture) -> list[str]:
    found = [record.getMessage() for record in warnings.records]
    warnings.clear()
    return found


def test_each_query_is_warned_of_once(tiny_base: Base, warnings: pytest.LogCaptureFixture) -> None:
    unknown = tiny_base.tokenizer.unk_token_id
    queries = UnknownPieces(tiny_base, "queries", each=True)
    queries.look({"a": [7, 8, 9], "b": [7, unknown, 9], "c": [unknown] + [7] * 9})
    expected = f"queries: more than a tenth of the word pieces of 1 of 3 are unknown to the tokenizer of base {tiny_base.name!r}"
    assert said(warnings) == [f"{expected}, first in 'b'"]
    queries.look({"b": [7, unknown, 9]})
    assert said(warnings) == []
    queries.look({"c": [unknown] + [7] * 9}, beside=2)
    assert len(said(warnings)) == 1, "special pieces are no part of the text"


def test_documents_are_judged_together_and_warned_of_once(tiny_base: Base, warnings: pytest.LogCaptureFixture) -> None:
    unknown = tiny_base.tokenizer.unk_token_id
    documents = UnknownPieces(tiny_base, "documents")
    documents.look({"a": [7] * 18, "b": [unknown, unknown]})
    assert said(warnings) == []
    documents.look({"c": [unknown] * 4})
    expected = f"documents: 25 % of 24 word pieces are unknown to the tokenizer of base {tiny_base.name!r}"
    assert said(warnings) == [expected]
    documents.look({"d": [unknown] * 4})
    assert said(warnings) == []


@pytest.mark.parametrize("fixture", ["tiny_base", "tiny_xlmr_base"])
@pytest.mark.parametrize("way", ["cross", "late", "dense"])
def test_wherever_texts_are_scored(
    way: str, fixture: str, request: pytest.FixtureRequest, warnings: pytest.LogCaptureFixture
) -> None:
    base: Base = request.getfixturevalue(fixture)

    def score(query: str, document: str) -> list[str]:
        if way == "dense":
            encoder = MeanPooledEncoder(base)
            encoder.encode([query], "query")
            encoder.encode([document], "document")
        else:
            ranker = Ranker(base, make_ranking(base, 1) if way == "cross" else "late()")
            ranker.score([(query, document)])
        return said(warnings)

    assert score(KNOWN, KNOWN) == []
    (query,) = score(FOREIGN, KNOWN)
    assert query.startswith("queries: ") and query.endswith(f"first in {FOREIGN!r}")
    (document,) = score(KNOWN, FOREIGN)
    assert document.startswith("documents: ")
