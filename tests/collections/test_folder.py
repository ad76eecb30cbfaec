"""A collection in a folder: what is read, and what is refused with file and line."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from xlrank.collections import Collection, Document, Topic
from xlrank.collections.check import check
from xlrank.collections.reading import read_documents, read_qrels, read_topics
from xlrank.errors import XlrankError

GOOD = '{"doc_id": "a", "text": "one"}'


def documents(path: Path) -> list[Document]:
    return list(read_documents(path))


def opened(folder: Path) -> Collection:
    return Collection(f"folder:{folder}")


def refused(read: Callable[[Path], object], path: Path, content: str | bytes) -> str:
    """The message with which ``read`` refuses a file of this content."""
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(XlrankError) as caught:
        read(path)
    message = str(caught.value)
    assert "\n" not in message
    assert message.startswith(str(path))
    return message.removeprefix(str(path))


def test_languages_documents_topics_and_judgements(small_collection: Path) -> None:
    collection = opened(small_collection)
    assert collection.query_languages == ["ky", "tr"]
    assert collection.document_languages == ["de", "en"]
    assert collection.source.expected_counts() == {}
    assert collection.documents("en")[0] == Document("d1", "the bridge of the river and the water", "River bridge")
    assert [d.id for d in collection.documents("German")] == ["g1", "g2", "g3"]
    assert collection.topics("kg")[1] == Topic("2", "шайлоо", "мектеп жана шайлоо")
    assert collection.qrels("de") == {"1": {"g1": 1, "g2": 0}, "2": {"g3": 1}, "10": {"g2": 1}}
    assert collection.qrels("en")["1"] == {"d1": 2, "d6": 1, "d2": 0}


def test_the_texts_of_records() -> None:
    assert Document("1", "text").full_text == "text"
    assert Document("1", "text", "Title").full_text == "Title. text"
    topic = Topic("1", "title", "description")
    assert [topic.query(fields) for fields in ("title", "description", "title+description")] == [
        "title",
        "description",
        "title description",
    ]
    assert Topic("1", "title").query() == "title"


def test_translations_and_the_topics_to_search_with(small_collection: Path) -> None:
    collection = opened(small_collection)
    assert collection.translations("ky", "en") is None
    with pytest.raises(XlrankError, match=r"translations/ky-en\.tsv is missing"):
        collection.search_topics("ky", "en")
    assert collection.search_topics("ky", "ky") == collection.topics("ky")
    (small_collection / "translations").mkdir()
    (small_collection / "translations" / "ky-en.tsv").write_text("1\tbridge\tthe river\n")
    assert collection.search_topics("ky", "en") == [Topic("1", "bridge", "the river")]


def test_lines_of_beir_and_pyserini(tmp_path: Path) -> None:
    path = tmp_path / "documents.en.jsonl"
    path.write_text('{"_id": "a", "title": "t", "text": "one"}\n{"id": "b", "contents": "two"}\n{"docid": 3, "contents": ""}\n')
    assert list(read_documents(path)) == [Document("a", "one", "t"), Document("b", "two"), Document("3", "")]


def test_documents_may_lack_text_title_or_both(tmp_path: Path) -> None:
    path = tmp_path / "documents.en.jsonl"
    path.write_text(
        '{"doc_id": "a", "text": "", "title": "t"}\n{"doc_id": "b", "text": " \\n\\u200b\\u200d\\ufeff", "title": null}\n'
    )
    assert list(read_documents(path)) == [Document("a", "", "t"), Document("b", "")]
    path.write_text('{"doc_id": "a", "text": "", "title": "\\u200d"}\n{"doc_id": "b", "text": ""}\n')
    with pytest.raises(XlrankError, match="none of its 2 documents has a text or a title"):
        list(read_documents(path))


def test_texts_are_in_the_letters_of_their_language(small_collection: Path) -> None:
    (small_collection / "topics.ug.tsv").write_text("1\tئ\u200dۆلۈم مه\tبىله\u200cن کىتاب\n")
    (small_collection / "topics.fa.tsv").write_text("1\tكتاب مي\u200cخواهم\n")
    (small_collection / "documents.ky.jsonl").write_text('{"doc_id": "d1", "text": "ѳзгɵчѳ", "title": "жаӊы"}\n')
    (small_collection / "translations").mkdir()
    (small_collection / "translations" / "en-ky.tsv").write_text("1\tѳй\n")
    collection = opened(small_collection)
    assert collection.topics("ug") == [Topic("1", "ئۆلۈم مە", "بىلەن كىتاب")]
    assert collection.topics("fa") == [Topic("1", "کتاب می\u200cخواهم")]
    assert list(collection.documents("ky")) == [Document("d1", "өзгөчө", "жаңы")]
    assert collection.translations("en", "ky") == [Topic("1", "өй")]


def test_a_single_language_is_the_default(small_collection: Path) -> None:
    collection = opened(small_collection)
    with pytest.raises(XlrankError, match="has documents in de, en; say which one"):
        collection.documents()
    (small_collection / "documents.de.jsonl").unlink()
    assert len(opened(small_collection).documents()) == 6


def test_the_fingerprint_follows_the_files_of_a_language_pair(small_collection: Path) -> None:
    before = opened(small_collection).fingerprint("ky", "en")
    assert before != opened(small_collection).fingerprint("tr", "en")
    with (small_collection / "topics.tr.tsv").open("a") as stream:
        stream.write("11\tsu\n")
    assert opened(small_collection).fingerprint("ky", "en") == before
    with (small_collection / "topics.ky.tsv").open("a") as stream:
        stream.write("11\tсуу\n")
    assert opened(small_collection).fingerprint("ky", "en") != before


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("{", "not JSON"),
        ("[1]", 'expected an object with "doc_id" and "text"'),
        ('{"doc_id": "b"}', 'expected an object with "doc_id" and "text"'),
        ('{"text": "b"}', 'expected an object with "doc_id" and "text"'),
        (GOOD, "doc_id 'a' stands twice"),
        ('{"doc_id": "b c", "text": "x"}', "doc_id 'b c' is empty or holds white space"),
        ('{"doc_id": "", "text": "x"}', "doc_id '' is empty or holds white space"),
    ],
)
def test_a_malformed_document_is_named(tmp_path: Path, line: str, problem: str) -> None:
    message = refused(documents, tmp_path / "documents.en.jsonl", f"{GOOD}\n\n{line}\n{GOOD}\n")
    assert message.startswith(f", line 3: {problem}")


@pytest.mark.parametrize(
    "line", ['{"doc_id": "b", "text": null}', '{"doc_id": null, "text": "x"}', '{"doc_id": "b", "text": ["x"]}']
)
def test_a_value_that_is_no_text_is_refused(tmp_path: Path, line: str) -> None:
    assert refused(documents, tmp_path / "documents.en.jsonl", f"{GOOD}\n{line}\n").startswith(", line 2: ")


def test_an_id_that_no_file_can_hold_is_refused(tmp_path: Path) -> None:
    assert refused(documents, tmp_path / "documents.en.jsonl", '{"doc_id": "\\ud800", "text": "x"}\n').startswith(", line 1: ")


def test_numbers_serve_as_ids_and_texts_are_cleaned(tmp_path: Path) -> None:
    path = tmp_path / "documents.ug.jsonl"
    lines = [
        {"doc_id": 7, "text": "a\u200fb\nc\u200cd\ud800", "title": None},
        {"doc_id": "x/7#", "text": "y\r", "title": " t ", "url": 1},
    ]
    path.write_text("\n".join(map(json.dumps, lines)))
    assert list(read_documents(path)) == [Document("7", "ab c\u200cd"), Document("x/7#", "y", "t")]


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("2", "1 columns; expected topic_id TAB title TAB description"),
        ("2\ta\tb\tc", "4 columns; expected topic_id TAB title TAB description"),
        ("1\tagain", "topic_id '1' stands twice"),
        ("2 3\ta", "topic_id '2 3' is empty or holds white space"),
        ("\ta", "topic_id '' is empty or holds white space"),
        ("2\t \t\u200f", "topic '2' is empty"),
    ],
)
def test_a_malformed_topic_is_named(tmp_path: Path, line: str, problem: str) -> None:
    message = refused(read_topics, tmp_path / "topics.ky.tsv", f"1\ta\tb\n{line}\n3\tc\n")
    assert message.startswith(f", line 2: {problem}")


def test_topics_may_lack_title_or_description_and_end_in_crlf(tmp_path: Path) -> None:
    (tmp_path / "topics.ky.tsv").write_bytes("1\tа\r\n2\t\tб\r\n\r\n003\tа\tб\n".encode())
    assert read_topics(tmp_path / "topics.ky.tsv") == [Topic("1", "а"), Topic("2", "", "б"), Topic("003", "а", "б")]


def test_a_byte_order_mark_is_not_part_of_the_first_id(tmp_path: Path) -> None:
    (tmp_path / "topics.ky.tsv").write_bytes("\ufeff1\tа\n".encode())
    (tmp_path / "qrels.txt").write_bytes("\ufeff1 0 d1 1\n".encode())
    assert [topic.id for topic in read_topics(tmp_path / "topics.ky.tsv")] == ["1"]
    assert read_qrels(tmp_path / "qrels.txt") == {"1": {"d1": 1}}


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("1 0 b", "3 columns; expected 4: topic 0 document grade"),
        ("1 0 b 1 x", "5 columns; expected 4"),
        ("1 0 b yes", "the grade 'yes' is not a whole number"),
        ("1 0 b 1.0", "the grade '1.0' is not a whole number"),
        ("1 0 b -", "the grade '-' is not a whole number"),
        ("1 0 b --1", "the grade '--1' is not a whole number"),
        ("1 0 b ²", "the grade '²' is not a whole number"),
        ("1 0 a 0", "document 'a' is judged twice for topic '1'"),
    ],
)
def test_a_malformed_judgement_is_named(tmp_path: Path, line: str, problem: str) -> None:
    message = refused(read_qrels, tmp_path / "qrels.txt", f"1 0 a 1\n{line}\n2 0 a -1\n")
    assert message.startswith(f", line 2: {problem}")


def test_judgements_are_read_with_tabs_and_negative_grades(tmp_path: Path) -> None:
    (tmp_path / "qrels.txt").write_text("1\t0\ta\t2\n2 Q0 a -2\n")
    assert read_qrels(tmp_path / "qrels.txt") == {"1": {"a": 2}, "2": {"a": -2}}


@pytest.mark.parametrize(("read", "what"), [(documents, "documents"), (read_topics, "topics"), (read_qrels, "judgements")])
def test_an_empty_file_is_refused(tmp_path: Path, read: Callable[[Path], object], what: str) -> None:
    assert refused(read, tmp_path / "file", "\n\n") == f": holds no {what}"


@pytest.mark.parametrize("read", [documents, read_topics, read_qrels])
def test_a_missing_file_is_refused(tmp_path: Path, read: Callable[[Path], object]) -> None:
    with pytest.raises(XlrankError, match="none: no such file; expected "):
        read(tmp_path / "none")
    with pytest.raises(XlrankError, match="cannot be read"):
        read(tmp_path)


@pytest.mark.parametrize("before", [0, 3, 2000])
def test_bytes_that_are_no_utf8_are_named_by_line(tmp_path: Path, before: int) -> None:
    lines = [f"{i} 0 document{i} 1\n".encode() for i in range(before)]
    message = refused(read_qrels, tmp_path / "qrels.txt", b"".join(lines) + b"x 0 caf\xe9 1\ny 0 z 1\n")
    assert message == f", line {before + 1}: not UTF-8 text; convert the file first"


def test_qrels_that_name_an_unknown_document_are_refused(small_collection: Path) -> None:
    with (small_collection / "qrels.txt").open("a") as stream:
        stream.write("2 0 d99 1\n")
    with pytest.raises(XlrankError, match=r"qrels\.txt: topic '2' judges document 'd99', which no documents file holds"):
        opened(small_collection).qrels("en")


def test_qrels_without_a_relevant_document_are_refused(small_collection: Path) -> None:
    (small_collection / "qrels.txt").write_text("1 0 d1 0\n1 0 g1 1\n")
    assert opened(small_collection).qrels("de") == {"1": {"g1": 1}}
    with pytest.raises(XlrankError, match=r"qrels\.txt: no document of .* is judged relevant"):
        opened(small_collection).qrels("en")


@pytest.mark.parametrize("id_", ["", "trec", "minimum", "mini2/ky-en"])
def test_an_unknown_collection_lists_the_known_ones(id_: str) -> None:
    with pytest.raises(XlrankError, match=r"unknown collection .*; known: mini, .*folder:PATH"):
        Collection(id_)


def test_any_language_of_iso_639(tmp_path: Path) -> None:
    (tmp_path / "documents.yo.jsonl").write_text('{"doc_id": "d1", "text": "Ọ̀yọ́ ìlú"}\n')
    (tmp_path / "documents.ha.jsonl").write_text('{"doc_id": "d1", "text": "birni"}\n')
    (tmp_path / "topics.bho.tsv").write_text("1\tशहर\n")
    (tmp_path / "qrels.txt").write_text("1 0 d1 1\n")
    collection = opened(tmp_path)
    assert (collection.query_languages, collection.document_languages) == (["bho"], ["ha", "yo"])
    assert collection.documents("Yoruba")[0].text == "Ọ̀yọ́ ìlú"
    assert [topic.title for topic in collection.topics()] == ["शहर"]
    assert check(collection)[1] == []


def test_files_that_are_not_named_by_codes_are_named(small_collection: Path) -> None:
    (small_collection / "documents.xx.jsonl").write_text(GOOD)
    (small_collection / "topics.ky.old.tsv").write_text("1\tсуу\n")
    (small_collection / "topics.tr.tsv").rename(small_collection / "topics.tur.tsv")
    collection = opened(small_collection)
    named = [
        "topics.ky.old.tsv: 'ky.old' is no language code of ISO 639",
        "topics.tur.tsv: 'tur' is called 'tr' here; rename the file to topics.tr.tsv",
        "documents.xx.jsonl: 'xx' is no language code of ISO 639",
    ]
    assert check(collection)[1] == named
    with pytest.raises(XlrankError, match="no topics in 'tr'; there are ky; not read: .*'tur' is called 'tr' here"):
        collection.topics("tr")


def test_a_folder_that_does_not_exist_is_refused(tmp_path: Path) -> None:
    for path in (tmp_path / "none", tmp_path / "file"):
        (tmp_path / "file").touch()
        with pytest.raises(XlrankError, match=r"is no folder; expected documents\.LANG\.jsonl"):
            opened(path)


def test_languages_that_are_unknown_or_missing_are_refused(small_collection: Path) -> None:
    collection = opened(small_collection)
    with pytest.raises(XlrankError, match="unknown language 'xx'"):
        collection.topics("xx")
    with pytest.raises(XlrankError, match="has no topics in 'en'; there are ky, tr"):
        collection.topics("en")
    with pytest.raises(XlrankError, match="has no documents in 'ky'; there are de, en"):
        collection.documents("ky")


def test_a_pair_in_the_id_sets_the_languages() -> None:
    collection = Collection("mini/kg-de")
    assert collection.topics() == Collection("mini").topics("ky")
    assert collection.documents().digest == Collection("mini").documents("de").digest
    assert collection.qrels() == Collection("mini").qrels("de")
    with pytest.raises(XlrankError, match="expected QUERY-DOCUMENT languages"):
        Collection("mini/ky")
    with pytest.raises(XlrankError, match="unknown language 'xx'"):
        Collection("mini/ky-xx")


@pytest.mark.parametrize("content", ["{", "[1]", "7"])
def test_a_damaged_description_is_refused(small_collection: Path, content: str) -> None:
    (small_collection / "collection.json").write_text(content)
    with pytest.raises(XlrankError, match=r"collection\.json"):
        opened(small_collection).source.expected_counts()
