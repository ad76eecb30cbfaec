"""Small results by hand, with everything a report has to bear: hostile texts, right-to-left scripts, gaps and ties."""

import json
from pathlib import Path
from typing import Any

ARABIC = "إعادة الترتيب"
EVIL = "</script><img src=x onerror=alert(1)> | $x$ \\input{a} \"&' {{7*7}} ^sup _sub"
FORMULA = "=HYPERLINK(1)"
Value = dict[str, Any]


def row(system: str, pair: str, score: float, p: float | None = None, **other: Any) -> Value:  # noqa: ANN401
    """One row on ``query-documents``; without ``p`` it is the baseline."""
    language, documents = pair.split("-")
    compared = {
        "baseline": "dense", "difference": score - 0.4, "p_value": p and p / 2, "p_corrected": p, "effect": 0.5,
        "interval": [score - 0.5, score - 0.3], "wins": 2, "losses": 1, "ties": 0, "topics": 3,
    }  # fmt: skip
    return {
        "system": system, "label": system.upper(), "composition": None, "modules": {}, "collection": "mini",
        "language": language, "documents": documents, "metrics": {"map": score, "recall@100": 0.9},
        "intervals": {"map": [score - 0.1, score + 0.1]}, "topics": 3, "comparison": None if p is None else compared,
        "per_topic": {"map": {"9": score - 0.1, "10": score, "11": score + 0.1}, "recall@100": {"9": 0.9, "10": 0.9, "11": 0.9}},
        "cost": {"seconds": 1.26, "pairs": None, "pairs_per_second": None, "ms_per_query": None, "peak_memory_mb": None,
                 "module_bytes": None, "training_minutes": None},
        "run": f"runs/mini/{pair}.{system}.trec", "candidates": None, "key": f"key-{system}", "note": "",
    } | other  # fmt: skip


def ranker(system: str, pair: str, score: float, p: float, **other: Any) -> Value:  # noqa: ANN401
    """A row that re-orders the run of ``dense``, with modules and costs."""
    language, documents = pair.split("-")
    module = {"digest": "ab" * 32, "bytes": 7_400_000, "minutes": 5.0}
    cost = {"seconds": 20.0, "pairs": 600, "pairs_per_second": 30.04, "ms_per_query": {"median": 900.26, "p95": 1200.5}}
    cost |= {"peak_memory_mb": 1400.2, "module_bytes": 14_800_000, "training_minutes": 10.0}
    more = {"composition": f"split(language/{language},language/{documents})+ranking/en", "cost": cost}
    more |= {"modules": {f"language/{language}": module, "ranking/en": module}, "candidates": f"runs/mini/{pair}.dense.trec"}
    return row(system, pair, score, p, **more | other)


def results(**other: Any) -> Value:  # noqa: ANN401
    """Three pairs; SPLIT is better by more than chance in Kyrgyz only, and absent from Persian."""
    tests = {
        "method": "t-test",
        "correction": "holm",
        "alpha": 0.05,
        "baseline": "dense",
        "family": "pair",
        "seed": 13,
        "resamples": 2000,
    }
    published = {"value": 0.555, "metric": "map", "source": "A paper, Table 1", "significant": True}
    return {
        "format": 2, "xlrank": "0.2.0", "date": "2026-11-23T17:00:00+00:00", "name": "small", "title": "",
        "experiment": {"name": "small"}, "command": "xlrank run small.yaml", "environment": {"python": "3.11.2", "cpu": "a CPU"},
        "metrics": ["map", "recall@100"], "tests": tests, "treatment": {"topics_without_results": "zero", "ties": "run"},
        "notes": ["First | note", ARABIC],
        "rows": [
            row("dense", "ky-en", 0.4), row("bm25", "ky-en", 0.3, 0.0004),
            ranker("split", "ky-en", 0.53, 0.049, published=published),
            row("dense", "ug-fa", 0.4), row("bm25", "ug-fa", 0.35, 0.5), ranker("split", "ug-fa", 0.45, 0.5),
            row("dense", "fa-en", 0.4), row("rtl", "fa-en", 0.41, 0.05, label=ARABIC),
            row("evil", "fa-en", 0.4, 1.0, label=EVIL),
        ],
    } | other  # fmt: skip


def format_1() -> Value:
    """What xlrank 0.1 wrote."""
    compared = {"difference": 0.13, "p_value": 0.04, "p_holm": 0.049, "wins": 2, "losses": 1, "ties": 0, "topics": 3}
    plain: Value = {
        "composition": None,
        "language": "ky",
        "documents": "en",
        "seconds": 1.26,
        "pairs_per_second": 24.5,
        "note": "",
    }
    topics = {"9": 0.3, "10": 0.4, "11": 0.5}
    rows = [
        {**plain, "system": "dense", "label": "DENSE", "metrics": {"mrr": 0.8, "map": 0.4}, "per_topic": {"map": topics},
         "comparison": None, "run": "runs/ky-en.dense.trec"},
        {**plain, "system": "split", "label": "SPLIT", "metrics": {"mrr": 0.9, "map": 0.53}, "per_topic": {"map": topics},
         "comparison": compared, "run": "runs/ky-en.split.trec"},
    ]  # fmt: skip
    return {
        "xlrank": "0.1.0", "date": "2026-11-23T17:00:00+00:00", "collection": "mini", "documents": "en", "fields": "title",
        "depth": 50, "baseline": "dense", "metrics": ["mrr", "map"], "notes": [], "rows": rows,
    }  # fmt: skip


def written(folder: Path, value: object) -> Path:
    """A results folder that holds nothing but ``results.json``."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "results.json").write_text(json.dumps(value), encoding="utf-8")
    return folder


def with_evidence(folder: Path, value: Value) -> Path:
    """A results folder with runs, judgements, and the first words of topics and documents."""
    written(folder, value)
    for each in value["rows"]:
        path = folder / each["run"]
        path.parent.mkdir(parents=True, exist_ok=True)
        # Rankers bring d7, which is relevant, from the seventh place to the first.
        order = [1, 2, 3, 4, 5, 6, 7, 8] if each["candidates"] is None else [7, 1, 2, 3, 4, 5, 6, 8]
        lines = [f"{topic} Q0 d{number} {rank} {9 - rank} x" for topic in (9, 10, 11) for rank, number in enumerate(order, 1)]
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    for name in ("qrels", "texts"):
        (folder / name).mkdir(exist_ok=True)
    for language in ("en", "fa"):
        judged = "".join(f"{topic} 0 d7 2\n{topic} 0 d1 0\n{topic} 0 gone 1\n" for topic in (9, 10, 11))
        (folder / "qrels" / f"mini.{language}.txt").write_text(judged, encoding="utf-8")
        words = {"en": "A document about {0}", "fa": "سندی درباره {0}"}[language]
        _texts(folder / "texts" / f"mini.documents.{language}.jsonl", {f"d{n}": words.format(n) for n in range(1, 9)})
    for language, words in {"ky": "Талас өрөөнү", "ug": "قىزىل دۆبە", "fa": EVIL}.items():
        _texts(folder / "texts" / f"mini.topics.{language}.jsonl", dict.fromkeys(("9", "10", "11"), words))
    return folder


def _texts(path: Path, texts: dict[str, str]) -> None:
    lines = [json.dumps({"id": id_, "text": text}, ensure_ascii=False) for id_, text in texts.items()]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
