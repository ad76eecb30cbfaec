"""The embedded collection keeps its promises."""

import unicodedata
from pathlib import Path
from typing import Literal

import pytest

from xlrank.collections import Collection
from xlrank.files import data_folder

QUERY_LANGUAGES = ["de", "en", "fa", "fi", "it", "ky", "ru", "so", "sw", "tr", "ug", "zh"]
DOCUMENTS = {"en": 300, "de": 100, "it": 100, "fi": 100, "ru": 100}


@pytest.fixture(scope="module")
def mini() -> Collection:
    return Collection("mini")


def test_forty_topics_in_twelve_languages(mini: Collection) -> None:
    assert mini.query_languages == QUERY_LANGUAGES
    ids = {language: [topic.id for topic in mini.topics(language)] for language in QUERY_LANGUAGES}
    assert all(len(set(found)) == 40 and set(found) == set(ids["en"]) for found in ids.values())
    assert all(topic.title and topic.description for language in QUERY_LANGUAGES for topic in mini.topics(language))


@pytest.mark.parametrize(("language", "count"), DOCUMENTS.items())
def test_documents(mini: Collection, language: str, count: int) -> None:
    documents = mini.documents(language)
    assert len(documents) >= count
    assert len({document.text for document in documents}) == len(documents)
    assert [d.id for d in documents if not 60 <= len(d.text.split()) <= 150] == []


def test_no_other_document_languages_and_no_id_in_two(mini: Collection) -> None:
    assert mini.document_languages == sorted(DOCUMENTS)
    ids = [document.id for language in DOCUMENTS for document in mini.documents(language)]
    assert len(ids) == len(set(ids))


@pytest.mark.parametrize("language", DOCUMENTS)
def test_every_topic_has_relevant_documents_and_near_misses(mini: Collection, language: str) -> None:
    qrels = mini.qrels(language)
    assert set(qrels) == {topic.id for topic in mini.topics("en")}
    for topic, judged in qrels.items():
        grades = list(judged.values())
        assert 2 <= sum(grade > 0 for grade in grades) <= 5, topic
        assert sum(grade == 0 for grade in grades) >= 3, topic


def test_translations_from_every_query_language_to_every_other_document_language(mini: Collection) -> None:
    ids = {topic.id for topic in mini.topics("en")}
    for query in QUERY_LANGUAGES:
        for document in DOCUMENTS:
            topics = mini.translations(query, document)
            if query == document:
                assert topics is None
            else:
                assert topics is not None, (query, document)
                assert {topic.id for topic in topics} == ids, (query, document)


def test_the_licence_is_stated(mini: Collection) -> None:
    assert mini.source.licence == "CC0-1.0"


@pytest.mark.parametrize("form", ["NFD", "NFKD"])
def test_a_decomposed_twin_is_the_same_to_every_stage(form: Literal["NFD", "NFKD"], tmp_path: Path) -> None:
    """All stages are keyed by these; NFD documents once cost psq six points of MAP in Finnish."""
    for name in ("documents.fi.jsonl", "topics.ky.tsv", "topics.tr.tsv", "translations/ky-fi.tsv", "qrels.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        text = (data_folder() / "mini" / name).read_text(encoding="utf-8")
        (tmp_path / name).write_text(unicodedata.normalize(form, text), encoding="utf-8")
    mini, twin = Collection("mini"), Collection(f"folder:{tmp_path}")
    assert twin.documents("fi").digest == mini.documents("fi").digest
    for language in ("ky", "tr"):
        assert twin.topics(language) == mini.topics(language)
    assert twin.translations("ky", "fi") == mini.translations("ky", "fi")
