"""What is wrong in files of HC4 is refused with file and line, or found by the check."""

import gzip
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.collections.hc4_files import IDS, checksum, document, topic, write_hc4_home, write_lines
from tests.conftest import RecordedStages
from xlrank.collections import Collection
from xlrank.collections.check import check
from xlrank.collections.hc4 import documents as checksums
from xlrank.errors import XlrankError

Damage = Callable[[Path], object]
CHECKSUMS = "fas/ids.jsonl.gz"
GOOD = json.dumps(document("fa", 9))


def refused(act: Callable[[], object], start: Path | str) -> str:
    """What the message says after ``start``."""
    with pytest.raises(XlrankError) as caught:
        act()
    message = str(caught.value)
    assert "\n" not in message
    assert message.startswith(str(start)), message
    return message.removeprefix(str(start))


def problems(id: str = "hc4/fa/test") -> list[str]:
    """All problems but that the small collection is not as large as HC4."""
    return [line for line in check(Collection(id))[1] if ", expected " not in line]


def rewritten(name: str, old: str, new: str) -> Damage:
    def damage(home: Path) -> None:
        text = (home / name).read_text(encoding="utf-8")
        assert old in text
        (home / name).write_text(text.replace(old, new), encoding="utf-8")

    return damage


def without(name: str, start: str) -> Damage:
    def damage(home: Path) -> None:
        lines = (home / name).read_text(encoding="utf-8").splitlines(keepends=True)
        (home / name).write_text("".join(line for line in lines if not line.startswith(start)), encoding="utf-8")

    return damage


def test_a_whole_collection_has_no_problems(hc4_home: Path) -> None:
    for language in ("fa", "ru", "zh"):
        assert problems(f"hc4/{language}/test") == []
    facts, sizes = check(Collection("hc4/fa/test"))
    assert "documents fa: 5 with the checksums that HC4 publishes" in facts
    assert "documents.fa: 5 found, expected 486486" in sizes


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        (GOOD[:-20], "not JSON (Unterminated string starting at), or cut short; expected one document of HC4 a line"),
        ("[1]", "expected one document of HC4 a line"),
        ('{"id": "x", "title": "t"}', 'an object with "id", "title" and "text"'),
        ('{"id": 7, "title": "t", "text": "x"}', "expected one document of HC4 a line"),
        ('{"id": "x", "title": ["t"], "text": "x"}', "expected one document of HC4 a line"),
        ('{"id": "x", "title": "t", "text": null}', "expected one document of HC4 a line"),
        ("[" * 100_000, "not JSON"),
        ('{"id": ' + "9" * 5000 + "}", "not JSON"),
    ],
)
def test_a_malformed_document_is_named(hc4_home: Path, line: str, problem: str) -> None:
    path = hc4_home / "fas" / "hc4_docs.jsonl"
    path.write_text(f"{GOOD}\n\n{line}\n", encoding="utf-8")
    message = refused(lambda: Collection("hc4/fa/test").documents(), path)
    assert message.startswith(", line 3: ")
    assert problem in message


def test_documents_may_lack_a_title_but_not_repeat(hc4_home: Path) -> None:
    path = hc4_home / "fas" / "hc4_docs.jsonl"
    path.write_text('{"id": "x", "title": null, "text": "a"}\n{"id": "y", "text": ""}\n', encoding="utf-8")
    documents = Collection("hc4/fa/test").documents()
    assert [(d.id, d.text, d.title) for d in documents] == [("x", "a", ""), ("y", "", "")]
    path.write_text(f"{GOOD}\n{GOOD}\n", encoding="utf-8")
    refused(lambda: Collection("hc4/fa/test").documents(), f"document id {document('fa', 9)['id']!r} stands twice")
    path.write_text("\n", encoding="utf-8")
    assert "holds no documents" in refused(lambda: Collection("hc4/fa/test").documents(), path)


