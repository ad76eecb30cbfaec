"""The main job with everything real: Lucene, the embedded encoder, the shipped modules, ranx."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

import xlrank
from xlrank.runs import Run

SYSTEMS = "bm25,dense,fusion,feedback,late,late-la,best,monobert,query,split,split(mlm/ky,mlm/en)+cross"
DEPTH = 5


def run(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", "xlrank", *words], capture_output=True, text=True, timeout=900, check=False)


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("results") / "ky"
    done = run("eval", "--lang", "ky", "--systems", SYSTEMS, "--depth", str(DEPTH), "--precision", "int8", "--out", str(out))
    assert done.returncode == 0, done.stderr
    assert str(out) in done.stdout.splitlines()[-1]
    return out


def test_one_row_a_system_with_metrics_topics_and_seconds(results: Path) -> None:
    rows = json.loads((results / "results.json").read_text())["rows"]
    assert [row["system"] for row in rows] == [*SYSTEMS.split(",")[:10], "split(mlm/ky,mlm/en)+cross"]
    for row in rows:
        assert set(row["metrics"]) == {"map", "ndcg@10", "mrr", "recall@100"}
        assert len(row["per_topic"]["map"]) == 40
        assert 0.2 < row["metrics"]["map"] < 1
        assert row["cost"]["seconds"] > 0
        assert (row["comparison"] is None) == (row["system"] == "dense")


def test_the_same_composition_under_two_names_gives_the_same_figures(results: Path) -> None:
    rows = {row["system"]: row for row in json.loads((results / "results.json").read_text())["rows"]}
    assert rows["split"]["composition"] == "split(ky,en)+cross"
    assert rows["split"]["metrics"] == rows["split(mlm/ky,mlm/en)+cross"]["metrics"]
    assert rows["split"]["per_topic"]["map"] != rows["query"]["per_topic"]["map"]


def test_fusion_and_feedback_find_more_than_dense_retrieval(results: Path) -> None:
    rows = {row["system"]: row["metrics"]["map"] for row in json.loads((results / "results.json").read_text())["rows"]}
    assert rows["feedback"] > rows["fusion"] > rows["dense"]


def test_late_interaction_pays(results: Path) -> None:
    rows = {row["system"]: row["metrics"]["map"] for row in json.loads((results / "results.json").read_text())["rows"]}
    assert rows["best"] > rows["late"] > rows["dense"]
    assert rows["late-la"] > rows["dense"]


def test_reranking_permutes_the_candidates_and_keeps_the_tail(results: Path) -> None:
    dense, *reranked = (Run.read(results / "runs" / "mini" / f"ky-en.{name}.trec") for name in ("dense", "split", "late"))
    for run_ in reranked:
        for topic, ranking in dense.rankings.items():
            before, after = [d for d, _ in ranking], [d for d, _ in run_.rankings[topic]]
            assert set(before[:DEPTH]) == set(after[:DEPTH])
            assert before[DEPTH:] == after[DEPTH:]


def test_a_second_run_re_uses_every_stage(results: Path) -> None:
    before = {path.name: path.stat().st_mtime_ns for path in (results / "runs" / "mini").iterdir()}
    done = run("eval", "--lang", "ky", "--systems", SYSTEMS, "--depth", str(DEPTH), "--precision", "int8", "--out", str(results))
    assert done.returncode == 0, done.stderr
    assert {path.name: path.stat().st_mtime_ns for path in (results / "runs" / "mini").iterdir()} == before


def test_the_leaderboard_is_there(results: Path) -> None:
    assert "split(ky,en)+cross" in (results / "leaderboard.md").read_text()
    assert "<svg" in (results / "leaderboard.html").read_text()
    assert not list(results.glob(".journal/*"))


def test_the_ten_lines_of_the_readme() -> None:
    documents = xlrank.Collection("mini/ky-en").documents()[:20]
    base = xlrank.Base("xlrank/e5-small")
    ky, rank = xlrank.Module.load("language/ky"), xlrank.Module.load("ranking/en")
    ranker = base + xlrank.split(query=ky, document="none") + rank
    hits = ranker.rank("Кыргызстандагы шайлоо", documents)
    assert [hit.score for hit in hits] == sorted((hit.score for hit in hits), reverse=True)
    assert {hit.document.id for hit in hits} == {document.id for document in documents}
    assert str(ranker.composition) == "split(language/ky,none)+ranking/en"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["eval", "--lang", "xx"], "unknown language 'xx'"),
        (["eval", "--collection", "nonsense"], "unknown collection"),
        (["eval", "--collection", "folder:/nowhere"], "is no folder"),
        (["eval", "--lang", "ky", "--systems", "split(ky"], "is missing at character"),
        (["eval", "--lang", "ky", "--systems", "ky+nonsense"], "module 'nonsense'"),
        (["eval", "--lang", "ky", "--fields", "narrative"], "fields: input should be"),
        (["report", "/nowhere"], "/nowhere"),
        (["module", "show", "language/xx"], "module 'language/xx'"),
        (["evaluate", "--run", "/nowhere.trec"], "/nowhere.trec"),
    ],
)
def test_bad_input_gets_one_line_and_leaves_nothing(words: list[str], said: str, tmp_path: Path) -> None:
    out = tmp_path / "out"
    done = run(*words, *(["--out", str(out)] if words[0] == "eval" else []))
    assert done.returncode == 2
    assert said in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
    assert not out.exists()
