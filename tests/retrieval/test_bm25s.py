"""BM25 without Java: scores by hand and by the package itself, ties, weighted words, and what is refused."""

import math
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from xlrank.collections.records import Document
from xlrank.errors import XlrankError
from xlrank.retrieval import bm25s_index
from xlrank.retrieval.analysis import words
from xlrank.retrieval.bm25s import Bm25s
from xlrank.retrieval.engine import lexical_engine

HAND = {"h1": "zorb plim plim", "h2": "zorb quax quax quax quax", "h3": "plim zorb plim plim vint vint", "h4": "vint", "h5": ""}
DOCUMENTS = [Document(name, text) for name, text in HAND.items()]


@pytest.fixture(scope="module")
def hand(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return Bm25s("so").index(DOCUMENTS, tmp_path_factory.mktemp("indexes"))


def by_formula(query: dict[str, float], k1: float, b: float) -> dict[str, float]:
    texts = {name: text.split() for name, text in HAND.items()}
    average = sum(map(len, texts.values())) / len(texts)
    scores: dict[str, float] = {}
    for name, found in texts.items():
        for term, weight in query.items():
            holders = sum(term in other for other in texts.values())
            idf = math.log(1 + (len(texts) - holders + 0.5) / (holders + 0.5))
            count = found.count(term)
            if count:
                score = weight * idf * count / (count + k1 * (1 - b + b * len(found) / average))
                scores[name] = scores.get(name, 0.0) + score
    return scores


@pytest.mark.parametrize(("k1", "b"), [(0.9, 0.4), (1.2, 0.75), (0.0, 1.0)])
def test_scores_are_those_of_the_formula(tmp_path: Path, k1: float, b: float) -> None:
    engine = Bm25s("so", k1, b)
    run = engine.search(
        engine.index(DOCUMENTS, tmp_path), {"t": "Plim vint, zorb zorb unknown", "none": "unknown", "empty": " "}, 10
    )
    assert set(run.rankings) == {"t"}
    assert run.scores()["t"] == pytest.approx(by_formula({"plim": 1, "vint": 1, "zorb": 2}, k1, b), rel=1e-6)


def test_weighted_words_are_analysed_and_equal_terms_add_up(hand: Path) -> None:
    query = {"plim": 0.25, "PLIM": 0.5, "vint zorb": 0.125, "quax": 0.0}
    run = Bm25s("so").search(hand, {"t": query}, 10)
    assert run.scores()["t"] == pytest.approx(by_formula({"plim": 0.75, "vint": 0.125, "zorb": 0.125}, 0.9, 0.4), rel=1e-6)


def test_the_index_is_the_one_that_the_package_makes(hand: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from bm25s import BM25

    theirs = BM25(k1=0.9, b=0.4, method="lucene")
    theirs.index([words(document.full_text) for document in DOCUMENTS], show_progress=False)
    monkeypatch.setattr(bm25s_index, "CHUNK", 4)  # terms are gathered in several goes
    for folder in (hand, Bm25s("so").index(DOCUMENTS, tmp_path)):
        ours = BM25.load(folder, mmap=True)
        for term in ("zorb", "plim", "vint", "quax"):
            wanted, found = (one.get_scores_from_ids([one.vocab_dict[term]]) for one in (theirs, ours))
            np.testing.assert_allclose(found, wanted, rtol=1e-6)
        assert not list(folder.glob("*.bin"))
        for path in folder.glob("*.npy"):
            assert b"|O" not in path.read_bytes()[:128]


def test_a_cut_among_equal_scores_keeps_the_smaller_ids(tmp_path: Path) -> None:
    engine = Bm25s("en")
    index = engine.index([Document(name, "unusual identifier") for name in ("c", "文", "b", "a", "d")], tmp_path)
    for depth, expected in ((2, ["a", "b"]), (4, ["a", "b", "c", "d"]), (9, ["a", "b", "c", "d", "文"])):
        assert [name for name, _ in engine.search(index, {"t": "Identifiers"}, depth).rankings["t"]] == expected


def test_documents_are_read_once_and_an_index_is_used_again(tmp_path: Path) -> None:
    class Counted(list[Document]):
        reads = 0

        def __iter__(self) -> Iterator[Document]:
            self.reads += 1
            return super().__iter__()

    documents, told = Counted(DOCUMENTS), list[tuple[int, int]]()
    index = Bm25s("so").index(documents, tmp_path, lambda done, total: told.append((done, total)))
    assert told == [(5, 5)]
    assert documents.reads == 2  # once more for the digest, which Documents know
    assert Bm25s("som").index(documents, tmp_path) == index
    assert len(told) == 1
    others = {Bm25s("so", b=0.5).index(documents, tmp_path), Bm25s("so", analysis="prefix").index(documents, tmp_path)}
    assert len(others | {index, Bm25s("sw").index(documents, tmp_path)}) == 4
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".")]