def test_a_packed_file_that_is_cut_short(hc4_home: Path, tmp_path: Path) -> None:
    path = hc4_home / "fas" / "hc4_docs.jsonl"
    whole = gzip.compress("".join(json.dumps(document("fa", i)) + "\n" for i in range(2000)).encode())
    path.with_suffix(".jsonl.gz").write_bytes(whole[: len(whole) // 2])
    path.unlink()
    message = refused(lambda: Collection("hc4/fa/test").documents(), path.with_suffix(".jsonl.gz"))
    assert message.startswith(", after line ")
    assert "cut short" in message
    assert not list((tmp_path / "cache" / "documents").iterdir()), "half of the documents were kept"


def changed(**fields: Any) -> str:  # noqa: ANN401 - any JSON value
    return json.dumps(topic("test", 0) | fields)


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("{", "not JSON"),
        ("7", "expected one topic of HC4 a line"),
        (changed(topic_id=None), 'an object with "topic_id", "languages_with_qrels" and "topics"'),
        (changed(languages_with_qrels="fas"), "expected one topic of HC4 a line"),
        (changed(topics={}), "expected one topic of HC4 a line"),
        (changed(topics=["x"]), "topic '101': expected versions of it with texts lang, source, topic_title, topic_description"),
        (changed(topics=[{"lang": "eng", "source": "original", "topic_title": "x"}]), "expected versions of it"),
        (changed(languages_with_qrels=["x1"]), "unknown language 'x1'"),
        (changed(topic_id="1 2"), "topic_id '1 2' is empty or holds white space"),
        (changed(topic_id="103"), "topic_id '103' stands twice"),
    ],
)
def test_a_malformed_topic_is_named(hc4_home: Path, line: str, problem: str) -> None:
    path = hc4_home / "test.topics.v1-0.jsonl"
    path.write_text(f"{json.dumps(topic('test', 2))}\n{line}\n", encoding="utf-8")
    message = refused(lambda: Collection("hc4/fa/test").topics("en"), path)
    assert message.startswith(", line 2: ")
    assert problem in message


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("101 0 x", "3 columns; expected 4"),
        ("101 0 x high", "the grade 'high' is not a whole number"),
        ("101 0 y 1", "judged twice"),
    ],
)
def test_a_malformed_judgement_is_named(hc4_home: Path, line: str, problem: str) -> None:
    path = hc4_home / "fas.test.qrels.v1-0.txt"
    path.write_text(f"101 0 y 0\n{line}\n", encoding="utf-8")
    message = refused(lambda: Collection("hc4/fa/test").qrels(), path)
    assert message.startswith(", line 2: ")
    assert problem in message


def test_another_splits_files_are_refused(hc4_home: Path) -> None:
    write_hc4_home(hc4_home, "dev")
    (hc4_home / "fas.dev.qrels.v1-0.txt").replace(hc4_home / "fas.test.qrels.v1-0.txt")
    message = refused(lambda: Collection("hc4/fa/test").qrels(), hc4_home / "fas.test.qrels.v1-0.txt")
    assert (
        message == ": judges topics 1, 3, 4, … and none of hc4/fa/test, which are 101, 102, 103, …; is it another split's file?"
    )
    (hc4_home / "test.topics.v1-0.jsonl").replace(hc4_home / "dev.topics.v1-0.jsonl")
    message = refused(lambda: Collection("hc4/fa/dev").topics("ky"), "hc4/fa/dev: topic '101' and 2 more: not in ")
    assert message.endswith("data/hc4/dev.topics.ky.tsv")


def test_another_languages_documents_are_refused(hc4_home: Path) -> None:
    (hc4_home / "rus" / "hc4_docs.jsonl").replace(hc4_home / "fas" / "hc4_docs.jsonl")
    message = refused(lambda: Collection("hc4/fa/test").qrels(), hc4_home / "fas.test.qrels.v1-0.txt")
    assert message == ": none of the 5 judged documents is among the 5 in 'fa'"


def test_topics_without_the_language_are_refused(hc4_home: Path) -> None:
    rewritten("test.topics.v1-0.jsonl", '"fas"', '"rus"')(hc4_home)
    path = hc4_home / "test.topics.v1-0.jsonl"
    assert refused(lambda: Collection("hc4/fa/test").topics("en"), path).startswith(": no topic is judged in 'fa'")
    with pytest.raises(XlrankError, match="hc4/ru/test: topic '101' and 2 more: no version in 'fa'"):
        Collection("hc4/ru/test").topics("fa")


