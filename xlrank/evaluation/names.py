"""What metrics are called: in options and result files (``ndcg@10``), in papers (``nDCG@10``), by trec_eval (``ndcg_cut_10``)."""

import re
from dataclasses import dataclass

from xlrank.errors import XlrankError

KNOWN = (
    "map, mrr, ndcg, recall (each also with @k, as in ndcg@10), precision@k, hit_rate@k, judged@k, r-precision, bpref, "
    "rbp.80 (p = 0.80)"
)
"""The names, for error messages and help."""

LABELS = {
    "map": "MAP",
    "mrr": "MRR",
    "ndcg": "nDCG",
    "recall": "R",
    "precision": "P",
    "hit_rate": "Hit",
    "judged": "Judged",
    "r-precision": "R-Prec",
    "bpref": "bpref",
    "rbp": "RBP",
}
"""Name to what papers print."""

OTHER_NAMES = {
    "ap": "map",
    "map_cut": "map",
    "rr": "mrr",
    "recip_rank": "mrr",
    "ndcg_cut": "ndcg",
    "r": "recall",
    "p": "precision",
    "hit": "hit_rate",
    "success": "hit_rate",
    "rprec": "r-precision",
    "r-prec": "r-precision",
    "r_precision": "r-precision",
}
"""What papers, trec_eval and ir-measures call them, in lower case."""

NEEDS_CUTOFF, MAY_HAVE_CUTOFF = ("precision", "hit_rate", "judged"), ("map", "mrr", "ndcg", "recall")
WITH_CUTOFF = re.compile(r"(?P<name>[a-z_-]+?)(?:[@_](?P<cutoff>[1-9]\d{0,5}))?")
WITH_PERSISTENCE = re.compile(r"rbp(?:\((?:p=)?(?P<written>0?\.\d+)\)|(?P<short>\.\d+))")


@dataclass(frozen=True)
class Metric:
    """A metric and its parameter.

    Attributes:
        name: a key of ``LABELS``.
        cutoff: how many results count; None: all.
        persistence: of rank-biased precision: the chance to go on to the next result.
    """

    name: str
    cutoff: int | None = None
    persistence: float | None = None

    def __str__(self) -> str:
        """The name in options and result files, e.g. ``ndcg@10`` or ``rbp.80``."""
        if self.persistence is not None:
            return f"rbp.{self._digits}"
        return self.name + (f"@{self.cutoff}" if self.cutoff else "")

    @property
    def label(self) -> str:
        """What papers print: ``MAP``, ``nDCG@10``, ``P@10``, ``R@100``, ``R-Prec``, ``RBP(.80)``."""
        label = LABELS[self.name]
        if self.persistence is not None:
            return f"{label}(.{self._digits})"
        return label + (f"@{self.cutoff}" if self.cutoff else "")

    @property
    def _digits(self) -> str:
        return f"{self.persistence:.10f}".partition(".")[2].rstrip("0").ljust(2, "0")


def metric(text: str) -> Metric:
    """A metric from any of its names, upper or lower case.

    Raises:
        XlrankError: unknown, a cut-off that is missing or too many, or a persistence that is not between 0 and 1.
    """
    lower = text.strip().lower()
    if found := WITH_PERSISTENCE.fullmatch(lower):
        persistence = float(found["written"] or found["short"])
        if 0 < persistence < 1:
            return Metric("rbp", persistence=persistence)
    elif found := WITH_CUTOFF.fullmatch(lower):
        name = OTHER_NAMES.get(found["name"], found["name"])
        cutoff = int(found["cutoff"]) if found["cutoff"] else None
        if name in MAY_HAVE_CUTOFF or (name in NEEDS_CUTOFF and cutoff) or (name in ("r-precision", "bpref") and not cutoff):
            return Metric(name, cutoff)
    raise XlrankError(f"unknown metric {text!r}; expected {KNOWN}")


def check_metric(text: str) -> None:
    """Refuse what :func:`metric` does not know.

    Raises:
        XlrankError: the metric is unknown.
    """
    metric(text)


def metric_label(text: str) -> str:
    """What papers call a metric: ``nDCG@10`` for ``ndcg@10``.

    Raises:
        XlrankError: the metric is unknown.
    """
    return metric(text).label
