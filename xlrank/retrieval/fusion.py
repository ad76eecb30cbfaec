"""Fusion: several runs as one, by ranks or by normalised scores.

The formulas are those of ranx (Bassani and Romelli, CIKM 2022), with which the tests compare them. ranx itself compiles its own
run objects, half a minute on a new machine and some six seconds in every process, orders equal scores in no fixed way, and wants
all topics in all runs.
"""

import math
import statistics
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from xlrank.errors import XlrankError
from xlrank.runs import Run

Scores = dict[str, float]
"""Document id to score, best first."""

Combine = Callable[[Sequence[float]], float]
"""From what the runs that found a document say about it to its score."""

TINY = 1e-9
"""A spread of scores below this counts as this much, as in ranx: where all are equal, min-max and z-score give 0."""


def fuse(
    runs: Sequence[Run],
    method: str = "rrf",
    weights: Sequence[float] | None = None,
    depth: int = 1000,
    k: int = 60,
    normalisation: str = "min-max",
) -> Run:
    """One run of several. Topics may be missing in some: these say nothing about them. Equal scores are ordered by document id.

    ===========  =================================================================================================
    method       score of a document, over the runs that found it
    ===========  =================================================================================================
    rrf          sum of weight / (k + rank) (Cormack et al. 2009)
    isr          their number times the sum of 1 / rank² (Mourão et al. 2015)
    mean-rank    mean rank, negated; in a run that did not find it, the rank after its last (the paper's ensembles)
    wsum         sum of weight × normalised score
    sum          sum of normalised scores (CombSUM; Fox and Shaw 1994, as the following)
    mnz          sum of normalised scores, times their number (CombMNZ)
    anz          mean of normalised scores (CombANZ)
    max min med  largest, smallest, median normalised score
    ===========  =================================================================================================

    ==============  ==============================================================================================
    normalisation   of a topic's scores in one run
    ==============  ==============================================================================================
    min-max         (score - least) / (largest - least)
    max             score / largest
    sum             (score - least) / sum of these
    z-score         (score - mean) / standard deviation; a document that was not found counts as average
    rank            1 - (rank - 1) / number of documents
    none            the scores as they are
    ==============  ==============================================================================================

    Args:
        runs: at least two.
        method: see above.
        weights: of the runs, for ``rrf``, ``wsum`` and ``mean-rank``; not negative, not all 0 (default: 1 each).
        depth: documents a topic that are kept.
        k: of ``rrf``: how little the first ranks stand out, at least 0.
        normalisation: see above; methods that look at ranks alone need none.

    Raises:
        XlrankError: too few runs, an unknown method or normalisation, impossible or unfitting weights, depth or k.
    """
    weighing = _check(runs, method, weights, depth, k, normalisation)
    by_rank, fused = method in BY_RANK, {}
    for topic in dict.fromkeys(topic for run in runs for topic in run.rankings):
        rankings = [dict(run.rankings.get(topic, ())) for run in runs]
        if method == "mean-rank":
            fused[topic] = _mean_rank(rankings, weighing)
            continue
        said = [_ranked(ranking, method, k) if by_rank else NORMALISATIONS[normalisation](ranking) for ranking in rankings]
        fused[topic] = _combined(said, weighing, METHODS[method])
    described: dict[str, Any] = {"name": "fusion", "method": method, "depth": depth}
    described |= {"k": k} if method == "rrf" else {} if by_rank else {"normalisation": normalisation}
    described["runs"] = [{"name": run.name, "weight": weight} for run, weight in zip(runs, weighing, strict=True)]
    return Run.of(f"{method}({','.join(run.name for run in runs)})", fused, {"method": described}).top(depth)


