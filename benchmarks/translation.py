"""First stages without any translation model: MAP and recall@100 for each query language, alone, fused, with feedback.

``python -m benchmarks.translation COLLECTION RUNS [LANG …]``: English documents. RUNS is a folder that keeps the runs and figures
of each language once it is done, so that an interrupted benchmark goes on. Nothing is tuned here.
"""

import json
import sys
import time
from pathlib import Path

from benchmarks.timing import print_table
from xlrank.bases import Base
from xlrank.collections import Collection
from xlrank.evaluation.metrics import evaluate, mean
from xlrank.files import read_json, write_json
from xlrank.retrieval.first_stage import Search
from xlrank.retrieval.methods import first_stage

STAGES = {
    "dense": "dense",
    "psq": "psq",
    "rrf": "rrf(dense, psq)",
    "fusion": "fusion",
    "rocchio": "rocchio(fusion)",
    "rm3": "rm3(fusion)",
    "feedback": "feedback",
}
"""What is measured, by a name for the table."""


def run(collection_id: str, out: Path, languages: list[str]) -> None:
    """Compute what is missing, and print the table."""
    collection, base = Collection(collection_id), Base()
    rows = []
    for language in languages or [code for code in collection.query_languages if code != "en"]:
        found = out / f"{language}.json"
        if not found.is_file():
            write_json(found, _measured(Search(collection, language, "en", base), out))
        values = read_json(found)
        cells = [f"{values[name]['map']:.3f} / {values[name]['recall@100']:.3f}" for name in STAGES]
        rows.append([language, *cells, f"{values['seconds']:.0f}"])
        print(json.dumps({language: values}), flush=True)
    print_table(f"{collection_id}: MAP / recall@100", ["language", *STAGES, "seconds"], rows)


def _measured(search: Search, out: Path) -> dict[str, object]:
    """Each first stage's figures, and the seconds of all of them; in one search, so that they share what they have in common."""
    qrels, start = search.collection.qrels("en"), time.perf_counter()
    values: dict[str, object] = {}
    for name, expression in STAGES.items():
        made = first_stage(expression).run_once(search)
        made.write(out / f"{search.query_language}.{name}.trec")
        values[name] = {metric: mean(found) for metric, found in evaluate(made, qrels, ["map", "recall@100"]).items()}
    return values | {"seconds": time.perf_counter() - start}


if __name__ == "__main__":
    run(sys.argv[1], Path(sys.argv[2]), sys.argv[3:])
