"""Weighted words, relevance feedback, other people's indexes, and analyzers, with a real Java machine."""

import json
import math
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from xlrank.collections.records import Document
from xlrank.errors import XlrankError
from xlrank.files import write_json
from xlrank.languages import LANGUAGES
from xlrank.retrieval import LuceneBM25, lucene_worker
from xlrank.retrieval.engine import Query
from xlrank.retrieval.lucene import Rm3, anserini_jar, java_home

TEXTS = [
    "The bridge over the river was closed after the flood.",
    "A ferry crosses the river every hour, and the bridge is older than the ferry.",
    "Elections were held in spring; the flood delayed the counting.",
    "The old bridge, the new bridge and the third bridge.",
    "Counting ferries is what children do by the river.",
]
DOCUMENTS = [Document(f"e{i}", text) for i, text in enumerate(TEXTS)]


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """With the documents' terms, which plain searches do not mind."""
    return LuceneBM25("en", rm3=Rm3()).index(DOCUMENTS, tmp_path_factory.mktemp("indexes"))


def in_java(script: str, **values: object) -> dict[str, Any]:
    """What a script leaves in ``result``, run beside the worker's own functions, with Java started."""
    prologue = [
        "import json, sys",
        f"sys.path.insert(0, {str(Path(lucene_worker.__file__).parent)!r})",
        "import lucene_worker as w",
        f"java = w.start({str(anserini_jar())!r}, 'index')",
        "values = json.loads(sys.argv[1])",
    ]
    command = [sys.executable, "-c", "\n".join([*prologue, script, "print(json.dumps(result))"]), json.dumps(values)]
    done = subprocess.run(command, env={"JAVA_HOME": java_home()}, capture_output=True, text=True, check=True)
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def test_weighted_words_are_analysed_and_equal_terms_add_up(index: Path) -> None:
    queries: dict[str, Query] = {
        "text": "bridges bridges floods",
        "weights": {"bridge": 1.5, "Bridges": 0.5, "flood": 1.0, "the": 7.0, "ferry": 0.0},
        "half": {"bridge": 1.0, "floods": 0.5},
        "phrase": {"flooded bridges": 1.0},
        "many": {"bridge": 2.0, "floods": 1.0, **{f"word{i}": 1.0 for i in range(lucene_worker.FEW_TERMS)}},
        "nothing": {"the": 1.0},
        "none": {},
    }
    found = LuceneBM25("en").search(index, queries, 10).scores()
    assert set(found) == {"text", "weights", "half", "phrase", "many"}
    assert found["weights"] == pytest.approx(found["text"], rel=1e-6)
    assert found["many"] == pytest.approx(found["text"], rel=1e-6)
    assert found["half"] == pytest.approx({name: score / 2 for name, score in found["text"].items()}, rel=1e-6)
    assert set(found["phrase"]) == set(found["text"])


def test_bad_weights_and_parameters_are_refused(index: Path) -> None:
    for weight in (-1.0, math.inf, math.nan):
        with pytest.raises(XlrankError, match="topic 't': the weight of 'bridge'"):
            LuceneBM25("en").search(index, {"t": {"bridge": weight}}, 5)
    for values in ({"fb_terms": 0}, {"fb_docs": 0}, {"original_query_weight": 1.5}):
        with pytest.raises(XlrankError, match="expected fb_terms"):
            Rm3(**values)
    with pytest.raises(XlrankError, match="there is no analyzer for 'ky'"):
        LuceneBM25("ky", analysis="lucene")