@pytest.mark.parametrize(
    ("damage", "problem"),
    [
        (rewritten("fas.test.qrels.v1-0.txt", "102 0", "999 0"), "judgements: topic '999' is judged but in no topics file"),
        (without("fas.test.qrels.v1-0.txt", "102 "), "topic '102' has no judgements"),
        (
            rewritten("fas.test.qrels.v1-0.txt", document("fa", 4)["id"], "gone"),
            "judgements fa: document 'gone' is judged, but there is no such document",
        ),
        (rewritten("fas.test.qrels.v1-0.txt", " 1\n", " 2\n"), "fas.test.qrels.v1-0.txt: grades [0, 2, 3], expected [0, 1, 3]"),
        (
            rewritten("fas/hc4_docs.jsonl", document("fa", 4)["id"], "other"),
            "documents fa: document 'other' is not one of those published",
        ),
        (
            rewritten("fas/hc4_docs.jsonl", document("fa", 4)["id"], "other"),
            f"documents fa: document '{document('fa', 4)['id']}' is missing",
        ),
        (rewritten("fas/hc4_docs.jsonl", "\\n4", "\\n5"), "has another text than published: MD5 "),
        (
            lambda home: write_lines(home / "fas" / "ids.jsonl.gz", [{"id": "x"}]),
            'line 1: expected one object a line with the "id"',
        ),
        (
            lambda home: write_lines(home / "fas" / "ids.jsonl.gz", [checksum(document("fa", 0))]),
            "documents fa: 5 documents, 1 are",
        ),
        (lambda home: (home / "fas" / "hc4_docs.jsonl").unlink(), "the Persian documents of HC4 are not here"),
    ],
)
def test_damage_is_reported(hc4_home: Path, damage: Damage, problem: str) -> None:
    damage(hc4_home)
    found = check(Collection("hc4/fa/test"))[1]
    assert any(problem in line for line in found), found


def test_without_checksums_that_is_said(hc4_home: Path) -> None:
    (hc4_home / "zho" / "ids.jsonl.gz").unlink()
    facts, _ = check(Collection("hc4/zh/test"))
    assert "documents zh: not compared with HC4's checksums, as zho/ids*.jsonl.gz is absent" in facts


def test_checksums_of_several_files_are_all_read(hc4_home: Path) -> None:
    rows = [checksum(document("ru", i)) for i in range(5)]
    (hc4_home / "rus" / "ids.jsonl.gz").unlink()
    write_lines(hc4_home / "rus" / "ids.0.jsonl.gz", rows[3:])
    write_lines(hc4_home / "rus" / "ids.1.jsonl.gz", rows[:3])
    assert problems("hc4/ru/test") == []
    write_lines(hc4_home / "rus" / "ids.1.jsonl.gz", rows[:2])
    assert problems("hc4/ru/test") == [
        "documents ru: 5 documents, 4 are published",
        f"documents ru: document {rows[2]['id']!r} is not one of those published",
    ]


def test_a_document_that_hc4_says_has_changed_is_as_published(monkeypatch: pytest.MonkeyPatch) -> None:
    new = checksums.checksum(("x", "title", "new text"))
    old = checksums.checksum(("x", "title", "old text"))
    assert new != old
    monkeypatch.setattr(checksums, "REISSUED", {new[1]: old[1]})
    assert checksums.checksum(("x", " title", "new text\n")) == old


def test_comparing_finds_every_difference_without_holding_the_documents(monkeypatch: pytest.MonkeyPatch) -> None:
    published = [(f"d{i}", f"{i:032x}") for i in range(500)]
    found = [*published[:7], ("d7", "0" * 32), *published[8:300], *published[301:], published[40], ("new", "1" * 32)]

    def differences(found: list[tuple[str, str]]) -> tuple[int, list[str]]:
        return checksums.differences(lambda: iter(published), lambda: iter(found))

    assert differences(published[::-1]) == (500, [])
    count, lines = differences(found)
    assert count == 501
    assert lines == [
        "501 documents, 500 are published",
        f"document 'd7' has another text than published: MD5 {'0' * 32}, not {7:032x}",
        "document 'd40' stands twice",
        "document 'new' is not one of those published",
        "document 'd300' is missing",
    ]
    monkeypatch.setattr(checksums, "BUCKETS", 64)
    monkeypatch.setattr(checksums, "MOST_BUCKETS", 2)
    _, lines = differences([(id_, "0" * 32) for id_, _ in published])
    assert lines[-1] == "only one document in 32 was looked at one by one, as very many differ"
    assert 2 < len(lines) < 50


def test_progress_is_told_while_documents_are_read(hc4_home: Path) -> None:
    write_lines(hc4_home / "fas" / "hc4_docs.jsonl", [document("fa", i) for i in range(1500)])
    stages = RecordedStages()
    Collection("hc4/fa/test").documents(progress=stages)
    assert stages.reports == {"fa reading documents": [(1000, 0), (1500, 1500)]}


def test_the_files_of_every_split_are_read(hc4_home: Path) -> None:
    for split, expected in IDS.items():
        write_hc4_home(hc4_home, split)
        assert [topic.id for topic in Collection(f"hc4/fa/{split}").topics("en")] == list(expected)
