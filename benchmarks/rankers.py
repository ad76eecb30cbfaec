"""The shipped rankers on real data: 60 NTREX topics a language, and SQuAD questions that they were not trained on.

``XLRANK_SHARED=… python -m benchmarks.rankers FOLDER [LANG …]``: both collections are made in FOLDER, and the experiments run
there; interrupted, they go on. Each language takes a quarter of an hour of two cores. A ranking module in FOLDER/untrained is
measured as well: ``xlrank train ranking --data groups.jsonl --on language/en --steps 1 --rate 1e-12 --out FOLDER/untrained``.
"""

import json
import os
import random
import shutil
import sys
from pathlib import Path
from typing import Any

from benchmarks.timing import print_table
from xlrank.cli.console import progress_bars
from xlrank.collections.reading import read_documents
from xlrank.experiment import run_experiment
from xlrank.experiment.options import experiment_of
from xlrank.training.data.mining import labelled

LANGUAGES = ("ky", "ug", "tr", "sw", "so")
SYSTEMS = ("dense", "monobert", "query", "document", "split")
TOPICS, QUESTIONS = 60, 120
SEED = 13
"""Of ``xlrank train pairs``, which took the first questions of the same shuffle."""
TRAINED = 1680
"""Questions among the 2,400 training groups of the shipped rankers; the others are first sentences of paragraphs."""


def ntrex_sample(source: Path, folder: Path) -> Path:
    """The collection with some of its topics and its English documents."""
    folder.mkdir(parents=True, exist_ok=True)
    ids = sorted(line.split("\t")[0] for line in _lines(source / "topics.en.tsv"))
    kept = set(random.Random(SEED).sample(ids, TOPICS))
    for language in LANGUAGES:
        topics = _lines(source / f"topics.{language}.tsv")
        _write(folder / f"topics.{language}.tsv", [line for line in topics if line.split("\t")[0] in kept])
    _write(folder / "qrels.txt", [line for line in _lines(source / "qrels.txt") if line.split()[0] in kept])
    shutil.copy(source / "documents.en.jsonl", folder)
    return folder


def squad_sample(source: Path, folder: Path) -> Path:
    """Questions that are not among the training groups, with all paragraphs."""
    folder.mkdir(parents=True, exist_ok=True)
    documents = list(read_documents(source / "paragraphs.jsonl"))
    asked = list(labelled(source / "questions.jsonl", {document.id: i for i, document in enumerate(documents)}))
    random.Random(SEED).shuffle(asked)
    seen = {question for question, _ in asked[:TRAINED]}
    chosen = random.Random(1).sample([pair for pair in asked[TRAINED:] if pair[0] not in seen], QUESTIONS)
    _write(folder / "documents.en.jsonl", [json.dumps({"doc_id": d.id, "text": d.text}, ensure_ascii=False) for d in documents])
    _write(folder / "topics.en.tsv", [f"q{i}\t{question}\t" for i, (question, _) in enumerate(chosen)])
    _write(folder / "qrels.txt", [f"q{i} 0 {documents[place].id} 1" for i, (_, place) in enumerate(chosen)])
    return folder


def run(shared: Path, out: Path, languages: list[str]) -> None:
    """Make the collections and print MAP of every system."""
    squad = squad_sample(shared / "data" / "squad-dev", out / "squad")
    ntrex = ntrex_sample(shared / "data" / "ntrex-clir", out / "ntrex")
    untrained = {"untrained": str(out / "untrained")} if (out / "untrained").is_dir() else {}
    systems = ["dense", "monobert", "en+rank", *(f"en+{name}" for name in untrained)]
    settings: dict[str, Any] = {"budget": {"latency_topics": 0}, "metrics": ["map", "recall@100"]}
    english = experiment_of(
        collection=f"folder:{squad}", languages=["en"], systems=systems, modules=untrained, fields="title", depth=10, **settings
    )
    others = experiment_of(collection=f"folder:{ntrex}", languages=languages or LANGUAGES, systems=SYSTEMS, depth=100, **settings)
    for name, experiment in (("squad", english), ("ntrex", others)):
        with progress_bars() as progress:
            rows = run_experiment(experiment, out / f"{name}-results", progress)["rows"]
        cells = [[row["language"], row["system"], *(f"{value:.3f}" for value in row["metrics"].values())] for row in rows]
        print_table(name, ["language", "system", *rows[0]["metrics"]], cells)


def _lines(path: Path) -> list[str]:
    return [line for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]


def _write(path: Path, lines: list[str]) -> None:
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")


if __name__ == "__main__":
    run(Path(os.environ["XLRANK_SHARED"]), Path(sys.argv[1]), sys.argv[2:])
