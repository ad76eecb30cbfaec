"""Documents on disk: what goes in comes out, by order, number and id; parsed once; never half-written."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from xlrank.collections import Document
from xlrank.collections.documents import Documents, texts_digest
from xlrank.errors import XlrankError

TEXTS = [
    Document("LA-1", "a\tb \u2028 c\\n", "Title\twith tab"),
    Document("кат", "дарыя жана суу"),
    Document("7", ""),
    Document("x/y#z", 'quotes " and \\ and {"a": 1}', "ئۇيغۇر"),
]


@pytest.fixture(autouse=True)
def _cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XLRANK_CACHE", str(tmp_path / "cache"))


def stored(documents: list[Document], identity: object = 1) -> Documents:
    return Documents.stored("test-en", identity, lambda: iter(documents))


def test_order_number_and_id() -> None:
    documents = stored(TEXTS)
    assert list(documents) == TEXTS
    assert len(documents) == 4
    assert [documents[i] for i in range(4)] == TEXTS
    assert documents[-1] == TEXTS[3]
    assert documents[1:3] == TEXTS[1:3]
    assert documents.ids == ["LA-1", "кат", "7", "x/y#z"]
    assert documents.fetch(["7", "none", "кат", "7"]) == {"7": TEXTS[2], "кат": TEXTS[1]}
    assert documents.facts["empty"] == 1
    with pytest.raises(IndexError):
        documents[4]


def test_membership_is_by_id_or_document() -> None:
    documents = stored(TEXTS)
    candidates: list[object] = ["7", TEXTS[0], Document("7", "other"), "8"]
    assert [one in documents for one in candidates] == [True, True, False, False]


def test_they_are_parsed_once() -> None:
    stored(TEXTS)

    def again() -> Iterator[Document]:
        raise AssertionError("parsed a second time")

    assert len(Documents.stored("test-en", 1, again)) == 4
    assert len(stored(TEXTS[:2], identity=2)) == 2


def test_the_digest_is_that_of_a_list_and_follows_ids_titles_and_texts() -> None:
    assert stored(TEXTS).digest == texts_digest(TEXTS)
    digests = {texts_digest([document]) for document in (Document("1", "a b"), Document("1", "b", "a"), Document("2", "a b"))}
    assert len(digests) == 3
    assert texts_digest(TEXTS[::-1]) != texts_digest(TEXTS)


def test_the_digest_does_not_depend_on_how_texts_were_typed() -> None:
    composed, decomposed = Document("1", "Kyrönjoki", "Härkä"), Document("1", "Kyro\u0308n\u00adjoki", "Ha\u0308rka\u0308")
    assert texts_digest([decomposed]) == texts_digest([composed]) == stored([composed]).digest


def test_no_documents() -> None:
    documents = stored([])
    assert list(documents) == []
    assert documents.fetch(["a"]) == {}
    with pytest.raises(XlrankError, match="no documents to index"):
        texts_digest([])


@pytest.mark.parametrize(
    ("documents", "problem"),
    [
        ([Document("a", "1"), Document("a", "2")], "document id 'a' stands twice"),
        ([Document("a b", "1")], "white space"),
        ([Document("", "1")], "is empty"),
    ],
)
def test_bad_ids_are_refused_and_nothing_stays(tmp_path: Path, documents: list[Document], problem: str) -> None:
    with pytest.raises(XlrankError, match=problem):
        stored(documents)
    with pytest.raises(XlrankError, match=problem):
        texts_digest(documents)
    assert not list((tmp_path / "cache" / "documents").iterdir())


def test_an_interrupted_parse_leaves_nothing(tmp_path: Path) -> None:
    def broken() -> Iterator[Document]:
        yield TEXTS[0]
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        Documents.stored("test-en", 1, broken)
    assert not list((tmp_path / "cache" / "documents").iterdir())
    assert len(stored(TEXTS)) == 4


def test_progress_is_told() -> None:
    told: list[tuple[int, int]] = []
    many = [Document(str(i), "text") for i in range(2500)]
    Documents.stored("test-en", 3, lambda: iter(many), lambda done, total: told.append((done, total)))
    assert told == [(1000, 0), (2000, 0), (2500, 2500)], "the number is known at the end, and a bar can end with it"


def test_several_processes_that_want_the_same_parse_it_once(tmp_path: Path) -> None:
    program = (
        "import sys, time\n"
        "from xlrank.collections import Document\n"
        "from xlrank.collections.documents import Documents\n"
        "def read():\n"
        "    with open(sys.argv[1], 'a') as stream:\n"
        "        stream.write('read\\n')\n"
        "    for j in range(50):\n"
        "        time.sleep(0.001)\n"
        "        yield Document(f'd{j}', 'text')\n"
        "for i in range(8):\n"
        "    assert len(Documents.stored('many', i, read).fetch([f'd{j}' for j in range(50)])) == 50\n"
    )
    command, environment = [sys.executable, "-c", program, str(tmp_path / "log")], {**os.environ, "XLRANK_CACHE": str(tmp_path)}
    started = [subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True) for _ in range(3)]
    said = [process.communicate(timeout=120)[1] for process in started]
    assert [process.returncode for process in started] == [0, 0, 0], said
    assert (tmp_path / "log").read_text().splitlines() == ["read"] * 8
    assert len(list((tmp_path / "documents").iterdir())) == 8
