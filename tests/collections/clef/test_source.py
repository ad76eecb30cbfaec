"""CLEF as a collection: by its id, from a home in the published layout or nearly so, whole or with parts missing."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.collections.clef.files import PAPERS, TOPIC_IDS, pair, write_clef_home
from xlrank.collections import Collection, Topic
from xlrank.collections.catalogue import listed
from xlrank.collections.check import check
from xlrank.collections.clef import ClefSource
from xlrank.errors import XlrankError
from xlrank.languages import LANGUAGES

YEARS = tuple(TOPIC_IDS)
LOW_RESOURCE = ["ky", "so", "sw", "tr", "ug"]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_clef_home(tmp_path_factory.mktemp("whole"), YEARS)


@pytest.fixture(autouse=True)
def _environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XLRANK_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("XLRANK_COLLECTIONS", raising=False)
    monkeypatch.delenv("CLEF_HOME", raising=False)


@pytest.fixture
def home(whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of one's own."""
    folder = tmp_path / "clef"
    shutil.copytree(whole, folder)
    monkeypatch.setenv("CLEF_HOME", f"{folder}/")
    return folder


def missing(year: int = 2003) -> str:
    return ClefSource(f"clef/{year}", str(year)).describe().missing


@pytest.mark.parametrize("year", YEARS)
def test_every_year_is_consistent(home: Path, year: int) -> None:
    facts, problems = check(Collection(f"clef/{year}"))
    assert problems == []
    papers = [paper for paper in PAPERS if paper.since <= year]
    for language in {paper.language for paper in papers}:
        assert f"documents {language}: {3 * sum(paper.language == language for paper in papers)}" in facts
    assert f"clef/{year}: files in {home}" in facts


def test_languages_by_year(home: Path) -> None:
    assert {year: Collection(f"clef/{year}").document_languages for year in YEARS} == {
        2000: ["de", "en", "it"],
        2001: ["de", "en", "it", "nl"],
        2002: ["de", "en", "fi", "it", "nl"],
        2003: ["de", "en", "fi", "it", "nl", "ru"],
    }
    early = sorted([*LOW_RESOURCE, *({"de", "en", "es", "fi", "fr", "it", "sv"} & set(LANGUAGES))])
    assert {year: Collection(f"clef/{year}").query_languages for year in YEARS} == {
        2000: early,
        2001: sorted([*early, "nl"]),
        2002: sorted([*early, "nl"]),
        2003: sorted([*early, "nl", "ru"]),
    }
    assert home.is_dir()


def test_newspapers_of_a_year(home: Path) -> None:
    source = ClefSource("clef/2002", "2002")
    names = {language: {path.parent.name for path in source.document_files(language)} for language in source.document_languages}
    assert names == {
        "en": {"latimes"},
        "de": {"der_spiegel", "fr_rundschau", "sda94"},
        "it": {"la_stampa", "sda_italian"},
        "fi": {"aamu"},
        "nl": {"algemeen_dagblad", "nrc_handelsblad"},
    }
    assert {path.name for path in source.document_files("en")} == {"a.sgml", "b.sgml.gz"}
    (home / "DocumentData" / "english" / "latimes" / "README").write_text("no documents")
    (home / "DocumentData" / "english" / "latimes" / ".hidden").write_text("no documents")
    assert len(source.document_files("en")) == 2


def test_a_collection_by_its_id(home: Path) -> None:
    collection = Collection("clef/2003/kg-en")
    assert collection.documents().ids == [f"GH950102-{n:06}" for n in (1, 2, 3)] + [f"LA010194-{n:04}" for n in (1, 2, 3)]
    assert collection.documents()[3].title == ""
    assert len(collection.topics()) == 60
    assert collection.topics()[0] == Topic("141", " ".join(pair("ky", 141)), " ".join(reversed(pair("ky", 141))))
    relevant = {topic: [id_ for id_, grade in grades.items() if grade] for topic, grades in collection.qrels().items()}
    assert set(relevant) == {str(number) for number in TOPIC_IDS[2003]}
    for document in collection.documents():
        for topic in collection.topics("en"):
            about = set(topic.title.split()) == set(document.text.split()[:2]) and document.text.startswith(topic.title)
            assert (document.id in relevant[topic.id]) == about
    assert collection.fingerprint("ky", "en") != collection.fingerprint("tr", "en")
    assert home.is_dir()


