"""An evaluation on the small collection: what is written, re-used, left out with a note, and refused before it starts."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import make_adapter, make_ranking
from xlrank.bases import Base
from xlrank.collections import Collection
from xlrank.errors import XlrankError
from xlrank.evaluation import evaluate
from xlrank.experiment import Plan, run_plan
from xlrank.experiment.stages import Stages
from xlrank.modules import Module
from xlrank.ranking import Ranker
from xlrank.ranking.scorer import Scorer
from xlrank.retrieval.dense import DenseRetriever
from xlrank.runs import Run

RANKERS = ["monobert", "query", "document", "split"]


def silent(_description: str) -> Callable[[int, int], None]:
    return lambda _done, _total: None


@pytest.fixture(scope="module")
def modules(tiny_base: Base, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    folder = tmp_path_factory.mktemp("modules")
    made = {code: make_adapter(tiny_base, code, seed) for seed, code in enumerate(("ky", "tr", "en", "de"))}
    made |= {"rank": make_ranking(tiny_base, 8), "monobert": make_ranking(tiny_base, 9, "full")}
    return {name: str(module.save(folder / name)) for name, module in made.items()}


@pytest.fixture
def plan(
    small_collection: Path, tiny_bert_folder: Path, modules: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Plan:
    monkeypatch.setenv("XLRANK_CACHE", str(tmp_path / "cache"))
    return Plan(collection=f"folder:{small_collection}", base=str(tiny_bert_folder), precision="fp32", modules=modules, depth=4)


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "out"


def forbid(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make every use of the encoder a failure."""

    def failing(*_: Any, **__: Any) -> None:  # noqa: ANN401
        raise AssertionError("the encoder was used")

    monkeypatch.setattr(Scorer, "__call__", failing)
    monkeypatch.setattr(DenseRetriever, "embed", failing)


def count(monkeypatch: pytest.MonkeyPatch, owner: type, name: str) -> list[Any]:
    """The calls of a method, by their query language or first argument."""
    original, calls = getattr(owner, name), []

    def counting(self: Any, *arguments: Any, **options: Any) -> Any:  # noqa: ANN401
        calls.append(options.get("query_language") or arguments[0])
        return original(self, *arguments, **options)

    monkeypatch.setattr(owner, name, counting)
    return calls


def test_the_default_plan(plan: Plan, out: Path) -> None:
    results = run_plan(plan, out, silent)
    assert results == json.loads((out / "results.json").read_text())
    assert set(results) == {
        "xlrank",
        "date",
        "collection",
        "documents",
        "fields",
        "depth",
        "first_stage",
        "base",
        "precision",
        "baseline",
        "metrics",
        "rows",
        "notes",
    }
    assert [(row["language"], row["system"]) for row in results["rows"]] == [
        (x, s) for x in ("ky", "tr") for s in ("dense", *RANKERS)
    ]
    assert [row["composition"] for row in results["rows"][:5]] == [None, "monobert", "ky+rank", "en+rank", "split(ky,en)+rank"]
    assert results["metrics"] == ["map", "ndcg@10", "mrr", "recall@100"]
    assert (results["baseline"], results["precision"], results["depth"]) == ("dense", "fp32", 4)
    qrels = Collection(plan.collection).qrels("en")
    for row in results["rows"]:
        run = Run.read(out / row["run"])
        assert row["per_topic"] == evaluate(run, qrels)
        assert row["metrics"]["map"] == pytest.approx(sum(row["per_topic"]["map"].values()) / 3)
        assert run.metadata["method"] == row["system"]
        assert (row["comparison"] is None) == (row["system"] == "dense")
        assert len(row["modules"]) == (row["composition"] or "").count("+") + (row["composition"] or "").count(",") + bool(
            row["composition"]
        )


def test_files(plan: Plan, out: Path) -> None:
    run_plan(replace(plan, languages=("ky",), systems=("dense", "split", "split(tr,en)+rank")), out, silent)
    assert sorted(path.name for path in out.iterdir() if not path.name.startswith(".")) == ["results.json", "runs"]
    assert [path.name for path in sorted((out / "runs").iterdir())] == [
        "ky-en.dense.trec",
        "ky-en.split.trec",
        "ky-en.split_tr_en_+rank.trec",
    ]
    assert not list(out.rglob("*.jsonl")), "a journal was left behind"


