"""Names of metrics: ours, papers', trec_eval's."""

import pytest

from xlrank.errors import XlrankError
from xlrank.evaluation.names import KNOWN, Metric, metric, metric_label


@pytest.mark.parametrize(
    ("text", "name", "label"),
    [
        ("map", "map", "MAP"),
        ("AP@100", "map@100", "MAP@100"),
        ("map_cut_10", "map@10", "MAP@10"),
        ("MRR@10", "mrr@10", "MRR@10"),
        ("recip_rank", "mrr", "MRR"),
        ("nDCG@20", "ndcg@20", "nDCG@20"),
        ("ndcg_cut_20", "ndcg@20", "nDCG@20"),
        ("P@10", "precision@10", "P@10"),
        ("P_10", "precision@10", "P@10"),
        ("R@1000", "recall@1000", "R@1000"),
        ("recall", "recall", "R"),
        ("success@5", "hit_rate@5", "Hit@5"),
        ("Rprec", "r-precision", "R-Prec"),
        ("R-Prec", "r-precision", "R-Prec"),
        ("bpref", "bpref", "bpref"),
        ("Judged@20", "judged@20", "Judged@20"),
        ("rbp.80", "rbp.80", "RBP(.80)"),
        ("rbp.8", "rbp.80", "RBP(.80)"),
        ("RBP(p=0.8)", "rbp.80", "RBP(.80)"),
        ("rbp.875", "rbp.875", "RBP(.875)"),
    ],
)
def test_all_names_lead_to_one(text: str, name: str, label: str) -> None:
    assert str(metric(text)) == name
    assert metric(name) == metric(text)
    assert metric_label(text) == label


def test_parameters() -> None:
    assert metric("ndcg@10") == Metric("ndcg", 10)
    assert metric("rbp.95") == Metric("rbp", persistence=0.95)


@pytest.mark.parametrize(
    "text", ["", "mapp", "ndcg@0", "ndcg@x", "ndcg@-1", "precision", "hit_rate", "judged", "bpref@10", "r-precision@5", "map-l2"]
)
def test_unknown_names_are_refused_with_those_that_are_known(text: str) -> None:
    with pytest.raises(XlrankError) as error:
        metric(text)
    assert str(error.value) == f"unknown metric {text!r}; expected {KNOWN}"


@pytest.mark.parametrize("text", ["rbp", "rbp@10", "rbp.0", "rbp.00", "rbp(1.0)", "rbp(p=2)"])
def test_a_persistence_between_0_and_1_is_needed(text: str) -> None:
    with pytest.raises(XlrankError, match=r"unknown metric .* rbp\.80 \(p = 0\.80\)"):
        metric(text)
