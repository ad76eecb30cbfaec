"""Folders in BEIR's layout: what is read, what has to be said, and what is refused with file and line."""

import gzip
from pathlib import Path

import pytest

from xlrank.collections import Collection, Document, Topic
from xlrank.collections.check import check
from xlrank.errors import XlrankError

CORPUS = '{"_id": "d1", "title": "Bridge", "text": "over the river"}\n{"_id": "d2", "title": "", "text": "elections"}\n'
QUERIES = '{"_id": "q1", "text": "көпүрө"}\n{"_id": "q2", "text": "шайлоо"}\n{"_id": "q3", "text": "алма", "metadata": {}}\n'
QRELS = "query-id\tcorpus-id\tscore\nq2\td2\t1\nq1\td1\t2\nq1\td2\t0\n"
LANGUAGES = "?queries=ky&documents=en"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XLRANK_CACHE", str(tmp_path / "cache"))
    folder = tmp_path / "beir"
    (folder / "qrels").mkdir(parents=True)
    (folder / "corpus.jsonl").write_text(CORPUS)
    (folder / "queries.jsonl").write_text(QUERIES)
    (folder / "qrels" / "test.tsv").write_text(QRELS)
    return folder


def test_a_whole_collection(folder: Path) -> None:
    collection = Collection(f"folder:{folder}{LANGUAGES}")
    assert list(collection.documents()) == [Document("d1", "over the river", "Bridge"), Document("d2", "elections")]
    assert collection.topics() == [Topic("q1", "көпүрө"), Topic("q2", "шайлоо")], "q3 is not judged"
    assert collection.qrels() == {"q1": {"d1": 2, "d2": 0}, "q2": {"d2": 1}}
    assert check(collection)[1] == []


def test_packed_files_and_pyserinis_documents(folder: Path) -> None:
    (folder / "corpus.jsonl").unlink()
    (folder / "corpus.jsonl.gz").write_bytes(gzip.compress(b'{"id": "d1", "contents": "a"}\n{"id": "d2", "contents": "b"}\n'))
    assert [document.text for document in Collection(f"folder:{folder}{LANGUAGES}").documents()] == ["a", "b"]


def test_splits(folder: Path) -> None:
    (folder / "qrels" / "dev.tsv").write_text("q3\td1\t1\n")
    assert [topic.id for topic in Collection(f"folder:{folder}{LANGUAGES}").topics()] == ["q1", "q2"]
    assert [topic.id for topic in Collection(f"folder:{folder}{LANGUAGES}&split=dev").topics()] == ["q3"]
    with pytest.raises(XlrankError, match=r"expected train\.tsv; there are dev, test; choose one with split=NAME"):
        Collection(f"folder:{folder}{LANGUAGES}&split=train").topics()
    (folder / "qrels" / "test.tsv").unlink()
    assert [topic.id for topic in Collection(f"folder:{folder}{LANGUAGES}").topics()] == ["q3"], "the only one"
    (folder / "qrels" / "dev.tsv").unlink()
    with pytest.raises(XlrankError, match=r"expected test\.tsv; there is no file"):
        Collection(f"folder:{folder}{LANGUAGES}").topics()


def test_languages_have_to_be_said(folder: Path) -> None:
    for options, what in (("", "queries"), ("?queries=ky", "documents")):
        with pytest.raises(XlrankError, match=rf"which language its {what} are in; say so: 'folder:.*\?queries=LANG&doc"):
            Collection(f"folder:{folder}{options}")
    with pytest.raises(XlrankError, match="unknown language 'xx'"):
        Collection(f"folder:{folder}?queries=xx&documents=en")
    (folder / "corpus.jsonl").unlink()
    with pytest.raises(XlrankError, match=r"options are for folders in BEIR's layout; .*beir holds no corpus\.jsonl"):
        Collection(f"folder:{folder}{LANGUAGES}")


@pytest.mark.parametrize(
    ("name", "text", "problem"),
    [
        ("qrels/test.tsv", "q1\td1\n", "line 1: expected query-id TAB corpus-id TAB score"),
        ("qrels/test.tsv", "query-id\tcorpus-id\tscore\nq1\td1\thigh\n", "line 2: .* the score a whole number"),
        ("qrels/test.tsv", "q1\td1\t1\nq1\td1\t0\n", "line 2: document 'd1' is judged twice for query 'q1'"),
        ("qrels/test.tsv", "query-id\tcorpus-id\tscore\n", "holds no judgements"),
        ("queries.jsonl", '{"id": "q1", "text": "a"}\n', 'line 1: expected one JSON object a line with "_id" and "text"'),
        ("queries.jsonl", '{"_id": "q1", "text": " "}\n', "line 1: query 'q1' is empty"),
        ("queries.jsonl", '{"_id": "q9", "text": "a"}\n', "holds none of the queries that .*test.tsv judges"),
    ],
)
def test_malformed_files_are_named(folder: Path, name: str, text: str, problem: str) -> None:
    (folder / name).write_text(text)
    with pytest.raises(XlrankError, match=problem):
        Collection(f"folder:{folder}{LANGUAGES}").topics()
