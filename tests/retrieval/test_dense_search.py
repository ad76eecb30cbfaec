"""Exact search against all similarities in float64, whatever the blocks; equal ones by their places, also at the cut."""

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from xlrank.errors import XlrankError
from xlrank.retrieval.dense import nearest, search
from xlrank.retrieval.dense.encoders import Similarity, Vectors

SIMILARITIES: list[Similarity] = ["cosine", "dot", "euclidean", "manhattan"]


def drawn(rows: int, dimensions: int = 16, seed: int = 0, *, unit: bool = False) -> Vectors:
    vectors = np.random.default_rng(seed).standard_normal((rows, dimensions)).astype(np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True) if unit else vectors * 3


def slowly(queries: Vectors, vectors: NDArray[Any], depth: int, places: NDArray[np.int64], similarity: str) -> list[list[int]]:
    """All similarities in float64, sorted."""
    found = []
    for query in queries.astype(np.float64):
        stored = vectors.astype(np.float64)
        if similarity in ("cosine", "dot"):
            scores = (stored * query).sum(1)
        else:
            scores = -np.linalg.norm(stored - query, ord=1 if similarity == "manhattan" else 2, axis=1)
        order = sorted(np.flatnonzero(places >= 0).tolist(), key=lambda i: (-scores[i], places[i]))
        found.append(order[:depth])
    return found


@pytest.fixture(params=[(512, 16_384), (7, 50), (1, 3)], ids=["one block", "blocks", "tiny blocks"])
def _blocks(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(search, "QUERIES", request.param[0])
    monkeypatch.setattr(search, "DOCUMENTS", request.param[1])


@pytest.mark.usefixtures("_blocks")
@pytest.mark.parametrize("similarity", SIMILARITIES)
@pytest.mark.parametrize("depth", [1, 10, 60, 500])
def test_the_nearest_are_found(similarity: Similarity, depth: int) -> None:
    """Forty of 200 vectors are copies of others, and every seventh is not to be found."""
    vectors, queries = drawn(200, unit=similarity == "cosine"), drawn(15, seed=1, unit=similarity == "cosine")
    vectors[100:140] = vectors[:40]
    queries[0] = vectors[3]
    places = np.random.default_rng(2).permutation(200)
    places[::7] = -1
    found = list(nearest(queries, vectors, depth, places=places, similarity=similarity))
    assert [rows.tolist() for rows, _ in found] == slowly(queries, vectors, depth, places, similarity)
    assert all((np.diff(similarities) <= 0).all() for _, similarities in found)


@pytest.mark.usefixtures("_blocks")
def test_many_equal_vectors_are_cut_by_their_places() -> None:
    vectors = np.repeat(drawn(3, unit=True), [50, 60, 70], axis=0)
    places = np.random.default_rng(3).permutation(180)
    for rows, similarities in nearest(drawn(20, seed=4, unit=True), vectors, 7, places=places):
        best = np.flatnonzero((vectors == vectors[rows[0]]).all(1))
        assert rows.tolist() == sorted(best.tolist(), key=places.__getitem__)[:7]
        assert len(set(similarities.tolist())) == 1


def test_similarities_that_float32_cannot_tell_apart_are_in_their_true_order() -> None:
    """All inner products are 1 to within 1e-8: only float64 knows their order."""
    vectors = np.zeros((40, 2), np.float32)
    vectors[:, 0], vectors[:, 1] = 1, np.random.default_rng(0).permutation(40) * np.float32(1e-9)
    queries = np.array([[1, 1], [1, -1]], np.float32)
    assert len(np.unique(queries[0] @ vectors.T)) == 1
    found = [rows.tolist() for rows, _ in nearest(queries, vectors, 5, similarity="dot")]
    assert found == [np.argsort(-vectors[:, 1])[:5].tolist(), np.argsort(vectors[:, 1])[:5].tolist()]


def test_float16_vectors_and_a_memory_map(tmp_path: Any) -> None:  # noqa: ANN401
    vectors = drawn(300, unit=True).astype(np.float16)
    np.save(tmp_path / "v.npy", vectors)
    mapped = np.load(tmp_path / "v.npy", mmap_mode="r")
    queries = drawn(4, seed=5, unit=True)
    found = list(nearest(queries, mapped, 20))
    assert [rows.tolist() for rows, _ in found] == slowly(queries, vectors, 20, np.arange(300), "cosine")


def test_the_result_does_not_depend_on_the_other_queries(monkeypatch: pytest.MonkeyPatch) -> None:
    vectors, queries = drawn(500), drawn(30, seed=6)
    together = list(nearest(queries, vectors, 50, similarity="dot"))
    monkeypatch.setattr(search, "DOCUMENTS", 33)
    for i, (rows, similarities) in enumerate(together):
        [(alone, same)] = nearest(queries[i : i + 1], vectors, 50, similarity="dot")
        assert alone.tolist() == rows.tolist()
        assert same.tolist() == similarities.tolist()


def test_nothing_to_search() -> None:
    assert list(nearest(drawn(0), drawn(5), 3)) == []
    [(rows, similarities)] = nearest(drawn(1), drawn(5), 3, places=np.full(5, -1))
    assert rows.tolist() == similarities.tolist() == []


@pytest.mark.parametrize("similarity", SIMILARITIES)
def test_damaged_vectors_are_noticed(similarity: Similarity) -> None:
    vectors = drawn(50)
    vectors[31, 2] = np.nan
    with pytest.raises(XlrankError, match="no finite number"):
        list(nearest(drawn(2, seed=1), vectors, 3, similarity=similarity, largest=10.0))
