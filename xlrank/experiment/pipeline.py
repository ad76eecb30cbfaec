"""An evaluation from collection to leaderboard: first stages, rankers, metrics, paired tests, results folder."""

import datetime
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import xlrank
from xlrank.bases import EMBEDDED, Base
from xlrank.collections import Collection
from xlrank.composition import Composition
from xlrank.composition.resolve import STAND_INS, StandInRule
from xlrank.composition.rules import check_rules
from xlrank.errors import XlrankError
from xlrank.evaluation import METRICS
from xlrank.experiment.stages import StageProgress, Stages
from xlrank.experiment.systems import DEFAULT_SYSTEMS, FIRST_STAGES, System, system
from xlrank.files import content_key, make_folder, read_json, write_json
from xlrank.languages import language_code
from xlrank.precision import Precision, resolve_precision
from xlrank.runs import Run

RESULTS = "results.json"
BASELINE = "dense"


@dataclass(frozen=True)
class Plan:
    """What to evaluate.

    Attributes:
        collection: any collection id.
        languages: query languages; empty means every one that the collection has topics in.
        documents: document language.
        fields: query fields, ``title``, ``description`` or ``title+description``.
        systems: names or expressions; empty means all that the collection has data for.
        first_stage: whose candidates the rankers re-order, ``dense`` or ``bm25``.
        depth: how many candidates.
        base: the encoder.
        precision: of the rankers.
        modules: folders or ids by the name they stand for in compositions.
        stand_in: what a language without a module gets, ``nearest`` or ``average`` (:mod:`xlrank.composition.resolve`).
        reference: whether rankers repeat the original code's quirks.
    """

    collection: str = "mini"
    languages: tuple[str, ...] = ()
    documents: str = "en"
    fields: str = "title+description"
    systems: tuple[str, ...] = ()
    first_stage: str = BASELINE
    depth: int = 100
    base: str = EMBEDDED
    precision: Precision = "auto"
    modules: Mapping[str, str] = field(default_factory=dict)
    stand_in: StandInRule = "nearest"
    reference: bool = False


def run_plan(plan: Plan, out: Path, progress: StageProgress) -> dict[str, Any]:
    """Run a plan into the folder ``out`` and return what its ``results.json`` holds.

    Finished stages are taken from ``out`` while nothing they depend on has changed.

    Raises:
        XlrankError: anything is wrong with the plan or the data; everything that can be is checked before work starts.
    """
    collection, languages, systems = _checked(plan)
    stages = Stages(
        collection,
        language_code(plan.documents),
        Base(plan.base),
        out,
        plan.fields,
        plan.depth,
        plan.precision,
        progress,
        plan.reference,
    )
    systems, notes = _possible(plan, systems, stages, languages)
    compositions = _compositions(plan, systems, stages, languages)
    qrels = collection.qrels(stages.document_language)
    known = _known_rows(out)
    make_folder(out)
    rows = []
    for language in languages:
        runs = _runs(plan, systems, stages, language, compositions)
        rows += _rows(runs, stages, language, qrels, known, compositions)
    stand_ins = {stand_in for composition in compositions.values() for stand_in in composition.stand_ins()}
    notes += [f"{s}: no module for {s.name}, {STAND_INS[plan.stand_in]}" for s in sorted(stand_ins, key=str)]
    results = {
        "xlrank": xlrank.__version__,
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "collection": collection.id,
        "documents": stages.document_language,
        "fields": plan.fields,
        "depth": plan.depth,
        "first_stage": plan.first_stage,
        "base": plan.base,
        "precision": resolve_precision(plan.precision),
        "baseline": _baseline(systems),
        "metrics": list(METRICS),
        "rows": rows,
        "notes": notes,
    }
    write_json(out / RESULTS, results)
    return results


def _checked(plan: Plan) -> tuple[Collection, list[str], list[System]]:
    collection = Collection(plan.collection)
    languages = list(dict.fromkeys(language_code(language) for language in plan.languages)) or collection.query_languages
    if plan.first_stage not in FIRST_STAGES:
        raise XlrankError(f"first stage {plan.first_stage!r}: expected one of {', '.join(FIRST_STAGES)}")
    if not set(plan.fields.split("+")) <= {"title", "description"}:
        raise XlrankError(f"fields {plan.fields!r}: expected title, description or title+description")
    resolve_precision(plan.precision)
    if plan.depth < 1:
        raise XlrankError(f"depth {plan.depth}: expected at least 1")
    systems = list(dict.fromkeys(system(name) for name in plan.systems or DEFAULT_SYSTEMS))
    document_language = language_code(plan.documents)
    collection.documents(document_language)
    for language in languages:
        for topic in collection.topics(language):
            if not topic.query(plan.fields):
                raise XlrankError(
                    f"topic {topic.id!r} ({language}) has no {plan.fields}; choose other fields or complete the topics"
                )
    return collection, languages, systems


