"""HC4 in the files that its scripts leave, in those of ir_datasets, and with what is missing or wrong named."""

import gzip
import shutil
from pathlib import Path

import pytest

from tests.collections.hc4_files import IDS, SYSTEMS, TEXTS, document, topic, version, write_hc4_home, write_lines
from xlrank.collections import Collection, Topic
from xlrank.collections.catalogue import listed, open_source
from xlrank.collections.check import check
from xlrank.collections.hc4 import Hc4Source
from xlrank.collections.hc4.topics import read_hc4_topics, renumbered
from xlrank.errors import XlrankError


def opened(id: str = "hc4/fa/test") -> Collection:
    return Collection(id)


def ids(topics: list[Topic] | None) -> list[str]:
    return [topic.id for topic in topics or []]


def test_documents_topics_judgements_and_translations(hc4_home: Path) -> None:
    collection = opened()
    assert collection.query_languages == ["en", "fa", "ky", "ru", "tr", "ug", "zh"]
    assert collection.document_languages == ["fa"]
    documents = collection.documents()
    assert len(documents) == 5
    first = document("fa", 0)
    assert (documents[0].id, documents[0].title) == (first["id"], TEXTS["fa"][0][0])
    assert documents[0].text == first["text"].replace("\n", " ")
    assert collection.topics("en")[0] == Topic("101", *TEXTS["en"][0])
    assert collection.topics("fa")[0] == Topic("101", *TEXTS["fa"][0])
    translated = collection.search_topics("en", "fa")
    assert translated[0] == Topic("101", f"{TEXTS['fa'][0][0]} 1", TEXTS["fa"][0][1]), "the last system's, cleaned"
    assert collection.search_topics("fa", "fa") == collection.topics("fa")
    qrels = collection.qrels()
    assert qrels["101"] == {first["id"]: 3, document("fa", 3)["id"]: 1, document("fa", 1)["id"]: 0}
    with pytest.raises(XlrankError, match="translations of the English topics only; translate those in 'ky'"):
        collection.search_topics("ky", "fa")


@pytest.mark.parametrize(("language", "judged"), [("fa", ["101", "102", "103"]), ("ru", ["101", "102"])])
def test_topics_are_those_judged_in_the_documents_language(hc4_home: Path, language: str, judged: list[str]) -> None:
    collection = opened(f"hc4/{language}/test")
    for query_language in collection.query_languages:
        assert ids(collection.topics(query_language)) == judged
    assert sorted(collection.qrels()) == judged


def test_what_people_did_not_translate_is_as_the_last_system_did(hc4_home: Path) -> None:
    assert opened().topics("zh")[1].title == TEXTS["zh"][1][0]
    assert opened().topics("zh")[2].title == f"{TEXTS['zh'][2][0]} 1"
    assert opened(f"hc4/fa/test?translation={SYSTEMS[0]}").topics("zh")[2].title == f"{TEXTS['zh'][2][0]} 0"
    facts, _ = check(opened())
    assert f"topics zh: 2 human translation, 1 {SYSTEMS[1]}" in facts
    assert "topics fa: 3 human translation" in facts


def test_an_empty_human_translation_is_none(hc4_home: Path) -> None:
    rows = [topic("test", number) for number in range(3)]
    rows[0]["topics"][1] = version("fas", "human translation", "", " ")
    write_lines(hc4_home / "test.topics.v1-0.jsonl", rows)
    assert opened().topics("fa")[0].title == f"{TEXTS['fa'][0][0]} 1"


def test_a_system_can_be_chosen(hc4_home: Path) -> None:
    collection = opened(f"hc4/fa/test/en-fa?translation={SYSTEMS[0]}")
    assert collection.source.id == f"hc4/fa/test?translation={SYSTEMS[0]}"
    assert collection.search_topics("en", "fa")[0].title == f"{TEXTS['fa'][0][0]} 0"
    assert collection.documents().folder == opened().documents().folder
    with pytest.raises(
        XlrankError, match=f"topic '101' and 2 more: no translation into 'fa' by 'x'; there are {', '.join(SYSTEMS)}"
    ):
        opened("hc4/fa/test?translation=x").search_topics("en", "fa")


def test_splits_share_their_documents(hc4_home: Path) -> None:
    write_hc4_home(hc4_home, "dev")
    assert opened("hc4/fa/dev").documents().folder == opened().documents().folder
    assert ids(opened("hc4/fa/dev").topics("ug")) == list(IDS["dev"])
    assert opened("hc4/ru/dev").documents().folder != opened().documents().folder


