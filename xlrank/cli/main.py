"""The command line: every verb is one call of the Python API, imported when it is used."""

import sys

import typer

import xlrank
from xlrank.cli.evaluation import report, run_evaluation, run_file
from xlrank.cli.explain import explain
from xlrank.cli.measure import evaluate
from xlrank.cli.modules import app as module_app
from xlrank.cli.stages import fuse, index, rerank, search, translate
from xlrank.cli.things import collection_app
from xlrank.cli.train import app as train_app
from xlrank.errors import XlrankError

app = typer.Typer(
    help="Cross-lingual retrieval and reranking with composable language and ranking modules.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
    rich_markup_mode=None,
)
app.command("eval", epilog="Example: xlrank eval --collection mini --lang ky --out results/ky")(run_evaluation)
app.command("run", epilog="Example: xlrank run experiments/default.yaml --lang ky --out results/ky")(run_file)
app.command("index", epilog="Example: xlrank index --collection mini --documents en --method bm25")(index)
app.command("search", epilog="Example: xlrank search --collection mini --lang ky --method dense --out dense.trec")(search)
app.command("translate", epilog="Example: xlrank translate --lang ky --model facebook/m2m100_418M --out ky-en.tsv")(translate)
app.command("fuse", epilog="Example: xlrank fuse --run dense.trec --run bm25.trec --out fused.trec")(fuse)
app.command("rerank", epilog='Example: xlrank rerank --run dense.trec --lang ky --compose "split(ky,en)+rank" --out split.trec')(
    rerank
)
app.command("explain", epilog="Example: xlrank explain --lang ky --topic 1 --document DOC_ID --out heat.html")(explain)
app.command("evaluate", epilog="Example: xlrank evaluate --collection mini --run dense.trec --run split.trec")(evaluate)
app.command("report", epilog="Example: xlrank report results/ky")(report)
app.add_typer(module_app, name="module")
app.add_typer(collection_app, name="collection")
app.add_typer(train_app, name="train")


@app.callback(invoke_without_command=True)
def version(show: bool = typer.Option(False, "--version", help="Print the version and stop.")) -> None:
    """Cross-lingual retrieval and reranking with composable language and ranking modules."""
    if show:
        typer.echo(f"xlrank {xlrank.__version__}")
        raise typer.Exit


def main() -> None:
    """Run a command; bad input ends in one line on standard error and exit code 2."""
    try:
        app()
    except XlrankError as error:
        print(f"xlrank: {error}", file=sys.stderr)  # noqa: T201
        sys.exit(2)
