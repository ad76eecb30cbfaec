"""``xlrank evaluate``: what runs are worth by a collection's judgements, or by those of a file."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, NamedTuple

import typer

from xlrank.cli.console import WithoutRelevantOption, print_notes, print_table

if TYPE_CHECKING:
    from xlrank.collections.reading import Qrels
    from xlrank.evaluation import Comparison, Evaluation, Tests


class _Measured(NamedTuple):
    """What is printed of runs, each by its name: values, tests, how topics were treated, and whether every topic is shown."""

    found: "Mapping[str, Evaluation]"
    compared: "Mapping[str, Comparison | None]"
    tests: "Tests"
    settings: Mapping[str, str]
    per_topic: bool


def evaluate(
    run: Annotated[list[Path], typer.Option("--run", help="TREC run file; repeatable, the first is the baseline of the tests.")],
    collection: Annotated[
        str | None, typer.Option(help="Whose judgements: mini (default), clef/2003, hc4/fa/test, irds:ID or folder:PATH.")
    ] = None,
    documents: Annotated[str | None, typer.Option(help="Document language of the collection; default en.")] = None,
    qrels: Annotated[
        Path | None, typer.Option(help="TREC file of judgements (topic 0 document grade), instead of a collection.")
    ] = None,
    metric: Annotated[
        list[str] | None, typer.Option(help="map, ndcg@10, mrr, recall@100, precision@k, rbp.80, judged@10, bpref …; repeatable.")
    ] = None,
    ties: Annotated[Literal["run", "trec_eval"], typer.Option(help="Order of equal scores: the run's, or trec_eval's.")] = "run",
    missing: Annotated[Literal["zero", "skip"], typer.Option(help="Topics without results: count 0, or are skipped.")] = "zero",
    without_relevant: WithoutRelevantOption = "skip",
    method: Annotated[Literal["t-test", "randomisation", "bootstrap"], typer.Option(help="Paired test over topics.")] = "t-test",
    correction: Annotated[Literal["holm", "bh", "none"], typer.Option(help="Of the tests made.")] = "holm",
    seed: Annotated[int, typer.Option(help="Of resampling.")] = 13,
    per_topic: Annotated[bool, typer.Option("--per-topic", help="Every topic's values too.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object instead of tables; notes go to stderr.")] = False,
) -> None:
    """Measure runs against judgements, with paired tests of the first metric against the first run."""
    from xlrank.errors import XlrankError
    from xlrank.evaluation import METRICS, Tests, compare_all
    from xlrank.evaluation import evaluate as measure
    from xlrank.runs import NOTES, Run

    names = [str(path) for path in run]
    if len(set(names)) < len(names):
        raise XlrankError(f"--run {next(n for n in names if names.count(n) > 1)}: given twice; name each run once")
    judgements = _judgements(collection, documents, qrels)
    runs = {name: Run.read(name) for name in names}
    metrics = list(dict.fromkeys(metric or METRICS))
    settings: dict[str, Any] = {"ties": ties, "missing": missing, "without_relevant": without_relevant}
    found = {name: measure(each, judgements, metrics, **settings) for name, each in runs.items()}
    tests = Tests(method=method, correction=correction, baseline=names[0], seed=seed)
    compared = compare_all(
        {name: each[metrics[0]] for name, each in found.items()}, tests, topics="shared" if missing == "skip" else "same"
    )
    for name in names:
        for notes in (runs[name].metadata.get(NOTES), found[name].notes):
            print_notes(notes, of=name, err=as_json)
    (_print_json if as_json else _print_tables)(_Measured(found, compared, tests, settings, per_topic))


def _judgements(collection: str | None, documents: str | None, qrels: Path | None) -> "Qrels":
    from xlrank.collections import Collection
    from xlrank.collections.reading import read_qrels
    from xlrank.errors import XlrankError

    if qrels is None:
        return Collection(collection or "mini").qrels(documents or "en")
    if collection or documents:
        given = "--collection" if collection else "--documents"
        raise XlrankError(f"{given} and --qrels: judgements are a collection's or those of a file; give one of the two")
    return read_qrels(qrels)


def _print_tables(measured: _Measured) -> None:
    from xlrank.evaluation.metrics import metric_label
    from xlrank.report.figures import number

    found, compared, tests, settings, per_topic = measured
    metrics = list(next(iter(found.values())))
    labels = [metric_label(metric) for metric in metrics]
    if per_topic:
        topics = dict.fromkeys(topic for each in found.values() for topic in each[metrics[0]])
        values = [
            [topic, Path(name).name, *(number(each[metric][topic]) for metric in metrics)]
            for topic in topics
            for name, each in found.items()
            if topic in each[metrics[0]]
        ]
        print_table(["topic", "run", *labels], values)
    rows = [
        [Path(name).name, *(number(value) for value in each.means.values()), *_against(compared[name])]
        for name, each in found.items()
    ]
    print_table(["run", *labels, "difference", f"p ({tests.correction})", "effect", "W/L/T"], rows)
    counts = dict.fromkeys(len(each[metrics[0]]) for each in found.values())
    typer.echo(
        f"{' or '.join(map(str, counts))} topics; {tests.method} on {labels[0]}; equal scores: {settings['ties']}; "
        f"topics without results: {settings['missing']}, without relevant documents: {settings['without_relevant']}"
    )


def _against(test: "Comparison | None") -> Sequence[str]:
    """Difference, corrected p, effect size and wins against the baseline; nothing for the baseline itself."""
    from xlrank.report.figures import effect, p_value, signed

    if test is None:
        return [""] * 4
    return [signed(test.difference), p_value(test.p_corrected), effect(test.effect), f"{test.wins}/{test.losses}/{test.ties}"]


def _print_json(measured: _Measured) -> None:
    """One object, named as in ``results.json``; p-values that do not exist are null."""
    import json
    from dataclasses import asdict

    found, compared, tests, settings, per_topic = measured
    runs = []
    for name, each in found.items():
        comparison = compared[name]
        row = {"run": name, "topics": len(next(iter(each.values()))), "metrics": each.means, "notes": each.notes}
        row["comparison"] = asdict(comparison) if comparison else None
        runs.append(row | ({"per_topic": each} if per_topic else {}))
    treatment = {
        "topics_without_results": settings["missing"],
        "topics_without_relevant": settings["without_relevant"],
        "ties": settings["ties"],
    }
    value = {"metrics": list(next(iter(found.values()))), "treatment": treatment, "tests": asdict(tests), "runs": runs}
    typer.echo(json.dumps(value, ensure_ascii=False, indent=1, allow_nan=False))
