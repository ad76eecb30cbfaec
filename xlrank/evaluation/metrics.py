"""Effectiveness of a run per topic: ranx's metrics (Bassani, ECIR 2022), with trec_eval's definitions and, if wished, order."""

import math
from collections.abc import Mapping, Sequence
from typing import Literal

import numpy as np

from xlrank.errors import XlrankError
from xlrank.evaluation.kernels import compute, judged_array, ranked_array
from xlrank.evaluation.measured import Evaluation, mean
from xlrank.evaluation.names import Metric, check_metric, metric, metric_label
from xlrank.runs import Run, sample, topics_noted

__all__ = ["METRICS", "Evaluation", "check_metric", "evaluate", "mean", "metric_label", "warm_up", "without_relevant_noted"]

METRICS = ("map", "ndcg@10", "mrr", "recall@100")
"""What a leaderboard shows unless told otherwise."""

Judgements = Mapping[str, Mapping[str, int]]
Ties = Literal["run", "trec_eval"]
Treatment = Literal["zero", "skip"]
TREATED = {"zero": "counted 0", "skip": "left out"}


def evaluate(
    run: Run,
    qrels: Judgements,
    metrics: Sequence[str] = METRICS,
    *,
    ties: Ties = "run",
    missing: Treatment = "zero",
    without_relevant: Treatment = "skip",
) -> Evaluation:
    """The value of each metric on each topic; printed, their means.

    - A document is relevant from grade 1. Unjudged documents are not relevant, except to ``bpref``, which leaves them out.
    - Topics that only the run has are left out, and the notes of the result say so.
    - Metrics without ``@k`` look at the whole ranking, so their values depend on the run's depth.
    - ``map``, ``recall``: by all relevant documents, found or not. ``precision@k``: by ``k``, however few results there are.
    - ``ndcg``: the grade itself as gain, discounted by log2(rank + 1) (Järvelin and Kekäläinen 2002).
    - ``rbp.80``: rank-biased precision, persistence 0.80, relevance 0 or 1 (Moffat and Zobel 2008).
    - ``bpref``: Buckley and Voorhees (2004), as trec_eval corrected it; negative grades count as unjudged.
    - ``judged@k``: share of the first ``k`` results (of fewer, if the run has fewer) that the qrels name, whatever the grade.

    All but ``rbp`` and ``judged``, which it lacks, equal trec_eval 9's with ``ties="trec_eval"``; its averages are those over
    the topics of ``missing="skip"`` (its ``-c``: ``"zero"``) and ``without_relevant="zero"``.

    Args:
        run: the rankings.
        qrels: topic id to document id to grade.
        metrics: any name that :func:`~xlrank.evaluation.names.metric` knows.
        ties: ``run``: the run's own order counts, also among equal scores (:class:`Run` puts those in the order of document
            ids). ``trec_eval``: by falling score, equal ones by falling document id; scores are compared in single precision.
        missing: topics for which the run has no results count 0, or are left out.
        without_relevant: the same for topics for which no document is relevant, where no ranking could do well.

    Returns:
        Metric (as it was asked for) to topic id (in the order of ``qrels``) to a value from 0 to 1, with notes on topics that
        were left out or counted 0.

    Raises:
        XlrankError: an unknown metric, no relevant documents at all, no topic that run and qrels share, or a score that is
            not a number.
    """
    asked = {text: metric(text) for text in metrics}
    topics, answerable = _topics(run, qrels, missing, without_relevant)
    incomplete = any(each.name in ("bpref", "judged") for each in asked.values())
    ordered = {topic: _ordered(run, topic, ties) for topic in topics}
    # Documents judged not relevant are many, and only two metrics need to know them.
    judged, numbers = judged_array([{d: g for d, g in qrels[t].items() if g >= 1 or (incomplete and g >= 0)} for t in answerable])
    ranked = ranked_array([ordered[topic] for topic in answerable], numbers)
    found: dict[str, dict[str, float]] = {}
    for text, each in asked.items():
        if each.name == "judged":
            found[text] = {topic: _judged(ordered[topic], qrels[topic], each) for topic in topics}
        else:
            values = dict(zip(answerable, compute(each, judged, ranked).tolist(), strict=True))
            found[text] = {topic: values.get(topic, 0.0) for topic in topics}
        _finite(run, text, found[text])
    return Evaluation(found, _notes(run, qrels, missing, without_relevant))


