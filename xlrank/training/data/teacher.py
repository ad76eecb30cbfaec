"""Teacher's scores for distillation, and groups as JSON lines."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sized
from itertools import islice
from pathlib import Path
from typing import Any

from xlrank.errors import XlrankError
from xlrank.files import replacing
from xlrank.progress import Progress
from xlrank.ranking import Ranker
from xlrank.ranking.ranker import Languages
from xlrank.training.data.records import Example, checked_text

SCORED = 256
"""Groups that the teacher scores at a time: enough for batches of texts of like length, few enough to be held."""

DIGITS = 5
"""Decimal places of a stored score."""


def score_with(
    ranker: Ranker,
    groups: Iterable[Mapping[str, Any]],
    *,
    languages: Languages | None = None,
    progress: Progress | None = None,
) -> Iterator[dict[str, Any]]:
    """Add a teacher's scores to groups, for the losses ``margin-mse`` and ``kl`` (Hofstätter et al. 2020).

    Args:
        ranker: the teacher.
        groups: ``{"query", "positive", "negatives"}``, as :func:`~xlrank.training.data.mining.mine` and
            :func:`group_rows` give them.
        languages: of queries and documents, where the ranker's composition leaves them open.
        progress: told the groups done and their number (where that is unknown, the groups done again).

    Yields:
        The groups with ``"scores"``: relevance logits of the positive and of each negative.

    Raises:
        XlrankError: a text is empty, or languages are missing.
    """
    iterator, done = iter(groups), 0
    while part := [dict(group) for group in islice(iterator, SCORED)]:
        pairs = [(group["query"], text) for group in part for text in (group["positive"], *group["negatives"])]
        for text in (text for pair in pairs for text in pair):
            checked_text(text, "teacher")  # its score would be no judgement
        scores = iter(ranker.score(pairs, languages=languages).tolist())
        for group in part:
            yield group | {"scores": [round(score, DIGITS) for score in islice(scores, 1 + len(group["negatives"]))]}
        done += len(part)
        if progress:
            progress(done, len(groups) if isinstance(groups, Sized) else done)


def group_rows(examples: Iterable[Example]) -> Iterator[dict[str, Any]]:
    """Examples of :func:`~xlrank.training.data.jsonl.read_groups` as JSON-able groups, without their targets."""
    for example in examples:
        yield {"query": example.query, "positive": example.documents[0], "negatives": list(example.documents[1:])}


def write_groups(path: Path, groups: Iterable[Mapping[str, Any]]) -> int:
    """Write groups as JSON lines, the file whole or not at all, and return how many there were.

    Raises:
        XlrankError: there are none, or the file cannot be written.
    """
    count = 0
    with replacing(path) as temporary:
        with temporary.open("w", encoding="utf-8") as stream:
            for count, group in enumerate(groups, 1):
                stream.write(json.dumps(group, ensure_ascii=False, allow_nan=False) + "\n")
        if not count:
            raise XlrankError(f"{path}: there are no groups to write")
    return count
