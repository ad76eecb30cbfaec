"""Effectiveness of a run per topic, computed by ranx (Bassani, ECIR 2022) with trec_eval's definitions."""

import math
import re
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from xlrank.errors import XlrankError
from xlrank.runs import Run

METRICS = ("map", "ndcg@10", "mrr", "recall@100")
"""What a leaderboard shows unless told otherwise."""

KNOWN = re.compile(r"(map|mrr|ndcg|recall)(@[1-9]\d*)?|(precision|hit_rate)@[1-9]\d*")
NOTHING = -1.0  # fills up short rankings; documents are numbered from 0, so it matches none

Judgements = Mapping[str, Mapping[str, int]]


def evaluate(run: Run, qrels: Judgements, metrics: Sequence[str] = METRICS) -> dict[str, dict[str, float]]:
    """The value of each metric on each topic.

    - A document is relevant from grade 1. Topics without any relevant document are left out: no ranking could do well.
    - Topics with relevant documents for which the run has no results count 0. Topics only in the run are ignored.
    - The run's order counts, also among equal scores (:class:`Run` orders those by document id).
    - ``ndcg`` takes the grade itself as gain, discounted by log2(rank + 1), as trec_eval's ``ndcg_cut`` does.
    - Metrics without ``@k`` look at the whole ranking, so their values depend on the run's depth.

    Args:
        run: the rankings.
        qrels: topic id to document id to grade; unjudged documents count as not relevant.
        metrics: ``map``, ``mrr``, ``ndcg``, ``recall``, each also with ``@k``; ``precision@k``, ``hit_rate@k``.

    Returns:
        Metric to topic id (in the order of ``qrels``) to a value from 0 to 1.

    Raises:
        XlrankError: an unknown metric, no relevant documents at all, or no topic that run and qrels share.
    """
    for metric in metrics:
        if not KNOWN.fullmatch(metric):
            raise XlrankError(f"unknown metric {metric!r}; expected map, mrr, ndcg, recall (or with @k), precision@k, hit_rate@k")
    relevant = {topic: {d: g for d, g in grades.items() if g >= 1} for topic, grades in qrels.items()}
    relevant = {topic: grades for topic, grades in relevant.items() if grades}
    if not relevant:
        raise XlrankError("the qrels hold no relevant document (grade 1 or more); nothing can be evaluated")
    if not any(run.rankings.get(topic) for topic in relevant):
        raise XlrankError(
            f"run {run.name!r} has no results for any judged topic: its topics are {_sample(run.rankings)}, "
            f"the qrels' {_sample(relevant)}; evaluate it against the qrels of its own collection"
        )
    values = _ranx(*_arrays(run, relevant), list(metrics))
    return {metric: dict(zip(relevant, map(float, values[metric]), strict=True)) for metric in metrics}


def mean(values: Mapping[str, float]) -> float:
    """The arithmetic mean over topics.

    Raises:
        XlrankError: there is no topic.
    """
    if not values:
        raise XlrankError("no topics to average over; evaluate on at least one judged topic")
    return math.fsum(values.values()) / len(values)


def warm_up() -> None:
    """Make numba compile ranx's metrics and keep the result on disk, so that no later evaluation has to wait for it.

    10 to 20 s the first time on a machine, 0.3 s from then on (plus 2 s for importing ranx). The compiled code is kept
    beside ranx, or in numba's cache folder where that is not writable.
    """
    evaluate(Run.of("warm-up", {"1": {"a": 2.0, "b": 1.0}}), {"1": {"b": 1}})


def _sample(topics: Mapping[str, object]) -> str:
    return ", ".join(list(topics)[:3]) + (", …" if len(topics) > 3 else "") if topics else "none"


def _arrays(run: Run, relevant: Judgements) -> tuple[np.ndarray, np.ndarray]:
    """The qrels and the run as ranx takes them: float64 (topics, longest, 2) of document number and grade or score.

    ranx's own ``Qrels`` and ``Run`` are compiled anew for every length of document id (a minute), re-sort equal scores in
    no defined order, and compare hashes. Ready arrays need none of that, and are taken in the order they have.
    """
    rankings = [run.rankings.get(topic, ()) for topic in relevant]
    judged = np.full((len(relevant), max(map(len, relevant.values())), 2), [NOTHING, 0.0])
    ranked = np.full((len(relevant), max(map(len, rankings)), 2), [NOTHING, 0.0])
    for row, (grades, ranking) in enumerate(zip(relevant.values(), rankings, strict=True)):
        best_first = sorted(grades.items(), key=lambda item: -item[1])  # ranx reads the ideal ranking off this order
        number = {document: index for index, (document, _) in enumerate(best_first)}
        judged[row, : len(number)] = [(number[document], grade) for document, grade in best_first]
        found = [(number.get(document, NOTHING), -rank) for rank, (document, _) in enumerate(ranking)]
        ranked[row, : len(found)] = np.array(found).reshape(-1, 2)
    return judged, ranked


def _ranx(judged: np.ndarray, ranked: np.ndarray, metrics: list[str]) -> dict[str, Any]:
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="unsafe cast")  # numba, of ranx's code, whenever it compiles
        try:
            import ranx
        except ImportError as error:
            raise XlrankError(f"evaluation needs ranx ({error}); `pip install xlrank[eval]` brings it") from None
        except RuntimeError as error:  # numba found no folder for its cache
            raise XlrankError(f"ranx cannot be loaded ({error}); set NUMBA_CACHE_DIR to a folder that can be written") from None
        # Asked for a single metric, ranx 0.3.21 looks it up without its @k and fails: always ask for two.
        values: dict[str, Any] = ranx.evaluate(judged, ranked, list(dict.fromkeys((*metrics, "map", "mrr"))), return_mean=False)
    return values
