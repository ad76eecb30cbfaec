"""``xlrank eval`` and ``xlrank run``, the main job from options and from a file, and ``xlrank report``."""

import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from xlrank.cli.console import (
    BaseOption,
    CollectionOption,
    DocumentsOption,
    FieldsOption,
    MaxLengthOption,
    ModuleOption,
    PrecisionOption,
    ReferenceOption,
    StandInOption,
    WithoutRelevantOption,
    module_names,
    print_table,
    progress_bars,
)

if TYPE_CHECKING:
    from xlrank.experiment import Experiment
    from xlrank.experiment.check import Checked

OutOption = Annotated[Path, typer.Option(help="Results folder; finished stages in it are re-used.")]


def run_evaluation(
    lang: Annotated[
        list[str] | None, typer.Option("--lang", help="Query language; repeatable. Default: all of the collection.")
    ] = None,
    collection: CollectionOption = "mini",
    documents: DocumentsOption = "en",
    fields: FieldsOption = "title+description",
    systems: Annotated[
        str,
        typer.Option(
            help="Comma-separated: bm25, psq, dense, fusion, feedback, late, late-la, best, monobert, query, document, split, "
            "ens(late); expressions."
        ),
    ] = "",
    first_stage: Annotated[str, typer.Option(help="Whose candidates are re-ordered: dense, bm25, feedback, …")] = "dense",
    depth: Annotated[int, typer.Option(help="Candidates a topic.")] = 100,
    out: OutOption = Path("results"),
    base: BaseOption = "xlrank/e5-small",
    precision: PrecisionOption = "auto",
    max_length: MaxLengthOption = None,
    module: ModuleOption = None,
    stand_in: StandInOption = "nearest",
    reference: ReferenceOption = False,
    without_relevant: WithoutRelevantOption = "skip",
) -> None:
    """Evaluate systems on a collection, from first stage to leaderboard."""
    from xlrank.experiment.options import experiment_of

    experiment = experiment_of(
        collection=collection,
        languages=tuple(lang or ()),
        documents=documents,
        fields=fields,
        systems=systems,
        first_stage=first_stage,
        depth=depth,
        base=base,
        precision=precision,
        max_length=max_length,
        modules=module_names(module),
        stand_in=stand_in,
        reference=reference,
        without_relevant=without_relevant,
    )
    _run(experiment, out, None)


def run_file(
    file: Annotated[Path, typer.Argument(help="Experiment in YAML, e.g. experiments/default.yaml.")],
    out: Annotated[Path | None, typer.Option(help="Results folder. Default: results/ and the file's name.")] = None,
    lang: Annotated[list[str] | None, typer.Option("--lang", help="Only these query languages; repeatable.")] = None,
    systems: Annotated[str, typer.Option(help="Only these of its systems, comma-separated.")] = "",
    check: Annotated[bool, typer.Option("--check", help="Only say what is wrong or missing, and what would be run.")] = False,
) -> None:
    """Run an experiment file; everything that is wrong with it is said first, with its lines."""
    from xlrank.experiment import read_experiment
    from xlrank.experiment.check import check as examine
    from xlrank.experiment.systems import split_systems

    experiment, lines = read_experiment(file)
    with progress_bars() as bars, bars("checking the experiment"):
        checked = examine(
            experiment.narrowed(lang or (), split_systems(systems)) if lang or systems else experiment,
            lambda place: f"{file}, line {lines.line(place)}: ",
        )
    if check:
        for pair in checked.pairs:
            typer.echo(f"{pair}: {pair.stage}, then {', '.join(system.name for system in checked.systems(pair))}")
        return
    _run(checked.experiment, out or Path("results") / file.stem, checked)


def report(
    folders: Annotated[list[Path], typer.Argument(help="Results folders; several are merged into one leaderboard.")],
    out: Annotated[Path | None, typer.Option(help="Where to write. Default: into the folder itself.")] = None,
    verify: Annotated[bool, typer.Option("--verify", help="Recompute every figure from runs and judgements first.")] = False,
    drill_down: Annotated[
        bool | None,
        typer.Option("--drill-down/--no-drill-down", help="Topics and documents in the page. Default: as much as it can carry."),
    ] = None,
) -> None:
    """Write the leaderboard (HTML, Markdown, LaTeX, CSV, JSON, plots) of results folders anew."""
    from xlrank.errors import XlrankError
    from xlrank.evaluation.verify import verify as recompute
    from xlrank.report import write_report

    for folder in folders if verify else ():
        problems = recompute(folder)
        for problem in problems:
            typer.echo(f"problem: {problem}", err=True)
        if problems:
            raise XlrankError(f"{folder}: {len(problems)} figures do not match, listed above")
        typer.echo(f"{folder}: every figure is as recomputed")
    with progress_bars() as bars, bars("writing the report"):
        written = write_report(folders, out, drill_down=drill_down)
    for path in written:
        typer.echo(str(path))


def _run(experiment: "Experiment", out: Path, checked: "Checked | None") -> None:
    from xlrank.experiment import run_experiment
    from xlrank.experiment.check import check
    from xlrank.report import write_report
    from xlrank.report.table import console_table, verdict

    command = shlex.join(["xlrank", *sys.argv[1:]])
    with progress_bars() as bars:
        if checked is None:
            with bars("checking the experiment"):
                checked = check(experiment)
        results: Any = run_experiment(experiment, out, bars, checked=checked, command=command)
        with bars("writing the report"):
            written = write_report([out])
    header, *rows = console_table(results)
    print_table(header, rows)
    for note in results["notes"]:
        typer.echo(f"note: {note}")
    typer.echo(verdict(results))
    typer.echo(f"{out}: results.json, runs/, {', '.join(path.name for path in written)}")
