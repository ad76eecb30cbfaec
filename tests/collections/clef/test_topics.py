"""Topics in all the forms in which they came, and every way in which their files can be bad."""

import gzip
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.collections.clef.files import labelled, marked, marked_2000, pair
from xlrank.collections.clef.topics import of_year, read_labelled, read_marked
from xlrank.collections.records import Topic
from xlrank.errors import XlrankError

YEAR = range(141, 201)


def written(path: Path, text: str, encoding: str = "utf-8") -> Path:
    path.write_bytes(text.encode(encoding))
    return path


def top(number: str, title: str = "t") -> str:
    return f"<top>\n<num> {number} </num>\n<EN-title> {title} </EN-title>\n<EN-desc> d </EN-desc>\n</top>\n"


@pytest.mark.parametrize("encoding", ["iso-8859-1", "utf-8", "utf-8-sig"])
@pytest.mark.parametrize("case", [str, str.upper, str.lower])
def test_marked_topics(tmp_path: Path, encoding: str, case: Callable[[str], str]) -> None:
    text = f"{top('C141', 'Bücher &amp; R&D, 3 < 4')}<top><num>C142</num><EN-title>t\nu<EN-desc>d<EN-narr>no</EN-narr></top>"
    for tag in ("top", "num", "EN-title", "EN-desc", "EN-narr"):
        text = text.replace(f"<{tag}>", f"<{case(tag)}>").replace(f"</{tag}>", f"</{case(tag)}>")
    path = written(tmp_path / "a", text, encoding)
    assert read_marked(path, "de", YEAR) == [Topic("141", "Bücher & R&D, 3 < 4", "d"), Topic("142", "t u", "d")]


def test_topics_of_2000_have_their_values_on_the_next_line(tmp_path: Path) -> None:
    path = written(tmp_path / "a", marked_2000("D", "de", range(1, 41)), "iso-8859-1")
    found = read_marked(path, "de", range(1, 41))
    assert [topic.id for topic in found] == [str(number) for number in range(1, 41)]
    one, two = pair("de", 7)
    assert found[6] == Topic("7", f"{one} {two}", f"{two} {one}")


def test_all_topics_of_a_year_packed(tmp_path: Path) -> None:
    path = tmp_path / "a.gz"
    path.write_bytes(gzip.compress(marked("RU", "ru", YEAR).encode()))
    found = read_marked(path, "ru", YEAR)
    assert len(found) == 60
    assert found[0] == Topic("141", " ".join(pair("ru", 141)), " ".join(reversed(pair("ru", 141))) + " R&D")


@pytest.mark.parametrize(("language", "years"), [("ky", YEAR), ("ug", range(1, 41)), ("sw", range(91, 141))])
def test_labelled_topics_are_those_of_a_year(tmp_path: Path, language: str, years: range) -> None:
    path = written(tmp_path / "a", labelled(language, range(1, 201)), "utf-8-sig")
    found = read_labelled(path, years)
    assert [int(topic.id) for topic in found] == list(years)
    one, two = pair(language, years[0])
    assert found[0] == Topic(str(years[0]), f"{one} {two}", f"{two} {one}")


def test_labelled_topics_with_blanks_and_narratives(tmp_path: Path) -> None:
    text = "\n\nQuery_ID: C141 \n title:  a \nb\n\ndescription: c: d\nnarrative: no\nno\n\nquery_id: C142\ntitle: e\n"
    assert read_labelled(written(tmp_path / "a", text), YEAR) == [Topic("141", "a b", "c: d"), Topic("142", "e")]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "holds no topics; expected <top> … </top>"),
        (top("C141") + top("C091"), "topic 91 is of another year, expected 141 to 200"),
        (top("C141") + top("141"), "topic 141 stands twice"),
        (top("C141") + top("X"), "line 6: expected a topic's number such as C141, found 'X'"),
        (top("C141", ""), "line 1: topic 141 has no title"),
        ("<top><EN-title>a</EN-title></top>", "line 1: expected a topic's number such as C141, found ''"),
    ],
)
def test_bad_marked_topics(tmp_path: Path, text: str, problem: str) -> None:
    path = written(tmp_path / "a", text)
    with pytest.raises(XlrankError) as caught:
        read_marked(path, "en", YEAR)
    assert str(caught.value).startswith(str(path))
    assert problem in str(caught.value)


def test_bad_files_of_marked_topics(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(XlrankError, match=r"none: cannot be read \(No such file"):
        read_marked(tmp_path / "none", "en", YEAR)
    with pytest.raises(XlrankError, match="byte 0 is not UTF-8"):
        read_marked(written(tmp_path / "a", "да", "koi8-r"), "ru", YEAR)
    (tmp_path / "b.gz").write_bytes(gzip.compress(top("C141").encode())[:30])
    with pytest.raises(XlrankError, match="cut short or damaged"):
        read_marked(tmp_path / "b.gz", "en", YEAR)
    monkeypatch.setattr("xlrank.collections.clef.topics.LARGEST", 10)
    with pytest.raises(XlrankError, match="larger than"):
        read_marked(written(tmp_path / "c", top("C141")), "en", YEAR)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("title: a\n", "line 1: expected query_id: before anything else, found 'title: a'"),
        ("query_id: 141-2\ntitle: a\n", "line 1: expected a topic's number"),
        ("\nquery_id: C141\ndescription: a\n", "line 2: topic 141 has no title"),
        ("query_id: C001\ntitle: a\n", "holds no topics; expected topics 141 to 200 among others"),
        ("query_id: C141\ntitle: a\nquery_id: C141\ntitle: b\n", "topic 141 stands twice"),
    ],
)
def test_bad_labelled_topics(tmp_path: Path, text: str, problem: str) -> None:
    path = written(tmp_path / "a", text)
    with pytest.raises(XlrankError) as caught:
        read_labelled(path, YEAR)
    assert str(caught.value).startswith(str(path))
    assert problem in str(caught.value)


def test_the_topics_of_a_year() -> None:
    topics = [Topic("C150", "a", "b"), Topic("0141", "c"), Topic("1", "d")]
    assert of_year(Path("x.tsv"), topics, YEAR) == [Topic("141", "c"), Topic("150", "a", "b")]
    with pytest.raises(XlrankError, match=r"x\.tsv: topic: expected a topic's number such as C141, found 'a'"):
        of_year(Path("x.tsv"), [Topic("a", "b")], YEAR)