def _possible(plan: Plan, systems: list[System], stages: Stages, languages: list[str]) -> tuple[list[System], list[str]]:
    """Drop BM25 where nothing is translated, unless it was asked for: then say what is missing."""
    wanted = any(s.name == "bm25" for s in systems) or plan.first_stage == "bm25"
    try:
        for language in languages if wanted else []:
            stages.collection.search_topics(language, stages.document_language)
    except XlrankError as error:
        if "bm25" in (*plan.systems, plan.first_stage):
            raise
        return [s for s in systems if s.name != "bm25"], [f"bm25 left out: {error}"]
    return systems, []


def _compositions(plan: Plan, systems: list[System], stages: Stages, languages: list[str]) -> dict[tuple[str, str], Composition]:
    """The composition of every ranker and language, modules loaded and held against the base, before anything runs."""
    result = {}
    for language in languages:
        for ranker in (s for s in systems if s.template is not None):
            composition = ranker.composition(language, stages.document_language, plan.modules, plan.stand_in)
            check_rules(composition, reference=plan.reference)
            for leaf in composition.leaves():
                leaf.loaded().check_base(stages.base)
            result[ranker.name, language] = composition
    return result


def _runs(
    plan: Plan, systems: list[System], stages: Stages, language: str, compositions: Mapping[tuple[str, str], Composition]
) -> list[tuple[System, Run]]:
    candidates = stages.first_stage(plan.first_stage, language)
    runs = []
    for wanted in systems:
        if wanted.template is not None:
            run = stages.reranked(wanted.name, language, compositions[wanted.name, language], candidates)
        elif wanted.name == plan.first_stage:
            run = candidates
        else:
            run = stages.first_stage(wanted.name, language)
        runs.append((wanted, run))
    return runs


def _rows(
    runs: list[tuple[System, Run]],
    stages: Stages,
    language: str,
    qrels: Mapping[str, Mapping[str, int]],
    known: Mapping[str, dict[str, Any]],
    compositions: Mapping[tuple[str, str], Composition],
) -> list[dict[str, Any]]:
    judged = content_key(qrels, METRICS)
    rows = []
    for wanted, run in runs:
        key = content_key(run.metadata["key"], judged)
        values = known.get(key) or _measure(run, qrels)
        composition = compositions.get((wanted.name, language))
        seconds, resumed = float(run.metadata["seconds"]), run.metadata.get("resumed", False)
        pairs = sum(min(stages.depth, len(ranking)) for ranking in run.rankings.values())
        rows.append(
            {
                "system": wanted.name,
                "label": wanted.label,
                "composition": str(composition) if composition else None,
                "modules": {str(leaf): leaf.loaded().digest for leaf in composition.leaves()} if composition else {},
                "language": language,
                "documents": stages.document_language,
                "metrics": values["metrics"],
                "per_topic": values["per_topic"],
                "comparison": None,
                "seconds": seconds,
                "pairs_per_second": None if composition is None or resumed or not seconds else round(pairs / seconds, 1),
                "run": str(stages.run_path(wanted.name, language).relative_to(stages.out)),
                "key": key,
                "note": "",
            }
        )
    _compare(rows, _baseline([wanted for wanted, _ in runs]))
    return rows


def _measure(run: Run, qrels: Mapping[str, Mapping[str, int]]) -> dict[str, Any]:
    from xlrank.evaluation.metrics import evaluate, mean

    per_topic = evaluate(run, qrels)
    return {"metrics": {metric: mean(values) for metric, values in per_topic.items()}, "per_topic": per_topic}


def _compare(rows: list[dict[str, Any]], baseline: str | None) -> None:
    """Fill in each row's paired test against the baseline on average precision, Holm-corrected over the language's systems."""
    reference = next((row for row in rows if row["system"] == baseline), None)
    if reference is None or all(row is reference for row in rows):
        return
    from xlrank.evaluation.significance import compare, holm

    others = [row for row in rows if row is not reference]
    tests = {row["system"]: compare(row["per_topic"]["map"], reference["per_topic"]["map"]) for row in others}
    corrected = holm({name: test.p_value for name, test in tests.items()})
    for row in others:
        row["comparison"] = vars(tests[row["system"]]) | {"p_holm": corrected[row["system"]]}


def _baseline(systems: list[System]) -> str | None:
    names = [s.name for s in systems]
    return next((name for name in (BASELINE, "bm25") if name in names), names[0] if names else None)


def _known_rows(out: Path) -> dict[str, dict[str, Any]]:
    """Rows of an earlier run by key: their metrics need not be computed again."""
    try:
        return {row["key"]: row for row in read_json(out / RESULTS)["rows"]}
    except (XlrankError, KeyError, TypeError):
        return {}
