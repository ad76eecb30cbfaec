"""Cutting files at documents and reading what newspapers did to SGML, beside lxml's HTML parser."""

import io
import time
from dataclasses import replace

import pytest

from tests.collections.clef import files
from tests.collections.clef.peer import peer_documents
from xlrank.collections.clef import sgml
from xlrank.collections.clef.layouts import LAYOUTS, Layout
from xlrank.collections.clef.sgml import Scanned, Scanner, TooLongError, pieces

FLAT = ("title*", "lead", "text*")
NESTED = ("headline/p*", "text/p*")


def cut(text: str) -> list[tuple[str, bool]]:
    return [(piece.raw.decode(), piece.at_end) for piece in pieces(io.BytesIO(text.encode()))]


def scan(text: str, fields: tuple[str, ...] = FLAT, id: str = "docid") -> Scanned:
    return Scanner(fields, id).scan(text)


def layout(name: str) -> Layout:
    return next(each for each in LAYOUTS if each.name.startswith(name))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("x<DOC>a</DOC>y<doc>b</doc>z", [("a", False), ("b", False)]),
        ("<DOC>a<DOC>b</DOC>", [("a", False), ("b", False)]),
        ("<DOC>a</DOC><DOC>b", [("a", False), ("b", True)]),
        ("<DOC>a</DO", [("a</DO", True)]),
        ("<DOC id='1'>a</DOC >", [("a", False)]),
        ("<DOC><DOCNO>1</DOCNO><DOCID>2</DOCID></DOC>", [("<DOCNO>1</DOCNO><DOCID>2</DOCID>", False)]),
        ("</DOC><DOC>a</DOC></DOC>", [("a", False)]),
        ("no documents <DOCUMENT>", []),
        ("", []),
    ],
)
@pytest.mark.parametrize("block", [1, 7, 2**20])
def test_documents_are_cut_whatever_the_blocks(
    monkeypatch: pytest.MonkeyPatch, block: int, text: str, expected: list[tuple[str, bool]]
) -> None:
    monkeypatch.setattr(sgml, "BLOCK", block)
    assert cut(text) == expected


def test_offsets_are_those_of_the_file(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sgml, "BLOCK", 700)
    raw = b"".join(b"<DOC>%d%s</DOC>\n" % (number, b"x" * (number * 37 % 900)) for number in range(200))
    for piece in pieces(io.BytesIO(raw)):
        assert raw[piece.offset : piece.offset + len(piece.raw)] == piece.raw
        assert raw[: piece.offset].endswith(b"<DOC>")


def test_a_file_that_is_something_else_is_not_held(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sgml, "LONGEST_DOCUMENT", 5000)
    monkeypatch.setattr(sgml, "BLOCK", 1000)
    assert cut("x" * 50_000 + "<DOC>a</DOC>") == [("a", False)]
    with pytest.raises(TooLongError) as caught:
        cut("12<DOC>" + "x" * 50_000)
    assert caught.value.args == (7,)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("<DOCID>1</DOCID><TEXT>b</TEXT><TITLE>a</TITLE><TEXT>c</TEXT>", "a b c"),
        ("<docid>1</docid><Text>b</tEXT><title>a</title>", "a b"),
        ("<DOCID>1</DOCID><LEAD>first</LEAD><LEAD>second</LEAD>", "first"),
        ("<DOCID>1</DOCID><TITLE>a<TEXT>b</TEXT>", "a b"),
        ("<DOCID>1<TITLE>a\n<TEXT>b", "a b"),
        ("<DOCID>1</DOCID><TITLE>a<TEXT>b</TEXT><TITLE>c</TITLE>", "a c b"),
        ("<DOCID>1</DOCID><TEXT>a <TITLE>b</TITLE> c</TEXT>", "a b c"),
        ("<DOCID>1</DOCID><TEXT><P>a</P>\n<P>b</TEXT>", "a b"),
        ("<DOCID>1</DOCID><TEXT>3 < 4, R&D, a<b</TEXT>", "3 < 4, R&D, a<b"),
        ("<DOCID>1</DOCID><TEXT>AT&amp;T &eacute;&#233;&#xE9; &nichts; &lt;b&gt;</TEXT>", "AT&T ééé &nichts; <b>"),
        ("<DOCID>1</DOCID><TEXT>a&nbsp;b&#10;c&#8206;</TEXT>", "a b c"),
        ("<DOCID>1</DOCID><TEXT LANG='de'>a</TEXT >", "a"),
        ("<DOCID>1</DOCID><TEXT>a<!-- <TITLE>no</TITLE> -->b<![CDATA[ c ]]><!d></TEXT>", "a b c"),
        ("<DOCID>1</DOCID></TITLE><TEXT>a</LEAD></TEXT>", "a"),
        ("<DOCID>1</DOCID><TEXT/><TITLE>a</TITLE>", "a"),
        ("<DOCID>1</DOCID><TEXTUAL>no</TEXTUAL>", ""),
        ("<DOCID>1</DOCID>", ""),
    ],
)
def test_fields_are_read_in_the_order_of_the_layout(text: str, expected: str) -> None:
    scanned = scan(text)
    assert (scanned.id, scanned.text) == ("1", expected)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("<TEXT><P>b</P>\n<P>c</P></TEXT><HEADLINE><P>a</P></HEADLINE>", "a b c"),
        ("<HEADLINE><P>a<P>b</HEADLINE><TEXT><P>c</TEXT>", "a b c"),
        ("<HEADLINE><P>a</P><TEXT><P>b</P></TEXT>", "a b"),
        ("<TEXT><P>a</P><TABLE><TABLEROW>1</TABLEROW></TABLE><P>b</P></TEXT>", "a b"),
        ("<DATE><P>no</P></DATE><TEXT><P>a</P></TEXT><SUBJECT><P>no</P></SUBJECT>", "a"),
        ("<TEXT>without paragraphs</TEXT>", "without paragraphs"),
        ("<TEXT><P>a <I>b</I> c</P></TEXT>", "a b c"),
    ],
)
def test_paragraphs_of_a_path(text: str, expected: str) -> None:
    assert scan(f"<DOCNO> LA-1 </DOCNO><DOCID>000001</DOCID>{text}", NESTED, "docno").id == "LA-1"
    assert scan(text, NESTED, "docno").text == expected


