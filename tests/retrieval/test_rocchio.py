"""Feedback among vectors: queries move towards a run's best documents, and find what lies near to these."""

from pathlib import Path

import numpy as np
import pytest

from tests.retrieval.test_dense import Letters, numbered
from xlrank.collections import Document
from xlrank.errors import XlrankError
from xlrank.retrieval.dense import DenseRetriever
from xlrank.retrieval.dense.store import open_index
from xlrank.retrieval.rocchio import Rocchio
from xlrank.runs import Run

DOCUMENTS = [Document("x", "aab"), Document("c", "aaaa"), Document("empty", " "), Document("b", "cc"), Document("a", "ccd")]


def test_the_query_moves_by_the_mean_of_the_best(tmp_path: Path) -> None:
    retriever = DenseRetriever(Letters())
    index = open_index(retriever.index(DOCUMENTS, tmp_path))
    run = Run.of("given", {"1": {"a": 3.0, "b": 2.0, "c": 1.0}})
    queries = retriever.embed(["aa", "b"], side="query")
    moved = Rocchio(documents=2, weight=0.5).moved(queries, ["1", "2"], run, index, "dot")
    assert moved[0].tolist() == pytest.approx([2 / 1.5, 0, 0.5 * 2 / 1.5, 0.5 * 0.5 / 1.5, 0, 0, 0, 0])
    assert moved[1].tolist() == queries[1].tolist(), "the run says nothing about topic 2"
    turned = Rocchio(documents=2, weight=0.5).moved(queries, ["1", "2"], run, index, "cosine")
    assert np.linalg.norm(turned, axis=1) == pytest.approx(1)
    assert turned[0] * np.linalg.norm(moved[0]) == pytest.approx(moved[0])
    assert queries.tolist() == retriever.embed(["aa", "b"], side="query").tolist(), "the caller's own stay as they are"


def test_it_finds_what_is_near_to_the_best(tmp_path: Path) -> None:
    retriever = DenseRetriever(Letters())
    index = retriever.index(DOCUMENTS, tmp_path)
    alone = retriever.search(index, DOCUMENTS, {"1": "aa"}, 4)
    assert [id_ for id_, _ in alone.rankings["1"]] == ["c", "x", "a", "b"]
    run = Run.of("given", {"1": {"a": 3.0}})
    led = retriever.search(index, DOCUMENTS, {"1": "aa"}, 4, (Rocchio(documents=1, weight=8), run))
    assert [id_ for id_, _ in led.rankings["1"]] == ["a", "b", "c", "x"]
    assert led.metadata["method"]["feedback"] == {"documents": 1, "weight": 8, "run": "given"}
    assert "feedback" not in alone.metadata["method"]


def test_documents_are_found_by_their_ids(tmp_path: Path) -> None:
    documents = [*numbered(37), Document("d5x", ""), Document("ж", "a")]
    index = open_index(DenseRetriever(Letters()).index(documents, tmp_path))
    wanted = {document.id: number for number, document in enumerate(documents) if document.text}
    assert index.rows(wanted) == wanted
    assert index.rows(["d5x", "ж"]) == {"ж": 38}, "one without text"
    for absent in ("d99", "", "я"):
        with pytest.raises(XlrankError, match=f"holds no document '{absent}'"):
            index.rows([absent])


@pytest.mark.parametrize("settings", [{"documents": 0}, {"weight": 0.0}, {"weight": float("nan")}])
def test_impossible_settings(settings: dict[str, float]) -> None:
    with pytest.raises(XlrankError, match="expected at least 1, and more than 0"):
        Rocchio(**settings)  # type: ignore[arg-type]
