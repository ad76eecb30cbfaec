"""What evaluating costs: a first result in a fresh process, and 50 systems on 118 topics with 1,000 documents each.

Beside it the same in ranx's own Run and Qrels, and in pytrec_eval. Each runs in a process of its own, from the same dictionaries
of scores; ``prepare`` is what each makes of these first (ranx and xlrank a run in order; pytrec_eval sorts when it evaluates).
"""

import json
import os
import resource
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from benchmarks.originals import runs
from benchmarks.timing import print_table

METRICS = ["map", "ndcg@10", "mrr", "recall@100"]
PEER = Path(__file__).parent / "originals" / "trec_eval_metrics.py"
RANX_SYSTEMS = 5
"""Its figures for all systems are these ones', multiplied: it is slow, and the same for each."""


def run() -> None:
    """Measure and print."""
    from xlrank.evaluation.metrics import warm_up

    warm_up()
    found = {"xlrank": _measure("xlrank", runs.SYSTEMS), f"ranx, {RANX_SYSTEMS} systems": _measure("ranx", RANX_SYSTEMS)}
    python = os.environ.get("XLRANK_ORIGINALS_PYTHON", "")
    if python:
        found["pytrec_eval"] = _finished([python, str(PEER), str(runs.SYSTEMS)])
    ours = found["xlrank"]
    rows = []
    for name, each in found.items():
        cells = [
            f"{each['first']:.2f}",
            f"{each['first'] / ours['first']:.1f}",
            f"{each['prepare']:.1f}",
            f"{each['evaluate']:.2f}",
        ]
        tests = "" if each["tests"] is None else f"{each['tests']:.2f}"
        rows.append([name, *cells, f"{each['evaluate'] / ours['evaluate']:.1f}", tests, f"{each['peak']:.0f}"])
    if not python:
        rows.append(["pytrec_eval not measured: XLRANK_ORIGINALS_PYTHON names no Python that has it (make originals)", *[""] * 7])
    print_table(
        f"{', '.join(METRICS)} of {runs.SYSTEMS} systems, {runs.TOPICS} topics, {runs.DEPTH} documents; seconds, MiB. "
        "Tests: 50 x 4 intervals, 49 comparisons, Holm",
        ["evaluator", "first result", "to xlrank", "prepare", "evaluate", "to xlrank", "tests", "peak"],
        rows,
    )


def _measure(what: str, systems: int) -> dict[str, Any]:
    found = _finished([sys.executable, "-m", "benchmarks.evaluation", what, str(systems)])
    for part in ("prepare", "evaluate"):
        found[part] *= runs.SYSTEMS / systems
    return found


def _finished(command: list[str]) -> dict[str, Any]:
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def xlrank_task(systems: int) -> dict[str, Any]:
    """Values per topic, intervals and corrected tests of all systems; their runs stay in memory, as in an experiment."""
    start = time.perf_counter()
    from xlrank.evaluation import Tests, compare_all, evaluate
    from xlrank.evaluation.significance import interval
    from xlrank.runs import Run

    first = evaluate(Run.of("first", {"1": {"a": 1.0}, "2": {"b": 1.0}}), {"1": {"a": 1}, "2": {"a": 1}}, METRICS)
    compare_all({"a": first["map"], "b": first["map"]}, Tests(baseline="a"))
    found: dict[str, Any] = {"first": time.perf_counter() - start, "prepare": 0.0, "evaluate": 0.0}
    qrels, kept, values = runs.qrels(), [], {}
    for system in range(systems):
        scores = runs.scores(system)
        start = time.perf_counter()
        kept.append(Run.of(f"{system}", scores))
        found["prepare"] += time.perf_counter() - start
    start = time.perf_counter()
    for each in kept:
        values[each.name] = evaluate(each, qrels, METRICS)
    found["evaluate"] = time.perf_counter() - start
    start = time.perf_counter()
    for per_topic in values.values():
        for metric in METRICS:
            interval(per_topic[metric])
    compare_all({name: per_topic["map"] for name, per_topic in values.items()}, Tests(baseline="0"))
    return {**found, "tests": time.perf_counter() - start}


def ranx_task(systems: int) -> dict[str, Any]:
    """The same values with ranx's own objects."""
    start = time.perf_counter()
    import ranx

    ranx.evaluate(ranx.Qrels({"1": {"a": 1}}), ranx.Run({"1": {"a": 1.0}}), METRICS)
    found: dict[str, Any] = {"first": time.perf_counter() - start, "prepare": 0.0, "evaluate": 0.0, "tests": None}
    qrels = ranx.Qrels(runs.qrels())
    for system in range(systems):
        scores = runs.scores(system)
        start = time.perf_counter()
        run = ranx.Run(scores)
        if system:  # the first one compiles for these lengths of ids, which is counted as neither
            found["prepare"] += time.perf_counter() - start
        start = time.perf_counter()
        ranx.evaluate(qrels, run, METRICS)
        if system:
            found["evaluate"] += time.perf_counter() - start
    for part in ("prepare", "evaluate"):
        found[part] *= systems / max(1, systems - 1)
    return found


if __name__ == "__main__":
    task = {"xlrank": xlrank_task, "ranx": ranx_task}[sys.argv[1]]
    measured = task(int(sys.argv[2]))
    print(json.dumps({**measured, "peak": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024}))
