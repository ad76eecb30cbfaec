"""Which word pieces met in the best documents of late rankers, kept beside the runs for the report.

``matches/COLLECTION/ky-en.late.jsonl`` lies as the run ``runs/COLLECTION/ky-en.late.trec`` does: a first line with the key of
what it was made from, then a line for each topic and document, ``{"topic", "document", "matches": [[query piece, document
piece, cosine], …]}``, in the order of the ranking and of the query.
"""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from xlrank.composition import Composition
from xlrank.composition.sides import is_late, side_of
from xlrank.experiment.check import Checked
from xlrank.experiment.pairs import LanguagePair
from xlrank.experiment.stages import Stages
from xlrank.files import content_key, write_text
from xlrank.ranking import Ranker
from xlrank.ranking.explain import cosines, matches_of
from xlrank.ranking.pieces import Pieces
from xlrank.runs import Run

FORMAT = 1
"""Part of every file's key: raise it when the same run is to be looked into in another way."""
SHOWN = 3
"""Places of a ranking whose documents are looked into."""


def write_matches(checked: Checked, stages: Stages, runs: Mapping[tuple[str, str], Run]) -> None:
    """Write what is missing or of another run; remove what is of a ranker that is no longer late.

    The documents' vectors come from the store that the ranking filled, so that only queries are encoded.

    Args:
        checked: the experiment.
        stages: that made the runs.
        runs: by system name and pair.
    """
    for pair in checked.pairs:
        for system in checked.systems(pair):
            run, composition = runs.get((system.name, str(pair))), checked.compositions.get((system.name, str(pair)))
            if run is None:
                continue
            path = matches_path(stages.out, stages.run_path(system.name, pair))
            if composition is None or not is_late(composition):
                path.unlink(missing_ok=True)
                continue
            key = content_key(FORMAT, SHOWN, run.metadata.get("key"))
            if _key_of(path) != key:
                found = _lines(stages.ranker(composition), composition, pair, run)
                write_text(path, "".join(f"{json.dumps(line, ensure_ascii=False)}\n" for line in [{"key": key}, *found]))


def matches_path(out: Path, run: Path) -> Path:
    """Where the matches of a run file are."""
    return out / "matches" / run.relative_to(out / "runs").with_suffix(".jsonl")


def _key_of(path: Path) -> str | None:
    """What a file was made from; None where there is none, or a damaged one."""
    try:
        with path.open(encoding="utf-8") as lines:
            return str(json.loads(next(lines, ""))["key"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _lines(ranker: Ranker, composition: Composition, pair: LanguagePair, run: Run) -> Iterator[dict[str, Any]]:
    from xlrank.ranking.late import LateInteraction

    late, documents = ranker.interaction, pair.collection.documents(pair.document)
    assert isinstance(late, LateInteraction)
    top = {topic: [id_ for id_, _ in run.rankings.get(topic, ())[:SHOWN]] for topic in pair.ranked_queries}
    ids = list(dict.fromkeys(id_ for found in top.values() for id_ in found))
    if not ids:
        return
    store, to_text = late.store(documents, composition), Pieces(ranker.base)
    late.fill(store, ids, documents, composition)
    texts = documents.fetch(ids)
    kept = [id_ for id_ in ids if id_ in texts]
    framed = late.documents.encode([texts[id_].full_text for id_ in kept], side_of(composition, "document"))
    pieces = {id_: each.content for id_, each in zip(kept, framed, strict=True)}
    queries = [pair.ranked_queries[topic] for topic in top]
    asked = late.queries.encode(queries, side_of(composition, "query"))
    vectors = late.query_vectors(queries, composition)
    for number, (topic, found) in enumerate(top.items()):
        query = asked[number].content
        for id_ in found:
            stored = store.read([id_])
            # Only where every piece has its vector: neither text is empty, and both were cut alike.
            if query and pieces.get(id_) and len(pieces[id_]) == len(stored.vectors):
                met = matches_of(to_text(query), to_text(pieces[id_]), cosines(vectors.chosen([number]), stored))
                yield {
                    "topic": topic,
                    "document": id_,
                    "matches": [[match.query, match.document, round(match.cosine, 3)] for match in met],
                }
