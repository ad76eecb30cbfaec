"""Equal to trec_eval: on stored values of its own, and on many random runs where the originals' environment has it."""

import json
from typing import Any

import pytest

from tests.evaluation.cases import NAMES, Grades, Scores, random_case
from tests.evaluation.originals import GOLDEN, SEED, mini_case, originals
from tests.modules.formats.originals import needs_originals
from xlrank.evaluation import evaluate
from xlrank.evaluation.metrics import mean
from xlrank.runs import Run


def as_trec_eval(scores: Scores, grades: Grades, metrics: list[str]) -> dict[str, dict[str, float]]:
    """With its order of equal scores and its topics."""
    return evaluate(Run.of("r", scores), grades, metrics, ties="trec_eval", missing="skip", without_relevant="zero")


def assert_equal(scores: Scores, grades: Grades, theirs: dict[str, dict[str, float]]) -> None:
    ours = as_trec_eval(scores, grades, list(NAMES))
    for name, their_name in NAMES.items():
        expected = {topic: values[their_name] for topic, values in theirs.items()}
        assert ours[name] == pytest.approx(expected, abs=1e-8), name


@pytest.mark.parametrize(("name", "case"), [("random", random_case(SEED)), ("mini", mini_case())])
def test_stored_values(name: str, case: tuple[Scores, Grades]) -> None:
    assert_equal(*case, json.loads(GOLDEN.read_text(encoding="utf-8"))[name])


def test_the_stored_cases_have_what_evaluators_treat_differently() -> None:
    """Otherwise the test above would prove little: each treatment must change something."""
    scores, grades = random_case(SEED)
    run = Run.of("r", scores)
    trec_eval = evaluate(run, grades, ["map"], ties="trec_eval")["map"]
    assert evaluate(run, grades, ["map"])["map"] != pytest.approx(trec_eval)
    assert len(evaluate(run, grades, ["map"], missing="skip")["map"]) < len(trec_eval)
    assert len(evaluate(run, grades, ["map"], without_relevant="zero")["map"]) > len(trec_eval)
    assert set(scores) - set(grades)
    assert any(grade < 0 for each in grades.values() for grade in each.values())


@needs_originals
def test_random_runs_in_trec_eval_itself() -> None:
    cases = [random_case(seed) for seed in range(20)]
    found: list[dict[str, Any]] = originals(cases)
    for (scores, grades), values in zip(cases, found, strict=True):
        assert_equal(scores, grades, values["trec_eval"])
        judged = evaluate(Run.of("r", scores), grades, ["judged@10"], without_relevant="zero")["judged@10"]
        assert judged == pytest.approx(values["judged@10"])  # ir-measures orders equal scores by document id, as Run does
        maps = [each["map"] for each in values["trec_eval"].values()]
        assert mean(as_trec_eval(scores, grades, ["map"])["map"]) == pytest.approx(sum(maps) / len(maps))
