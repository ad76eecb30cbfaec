"""A relevance model: words of a run's best documents beside the query's own."""

import pytest

from xlrank.collections import Document
from xlrank.errors import XlrankError
from xlrank.retrieval import relevance_model
from xlrank.retrieval.engine import Query
from xlrank.retrieval.relevance_model import RelevanceModel
from xlrank.runs import Run

DOCUMENTS = [
    Document("1", "the bridge of the river"),
    Document("2", "the school in winter", "School"),
    Document("3", "the apple market, the train; apple"),
    *(Document(f"more {i}".replace(" ", ""), "the rest") for i in range(17)),
]
RUN = Run.of("dense", {"1": {"3": 0.9, "1": 0.8}})


def weights(query: Query) -> dict[str, float]:
    assert not isinstance(query, str)
    return dict(query)


def test_words_of_the_best_documents() -> None:
    queries = {"1": {"bridge": 3.0, "apple": 1.0}, "2": {"school": 1.0}}
    found = RelevanceModel(documents=1, weight=0.4).expanded(queries, RUN, DOCUMENTS)
    assert weights(found["1"]) == {
        "bridge": pytest.approx(0.6 * 3 / 4),
        "apple": pytest.approx(0.6 / 4 + 0.4 * 2 / 4),
        "market": pytest.approx(0.4 / 4),
        "train": pytest.approx(0.4 / 4),
    }, "the is in every document"
    assert found["2"] == queries["2"], "a topic that the run lacks stays as it is"


def test_a_text_is_a_query_of_its_words() -> None:
    found = RelevanceModel(documents=1, weight=0.5).expanded({"1": "Winter, winter train", "2": "School"}, RUN, DOCUMENTS)
    assert weights(found["1"]) == {
        "winter": pytest.approx(1 / 3),
        "train": pytest.approx(1 / 6 + 1 / 8),
        "apple": pytest.approx(1 / 4),
        "market": pytest.approx(1 / 8),
    }
    assert found["2"] == "School"


def test_documents_count_by_their_rank_and_few_words_are_kept() -> None:
    found = RelevanceModel(documents=2, weight=1.0).expanded({"1": "x"}, RUN, DOCUMENTS)["1"]
    assert isinstance(found, dict)
    assert set(found) == {"apple", "market", "train", "bridge", "of", "river"}
    assert found["apple"] / found["bridge"] == pytest.approx((2 / 6) / (1 / 5 / 1.5849625))
    assert set(RelevanceModel(documents=2, words=1, weight=1.0).expanded({"1": "x"}, RUN, DOCUMENTS)["1"]) == {"apple"}


def test_what_is_common_shows_in_a_sample(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(relevance_model, "SAMPLE", 12)
    assert "the" not in RelevanceModel(documents=1).expanded({"1": "x"}, RUN, DOCUMENTS)["1"]


def test_a_run_of_other_documents() -> None:
    with pytest.raises(XlrankError, match="document 'd9' is not in the collection; the run was made for another one"):
        RelevanceModel().expanded({"1": "x"}, Run.of("other", {"1": {"d9": 1.0}}), DOCUMENTS)


@pytest.mark.parametrize("settings", [{"documents": 0}, {"words": 0}, {"weight": 0.0}, {"weight": 1.5}])
def test_impossible_settings(settings: dict[str, float]) -> None:
    with pytest.raises(XlrankError, match="expected at least one document and word, and a weight above 0"):
        RelevanceModel(**settings)  # type: ignore[arg-type]
