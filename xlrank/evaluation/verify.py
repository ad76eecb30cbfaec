"""Every figure of a results folder computed again, from the runs and judgements in the folder alone.

What is stored and what comes out must agree to the last digits; whatever was edited, mixed up or lost since is named.
"""

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path, PurePosixPath
from typing import Any

from xlrank.errors import XlrankError
from xlrank.evaluation.metrics import Judgements, evaluate, mean
from xlrank.evaluation.published import published_value
from xlrank.evaluation.reference import original_test
from xlrank.evaluation.significance import Tests, compare_families, interval
from xlrank.files import content_key, read_json
from xlrank.progress import Progress, told
from xlrank.runs import NOTES, Run

FORMAT = 2
TOLERANCE = 1e-9
"""Relative and absolute: what another processor or numpy may round differently."""

SHOWN = 3
"""Topics of a row and metric that are named; of more, only how many there are."""

Row = Mapping[str, Any]


def figures_key(
    run_key: str,
    qrels: Judgements,
    metrics: Sequence[str],
    ties: str,
    missing: str,
    seed: int,
    resamples: int,
    without_relevant: str = "skip",
) -> str:
    """The ``key`` of a row: equal while the run, the judgements and how they are measured are the same.

    Args:
        run_key: ``key`` in the run's metadata.
        qrels: of the row's language pair.
        metrics: in their order.
        ties: as in :func:`~xlrank.evaluation.metrics.evaluate`.
        missing: as there.
        seed: of the intervals.
        resamples: of the intervals.
        without_relevant: as for ``missing``.
    """
    # Keys are as they were when topics without relevant documents could only be skipped.
    more = [] if without_relevant == "skip" else [without_relevant]
    return content_key(run_key, qrels, [list(metrics), ties, missing, seed, resamples, *more])


def verify(folder: Path, progress: Progress | None = None) -> list[str]:
    """Recompute a results folder in format 2.

    Checked are, of every row, the run file (there, readable, of this pair, made from these candidates, unchanged since the
    figures were computed), all values per topic, means, intervals, numbers of topics and costs, the comparison with its
    corrected p, the original's comparison, and the published value.

    Args:
        folder: with ``results.json``, ``runs`` and ``qrels``.
        progress: told how many of the rows are done; by default that is shown on standard error.

    Returns:
        What does not match, one line each: row, figure, stored value, recomputed value. Empty: everything does.

    Raises:
        XlrankError: there is no ``results.json`` of this format.
    """
    results = _results(folder)
    evaluated: list[_Evaluated] = []
    problems: list[str] = []
    with told(progress, f"{folder}: recomputing rows") as report:
        for number, row in enumerate(results["rows"]):
            found = _Evaluated(row, folder, results)
            problems += found.check()
            evaluated.append(found)
            report(number + 1, len(results["rows"]))
    names = [found.name for found in evaluated]
    problems += [f"{name}: stands twice in results.json" for number, name in enumerate(names) if name in names[:number]]
    return [*problems, *_comparisons(evaluated, results), *_references(evaluated, results)]


