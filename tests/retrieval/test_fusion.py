"""Fusion against formulas written out here, and against ranx itself."""

import json
import os
import random
import statistics
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from itertools import permutations
from pathlib import Path

import pytest

from xlrank.errors import XlrankError
from xlrank.retrieval.fusion import METHODS, NORMALISATIONS, fuse
from xlrank.runs import Run

Rankings = Sequence[Mapping[str, float]]
RANX_METHODS = {"rrf": "rrf", "isr": "isr", "wsum": "wsum", "sum": "sum", "mnz": "mnz", "anz": "anz"} | {
    name: name for name in ("max", "min", "med")
}
RANX_NORMALISATIONS = {"z-score": "zmuv", "none": None} | {name: name for name in ("min-max", "max", "sum", "rank")}

# Without compilation ranx takes seconds to import and no time to compute.
RANX = """
import json, sys
import ranx
from ranx.fusion import fusion_switch
from ranx.normalization import norm_switch

def made(scores):
    run = ranx.Run()
    run.run = {topic: dict(found) for topic, found in scores.items()}
    return run

request, answers = json.load(sys.stdin), []
for method, norm in request["jobs"]:
    runs = [made(scores) for scores in request["runs"]]
    runs = runs if norm is None else [norm_switch(norm)(run) for run in runs]
    fused = fusion_switch(method)(runs, **({"weights": request["weights"]} if method == "wsum" else {}))
    answers.append({topic: {d: float(score) for d, score in found.items()} for topic, found in fused.run.items()})
json.dump(answers, sys.stdout)
"""


def drawn(seed: int, count: int = 3, topics: Sequence[str] = ("1", "2", "3")) -> list[Run]:
    """Runs with some documents and some scores in common; a topic may be missing."""
    rng, runs = random.Random(seed), []
    for number in range(count):
        found = {}
        for topic in topics:
            if rng.random() < 0.8:
                documents = rng.sample([f"d{i}" for i in range(12)], rng.randint(1, 9))
                found[topic] = {d: rng.choice([0.5, 1.0, rng.uniform(0.1, 9)]) for d in documents}
        runs.append(Run.of(f"run{number}", found))
    return runs


def test_reciprocal_ranks_by_hand() -> None:
    one = Run.of("a", {"1": {"x": 9.0, "y": 8.0, "z": 7.0}})
    two = Run.of("b", {"1": {"z": 0.3, "x": 0.2}, "2": {"w": 0.1}})
    fused = fuse([one, two], k=1)
    assert fused.scores()["1"] == pytest.approx({"x": 1 / 2 + 1 / 3, "z": 1 / 4 + 1 / 2, "y": 1 / 3})
    assert fused.scores()["2"] == {"w": 1 / 2}
    assert list(fused.scores()["1"]) == ["x", "z", "y"]
    weighted = fuse([one, two], weights=[1, 2], k=1).scores()["1"]
    assert weighted == pytest.approx({"x": 1 / 2 + 2 / 3, "z": 1 / 4 + 2 / 2, "y": 1 / 3})


def test_the_metadata_name_the_runs() -> None:
    runs = [Run.of("bm25", {"1": {"a": 1.0}}), Run.of("dense", {"1": {"a": 1.0}})]
    fused = fuse(runs, "wsum", weights=[0.7, 0.3], normalisation="z-score", depth=5)
    assert fused.name == "wsum(bm25,dense)"
    named = [{"name": "bm25", "weight": 0.7}, {"name": "dense", "weight": 0.3}]
    expected = {"name": "fusion", "method": "wsum", "depth": 5, "normalisation": "z-score", "runs": named}
    assert fused.metadata == {"method": expected}
    assert fuse(runs).metadata["method"] | {"runs": []} == {"name": "fusion", "method": "rrf", "depth": 1000, "k": 60, "runs": []}


FORMULAS: dict[str, Callable[[str, Rankings], float]] = {
    "rrf": lambda d, found: sum(1 / (60 + list(r).index(d) + 1) for r in found if d in r),
    "isr": lambda d, found: sum(d in r for r in found) * sum((list(r).index(d) + 1) ** -2 for r in found if d in r),
    "mean-rank": lambda d, found: -statistics.mean((list(r).index(d) if d in r else len(r)) + 1 for r in found if r),
    "wsum": lambda d, found: sum(r.get(d, 0) for r in found),
    "sum": lambda d, found: sum(r.get(d, 0) for r in found),
    "mnz": lambda d, found: sum(r.get(d, 0) for r in found) * sum(d in r for r in found),
    "anz": lambda d, found: sum(r.get(d, 0) for r in found) / sum(d in r for r in found),
    "max": lambda d, found: max(r[d] for r in found if d in r),
    "min": lambda d, found: min(r[d] for r in found if d in r),
    "med": lambda d, found: statistics.median(r[d] for r in found if d in r),
}


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("seed", range(20))
def test_every_method_is_its_formula(method: str, seed: int) -> None:
    runs = drawn(seed)
    for topic, scores in fuse(runs, method, normalisation="none").scores().items():
        found = [dict(run.rankings.get(topic, ())) for run in runs]
        documents = {d for ranking in found for d in ranking}
        assert scores == pytest.approx({d: FORMULAS[method](d, found) for d in documents})


