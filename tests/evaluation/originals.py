"""trec_eval itself, through pytrec_eval; ``python -m tests.evaluation.originals`` stores its values in ``trec_eval.json``."""

import json
import random
import tempfile
from pathlib import Path
from typing import Any

from tests.evaluation.cases import NAMES, Grades, Scores, random_case
from tests.modules.formats.originals import run_original
from xlrank.collections import Collection

GOLDEN = Path(__file__).with_name("trec_eval.json")
SEED = 101

SCRIPT = """
import json, sys
import ir_measures, pytrec_eval

cases = json.load(open(sys.argv[1]))
found = []
for scores, grades in cases:
    values = pytrec_eval.RelevanceEvaluator(grades, pytrec_eval.supported_measures).evaluate(scores)
    judged = ir_measures.iter_calc([ir_measures.Judged @ 10], grades, scores)
    found.append({"trec_eval": values, "judged@10": {each.query_id: each.value for each in judged}})
json.dump(found, open(sys.argv[2], "w"))
"""


def originals(cases: list[tuple[Scores, Grades]]) -> list[dict[str, Any]]:
    """What trec_eval (by topic and its own names) and ir-measures make of runs and judgements."""
    with tempfile.TemporaryDirectory() as folder:
        given, result = Path(folder, "cases.json"), Path(folder, "values.json")
        given.write_text(json.dumps(cases), encoding="utf-8")
        run_original(SCRIPT, str(given), str(result))
        found: list[dict[str, Any]] = json.loads(result.read_text(encoding="utf-8"))
    return found


def mini_case() -> tuple[Scores, Grades]:
    """A run of coarse random scores over the small collection."""
    draw = random.Random(SEED)
    qrels = {topic: dict(grades) for topic, grades in Collection("mini").qrels("en").items()}
    documents = sorted({document for grades in qrels.values() for document in grades})
    scores: Scores = {}
    for topic, grades in qrels.items():
        # Relevant documents must be found now and then, or most values would be 0.
        pool = sorted({*draw.sample(documents, 100), *list(grades)[::2]})
        scores[topic] = {document: round(draw.random() + (grades.get(document, 0) > 0) / 2, 1) for document in pool}
    return scores, qrels


def main() -> None:
    values = {}
    cases = {"random": random_case(SEED), "mini": mini_case()}
    for name, found in zip(cases, originals(list(cases.values())), strict=True):
        values[name] = {t: {n: round(each[n], 9) for n in NAMES.values()} for t, each in found["trec_eval"].items()}
    GOLDEN.write_text(json.dumps(values, indent=0) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
