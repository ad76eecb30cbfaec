"""The check finds what was damaged in a consistent collection, and nothing where nothing was."""

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from xlrank.collections import Collection
from xlrank.collections.check import check

Damage = Callable[[Path], object]


def problems(folder: Path) -> list[str]:
    return check(Collection(f"folder:{folder}"))[1]


def replaced(name: str, old: str, new: str) -> Damage:
    def damage(folder: Path) -> None:
        text = (folder / name).read_text()
        assert old in text
        (folder / name).write_text(text.replace(old, new, 1))

    return damage


def described(**info: object) -> Damage:
    return lambda folder: (folder / "collection.json").write_text(json.dumps(info))


def test_mini_is_consistent() -> None:
    facts, found = check(Collection("mini"))
    assert found == []
    assert "documents en: 320" in facts
    assert any(line.startswith("topics: 40 in de, en, fa") for line in facts)


def test_a_consistent_folder(small_collection: Path) -> None:
    facts, found = check(Collection(f"folder:{small_collection}"))
    assert found == []
    assert facts == [
        "documents de: 3",
        "documents en: 6",
        "topics: 3 in ky, tr",
        "judgements de: 4, relevant 3",
        "judgements en: 7, relevant 4",
    ]


@pytest.mark.parametrize(
    ("damage", "problem"),
    [
        (replaced("topics.tr.tsv", "10\telma", "11\telma"), "topics tr: 3 ids, other languages have 3; they must be the same"),
        (
            replaced("topics.ky.tsv", "көпүрө\tдарыя жана көпүрө", "bridge\tthe river"),
            "topic 1 (ky): only 0% of its letters are Cyrillic",
        ),
        (replaced("documents.en.jsonl", "a school in winter", "мектеп"), "document d2 (en): only 0% of its letters are Latin"),
        (replaced("qrels.txt", "1 0 d1 2", "1 0 d0 2"), "judges document 'd0', which no documents file holds"),
        (replaced("qrels.txt", "10 0 d4 1", "99 0 d4 1"), "topic '99' is judged but in no topics file"),
        (replaced("qrels.txt", "2 0 d3 1\n2 0 d5 0\n2 0 g3 1\n", ""), "topic '2' has no judgements"),
        (replaced("qrels.txt", "1 0 d1 2", "1 0 d1"), "qrels.txt, line 1: 3 columns"),
        (replaced("documents.de.jsonl", '"g2"', '"g1"'), "documents.de.jsonl, line 2: doc_id 'g1' stands twice"),
        (lambda folder: (folder / "topics.ky.tsv").unlink() or (folder / "topics.tr.tsv").unlink(), "no topics.LANG.tsv"),
        (described(counts={"documents.en": 7}), "documents.en: 6 found, collection.json declares 7"),
        (described(counts={"topics.ky": 2}), "topics.ky: 3 found, collection.json declares 2"),
        (described(counts={"relevant.de": 4}), "relevant.de: 3 found, collection.json declares 4"),
        (described(rules={"relevant": [2, 5]}), "topic 10: 1 relevant documents in en, expected 2 to 5"),
        (described(rules={"near_misses": 1}), "topic 2: 0 near misses in de, expected at least 1"),
        (described(rules={"grades": [0, 1]}), "topic 1: grades [0, 1, 2] in en, expected [0, 1]"),
        (described(rules={"words": [5, 9]}), "document d6 (en): 4 words, expected 5 to 9"),
    ],
)
def test_damage_is_reported(small_collection: Path, damage: Damage, problem: str) -> None:
    damage(small_collection)
    assert any(problem in line for line in problems(small_collection))


def test_only_the_languages_asked_for_are_checked(small_collection: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Those that the id ends with; what is wrong with others is none of its business."""
    (small_collection / "topics.tr.tsv").write_text("spoilt\n")
    path = small_collection / "documents.de.jsonl"
    path.write_text(re.sub('"text": "[^"]*"', '"text": "мектеп"', path.read_text()))
    assert len(problems(small_collection)) == 3
    monkeypatch.setattr(Collection, "pair", ("ky", "en"))
    facts, found = check(Collection(f"folder:{small_collection}"))
    assert found == []
    assert facts == ["documents en: 6", "topics: 3 in ky", "judgements en: 7, relevant 4"]


def test_translations_are_checked_too(small_collection: Path) -> None:
    (small_collection / "translations").mkdir()
    (small_collection / "translations" / "ky-en.tsv").write_text("1\tbridge\n2\tшайлоо\n", encoding="utf-8")
    found = problems(small_collection)
    assert "translation ky-en of topic 2 (en): only 0% of its letters are Latin" in found
    assert any(line.startswith("topics ky-en: 2 ids, other languages have 3") for line in found)
