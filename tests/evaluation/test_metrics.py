"""Metrics against values worked out by hand."""

import math
import random
import subprocess
import sys

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


def test_rank_biased_precision_takes_relevance_as_0_or_1() -> None:
    """Relevant at ranks 2 and 4 of 4, with grades 3 and 1: (1 - p)(p + p^3)."""
    run = Run.of("r", {"1": ranked("x", "a", "y", "b")})
    values = evaluate(run, {"1": {"a": 3, "b": 1, "c": 2, "x": 0}}, ["rbp.80", "rbp.5"])
    assert values["rbp.80"]["1"] == pytest.approx(0.2 * (0.8 + 0.8**3))
    assert values["rbp.5"]["1"] == pytest.approx(0.5 * (0.5 + 0.5**3))


def test_bpref_leaves_unjudged_documents_out() -> None:
    """R = 3, N = 2. Judged: not relevant n, relevant a, not relevant m, relevant b: ((1 - 1/2) + (1 - 2/2) + 0) / 3."""
    run = Run.of("r", {"1": ranked("?", "n", "a", "?2", "m", "b"), "2": ranked("?", "a"), "3": ranked("s", "a", "n")})
    qrels = {"1": {"a": 3, "b": 1, "c": 2, "n": 0, "m": 0}, "2": {"a": 1}, "3": {"a": 1, "s": -2, "n": 0}}
    values = evaluate(run, qrels, ["bpref"])["bpref"]
    assert values == pytest.approx({"1": 0.5 / 3, "2": 1.0, "3": 1.0})  # 2: nothing is judged not relevant; 3: -2 is unjudged


def test_precision_divides_by_k_and_r_precision_by_all_relevant_documents() -> None:
    """Both relevant documents of the run, but three of the topic; the run ends after rank 2."""
    values = evaluate(Run.of("r", {"1": ranked("a", "b")}), {"1": {"a": 1, "b": 1, "c": 1}}, ["P@10", "R-Prec", "judged@10"])
    assert values == {"P@10": {"1": 0.2}, "R-Prec": {"1": pytest.approx(2 / 3)}, "judged@10": {"1": 1.0}}


def test_judged_counts_any_grade_among_the_first_k() -> None:
    run = Run.of("r", {"1": ranked("a", "x", "n", "s", "y"), "3": ranked("a")})
    qrels = {"1": {"a": 1, "n": 0, "s": -1}, "2": {"a": 1}, "3": {"b": 0}}
    assert evaluate(run, qrels, ["judged@4"])["judged@4"] == {"1": 0.75, "2": 0.0}
    assert evaluate(run, qrels, ["judged@1"], without_relevant="zero", missing="skip")["judged@1"] == {"1": 1.0, "3": 0.0}


def test_equal_scores_in_trec_evals_order() -> None:
    """Document ids descending; scores that differ in double precision only are equal."""
    run = Run.of("r", {"1": {"a": 1.0 + 1e-12, "b": 1.0, "c": 1.0, "d": 2.0}})
    for document, rank in {"d": 1, "c": 2, "b": 3, "a": 4}.items():
        assert evaluate(run, {"1": {document: 1}}, ["mrr"], ties="trec_eval")["mrr"]["1"] == pytest.approx(1 / rank)
    assert evaluate(run, {"1": {"a": 1}}, ["mrr"])["mrr"]["1"] == pytest.approx(1 / 2)


def test_trec_evals_order_sorts_again() -> None:
    run = Run("r", {"1": (("b", 1.0), ("a", 3.0), ("c", 3.0))})
    values = {d: evaluate(run, {"1": {d: 1}}, ["mrr"], ties="trec_eval")["mrr"]["1"] for d in "abc"}
    assert values == pytest.approx({"c": 1.0, "a": 1 / 2, "b": 1 / 3})


def test_treatment_of_topics() -> None:
    """Topic 2 has no results, 4 nothing relevant, 5 neither."""
    run = Run.of("r", {"1": ranked("a"), "4": ranked("a")})
    qrels = {"1": {"a": 1}, "2": {"a": 1}, "4": {"a": 0}, "5": {"b": 0}}
    assert evaluate(run, qrels, ["map"])["map"] == {"1": 1.0, "2": 0.0}
    assert evaluate(run, qrels, ["map"], missing="skip")["map"] == {"1": 1.0}
    assert evaluate(run, qrels, ["bpref"], without_relevant="zero")["bpref"] == {"1": 1.0, "2": 0.0, "4": 0.0, "5": 0.0}
    assert evaluate(run, qrels, ["map"], missing="skip", without_relevant="zero")["map"] == {"1": 1.0, "4": 0.0}


def test_settings_are_checked() -> None:
    run, qrels = Run.of("r", {"1": ranked("a")}), {"1": {"a": 1}}
    for wrong, said in (
        ({"ties": "random"}, "ties is 'random'; expected run or trec_eval"),
        ({"missing": "drop"}, "missing is 'drop'; expected zero or skip"),
        ({"without_relevant": ""}, "without_relevant is ''; expected zero or skip"),
    ):
        with pytest.raises(XlrankError, match=said):
            evaluate(run, qrels, **wrong)  # type: ignore[arg-type]
    with pytest.raises(XlrankError, match="unknown metric 'mapp'"):
        evaluate(run, qrels, ["map", "mapp"])


def test_scores_that_are_no_numbers_are_refused() -> None:
    run = Run("dense", {"1": (("a", 1.0),), "2": (("a", 2.0), ("b", math.nan))})
    with pytest.raises(XlrankError, match="run 'dense', topic '2': the score of document 'b' is not a number"):
        evaluate(run, {"1": {"a": 1}, "2": {"a": 1}})


def test_a_fresh_process_needs_neither_all_of_ranx_nor_long() -> None:
    """The whole of ranx takes 2 s to import; its metrics alone must do, and leave nothing that a later import would trip over."""
    script = (
        "import sys, time; start = time.process_time()\n"
        "from xlrank.evaluation import compare, evaluate\n"
        "from xlrank.runs import Run\n"
        "values = evaluate(Run.of('r', {'1': {'a': 1.0}, '2': {'b': 1.0}}), {'1': {'a': 1}, '2': {'a': 1}})\n"
        "compare(values['map'], values['map'])\n"
        "print(time.process_time() - start, values['map'], {'pandas', 'matplotlib', 'torch', 'ranx'} & set(sys.modules))\n"
    )
    warm_up()
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    seconds, _, rest = done.stdout.partition(" ")
    assert rest == "{'1': 1.0, '2': 0.0} set()\n"
    assert float(seconds) < 3


def test_foreign_qrels_are_refused() -> None:
    run = Run.of("bm25", {"C041": ranked("a")})
    with pytest.raises(XlrankError, match="no results for any judged topic: its topics are C041, the qrels' 1, 2, 3, …"):
        evaluate(run, {str(topic): {"a": 1} for topic in range(1, 9)})
    with pytest.raises(XlrankError, match="no relevant document"):
        evaluate(run, {"C041": {"a": 0}})
    with pytest.raises(XlrankError, match="none"):
        evaluate(Run("empty", {}), {"1": {"a": 1}}, missing="skip")


def test_a_run_that_found_nothing_is_worth_nothing() -> None:
    assert evaluate(Run("empty", {}), {"1": {"a": 1}, "2": {"b": 0}}, ["map"]) == {"map": {"1": 0.0}}


def test_mean_and_warm_up() -> None:
    warm_up()
    assert mean({"1": 0.5, "2": 1.0}) == 0.75
    with pytest.raises(XlrankError, match="no topics"):
        mean({})
