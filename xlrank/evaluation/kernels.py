"""ranx's metric functions over ready arrays, without the rest of ranx.

``import ranx`` takes 2 s and 280 MB here, nearly all of it for its data structures, tests and plots (pandas, scipy.stats,
matplotlib, ir_datasets). Its metrics need numpy and numba only, 0.3 s, so they are imported beneath an empty stand-in for the
package, which is gone again afterwards: a later ``import ranx`` is the real one, and uses the same metric functions. numba
compiles each function when it is first called, 1 to 6 s each, and keeps the result on disk: ``make setup`` calls
:func:`~xlrank.evaluation.metrics.warm_up`, so that a fresh process has its first result in under a second.
"""

import importlib
import importlib.util
import sys
import threading
import warnings
from collections.abc import Mapping, Sequence
from functools import lru_cache
from itertools import repeat
from types import ModuleType
from typing import Any

import numpy as np

from xlrank.errors import XlrankError
from xlrank.evaluation.names import Metric

NOWHERE, PADDING = -1.0, 1e15
"""Numbers of a retrieved document without judgement, and of places behind a topic's last judgement: they match nothing."""

FUNCTIONS = {
    "map": "average_precision",
    "mrr": "reciprocal_rank",
    "ndcg": "ndcg",
    "recall": "recall",
    "precision": "precision",
    "hit_rate": "hit_rate",
    "r-precision": "r_precision",
    "bpref": "bpref",
    "rbp": "rank_biased_precision",
}
"""Name of a metric to ranx's function."""

# numba's simplest threading layer, which ranx chooses too, ends the process when two threads enter it at once.
ONE_AT_A_TIME = threading.Lock()


def judged_array(grades: Sequence[Mapping[str, int]]) -> tuple[np.ndarray, list[dict[str, int]]]:
    """Judgements as ranx takes them.

    Args:
        grades: per topic, document id to grade; at least one grade is 1 or more.

    Returns:
        float64 (topics, most judgements of a topic, 2) of document number and grade, and per topic document id to number.
        Grades stand in falling order, since ranx reads the ideal ranking off it. Padding has no grade (NaN), so it is counted
        neither as relevant nor as not. A topic without a document judged not relevant gets one that nothing matches: ranx
        divides bpref by their number.
    """
    numbers: list[dict[str, int]] = []
    rows: list[list[float]] = []
    for each in grades:
        best_first = sorted(each.items(), key=lambda item: -item[1])
        numbers.append({document: number for number, (document, _) in enumerate(best_first)})
        rows.append([float(grade) for _, grade in best_first])
        if best_first[-1][1] >= 1:
            rows[-1].append(0.0)
    judged = np.full((len(rows), max(map(len, rows)), 2), [PADDING, np.nan])
    for row, values in enumerate(rows):
        judged[row, : len(values), 0] = np.arange(len(values))
        judged[row, : len(values), 1] = values
    return judged, numbers


def ranked_array(rankings: Sequence[Sequence[str]], numbers: Sequence[Mapping[str, int]]) -> np.ndarray:
    """Rankings as ranx takes them: float64 (topics, longest ranking, 2) of document number and falling score."""
    longest = max(1, *map(len, rankings))
    ranked = np.empty((len(rankings), longest, 2))
    ranked[:, :, 0] = NOWHERE
    ranked[:, :, 1] = -np.arange(longest)
    for row, (ranking, number) in enumerate(zip(rankings, numbers, strict=True)):
        if ranking:
            ranked[row, : len(ranking), 0] = np.fromiter(map(number.get, ranking, repeat(NOWHERE)), np.float64, len(ranking))
    return ranked


def compute(metric: Metric, judged: np.ndarray, ranked: np.ndarray) -> np.ndarray:
    """The metric's value on each topic, float64 (topics,)."""
    with ONE_AT_A_TIME, warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="unsafe cast")  # numba, of ranx's code, whenever it compiles
        function = getattr(_ranx_metrics(), FUNCTIONS[metric.name])
        if metric.persistence is not None:
            # ranx multiplies by the grade; rank-biased precision (Moffat and Zobel 2008) takes relevance as 0 or 1.
            binary = np.minimum(judged, [np.inf, 1.0])
            return np.asarray(function(binary, ranked, metric.persistence))
        return np.asarray(function(judged, ranked, metric.cutoff or 0))


@lru_cache(maxsize=1)
def _ranx_metrics() -> ModuleType:
    try:
        return _without_the_rest() if "ranx" not in sys.modules else importlib.import_module("ranx.metrics")
    except ImportError as error:
        raise XlrankError(f"evaluation needs ranx ({error}); `pip install xlrank[eval]` brings it") from None
    except RuntimeError as error:  # numba found no folder for its cache
        raise XlrankError(f"ranx cannot be loaded ({error}); set NUMBA_CACHE_DIR to a folder that can be written") from None


def _without_the_rest() -> ModuleType:
    spec = importlib.util.find_spec("ranx")
    if spec is None or spec.submodule_search_locations is None:
        raise ImportError("No module named 'ranx'")
    numba: Any = importlib.import_module("numba")
    numba.config.THREADING_LAYER = "workqueue"  # as ranx sets it
    stand_in = ModuleType("ranx")
    stand_in.__path__ = list(spec.submodule_search_locations)
    sys.modules["ranx"] = stand_in
    try:
        return importlib.import_module("ranx.metrics")
    finally:
        del sys.modules["ranx"]
