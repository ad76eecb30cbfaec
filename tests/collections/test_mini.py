"""The embedded collection keeps its promises."""

import pytest

from xlrank.collections import Collection

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
