"""The shipped rankers on real data: late interaction on NTREX in all languages; the cross-encoders on samples of it and of SQuAD.

``XLRANK_SHARED=… python -m benchmarks.rankers FOLDER [LANG …]``: the experiments run in FOLDER; interrupted, they go on.
``--collection mini`` (or another id) measures that one, with documents of each of its languages. ``--cross`` measures the
cross-encoders on 60 NTREX topics, a quarter of an hour a language, and on SQuAD questions that they were not trained on; with
them a module in FOLDER/untrained (``xlrank train ranking --interaction cross --data groups.jsonl --on mlm/en --steps 1 --rate
1e-12 --out FOLDER/untrained``).
"""

import argparse
import json
import os
import random
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.timing import print_table
from xlrank.cli.console import progress_bars
from xlrank.collections import Collection
from xlrank.collections.reading import read_documents
from xlrank.experiment import run_experiment
from xlrank.experiment.model import Experiment
from xlrank.experiment.options import experiment_of
from xlrank.training.data.mining import labelled

LANGUAGES = ("ky", "ug", "tr", "sw", "so")
CROSS = ("dense", "monobert", "query", "document", "split")
SEARCH = "late(split(query,document)+rank)"
LATE = ("dense", "late-la", "late")
WHOLE = (*LATE, "feedback", "best", SEARCH)
SETTINGS: dict[str, Any] = {"budget": {"latency_topics": 0}, "metrics": ["map", "recall@100"]}
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


def late_rankers(collection: str, out: Path, languages: list[str], documents: str, systems: Sequence[str]) -> None:
    """Print MAP of late interaction, of the first stages and of what is fused, with tests, then recall of search."""
    foreign = [language for language in languages or Collection(collection).query_languages if language != documents]
    # Where nothing needs translating there are no structured queries, and no feedback from them.
    same = [system for system in systems if system not in ("feedback", "best")]
    parts = [(foreign, systems), ([documents] if documents in languages or not languages else [], same)]
    rows = []
    for asked, measured in parts:
        if asked:
            named = {"collection": collection, "languages": asked, "documents": documents, "systems": measured}
            rows += _measured(experiment_of(**named, depth=100, **SETTINGS), out / f"{documents}-{len(measured)}")
    found = {(row["language"], row["system"]): row for row in rows}
    codes = list(dict.fromkeys(row["language"] for row in rows))
    cells = [[code, *(_map(found.get((code, system))) for system in systems)] for code in codes]
    title = f"{collection}, {documents} documents: MAP (p of the difference to dense, Holm)"
    print_table(title, ["", *systems], cells)
    if SEARCH in systems:
        recall = [[f"{found[code, system]['metrics']['recall@100']:.3f}" for system in ("dense", SEARCH)] for code in codes]
        rows = [[code, *values] for code, values in zip(codes, recall, strict=True)]
        print_table(f"{collection}: recall@100", ["", "dense", SEARCH], rows)


def cross_encoders(shared: Path, out: Path, languages: list[str]) -> None:
    """Make the samples and print MAP of the cross-encoders."""
    squad = squad_sample(shared / "data" / "squad-dev", out / "squad")
    ntrex = ntrex_sample(shared / "data" / "ntrex-clir", out / "ntrex")
    untrained = {"untrained": str(out / "untrained")} if (out / "untrained").is_dir() else {}
    systems = ["dense", "monobert", "mlm/en+cross", *(f"mlm/en+{name}" for name in untrained)]
    english = experiment_of(
        collection=f"folder:{squad}", languages=["en"], systems=systems, modules=untrained, fields="title", depth=10, **SETTINGS
    )
    others = experiment_of(collection=f"folder:{ntrex}", languages=languages or LANGUAGES, systems=CROSS, depth=100, **SETTINGS)
    for name, experiment in (("squad", english), ("ntrex", others)):
        rows = _measured(experiment, out / f"{name}-results")
        cells = [[row["language"], row["system"], *(f"{value:.3f}" for value in row["metrics"].values())] for row in rows]
        print_table(name, ["language", "system", *rows[0]["metrics"]], cells)


def main() -> None:
    """Read the command line and measure."""
    parser = argparse.ArgumentParser(description="The shipped rankers on real data.")
    parser.add_argument("folder", type=Path)
    parser.add_argument("languages", nargs="*")
    parser.add_argument("--collection", help="instead of ntrex-clir: documents of each of its languages, e.g. mini")
    parser.add_argument("--cross", action="store_true", help="the cross-encoders on samples")
    given = parser.parse_args()
    if given.collection:
        for code in Collection(given.collection).document_languages:
            late_rankers(given.collection, given.folder / "collection", given.languages, code, LATE)
        return
    shared = Path(os.environ["XLRANK_SHARED"])
    if given.cross:
        cross_encoders(shared, given.folder, given.languages)
    else:
        late_rankers(f"folder:{shared / 'data' / 'ntrex-clir'}", given.folder / "whole", given.languages, "en", WHOLE)


def _measured(experiment: Experiment, out: Path) -> list[dict[str, Any]]:
    with progress_bars() as progress:
        rows: list[dict[str, Any]] = run_experiment(experiment, out, progress)["rows"]
    return rows


def _map(row: dict[str, Any] | None) -> str:
    if row is None:
        return ""
    test = row["comparison"]
    return f"{row['metrics']['map']:.3f}" + (f" ({test['p_corrected']:.3f})" if test else "")


def _lines(path: Path) -> list[str]:
    return [line for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]


def _write(path: Path, lines: list[str]) -> None:
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")


if __name__ == "__main__":
    main()