@dataclass
class _Evaluated:
    """A row and what comes out of its run; ``per_topic`` stays empty where that cannot be computed."""

    row: Row
    folder: Path
    results: Mapping[str, Any]
    per_topic: dict[str, dict[str, float]] = field(default_factory=dict)
    run: Run | None = None
    qrels: Judgements = field(default_factory=dict)

    @property
    def pair(self) -> str:
        return f"{self.row['collection']} {self.row['language']}-{self.row['documents']}"

    @property
    def name(self) -> str:
        return f"{self.pair} {self.row['system']}"

    def check(self) -> Iterator[str]:
        """Compute the row again; yields what does not match."""
        problems: list[str] = []
        try:
            self.run = _run(self.folder, self.row["run"])
            problems += _provenance(self)
            self.qrels, keys = self._judgements(self.run)
            self.per_topic = self._evaluate(self.run)
        except XlrankError as error:
            yield f"{self.name}: {error}"
            return
        run_key = self.run.metadata.get("key")
        if run_key is None:
            notes = self.run.metadata.get(NOTES)
            said = f" ({'; '.join(map(str, notes))})" if isinstance(notes, list) else ""
            problems.append(f"{self.row['run']} has no key in its metadata{said}; whether it was changed cannot be told")
        elif self.row.get("key") not in {self._key(str(run_key), qrels) for qrels in keys}:
            problems.append(f"{self.row['run']}, its judgements or the settings were changed after the figures were computed")
        yield from (f"{self.name}: {problem}" for problem in problems)
        yield from self._figures()

    def _judgements(self, run: Run) -> tuple[Judgements, list[Judgements]]:
        """The judgements of the row's topics, and those that its key may have been made of."""
        from xlrank.collections.reading import read_qrels

        collection = PurePosixPath(self.row["run"]).parent.name
        everything = read_qrels(_inside(self.folder, f"qrels/{collection}.{self.row['documents']}.txt"))
        asked = _topic_ids(self.folder / "texts" / f"{collection}.topics.{self.row['language']}.jsonl")
        # The file holds the judgements of all query languages; a topic of another one is not this row's.
        if asked is None:
            asked = set(run.rankings).union(*self.row["per_topic"].values())
        mine = {topic: grades for topic, grades in everything.items() if topic in asked}
        return mine, [mine, everything]

    def _evaluate(self, run: Run) -> dict[str, dict[str, float]]:
        names = ("ties", "missing", "without_relevant")
        return evaluate(run, self.qrels, self.results["metrics"], **dict(zip(names, self._treatment(), strict=True)))

    def _treatment(self) -> tuple[Any, Any, Any]:
        treatment = self.results["treatment"]
        return treatment["ties"], treatment["topics_without_results"], treatment.get("topics_without_relevant", "skip")

    def _key(self, run_key: str, qrels: Judgements) -> str:
        tests = self.results["tests"]
        ties, missing, without_relevant = self._treatment()
        settings = (ties, missing, tests["seed"], tests["resamples"], without_relevant)
        return figures_key(run_key, qrels, self.results["metrics"], *settings)

    def _figures(self) -> Iterator[str]:
        row, tests = self.row, self.results["tests"]
        for metric, values in self.per_topic.items():
            yield from _shortened(self.name, metric, row["per_topic"].get(metric, {}), values)
            yield from _differing(self.name, metric, row["metrics"].get(metric), mean(values))
            ends = interval(values, tests["seed"], tests["resamples"])
            yield from _differing(self.name, f"interval of {metric}", row["intervals"].get(metric), ends)
        yield from _differing(self.name, "number of topics", row["topics"], len(self.per_topic[self.results["metrics"][0]]))
        if name := self.results["experiment"].get("published"):
            yield from _differing(self.name, "published", row["published"], published_value(name, row))


def _comparisons(evaluated: Sequence[_Evaluated], results: Mapping[str, Any]) -> Iterator[str]:
    """Comparisons with the baseline on the first metric; corrected p depends on all rows of a family."""
    metric = results["metrics"][0]
    tests = Tests(**{each.name: results["tests"][each.name] for each in fields(Tests) if each.name in results["tests"]})
    if lost := [found.name for found in evaluated if not found.per_topic]:
        yield f"comparisons were not recomputed, since they depend on {', '.join(lost)}"
        return
    families: dict[str, dict[str, dict[str, float]]] = {}
    for found in evaluated:
        families.setdefault(found.pair, {})[found.row["system"]] = found.per_topic[metric]
    topics = "shared" if results["treatment"]["topics_without_results"] == "skip" else "same"
    try:
        compared = compare_families(families, tests, topics=topics)  # type: ignore[arg-type]
    except XlrankError as error:
        yield f"comparisons cannot be recomputed: {error}"
        return
    for found in evaluated:
        comparison = compared[found.pair][found.row["system"]]
        expected = None if comparison is None else {"baseline": tests.baseline} | asdict(comparison)
        yield from _differing(found.name, "comparison", found.row["comparison"], expected)


def _references(evaluated: Sequence[_Evaluated], results: Mapping[str, Any]) -> Iterator[str]:
    """The original's comparisons, where there are any."""
    baseline = results["tests"]["baseline"]
    baselines = {found.pair: found.run for found in evaluated if found.row["system"] == baseline}
    for found in evaluated:
        stored, other = found.row.get("reference_comparison"), baselines.get(found.pair)
        if stored is not None and found.run is not None and other is not None:
            expected = {"baseline": baseline} | original_test(found.run, other, found.qrels)
            yield from _differing(found.name, "original's comparison", stored, {key: expected.get(key) for key in stored})


def _provenance(found: _Evaluated) -> Iterator[str]:
    """Whether the run is of this pair and cost, and re-orders the candidates it should."""
    row, run = found.row, found.run
    assert run is not None
    pair = run.metadata.get("data.test_collection", found.pair)
    if pair != found.pair:
        yield f"{row['run']} is a run on {pair}"
    cost, measured = row.get("cost"), run.metadata.get("cost")
    for name in ("seconds", "pairs"):
        if isinstance(cost, dict) and isinstance(measured, dict) and not _same(cost.get(name), measured.get(name)):
            yield f"cost, {name}, is stored as {_said(cost.get(name))}, and as {_said(measured.get(name))} in {row['run']}"
    if row.get("candidates"):
        candidates = _run(found.folder, row["candidates"])
        theirs = candidates.metadata.get("key")
        if theirs is not None and run.metadata.get("candidates", theirs) != theirs:
            yield f"{row['run']} re-orders other candidates than {row['candidates']}"
        for topic, ranking in run.rankings.items():
            offered = {document for document, _ in candidates.rankings.get(topic, ())}
            if strangers := [document for document, _ in ranking if document not in offered]:
                yield f"topic {topic}: {row['run']} ranks {strangers[0]}, which is not in {row['candidates']}"
                return