def test_the_id_is_the_layouts_or_else_the_other() -> None:
    both = "<DOCNO> LA-1 </DOCNO>\n<DOCID> 7 </DOCID>"
    assert scan(both).id == "7"
    assert scan(both, id="docno").id == "LA-1"
    assert scan("<DOCNO>1</DOCNO><TEXT>a</TEXT>").id == "1"
    assert scan("<DOCID></DOCID><DOCNO>1</DOCNO>").id == "1"
    assert scan("<DOCID>1\n<DATE>940101</DATE>\n<TEXT>a</TEXT>").id == "1"
    assert scan("<TEXT>a</TEXT>").id == ""


def test_whether_a_field_has_ended() -> None:
    assert scan("<DOCID>1</DOCID><TEXT>a").is_open
    assert scan("<TEXT><P>a</P>", NESTED).is_open
    assert not scan("<DOCID>1</DOCID><TEXT>a</TEXT><OTHER>").is_open


@pytest.mark.parametrize(
    "unit", ["<title>", "<text>", "<title><text>", "<!--", "<![CDATA[", "<", "&", "<text><title></title>", "<!", "  "]
)
def test_no_input_takes_long(unit: str) -> None:
    text = "<text>" + unit * (400_000 // len(unit)) + "</lead>"
    start = time.perf_counter()
    scan(text)
    assert time.perf_counter() - start < 5


def sample(paper: files.Paper) -> str:
    body = f"{files.WORDS[paper.language]}\n3 < 4, R&D, caf&eacute; &amp; &lt;b&gt; &#233;\n\n  zwei"
    return "".join(paper.template(paper.id.format(number), f"Titel {number} & <", f"{body} {number}") for number in (1, 2, 3))


@pytest.mark.parametrize("paper", files.PAPERS, ids=lambda paper: paper.folder)
def test_the_same_as_lxml_where_markup_is_whole(paper: files.Paper) -> None:
    pytest.importorskip("lxml.html")
    named = next(each for each in LAYOUTS if each.folders[0] == paper.folder.rpartition("/")[2])
    text = sample(paper)
    scanner = Scanner(named.fields, named.id)
    ours = [scanner.scan(piece.raw.decode().replace("\n", " ")) for piece in pieces(io.BytesIO(text.encode()))]
    assert [(each.id, each.text) for each in ours] == list(peer_documents(text, named))
    assert len(ours) == 3 and not any(each.is_open for each in ours)


DIFFERENT = {
    "tags in a field": ("Glasgow", "<TEXT>a <B>b</B> c</TEXT>", "a b c", "a"),
    "paragraphs in a field": ("Frankfurter", "<TEXT><P>a</P> <P>b</P></TEXT>", "a b", ""),
    "a field without end": ("Der Spiegel", "<LEAD>a <TEXT>b</TEXT>", "a b", "a"),
    "text outside of paragraphs": ("Los Angeles", "<TEXT>a</TEXT>", "a", ""),
}


@pytest.mark.parametrize("case", DIFFERENT)
def test_where_lxml_as_published_loses_text(case: str) -> None:
    pytest.importorskip("lxml.html")
    name, text, ours, theirs = DIFFERENT[case]
    named = replace(layout(name), id="docid")
    document = f"<DOCID>1</DOCID>\n{text}\n"
    assert Scanner(named.fields, named.id).scan(document).text == ours
    assert list(peer_documents(f"<DOC>{document}</DOC>", named)) == [("1", theirs)]


def test_all_the_text_that_lxml_finds() -> None:
    pytest.importorskip("lxml.html")
    named = layout("Glasgow")
    text = "<DOC><DOCID>1</DOCID><HEADLINE>a <I>b</I></HEADLINE><TEXT>c <B>d</B> e <X>f</TEXT></DOC>"
    (piece,) = pieces(io.BytesIO(text.encode()))
    assert [("1", Scanner(named.fields, named.id).scan(piece.raw.decode()).text)] == list(peer_documents(text, named, whole=True))
