"""What a ``results.json`` holds, the checks on reading one, and the plain tables that every writer shares."""

import math
from datetime import datetime
from pathlib import Path
from typing import Any, TypedDict, cast

from xlrank.errors import XlrankError
from xlrank.files import read_json
from xlrank.languages import LANGUAGES

LEVEL = 0.05
"""A difference is marked when its corrected p-value is below this."""

MISSING = "–"


class ComparisonData(TypedDict):
    """A system against the baseline, on MAP: :class:`xlrank.evaluation.Comparison` and Holm's p."""

    difference: float
    p_value: float | None
    p_holm: float | None
    wins: int
    losses: int
    ties: int
    topics: int


class Row(TypedDict):
    """One system on one pair of languages.

    ``composition`` is ``None`` for first stages, ``comparison`` for the baseline. ``metrics`` holds means over topics,
    ``per_topic`` the values they are means of. ``seconds`` is the wall time. ``run`` is relative to the results' folder.
    """

    system: str
    label: str
    composition: str | None
    language: str
    documents: str
    metrics: dict[str, float]
    per_topic: dict[str, dict[str, float]]
    comparison: ComparisonData | None
    seconds: float
    pairs_per_second: float | None
    run: str
    note: str


class Results(TypedDict):
    """All of ``results.json``; ``baseline`` is the ``system`` of the rows that the others are compared with."""

    xlrank: str
    date: str
    collection: str
    documents: str
    fields: str
    depth: int
    baseline: str
    metrics: list[str]
    rows: list[Row]
    notes: list[str]


NUMBER, OPTIONAL = (int, float), (int, float, type(None))
RESULTS_FIELDS: dict[str, Any] = dict.fromkeys(("xlrank", "date", "collection", "documents", "fields", "baseline"), str)
RESULTS_FIELDS |= {"depth": int, "metrics": list, "rows": list, "notes": list}
ROW_FIELDS: dict[str, Any] = dict.fromkeys(("system", "label", "language", "documents", "run", "note"), str)
ROW_FIELDS |= {"composition": (str, type(None)), "metrics": dict, "per_topic": dict, "comparison": (dict, type(None))}
ROW_FIELDS |= {"seconds": NUMBER, "pairs_per_second": OPTIONAL}
COMPARISON_FIELDS: dict[str, Any] = {"difference": NUMBER, "p_value": OPTIONAL, "p_holm": OPTIONAL}
COMPARISON_FIELDS |= dict.fromkeys(("wins", "losses", "ties", "topics"), int)


def read_results(folder: Path) -> Results:
    """Read and check ``folder/results.json``.

    Raises:
        XlrankError: missing, not JSON, or a field that is missing or of the wrong type, named by its place.
    """
    path = folder / "results.json"
    if not path.is_file():
        raise XlrankError(f"{path}: not found; run `xlrank eval` first, or name the folder that it wrote")
    results = read_json(path)
    _fields(results, RESULTS_FIELDS, f"{path}")
    if "map" not in results["metrics"] or not all(isinstance(text, str) for text in (*results["metrics"], *results["notes"])):
        raise _malformed(f"{path}: metrics and notes must be lists of text, and 'map' one of the metrics")
    if not results["rows"]:
        raise _malformed(f"{path}: there are no rows")
    for number, row in enumerate(results["rows"]):
        _row(row, results["metrics"], f"{path}: rows[{number}]")
    return cast(Results, results)


def pairs(results: Results) -> dict[tuple[str, str], list[Row]]:
    """(Query language, document language), in order of appearance, to its rows by falling MAP; ties by system name."""
    found: dict[tuple[str, str], list[Row]] = {}
    for row in results["rows"]:
        found.setdefault((row["language"], row["documents"]), []).append(row)
    return {pair: sorted(rows, key=lambda row: (-row["metrics"]["map"], row["system"])) for pair, rows in found.items()}


def best(rows: list[Row], metric: str) -> str:
    """The highest value as printed: rows that show the same three decimals share the honour."""
    return number(max(row["metrics"][metric] for row in rows))