def test_years_share_their_documents(home: Path) -> None:
    stored = [Collection(f"clef/{year}").documents("nl").folder for year in (2001, 2003)]
    assert stored[0] == stored[1]
    assert Collection("clef/2002").documents("en").folder != Collection("clef/2003").documents("en").folder
    (home / "DocumentData" / "dutch" / "nrc_handelsblad" / "b.sgml.gz").unlink()
    assert len(Collection("clef/2003").documents("nl")) == 5


def test_judged_documents_that_are_absent_are_kept_and_named(home: Path) -> None:
    path = home / "RelAssess" / "2003" / "qrels_english"
    path.write_text(path.read_text() + "141 0 GH950199-999999 1\n")
    assert Collection("clef/2003").qrels("en")["141"]["GH950199-999999"] == 1
    assert any("document 'GH950199-999999' is judged" in problem for problem in check(Collection("clef/2003"))[1])


def test_translations_of_ones_own(home: Path) -> None:
    collection = Collection("clef/2003/ky-en")
    assert collection.translations("ky", "en") is None
    with pytest.raises(XlrankError, match=r"translations/ky-en\.tsv is missing \(topic_id TAB title TAB description"):
        collection.search_topics("ky", "en")
    (home / "translations").mkdir()
    (home / "translations" / "ky-en.tsv").write_text("C001\told\nC142\tb\tc\n141\ta\n")
    assert collection.search_topics("ky", "en") == [Topic("141", "a"), Topic("142", "b", "c")]
    (home / "translations" / "ky-en.tsv").write_text("C001\told\n")
    with pytest.raises(XlrankError, match="holds no topics; expected topics 141 to 200 among others"):
        collection.search_topics("ky", "en")


def test_the_package_as_it_is_delivered(home: Path) -> None:
    delivered = home / "documentdata" / "DataCollections"
    (home / "DocumentData").rename(home / "documentdata")
    delivered.mkdir()
    for language in ("english", "german"):
        (home / "documentdata" / language).rename(delivered / f"{language.capitalize()}_data")
    (delivered / "English_data" / "latimes").rename(delivered / "English_data" / "LATimes94")
    (delivered / "English_data" / "GlasgowHerald95").mkdir()
    (delivered / "English_data" / "GH95").rename(delivered / "English_data" / "GlasgowHerald95" / "GH95")
    (delivered / "German_data" / "sda94").rename(delivered / "German_data" / "sda_german")
    (home / "Topics").rename(home / "TOPICS")
    (home / "TOPICS" / "2003" / "Top-en03.txt").rename(home / "TOPICS" / "2003" / "TOP-EN03.TXT")
    (home / "RelAssess" / "2003").rename(home / "RelAssess" / "relassess2003")
    (home / "RelAssess" / "relassess2003" / "qrels_english").rename(home / "RelAssess" / "relassess2003" / "QRELS_EN.txt")
    (home / "clef-low-resource").rename(home / "ictir19_simulate_low_resource")
    assert missing() == ""
    assert check(Collection("clef/2003"))[1] == []


def test_nothing_is_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XLRANK_COLLECTIONS", str(tmp_path / "data"))
    assert missing() == f"all of it (expected in {tmp_path / 'data' / 'clef'})"
    with pytest.raises(XlrankError) as caught:
        Collection("clef/2003").documents("de")
    assert str(caught.value) == (
        "clef/2003: documents in German (Der Spiegel 94/95) are missing (nothing of the kind is there); obtain them from "
        f"ELRA-E0008, licensed (catalogue.elra.info) and put them at {tmp_path}/data/clef/DocumentData/german/der_spiegel, "
        "or let CLEF_HOME name the folder that holds them"
    )
    assert {one.id for one in listed() if one.missing and one.id.startswith("clef/")} == {f"clef/{year}" for year in YEARS}