def test_rankers_re_order_the_candidates(plan: Plan, out: Path) -> None:
    run_plan(replace(plan, languages=("ky",), systems=("dense", "split", "query")), out, silent)
    dense, split, query = (Run.read(out / "runs" / f"ky-en.{name}.trec") for name in ("dense", "split", "query"))
    for topic, ranking in dense.rankings.items():
        before, after = [d for d, _ in ranking], [d for d, _ in split.rankings[topic]]
        assert sorted(before[:4]) == sorted(after[:4])
        assert before[4:] == after[4:]
    assert len({str(run.scores()) for run in (dense, split, query)}) == 3


def test_a_stage_scores_as_the_ranker_does(plan: Plan, out: Path, tiny_base: Base, modules: dict[str, str]) -> None:
    run_plan(replace(plan, languages=("ky",), systems=("document",)), out, silent)
    composition = Module.load(modules["en"]) + Module.load(modules["rank"])
    collection = Collection(plan.collection)
    dense = Run.read(out / "runs" / "ky-en.dense.trec")
    expected = Ranker(tiny_base, composition, precision="fp32").rerank(
        dense, collection, query_language="ky", document_language="en", depth=4
    )
    found = Run.read(out / "runs" / "ky-en.document.trec").scores()
    assert all(found[topic] == pytest.approx(scores, abs=1e-5) for topic, scores in expected.scores().items())


