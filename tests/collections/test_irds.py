"""Datasets of ir_datasets as collections: tiny ones registered here, and known ids without any download."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import ir_datasets
import pytest
from ir_datasets.datasets.base import Dataset
from ir_datasets.formats import BaseDocs, BaseQueries, TrecQrels, TsvDocs, TsvQueries
from ir_datasets.util import LocalDownload

from xlrank.collections import Collection, Document, Topic
from xlrank.collections.catalogue import open_source
from xlrank.collections.check import check
from xlrank.collections.irds import IrdsSource
from xlrank.collections.irds_loading import reason
from xlrank.errors import XlrankError

Register = Callable[..., str]
Files = tuple[TsvDocs, TsvQueries]

QRELS = "q1 0 d1 2\nq1 0 d2 0\nq2 0 d3 1\nq9 0 d3 1\n"


class TitledDoc(NamedTuple):
    doc_id: str
    title: str
    body: str

    def default_text(self) -> str:
        return f"{self.title}\n{self.body}"


class TitledQuery(NamedTuple):
    query_id: str
    title: str
    description: str

    def default_text(self) -> str:
        return self.title


class DescribedQuery(NamedTuple):
    query_id: str
    text: str
    description: str

    def default_text(self) -> str:
        return self.text


class TwoLanguages(NamedTuple):
    query_id: str
    title_en: str
    title_zh: str
    description_en: str
    description_zh: str

    def default_text(self) -> str:
        return self.title_zh


class Translated(NamedTuple):
    query_id: str
    title: str
    description: str
    ht_title: str
    ht_description: str
    mt_title: str
    mt_description: str
    translation_lang: str

    def default_text(self) -> str:
        return self.title


class InMemory(BaseDocs, BaseQueries):  # type: ignore[misc]
    """Documents and queries as they are given."""

    def __init__(self, docs: list[Any], queries: list[Any], docs_lang: str | None, queries_lang: str | None) -> None:
        self.records, self.languages = (docs, queries), (docs_lang, queries_lang)

    def docs_iter(self) -> Iterator[Any]:
        return iter(self.records[0])

    def docs_cls(self) -> type:
        return type(self.records[0][0])

    def docs_lang(self) -> str | None:
        return self.languages[0]

    def queries_iter(self) -> Iterator[Any]:
        return iter(self.records[1])

    def queries_cls(self) -> type:
        return type(self.records[1][0])

    def queries_lang(self) -> str | None:
        return self.languages[1]


DOCS = [
    TitledDoc("d1", "River bridge", "the bridge\nof the river"),
    TitledDoc("d2", "", "a school"),
    TitledDoc("d3", "Election", ""),
]


@pytest.fixture(autouse=True)
def _cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XLRANK_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def register(tmp_path: Path) -> Iterator[Register]:
    """Registers datasets for one test."""
    names: list[str] = []
    (tmp_path / "qrels.txt").write_text(QRELS)
    judged = TrecQrels(LocalDownload(tmp_path / "qrels.txt"), {})

    def add(name: str, *parts: Any, qrels: Any = judged) -> str:  # noqa: ANN401 - ir_datasets' own
        ir_datasets.registry.register(name, Dataset(*parts, *([qrels] if qrels else [])))
        names.append(name)
        return name

    yield add
    for name in names:
        ir_datasets.registry._registered.pop(name)


@pytest.fixture
def files(tmp_path: Path) -> Files:
    """Documents and queries in files that ir_datasets did not download."""
    (tmp_path / "docs.tsv").write_text("d1\tthe bridge\nd2\ta school\nd3\tthe election\n")
    (tmp_path / "queries.tsv").write_text("q1\tкөпүрө\nq2\tшайлоо\nq3\tсуу\nq4\t \n", encoding="utf-8")
    return (
        TsvDocs(LocalDownload(tmp_path / "docs.tsv"), lang="en"),
        TsvQueries(LocalDownload(tmp_path / "queries.tsv"), lang="ky"),
    )


def titled(queries: list[Any], docs_lang: str | None = "en", queries_lang: str | None = "en") -> InMemory:
    return InMemory(DOCS, queries, docs_lang, queries_lang)


def test_documents_topics_and_judgements(register: Register, files: Files) -> None:
    collection = Collection(f"irds:{register('xlrank-test/small', *files)}")
    assert (collection.query_languages, collection.document_languages) == (["ky"], ["en"])
    assert list(collection.documents()) == [
        Document("d1", "the bridge"),
        Document("d2", "a school"),
        Document("d3", "the election"),
    ]
    assert collection.topics() == [Topic("q1", "көпүрө"), Topic("q2", "шайлоо"), Topic("q3", "суу")]
    assert collection.qrels() == {"q1": {"d1": 2, "d2": 0}, "q2": {"d3": 1}}
    assert collection.translations("ky", "en") is None
    facts, problems = check(collection)
    assert problems == []
    assert "queries: 4, judged 2, without text 1" in facts
    assert "judgements of 1 queries of other subsets are left out" in facts


def test_titles_and_descriptions(register: Register) -> None:
    register("xlrank-test/titled", titled([TitledQuery("q1", " bridge ", "which\nriver?"), TitledQuery("q2", "school", "")]))
    collection = Collection("irds:xlrank-test/titled")
    assert collection.topics() == [Topic("q1", "bridge", "which river?"), Topic("q2", "school")]
    documents = list(collection.documents())
    assert documents == [
        Document("d1", "the bridge of the river", "River bridge"),
        Document("d2", "a school"),
        Document("d3", "Election"),
    ]
    register(
        "xlrank-test/described", titled([DescribedQuery("q1", "bridge", "which?"), DescribedQuery("q2", "school", "school")])
    )
    assert Collection("irds:xlrank-test/described").topics() == [Topic("q1", "bridge", "which?"), Topic("q2", "school")]


def test_queries_in_two_languages(register: Register) -> None:
    register("xlrank-test/two", titled([TwoLanguages("q1", "bridge", "桥", "which?", "哪个？")], "zh", None))
    collection = Collection("irds:xlrank-test/two")
    assert collection.query_languages == ["en", "zh"]
    assert (collection.topics("en"), collection.topics("zh")) == (
        [Topic("q1", "bridge", "which?")],
        [Topic("q1", "桥", "哪个？")],
    )
    assert Collection("irds:xlrank-test/two?queries=zh").query_languages == ["zh"]
    with pytest.raises(XlrankError, match="its queries are in en, zh"):
        Collection("irds:xlrank-test/two?queries=ky")


def test_translated_queries_as_those_of_hc4_and_neuclir(register: Register) -> None:
    queries = [
        Translated("q1", "bridge", "which?", "پل", "کدام؟", "پل ۲", "کدام ۲", "fa"),
        Translated("q2", "school", "where?", "", "", "مدرسه", "کجا", "fa"),
    ]
    register("xlrank-test/translated", titled(queries, "fa", None))
    collection = Collection("irds:xlrank-test/translated/en-fa")
    assert collection.query_languages == ["en", "fa"]
    assert collection.topics() == [Topic("q1", "bridge", "which?"), Topic("q2", "school", "where?")]
    assert collection.topics("fa") == [Topic("q1", "پل", "کدام؟"), Topic("q2", "مدرسه", "کجا")]
    assert collection.search_topics("en", "fa") == [Topic("q1", "پل ۲", "کدام ۲"), Topic("q2", "مدرسه", "کجا")]
    assert collection.search_topics("fa", "fa") == collection.topics("fa")


def test_languages_that_nothing_states_are_asked_for(register: Register) -> None:
    register("xlrank-test/unknown", titled([TitledQuery("q1", "көпүрө", "")], None, None))
    with pytest.raises(XlrankError, match=r"its documents are in; say so: irds:xlrank-test/unknown\?documents=LANG"):
        Collection("irds:xlrank-test/unknown")
    with pytest.raises(XlrankError, match=r"its queries are in; say so: irds:xlrank-test/unknown\?queries=LANG"):
        Collection("irds:xlrank-test/unknown?documents=en")
    collection = Collection("irds:xlrank-test/unknown/ky-en?queries=Kyrgyz&documents=en")
    assert (collection.query_languages, collection.document_languages) == (["ky"], ["en"])
    assert collection.topics() == [Topic("q1", "көпүрө")]
    with pytest.raises(XlrankError, match="documents: unknown language 'xx'"):
        Collection("irds:xlrank-test/unknown?documents=xx")
    with pytest.raises(XlrankError, match="unknown or empty option 'docs'; expected queries=VALUE or documents=VALUE"):
        Collection("irds:xlrank-test/unknown?docs=en")


def test_what_is_stated_can_be_overruled(register: Register) -> None:
    register("xlrank-test/wrong", titled([TitledQuery("q1", "көпүрө", "")], "en", "en"))
    assert Collection("irds:xlrank-test/wrong?queries=ky").query_languages == ["ky"]


@pytest.mark.parametrize(
    ("name", "queries", "documents"),
    [
        ("miracl/ky/xlrank-test", ["ky"], "ky"),
        ("mmarco/v2/de/xlrank-test", ["de"], "de"),
        ("neuclir/1/zh/xlrank-test", ["en"], "zh"),
        ("neumarco/fa/xlrank-test", ["en"], "fa"),
        ("beir/xlrank-test", ["en"], "en"),
    ],
)
def test_ids_tell_languages_that_nothing_else_states(register: Register, name: str, queries: list[str], documents: str) -> None:
    source = IrdsSource(f"irds:{register(name, titled([TitledQuery('q1', 'x', 'y')], None, None))}")
    assert (source.query_languages, source.document_languages) == (queries, [documents])


@pytest.mark.parametrize(
    ("name", "queries", "documents", "count"),
    [
        ("hc4/fa/test", ["en", "fa"], "fa", 486_486),
        ("neuclir/1/zh/trec-2022", ["en", "zh"], "zh", 3_179_209),
        ("neuclir/1/ru/trec-2023", ["en", "ru"], "ru", 4_627_543),
        ("miracl/sw/dev", ["sw"], "sw", 131_924),
        ("miracl/yo/dev", ["yo"], "yo", 49_043),
        ("mmarco/v2/dt/dev/small", ["nl"], "nl", 8_841_823),
        ("neumarco/fa/dev", ["en"], "fa", 8_841_823),
        ("beir/scifact/test", ["en"], "en", 5_183),
        ("trec-spanish/trec3", ["en", "es"], "es", 120_605),
    ],
)
def test_published_datasets_are_recognised_without_downloads(
    name: str, queries: list[str], documents: str, count: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ir_datasets.util.download.Download.path", lambda *_, **__: pytest.fail("downloads"))
    source = IrdsSource(f"irds:{name}")
    assert (source.query_languages, source.document_languages) == (queries, [documents])
    assert source.expected_counts() == {f"documents.{documents}": count}


@pytest.mark.parametrize(
    ("id", "problem"),
    [
        ("irds:nonsense/x", "irds:nonsense/x: ir_datasets knows no such dataset; see https://ir-datasets.com"),
        ("irds:", "irds:: ir_datasets knows no such dataset"),
        ("irds:hc4/zh", "irds:hc4/zh: has no queries and no qrels; choose irds:hc4/zh/dev, irds:hc4/zh/test, irds:hc4/zh/train"),
        ("irds:neuclir/1/multi/trec-2023", "which language its documents are in"),
    ],
)
def test_what_cannot_be_opened(id: str, problem: str) -> None:
    with pytest.raises(XlrankError) as caught:
        Collection(id)
    assert problem in str(caught.value)


def test_without_ir_datasets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("xlrank.collections.irds_loading.find_spec", lambda _: None)
    with pytest.raises(XlrankError, match=r"needs the package ir_datasets: pip install 'xlrank\[collections\]'"):
        open_source("irds:hc4/fa/test")


def test_documents_are_parsed_once_and_again_when_their_file_changes(register: Register, files: Files, tmp_path: Path) -> None:
    register("xlrank-test", files[0], qrels=None)
    register("xlrank-test/a", *files)
    register("xlrank-test/b", *files)
    first = Collection("irds:xlrank-test/a").documents()
    assert Collection("irds:xlrank-test/b?queries=tr").documents().folder == first.folder, "subsets share documents"
    (tmp_path / "docs.tsv").write_text("d1\tthe bridge of the river\n")
    assert [d.text for d in Collection("irds:xlrank-test/a").documents()] == ["the bridge of the river"]


def test_what_ir_datasets_has_stored_does_for_a_missing_file(register: Register, files: Files, tmp_path: Path) -> None:
    register("xlrank-test/stored", *files)
    files[0].docs_store().build()
    (tmp_path / "docs.tsv").unlink()
    assert len(Collection("irds:xlrank-test/stored").documents()) == 3


def test_missing_files_are_told_in_one_line(register: Register, files: Files, tmp_path: Path) -> None:
    register("xlrank-test/missing", *files)
    collection = Collection("irds:xlrank-test/missing")
    for name, read in (("docs.tsv", collection.documents), ("queries.tsv", collection.topics)):
        (tmp_path / name).unlink()
        with pytest.raises(XlrankError) as caught:
            read()
        message = str(caught.value)
        assert message.startswith("irds:xlrank-test/missing: ir_datasets cannot read the ")
        assert f"({tmp_path}/{name} is missing)" in message
        assert "https://ir-datasets.com/xlrank-test.html says what else to put under " in message
        assert "\n" not in message


def test_files_that_must_be_put_there_by_hand_are_part_of_the_identity(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "hc4" / "fas" / "hc4_docs.jsonl"
    source = IrdsSource("irds:hc4/fa/test")
    monkeypatch.setattr(source.dataset.docs_handler()._docs_dlc, "_cache_path", str(path))
    monkeypatch.setattr(source.dataset.docs_handler()._docs_dlc, "mirrors", [LocalDownload(path)])
    with pytest.raises(XlrankError, match=rf"cannot read the documents \({path} is missing\).*https://ir-datasets.com/hc4.html"):
        source.document_identity("fa")
    path.write_text('{"id": "x"}\n')
    assert source.document_files("fa") == [path]
    before = source.document_identity("fa")
    path.write_text('{"id": "y"}\n')
    assert source.document_identity("fa") != before
    downloaded = IrdsSource("irds:beir/scifact/test")
    assert (downloaded.document_files("en"), downloaded.documents_id) == ([], "irds:beir/scifact")


def test_whatever_its_readers_raise_is_told_in_one_line(register: Register, files: Files, tmp_path: Path) -> None:
    register("xlrank-test/broken", *files)
    (tmp_path / "qrels.txt").write_text("q1 0 d1\n")
    with pytest.raises(XlrankError, match="irds:xlrank-test/broken: ir_datasets cannot read the judgements ") as caught:
        Collection("irds:xlrank-test/broken").qrels()
    assert "\n" not in str(caught.value)
    (tmp_path / "docs.tsv").write_text("d1\n")
    with pytest.raises(XlrankError, match="ir_datasets cannot read the documents "):
        Collection("irds:xlrank-test/broken").documents()


def test_queries_and_documents_that_cannot_be_used(register: Register) -> None:
    register("xlrank-test/spaces", titled([TitledQuery("q 1", "x", "")]))
    with pytest.raises(XlrankError, match="irds:xlrank-test/spaces: query id 'q 1' is empty or holds white space"):
        Collection("irds:xlrank-test/spaces").topics()
    register("xlrank-test/twice", titled([TitledQuery("q1", "x", ""), TitledQuery("q1", "y", "")]))
    with pytest.raises(XlrankError, match="query id 'q1' stands twice"):
        Collection("irds:xlrank-test/twice").topics()
    register("xlrank-test/empty", titled([TitledQuery("q1", "", " ")]))
    with pytest.raises(XlrankError, match="holds no queries with any text"):
        Collection("irds:xlrank-test/empty").topics()
    register("xlrank-test/unjudged", titled([TitledQuery("q7", "x", "")]))
    with pytest.raises(XlrankError, match="none of its 1 queries is judged"):
        Collection("irds:xlrank-test/unjudged").qrels()
    register("xlrank-test/repeated", InMemory([*DOCS, DOCS[0]], [TitledQuery("q1", "x", "")], "en", "en"))
    with pytest.raises(XlrankError, match="document id 'd1' stands twice"):
        Collection("irds:xlrank-test/repeated").documents()


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (FileNotFoundError("/data/x.tsv"), "/data/x.tsv is missing"),
        (FileNotFoundError(2, "No such file or directory", "x"), "FileNotFoundError: [Errno 2] No such file or directory: 'x'"),
        (
            OSError("HTTPSConnectionPool(host='example.org', port=443): Max retries exceeded with url: /x (Caused by …)"),
            "no connection to example.org",
        ),
        (ValueError("one\n two\n\nthree"), "ValueError: one two three"),
        (ValueError("x" * 1000), "ValueError: " + "x" * 288 + "…"),
    ],
)
def test_what_went_wrong_is_said_in_a_few_words(error: Exception, said: str) -> None:
    assert reason(error) == said
