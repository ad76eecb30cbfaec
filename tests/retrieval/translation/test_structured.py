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
from xlrank.retrieval.translation import vocabulary
from xlrank.retrieval.translation.contexts import words_in_context
from xlrank.retrieval.translation.structured import Psq
from xlrank.retrieval.translation.table import read_table, write_table
from xlrank.retrieval.translation.vocabulary import Vocabulary

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
    words = {word for document in DOCUMENTS for word in document.full_text.lower().replace(",", "").replace(".", "").split()}
    for query in queries.values():
        assert set(query) <= words
        assert all(0 < weight < 10 for weight in query.values())


def test_probabilities_follow_similarity_and_crowding() -> None:
    known = Vocabulary(["near", "far", "crowded"], np.eye(3, dtype=np.float32), np.array([0, 0, 0.8], np.float32))
    row = np.array([0.5, 0.3, 0.6], np.float32)
    (found,) = Psq(mass=1.0).table([row], known)
    assert sum(found.values()) == pytest.approx(1)
    assert found["near"] > found["crowded"] > found["far"], "what is near to everything counts less"
    (plain,) = Psq(mass=1.0, crowded=0.0).table([row], known)
    assert plain["crowded"] > plain["near"]
    (cut,) = Psq(mass=0.5).table([row], known)
    assert cut == {"near": 1.0}


def test_the_vocabulary_is_read_once(tiny_base: Base, monkeypatch: pytest.MonkeyPatch) -> None:
    first = Psq().queries(TOPICS, DOCUMENTS, tiny_base)
    monkeypatch.setattr(vocabulary, "_means", lambda _: pytest.fail("read a second time"))
    assert Psq().queries(TOPICS, DOCUMENTS, tiny_base) == first


def test_documents_without_words(tiny_base: Base) -> None:
    with pytest.raises(XlrankError, match="hold no words"):
        Psq().queries(TOPICS, [Document("1", "!?")], tiny_base)


def test_names_are_found_by_their_spelling(tiny_base: Base) -> None:
    documents = [*DOCUMENTS, Document("4", "the doctor Ronaldo"), Document("5", "a winter in Talas")]
    topics = [Topic("1", "роналду мектеп"), Topic("2", "таласта кыш")]
    found = Psq(spelling=3.0, mass=0.5).dictionary(topics, documents, tiny_base)
    assert next(iter(found["роналду"])) == "ronaldo"
    assert next(iter(found["таласта"])) == "talas"
    without = Psq(spelling=0.0, mass=0.5).dictionary(topics, documents, tiny_base)
    assert without != found


def test_a_parallel_corpus_is_believed_as_far_as_it_goes(tiny_base: Base, tmp_path: Path) -> None:
    parallel = tmp_path / "parallel.tsv"
    parallel.write_text("мектеп\tschool\n" * 95 + "шайлоо\tunheard\n", encoding="utf-8")
    psq = Psq(parallel=parallel)
    found = psq.dictionary(TOPICS, DOCUMENTS, tiny_base)
    assert found["мектеп"]["school"] >= 0.95
    assert "unheard" not in found["шайлоо"], "no document has it"
    assert sum(found["мектеп"].values()) == pytest.approx(1)
    before = psq.identity
    parallel.write_text("мектеп\ttrain\n", encoding="utf-8")
    assert psq.identity != before


def test_a_table_is_a_file_that_can_be_read(tiny_base: Base, tmp_path: Path) -> None:
    found = Psq().dictionary(TOPICS, DOCUMENTS, tiny_base)
    write_table(tmp_path / "table.tsv", found, {"base": tiny_base.name})
    assert (tmp_path / "table.tsv").read_text(encoding="utf-8").startswith("# xlrank: query word TAB document word")
    read = read_table(tmp_path / "table.tsv")
    assert {word: row.keys() for word, row in read.items()} == {word: row.keys() for word, row in found.items()}
    for row in read.values():
        assert sum(row.values()) == pytest.approx(1, abs=1e-4)
    (tmp_path / "table.tsv").write_text("a\tb\t2\n")
    with pytest.raises(XlrankError, match="table.tsv, line 1"):
        read_table(tmp_path / "table.tsv")


def test_impossible_settings() -> None:
    with pytest.raises(XlrankError, match="impossible settings"):
        Psq(temperature=0.0)


def test_kyrgyz_queries_find_english_documents() -> None:
    """Real weights, no translation model; the README's translated queries have .65 on all of mini."""
    collection = Collection("mini")
    search = Search(collection, "ky", "en", Base("xlrank/e5-small"), topics=frozenset(t.id for t in collection.topics("ky")[:12]))
    run = first_stage("bm25s(psq)").run(search)
    qrels = {topic: grades for topic, grades in collection.qrels("en").items() if topic in run.rankings}
    assert len(qrels) == 12
    assert mean(evaluate(run, qrels, ["map"])["map"]) > 0.6