def test_a_failed_build_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(bm25s_index, "_score", full)
    with pytest.raises(XlrankError, match="No space left"):
        Bm25s("so").index(DOCUMENTS, tmp_path)
    assert not list(tmp_path.iterdir())


def test_texts_are_found_however_they_were_typed(tmp_path: Path) -> None:
    """Composed and decomposed letters, soft hyphens and ligatures, in documents and in queries."""
    documents = [Document("d1", "Kyro\u0308n\u00adjoki virtaa"), Document("d2", "o\ufb01sti"), Document("d3", "muuta")]
    bm25 = Bm25s("fi")
    found = bm25.search(bm25.index(documents, tmp_path), {"t": "Kyrönjoki", "u": "ofisti", "v": "Kyro\u0308njoki"}, 5)
    assert {topic: [name for name, _ in ranking] for topic, ranking in found.rankings.items()} == {
        "t": ["d1"],
        "u": ["d2"],
        "v": ["d1"],
    }


def test_documents_without_any_text(tmp_path: Path) -> None:
    index = Bm25s("so").index([Document("a", " "), Document("b", "…")], tmp_path)
    assert Bm25s("so").search(index, {"t": "plim"}, 5).rankings == {}


def test_missing_foreign_and_damaged_indexes(hand: Path, tmp_path: Path) -> None:
    with pytest.raises(XlrankError, match="holds no index of bm25s"):
        Bm25s("so").search(tmp_path, {"t": "plim"}, 5)
    with pytest.raises(XlrankError, match="was built with another language"):
        Bm25s("sw").search(hand, {"t": "plim"}, 5)
    with pytest.raises(XlrankError, match="was built with another k1"):
        Bm25s("so", k1=2).search(hand, {"t": "plim"}, 5)
    for path in hand.iterdir():
        content = path.read_bytes()
        (tmp_path / path.name).write_bytes(content[:10] if path.suffix == ".npy" else content)
    with pytest.raises(XlrankError, match="is damaged; delete the folder") as caught:
        Bm25s("so").search(tmp_path, {"t": "plim"}, 5)
    assert "\n" not in str(caught.value)


def test_bad_input_is_refused(hand: Path, tmp_path: Path) -> None:
    with pytest.raises(XlrankError, match="expected k1 >= 0"):
        Bm25s("so", k1=-1)
    with pytest.raises(XlrankError, match="depth is 0"):
        Bm25s("so").search(hand, {}, 0)
    for weight in (-1.0, math.inf, math.nan):
        with pytest.raises(XlrankError, match="topic 't': the weight of 'plim'"):
            Bm25s("so").search(hand, {"t": {"plim": weight}}, 5)
    with pytest.raises(XlrankError, match="no documents"):
        Bm25s("so").index([], tmp_path)
    with pytest.raises(XlrankError, match="'bm26': unknown; expected one of bm25, bm25s"):
        lexical_engine("bm26", "so")
    assert lexical_engine("bm25s", "Somali", k1=1.2) == Bm25s("so", k1=1.2)
