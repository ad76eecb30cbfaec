"""The topics of HC4: one object a line, with the English original and its translations by people and by machines."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from xlrank.collections.documents import check_id
from xlrank.collections.hc4.objects import json_object
from xlrank.collections.reading import numbered_lines
from xlrank.collections.records import Topic
from xlrank.errors import XlrankError
from xlrank.files import data_folder
from xlrank.languages import language_code
from xlrank.text import clean

ORIGINAL, HUMAN = "original", "human translation"
EXPECTED = 'one topic of HC4 a line: an object with "topic_id", "languages_with_qrels" and "topics"'

MISNUMBERED = {("zh", "test"): {"110": "109", "215": "141"}}
"""Topics that HC4 lists under one number and judges under another, as its own baselines' scores (scores-test.txt) do.

The Chinese text of 110 translates 109's English, not its own, and 141 and 215 are the same topic, so the Chinese topics listed
as 110 and 215 are 109 and 141."""


@dataclass(frozen=True)
class Hc4Topic:
    """A topic in all its versions.

    Attributes:
        id: of the topic.
        judged_in: document languages in which it is judged, as far as its file says (``languages_with_qrels``).
        versions: language to origin (``original``, ``human translation`` or a translation system) to text, in the file's
            order; empty texts, as the training topics have some, are left out.
    """

    id: str
    judged_in: frozenset[str]
    versions: Mapping[str, Mapping[str, Topic]]

    def human(self, language: str) -> Topic | None:
        """The topic in a language as people wrote it."""
        found = self.versions.get(language, {})
        return found.get(ORIGINAL) or found.get(HUMAN)

    def machine(self, language: str, system: str | None = None) -> Topic | None:
        """The topic as a system translated it; by default the last one in the file, as ir_datasets has it."""
        systems = self.systems(language)
        wanted = system or (systems[-1] if systems else None)
        return self.versions[language][wanted] if wanted in systems else None

    def systems(self, language: str) -> list[str]:
        """The systems that translated the topic into a language, in the file's order."""
        return [origin for origin in self.versions.get(language, {}) if origin not in (ORIGINAL, HUMAN)]

    def text(self, language: str, system: str | None = None) -> Topic | None:
        """The topic in a language: by people, else by ``system``, else by the last system."""
        return self.human(language) or self.machine(language, system) or self.machine(language)

    def origin(self, text: Topic) -> str:
        """Where a text of the topic comes from."""
        return next(origin for versions in self.versions.values() for origin, one in versions.items() if one is text)


def read_hc4_topics(path: Path) -> dict[str, Hc4Topic]:
    """The topics of a file by id, in its order.

    Raises:
        XlrankError: the file is missing, damaged or empty, or a line is no topic of HC4.
    """
    topics: dict[str, Hc4Topic] = {}
    seen: set[str] = set()
    for place, line in numbered_lines(path, EXPECTED):
        topic = _topic(line, place)
        check_id(topic.id, seen, f"{place}: topic_id")
        topics[topic.id] = topic
    if not topics:
        raise XlrankError(f"{path}: holds no topics; expected {EXPECTED}")
    return topics


def renumbered(topics: Mapping[str, Hc4Topic], language: str, split: str) -> dict[str, Hc4Topic]:
    """The topics with those of :data:`MISNUMBERED` under the numbers that they are judged under."""
    result = dict(topics)
    for listed, judged in MISNUMBERED.get((language, split), {}).items():
        old, new = topics.get(listed), topics.get(judged)
        if old and new and language in old.judged_in - new.judged_in:
            own, text = dict(new.versions.get(language, {})), old.human(language)
            versions = {**new.versions, language: {HUMAN: replace(text, id=judged), **own} if text else own}
            result[listed] = replace(old, judged_in=old.judged_in - {language})
            result[judged] = replace(new, judged_in=new.judged_in | {language}, versions=versions)
    return result


def judged_ids(language: str, split: str) -> list[str]:
    """The ids of the topics that are judged in a document language, from a table shipped with the package."""
    rows = [line.split("\t") for _, line in numbered_lines(data_folder() / "hc4" / "judged.tsv", "split TAB topic TAB languages")]
    return [topic for row_split, topic, languages in rows if row_split == split and language in languages.split()]


def _topic(line: str, place: str) -> Hc4Topic:
    fields = json_object(line, place, EXPECTED)
    id_, languages, texts = (fields.get(name) for name in ("topic_id", "languages_with_qrels", "topics"))
    if not isinstance(id_, str | int) or not isinstance(languages, list) or not isinstance(texts, list):
        raise XlrankError(f"{place}: expected {EXPECTED}")
    versions: dict[str, dict[str, Topic]] = {}
    for text in texts:
        language, origin, topic = _version(text, str(id_), place)
        if topic.query():
            versions.setdefault(language, {})[origin] = topic
    return Hc4Topic(str(id_), frozenset(_language(code, place) for code in languages), versions)


def _version(text: Any, id_: str, place: str) -> tuple[str, str, Topic]:  # noqa: ANN401 - any JSON value
    names = ("lang", "source", "topic_title", "topic_description")
    if not isinstance(text, dict) or not all(isinstance(text.get(name), str) for name in names):
        raise XlrankError(f"{place}: topic {id_!r}: expected versions of it with texts {', '.join(names)}")
    language, origin, title, description = (text[name] for name in names)
    return _language(language, place), origin, Topic(id_, clean(title), clean(description))


def _language(code: Any, place: str) -> str:  # noqa: ANN401 - any JSON value
    try:
        return language_code(str(code))
    except XlrankError as error:
        raise XlrankError(f"{place}: {error}") from None
