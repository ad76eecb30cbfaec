"""``xlrank eval``, the main job, and ``xlrank report``."""

from pathlib import Path
from typing import Annotated

import typer

from xlrank.cli.console import (
    BaseOption,
    CollectionOption,
    DocumentsOption,
    FieldsOption,
    ModuleOption,
    PrecisionOption,
    ReferenceOption,
    StandInOption,
    module_names,
    print_table,
    progress_bars,
)


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
            help="Comma-separated: bm25, dense, monobert, query, document, split, or expressions. Default: all of these."
        ),
    ] = "",
    first_stage: Annotated[str, typer.Option(help="Whose candidates are re-ordered: dense or bm25.")] = "dense",
    depth: Annotated[int, typer.Option(help="Candidates a topic.")] = 100,
    out: Annotated[Path, typer.Option(help="Results folder; finished stages in it are re-used.")] = Path("results"),
    base: BaseOption = "xlrank/e5-small",
    precision: PrecisionOption = "auto",
    module: ModuleOption = None,
    stand_in: StandInOption = "nearest",
    reference: ReferenceOption = False,
) -> None:
    """Evaluate systems on a collection, from first stage to leaderboard."""
    from xlrank.experiment import Plan, run_plan
    from xlrank.experiment.systems import split_systems
    from xlrank.report import write_report
    from xlrank.report.table import console_table

    plan = Plan(
        collection=collection,
        languages=tuple(lang or ()),
        documents=documents,
        fields=fields,
        systems=tuple(split_systems(systems)),
        first_stage=first_stage,
        depth=depth,
        base=base,
        precision=precision,
        modules=module_names(module),
        stand_in=stand_in,
        reference=reference,
    )
    with progress_bars() as bars:
        results = run_plan(plan, out, bars)
    written = write_report(out)
    header, *rows = console_table(results)  # type: ignore[arg-type]
    print_table(header, rows)
    for note in results["notes"]:
        typer.echo(f"note: {note}")
    typer.echo(f"{out}: results.json, runs/, {', '.join(path.name for path in written)}")


def report(
    folder: Annotated[Path, typer.Argument(help="Results folder of xlrank eval.")],
) -> None:
    """Write the leaderboard (HTML, Markdown, plots) of a results folder anew."""
    from xlrank.report import write_report

    for path in write_report(folder):
        typer.echo(str(path))