def test_parts_are_missing(home: Path) -> None:
    assert missing() == ""
    shutil.rmtree(home / "DocumentData" / "german" / "sda95")
    (home / "Topics" / "2003" / "Top-ru03.txt").unlink()
    (home / "clef-low-resource" / "long_paper" / "clef-en-2000-2003_UYGHUR.txt").unlink()
    (home / "clef-low-resource" / "long_paper" / "clef-en-2000-2003-wo-narrative-Day-2_SOMALI.txt").unlink()
    (home / "RelAssess" / "2003" / "qrels_finnish").unlink()
    assert missing() == "documents de; topics ru, so, ug; judgements fi"
    assert missing(2002) == "topics so, ug"
    collection = Collection("clef/2003")
    refusals: dict[Callable[[], object], list[str]] = {
        lambda: collection.documents("de"): [
            "SDA German 95",
            "present are Der Spiegel 94/95, Frankfurter Rundschau 94, SDA German 94)",
            "ELRA-E0008",
            "german/sda95",
        ],
        lambda: collection.topics("ru"): ["topics in Russian", "present are de, en,", "ELRA-E0008", "Topics/2003/Top-ru03.txt"],
        lambda: collection.topics("ug"): [
            "topics in Uyghur",
            "https://madata.bib.uni-mannheim.de/401/",
            "long_paper/clef-en-2000-2003_UYGHUR.txt",
        ],
        lambda: collection.topics("so"): ["topics in Somali", "ictir19_simulate_low_resource", "Day-2_SOMALI.txt"],
        lambda: collection.qrels("fi"): ["judgements of the documents in Finnish", "RelAssess/2003/qrels_finnish"],
    }
    for read, parts in refusals.items():
        with pytest.raises(XlrankError) as caught:
            read()
        message = str(caught.value)
        assert message.startswith("clef/2003: ") and "\n" not in message and "CLEF_HOME" not in message
        assert [part for part in parts if part not in message] == []
    assert (
        "files de: Der Spiegel 94/95 2, Frankfurter Rundschau 94 2, SDA German 94 2, SDA German 95 missing"
        in check(collection)[0]
    )


def test_only_the_languages_asked_for_are_checked(home: Path) -> None:
    for part in ("DocumentData/finnish", "DocumentData/german", "RelAssess/2003"):
        for path in (home / part).rglob("*"):
            if path.is_file() and not path.name.lower().endswith(("en", "english")):
                path.unlink()
    assert len(check(Collection("clef/2003"))[1]) > 3
    facts, problems = check(Collection("clef/2003/ky-en"))
    assert problems == []
    assert not [line for line in facts if line.startswith(("files de", "documents de", "files fi"))]
    (home / "Topics").rename(home / "No topics")
    shutil.rmtree(home / "clef-low-resource")
    [problem] = check(Collection("clef/2003/ky-en"))[1]
    assert problem.startswith("clef/2003: topics in Kyrgyz are missing")


def test_a_file_of_another_year(home: Path) -> None:
    shutil.copy(home / "Topics" / "2002" / "Top-en02.txt", home / "Topics" / "2003" / "Top-en03.txt")
    shutil.copy(home / "RelAssess" / "2002" / "qrels_english", home / "RelAssess" / "2003" / "qrels_english")
    problems = check(Collection("clef/2003"))[1]
    assert any("Top-en03.txt: topic 91 is of another year, expected 141 to 200" in problem for problem in problems)
    assert any("qrels_english: topic '91' is not of this year" in problem for problem in problems)


@pytest.mark.parametrize("id", ["clef", "clef/", "clef/1999", "clef/2004/ky-en", "clef/2003/more", "clef/02003"])
def test_unknown_years(id: str) -> None:
    with pytest.raises(XlrankError, match=r"unknown collection '.*'; expected clef/YEAR, of the years 2000, 2001, 2002, 2003"):
        Collection(id)


def test_expected_counts() -> None:
    counts = ClefSource("clef/2001", "2001").expected_counts()
    assert counts == {f"topics.{language}": 50 for language in ("de", "en", "it", "nl", *LOW_RESOURCE)}
