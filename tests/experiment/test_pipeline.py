"""An evaluation on the small collection: what is written, re-used, left out with a note, and refused before it starts."""

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import make_adapter
from tests.experiment.plans import RANKERS, Options, count, folder_of, forbid, run
from xlrank.bases import Base
from xlrank.collections import Collection
from xlrank.collections.reading import read_qrels
from xlrank.errors import XlrankError
from xlrank.evaluation import evaluate
from xlrank.experiment.options import experiment_of
from xlrank.modules import Module
from xlrank.progress import Progress
from xlrank.ranking import Ranker
from xlrank.ranking.cross import CrossEncoder
from xlrank.retrieval.dense import DenseRetriever
from xlrank.retrieval.fusion import fuse
from xlrank.retrieval.lexical import Lexical
from xlrank.retrieval.methods import Dense
from xlrank.runs import Run, metadata_path


def test_the_default_plan(plan: Options, out: Path) -> None:
    results = run(plan, out)
    assert results == json.loads((out / "results.json").read_text())
    assert set(results) == {
        *("format", "xlrank", "date", "name", "title", "experiment", "command", "environment", "precision"),
        *("metrics", "tests", "treatment", "rows", "notes"),
    }
    assert [(row["language"], row["system"]) for row in results["rows"]] == [
        (x, s) for x in ("ky", "tr") for s in ("dense", *RANKERS)
    ]
    assert [row["composition"] for row in results["rows"][:5]] == [None, "monobert", "ky+cross", "en+cross", "split(ky,en)+cross"]
    assert results["metrics"] == ["map", "ndcg@10", "mrr", "recall@100"]
    assert (results["tests"]["baseline"], results["precision"], results["experiment"]["depth"]) == ("dense", "fp32", 4)
    qrels = Collection(plan["collection"]).qrels("en")
    for row in results["rows"]:
        found = Run.read(out / row["run"])
        assert row["per_topic"] == evaluate(found, qrels)
        assert row["metrics"]["map"] == pytest.approx(sum(row["per_topic"]["map"].values()) / 3)
        assert row["intervals"]["map"][0] <= row["metrics"]["map"] <= row["intervals"]["map"][1]
        assert found.metadata["method"] == row["system"]
        assert (row["comparison"] is None) == (row["system"] == "dense")
        assert len(row["modules"]) == len(re.findall(r"[+,]", row["composition"] or "")) + bool(row["composition"])


def test_costs(plan: Options, out: Path) -> None:
    dense, split = run(plan, out, languages=["ky"], systems=["dense", "split"])["rows"]
    assert split["cost"]["pairs"] == 3 * 4
    assert split["cost"]["pairs_per_second"] == pytest.approx(12 / split["cost"]["seconds"], rel=0.2)
    assert 0 < split["cost"]["ms_per_query"]["median"] <= split["cost"]["ms_per_query"]["p95"]
    assert split["cost"]["peak_memory_mb"] > 10
    assert split["cost"]["module_bytes"] == sum(module["bytes"] for module in split["modules"].values()) > 1000
    assert dense["cost"]["module_bytes"] is None
    assert dense["cost"]["ms_per_query"] is None
    assert split["candidates"] == dense["run"]


def test_files(plan: Options, out: Path) -> None:
    run(plan, out, languages=["ky"], systems=["dense", "split", "split(tr,en)+cross", "ens(split)"])
    names = sorted(path.name for path in out.iterdir() if not path.name.startswith("."))
    assert names == ["qrels", "results.json", "runs", "texts"]
    systems = ["dense", "ens_split_", "split", "split_tr_en_+cross"]
    assert sorted(path.name for path in (out / "runs" / "small").iterdir()) == sorted(
        f"ky-en.{name}.trec{end}" for name in systems for end in ("", ".meta.yaml")
    )
    qrels = read_qrels(out / "qrels" / "small.en.txt")
    assert qrels == Collection(plan["collection"]).qrels("en")
    texts = {path.name: [json.loads(line) for line in path.read_text().splitlines()] for path in (out / "texts").iterdir()}
    assert sorted(texts) == ["small.documents.en.jsonl", "small.topics.ky.jsonl"]
    assert {"id": "2", "text": "шайлоо мектеп жана шайлоо"} in texts["small.topics.ky.jsonl"]
    assert {"id": "d1", "text": "River bridge. the bridge of the river and the water"} in texts["small.documents.en.jsonl"]
    assert not list((out / ".journal").glob("*")), "a journal was left behind"


