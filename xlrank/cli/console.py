"""What the command line shows: progress bars, tables, and the texts that several verbs share."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Literal

import typer

if TYPE_CHECKING:
    from xlrank.progress import StageProgress

CollectionOption = Annotated[str, typer.Option("--collection", help="mini, clef/2003, hc4/fa/test, irds:ID or folder:PATH.")]
LanguageOption = Annotated[str, typer.Option("--lang", help="Query language, e.g. ky.")]
DocumentsOption = Annotated[str, typer.Option("--documents", help="Document language, e.g. en.")]
FieldsOption = Annotated[str, typer.Option("--fields", help="Query text: title, description or title+description.")]
BaseOption = Annotated[str, typer.Option("--base", help="Encoder: xlrank/e5-small, a Hub name or a folder.")]
PrecisionOption = Annotated[
    Literal["auto", "fp32", "bf16", "int8"], typer.Option("--precision", help="Of the rankers: auto, fp32, bf16 or int8 (CPU).")
]
MaxLengthOption = Annotated[
    int | None,
    typer.Option(
        "--max-length",
        min=1,
        help="Word pieces that rankers cut a pair to; in late interaction each text. Default: what their checkpoints state.",
    ),
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
WithoutRelevantOption = Annotated[
    Literal["zero", "skip"],
    typer.Option("--without-relevant", help="Topics for which no document is relevant: count 0, or are skipped."),
]


@contextmanager
def progress_bars() -> "Iterator[StageProgress]":
    """Stages that are shown on standard error, and a word on how to go on where they are interrupted."""
    from xlrank.progress import shown

    try:
        yield shown
    except KeyboardInterrupt:
        typer.echo("interrupted; the same command continues where this one stopped", err=True)
        raise


def print_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print a table on standard output; numbers stand right-aligned."""
    from rich import box
    from rich.console import Console
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for i, title in enumerate(header):
        numeric = all(row[i] == "n/a" or row[i][:1] in "0123456789+-−.–<" for row in rows if row[i])
        table.add_column(title, justify="right" if numeric else "left", no_wrap=not numeric, overflow="fold")
    for row in rows:
        table.add_row(*row)
    # A pipe or a file has no width of its own: let lines run as long as they are.
    console = Console(width=None if Console().is_terminal else 200)
    console.print(table)


def print_notes(notes: object, *, of: str = "", err: bool = False) -> None:
    """Print notes, a line each: those of a run's metadata, whoever wrote them, or of an evaluation; ``of`` what."""
    for note in notes if isinstance(notes, list | tuple) else [notes] if notes else []:
        typer.echo(f"note: {f'{of}: ' if of else ''}{note}", err=err)


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