def test_a_second_run_re_uses_every_stage(plan: Plan, out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = run_plan(plan, out, silent)
    forbid(monkeypatch)
    monkeypatch.setattr("xlrank.experiment.pipeline._measure", lambda *_: pytest.fail("measured again"))
    second = run_plan(plan, out, silent)
    assert {**second, "date": first["date"]} == first


def test_a_first_stage_that_finds_nothing_for_a_topic_is_re_used_too(
    plan: Plan, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = Path(plan.collection.removeprefix("folder:")) / "translations"
    folder.mkdir()
    (folder / "ky-en.tsv").write_text("1\triver\n2\tschool\n10\tnowhere\n")
    scores: dict[str, dict[str, float]] = {"1": {"d1": 2.0, "d6": 1.0}, "2": {"d2": 1.0}}
    monkeypatch.setattr(Stages, "_bm25", lambda _self, _queries: Run.of("bm25", scores))
    small = replace(plan, languages=("ky",), systems=("bm25", "query"), first_stage="bm25")
    first = run_plan(small, out, silent)
    assert first["baseline"] == "bm25"
    assert first["rows"][0]["per_topic"]["map"]["10"] == 0
    forbid(monkeypatch)
    assert run_plan(small, out, silent)["rows"] == first["rows"]


def test_a_changed_topic_runs_its_language_again(plan: Plan, out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    small = replace(plan, systems=("dense", "split"))
    run_plan(small, out, silent)
    path = Path(plan.collection.removeprefix("folder:")) / "topics.ky.tsv"
    path.write_text(path.read_text().replace("алма базар", "алма"))
    searched, reranked = count(monkeypatch, DenseRetriever, "search"), count(monkeypatch, Ranker, "rerank")
    run_plan(small, out, silent)
    assert len(searched) == 1
    assert reranked == ["ky"]


@pytest.mark.parametrize("change", [{"depth": 3}, {"fields": "title"}, {"precision": "int8"}], ids=str)
def test_changed_settings_run_the_ranker_again(
    plan: Plan, out: Path, change: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    small = replace(plan, languages=("ky",), systems=("split",))
    run_plan(small, out, silent)
    reranked = count(monkeypatch, Ranker, "rerank")
    run_plan(replace(small, **change), out, silent)
    assert len(reranked) == 1


def test_a_changed_module_runs_the_ranker_again(
    plan: Plan, out: Path, tiny_base: Base, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    small = replace(plan, languages=("ky",), systems=("split", "document"))
    run_plan(small, out, silent)
    reranked = count(monkeypatch, Ranker, "rerank")
    other = str(make_adapter(tiny_base, "ky", 77).save(tmp_path / "other"))
    run_plan(replace(small, modules={**plan.modules, "ky": other}), out, silent)
    assert len(reranked) == 1


def test_changed_judgements_are_measured_but_nothing_is_run(plan: Plan, out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    small = replace(plan, languages=("ky",), systems=("dense",))
    before = run_plan(small, out, silent)["rows"][0]
    with (Path(plan.collection.removeprefix("folder:")) / "qrels.txt").open("a") as stream:
        stream.write("".join(f"10 0 d{i} 1\n" for i in (1, 2, 5, 6)))
    forbid(monkeypatch)
    after = run_plan(small, out, silent)["rows"][0]
    assert after["metrics"]["map"] != before["metrics"]["map"]


def test_a_damaged_run_is_made_anew(plan: Plan, out: Path) -> None:
    small = replace(plan, languages=("ky",), systems=("dense", "query"))
    first = run_plan(small, out, silent)
    for name, content in (("dense", "1 Q0"), ("query", "")):
        (out / "runs" / f"ky-en.{name}.trec").write_text(content)
    (out / "results.json").write_text("{")
    second = run_plan(small, out, silent)
    assert [row["metrics"] for row in second["rows"]] == [row["metrics"] for row in first["rows"]]


def test_an_interrupted_ranker_continues(plan: Plan, out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    small = replace(plan, languages=("ky",), systems=("split",))
    monkeypatch.setattr("xlrank.ranking.ranker.BATCH_TOKENS", 40)
    whole = run_plan(small, out / "whole", silent)
    scored = count(monkeypatch, Scorer, "__call__")

    def interrupting(description: str) -> Callable[[int, int], None]:
        def report(done: int, total: int) -> None:
            if description == "ky-en split" and 2 * done > total:
                raise KeyboardInterrupt

        return report

    with pytest.raises(KeyboardInterrupt):
        run_plan(small, out / "parts", interrupting)
    assert not (out / "parts" / "results.json").exists()
    half = len(scored)
    parts = run_plan(small, out / "parts", silent)
    assert half < len(scored) < 2 * half
    assert parts["rows"][0]["per_topic"] == whole["rows"][0]["per_topic"]
    assert parts["rows"][0]["pairs_per_second"] is None, "only a part of the pairs was timed"
    assert not list(out.rglob("*.jsonl"))


def test_bm25_is_left_out_with_a_note_where_nothing_is_translated(plan: Plan, out: Path) -> None:
    notes = run_plan(replace(plan, languages=("ky",)), out, silent)["notes"]
    assert len(notes) == 1
    assert notes[0].startswith("bm25 left out: bm25 searches with translated topics: ")
    assert "ky-en.tsv is missing" in notes[0]


def test_a_stand_in_is_noted(plan: Plan, out: Path) -> None:
    modules = {name: path for name, path in plan.modules.items() if name != "tr"}
    results = run_plan(replace(plan, languages=("tr",), systems=("query",), modules=modules), out, silent)
    composition = results["rows"][0]["composition"]
    assert composition.startswith("tr~")
    assert results["notes"] == [f"{composition.removesuffix('+rank')}: no module for tr, its nearest relative with one stands in"]


def test_a_language_given_twice_is_run_once(plan: Plan, out: Path) -> None:
    results = run_plan(replace(plan, languages=("ky", "kg", "Kyrgyz"), systems=("dense",)), out, silent)
    assert [row["language"] for row in results["rows"]] == ["ky"]


def test_a_system_given_twice_is_run_once(plan: Plan, out: Path) -> None:
    results = run_plan(replace(plan, languages=("ky",), systems=("dense", " dense", "ky+rank", "ky + rank")), out, silent)
    assert [row["system"] for row in results["rows"]] == ["dense", "ky+rank"]


def test_the_other_document_language(plan: Plan, out: Path) -> None:
    results = run_plan(replace(plan, documents="German", languages=("ky",), systems=("dense", "split")), out, silent)
    assert results["documents"] == "de"
    assert results["rows"][1]["composition"] == "split(ky,de)+rank"
    assert results["rows"][0]["run"] == "runs/ky-de.dense.trec"


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"collection": "clef"}, "unknown collection 'clef'"),
        ({"collection": "folder:/no/where"}, "is no folder"),
        ({"languages": ("ky", "xx")}, "unknown language 'xx'"),
        ({"languages": ("en",)}, "has no topics in 'en'; there are ky, tr"),
        ({"documents": "fi"}, "has no documents in 'fi'"),
        ({"systems": ("dense", "split(ky")}, r"system 'split\(ky': not one of"),
        ({"systems": ("dense", "nothing")}, "module 'nothing': no such folder"),
        ({"systems": ("dense", "bm25")}, "bm25 searches with translated topics"),
        ({"first_stage": "bm25"}, "bm25 searches with translated topics"),
        ({"first_stage": "split"}, "first stage 'split': expected one of bm25, dense"),
        ({"fields": "title+body"}, r"fields 'title\+body': expected title, description or title\+description"),
        ({"fields": ""}, "fields '': expected"),
        ({"depth": 0}, "depth 0: expected at least 1"),
        ({"precision": "fp8"}, "unknown precision 'fp8'"),
        ({"base": "no/such-base"}, "base 'no/such-base' cannot be loaded"),
        ({"systems": ("dense", "query"), "modules": {}}, "was made for base|no such folder|no language module"),
        ({"systems": ("dense", "ky")}, "composition 'ky': it needs a ranking module to give scores"),
        ({"systems": ("dense", "average(ky,en)")}, "it needs a ranking module to give scores"),
        ({"systems": ("dense", "rank+ky")}, "has an invertible adapter, which works on the embeddings; put it lowest"),
        ({"systems": ("dense", "split(monobert,ky)+rank")}, "the two sides of a split must be of one kind"),
        ({"systems": ("dense", "split(monobert,monobert)+rank")}, "a split needs adapters or LoRAs; a full module changes"),
        ({"systems": ("dense", "subtract(ky,en)+rank")}, "only masks and LoRAs are differences to a base"),
        ({"systems": ("dense", "drop(monobert,1)")}, "only adapters can be left out of single layers"),
        ({"systems": ("dense", "scale(ky,x)+rank")}, r"system 'scale\(ky,x\)\+rank': not one of .* scale takes a number"),
    ],
    ids=lambda value: str(value) if isinstance(value, dict) else "",
)
def test_a_bad_plan_is_refused_before_anything_is_done(
    plan: Plan, out: Path, change: dict[str, Any], problem: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    forbid(monkeypatch)
    with pytest.raises(XlrankError, match=problem) as caught:
        run_plan(replace(plan, **change), out, silent)
    assert "\n" not in str(caught.value)
    assert not out.exists()


def test_topics_without_the_field_are_refused(plan: Plan, out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    forbid(monkeypatch)
    path = Path(plan.collection.removeprefix("folder:")) / "topics.tr.tsv"
    path.write_text(path.read_text().replace("elma pazar\t", "elma pazar").replace("pazar ve elma", ""))
    with pytest.raises(XlrankError, match=r"topic '10' \(tr\) has no description"):
        run_plan(replace(plan, fields="description"), out, silent)
    assert not out.exists()


def test_bad_judgements_are_refused(plan: Plan, out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    forbid(monkeypatch)
    with (Path(plan.collection.removeprefix("folder:")) / "qrels.txt").open("a") as stream:
        stream.write("1 0 d99 1\n")
    with pytest.raises(XlrankError, match="judges document 'd99'"):
        run_plan(plan, out, silent)
    assert not out.exists()


def test_a_results_folder_that_cannot_be_written_is_refused(plan: Plan, out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    forbid(monkeypatch)
    out.write_text("a file")
    with pytest.raises(XlrankError, match="cannot be written"):
        run_plan(plan, out, silent)
    assert out.read_text() == "a file"
