"""Experiments with late interaction: its systems, a depth of their own, modules that systems bring along, and what is re-used."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import make_adapter, make_late_ranking
from tests.experiment.plans import Options, count, folder_of, forbid, run
from xlrank.bases import Base
from xlrank.collections import Collection
from xlrank.errors import XlrankError
from xlrank.experiment.check import check
from xlrank.experiment.model import Experiment, System
from xlrank.experiment.options import experiment_of
from xlrank.experiment.systems import CROSS_ENCODERS, KNOWN
from xlrank.ranking import Ranker
from xlrank.ranking.vectors import TextVectors
from xlrank.retrieval.dense import DenseRetriever
from xlrank.retrieval.fusion import fuse
from xlrank.retrieval.late import Late
from xlrank.retrieval.methods import ALIASES
from xlrank.runs import Run

SPLIT = "split(query,document)+rank"


@pytest.fixture
def plan(plan: Options, tiny_base: Base, tmp_path: Path) -> Options:
    """The plan with a late ranking module, one query language, and no latency measured."""
    rank = str(make_late_ranking(tiny_base, 11, pooled=0.5).save(tmp_path / "rank"))
    return plan | {"modules": {**plan["modules"], "rank": rank}, "languages": ["ky"], "budget": {"latency_topics": 0}}


def found(out: Path, name: str) -> Run:
    return Run.read(out / "runs" / "small" / f"ky-en.{name}.trec")


def documents_encoded(monkeypatch: pytest.MonkeyPatch) -> Callable[[], int]:
    """How many documents' token or pooled vectors were made by late interaction since the last call."""
    made = [0]
    original = TextVectors.batches

    def counting(self: TextVectors, texts: Any, *arguments: Any) -> Any:  # noqa: ANN401
        made[0] += len(texts) if self.side == "document" else 0
        return original(self, texts, *arguments)

    monkeypatch.setattr(TextVectors, "batches", counting)

    def since() -> int:
        count, made[0] = made[0], 0
        return count

    return since


def test_late_systems(plan: Options, out: Path, tiny_base: Base) -> None:
    results = run(plan, out, systems=["dense", "late", "late-la", "split(query,none)+late()"])
    assert [(row["system"], row["label"], row["composition"]) for row in results["rows"]] == [
        ("dense", "dense retrieval", None),
        ("late", "late interaction", "split(ky,en)+rank"),
        ("late-la", "late interaction, no language modules", "rank"),
        ("split(query,none)+late()", "split(query,none)+late()", "split(ky,none)+late()"),
    ]
    collection, dense = Collection(plan["collection"]), found(out, "dense")
    for name, composition in (("late", SPLIT), ("late-la", "rank"), ("split_query_none_+late__", "split(query,none)+late()")):
        ranker = Ranker(tiny_base, composition, precision="fp32", modules=plan["modules"])
        expected = ranker.rerank(dense, collection, query_language="ky", document_language="en", depth=4)
        scores = found(out, name).scores()
        assert all(scores[topic] == pytest.approx(each, abs=1e-5) for topic, each in expected.scores().items())
    assert len({str(found(out, name).scores()) for name in ("dense", "late", "late-la", "split_query_none_+late__")}) == 4
    assert results["rows"][1]["cost"]["pairs"] == 3 * 4


