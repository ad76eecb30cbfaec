"""Structured queries: words in their context, probabilities that add up, a vocabulary that is read once, and what it finds."""

from pathlib import Path

import numpy as np
import pytest

from xlrank.bases import Base
from xlrank.collections import Collection, Document, Topic
from xlrank.errors import XlrankError
from xlrank.evaluation import evaluate
from xlrank.evaluation.metrics import mean
from xlrank.retrieval.first_stage import Search
from xlrank.retrieval.methods import first_stage
from xlrank.retrieval.translation import structured
from xlrank.retrieval.translation.contexts import words_in_context
from xlrank.retrieval.translation.structured import Psq, Vocabulary

DOCUMENTS = [
    Document("1", "the bridge of the river"),
    Document("2", "a school in winter", "School"),
    Document("3", "apple market, the train"),
]
TOPICS = [Topic("1", "көпүрө", "дарыя жана көпүрө"), Topic("2", "шайлоо мектеп"), Topic("3", "", "")]


@pytest.fixture(autouse=True)
def _cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XLRANK_CACHE", str(tmp_path / "cache"))


def test_words_with_the_states_of_their_pieces(tiny_base: Base) -> None:
    words = list(words_in_context(tiny_base, ["query: The Bridge, the xyz!", "query: суу"], len("query: ")))
    assert [(word.form, word.text) for word in words] == [("the", 0), ("bridge", 0), ("the", 0), ("xyz", 0), ("суу", 1)]
    assert all(np.linalg.norm(word.vector) == pytest.approx(1, abs=1e-5) for word in words)
    assert not np.allclose(words[0].vector, words[2].vector), "the same word in another place has another vector"


def test_queries_weigh_words_of_the_documents(tiny_base: Base) -> None:
    queries = Psq().queries(TOPICS, DOCUMENTS, tiny_base)
    assert list(queries) == ["1", "2"], "a topic without text asks nothing"
    vocabulary = {word for document in DOCUMENTS for word in document.full_text.lower().replace(",", "").replace(".", "").split()}
    for query in queries.values():
        assert set(query) <= vocabulary
        assert all(0 < weight < 10 for weight in query.values())


def test_probabilities_follow_similarity_and_crowding() -> None:
    vocabulary = Vocabulary(["near", "far", "crowded"], np.eye(3, dtype=np.float32), np.array([0, 0, 0.8], np.float32))
    row = np.array([0.5, 0.3, 0.6], np.float32)
    (found,) = Psq(mass=1.0).table([row], vocabulary)
    assert sum(found.values()) == pytest.approx(1)
    assert found["near"] > found["crowded"] > found["far"], "what is near to everything counts less"
    (plain,) = Psq(mass=1.0, crowded=0.0).table([row], vocabulary)
    assert plain["crowded"] > plain["near"]
    (cut,) = Psq(mass=0.5).table([row], vocabulary)
    assert cut == {"near": 1.0}


def test_the_vocabulary_is_read_once(tiny_base: Base, monkeypatch: pytest.MonkeyPatch) -> None:
    first = Psq().queries(TOPICS, DOCUMENTS, tiny_base)
    monkeypatch.setattr(structured, "_means", lambda _: pytest.fail("read a second time"))
    assert Psq().queries(TOPICS, DOCUMENTS, tiny_base) == first


def test_documents_without_words(tiny_base: Base) -> None:
    with pytest.raises(XlrankError, match="hold no words"):
        Psq().queries(TOPICS, [Document("1", "!?")], tiny_base)


def test_kyrgyz_queries_find_english_documents() -> None:
    """Measured: MAP .78 on mini, with the embedded encoder and no translation at all."""
    collection = Collection("mini")
    search = Search(collection, "ky", "en", Base("xlrank/e5-small"), topics=frozenset(t.id for t in collection.topics("ky")[:12]))
    run = first_stage("bm25s(psq)").run(search)
    qrels = {topic: grades for topic, grades in collection.qrels("en").items() if topic in run.rankings}
    assert len(qrels) == 12
    assert mean(evaluate(run, qrels, ["map"])["map"]) > 0.6
