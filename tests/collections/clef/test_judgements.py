"""Judgements: ids as topics and documents have them, absent documents kept, other years refused."""

from pathlib import Path

import pytest

from xlrank.collections.clef.judgements import read_judgements
from xlrank.collections.documents import Documents
from xlrank.collections.records import Document
from xlrank.errors import XlrankError

YEAR = range(141, 201)


@pytest.fixture
def documents(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Documents:
    monkeypatch.setenv("XLRANK_CACHE", str(tmp_path / "cache"))
    return Documents.stored("test", 1, lambda: [Document("GH950102-000001", "a"), Document("la1", "b")])


def test_ids_become_those_of_topics_and_documents(tmp_path: Path, documents: Documents) -> None:
    path = tmp_path / "qrels_english"
    path.write_text("C141 0 gh950102-000001 1\n141 0 LA1 0\n0142 0 LA1 2\n142 0 absent 1\n")
    assert read_judgements(path, YEAR, documents) == {
        "141": {"GH950102-000001": 1, "la1": 0},
        "142": {"la1": 2, "absent": 1},
    }


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("91 0 a 1\n", "topic '91' is not of this year, expected 141 to 200"),
        ("X 0 a 1\n", "topic 'X' is not of this year"),
        ("141 0 a\n", "line 1: 3 columns; expected 4"),
        ("141 0 a yes\n", "line 1: the grade 'yes' is not a whole number"),
        ("141 0 a 1\n141 0 a 0\n", "line 2: document 'a' is judged twice"),
        ("141 0 LA1 1\nC141 0 la1 0\n", "document 'la1' is judged twice for topic 141"),
        ("", "holds no judgements"),
    ],
)
def test_bad_judgements(tmp_path: Path, documents: Documents, text: str, problem: str) -> None:
    path = tmp_path / "qrels_english"
    path.write_text(text)
    with pytest.raises(XlrankError) as caught:
        read_judgements(path, YEAR, documents)
    assert str(caught.value).startswith(str(path))
    assert problem in str(caught.value)
