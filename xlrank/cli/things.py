"""``xlrank module`` and ``xlrank collection``: look at what there is."""

from typing import Annotated

import typer

module_app = typer.Typer(help="Look at modules.", no_args_is_help=True)
collection_app = typer.Typer(help="Look at collections.", no_args_is_help=True)

ModuleId = Annotated[str, typer.Argument(help="Shipped id such as language/ky, or a folder.")]


@module_app.command("list", epilog="Example: xlrank module list")
def list_modules() -> None:
    """Name the modules that are shipped with the package."""
    from xlrank.modules import shipped_modules

    for name in shipped_modules():
        typer.echo(name)


@module_app.command("show", epilog="Example: xlrank module show language/ky")
def show(module: ModuleId) -> None:
    """Print what a module is, what it belongs to, and how it was trained."""
    from xlrank.modules import Module

    typer.echo(Module.load(module).describe())


@module_app.command("verify", epilog="Example: xlrank module verify language/ky")
def verify(module: ModuleId) -> None:
    """Check a module's files: checksum, finite values, and that it fits its base if that is the embedded one."""
    from xlrank.bases import EMBEDDED, Base
    from xlrank.modules import Module

    loaded = Module.load(module)
    count = len(loaded.tensors)
    if loaded.base.name == EMBEDDED:
        loaded.check_base(Base())
    typer.echo(f"{module}: {count} tensors, checksum and values are right")


@collection_app.command("list", epilog="Example: xlrank collection list")
def list_collections() -> None:
    """Name the embedded collections with their languages."""
    from xlrank.collections import Collection
    from xlrank.collections.collection import EMBEDDED

    for name in EMBEDDED:
        collection = Collection(name)
        languages = f"queries {' '.join(collection.query_languages)}; documents {' '.join(collection.document_languages)}"
        typer.echo(f"{name}: {languages}; {collection.info.get('licence', 'no licence stated')}")


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
