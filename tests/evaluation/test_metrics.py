"""Metrics against values worked out by hand."""

import math
import random

import pytest

from xlrank.errors import XlrankError
from xlrank.evaluation import METRICS, evaluate
from xlrank.evaluation.metrics import mean, warm_up
from xlrank.runs import Run


def ranked(*documents: str) -> dict[str, float]:
    return {document: float(-rank) for rank, document in enumerate(documents)}


def test_values_by_hand() -> None:
    """Relevant: a (grade 3), b (1), c (2, not found). Ranking: x a y b, so hits at ranks 2 and 4."""
    run = Run.of("r", {"1": ranked("x", "a", "y", "b")})
    values = evaluate(run, {"1": {"a": 3, "b": 1, "c": 2, "x": 0}})
    assert list(values) == list(METRICS)
    assert values["map"]["1"] == pytest.approx((1 / 2 + 2 / 4) / 3)
    assert values["mrr"]["1"] == pytest.approx(1 / 2)
    assert values["recall@100"]["1"] == pytest.approx(2 / 3)
    gain = 3 / math.log2(3) + 1 / math.log2(5)
    ideal = 3 / math.log2(2) + 2 / math.log2(3) + 1 / math.log2(4)
    assert values["ndcg@10"]["1"] == pytest.approx(gain / ideal)


def test_cut_offs() -> None:
    """Three relevant documents at ranks 1, 3 and 12 of 12, a fourth not found; graded 1, 2, 2, 5."""
    documents = [f"x{rank}" for rank in range(1, 13)]
    run = Run.of("r", {"1": ranked(*documents)})
    qrels = {"1": {"x1": 1, "x3": 2, "x12": 2, "lost": 5}}
    values = evaluate(run, qrels, ["ndcg@10", "recall@3", "map@3", "precision@3", "hit_rate@1", "mrr@10"])
    ideal = 5 + 2 / math.log2(3) + 2 / math.log2(4) + 1 / math.log2(5)
    assert values["ndcg@10"]["1"] == pytest.approx((1 + 2 / math.log2(4)) / ideal)
    assert values["recall@3"]["1"] == pytest.approx(2 / 4)
    assert values["map@3"]["1"] == pytest.approx((1 + 2 / 3) / 4)
    assert values["precision@3"]["1"] == pytest.approx(2 / 3)
    assert values["hit_rate@1"]["1"] == values["mrr@10"]["1"] == 1


def test_ideal_ranking_is_cut_too() -> None:
    """Twelve relevant documents, the first ten found: a perfect nDCG@10, though two are missing."""
    qrels = {"1": {f"d{number}": 1 for number in range(12)}}
    run = Run.of("r", {"1": ranked(*(f"d{number}" for number in range(10)))})
    assert evaluate(run, qrels, ["ndcg@10"])["ndcg@10"]["1"] == pytest.approx(1)


def test_equal_scores_are_ordered_by_document_id() -> None:
    """All scores equal: z is last of 26 whatever order it was given in."""
    documents = [chr(ord("a") + number) for number in range(26)]
    for seed in range(5):
        random.Random(seed).shuffle(documents)
        run = Run.of("r", {"1": dict.fromkeys(documents, 0.5)})
        assert evaluate(run, {"1": {"z": 1}}, ["mrr"])["mrr"]["1"] == pytest.approx(1 / 26)
        assert evaluate(run, {"1": {"a": 1}}, ["mrr"])["mrr"]["1"] == 1


def test_the_runs_order_wins_over_its_scores() -> None:
    """A ranking that was put in an order on purpose is not sorted again."""
    run = Run("r", {"1": (("b", 1.0), ("a", 1.0))})
    assert evaluate(run, {"1": {"b": 1}}, ["mrr"])["mrr"]["1"] == 1


def test_topics_without_results_count_zero_and_without_relevant_documents_not_at_all() -> None:
    """Topic 2 has no results, 3 an empty ranking, 4 nothing relevant, 5 is not judged."""
    run = Run.of("r", {"5": ranked("a"), "4": ranked("a"), "3": {}, "1": ranked("a")})
    qrels = {"1": {"a": 1}, "2": {"a": 1}, "3": {"a": 2}, "4": {"a": 0, "b": -1}}
    values = evaluate(run, qrels)
    for metric in METRICS:
        assert values[metric] == {"1": 1.0, "2": 0.0, "3": 0.0}
    assert mean(values["map"]) == pytest.approx(1 / 3)


def test_many_topics_of_different_lengths_do_not_mix() -> None:
    """Topic t has its one relevant document at rank t + 1 of t + 2; every topic uses the same ids."""
    names = [f"d{number:03}" for number in range(40)]
    run = Run.of("r", {str(topic): ranked(*names[: topic + 2]) for topic in range(30)})
    values = evaluate(run, {str(topic): {names[topic]: 1} for topic in range(30)})
    assert values["map"] == pytest.approx({str(topic): 1 / (topic + 1) for topic in range(30)})


@pytest.mark.parametrize("metric", ["MAP", "ndcg@0", "ndcg@x", "precision", "map-l2", "", "bpref"])
def test_unknown_metrics_are_refused(metric: str) -> None:
    with pytest.raises(XlrankError, match="unknown metric"):
        evaluate(Run.of("r", {"1": ranked("a")}), {"1": {"a": 1}}, [metric])


def test_foreign_qrels_are_refused() -> None:
    run = Run.of("bm25", {"C041": ranked("a")})
    with pytest.raises(XlrankError, match="no results for any judged topic: its topics are C041, the qrels' 1, 2, 3, …"):
        evaluate(run, {str(topic): {"a": 1} for topic in range(1, 9)})
    with pytest.raises(XlrankError, match="no relevant document"):
        evaluate(run, {"C041": {"a": 0}})
    with pytest.raises(XlrankError, match="none"):
        evaluate(Run("empty", {}), {"1": {"a": 1}})


def test_mean_and_warm_up() -> None:
    warm_up()
    assert mean({"1": 0.5, "2": 1.0}) == 0.75
    with pytest.raises(XlrankError, match="no topics"):
        mean({})
