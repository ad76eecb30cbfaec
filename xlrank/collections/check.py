"""Consistency checks of a collection: ids, counts, languages, scripts, judgements."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from xlrank.collections.collection import Collection
from xlrank.collections.folder import FolderSource
from xlrank.collections.reading import Qrels
from xlrank.collections.records import Document
from xlrank.collections.source import Finding
from xlrank.errors import XlrankError
from xlrank.languages import LANGUAGES
from xlrank.scripts import script_share

MIN_SHARE = 0.1
"""Share of a text's letters that must be of its language's script, unless the collection's rules ask for more.

News quotes names, brands and lines of songs in other scripts, so a document may hold few of its own letters; a text in quite
another script is in the wrong file."""

MOST = 5
"""Problems of one kind that are listed one by one; the others are counted."""


def check(collection: Collection) -> tuple[list[str], list[str]]:
    """Check everything that can be checked without judging relevance, in the languages that the id ends with, else in all.

    Returns:
        Facts (counts, one line each) and problems (one line each; empty when the collection is consistent).
    """
    facts: list[str] = []
    problems: list[str] = []
    for step in (_own, _documents, _topics, _qrels):
        try:
            for finding in step(collection):
                (problems if finding.is_problem else facts).append(finding.text)
        except XlrankError as error:
            problems.append(str(error))
    return facts, list(dict.fromkeys(problems))


def _own(collection: Collection) -> Iterator[Finding]:
    yield from (_problem(file) for file in collection.source.unread)
    yield from collection.source.check(_document_languages(collection))


def _documents(collection: Collection) -> Iterator[Finding]:
    for language in _document_languages(collection):
        try:
            documents = collection.documents(language)
        except XlrankError as error:
            yield _problem(str(error))
            continue
        empty = documents.facts["empty"]
        yield Finding(f"documents {language}: {len(documents)}" + (f", of which {empty} are empty" if empty else ""))
        yield from _scripts(collection, language, ((f"document {d.id}", d.full_text) for d in documents))
        yield from _expected(collection, f"documents.{language}", len(documents))
        yield from _lengths(collection, language, documents)


def _topics(collection: Collection) -> Iterator[Finding]:
    ids: dict[str, list[str]] = {}
    for language in _query_languages(collection):
        try:
            topics = collection.topics(language)
        except XlrankError as error:
            yield _problem(str(error))
            continue
        ids[language] = [topic.id for topic in topics]
        yield from _scripts(collection, language, ((f"topic {t.id}", t.query()) for t in topics))
        yield from _expected(collection, f"topics.{language}", len(topics))
        for target in _document_languages(collection):
            translated = collection.translations(language, target)
            if translated is not None:
                ids[f"{language}-{target}"] = [topic.id for topic in translated]
                named = ((f"translation {language}-{target} of topic {t.id}", t.query()) for t in translated)
                yield from _scripts(collection, target, named)
    if not ids:
        return
    if not collection.source.same_topics:
        yield from (Finding(f"topics {name}: {len(have)}") for name, have in ids.items())
        return
    reference = max(ids.values(), key=len)
    yield Finding(f"topics: {len(reference)} in {', '.join(name for name in ids if '-' not in name)}")
    for name, have in ids.items():
        if set(have) != set(reference):
            yield _problem(f"topics {name}: {len(have)} ids, other languages have {len(reference)}; they must be the same")


def _qrels(collection: Collection) -> Iterator[Finding]:
    topics = _topic_ids(collection)
    judged_anywhere: set[str] = set()
    for language in _document_languages(collection):
        try:
            judged = collection.qrels(language)
        except XlrankError as error:
            yield _problem(str(error))
            continue
        judged_anywhere |= set(judged)
        relevant = sum(grade > 0 for grades in judged.values() for grade in grades.values())
        count = sum(map(len, judged.values()))
        yield Finding(f"judgements {language}: {count}, relevant {relevant}")
        yield from _expected(collection, f"relevant.{language}", relevant)
        yield from _expected(collection, f"judged.{language}", count)
        ids = {document for grades in judged.values() for document in grades}
        absent = sorted(ids - set(collection.documents(language).fetch(ids)))
        yield from _few([f"judgements {language}: document {id_!r} is judged, but there is no such document" for id_ in absent])
        yield from _judgement_rules(collection, language, judged, topics)
    unknown = sorted(judged_anywhere - topics) if topics else []  # that there are none is said where topics are checked
    yield from _few([f"judgements: topic {topic!r} is judged but in no topics file" for topic in unknown])
    if judged_anywhere and collection.source.same_topics and not collection.pair:
        yield from _few([f"topic {topic!r} has no judgements" for topic in sorted(topics - judged_anywhere)])


def _query_languages(collection: Collection) -> Sequence[str]:
    return collection.pair[:1] or collection.query_languages


def _document_languages(collection: Collection) -> Sequence[str]:
    return collection.pair[1:] or collection.document_languages


def _topic_ids(collection: Collection) -> set[str]:
    found: set[str] = set()
    for language in _query_languages(collection):
        try:
            found |= {topic.id for topic in collection.topics(language)}
        except XlrankError:
            continue  # said where topics are checked
    return found


def _judgement_rules(collection: Collection, language: str, judged: Qrels, topics: set[str]) -> Iterator[Finding]:
    rules = _rules(collection)
    if not rules:
        return
    low, high = rules.get("relevant", (0, 10**9))
    for topic in sorted(topics):
        grades = list(judged.get(topic, {}).values())
        relevant, near = sum(grade > 0 for grade in grades), sum(grade == 0 for grade in grades)
        if not low <= relevant <= high:
            yield _problem(f"topic {topic}: {relevant} relevant documents in {language}, expected {low} to {high}")
        if near < rules.get("near_misses", 0):
            yield _problem(f"topic {topic}: {near} near misses in {language}, expected at least {rules['near_misses']}")
        if "grades" in rules and not set(grades) <= set(rules["grades"]):
            yield _problem(f"topic {topic}: grades {sorted(set(grades))} in {language}, expected {rules['grades']}")


def _scripts(collection: Collection, language: str, texts: Iterable[tuple[str, str]]) -> Iterator[Finding]:
    script = LANGUAGES[language].script
    least = _rules(collection).get("script_share", MIN_SHARE)
    shares = ((name, _share(text, script)) for name, text in texts)
    foreign = [f"{name} ({language}): only {share:.0%} of its letters are {script}" for name, share in shares if share < least]
    if isinstance(collection.source, FolderSource):
        yield from _few(foreign)
    elif foreign:  # published as they are: machine translations, for one, leave words untranslated
        yield Finding(f"{foreign[0]}" + (f" … and {len(foreign) - 1} more like this" if len(foreign) > 1 else ""))


def _share(text: str, script: str) -> float:
    """Share of a script among the letters; a text without letters is in no other script."""
    share = script_share([text], script)
    return 1.0 if share is None else share


def _expected(collection: Collection, key: str, found: int) -> Iterator[Finding]:
    expected = collection.source.expected_counts().get(key)
    if expected is not None and expected != found:
        known = "collection.json declares" if isinstance(collection.source, FolderSource) else "expected"
        yield _problem(f"{key}: {found} found, {known} {expected}")


def _lengths(collection: Collection, language: str, documents: Iterable[Document]) -> Iterator[Finding]:
    if "words" not in _rules(collection):
        return
    low, high = _rules(collection)["words"]
    for document in documents:
        words = len(document.text.split())
        if not low <= words <= high:
            yield _problem(f"document {document.id} ({language}): {words} words, expected {low} to {high}")


def _rules(collection: Collection) -> dict[str, Any]:
    """What an own collection asks of itself."""
    rules: dict[str, Any] = collection.source.info.get("rules", {}) if isinstance(collection.source, FolderSource) else {}
    return rules


def _problem(text: str) -> Finding:
    return Finding(text, is_problem=True)


def _few(problems: list[str]) -> Iterator[Finding]:
    """The first problems of a kind, and how many others there are."""
    yield from map(_problem, problems[:MOST])
    if len(problems) > MOST:
        yield _problem(f"{problems[MOST - 1]} … and {len(problems) - MOST} more like this")
