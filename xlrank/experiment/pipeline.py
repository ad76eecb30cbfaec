"""An experiment from collections to results: first stages, rankers, ensembles, metrics, paired tests, a results folder."""

import datetime
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from time import monotonic
from typing import Any

import xlrank
from xlrank.composition.resolve import STAND_INS
from xlrank.errors import XlrankError
from xlrank.evaluation.metrics import without_relevant_noted
from xlrank.evaluation.published import published_value
from xlrank.evaluation.significance import Comparison, Tests, compare_families
from xlrank.experiment.check import Checked, check
from xlrank.experiment.earlier import Earlier, pair_name
from xlrank.experiment.matches import write_matches
from xlrank.experiment.model import Experiment, System
from xlrank.experiment.pairs import LanguagePair
from xlrank.experiment.results import FORMAT, Row, environment, row, write_evidence
from xlrank.experiment.stages import Stages
from xlrank.files import build_lock, make_folder, write_json
from xlrank.precision import resolve_precision
from xlrank.progress import StageProgress
from xlrank.runs import NOTES, Run

RESULTS = "results.json"

Runs = dict[tuple[str, str], Run]
"""By system name and pair."""


def run_experiment(
    experiment: Experiment, out: Path, progress: StageProgress, *, checked: Checked | None = None, command: str = ""
) -> dict[str, Any]:
    """Run an experiment into the folder ``out`` and return what its ``results.json`` holds.

    Finished stages are taken from ``out`` while nothing they depend on has changed; interrupted ones continue. Rows that an
    earlier experiment left there stay where they are of other language pairs; notes name those that were replaced.

    Args:
        experiment: what to do.
        out: results folder.
        progress: told what goes on.
        checked: what :func:`~xlrank.experiment.check.check` has made of it, if that was called before.
        command: noted in the results.

    Raises:
        XlrankError: anything is wrong with the experiment or the data; everything that can be is checked before work starts.
    """
    checked = checked or check(experiment)
    known = Earlier.read(out / RESULTS).known
    make_folder(out)
    budget, settings = experiment.budget, (experiment.depth, experiment.precision)
    stages = Stages(checked.base, out, *settings, progress, experiment.reference, budget.latency_topics, experiment.max_length)
    ends = monotonic() + 60 * budget.minutes if budget.minutes else None
    rows: list[Row] = []
    runs: Runs = {}
    notes = list(checked.notes)
    for pair in checked.pairs:
        notes += [f"{pair}: {note}" for note in without_relevant_noted(pair.qrels, experiment.without_relevant)]
        for system in checked.systems(pair):
            if ends is not None and monotonic() > ends:
                notes.append(f"{pair} {system.name}: not made, the budget of {budget.minutes:g} minutes was used up")
                continue
            rows.append(_row(checked, stages, system, pair, runs, known))
    if not rows:
        raise XlrankError(f"experiment {experiment.name!r}: there is no system on any pair; nothing can be evaluated")
    results = _results(experiment, rows, command)
    evaluated = [(str(pair), system.name) for pair in checked.pairs for system in checked.systems(pair)]
    said = [f"{name}: {note}" for (_, name), run in runs.items() for note in run.metadata.get(NOTES, [])]
    with progress("comparing the systems"):
        write_matches(checked, stages, runs)
        # Read once more: another process may have added rows of its languages in the meantime.
        with build_lock(out / RESULTS):
            staying, replaced = Earlier.read(out / RESULTS).staying(results, evaluated)
            write_evidence(out, checked.pairs, runs, staying)
            results["rows"] = [*staying, *rows]
            _compare(experiment, results["rows"], runs, checked.pairs)
            results["notes"] = list(dict.fromkeys([*notes, *said, *_stand_ins(checked), *replaced]))
            write_json(out / RESULTS, results)
    return results


def baseline_of(experiment: Experiment) -> str | None:
    """The system that the others are compared with: as wished, else the first stage, else the first system."""
    if experiment.tests.baseline:
        return experiment.tests.baseline
    stages = [system.name for system in experiment.systems if system.retrieve in ("first", experiment.first_stage)]
    return next(iter([*stages, *(system.name for system in experiment.systems)]), None)