def test_a_clone_of_the_repository_and_packed_files(hc4_home: Path) -> None:
    before = opened()
    expected = (list(before.documents()), before.topics("en"), before.qrels())
    resources = hc4_home / "resources" / "hc4"
    (resources / "fas").mkdir(parents=True)
    (hc4_home / "fas.test.qrels.v1-0.txt").rename(resources / "fas" / "test.qrels.v1-0.txt")
    (hc4_home / "data").mkdir()
    (hc4_home / "fas").rename(hc4_home / "data" / "fas")
    for path, target in (
        (hc4_home / "test.topics.v1-0.jsonl", resources / "test.topics.v1-0.jsonl.gz"),
        (hc4_home / "data" / "fas" / "hc4_docs.jsonl", hc4_home / "data" / "fas" / "hc4_docs.jsonl.gz"),
    ):
        target.write_bytes(gzip.compress(path.read_bytes()))
        path.unlink()
    after = opened()
    assert (list(after.documents()), after.topics("en"), after.qrels()) == expected


def test_the_folder_of_ir_datasets(hc4_home: Path, tmp_path: Path) -> None:
    expected = [opened().documents().digest, opened().topics("en"), opened().qrels()]
    shutil.copytree(hc4_home, tmp_path / "irds" / "hc4")
    (tmp_path / "irds" / "hc4" / "fas.test.qrels.v1-0.txt").rename(tmp_path / "irds" / "hc4" / "fas" / "test.qrels.v1-0.txt")
    shutil.rmtree(hc4_home)
    assert [opened().documents().digest, opened().topics("en"), opened().qrels()] == expected


