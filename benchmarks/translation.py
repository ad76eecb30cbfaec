"""Structured queries against dense retrieval: MAP and recall@100 for each query language, alone and fused.

``python -m benchmarks.translation COLLECTION RUNS [LANG …]``: English documents. RUNS is a folder that keeps the runs and figures
of each language once it is done, so that an interrupted benchmark goes on. Nothing is tuned here.
"""

import json
import sys
import time
from pathlib import Path

from xlrank.retrieval.translation.feedback import Feedback

from benchmarks.timing import print_table
from xlrank.bases import Base
from xlrank.collections import Collection
from xlrank.evaluation.metrics import evaluate, mean
from xlrank.files import cache_folder, read_json, write_json
from xlrank.retrieval.first_stage import Search
from xlrank.retrieval.fusion import fuse
from xlrank.retrieval.lucene import LuceneBM25
from xlrank.retrieval.methods import first_stage
from xlrank.retrieval.translation.structured import Psq

WEIGHTS = (0.7, 0.3)
"""Of dense retrieval and structured queries, min-max normalised."""
SYSTEMS = ("dense", "psq", "rrf", "wsum", "rocchio", "rm3", "fusion")


def run(collection_id: str, out: Path, languages: list[str]) -> None:
    """Compute what is missing, and print the table."""
    collection = Collection(collection_id)
    rows = []
    for language in languages or [code for code in collection.query_languages if code != "en"]:
        found = out / f"{language}.json"
        if not found.is_file():
            write_json(found, _measured(collection, language, out))
        values = read_json(found)
        cells = [f"{values[name]['map']:.3f} / {values[name]['recall@100']:.3f}" for name in SYSTEMS]
        rows.append([language, *cells, f"{values['seconds']:.0f}"])
        print(json.dumps({language: values}), flush=True)
    print_table(f"{collection_id}: MAP / recall@100", ["language", *SYSTEMS, "seconds"], rows)


def _measured(collection: Collection, language: str, out: Path) -> dict[str, object]:
    search = Search(collection, language, "en", Base())
    documents, engine = search.documents, LuceneBM25("en")
    index = engine.index(documents, cache_folder() / "indexes")
    runs = {"dense": first_stage("dense").run(search)}
    Psq().vocabulary(documents, search.base)  # made once for all languages, so it is no part of the time
    start = time.perf_counter()
    queries = Psq().queries(collection.topics(language), documents, search.base)
    seconds = time.perf_counter() - start
    runs["psq"] = engine.search(index, queries, search.depth)
    runs["rrf"] = fuse([runs["dense"], runs["psq"]])
    runs["wsum"] = fuse([runs["dense"], runs["psq"]], "wsum", weights=WEIGHTS)
    expanded = Feedback().expanded(queries, runs["wsum"], documents)
    runs["psq+feedback"] = engine.search(index, expanded, search.depth)
    runs["wsum+feedback"] = fuse([runs["dense"], runs["psq+feedback"]], "wsum", weights=WEIGHTS)
    qrels = collection.qrels("en")
    values: dict[str, object] = {"seconds": seconds}
    for name, made in runs.items():
        made.write(out / f"{language}.{name}.trec")
        values[name] = {metric: mean(found) for metric, found in evaluate(made, qrels, ["map", "recall@100"]).items()}
    return values


if __name__ == "__main__":
    run(sys.argv[1], Path(sys.argv[2]), sys.argv[3:])
