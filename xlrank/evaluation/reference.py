"""The significance test of the original code (Litschko et al., COLING 2022), for comparison with its published stars.

Not what this package recommends: average precision is divided by the relevant documents that were *found*, so it is inflated
where a ranking is cut; the test is an *unpaired* t-test over precision values at single relevant documents, so topics with many
of them weigh most and topics are not matched; nothing is corrected for the number of tests.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from xlrank.errors import XlrankError
from xlrank.runs import Run

ORIGINAL = "original"
"""How these figures are labelled."""

STAR = 0.05
"""A star is set where 0 < p <= this."""

Judgements = Mapping[str, Mapping[str, int]]


def precision_values(run: Run, qrels: Judgements) -> dict[str, list[float]]:
    """Precision at each relevant document found, by topic.

    Any grade but 0 is relevant. Topics of the run for which no relevant document was found are left out, as the original does.
    """
    found: dict[str, list[float]] = {}
    for topic, ranking in run.rankings.items():
        relevant = {document for document, grade in qrels.get(topic, {}).items() if grade != 0}
        ranks = [rank for rank, (document, _) in enumerate(ranking, 1) if document in relevant]
        if ranks:
            found[topic] = [number / rank for number, rank in enumerate(ranks, 1)]
    return found


def original_map(run: Run, qrels: Judgements) -> float | None:
    """The original's MAP: by found relevant documents, over topics with any; ``None`` without such a topic."""
    topics = [math.fsum(values) / len(values) for values in precision_values(run, qrels).values()]
    return math.fsum(topics) / len(topics) if topics else None


def original_test(run: Run, baseline: Run, qrels: Judgements) -> dict[str, Any]:
    """The original's comparison of two runs on a language pair.

    Returns:
        ``label`` ("original"), ``p_value`` (``None`` where the test is not defined), ``star`` and both ``map`` and
        ``baseline_map`` as the original computes them.
    """
    pooled = original_test_pooled([(run, baseline, qrels)])
    return {**pooled, "map": original_map(run, qrels), "baseline_map": original_map(baseline, qrels)}


def original_test_pooled(pairs: Sequence[tuple[Run, Run, Judgements]]) -> dict[str, Any]:
    """The original's comparison over several language pairs: all their precision values in one test.

    Args:
        pairs: of each language pair the run, the baseline's run and the judgements.

    Returns:
        ``label``, ``p_value`` and ``star``.
    """
    try:
        from scipy import stats
    except ImportError as error:
        raise XlrankError(f"the original's t-test needs scipy ({error}); `pip install xlrank[eval]` brings it") from None
    mine = [value for run, _, qrels in pairs for values in precision_values(run, qrels).values() for value in values]
    theirs = [value for _, run, qrels in pairs for values in precision_values(run, qrels).values() for value in values]
    p_value = math.nan
    if min(len(mine), len(theirs)) > 1 and np.ptp([*mine, *theirs]) > 0:
        p_value = float(stats.ttest_ind(theirs, mine).pvalue)
    defined = math.isfinite(p_value)
    return {"label": ORIGINAL, "p_value": p_value if defined else None, "star": defined and 0 < p_value <= STAR}
