"""The task of benchmarks/evaluation.py in pytrec_eval (trec_eval's C code): seconds to a first result and for all systems."""

import json
import resource
import sys
import time

START = time.perf_counter()

import pytrec_eval  # noqa: E402 - the import is part of what is timed

NAMES = {"map", "ndcg_cut.10", "recip_rank", "recall.100"}


def main() -> None:
    """Evaluate as many systems as the argument says."""
    pytrec_eval.RelevanceEvaluator({"1": {"a": 1}}, NAMES).evaluate({"1": {"a": 1.0}})
    first = time.perf_counter() - START
    import runs

    judged, seconds = runs.qrels(), 0.0
    for system in range(int(sys.argv[1])):
        scores = runs.scores(system)
        start = time.perf_counter()
        pytrec_eval.RelevanceEvaluator(judged, NAMES).evaluate(scores)
        seconds += time.perf_counter() - start
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps({"first": first, "prepare": 0.0, "evaluate": seconds, "tests": None, "peak": peak}))


if __name__ == "__main__":
    main()
