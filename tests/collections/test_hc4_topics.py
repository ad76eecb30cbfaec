"""The query languages added to HC4 against HC4's own topics, and the known figures against its topics and judgements.

``XLRANK_SHARED`` names a folder that holds ``data/hc4``: HC4's topics and judgements, without documents.
"""

import os
import re
from pathlib import Path

import pytest

from xlrank.collections import Collection, Topic
from xlrank.collections.hc4.source import FIGURES, Hc4Source
from xlrank.collections.hc4.topics import Hc4Topic, judged_ids, read_hc4_topics
from xlrank.collections.reading import read_qrels, read_topics
from xlrank.errors import XlrankError
from xlrank.files import data_folder
from xlrank.languages import LANGUAGES
from xlrank.scripts import script_share

ADDED = [(split, language) for split in ("dev", "test") for language in ("ky", "tr", "ug")]
REAL = Path(os.environ.get("XLRANK_SHARED", "")) / "data" / "hc4"
needs_hc4 = pytest.mark.skipif(
    "XLRANK_SHARED" not in os.environ or not REAL.is_dir(), reason="XLRANK_SHARED is not set or holds no data/hc4"
)
LATIN_NAMES = 0.25
"""Share of a topic's letters that may be Latin where its language is written otherwise: abbreviations such as DACA."""


@pytest.fixture
def hc4(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.setenv("HC4_HOME", str(REAL))
    monkeypatch.setenv("IR_DATASETS_HOME", str(tmp_path))
    return REAL


def added(split: str, language: str) -> list[Topic]:
    return read_topics(data_folder() / "hc4" / f"{split}.topics.{language}.tsv")


def originals(split: str) -> dict[str, Hc4Topic]:
    return read_hc4_topics(REAL / f"{split}.topics.v1-0.jsonl")


@pytest.mark.parametrize(("split", "language"), ADDED)
def test_added_topics_are_whole_and_in_their_script(split: str, language: str) -> None:
    topics = added(split, language)
    table = (data_folder() / "hc4" / "judged.tsv").read_text(encoding="utf-8").splitlines()
    assert [topic.id for topic in topics] == [line.split("\t")[1] for line in table if line.startswith(f"{split}\t")]
    for topic in topics:
        assert topic.title, topic.id
        assert topic.description, topic.id
        assert topic.description != topic.title, topic.id
        assert (script_share([topic.query()], LANGUAGES[language].script) or 0) > 1 - LATIN_NAMES, topic.id


@pytest.mark.parametrize("language", ["ky", "tr", "ug"])
def test_added_topics_hold_the_letters_that_only_their_language_has(language: str) -> None:
    letters = {"ky": "ңөү", "tr": "ığşİ", "ug": "ېۆۈۇ"}[language]
    for split in ("dev", "test"):
        text = " ".join(topic.query() for topic in added(split, language))
        assert all(letter in text for letter in letters)


@needs_hc4
@pytest.mark.parametrize(("split", "language"), ADDED)
def test_added_topics_are_translations_of_the_originals(split: str, language: str) -> None:
    topics, english = added(split, language), originals(split)
    assert [topic.id for topic in topics] == list(english)
    for topic in topics:
        original = english[topic.id].human("en")
        assert original is not None
        assert topic.title.casefold() != original.title.casefold(), topic.id
        assert topic.description.casefold() != original.description.casefold(), topic.id
        words = len(original.query().split())
        assert words / 3 < len(topic.query().split()) < 2 * words + 3, f"{topic.id}: much shorter or longer than the original"
        years = set(re.findall(r"\b(?:19|20)\d\d\b", original.query()))
        assert years <= set(re.findall(r"(?:19|20)\d\d", topic.query())), f"{topic.id}: a year is missing"


@needs_hc4
@pytest.mark.parametrize(("language", "split"), list(FIGURES))
def test_the_figures_are_those_of_the_files(hc4: Path, language: str, split: str) -> None:
    source = Hc4Source(f"hc4/{language}/{split}")
    assert source.files.qrels is not None
    qrels = read_qrels(source.files.qrels)
    grades = [grade for judged in qrels.values() for grade in judged.values()]
    topics, judged, relevant = FIGURES[language, split]
    assert (len(qrels), len(grades), sum(grade > 0 for grade in grades)) == (topics, judged, relevant)
    assert set(grades) <= {0, 1, 3}
    assert set(judged_ids(language, split)) == set(qrels)
    for query_language in source.query_languages:
        found = source.read_topics(query_language)
        assert {topic.id for topic in found} == set(qrels), query_language
        assert len(found) == source.expected_counts()[f"topics.{query_language}"]
    translated = source.read_translations("en", language)
    assert translated is not None
    assert [topic.id for topic in translated] == [topic.id for topic in source.read_topics("en")]


@needs_hc4
def test_monolingual_topics_are_human_translations(hc4: Path) -> None:
    for language in ("fa", "ru", "zh"):
        for split in ("dev", "test"):
            facts = [finding.text for finding in Hc4Source(f"hc4/{language}/{split}").check([language]) if not finding.is_problem]
            assert f"topics {language}: {FIGURES[language, split][0]} human translation" in facts
    facts = [finding.text for finding in Hc4Source("hc4/zh/test").check(["zh"])]
    assert "topic 109: listed as 110 in HC4's topics, but judged as 109" in facts
    assert not [fact for fact in facts if "problem" in fact]


@needs_hc4
def test_the_chinese_topics_that_are_judged_under_other_numbers(hc4: Path) -> None:
    topics = {topic.id: topic for topic in Collection("hc4/zh/test").topics("zh")}
    english = {topic.id: topic for topic in Collection("hc4/zh/test").topics("en")}
    assert english["109"].title == "Trump Controversial comments after Helsinki Summit"
    assert topics["109"].title.startswith("赫尔辛基峰会后特朗普")
    assert english["141"].title == "Terror incidents at UK airports"
    assert topics["141"].title == "英国机场的恐怖事件"
    assert not {"110", "215"} & set(topics)


@needs_hc4
def test_training_topics_have_several_systems(hc4: Path) -> None:
    default = Collection("hc4/fa/train").search_topics("en", "fa")
    assert default == Collection("hc4/fa/train?translation=20220114-scale21-sockeye2-tm1").search_topics("en", "fa")
    with pytest.raises(XlrankError, match="topic '1026' and 1 more: no translation into 'fa' by '20210711-scale18-sockeye2-tl1'"):
        Collection("hc4/fa/train?translation=20210711-scale18-sockeye2-tl1").search_topics("en", "fa")
    monolingual = {topic.id: topic for topic in Collection("hc4/fa/train").topics("fa")}
    assert monolingual["1027"] == {topic.id: topic for topic in default}["1027"], "its human translation is empty"