def _shortened(name: str, metric: str, stored: Mapping[str, Any], values: Mapping[str, float]) -> Iterator[str]:
    """Differing values per topic: the first, and how many there are."""
    both = {topic: (stored.get(topic), values.get(topic)) for topic in [*values, *stored]}
    lines = [line for topic, pair in both.items() for line in _differing(name, f"{metric} of topic {topic}", *pair)]
    yield from lines[:SHOWN]
    if len(lines) > SHOWN:
        yield f"{name}: {metric} of {len(lines) - SHOWN} more topics"


def _differing(name: str, figure: str, stored: Any, computed: Any) -> Iterator[str]:  # noqa: ANN401 - JSON values
    """One line for each number, text or null that is stored otherwise than it comes out."""
    if isinstance(computed, Mapping) and isinstance(stored, Mapping):
        for key in dict.fromkeys([*computed, *stored]):
            yield from _differing(name, f"{figure}, {key}", stored.get(key), computed.get(key))
    elif isinstance(computed, list | tuple) and isinstance(stored, list | tuple) and len(stored) == len(computed):
        for end, mine, theirs in zip(("low", "high"), stored, computed, strict=False):
            yield from _differing(name, f"{figure}, {end}", mine, theirs)
    elif not _same(stored, computed):
        yield f"{name}: {figure} is stored as {_said(stored)}, recomputed as {_said(computed)}"


def _same(stored: object, computed: object) -> bool:
    numbers = [value for value in (stored, computed) if isinstance(value, int | float) and not isinstance(value, bool)]
    if len(numbers) == 2:
        return math.isclose(numbers[0], numbers[1], rel_tol=TOLERANCE, abs_tol=TOLERANCE)
    return type(stored) is type(computed) and stored == computed


def _said(value: object) -> str:
    if isinstance(value, float):
        return "NaN" if math.isnan(value) else f"{value:.12g}"
    return "nothing" if value is None else json.dumps(value, ensure_ascii=False, default=str)


def _run(folder: Path, name: str) -> Run:
    path = _inside(folder, name)
    if not path.is_file():
        raise XlrankError(f"the run {name} is missing")
    return Run.read(path)


def _inside(folder: Path, name: str) -> Path:
    path = folder / name
    if not path.resolve().is_relative_to(folder.resolve()):
        raise XlrankError(f"{name} is not inside the folder")
    return path


def _topic_ids(path: Path) -> set[str] | None:
    """The topics of a query language; None where the folder does not keep them."""
    if not path.is_file():
        return None
    try:
        return {json.loads(line)["id"] for line in path.read_text(encoding="utf-8").splitlines() if line}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise XlrankError(f"{path}: expected JSON lines with an id ({error})") from None


ROW_FIELDS: dict[str, Any] = dict.fromkeys(("system", "collection", "language", "documents", "run"), str)
ROW_FIELDS |= {"metrics": dict, "intervals": dict, "per_topic": dict, "topics": int}
ROW_FIELDS |= {"comparison": dict | None, "published": dict | None, "reference_comparison": dict | None, "candidates": str | None}
FIELDS: dict[str, Any] = {"metrics": list, "tests": dict, "treatment": dict, "rows": list, "experiment": dict}


def _results(folder: Path) -> dict[str, Any]:
    path = folder / "results.json"
    if not path.is_file():
        raise XlrankError(f"{path}: not found; name the folder of an evaluation")
    results = read_json(path)
    if not isinstance(results, dict) or results.get("format") != FORMAT:
        written = results.get("format", 1) if isinstance(results, dict) else "none"
        raise XlrankError(f"{path}: format {written}; expected {FORMAT}: evaluate again with this version of xlrank")
    _fields(results, FIELDS, str(path))
    _fields(results["tests"], {"baseline": str | None, "seed": int, "resamples": int}, f"{path}, tests")
    _fields(results["treatment"], {"ties": str, "topics_without_results": str}, f"{path}, treatment")
    if not results["metrics"]:
        raise XlrankError(f"{path}: metrics is empty; evaluate again")
    for number, row in enumerate(results["rows"], 1):
        _fields(row, ROW_FIELDS, f"{path}, row {number}")
        if not all(isinstance(values, dict) for values in row["per_topic"].values()):
            raise XlrankError(f"{path}, row {number}: per_topic is malformed; evaluate again")
    return results


def _fields(found: Any, expected: Mapping[str, Any], place: str) -> None:  # noqa: ANN401 - any JSON value
    for name, kind in expected.items():
        if not isinstance(found, dict) or not isinstance(found.get(name), kind):
            raise XlrankError(f"{place}: {name} is missing or malformed; evaluate again")
