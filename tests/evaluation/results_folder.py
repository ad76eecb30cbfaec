"""A small results folder in format 2, as the pipeline writes it: two language pairs, a baseline, a ranker of its candidates."""

import json
import random
from dataclasses import asdict
from pathlib import Path
from typing import Any

from xlrank.evaluation import Tests as Settings
from xlrank.evaluation import evaluate
from xlrank.evaluation.metrics import mean
from xlrank.evaluation.published import published_value
from xlrank.evaluation.reference import original_test
from xlrank.evaluation.significance import compare_families, interval
from xlrank.evaluation.verify import figures_key
from xlrank.files import read_json, write_json
from xlrank.runs import Run

METRICS = ["map", "ndcg@10", "judged@5", "rbp.80"]
SYSTEMS = {"first": 0.0, "document": 0.3, "query": 0.1}
"""By how much relevant documents are moved up."""
PAIRS = ("tr-en", "fi-it")
TESTS = Settings(baseline="first", resamples=200)


def qrels_of(document: str) -> dict[str, dict[str, int]]:
    """Eight topics, the last without relevant documents."""
    draw = random.Random(document)
    return {str(t): {f"d{n}": draw.choice([0, 1, 2]) if t < 7 else 0 for n in draw.sample(range(40), 9)} for t in range(8)}


def write_results(folder: Path, tests: Settings = TESTS, missing: Any = "zero") -> Path:  # noqa: ANN401 - a literal
    """Write the folder; topic 3 has no results."""
    rows, runs = [], {}
    for pair in PAIRS:
        query, document = pair.split("-")
        qrels, candidates = qrels_of(document), f"runs/clef-2003/{pair}.first.trec"
        lines = [f"{topic} 0 {d} {grade}\n" for topic, grades in qrels.items() for d, grade in grades.items()]
        _write(folder / "qrels" / f"clef-2003.{document}.txt", "".join(lines))
        _write(folder / "texts" / f"clef-2003.topics.{query}.jsonl", "".join(json.dumps({"id": t}) + "\n" for t in qrels))
        for system, lift in SYSTEMS.items():
            draw = random.Random(f"{pair} {system}")
            asked = [topic for topic in qrels if topic != "3"]
            scores = {t: {f"d{n}": draw.random() + lift * qrels[t].get(f"d{n}", 0) for n in range(30)} for t in asked}
            cost = {"seconds": 1.5, "pairs": 210}
            metadata = {"key": f"key of {pair} {system}", "data.test_collection": f"clef/2003 {pair}", "cost": cost}
            metadata |= {} if system == "first" else {"candidates": f"key of {pair} first"}
            run = runs[pair, system] = Run.of(system, scores, metadata)
            run.write(folder / "runs" / "clef-2003" / f"{pair}.{system}.trec")
            values = evaluate(run, qrels, METRICS, missing=missing)
            rows.append(
                {
                    "system": system,
                    "label": system,
                    "composition": None if system == "first" else f"{system}+rank",
                    "collection": "clef/2003",
                    "language": query,
                    "documents": document,
                    "metrics": {metric: mean(each) for metric, each in values.items()},
                    "intervals": {metric: list(interval(each, tests.seed, tests.resamples)) for metric, each in values.items()},
                    "per_topic": values,
                    "topics": len(values["map"]),
                    "cost": cost,
                    "run": f"runs/clef-2003/{pair}.{system}.trec",
                    "candidates": None if system == "first" else candidates,
                    "key": figures_key(f"key of {pair} {system}", qrels, METRICS, "run", missing, tests.seed, tests.resamples),
                }
            )
    _compare(rows, runs, tests)
    treatment = {"topics_without_results": missing, "ties": "run"}
    results = {"format": 2, "metrics": METRICS, "tests": asdict(tests), "treatment": treatment, "rows": rows}
    write_json(folder / "results.json", {**results, "experiment": {"published": "litschko2022"}})
    return folder


def edit(folder: Path, change: Any) -> None:  # noqa: ANN401 - a function of what results.json holds
    """Change results.json."""
    results = read_json(folder / "results.json")
    change(results)
    (folder / "results.json").write_text(json.dumps(results), encoding="utf-8")  # NaN included


def _compare(rows: list[dict[str, Any]], runs: dict[tuple[str, str], Run], tests: Settings) -> None:
    families: dict[str, dict[str, dict[str, float]]] = {}
    for row in rows:
        families.setdefault(f"{row['language']}-{row['documents']}", {})[row["system"]] = row["per_topic"]["map"]
    compared = compare_families(families, tests)
    for row in rows:
        pair = f"{row['language']}-{row['documents']}"
        comparison = compared[pair][row["system"]]
        row["comparison"] = comparison and {"baseline": tests.baseline, **asdict(comparison)}
        test = original_test(runs[pair, row["system"]], runs[pair, "first"], qrels_of(row["documents"]))
        row["reference_comparison"] = comparison and {"baseline": tests.baseline, **test}
        row["published"] = published_value("litschko2022", row)


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