def test_the_milliseconds_of_a_query_are_measured_with_stored_documents(
    plan: Options, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = documents_encoded(monkeypatch)
    row = run(plan, out, systems=["late"], budget={"latency_topics": 2})["rows"][0]
    assert 0 < row["cost"]["ms_per_query"]["median"] <= row["cost"]["ms_per_query"]["p95"]
    assert made() <= 6


def test_other_query_languages_take_the_documents_from_the_store(
    plan: Options, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = documents_encoded(monkeypatch)
    run(plan, out, systems=["late"], depth=6)
    assert made() == 6
    run(plan, out, systems=["late"], depth=6, languages=["tr"])
    assert made() == 0
    run(plan, out / "elsewhere", systems=["late"], depth=6)
    assert made() == 0


def test_what_is_never_found_is_noted(plan: Options, out: Path) -> None:
    with (folder_of(plan) / "documents.en.jsonl").open("a", encoding="utf-8") as stream:
        stream.write('{"doc_id": "d7", "title": "", "text": "\\u200d"}\n')
    for _ in range(2):  # made, and taken from its file
        notes = run(plan, out, systems=["dense", "late"], depth=7)["notes"]
        assert notes == [f"{plan['collection']} ky-en: document 'd7' has no text and is never found"]


@pytest.mark.parametrize("changed", ["ky", "en", "rank"])
def test_a_changed_module_runs_again_what_uses_it(
    plan: Options, out: Path, changed: str, tiny_base: Base, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    systems = ["dense", "late", "late-la", f"late({SPLIT})", "split(query,none)+late()", "split"]
    run(plan, out, systems=systems)
    reranked, searched = count(monkeypatch, Ranker, "rerank"), count(monkeypatch, Late, "run")
    run(plan, out, systems=systems)
    assert reranked == searched == []
    other = make_late_ranking(tiny_base, 77) if changed == "rank" else make_adapter(tiny_base, changed, 77)
    run(plan, out, systems=systems, modules={**plan["modules"], changed: str(other.save(tmp_path / "other"))})
    assert len(searched) == 1
    assert len(reranked) == {"ky": 3, "en": 2, "rank": 2}[changed]


def test_each_system_may_have_a_depth_of_its_own(plan: Options, out: Path) -> None:
    systems = ["dense", "late", {"name": "split", "depth": 2}, {"name": "late-la", "depth": 5}]
    values = experiment_of(**plan | {"systems": ["dense"]}).plain() | {"systems": systems}
    from xlrank.experiment import run_experiment
    from xlrank.progress import silent

    rows = run_experiment(Experiment.model_validate(values), out, silent)["rows"]
    assert [row["label"] for row in rows] == [
        "dense retrieval",
        "late interaction",
        "RA + LA^Split, first 2",
        "late interaction, no language modules, first 5",
    ]
    assert [row["cost"].get("pairs") for row in rows] == [None, 3 * 4, 3 * 2, 3 * 5]
    dense = found(out, "dense").rankings
    for name, depth in (("late", 4), ("split", 2), ("late-la", 5)):
        made = found(out, name)
        assert made.metadata["depth"] == depth
        for topic, ranking in made.rankings.items():
            before, after = [document for document, _ in dense[topic]], [document for document, _ in ranking]
            assert sorted(before[:depth]) == sorted(after[:depth])
            assert before[depth:] == after[depth:]
        assert any(made.rankings[topic] != dense[topic] for topic in dense)


def test_a_depth_of_its_own_is_re_used_until_it_changes(plan: Options, monkeypatch: pytest.MonkeyPatch, out: Path) -> None:
    from xlrank.experiment import run_experiment
    from xlrank.progress import silent

    base = experiment_of(**plan | {"systems": ["dense"]}).plain()

    def again(**fields: int) -> int:
        reranked.clear()
        systems = {"systems": ["dense", {"name": "split", **fields}]}
        run_experiment(Experiment.model_validate(base | systems), out, silent)
        return len(reranked)

    reranked = count(monkeypatch, Ranker, "rerank")
    assert [again(), again(), again(depth=4), again(depth=3), again(depth=3), again()] == [1, 0, 0, 1, 0, 1]


def test_the_default_cross_encoders_re_order_twenty(plan: Options) -> None:
    options = {name: value for name, value in plan.items() if name not in ("systems", "depth")}

    def depths(**changes: Any) -> dict[str, int | None]:  # noqa: ANN401
        return {system.name: system.depth for system in experiment_of(**options, **changes).systems}

    for changes in ({}, {"depth": 100}, {"depth": 21}):
        assert {name for name, depth in depths(**changes).items() if depth} == set(CROSS_ENCODERS)
        assert {depth for depth in depths(**changes).values() if depth} == {20}
    assert set(depths(depth=20).values()) == {None}
    assert set(depths(systems="split,monobert,late").values()) == {None}, "who names them gets the experiment's depth"


def test_a_known_name_may_have_other_fields() -> None:
    system = System.model_validate({"name": "split", "label": "Mine", "depth": 5})
    assert (system.compose, system.label, system.depth) == (KNOWN["split"]["compose"], "Mine", 5)
    assert System.model_validate({"name": "late"}) == System.model_validate("late")
    assert System.model_validate({"name": "best", "label": "B"}).retrieve == "best"
    own = System.model_validate({"name": "split", "compose": "ky+rank"})
    assert (own.compose, own.label) == ("ky+rank", ""), "another system of the same name"
    with pytest.raises(ValueError, match="system 'mine': expected one of compose, retrieve and ensemble, got none"):
        System.model_validate({"name": "mine", "depth": 5})
    for fields, problem in (({"depth": 5}, "depth"), ({"modules": {"ky": "mlm/ky"}}, "modules")):
        with pytest.raises(ValueError, match=rf"system 'best': {problem} is of rankers only, which compose; what is retrieved"):
            System.model_validate({"name": "best", **fields})


def checked_modules(system: object, modules: dict[str, str], plan: Options) -> list[str]:
    """Where the modules of a system's composition come from."""
    values = experiment_of(**plan | {"systems": ["dense"]}).plain()
    experiment = Experiment.model_validate(values | {"systems": [system], "modules": modules})
    checked = check(experiment)
    (composition,) = checked.compositions.values()
    return [str(leaf.loaded().source) for leaf in composition.leaves()]


def test_a_systems_usual_modules_give_way_to_the_experiments(
    plan: Options, modules: dict[str, str], tiny_base: Base, tmp_path: Path
) -> None:
    for code, seed in (("ky", 31), ("en", 32)):
        make_adapter(tiny_base, code, seed).save(tmp_path / "family" / code)
    cross, family = {"cross": modules["cross"]}, f"{tmp_path}/family/{{language}}"
    with pytest.raises(XlrankError, match="module 'mlm/ky' was made for base"):
        checked_modules("split", cross, plan)
    mine = [f"{tmp_path}/family/ky", f"{tmp_path}/family/en", modules["cross"]]
    assert checked_modules("split", {**cross, "language": family}, plan) == mine
    assert checked_modules({"name": "split", "modules": {"language": family}}, cross, plan) == mine
    mixed = [modules["ky"], f"{tmp_path}/family/en", modules["cross"]]
    assert checked_modules("split", {**cross, "language": family, "ky": modules["ky"]}, plan) == mixed
    own = {"name": "split", "modules": {"ky": modules["ky"], "en": modules["en"]}}
    assert checked_modules(own, {**cross, "language": family}, plan) == [modules["ky"], modules["en"], modules["cross"]]
    other = {"name": "split", "compose": "ky+cross"}
    with pytest.raises(XlrankError, match="'language/ky'|'ky'|ky~en|was made for base") as caught:
        checked_modules(other, cross, plan)
    assert "mlm/" not in str(caught.value), "a system of the same name that does something else"


def test_the_best_takes_its_parts_from_their_runs(plan: Options, out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = f"wsum(late({SPLIT}), bm25s(psq), weights=0.7:0.3)"
    best = f"wsum(rocchio({first}, dense({SPLIT})), rm3({first}, bm25s(psq)), late({SPLIT}), weights=0.35:0.15:0.5)"
    monkeypatch.setitem(ALIASES, "best", best)
    calls = count(monkeypatch, Late, "run")
    late, row = run(plan, out, systems=[f"late({SPLIT})", "best"])["rows"]
    assert len(calls) == 1
    assert row["label"] == "feedback learned from late interaction"
    names = [f"rocchio({first}, dense({SPLIT}))", f"rm3({first}, bm25s(psq))", f"late({SPLIT})"]
    runs = {run.metadata["method"]: run for run in map(Run.read, (out / "runs" / "small").glob("*.trec"))}
    parts = [runs[name] for name in names]
    expected = fuse(parts, "wsum", depth=1000, weights=[0.35, 0.15, 0.5])
    assert Run.read(out / row["run"]).scores() == expected.scores()
    assert row["cost"]["seconds"] >= late["cost"]["seconds"]
    forbid(monkeypatch)
    monkeypatch.setattr(DenseRetriever, "search", lambda *_, **__: pytest.fail("searched again"))
    assert run(plan, out, systems=[f"late({SPLIT})", "best"])["rows"] == [late, row]


def test_a_late_first_stage_is_re_ordered_like_any_other(plan: Options, out: Path) -> None:
    rows = run(plan, out, systems=["first", "late", "ens(late)"], first_stage=f"late({SPLIT})")["rows"]
    assert rows[0]["composition"] is None
    first, again = (Run.read(out / row["run"]).rankings for row in rows[:2])
    for topic in first:
        assert [document for document, _ in first[topic]] == [document for document, _ in again[topic]]


@pytest.mark.parametrize(
    ("systems", "problem"),
    [
        (["rank+cross"], "rank is for late interaction, .*cross for a cross-encoder; use one of them"),
        (["late(split(query,document)+cross)"], "is a cross-encoder's module, which cannot find documents"),
        (["average(query,none)+rank"], r"average\(ky,none\) mixes a module with none; leave the plain part out"),
        (["ky"], "it needs a ranking module to give scores"),
    ],
)
def test_what_cannot_work_is_refused_before_anything_is_done(
    plan: Options, out: Path, systems: list[str], problem: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    forbid(monkeypatch)
    with pytest.raises(XlrankError, match=problem):
        run(plan, out, systems=systems)
    assert not out.exists()


def test_reference_mode_is_refused(plan: Options, out: Path) -> None:
    with pytest.raises(XlrankError, match="reference mode repeats quirks of the original's cross-encoder; .*rank is late"):
        run(plan, out, systems=["late"], reference=True)


def test_runs_of_long_expressions_have_short_names(plan: Options, out: Path, tmp_path: Path) -> None:
    run(plan, out, systems=["dense"])
    names = []
    for name in ("a", "b"):
        given = tmp_path / ("й" * 100) / f"{name}.trec"
        found(out, "dense").write(given)
        names.append(f"rrf(dense, run({given}))")
    rows = run(plan, out, systems=names)["rows"]
    assert rows[0]["run"] != rows[1]["run"]
    for row in rows:
        path = out / row["run"]
        assert path.is_file() and path.name.startswith("ky-en.rrf_dense__run_")
        assert len(path.name.encode()) < 150