def _check(
    runs: Sequence[Run], method: str, weights: Sequence[float] | None, depth: int, k: int, normalisation: str
) -> Sequence[float]:
    """Refuse what cannot be fused like this; gives the runs' weights."""
    if len(runs) < 2:
        raise XlrankError(f"fusion: {len(runs)} runs; expected at least two")
    for what, value, known in (("method", method, METHODS), ("normalisation", normalisation, NORMALISATIONS)):
        if value not in known:
            raise XlrankError(f"fusion: unknown {what} {value!r}; expected one of {', '.join(known)}")
    if depth < 1 or k < 0:
        raise XlrankError(f"fusion: depth {depth} and k {k} are impossible; expected depth >= 1 and k >= 0")
    if weights is None:
        return [1.0] * len(runs)
    if method not in WEIGHTED:
        raise XlrankError(f"fusion: {method} takes no weights; expected one of {', '.join(WEIGHTED)}")
    if len(weights) != len(runs):
        raise XlrankError(f"fusion: {len(weights)} weights for {len(runs)} runs; expected one each")
    if not all(math.isfinite(weight) and weight >= 0 for weight in weights) or not any(weights):
        raise XlrankError(f"fusion: impossible weights {', '.join(map(str, weights))}; expected numbers >= 0, not all 0")
    return [float(weight) for weight in weights]


def _combined(said: Sequence[Mapping[str, float]], weights: Sequence[float], combine: Combine) -> Scores:
    values: dict[str, list[float]] = {}
    for scores, weight in zip(said, weights, strict=True):
        for document, score in scores.items():
            values.setdefault(document, []).append(weight * score)
    return {document: combine(found) for document, found in values.items()}


def _mean_rank(rankings: Sequence[Mapping[str, float]], weights: Sequence[float]) -> Scores:
    """Runs without any result for the topic have no say; where all that have weigh nothing, they weigh the same."""
    heard = [(list(ranking), weight) for ranking, weight in zip(rankings, weights, strict=True) if ranking]
    if not any(weight for _, weight in heard):
        heard = [(ranking, 1.0) for ranking, _ in heard]
    total = math.fsum(weight for _, weight in heard)
    ranks = [({document: rank for rank, document in enumerate(ranking, 1)}, weight) for ranking, weight in heard]
    documents = dict.fromkeys(document for ranking, _ in heard for document in ranking)
    return {d: -math.fsum(weight * places.get(d, len(places) + 1) for places, weight in ranks) / total for d in documents}


def _ranked(ranking: Mapping[str, float], method: str, k: int) -> Scores:
    return {d: 1 / (k + rank) if method == "rrf" else 1 / rank**2 for rank, d in enumerate(ranking, 1)}


def _min_max(scores: Scores) -> Scores:
    least = min(scores.values(), default=0.0)
    return _divided(scores, least, max(scores.values(), default=0.0) - least)


def _max(scores: Scores) -> Scores:
    largest = max(scores.values(), default=1.0)
    if largest <= 0:
        raise XlrankError(
            f"fusion: normalisation 'max' needs scores above 0, and the largest of a topic is {largest}; use min-max"
        )
    return _divided(scores, 0.0, largest)


def _sum(scores: Scores) -> Scores:
    least = min(scores.values(), default=0.0)
    return _divided(scores, least, math.fsum(score - least for score in scores.values()))


def _z_score(scores: Scores) -> Scores:
    if not scores:
        return scores
    mean = math.fsum(scores.values()) / len(scores)
    return _divided(scores, mean, math.sqrt(math.fsum((score - mean) ** 2 for score in scores.values()) / len(scores)))


def _divided(scores: Scores, subtracted: float, divisor: float) -> Scores:
    return {document: (score - subtracted) / max(divisor, TINY) for document, score in scores.items()}


# Sums that do not depend on the order of the runs, so that no tie is broken by it.
METHODS: Mapping[str, Combine] = {
    "rrf": math.fsum,
    "isr": lambda found: len(found) * math.fsum(found),
    "mean-rank": math.fsum,
    "wsum": math.fsum,
    "sum": math.fsum,
    "mnz": lambda found: len(found) * math.fsum(found),
    "anz": lambda found: math.fsum(found) / len(found),
    "max": max,
    "min": min,
    "med": statistics.median,
}
BY_RANK = ("rrf", "isr", "mean-rank")
WEIGHTED = ("rrf", "wsum", "mean-rank")
NORMALISATIONS: Mapping[str, Callable[[Scores], Scores]] = {
    "min-max": _min_max,
    "max": _max,
    "sum": _sum,
    "z-score": _z_score,
    "rank": lambda scores: {document: 1 - place / len(scores) for place, document in enumerate(scores)},
    "none": dict,
}
