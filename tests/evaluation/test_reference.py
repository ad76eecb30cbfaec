"""The original code's test, by hand and against scipy's unpaired t-test."""

import pytest
from scipy import stats

from xlrank.evaluation.reference import original_map, original_test, original_test_pooled, precision_values
from xlrank.runs import Run


def ranked(*documents: str) -> dict[str, float]:
    return {document: float(-rank) for rank, document in enumerate(documents)}


QRELS = {"1": {"a": 1, "b": 3, "lost": 1, "n": 0}, "2": {"c": -1, "d": 2}, "3": {"e": 1}, "4": {"f": 0}}
RUN = Run.of("ra", {"1": ranked("a", "n", "b"), "2": ranked("x", "c", "d"), "3": ranked("x"), "4": ranked("f"), "9": ranked("a")})
BASE = Run.of("monobert", {"1": ranked("n", "a", "b"), "2": ranked("c", "x", "d"), "3": ranked("x", "e")})


def test_precision_at_each_relevant_document_that_was_found() -> None:
    """Any grade but 0 is relevant; documents not found do not count; topics without any found are left out."""
    assert precision_values(RUN, QRELS) == {"1": [1.0, 2 / 3], "2": [1 / 2, 2 / 3]}
    assert original_map(RUN, QRELS) == pytest.approx(((1 + 2 / 3) / 2 + (1 / 2 + 2 / 3) / 2) / 2)
    assert original_map(Run.of("nothing", {"3": ranked("x")}), QRELS) is None


def test_values_of_all_topics_are_pooled_and_not_paired() -> None:
    mine, theirs = [1.0, 2 / 3, 1 / 2, 2 / 3], [1 / 2, 2 / 3, 1.0, 2 / 3, 1 / 2]
    found = original_test(RUN, BASE, QRELS)
    assert found["label"] == "original"
    assert found["p_value"] == pytest.approx(stats.ttest_ind(theirs, mine).pvalue)
    assert found["star"] is False
    assert (found["map"], found["baseline_map"]) == (original_map(RUN, QRELS), original_map(BASE, QRELS))
    pooled = original_test_pooled([(RUN, BASE, QRELS), (BASE, RUN, QRELS), (RUN, BASE, QRELS)])
    expected = stats.ttest_ind(theirs + mine + theirs, mine + theirs + mine).pvalue
    assert pooled == {"label": "original", "p_value": pytest.approx(expected), "star": False}


def test_a_star_for_p_up_to_5_percent() -> None:
    qrels = {str(topic): {"a": 1} for topic in range(12)}
    good = Run.of("good", {topic: ranked(*(["a"] if int(topic) % 3 else ["x", "a"])) for topic in qrels})
    bad = Run.of("bad", {topic: ranked("x", "y", "z", *(["a"] if int(topic) % 2 else ["w", "a"])) for topic in qrels})
    found = original_test(good, bad, qrels)
    assert found["star"] is True
    assert 0 < found["p_value"] < 0.05


def test_where_the_test_is_not_defined() -> None:
    """One value, or all alike: no p, and no star."""
    same = {"1": {"a": 1}, "2": {"a": 1}}
    run = Run.of("r", {"1": ranked("a"), "2": ranked("a")})
    for other in (run, Run.of("one", {"1": ranked("x", "a")}), Run.of("none", {"1": ranked("x")})):
        found = original_test(run, other, same)
        assert (found["p_value"], found["star"]) == (None, False)