def test_rm3_is_anserinis(index: Path) -> None:
    """Its own reranker, which does the whole, beside ours, which takes only the relevance model from it."""
    script = """
searcher = w.open_index(java, {"index": values["index"], "k1": 0.9, "b": 0.4})
analyzer = w.analyzer_of(java, "en")
query = java("io.anserini.search.query.BagOfWordsQueryGenerator")().buildQuery("contents", analyzer, values["text"])
docs = java("io.anserini.search.ScoredDocs")
hits = docs.fromTopDocs(searcher.search(query, 2, w.by_score_and_id(java), True), searcher)
settings = java("io.anserini.search.SearchCollection$Args")()
settings.hits = 10
tokens = java("io.anserini.analysis.AnalyzerUtils").analyze(analyzer, values["text"])
context = java("io.anserini.rerank.RerankerContext")(searcher, "", query, "", values["text"], tokens, None, settings)
reranker = java("io.anserini.rerank.lib.Rm3Reranker")(analyzer, None, "contents", 4, 2, 0.3, False, True)
found = reranker.rerank(hits, context)
result = dict(zip(found.docids, found.scores))
"""
    theirs = in_java(script, index=str(index), text="old bridges over the river bridge")
    rm3 = LuceneBM25("en", rm3=Rm3(fb_terms=4, fb_docs=2, original_query_weight=0.3))
    queries: dict[str, Query] = {
        "t": "old bridges over the river bridge",
        "w": {"old": 1.0, "bridge": 2.0, "over": 1.0, "river": 1.0},
        "e": "the",
    }
    run = rm3.search(index, queries, 10)
    assert set(run.rankings) == {"t", "w"}
    assert run.scores()["t"] == pytest.approx(theirs, rel=1e-5)
    assert run.scores()["w"] == pytest.approx(theirs, rel=1e-5)
    assert len(theirs) > len(LuceneBM25("en").search(index, {"t": "old"}, 10).rankings["t"])


def test_a_cut_through_a_crowd_of_equal_scores(tmp_path: Path) -> None:
    crowd = [Document(f"{i:03}", "bridge") for i in range(99, -1, -1)]
    bm25 = LuceneBM25("en")
    run = bm25.search(bm25.index([*crowd, Document("best", "bridge bridge")], tmp_path), {"t": "bridges"}, 4)
    assert [name for name, _ in run.rankings["t"]] == ["best", "000", "001", "002"]


def test_somebody_elses_index_needs_no_files_of_ours(index: Path, tmp_path: Path) -> None:
    for path in index.iterdir():
        if path.name not in ("xlrank.json", "ids.txt"):
            (tmp_path / path.name).write_bytes(path.read_bytes())
    queries = {"t": "bridge", "u": "flood"}
    assert LuceneBM25("en").search(tmp_path, queries, 2) == LuceneBM25("en").search(index, queries, 2)
    assert not (tmp_path / "ids.txt").exists()


def test_an_index_that_was_built_otherwise_is_refused(index: Path, tmp_path: Path) -> None:
    (tmp_path / "segments_1").touch()
    built = json.loads((index / "xlrank.json").read_text())
    for name, value in (("format", 1), ("analysis", "words"), ("software", "anserini-0.1-fatjar.jar")):
        write_json(tmp_path / "xlrank.json", {**built, name: value})
        with pytest.raises(XlrankError, match=f"another {name}, {value!r} instead of .*index the documents again"):
            LuceneBM25("en").search(tmp_path, {"t": "bridge"}, 2)
    write_json(tmp_path / "xlrank.json", {**built, "vectors": False})
    with pytest.raises(XlrankError, match="does not hold the documents' terms"):
        LuceneBM25("en", rm3=Rm3()).search(tmp_path, {"t": "bridge"}, 2)


def test_every_language_of_lucenes_has_its_analyzer() -> None:
    script = """
analyze = java("io.anserini.analysis.AnalyzerUtils").analyze
result = {code: list(analyze(w.analyzer_of(java, code), "xylophone 2003")) for code in values["codes"]}
result["known"] = list(java("io.anserini.analysis.AnalyzerMap").analyzerMap.keySet().toArray())
"""
    codes = [code for code, language in LANGUAGES.items() if language.lucene]
    found = in_java(script, codes=codes)
    assert set(found.pop("known")) | {"en"} == {*codes, "th"}
    assert all(any(term.startswith("xyl") for term in terms) for terms in found.values())