def without_relevant_noted(qrels: Judgements, without_relevant: str) -> list[str]:
    """A note on topics for which no document is relevant; none where there are none."""
    found = [topic for topic, grades in qrels.items() if not _has_relevant(grades)]
    return topics_noted(f"topics without a relevant document, {TREATED[without_relevant]}", found)


def _has_relevant(grades: Mapping[str, int]) -> bool:
    return any(grade >= 1 for grade in grades.values())


def _notes(run: Run, qrels: Judgements, missing: str, without_relevant: str) -> list[str]:
    counted = [topic for topic in qrels if without_relevant == "zero" or _has_relevant(qrels[topic])]
    return [
        *topics_noted("topics of the run that are not judged, left out", [t for t in run.rankings if t not in qrels]),
        *without_relevant_noted(qrels, without_relevant),
        *topics_noted(f"topics without results, {TREATED[missing]}", [t for t in counted if not run.rankings.get(t)]),
    ]


def warm_up() -> None:
    """Make numba compile ranx's metrics and keep the result on disk, so that no later evaluation has to wait for it.

    Half a minute the first time on a machine, 0.6 s from then on. The compiled code is kept beside ranx, or in numba's cache
    folder where that is not writable.
    """
    every = [*METRICS, "precision@1", "hit_rate@1", "r-precision", "rbp.80", "bpref"]
    evaluate(Run.of("warm-up", {"1": {"a": 2.0, "b": 1.0}}), {"1": {"b": 1}}, every)


def _topics(run: Run, qrels: Judgements, missing: str, without_relevant: str) -> tuple[list[str], list[str]]:
    """The topics that count, and those of them that have relevant documents."""
    for name, value in (("missing", missing), ("without_relevant", without_relevant)):
        if value not in ("zero", "skip"):
            raise XlrankError(f"{name} is {value!r}; expected zero or skip")
    relevant = {topic for topic, grades in qrels.items() if _has_relevant(grades)}
    if not relevant:
        raise XlrankError("the qrels hold no relevant document (grade 1 or more); nothing can be evaluated")
    answers = any(run.rankings.get(topic) for topic in relevant)
    # A run that found nothing at all is worth nothing; one that found something for other topics is the wrong one.
    if not answers and (missing == "skip" or any(run.rankings.values())):
        asked = [topic for topic in qrels if topic in relevant]
        raise XlrankError(
            f"run {run.name!r} has no results for any judged topic: its topics are {sample(run.rankings)}, "
            f"the qrels' {sample(asked)}; evaluate it against the qrels of its own collection"
        )
    topics = [topic for topic in qrels if topic in relevant or without_relevant == "zero"]
    if missing == "skip":
        topics = [topic for topic in topics if run.rankings.get(topic)]
    return topics, [topic for topic in topics if topic in relevant]


def _ordered(run: Run, topic: str, ties: str) -> list[str]:
    """A topic's document ids, best first."""
    ranking = run.rankings.get(topic, ())
    if not ranking:
        return []
    found, values = zip(*ranking, strict=True)  # faster than two passes, and rankings are long
    documents, scores = list(found), np.array(values, dtype=np.float64)
    if np.isnan(scores).any():
        document = documents[int(np.isnan(scores).argmax())]
        raise XlrankError(f"run {run.name!r}, topic {topic!r}: the score of document {document!r} is not a number; rank it again")
    if ties == "run":
        return documents
    if ties != "trec_eval":
        raise XlrankError(f"ties is {ties!r}; expected run or trec_eval")
    with np.errstate(over="ignore"):
        single = scores.astype(np.float32)
    order = np.argsort(-single, kind="stable")
    documents = [documents[place] for place in order]
    single = single[order]
    borders = [0, *(np.flatnonzero(single[1:] != single[:-1]) + 1).tolist(), len(documents)]
    for start, end in zip(borders, borders[1:], strict=False):
        if end - start > 1:
            documents[start:end] = sorted(documents[start:end], reverse=True)
    return documents


def _judged(ranking: Sequence[str], grades: Mapping[str, int], asked: Metric) -> float:
    first = ranking[: asked.cutoff]
    return sum(document in grades for document in first) / len(first) if first else 0.0


def _finite(run: Run, text: str, values: Mapping[str, float]) -> None:
    for topic, value in values.items():
        if not math.isfinite(value):
            raise XlrankError(f"run {run.name!r}, topic {topic!r}: {text} came out as {value}; check the grades of this topic")
