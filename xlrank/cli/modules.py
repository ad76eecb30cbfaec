"""``xlrank module``: look at modules, convert them from and to other libraries' formats, and prove that they are sound."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

if TYPE_CHECKING:
    from xlrank.modules.conversion.convert import Conversion

app = typer.Typer(help="Look at modules, convert and check them.", no_args_is_help=True)

ModuleId = Annotated[str, typer.Argument(metavar="MODULE", help="Shipped id such as language/ky, a folder, or hub:ORG/NAME.")]
BASE_HELP = "Encoder: xlrank/e5-small, a Hub name or a folder."


@app.command("list", epilog="Example: xlrank module list")
def list_modules() -> None:
    """Name the modules that are shipped with the package."""
    from xlrank.modules import shipped_modules

    for name in shipped_modules():
        typer.echo(name)


@app.command("show", epilog="Example: xlrank module show language/ky")
def show(
    module: ModuleId,
    json: Annotated[bool, typer.Option("--json", help="Print module.json instead, for other programs.")] = False,
) -> None:
    """Print what a module is, what it belongs to, and how it was trained."""
    from json import dumps

    from xlrank.modules import Module

    loaded = Module.load(module)
    typer.echo(dumps(loaded.card(), ensure_ascii=False, indent=1) if json else loaded.describe())


@app.command("convert", epilog="Example: xlrank module convert release.zip --base bert-base-multilingual-uncased --out my")
def convert(
    source: Annotated[str, typer.Argument(help="Folder or archive (.zip, .tar, .tar.gz ...) with one module or many, or an id.")],
    out: Annotated[Path, typer.Option(help="Folder for the module, or for a folder of each of many.")],
    base: Annotated[str, typer.Option(help="What the modules were made for: " + BASE_HELP)],
    role: Annotated[
        Literal["language", "ranking"] | None, typer.Option(help="What modules are for whose path does not say it.")
    ] = None,
    lang: Annotated[str | None, typer.Option(help="Language of a single module, e.g. ky, if its path does not say it.")] = None,
    to: Annotated[
        Literal["xlrank", "adapterhub", "composable-sft", "peft"], typer.Option(help="The format to write.")
    ] = "xlrank",
    name: Annotated[str | None, typer.Option(help="Of a single adapter, in AdapterHub's format.")] = None,
    head: Annotated[
        bool | None,
        typer.Option("--head/--no-head", help="Read AdapterHub's heads / drop heads; by default ranking modules keep theirs."),
    ] = None,
    licence: Annotated[str | None, typer.Option(help="Licence of the modules, recorded in them.")] = None,
    same_base: Annotated[
        bool, typer.Option("--same-base", help="The model that the modules name is --base, under another name.")
    ] = False,
) -> None:
    """Convert modules of AdapterHub, composable-sft, peft or Hugging Face cross-encoders to xlrank's format, or to theirs."""
    from xlrank.cli.console import progress_bars
    from xlrank.modules.conversion.convert import convert as convert_modules

    with progress_bars() as bars, bars("converting modules") as told:
        done = convert_modules(
            source,
            out,
            base=base,
            role=role,
            language=lang,
            to=to,
            name=name,
            head=head,
            licence=licence,
            same_base=same_base,
            progress=told,
        )
    report(done)


@app.command("verify", epilog="Example: xlrank module verify language/ky ranking/en")
def verify(
    modules: Annotated[list[str], typer.Argument(metavar="MODULE...", help="Shipped ids such as language/ky, or folders.")],
    base: Annotated[str | None, typer.Option(help=BASE_HELP + " By default the module's own, if it is at hand.")] = None,
) -> None:
    """Check modules: checksum, finite values, and that names and shapes fit their base."""
    from xlrank.bases import Base
    from xlrank.errors import XlrankError
    from xlrank.modules import Module
    from xlrank.modules.verify import verify as examine

    encoder = Base(base) if base else None
    problems = []
    for module in modules:
        try:
            for fact in examine(Module.load(module), encoder):
                typer.echo(f"{module}: {fact}")
        except XlrankError as error:
            problems.append(str(error))
    if len(modules) == 1 and problems:
        raise XlrankError(problems[0])
    fail(problems, f"{len(problems)} of {len(modules)} modules are not sound, listed above")


def report(done: "Conversion") -> None:
    """Say what became of each module; the failures last."""
    for id_, folder in done.written.items():
        typer.echo(f"{id_}: written to {folder}")
    for id_, folder in done.present.items():
        typer.echo(f"{id_}: was there already, in {folder}")
    for module in done.left_out:
        typer.echo(f"{module.path}: left out, {module.reason}")
    total = len(done.written) + len(done.present) + len(done.failed)
    names = ", ".join(done.failed)
    fail([f"{id_}: {reason}" for id_, reason in done.failed.items()], f"{len(done.failed)} of {total} not converted: {names}")


def fail(problems: list[str], summary: str) -> None:
    """Print problems, and end in an error if there are any.

    Raises:
        XlrankError: the summary.
    """
    from xlrank.errors import XlrankError

    for problem in problems:
        typer.echo(f"problem: {problem}", err=True)
    if problems:
        raise XlrankError(summary)
