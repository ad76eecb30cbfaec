"""What a large leaderboard costs: time to write it, size of its page, time until the page stands in a headless Chromium."""

import json
import random
import re
import shutil
import statistics
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.timing import print_table
from xlrank.report import write_report

SYSTEMS, TOPICS, SEED = 100, 60, 13
TABLE_1 = {"tr": "en it de fi ru", "en": "fi it ru de", "de": "fi it ru", "fi": "it ru"}
PAIRS = (
    *(("clef/2003", query, code) for query, codes in TABLE_1.items() for code in codes.split()),
    *(("clef/2003", q, "en") for q in ("sw", "so", "ky", "ug")),
    *(("hc4/" + d, "en", d) for d in ("fa", "zh", "ru")),
    *(("clef/2003", c, c) for c in ("en", "fi", "de", "it", "ru")),
    *(("hc4/" + c, c, c) for c in ("fa", "zh", "ru")),
)  # fmt: skip
"""The 29 of the paper."""

METRICS = ("map", "ndcg@10", "mrr", "recall@100")
FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
)  # fmt: skip
ROUNDS = 5


def run() -> None:
    """Measure and print."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "results.json").write_text(json.dumps(large_results()), encoding="utf-8")
        rows = [["results.json", f"{(folder / 'results.json').stat().st_size / 1e6:.2f} MB"]]
        for title, wish in (("without drill-down", False), ("with values by topic", None)):
            started = time.perf_counter()
            write_report(folder, drill_down=wish)
            page = folder / "leaderboard.html"
            rows += [[f"written, {title}", f"{time.perf_counter() - started:.2f} s"]]
            rows += [[f"  leaderboard.html, {title}", f"{page.stat().st_size / 1e6:.2f} MB"]]
            rows += [[f"  until its table stands, {title}", seconds] for seconds in first_render(page)]
    print_table(f"A leaderboard of {SYSTEMS} systems on {len(PAIRS)} language pairs", ["", ""], rows)


def first_render(page: Path) -> list[str]:
    """Median time from opening a page until its script has drawn the table; nothing where there is no Chromium."""
    browser = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if browser is None:
        return ["no chromium on PATH"]
    found = []
    for _ in range(ROUNDS):
        with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
            command = [browser, *FLAGS, f"--user-data-dir={profile}", "--dump-dom", page.as_uri()]
            done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120)
        ready = re.search(r'<html[^>]* data-ready="(\d+)"', done.stdout)
        if ready is None:
            return ["the page's script failed"]
        found.append(int(ready[1]) / 1000)
    return [f"{statistics.median(found):.2f} s"]


def large_results() -> dict[str, Any]:
    """Results in format 2, with invented figures."""
    draw = random.Random(SEED)
    rows = [_row(f"s{number}", pair, draw) for pair in PAIRS for number in range(SYSTEMS)]
    tests = {
        "method": "t-test",
        "correction": "holm",
        "alpha": 0.05,
        "baseline": "s0",
        "family": "pair",
        "seed": 13,
        "resamples": 2000,
    }
    return {
        "format": 2, "xlrank": "0", "date": "2026-01-01T00:00:00+00:00", "name": "large", "title": "Large", "experiment": {},
        "command": "", "environment": {}, "metrics": list(METRICS), "rows": rows, "notes": [], "tests": tests,
        "treatment": {"topics_without_results": "zero", "ties": "run"},
    }  # fmt: skip


def _row(system: str, pair: tuple[str, str, str], draw: random.Random) -> dict[str, Any]:
    collection, query, documents = pair
    per_topic = {metric: {str(141 + topic): draw.random() for topic in range(TOPICS)} for metric in METRICS}
    means = {metric: sum(values.values()) / TOPICS for metric, values in per_topic.items()}
    compared = {
        "baseline": "s0",
        "difference": draw.gauss(0, 0.05),
        "p_value": draw.random(),
        "p_corrected": draw.random(),
        "effect": draw.gauss(0, 1),
    }
    compared |= {"interval": [-0.1, 0.1], "wins": 30, "losses": 28, "ties": 2, "topics": TOPICS}
    cost = {
        "seconds": 100 * draw.random(),
        "pairs": 6000,
        "pairs_per_second": 60 * draw.random(),
        "ms_per_query": {"median": 900.0, "p95": 990.0},
    }
    composition = f"split(language/{query},language/{documents})+ranking/{system}"
    module = {"bytes": 7_400_000, "minutes": 5.0}
    return {
        "system": system, "label": f"System {system}", "composition": composition, "collection": collection, "language": query,
        "documents": documents, "metrics": means, "intervals": {metric: [m - 0.07, m + 0.07] for metric, m in means.items()},
        "per_topic": per_topic, "topics": TOPICS, "comparison": None if system == "s0" else compared, "cost": cost,
        "modules": {f"language/{code}": {"digest": f"{ord(code[0]):064x}", **module} for code in {query, documents}},
        "run": f"runs/{collection.replace('/', '-')}/{query}-{documents}.{system}.trec", "candidates": None,
        "key": f"{draw.getrandbits(64):016x}", "note": "",
    }  # fmt: skip