def test_documents_that_only_ir_datasets_has(hc4_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from ir_datasets.formats import ExctractedCCDocs
    from ir_datasets.util import LocalDownload

    expected = opened().documents().digest
    shutil.copytree(hc4_home / "fas", tmp_path / "irds" / "hc4" / "fas", dirs_exist_ok=True)
    path = tmp_path / "irds" / "hc4" / "fas" / "hc4_docs.jsonl"
    docs = ExctractedCCDocs(LocalDownload(path), subset_lang="fa", count=5)
    docs.docs_store().build()
    (hc4_home / "fas" / "hc4_docs.jsonl").unlink()
    path.unlink()
    monkeypatch.setattr("xlrank.collections.hc4.source.load_dataset", lambda _: docs)
    assert opened().documents().digest == expected


def test_added_languages_need_no_file_of_hc4(hc4_home: Path) -> None:
    shutil.rmtree(hc4_home)
    for split, count in (("dev", {"fa": 10, "ru": 4, "zh": 10}), ("test", {"fa": 50, "ru": 50, "zh": 50})):
        for language, expected in count.items():
            topics = {code: opened(f"hc4/{language}/{split}").topics(code) for code in ("ky", "tr", "ug")}
            assert [len(found) for found in topics.values()] == [expected] * 3
            assert ids(topics["ky"]) == ids(topics["tr"]) == ids(topics["ug"])
    assert {"109", "141"} <= set(ids(opened("hc4/zh/test").topics("ky")))
    assert opened("hc4/fa/train").query_languages == ["en", "fa", "ru", "zh"]
    with pytest.raises(XlrankError, match="has no topics in 'ky'; there are en, fa, ru, zh"):
        opened("hc4/fa/train").topics("ky")


def test_what_is_absent_is_named_with_where_to_get_it(hc4_home: Path) -> None:
    (hc4_home / "fas" / "hc4_docs.jsonl").unlink()
    with pytest.raises(XlrankError) as caught:
        opened().documents()
    message = str(caught.value)
    assert message.startswith("hc4/fa: the Persian documents of HC4 are not here; they must be rebuilt from Common Crawl")
    assert "https://github.com/hltcoe/HC4" in message
    assert f"{hc4_home}/fas/hc4_docs.jsonl" in message
    assert message.endswith("found here of test: topics, judgements")
    (hc4_home / "test.topics.v1-0.jsonl").unlink()
    with pytest.raises(XlrankError, match=r"the topics of HC4 are not here; put test\.topics\.v1-0\.jsonl .* network is closed"):
        opened().topics("en")
    (hc4_home / "rus.test.qrels.v1-0.txt").unlink()
    with pytest.raises(XlrankError, match=r"the judgements of HC4 are not here; put rus/test\.qrels\.v1-0\.txt"):
        opened("hc4/ru/test").qrels()
    (missing,) = {one.id: one.missing for one in listed() if one.id == "hc4/fa/test"}.values()
    assert missing == "documents, topics"


def test_topics_and_judgements_come_from_ir_datasets_where_it_can(
    hc4_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = (opened().topics("en"), opened().qrels())
    fetched = tmp_path / "fetched"
    fetched.mkdir()
    for name in ("test.topics.v1-0.jsonl", "fas.test.qrels.v1-0.txt"):
        (hc4_home / name).rename(fetched / name)

    class Dataset:
        """As ir_datasets hands out where it keeps a file."""

        def queries_handler(self) -> "Dataset":
            return self

        def qrels_handler(self) -> "Dataset":
            return self

        def queries_path(self) -> list[str]:
            return [str(fetched / "test.topics.v1-0.jsonl")]

        def qrels_path(self) -> str:
            return str(fetched / "fas.test.qrels.v1-0.txt")

    monkeypatch.setattr("xlrank.collections.hc4.files.load_dataset", lambda _: Dataset())
    assert (opened().topics("en"), opened().qrels()) == expected


def test_two_chinese_topics_stand_under_the_numbers_they_are_judged_under(tmp_path: Path) -> None:
    path = tmp_path / "topics.jsonl"
    rows = [topic("test", 0), topic("test", 1)]
    rows[0] |= {"topic_id": "109", "languages_with_qrels": ["fas"]}
    rows[0]["topics"] = [one for one in rows[0]["topics"] if (one["lang"], one["source"]) != ("zho", "human translation")]
    rows[1] |= {"topic_id": "110", "languages_with_qrels": ["zho"]}
    write_lines(path, rows)
    topics = read_hc4_topics(path)
    assert {id_: sorted(one.judged_in) for id_, one in topics.items()} == {"109": ["fa"], "110": ["zh"]}
    changed = renumbered(topics, "zh", "test")
    assert {id_: sorted(one.judged_in) for id_, one in changed.items()} == {"109": ["fa", "zh"], "110": []}
    text = changed["109"].text("zh")
    assert text == Topic("109", *TEXTS["zh"][1])
    assert changed["109"].origin(text) == "human translation"
    assert changed["109"].machine("zh") == topics["109"].machine("zh")
    for other in (("fa", "test"), ("zh", "dev")):
        assert renumbered(topics, *other) == topics
    rows[0]["languages_with_qrels"] = ["fas", "zho"]
    write_lines(path, rows)
    assert renumbered(read_hc4_topics(path), "zh", "test") == read_hc4_topics(path), "mended there already"


@pytest.mark.parametrize(
    ("id", "problem"),
    [
        ("hc4", "expected hc4/LANGUAGE/SPLIT"),
        ("hc4/fa", "expected hc4/LANGUAGE/SPLIT"),
        ("hc4/de/test", "with fa, ru, zh and train, dev, test"),
        ("hc4/fa/test2", "with fa, ru, zh and train, dev, test"),
        ("hc4/fa/test/more", "with fa, ru, zh and train, dev, test"),
        ("hc4/fa/test?system=x", "unknown or empty option 'system'; expected translation=VALUE"),
        ("hc4/fa/test?translation=", "unknown or empty option 'translation'"),
        ("hc4/fa/test?translation", "'translation' is no option"),
        ("hc4/fa/test?translation=a&translation=b", "an option stands twice"),
        ("mini?x=1", "expected QUERY-DOCUMENT languages after the slash"),
    ],
)
def test_unknown_parts_and_options(id: str, problem: str) -> None:
    with pytest.raises(XlrankError, match="collection") as caught:
        Collection(id)
    assert problem in str(caught.value)


def test_the_languages_of_an_id() -> None:
    source, pair = open_source("hc4/zh/test/ky-zh")
    assert isinstance(source, Hc4Source)
    assert (source.id, pair) == ("hc4/zh/test", ("ky", "zh"))


def test_every_part_is_listed_with_its_figures() -> None:
    found = {one.id: one for one in listed() if one.id.startswith("hc4/")}
    assert len(found) == 9
    assert found["hc4/ru/test"].counts["documents.ru"] == 4_721_064
    assert (found["hc4/zh/dev"].counts["judged.zh"], found["hc4/zh/dev"].counts["topics.ky"]) == (466, 10)