def significant(row: Row) -> bool:
    """Whether a row differs from the baseline on MAP, either way, after Holm's correction."""
    p_holm = row["comparison"]["p_holm"] if row["comparison"] else None
    return p_holm is not None and p_holm < LEVEL


def console_table(results: Results) -> list[tuple[str, ...]]:
    """Header and rows of plain text for all languages, to print on a terminal; ``*`` marks significant differences."""
    header = ("language", "system", *map(metric_name, results["metrics"]), "difference", "p (Holm)", "seconds")
    table: list[tuple[str, ...]] = [header]
    for rows in pairs(results).values():
        for row in rows:
            compared = row["comparison"]
            values = [number(row["metrics"][m]) + "*" * (m == "map" and significant(row)) for m in results["metrics"]]
            difference, p = (signed(compared["difference"]), p_value(compared["p_holm"])) if compared else (MISSING, MISSING)
            table.append((row["language"], row["label"], *values, difference, p, seconds(row["seconds"])))
    return table


def metric_name(metric: str) -> str:
    """How papers write a metric: ``map`` → MAP, ``ndcg@10`` → nDCG@10, ``recall@100`` → R@100."""
    name, at, cut_off = metric.partition("@")
    return {"map": "MAP", "mrr": "MRR", "ndcg": "nDCG", "recall": "R", "precision": "P"}.get(name, name) + at + cut_off


def language_name(code: str) -> str:
    """The English name of a language, or the code itself where it is unknown."""
    return LANGUAGES[code].name if code in LANGUAGES else code


def baseline_label(results: Results) -> str:
    """The label of the baseline, or its system name where no row is its."""
    return next((row["label"] for row in results["rows"] if row["system"] == results["baseline"]), results["baseline"])


def date(results: Results) -> str:
    """The date as people read it, to the minute; as it stands where it is no ISO date."""
    try:
        return datetime.fromisoformat(results["date"]).strftime("%Y-%m-%d %H:%M %Z").strip()
    except ValueError:
        return results["date"]


def number(value: float) -> str:
    """Three decimals."""
    return f"{value:.3f}"


def signed(value: float) -> str:
    """Three decimals with a sign, except for what rounds to zero."""
    text = f"{value:+.3f}"
    return text if text.strip("+-0.") else "0.000"


def p_value(value: float | None) -> str:
    """Three decimals, ``<0.001`` below; a dash where no test was made."""
    return MISSING if value is None else "<0.001" if value < 0.001 else number(value)


def seconds(value: float | None) -> str:
    """One decimal, for seconds and for rates; a dash for none."""
    return MISSING if value is None else f"{value:.1f}"


def _malformed(text: str) -> XlrankError:
    return XlrankError(f"{text}; run `xlrank eval` again to write it anew")


def _fields(value: Any, fields: dict[str, Any], place: str) -> None:  # noqa: ANN401 - whatever the JSON holds
    if not isinstance(value, dict):
        raise _malformed(f"{place} is not an object")
    for name, kind in fields.items():
        if name not in value:
            raise _malformed(f"{place} lacks {name!r}")
        if not isinstance(value[name], kind) or (isinstance(value[name], float) and not math.isfinite(value[name])):
            raise _malformed(f"{place}: {name!r} has the wrong type")


def _row(row: Any, metrics: list[str], place: str) -> None:  # noqa: ANN401 - whatever the JSON holds
    _fields(row, ROW_FIELDS, place)
    if row["comparison"] is not None:
        _fields(row["comparison"], COMPARISON_FIELDS, f"{place}.comparison")
    _fields(row["metrics"], dict.fromkeys(metrics, NUMBER), f"{place}.metrics")
    _fields(row["per_topic"], {"map": dict}, f"{place}.per_topic")
    if not row["per_topic"]["map"]:
        raise _malformed(f"{place}.per_topic.map has no topics")
    for metric, values in row["per_topic"].items():
        _fields(values, dict.fromkeys(values if isinstance(values, dict) else (), NUMBER), f"{place}.per_topic.{metric}")
