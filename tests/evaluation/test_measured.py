"""What an evaluation returns: a mapping that prints as means and says which topics did not count."""

import json
import pickle

import pytest

from xlrank.errors import XlrankError
from xlrank.evaluation import Evaluation, evaluate
from xlrank.runs import Run

RUN = Run.of("r", {"1": {"a": 1.0, "b": 0.5}, "2": {"x": 1.0}, "98": {"a": 1.0}, "99": {"a": 1.0}})
QRELS = {"1": {"a": 1}, "2": {"b": 1, "x": 0}, "3": {"a": 2}, "4": {"a": 0}, "5": {"b": 0}}


def test_it_is_the_mapping_that_it_was() -> None:
    found = evaluate(RUN, QRELS, ["map", "mrr"])
    expected = {"1": 1.0, "2": 0.0, "3": 0.0}
    assert found == {"map": expected, "mrr": expected} and isinstance(found, dict)
    assert json.loads(json.dumps(found)) == found
    assert pickle.loads(pickle.dumps(found)).notes == found.notes
    assert found.means == pytest.approx({"map": 1 / 3, "mrr": 1 / 3})


def test_it_prints_means_and_not_topics() -> None:
    found = evaluate(RUN, QRELS, ["map", "recall@100"])
    assert str(found) == repr(found)
    assert str(found).splitlines() == [
        "map         0.3333",
        "recall@100  0.3333",
        "means over 3 topics",
        "note: topics of the run that are not judged, left out: 2 (98, 99)",
        "note: topics without a relevant document, left out: 2 (4, 5)",
        "note: topics without results, counted 0: 1 (3)",
    ]
    assert str(Evaluation({"map": {}})) == "map  –\nmeans over 0 topics"
    with pytest.raises(XlrankError, match="no topics to average over"):
        _ = Evaluation({"map": {}}).means


def test_notes_follow_the_treatment() -> None:
    assert evaluate(RUN, QRELS, ["map"], missing="skip", without_relevant="zero").notes == (
        "topics of the run that are not judged, left out: 2 (98, 99)",
        "topics without a relevant document, counted 0: 2 (4, 5)",
        "topics without results, left out: 3 (3, 4, 5)",
    )
    assert evaluate(Run.of("r", {"1": {"a": 1.0}}), {"1": {"a": 1}}).notes == ()
