"""Documents of every newspaper, and every way in which its files can be bad."""

import gzip
from dataclasses import replace
from pathlib import Path

import pytest

from xlrank.collections.clef import documents
from xlrank.collections.clef.documents import read_documents
from xlrank.collections.clef.layouts import LAYOUTS, Layout
from xlrank.collections.records import Document
from xlrank.errors import XlrankError

IDS = "<DOCNO>{0}</DOCNO>\n<DOCID>{0}</DOCID>\n"
DUTCH = "<BODY><TI><P>kop</P></TI><LE><P>in</P></LE><TE><P>één</P><P>twee</P></TE><OS><P>foto</P></OS></BODY>"
SDA = "<KW>kw</KW><TI>ti</TI><LD>ld</LD><TX>één</TX><TX>two</TX>"
SPIEGEL = "<TITLE>ti</TITLE><LEAD>le</LEAD><TEXT>één</TEXT><TEXT>two</TEXT>"
CASES = {
    "GH95": ("<HEADLINE>head</HEADLINE><BYLINE>no</BYLINE><TEXT>één\r\ntwo</TEXT>", "head één two"),
    "latimes": ("<HEADLINE><P>head</P><P>2</P></HEADLINE><TEXT><P>één</P><P>two</P></TEXT>", "head 2 één two"),
    "der_spiegel": (SPIEGEL, "ti le één two"),
    "fr_rundschau": ("<TITLE>ti</TITLE><TEXT>één</TEXT><TEXT>not read</TEXT>", "ti één"),
    "sda94": (SDA, "één two ld ti kw"),
    "sda95": (SDA, "één two ld ti kw"),
    "la_stampa": ("<TITLE>ti</TITLE><TEXT>één</TEXT><TEXT>two</TEXT>", "één two ti"),
    "sda_italian": (SDA, "ti ld één two"),
    "agz95": (SDA, "ti ld één two"),
    "aamu": ("<TITLE>not read</TITLE><TEXT>één</TEXT><TEXT>two</TEXT>", "één two"),
    "xml": ("<TITLE>заголовок</TITLE><TEXT>текст</TEXT><SUBJECT>тема</SUBJECT>", "текст заголовок тема"),
    "algemeen_dagblad": (DUTCH, "in één twee kop foto"),
    "nrc_handelsblad": (DUTCH, "in één twee kop foto"),
}


def layout(folder: str) -> Layout:
    return next(each for each in LAYOUTS if folder in each.folders)


GH, RU, FR = layout("GH95"), layout("xml"), layout("fr_rundschau")


def gh(id: str, text: str = "text") -> str:
    return f"<DOC>\n{IDS.format(id)}<HEADLINE>head</HEADLINE>\n<TEXT>{text}</TEXT>\n</DOC>\n"


def written(path: Path, text: str | bytes) -> Path:
    path.write_bytes(text if isinstance(text, bytes) else text.encode("iso-8859-1"))
    return path


def read(*paths: Path, of: Layout = GH) -> list[Document]:
    return list(read_documents((path, of) for path in paths))


def refused(*paths: Path, of: Layout = GH) -> str:
    with pytest.raises(XlrankError) as caught:
        read(*paths, of=of)
    message = str(caught.value)
    assert "\n" not in message
    assert message.startswith(f"{paths[-1]}: ")
    return message.removeprefix(f"{paths[-1]}: ")


@pytest.mark.parametrize("case", CASES)
def test_every_newspaper(tmp_path: Path, case: str) -> None:
    fields, expected = CASES[case]
    named = layout(case)
    text = f"<DOC>\n{IDS.format('A-1')}{fields}\n</DOC>\n<doc>{IDS.format('a-2').lower()}{fields.lower()}</doc>"
    path = written(tmp_path / "a", text.encode(named.encoding))
    assert read(path, of=named) == [Document("A-1", expected), Document("a-2", expected)]


def test_every_newspaper_is_tested() -> None:
    assert set(CASES) == {each.folders[0] for each in LAYOUTS}


def test_the_ids_of_the_los_angeles_times_are_those_of_the_judgements(tmp_path: Path) -> None:
    text = "<DOC>\n<DOCNO> LA010194-0001 </DOCNO>\n<DOCID> 000001 </DOCID>\n<TEXT>\n<P>\na\n</P>\n</TEXT>\n</DOC>\n"
    assert read(written(tmp_path / "a", text), of=layout("latimes")) == [Document("LA010194-0001", "a")]


def test_packed_files_wrappers_and_missing_ends(tmp_path: Path) -> None:
    unended = "<DOC>" + IDS.format("1") + "<TEXT>a</TEXT>\n" + gh("2") + gh("3").removesuffix("</DOC>\n")
    plain = written(tmp_path / "a.sgml", f"<?xml version='1.0'?>\n<IZV>\n{unended}</IZV>\n")
    packed = written(tmp_path / "b.gz", gzip.compress(gh("4").encode()))
    assert [document.id for document in read(plain, packed)] == ["1", "2", "3", "4"]
    assert read(plain)[0].text == "a"


def test_empty_documents_stay(tmp_path: Path) -> None:
    path = written(tmp_path / "a", f"<DOC>{IDS.format('1')}</DOC>{gh('2', ' ').replace('head<', '<')}")
    assert read(path) == [Document("1", ""), Document("2", "")]


