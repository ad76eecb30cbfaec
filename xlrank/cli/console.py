"""What the command line shows: progress bars, tables, and the texts that several verbs share."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Literal

import typer

if TYPE_CHECKING:
    from xlrank.ranking import Progress
    from xlrank.retrieval.first_stage import StageProgress
    from xlrank.runs import Run

CollectionOption = Annotated[str, typer.Option("--collection", help="mini, clef/2003, hc4/fa/test, irds:ID or folder:PATH.")]
LanguageOption = Annotated[str, typer.Option("--lang", help="Query language, e.g. ky.")]
DocumentsOption = Annotated[str, typer.Option("--documents", help="Document language, e.g. en.")]
FieldsOption = Annotated[str, typer.Option("--fields", help="Query text: title, description or title+description.")]
BaseOption = Annotated[str, typer.Option("--base", help="Encoder: xlrank/e5-small, a Hub name or a folder.")]
PrecisionOption = Annotated[
    Literal["auto", "fp32", "bf16", "int8"], typer.Option("--precision", help="Of the rankers: auto, fp32, bf16 or int8 (CPU).")
]
ModuleOption = Annotated[
    list[str] | None,
    typer.Option("--module", metavar="NAME=FOLDER", help="NAME=FOLDER: the module that NAME means in compositions; repeatable."),
]
StandInOption = Annotated[
    Literal["nearest", "average"],
    typer.Option("--stand-in", help="What a language without a module gets: the nearest relative's, or the relatives' average."),
]
ReferenceOption = Annotated[
    bool,
    typer.Option(
        "--reference", help="Repeat the original code's quirks: one side's invertible adapter in splits, doubled masks."
    ),
]


@contextmanager
def progress_bars() -> "Iterator[StageProgress]":
    """Progress bars on standard error, one a stage; on something that is no terminal, a line when a stage ends."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
    from rich.progress import Progress as Bars

    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TimeRemainingColumn())
    with Bars(*columns, console=console, disable=not console.is_terminal) as bars:

        def stage(description: str) -> "Progress":
            task = bars.add_task(description, total=None)

            def report(done: int, total: int) -> None:
                bars.update(task, completed=done, total=total or None)
                if total and done >= total and not console.is_terminal:
                    console.print(f"{description}: {total} done", highlight=False, soft_wrap=True)

            return report

        try:
            yield stage
        except KeyboardInterrupt:
            console.print("interrupted; the same command continues where this one stopped")
            raise


def print_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print a table on standard output; numbers stand right-aligned."""
    from rich import box
    from rich.console import Console
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for i, title in enumerate(header):
        numeric = all(row[i][:1] in "0123456789+-−.–" for row in rows if row[i])
        table.add_column(title, justify="right" if numeric else "left", no_wrap=not numeric, overflow="fold")
    for row in rows:
        table.add_row(*row)
    # A pipe or a file has no width of its own: let lines run as long as they are.
    console = Console(width=None if Console().is_terminal else 200)
    console.print(table)


def print_notes(run: "Run") -> None:
    """Print what was odd about a run, a line each."""
    from xlrank.runs import NOTES

    for note in run.metadata.get(NOTES, []):
        typer.echo(f"note: {note}")


def module_names(options: list[str] | None) -> dict[str, str]:
    """``NAME=FOLDER`` options as a mapping.

    Raises:
        XlrankError: an option has another form.
    """
    from xlrank.errors import XlrankError

    pairs = [option.partition("=") for option in options or []]
    for name, equals, folder in pairs:
        if not (name and equals and folder):
            raise XlrankError(f"--module {name!r}: expected NAME=FOLDER, for example --module ug=my/ug")
    return {name: folder for name, _, folder in pairs}
