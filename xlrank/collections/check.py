"""Consistency checks of a collection: ids, counts, languages, scripts, judgements."""

import unicodedata
from collections.abc import Iterable, Iterator

from xlrank.collections.collection import Collection
from xlrank.collections.reading import Qrels, read_qrels
from xlrank.collections.records import Document
from xlrank.errors import XlrankError
from xlrank.languages import LANGUAGES

SCRIPT_NAMES = {"Latin": "LATIN", "Cyrillic": "CYRILLIC", "Arabic": "ARABIC", "Han": "CJK"}
MIN_SHARE = 0.1
"""Share of a text's letters that must be of its language's script, unless the collection's rules ask for more.

News quotes names, brands and lines of songs in other scripts, so a document may hold few of its own letters; a text in quite
another script is in the wrong file."""


def check(collection: Collection) -> tuple[list[str], list[str]]:
    """Check everything that can be checked without judging relevance.

    Returns:
        Facts (counts, one line each) and problems (one line each; empty when the collection is consistent).
    """
    facts: list[str] = []
    problems: list[str] = []
    for step in (_check_documents, _check_topics, _check_qrels):
        try:
            for line, is_problem in step(collection):
                (problems if is_problem else facts).append(line)
        except XlrankError as error:
            problems.append(str(error))
    return facts, problems


Finding = tuple[str, bool]


def script_share(text: str, script: str) -> float:
    """Share of the letters of ``text`` that belong to ``script``; 1.0 for a text without letters."""
    letters = [character for character in text if character.isalpha()]
    wanted = SCRIPT_NAMES[script]
    return sum(unicodedata.name(letter, "").startswith(wanted) for letter in letters) / len(letters) if letters else 1.0


def _check_documents(collection: Collection) -> Iterator[Finding]:
    if not collection.document_languages:
        yield f"{collection.folder}: no documents.LANG.jsonl", True
    for language in collection.document_languages:
        documents = collection.documents(language)
        yield f"documents {language}: {len(documents)}", False
        yield from _scripts(collection, language, ((f"document {d.id}", d.full_text) for d in documents))
        yield from _declared(collection, f"documents.{language}", len(documents))
        yield from _lengths(collection, language, documents)


def _check_topics(collection: Collection) -> Iterator[Finding]:
    ids: dict[str, list[str]] = {}
    for language in collection.query_languages:
        topics = collection.topics(language)
        ids[language] = [topic.id for topic in topics]
        yield from _scripts(collection, language, ((f"topic {t.id}", t.query()) for t in topics))
        yield from _declared(collection, f"topics.{language}", len(topics))
        for target in collection.document_languages:
            translated = collection.translations(language, target)
            if translated is not None:
                ids[f"{language}-{target}"] = [topic.id for topic in translated]
                yield from _scripts(
                    collection, target, ((f"translation {language}-{target} of topic {t.id}", t.query()) for t in translated)
                )
    if not ids:
        yield f"{collection.folder}: no topics.LANG.tsv", True
        return
    reference = max(ids.values(), key=len)
    yield f"topics: {len(reference)} in {', '.join(collection.query_languages)}", False
    for name, have in ids.items():
        if set(have) != set(reference):
            yield f"topics {name}: {len(have)} ids, other languages have {len(reference)}; they must be the same", True


def _check_qrels(collection: Collection) -> Iterator[Finding]:
    qrels = read_qrels(collection.qrels_path)
    topics = {topic.id for language in collection.query_languages for topic in collection.topics(language)}
    for topic in sorted(set(qrels) - topics):
        yield f"{collection.qrels_path}: topic {topic!r} is judged but in no topics file", True
    for topic in sorted(topics - set(qrels)):
        yield f"{collection.qrels_path}: topic {topic!r} has no judgements", True
    for language in collection.document_languages:
        judged = collection.qrels(language)
        relevant = sum(grade > 0 for grades in judged.values() for grade in grades.values())
        yield f"judgements {language}: {sum(map(len, judged.values()))}, relevant {relevant}", False
        yield from _declared(collection, f"relevant.{language}", relevant)
        yield from _judgement_rules(collection, language, judged, topics)


def _judgement_rules(collection: Collection, language: str, judged: Qrels, topics: set[str]) -> Iterator[Finding]:
    rules = collection.info.get("rules", {})
    low, high = rules.get("relevant", (0, 10**9))
    for topic in sorted(topics):
        grades = list(judged.get(topic, {}).values())
        relevant, near = sum(grade > 0 for grade in grades), sum(grade == 0 for grade in grades)
        if not low <= relevant <= high:
            yield f"topic {topic}: {relevant} relevant documents in {language}, expected {low} to {high}", True
        if near < rules.get("near_misses", 0):
            yield f"topic {topic}: {near} near misses in {language}, expected at least {rules['near_misses']}", True
        if "grades" in rules and not set(grades) <= set(rules["grades"]):
            yield f"topic {topic}: grades {sorted(set(grades))} in {language}, expected {rules['grades']}", True


def _scripts(collection: Collection, language: str, texts: Iterable[tuple[str, str]]) -> Iterator[Finding]:
    script = LANGUAGES[language].script
    least = collection.info.get("rules", {}).get("script_share", MIN_SHARE)
    for name, text in texts:
        share = script_share(text, script)
        if share < least:
            yield f"{name} ({language}): only {share:.0%} of its letters are {script}", True


def _declared(collection: Collection, key: str, found: int) -> Iterator[Finding]:
    declared = collection.info.get("counts", {}).get(key)
    if declared is not None and declared != found:
        yield f"{key}: {found} found, collection.json declares {declared}", True


def _lengths(collection: Collection, language: str, documents: list[Document]) -> Iterator[Finding]:
    if "words" not in collection.info.get("rules", {}):
        return
    low, high = collection.info["rules"]["words"]
    for document in documents:
        words = len(document.text.split())
        if not low <= words <= high:
            yield f"document {document.id} ({language}): {words} words, expected {low} to {high}", True