def test_control_characters_are_blanks(tmp_path: Path) -> None:
    assert read(written(tmp_path / "a", gh("1", "a\x00b\x85c\xa0d\te")))[0].text == "head a b c d e"
    assert read(written(tmp_path / "a", gh("1", "\x7fЖ\xa0б\x0cв").encode()), of=RU)[0].text == "Ж б в"


@pytest.mark.parametrize("end", ["<TEXT>and then", "<TEXT>a</TEX", "<HEADLINE>h</HEADLINE><TEXT>a & b", "<TEXT>a <"])
def test_a_file_that_was_cut_short(tmp_path: Path, end: str) -> None:
    path = written(tmp_path / "a", f"{gh('1')}{gh('2')}<DOC>\n{IDS.format('3')}{end}")
    place = path.read_bytes().rindex(b"<DOC>") + 5
    assert refused(path) == (
        f"ends in the middle of document '3', after 2 documents ({place} bytes); it is cut short, copy it again"
    )


def test_a_file_that_was_cut_short_in_an_id(tmp_path: Path) -> None:
    assert "in the middle of a document, after 1 document (" in refused(written(tmp_path / "a", f"{gh('1')}<DOC>\n<DOCNO"))


def test_a_packed_file_that_was_cut_short(tmp_path: Path) -> None:
    whole = "".join(gh(str(number), f"{number * number}" * 50) for number in range(2000)).encode()
    packed = gzip.compress(whole)
    message = refused(written(tmp_path / "a.gz", packed[: len(packed) * 3 // 4]))
    assert message.startswith("cannot be read after ")
    assert "Compressed file ended" in message
    assert int(message.split()[4]) > 0
    assert "not a gzipped file" in refused(written(tmp_path / "b.gz", whole)).lower()


def test_a_missing_file(tmp_path: Path) -> None:
    assert refused(tmp_path / "none").startswith("cannot be read after 0 documents (0 bytes) (No such file")


def test_a_utf8_file_among_others(tmp_path: Path) -> None:
    latin = written(tmp_path / "latin", gh("1", "Ärger über Öl: äöüß"))
    utf8 = written(tmp_path / "utf8", (gh("2", "ascii") + gh("3", "Ärger über Öl: äöüß")).encode())
    assert read(latin, of=FR)[0].text == "Ärger über Öl: äöüß"
    assert refused(latin, utf8, of=FR) == (
        f"is UTF-8 (seen after 1 document ({utf8.read_bytes().rindex(b'<DOC>') + 5} bytes)), where Frankfurter Rundschau 94 "
        "is ISO-8859-1; convert the file with iconv -f UTF-8 -t ISO-8859-1"
    )


def test_a_garbled_character_does_not_make_a_file_utf8(tmp_path: Path) -> None:
    path = written(tmp_path / "a", gh("1", "cafÃ©") + gh("2", "café") + gh("3", "Ã©" * 9))
    assert [document.text for document in read(path)] == ["head cafÃ©", "head café", "head " + "Ã©" * 9]


def test_a_russian_file_in_another_encoding(tmp_path: Path) -> None:
    raw = gh("1", "да").encode() + gh("2", "да").encode("koi8-r")
    message = refused(written(tmp_path / "a", raw), of=RU)
    place = raw.rindex("да".encode("koi8-r"))
    assert message == f"not UTF-8 at byte {place}, as Izvestia 95 is; convert the file with iconv -t UTF-8"


def test_an_id_in_two_files_or_twice_in_one(tmp_path: Path) -> None:
    one, two = written(tmp_path / "one", gh("1") + gh("2")), written(tmp_path / "two", gh("3") + gh("2"))
    assert refused(one, two) == f"document '2' stands in {one}, too; ids must be unique, remove the copy"
    assert "document '3' stands twice in it" in refused(written(tmp_path / "two", gh("3") + gh("3")))


@pytest.mark.parametrize("ids", ["", "<DOCNO></DOCNO>", "<DOCID>A B</DOCID>"])
def test_a_document_without_an_id(tmp_path: Path, ids: str) -> None:
    message = refused(written(tmp_path / "a", f"{gh('1')}<DOC>{ids}<TEXT>a</TEXT></DOC>"))
    assert message.startswith("after 1 document (")
    assert "expected an id without blanks in <DOCID>, found '" in message


def test_files_that_hold_something_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert refused(written(tmp_path / "a", "nothing")).startswith("holds no <DOC>; expected documents of Glasgow Herald 95")
    assert refused(written(tmp_path / "a.zip", b"PK")).startswith("a packed archive; unpack it")
    monkeypatch.setattr("xlrank.collections.clef.sgml.LONGEST_DOCUMENT", 2**20)
    assert "no </DOC> within" in refused(written(tmp_path / "b", "12<DOC>" + "x" * 2**22))


def test_the_message_names_the_paper_of_the_layout(tmp_path: Path) -> None:
    named = replace(GH, name="The Times", id="docno")
    assert "in <DOCNO>" in refused(written(tmp_path / "a", "<DOC><TEXT>a</TEXT></DOC>"), of=named)
    assert "expected documents of The Times" in refused(written(tmp_path / "b", ""), of=named)


def test_blanks_keep_every_letter() -> None:
    letters = bytes(range(161, 256))
    assert letters.translate(documents.BLANKS["iso-8859-1"]) == letters
    assert bytes(range(128, 256)).translate(documents.BLANKS["utf-8"]) == bytes(range(128, 256))