def _row(checked: Checked, stages: Stages, system: System, pair: LanguagePair, runs: Runs, known: dict[str, Row]) -> Row:
    """One system on one pair: its run, and what is measured of it."""
    name = str(pair)
    composition = checked.compositions.get((system.name, name))
    first = str(pair.stage)
    candidates: str | None = None
    if system.ensemble:
        members = {member: _member(checked, stages, member, pair, runs) for member in system.ensemble}
        kept, run = system.name, stages.fused(system.name, members, pair)
        candidates = first if any("candidates" in member.metadata for member in members.values()) else None
    elif composition is not None:
        kept, candidates = system.name, first
        run = stages.reranked(system.name, composition, stages.retrieved(first, pair.stage, pair), pair, system.depth)
    else:
        stage = checked.stage(system, pair)
        # Under its expression, so that the candidates and a system that is the same first stage share one file.
        kept, run = str(stage), stages.retrieved(str(stage), stage, pair)
    runs[system.name, name] = run
    path, before = stages.run_path(kept, pair).relative_to(stages.out), None
    if candidates is not None:
        before = stages.run_path(candidates, pair).relative_to(stages.out)
    return row(checked.experiment, system, pair, run, (path, before), composition, known)


def _member(checked: Checked, stages: Stages, name: str, pair: LanguagePair, runs: Runs) -> Run:
    if (name, str(pair)) in runs:
        return runs[name, str(pair)]
    if name == "first":
        return stages.retrieved(str(pair.stage), pair.stage, pair)
    raise XlrankError(f"{pair}: the ensemble's member {name!r} is not evaluated on this pair")


def _compare(experiment: Experiment, rows: list[Row], runs: Runs, pairs: Iterable[LanguagePair]) -> None:
    """Fill in each row's test against the baseline on the first metric, and what was published of it."""
    baseline, metric = baseline_of(experiment), experiment.metrics[0]
    tests = Tests(**experiment.tests.model_dump(exclude={"baseline"}), baseline=baseline)
    families: dict[str, dict[str, Any]] = {}
    for each in rows:
        families.setdefault(pair_name(each), {})[each["system"]] = each["per_topic"][metric]
    compared = compare_families(families, tests, topics="shared" if experiment.missing == "skip" else "same")
    judged = {str(pair): pair.qrels for pair in pairs}
    for each in rows:
        name = pair_name(each)
        comparison = compared[name][each["system"]]
        each["comparison"] = None if comparison is None else {"baseline": baseline} | _plain(comparison)
        each["published"] = published_value(experiment.published, each) if experiment.published else None
        if experiment.reference and baseline and each["system"] != baseline and (each["system"], name) in runs:
            each["reference_comparison"] = _original(runs, each, baseline, judged[name])
        elif each.get("reference_comparison") and each["reference_comparison"].get("baseline") != baseline:
            each["reference_comparison"] = None


def _plain(comparison: Comparison) -> dict[str, Any]:
    """A comparison as JSON has it."""
    return asdict(comparison) | {"interval": list(comparison.interval) if comparison.interval else None}


def _original(runs: Runs, each: Row, baseline: str, qrels: Any) -> dict[str, Any] | None:  # noqa: ANN401
    from xlrank.evaluation.reference import original_test

    name = pair_name(each)
    other = runs.get((baseline, name))
    if other is None:
        return None
    return {"baseline": baseline} | original_test(runs[each["system"], name], other, qrels)


def _results(experiment: Experiment, rows: list[Row], command: str) -> dict[str, Any]:
    tests = experiment.tests.model_dump(mode="json") | {"baseline": baseline_of(experiment)}
    return {
        "format": FORMAT,
        "xlrank": xlrank.__version__,
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "name": experiment.name,
        "title": experiment.title,
        "experiment": experiment.plain(),
        "command": command,
        "environment": environment(),
        "precision": resolve_precision(experiment.precision),
        "metrics": list(experiment.metrics),
        "tests": tests,
        "treatment": {
            "topics_without_results": experiment.missing,
            "topics_without_relevant": experiment.without_relevant,
            "ties": experiment.ties,
        },
        "rows": rows,
        "notes": [],
    }


def _stand_ins(checked: Checked) -> list[str]:
    found = {stand_in for composition in checked.compositions.values() for stand_in in composition.stand_ins()}
    rule = STAND_INS[checked.experiment.stand_in]
    return [f"{stand_in}: no module for {stand_in.name}, {rule}" for stand_in in sorted(found, key=str)]