def test_an_ensemble_averages_ranks(plan: Options, out: Path) -> None:
    rows = run(plan, out, languages=["ky"], systems=["dense", "split", "ens(split)"])["rows"]
    assert [row["candidates"] for row in rows] == [None, rows[0]["run"], rows[0]["run"]]
    assert rows[2]["cost"]["seconds"] >= rows[0]["cost"]["seconds"] + rows[1]["cost"]["seconds"]
    dense, split, both = (Run.read(out / "runs" / "small" / f"ky-en.{name}.trec") for name in ("dense", "split", "ens_split_"))
    for topic, ranking in both.rankings.items():
        ranks = [{d: i for i, (d, _) in enumerate(one.rankings[topic], 1)} for one in (dense, split)]
        assert [score for _, score in ranking] == [-(ranks[0][d] + ranks[1][d]) / 2 for d, _ in ranking]


def test_a_fusion_takes_its_parts_from_their_runs(plan: Options, out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = count(monkeypatch, Dense, "run")
    fusion = "rrf(dense, dense(max_length=16))"
    dense, fused = run(plan, out, languages=["ky"], systems=["dense", fusion])["rows"]
    assert len(calls) == 2
    parts = [Run.read(out / "runs" / "small" / f"ky-en.{name}.trec") for name in ("dense", "dense_max_length_16_")]
    assert Run.read(out / fused["run"]).scores() == fuse(parts).scores()
    seconds = [part.metadata["cost"]["seconds"] for part in parts]
    assert dense["cost"]["seconds"] == seconds[0]
    assert fused["cost"]["seconds"] >= sum(seconds) > 0
    assert run(plan, out, languages=["ky"], systems=["dense", fusion])["rows"][1]["cost"] == fused["cost"]
    assert len(calls) == 2


def test_a_first_stage_that_finds_nothing(plan: Options, out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    nothing = "bm25s(as-is)"
    row = run(plan, out, languages=["ky"], systems=[nothing])["rows"][0]
    assert row["per_topic"]["map"] == {"1": 0, "2": 0, "10": 0}
    calls = count(monkeypatch, Lexical, "run")
    assert run(plan, out, languages=["ky"], systems=[nothing])["rows"][0] == row
    assert not calls, "made a second time"


def test_a_budget_of_topics(plan: Options, out: Path) -> None:
    row = run(plan, out, languages=["ky"], systems=["split"], budget={"topics": 2, "latency_topics": 0})["rows"][0]
    assert set(row["per_topic"]["map"]) == {"1", "2"}
    assert row["cost"]["pairs"] == 2 * 4
    assert row["cost"]["ms_per_query"] is None


def test_a_budget_of_minutes_leaves_the_rest_for_another_time(plan: Options, out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        clock = iter(range(0, 10**6, 40))
        patch.setattr("xlrank.experiment.pipeline.monotonic", lambda: next(clock))
        short = run(plan, out, languages=["ky"], systems=["dense", "split", "query"], budget={"minutes": 1.5})
    assert [row["system"] for row in short["rows"]] == ["dense", "split"]
    assert short["notes"] == [f"{plan['collection']} ky-en query: not made, the budget of 1.5 minutes was used up"]
    assert len(run(plan, out, languages=["ky"], systems=["dense", "split", "query"])["rows"]) == 3


def test_the_original_test_beside_ours(plan: Options, out: Path) -> None:
    rows = run(plan, out, languages=["ky"], systems=["dense", "split"], reference=True)["rows"]
    assert rows[0]["reference_comparison"] is None
    assert rows[1]["reference_comparison"]["label"] == "original"
    assert rows[1]["reference_comparison"]["baseline"] == "dense"


def test_a_newer_results_folder_is_left_alone(plan: Options, out: Path) -> None:
    out.mkdir()
    (out / "results.json").write_text('{"format": 99, "xlrank": "9.9", "rows": []}')
    with pytest.raises(XlrankError, match=r"written by a newer xlrank \(9\.9\)"):
        run(plan, out, languages=["ky"], systems=["dense"])


def test_rankers_re_order_the_candidates(plan: Options, out: Path) -> None:
    run(plan, out, languages=("ky",), systems=("dense", "split", "query"))
    dense, split, query = (Run.read(out / "runs" / "small" / f"ky-en.{name}.trec") for name in ("dense", "split", "query"))
    for topic, ranking in dense.rankings.items():
        before, after = [d for d, _ in ranking], [d for d, _ in split.rankings[topic]]
        assert sorted(before[:4]) == sorted(after[:4])
        assert before[4:] == after[4:]
    assert len({str(run.scores()) for run in (dense, split, query)}) == 3


def test_a_stage_scores_as_the_ranker_does(plan: Options, out: Path, tiny_base: Base, modules: dict[str, str]) -> None:
    run(plan, out, languages=("ky",), systems=("document",))
    composition = Module.load(modules["en"]) + Module.load(modules["cross"])
    collection = Collection(plan["collection"])
    dense = Run.read(out / "runs" / "small" / "ky-en.dense.trec")
    expected = Ranker(tiny_base, composition, precision="fp32").rerank(
        dense, collection, query_language="ky", document_language="en", depth=4
    )
    found = Run.read(out / "runs" / "small" / "ky-en.document.trec").scores()
    assert all(found[topic] == pytest.approx(scores, abs=1e-5) for topic, scores in expected.scores().items())


def test_a_second_run_re_uses_every_stage(plan: Options, out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = run(plan, out)
    forbid(monkeypatch)
    monkeypatch.setattr("xlrank.experiment.results._figures", lambda *_: pytest.fail("measured again"))
    second = run(plan, out)
    assert {**second, "date": first["date"]} == first


def test_a_first_stage_that_finds_nothing_for_a_topic_is_re_used_too(
    plan: Options, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = folder_of(plan) / "translations"
    folder.mkdir()
    (folder / "ky-en.tsv").write_text("1\triver\n2\tschool\n10\tnowhere\n")
    scores: dict[str, dict[str, float]] = {"1": {"d1": 2.0, "d6": 1.0}, "2": {"d2": 1.0}}
    monkeypatch.setattr(Lexical, "run", lambda _self, _search: Run.of("bm25", scores))
    small = plan | dict(languages=("ky",), systems=("bm25", "query"), first_stage="bm25")
    first = run(small, out)
    assert first["tests"]["baseline"] == "bm25"
    assert first["rows"][0]["per_topic"]["map"]["10"] == 0
    forbid(monkeypatch)
    assert run(small, out)["rows"] == first["rows"]


def test_a_changed_topic_runs_its_language_again(plan: Options, out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    small = plan | dict(systems=("dense", "split"), budget={"latency_topics": 0})
    run(small, out)
    path = folder_of(plan) / "topics.ky.tsv"
    path.write_text(path.read_text().replace("алма базар", "алма"))
    searched, reranked = count(monkeypatch, DenseRetriever, "search"), count(monkeypatch, Ranker, "rerank")
    run(small, out)
    assert len(searched) == 1
    assert reranked == ["ky"]


@pytest.mark.parametrize("change", [{"depth": 3}, {"fields": "title"}, {"precision": "int8"}, {"max_length": 20}], ids=str)
def test_changed_settings_run_the_ranker_again(
    plan: Options, out: Path, change: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    small = plan | dict(languages=("ky",), systems=("split",), budget={"latency_topics": 0})
    run(small, out)
    reranked = count(monkeypatch, Ranker, "rerank")
    run(small, out, **change)
    assert len(reranked) == 1


def test_a_changed_module_runs_the_ranker_again(
    plan: Options, out: Path, tiny_base: Base, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    small = plan | dict(languages=("ky",), systems=("split", "document"), budget={"latency_topics": 0})
    run(small, out)
    reranked = count(monkeypatch, Ranker, "rerank")
    other = str(make_adapter(tiny_base, "ky", 77).save(tmp_path / "other"))
    run(small, out, modules={**plan["modules"], "ky": other})
    assert len(reranked) == 1


def test_changed_judgements_are_measured_but_nothing_is_run(plan: Options, out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    small = plan | dict(languages=("ky",), systems=("dense",))
    before = run(small, out)["rows"][0]
    with (folder_of(plan) / "qrels.txt").open("a") as stream:
        stream.write("".join(f"10 0 d{i} 1\n" for i in (1, 2, 5, 6)))
    forbid(monkeypatch)
    after = run(small, out)["rows"][0]
    assert after["metrics"]["map"] != before["metrics"]["map"]


def test_a_damaged_run_is_made_anew(plan: Options, out: Path) -> None:
    small = plan | dict(languages=("ky",), systems=("dense", "query"))
    first = run(small, out)
    for name, content in (("dense", "1 Q0"), ("query", "")):
        (out / "runs" / "small" / f"ky-en.{name}.trec").write_text(content)
    (out / "results.json").write_text("{")
    second = run(small, out)
    assert [row["metrics"] for row in second["rows"]] == [row["metrics"] for row in first["rows"]]


def test_a_run_with_its_metadata_at_its_head_is_used_again(plan: Options, out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And one whose text is no longer that of its metadata is made again."""
    small = plan | dict(languages=("ky",), systems=("dense",))
    before = run(small, out)["rows"][0]
    path = out / before["run"]
    lines, beside = path.read_text(), metadata_path(path)
    path.write_text("".join(f"# ir_metadata.{line}\n" for line in beside.read_text().splitlines()[1:]) + lines)
    beside.unlink()
    with monkeypatch.context() as patched:
        forbid(patched)
        assert run(small, out)["rows"][0] == before
    Run.read(path).write(path)
    path.write_text(lines.replace("d1", "d2", 1))
    calls = count(monkeypatch, Dense, "run")
    assert run(small, out)["rows"][0]["metrics"] == before["metrics"]
    assert len(calls) == 1 and path.read_text() == lines


def test_an_interrupted_ranker_continues(plan: Options, out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    small = plan | dict(languages=("ky",), systems=("split",))
    small["budget"] = {"latency_topics": 0}
    monkeypatch.setattr("xlrank.ranking.cross.BATCH_TOKENS", 40)
    whole = run(small, out / "whole")
    scored = count(monkeypatch, CrossEncoder, "_outputs")

    @contextmanager
    def interrupting(description: str) -> Iterator[Progress]:
        def report(done: int, total: int) -> None:
            if description.endswith("ky-en split") and 2 * done > total:
                raise KeyboardInterrupt

        yield report

    with pytest.raises(KeyboardInterrupt):
        run(small, out / "parts", interrupting)
    assert not (out / "parts" / "results.json").exists()
    half = len(scored)
    parts = run(small, out / "parts")
    assert half < len(scored) < 2 * half
    assert parts["rows"][0]["per_topic"] == whole["rows"][0]["per_topic"]
    assert parts["rows"][0]["cost"]["pairs_per_second"] is None, "only a part of the pairs was timed"
    assert not list(out.glob("*/.journal/*"))


def test_the_default_systems_follow_the_data(plan: Options) -> None:
    plan.pop("systems")

    def names(**changes: Any) -> list[str]:  # noqa: ANN401
        return [system.name for system in experiment_of(**plan, **changes).systems]

    late = ["late", "late-la"]
    assert names(languages=["ky"]) == ["psq", "dense", "fusion", "feedback", *late, "best", *RANKERS]
    folder = folder_of(plan) / "translations"
    folder.mkdir()
    (folder / "ky-en.tsv").write_text("1\triver\n2\tschool\n10\tapple\n")
    assert names(languages=["ky"]) == ["bm25", "psq", "dense", "fusion", "feedback", *late, "best", *RANKERS]
    assert "bm25" not in names(), "tr-en is not translated"
    (folder_of(plan) / "topics.en.tsv").write_text("1\triver\n2\tschool\n10\tapple\n")
    assert names(languages=["en"]) == ["bm25", "dense", *late, *RANKERS]


def test_a_stand_in_is_noted(plan: Options, out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("xlrank.composition.resolve.shipped_modules", list)
    modules = {name: path for name, path in plan["modules"].items() if name != "tr"}
    results = run(plan, out, languages=("tr",), systems=("query+cross",), modules=modules)
    composition = results["rows"][0]["composition"]
    assert composition.startswith("tr~")
    assert results["notes"] == [
        f"{composition.removesuffix('+cross')}: no module for tr, its nearest relative with one stands in"
    ]


def test_a_language_given_twice_is_run_once(plan: Options, out: Path) -> None:
    results = run(plan, out, languages=("ky", "kg", "Kyrgyz"), systems=("dense",))
    assert [row["language"] for row in results["rows"]] == ["ky"]


def test_a_system_given_twice_is_run_once(plan: Options, out: Path) -> None:
    results = run(plan, out, languages=("ky",), systems=("dense", " dense", "ky+cross", "ky + cross"))
    assert [row["system"] for row in results["rows"]] == ["dense", "ky+cross"]


def test_the_other_document_language(plan: Options, out: Path) -> None:
    results = run(plan, out, documents="German", languages=("ky",), systems=("dense", "split"))
    assert results["rows"][0]["documents"] == "de"
    assert results["rows"][1]["composition"] == "split(ky,de)+cross"
    assert results["rows"][0]["run"] == "runs/small/ky-de.dense.trec"