NORMAL: dict[str, Callable[[float, int, Sequence[float]], float]] = {
    "min-max": lambda s, _, every: (s - min(every)) / (max(every) - min(every) or 1),
    "max": lambda s, _, every: s / max(every),
    "sum": lambda s, _, every: (s - min(every)) / (sum(x - min(every) for x in every) or 1),
    "z-score": lambda s, _, every: (s - statistics.mean(every)) / (statistics.pstdev(every) or 1),
    "rank": lambda _s, place, every: 1 - place / len(every),
    "none": lambda s, _, _every: s,
}


@pytest.mark.parametrize("normalisation", NORMALISATIONS)
@pytest.mark.parametrize("seed", range(20))
def test_every_normalisation_is_its_formula(normalisation: str, seed: int) -> None:
    runs, weights = drawn(seed, count=2), [0.2, 1.7]
    for topic, scores in fuse(runs, "wsum", weights=weights, normalisation=normalisation).scores().items():
        expected: dict[str, float] = {}
        for run, weight in zip(runs, weights, strict=True):
            ranking = run.rankings.get(topic, ())
            for place, (document, score) in enumerate(ranking):
                value = NORMAL[normalisation](score, place, [s for _, s in ranking])
                expected[document] = expected.get(document, 0) + weight * value
        assert scores == pytest.approx(expected, abs=1e-9)


def test_the_same_as_ranx() -> None:
    topics = ("1", "2", "3", "4")
    runs = [Run.of(run.name, {t: run.scores().get(t, {"d0": 1.0}) for t in topics}) for run in drawn(5, topics=topics)]
    jobs = [(method, norm) for method in RANX_METHODS for norm in RANX_NORMALISATIONS]
    weights = [0.5, 2.0, 1.25]
    request = {
        "runs": [run.scores() for run in runs],
        "weights": weights,
        "jobs": [(RANX_METHODS[method], RANX_NORMALISATIONS[norm]) for method, norm in jobs],
    }
    environment = os.environ | {"NUMBA_DISABLE_JIT": "1"}
    command = [sys.executable, "-c", RANX]
    done = subprocess.run(command, input=json.dumps(request), env=environment, capture_output=True, text=True, check=True)
    for (method, norm), theirs in zip(jobs, json.loads(done.stdout), strict=True):
        ours = fuse(runs, method, weights if method == "wsum" else None, normalisation=norm).scores()
        assert ours == {topic: pytest.approx(found, abs=1e-12) for topic, found in theirs.items()}, (method, norm)


def test_equal_scores_are_ordered_by_document_id_whatever_the_order_of_runs() -> None:
    runs = [Run.of(str(i), {"1": {d: 0.1 * (i + 1) for d in "zyxwv"}, "2": {"c": 0.7, "a": 0.1 * i}}) for i in range(3)]
    for method in METHODS:
        fused = [fuse(list(order), method, normalisation="none").rankings for order in permutations(runs)]
        assert all(rankings == fused[0] for rankings in fused), method
    assert [d for d, _ in fuse(runs, "sum").rankings["1"]] == list("vwxyz")


def test_topics_of_one_run_only_and_depth() -> None:
    one, two = Run.of("a", {"1": {"x": 3.0, "y": 2.0, "z": 1.0}}), Run.of("b", {"2": {"x": 1.0}, "3": {}})
    for method in METHODS:
        fused = fuse([one, two], method, depth=2)
        assert {topic: len(ranking) for topic, ranking in fused.rankings.items()} == {"1": 2, "2": 1, "3": 0}
    assert [d for d, _ in fuse([one, two], "mean-rank").rankings["1"]] == ["x", "y", "z"]
    assert fuse([one, two], "mean-rank", weights=[0, 1]).scores()["1"] == {"x": -1, "y": -2, "z": -3}


def test_a_fused_run_can_be_written_and_read(tmp_path: Path) -> None:
    fused = fuse(drawn(1), "mnz")
    read = Run.read(fused.write(tmp_path / "a.trec"))
    assert read.rankings == fused.rankings
    assert read.metadata == fused.metadata


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"method": "RRF"}, "unknown method 'RRF'; expected one of rrf, "),
        ({"normalisation": "minmax", "method": "sum"}, "unknown normalisation 'minmax'; expected one of min-max, "),
        ({"weights": [1.0]}, "1 weights for 2 runs"),
        ({"weights": [1.0, -0.1]}, "impossible weights 1.0, -0.1"),
        ({"weights": [0.0, 0]}, "impossible weights 0.0, 0;"),
        ({"weights": [1, float("nan")]}, "impossible weights 1, nan"),
        ({"weights": [1, 1], "method": "mnz"}, "mnz takes no weights; expected one of rrf, wsum, mean-rank"),
        ({"depth": 0}, "depth 0"),
        ({"k": -1}, "k -1"),
    ],
    ids=str,
)
def test_what_cannot_be_fused_is_one_line(options: dict[str, object], problem: str) -> None:
    with pytest.raises(XlrankError, match=problem):
        fuse(drawn(0, count=2), **options)  # type: ignore[arg-type]


def test_too_few_runs_and_scores_without_a_largest() -> None:
    with pytest.raises(XlrankError, match="1 runs; expected at least two"):
        fuse(drawn(0, count=1))
    with pytest.raises(XlrankError, match="needs scores above 0, and the largest of a topic is -1.0; use min-max"):
        fuse([Run.of("a", {"1": {"x": -1.0}}), Run.of("b", {"1": {"x": 1.0}})], "sum", normalisation="max")
