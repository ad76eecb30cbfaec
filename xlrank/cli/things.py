"""``xlrank collection``: look at what there is."""

from typing import Annotated

import typer

collection_app = typer.Typer(help="Look at collections.", no_args_is_help=True)


@collection_app.command("list", epilog="Example: xlrank collection list")
def list_collections() -> None:
    """Name the known collections: languages, licence, and whether their files are here."""
    from xlrank.cli.console import print_table
    from xlrank.collections.catalogue import listed

    rows = [
        [one.id, " ".join(one.query_languages), " ".join(one.document_languages), one.licence, one.missing or "here"]
        for one in listed()
    ]
    print_table(["collection", "queries", "documents", "licence", "files"], rows)


@collection_app.command("check", epilog="Example: xlrank collection check folder:my-data")
def check(collection: Annotated[str, typer.Argument(help="mini, or folder:PATH.")]) -> None:
    """Prove that ids, counts, languages, scripts and judgements are consistent."""
    from xlrank.collections import Collection
    from xlrank.collections.check import check as examine
    from xlrank.errors import XlrankError

    facts, problems = examine(Collection(collection))
    for line in facts:
        typer.echo(line)
    for line in problems:
        typer.echo(f"problem: {line}", err=True)
    if problems:
        raise XlrankError(f"collection {collection!r}: {len(problems)} problems, listed above")
    typer.echo(f"{collection}: consistent")
