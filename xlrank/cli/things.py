"""``xlrank collection``: look at what there is."""

from typing import Annotated

import typer

collection_app = typer.Typer(help="Look at collections.", no_args_is_help=True)


@collection_app.command("list", epilog="Example: xlrank collection list")
def list_collections() -> None:
    """Name the known collections: languages, sizes, licence, and whether their files are here."""
    from xlrank.cli.console import print_table
    from xlrank.collections.catalogue import listed

    rows, notes = [], dict[str, list[str]]()
    for one in listed():
        topics = sorted({count for name, count in one.counts.items() if name.startswith("topics.")})
        sizes = ((language, one.counts.get(f"documents.{language}")) for language in one.document_languages)
        documents = ", ".join(language if size is None else f"{language} {size:,}" for language, size in sizes)
        files = "missing" if one.missing else "here"
        rows.append([one.id, " ".join(one.query_languages), "–".join(map(str, topics)), documents, files])
        notes.setdefault(f"{one.licence}{one.missing and f'; not here: {one.missing}'}", []).append(one.id)
    print_table(["collection", "queries", "topics", "documents", "files"], rows)
    for note, ids in notes.items():
        typer.echo(f"{' '.join(ids)}: {note}")
    typer.echo("Also irds:ID for every dataset of https://ir-datasets.com, and folder:PATH for your own.")


@collection_app.command("check", epilog="Example: xlrank collection check folder:my-data")
def check(collection: Annotated[str, typer.Argument(help="mini, clef/2003, hc4/fa/test, irds:ID or folder:PATH.")]) -> None:
    """Prove that ids, counts, languages, scripts and judgements are consistent."""
    from xlrank.cli.console import progress_bars
    from xlrank.collections import Collection
    from xlrank.collections.check import check as examine
    from xlrank.errors import XlrankError

    opened = Collection(collection)
    with progress_bars() as bars, bars("checking the collection"):
        facts, problems = examine(opened)
    for line in facts:
        typer.echo(line)
    for line in problems:
        typer.echo(f"problem: {line}", err=True)
    if problems:
        raise XlrankError(f"collection {collection!r}: {len(problems)} problems, listed above")
    typer.echo(f"{collection}: consistent")
