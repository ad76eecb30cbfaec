"""Reads results folders: format 2 as it is, format 1 brought into its shape, newer ones refused."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from xlrank.errors import XlrankError
from xlrank.files import read_json
from xlrank.report.model import FORMAT, Results

MOST_BYTES = 2**30
"""A ``results.json`` is never larger: 2,900 rows of 60 topics take 50 MB."""


def read_results(folder: Path) -> Results:
    """Read and check ``folder/results.json``.

    Raises:
        XlrankError: missing, not JSON, of a newer format, or a field that is missing or wrong, named by its place.
    """
    path = folder / "results.json"
    if not path.is_file():
        raise XlrankError(f"{path}: not found; run `xlrank eval` first, or name the folder that it wrote")
    if path.stat().st_size > MOST_BYTES:
        raise XlrankError(f"{path}: larger than {MOST_BYTES // 2**20} MiB; expected the results of `xlrank eval`")
    return checked(read_json(path), str(path))


def checked(value: Any, place: str = "results") -> Results:  # noqa: ANN401 - whatever the JSON holds
    """Results as they stand in JSON, checked.

    Args:
        value: of format 1 or 2.
        place: what messages call it.

    Raises:
        XlrankError: of a newer format, or a field that is missing or wrong.
    """
    if not isinstance(value, Mapping):
        raise _malformed(f"{place} is not an object")
    found = value.get("format", 1)
    if isinstance(found, bool) or not isinstance(found, int) or found < 1:
        raise _malformed(f"{place}: 'format' is {found!r}; expected a number from 1 to {FORMAT}")
    if found > FORMAT:
        writer = str(value.get("xlrank", "unknown"))[:40]
        raise XlrankError(
            f"{place}: of format {found}, written by a newer xlrank ({writer}); this one reads up to {FORMAT}: upgrade xlrank"
        )
    try:
        return Results.model_validate(value if found == FORMAT else from_format_1(value, place))
    except ValidationError as error:
        raise _malformed(_first_problem(error, place)) from None


def from_format_1(value: Mapping[str, Any], place: str = "results") -> dict[str, Any]:
    """Format 1 in the shape of format 2: a single collection, MAP tested by the paired t-test with Holm's correction.

    What format 1 did not hold (intervals, effect sizes, digests of modules) stays empty.

    Raises:
        XlrankError: a field is missing or no object.
    """
    collection, baseline = _get(value, "collection", place), _get(value, "baseline", place)
    rows = _get(value, "rows", place)
    if not isinstance(rows, list):
        raise _malformed(f"{place}: 'rows' is not a list")
    metrics = _get(value, "metrics", place)
    if not isinstance(metrics, list) or "map" not in metrics:
        raise _malformed(f"{place}: 'metrics' must be a list with 'map' in it")
    return {
        "format": FORMAT,
        "xlrank": _get(value, "xlrank", place),
        "date": _get(value, "date", place),
        "name": collection,
        "experiment": {name: value[name] for name in ("collection", "documents", "fields", "depth") if name in value},
        "metrics": ["map", *(metric for metric in metrics if metric != "map")],
        "tests": {"baseline": baseline},
        "rows": [_row(row, collection, baseline, f"{place}: rows[{number}]") for number, row in enumerate(rows)],
        "notes": value.get("notes", []),
    }


def _row(row: Any, collection: Any, baseline: Any, place: str) -> dict[str, Any]:  # noqa: ANN401 - whatever the JSON holds
    compared = _get(row, "comparison", place)
    if compared is not None:
        p_corrected = _get(compared, "p_holm", f"{place}.comparison")
        compared = {**compared, "baseline": baseline, "p_corrected": p_corrected}
    topics = _get(_get(row, "per_topic", place), "map", f"{place}.per_topic")
    cost = {name: row.get(name) for name in ("seconds", "pairs_per_second")}
    known = len(topics) if isinstance(topics, Mapping) else 0
    return {**row, "collection": collection, "topics": known, "comparison": compared, "cost": cost}


def _get(value: Any, name: str, place: str) -> Any:  # noqa: ANN401 - whatever the JSON holds
    if not isinstance(value, Mapping):
        raise _malformed(f"{place} is not an object")
    if name not in value:
        raise _malformed(f"{place} lacks {name!r}")
    return value[name]


def _first_problem(error: ValidationError, place: str) -> str:
    """One line on the first thing that is wrong."""
    first = error.errors(include_url=False, include_context=False)[0]
    where = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in first["loc"]).lstrip(".")
    kind, message = first["type"], first["msg"]
    if kind == "missing":
        holder, _, name = where.rpartition(".")
        return f"{place}: {holder} lacks {name!r}" if holder else f"{place} lacks {name!r}"
    if kind == "value_error":
        message = message.removeprefix("Value error, ")
    else:
        message = message[:1].lower() + message[1:]
    return f"{place}: {where}: {message}" if where else f"{place}: {message}"


def _malformed(text: str) -> XlrankError:
    return XlrankError(f"{text}; run `xlrank eval` again to write it anew")
