"""Scores of late interaction from vectors, against loops over them."""

from collections.abc import Sequence

import numpy as np
import pytest
import torch
from torch.nn.functional import normalize

from xlrank.modules.kinds.head.late import LateSettings, maxsim
from xlrank.ranking import maxsim as room
from xlrank.ranking.maxsim import late_scores
from xlrank.ranking.store import _packed
from xlrank.ranking.vectors import TokenVectors, starts_of

HIDDEN = 6
QUERIES = [3, 1, 5, 2]
DOCUMENTS = [4, 9, 1, 6, 6, 2]


def texts(lengths: Sequence[int], seed: int, dim: int = 8) -> TokenVectors:
    """Random texts of these lengths."""
    generator = torch.Generator().manual_seed(seed)
    vectors = normalize(torch.randn(sum(lengths), dim, generator=generator), dim=-1)
    pooled = normalize(torch.randn(len(lengths), HIDDEN, generator=generator), dim=-1)
    return TokenVectors(vectors, starts_of(np.array(lengths, np.int64)), pooled)


def naive(queries: TokenVectors, documents: TokenVectors, pooled: float = 0.0) -> np.ndarray:
    """Token by token."""
    found = np.empty((len(queries), len(documents)))
    for q in range(len(queries)):
        for d in range(len(documents)):
            best = [max(float(token @ other) for other in documents.of(d)) for token in queries.of(q)]
            found[q, d] = sum(best) / len(best) + pooled * float(queries.pooled[q] @ documents.pooled[d])
    return found


@pytest.mark.parametrize("pooled", [0.0, 0.7])
def test_scores_are_those_of_a_loop(pooled: float) -> None:
    queries, documents = texts(QUERIES, 1), texts(DOCUMENTS, 2)
    found = late_scores(queries, documents, LateSettings(pooled=pooled))
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, naive(queries, documents, pooled), atol=1e-6)
    assert np.ptp(found) > 0.3


@pytest.mark.parametrize("chunk", [1, 2, 5, 10, 11, 12, 27, 28])
def test_where_chunks_end_does_not_matter(chunk: int, monkeypatch: pytest.MonkeyPatch) -> None:
    queries, documents = texts(QUERIES, 1), texts(DOCUMENTS, 2)
    monkeypatch.setattr(room, "CHUNK", chunk)
    np.testing.assert_allclose(late_scores(queries, documents, LateSettings()), naive(queries, documents), atol=1e-6)


@pytest.mark.parametrize("chunk", [3, 4096])
def test_texts_without_content_rank_last(chunk: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "CHUNK", chunk)
    settings = LateSettings(pooled=0.7)
    queries, documents = texts([0, 3, 0, 2], 1), texts([0, 4, 0, 0, 2, 0], 2)
    found = late_scores(queries, documents, settings)
    asked, held = [1, 3], [1, 4]
    expected = naive(queries.chosen(asked), documents.chosen(held), 0.7)
    np.testing.assert_allclose(found[np.ix_(asked, held)], expected, atol=1e-6)
    rest = np.ones_like(found, bool)
    rest[np.ix_(asked, held)] = False
    assert (found[rest] == np.float32(settings.lowest)).all()
    assert found[rest].max() < -1.7 <= expected.min(), "below the worst that two texts can have"


def test_only_texts_without_content() -> None:
    for asked, held in (([0, 0], [2, 1]), ([2], [0, 0, 0]), ([0], [0])):
        found = late_scores(texts(asked, 1), texts(held, 2), LateSettings())
        assert found.shape == (len(asked), len(held))
        assert (found == LateSettings().lowest).all()


@pytest.mark.parametrize(("storage", "error"), [("float16", 1e-3), ("int8", 0.012)])
@pytest.mark.parametrize("chunk", [7, 4096])
def test_stored_vectors_score_nearly_alike(storage: str, error: float, chunk: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "CHUNK", chunk)
    queries, documents = texts(QUERIES, 1), texts([*DOCUMENTS, 0], 2)
    stored = _packed(documents, storage, list("abcdefg"))
    assert stored.vectors.dtype == (torch.float16 if storage == "float16" else torch.int8)
    assert (stored.scales is None) == (storage == "float16")
    settings = LateSettings(pooled=0.5)
    found = late_scores(queries, stored, settings)
    exact = late_scores(queries, documents, settings)
    np.testing.assert_allclose(found, exact, atol=error)
    assert (found != exact).any()


def test_training_scores_as_ranking_does() -> None:
    queries, documents = texts(QUERIES, 1), texts(DOCUMENTS, 2)

    def padded(found: TokenVectors) -> tuple[torch.Tensor, torch.Tensor]:
        vectors = torch.zeros(len(found), int(found.lengths.max()) + 1, 8)
        content = torch.zeros(vectors.shape[:2], dtype=torch.long)
        for row, length in enumerate(found.lengths):
            vectors[row, 1 : length + 1], content[row, 1 : length + 1] = found.of(row), 1
        return vectors, content

    found = maxsim(*padded(queries), *padded(documents))
    np.testing.assert_allclose(found.numpy(), late_scores(queries, documents, LateSettings()), atol=1e-6)


def test_some_texts_in_another_order() -> None:
    documents = texts(DOCUMENTS, 2)
    numbers = [4, 0, 4, 2]
    stored = _packed(documents, "int8", list("abcdef"))
    for whole in (documents, stored):
        some = whole.chosen(numbers)
        assert some.lengths.tolist() == [DOCUMENTS[number] for number in numbers]
        for place, number in enumerate(numbers):
            assert torch.equal(some.of(place), whole.of(number))
            assert torch.equal(some.pooled[place], whole.pooled[number])
        assert len(whole.chosen([])) == 0
    queries = texts(QUERIES, 1)
    found = late_scores(queries, stored.chosen(numbers), LateSettings())
    np.testing.assert_allclose(found, late_scores(queries, stored, LateSettings())[:, numbers], atol=1e-6)


def test_texts_one_after_another() -> None:
    one, other = texts([2, 0], 1), texts([3], 2)
    both = TokenVectors.joined([one, other])
    assert both.lengths.tolist() == [2, 0, 3]
    assert torch.equal(both.of(2), other.of(0)) and torch.equal(both.of(0), one.of(0))
    assert torch.equal(both.pooled, torch.cat([one.pooled, other.pooled]))
