"""The stages one by one: ``index``, ``search``, ``translate``, ``fuse``, ``rerank``."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from xlrank.cli.console import (
    BaseOption,
    CollectionOption,
    DocumentsOption,
    FieldsOption,
    LanguageOption,
    MaxLengthOption,
    ModuleOption,
    PrecisionOption,
    ReferenceOption,
    StandInOption,
    module_names,
    print_notes,
    print_table,
    progress_bars,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from xlrank.collections.documents import Documents

METHODS = 'bm25, psq, dense, fusion, feedback, or an expression, e.g. "rrf(dense, bm25s(psq))".'
MethodOption = Annotated[str, typer.Option("--method", help=METHODS)]
BEGINNING = 100
"""Characters of a document that are shown."""
RunOption = Annotated[Path, typer.Option("--run", help="TREC run file.")]


def index(
    collection: CollectionOption = "mini",
    documents: DocumentsOption = "en",
    method: MethodOption = "bm25",
    base: BaseOption = "xlrank/e5-small",
) -> None:
    """Build what a first stage searches; an index that exists is only named."""
    from xlrank.bases import Base
    from xlrank.collections import Collection
    from xlrank.languages import language_code
    from xlrank.retrieval.first_stage import Search
    from xlrank.retrieval.methods import first_stage

    stage, code = first_stage(method), language_code(documents)
    with progress_bars() as bars:
        search = Search(Collection(collection), code, code, Base(base), progress=bars)
        for path in stage.index(search):
            typer.echo(f"{len(search.documents)} documents indexed in {path}")


def search(
    lang: LanguageOption,
    out: Annotated[Path | None, typer.Option(help="TREC run file to write; not with --query.")] = None,
    query: Annotated[str | None, typer.Option(help="Search for this text, and show what is found.")] = None,
    collection: CollectionOption = "mini",
    documents: DocumentsOption = "en",
    method: Annotated[str | None, typer.Option(help=f"{METHODS} Default: bm25, with --query dense.")] = None,
    fields: FieldsOption = "title+description",
    depth: Annotated[int | None, typer.Option(help="Documents a topic. Default: 1000, with --query 10.")] = None,
    base: BaseOption = "xlrank/e5-small",
) -> None:
    """Search with a first stage: lexical over translated or structured queries, dense, or several fused."""
    from xlrank.bases import Base
    from xlrank.collections import Collection, Topic
    from xlrank.errors import XlrankError
    from xlrank.languages import language_code
    from xlrank.retrieval.first_stage import Search
    from xlrank.retrieval.methods import first_stage
    from xlrank.runs import NOTES
    from xlrank.text import clean

    if (out is None) == (query is None):
        raise XlrankError("search: expected either --out FILE, for a run of all topics, or --query TEXT, to see what it finds")
    if query is not None and not clean(query):
        raise XlrankError("--query: the text is empty; expected what to search for")
    stage = first_stage(method or ("bm25" if query is None else "dense"))
    asked = None if query is None else [Topic("query", query)]
    fields, usual = (fields, 1000) if query is None else ("title", 10)
    with progress_bars() as bars:
        settings = (language_code(lang), language_code(documents), Base(base), fields, usual if depth is None else depth)
        wanted = Search(Collection(collection), *settings, progress=bars, asked=asked)
        run = stage.run(wanted)
    print_notes(run.metadata.get(NOTES))
    if out is not None:
        typer.echo(f"{sum(map(len, run.rankings.values()))} results for {len(run.rankings)} topics in {run.write(out)}")
    else:
        _print_hits(run.rankings.get("query", ()), wanted.documents)


def _print_hits(hits: "Sequence[tuple[str, float]]", documents: "Documents") -> None:
    """Show documents with their scores, best first."""
    from xlrank.text import shortened

    texts = documents.fetch(id_ for id_, _ in hits)
    rows = [
        [str(rank), f"{score:.4f}", id_, shortened(texts[id_].title or texts[id_].text, BEGINNING)]
        for rank, (id_, score) in enumerate(hits, 1)
    ]
    if rows:
        print_table(["rank", "score", "document", "title or beginning"], rows)
    else:
        typer.echo("no document was found")


def translate(
    out: Annotated[Path, typer.Option(help="TSV to write: topic_id TAB title TAB description.")],
    lang: LanguageOption,
    model: Annotated[str, typer.Option(help="Sequence-to-sequence model: M2M-100, NLLB, OPUS-MT; Hub name or folder.")],
    collection: CollectionOption = "mini",
    documents: DocumentsOption = "en",
    wrong: Annotated[
        Literal["report", "drop"], typer.Option(help="Translations that look wrong: only reported, or left out.")
    ] = "report",
) -> None:
    """Translate topics into the documents' language; what looks wrong (repeated, copied, empty) is named."""
    from xlrank.collections import Collection
    from xlrank.files import write_text
    from xlrank.languages import language_code
    from xlrank.retrieval.translation.degenerate import check_translations
    from xlrank.retrieval.translation.model import ModelTranslator

    topics, languages = Collection(collection).topics(lang), (language_code(lang), language_code(documents))
    with progress_bars() as bars:
        with bars(f"{'-'.join(languages)} translating") as told:
            found = ModelTranslator(model).translate(topics, *languages, told)
    checked = check_translations(topics, found, wrong)
    write_text(out, "".join(f"{topic.id}\t{topic.title}\t{topic.description}\n" for topic in checked.topics))
    for topic, reasons in checked.reasons.items():
        typer.echo(f"topic {topic}: {'; '.join(reasons)}")
    typer.echo(f"{len(checked.topics)} topics in {out}" + (f"; {checked.summary}" if checked.summary else ""))


def fuse(
    run: Annotated[list[Path], typer.Option("--run", help="TREC run file; repeatable.")],
    out: Annotated[Path, typer.Option(help="TREC run file to write.")],
    method: Annotated[str, typer.Option(help="rrf, wsum, sum, mnz, mean-rank, isr, anz, max, min or med.")] = "rrf",
    weights: Annotated[str, typer.Option(help="Of the runs, joined by commas: for rrf, wsum and mean-rank.")] = "",
    normalisation: Annotated[
        str, typer.Option(help="min-max, z-score, rank, max, sum, none; where scores are added.")
    ] = "min-max",
    k: Annotated[int, typer.Option("-k", help="Of rrf.")] = 60,
    depth: Annotated[int, typer.Option(help="Documents a topic.")] = 1000,
) -> None:
    """Fuse runs, whoever made them, into one."""
    from xlrank.errors import XlrankError
    from xlrank.retrieval.fusion import fuse as fused
    from xlrank.runs import NOTES, Run

    try:
        numbers = [float(text) for text in weights.split(",")] if weights else None
    except ValueError:
        raise XlrankError(f"--weights {weights}: expected numbers joined by commas, e.g. 0.7,0.3") from None
    runs = [Run.read(path) for path in run]
    for each in runs:
        print_notes(each.metadata.get(NOTES))
    result = fused(runs, method, numbers, depth, k, normalisation)
    typer.echo(f"{result.name}: {len(result.rankings)} topics in {result.write(out)}")


def rerank(
    run: RunOption,
    out: Annotated[Path, typer.Option(help="TREC run file to write.")],
    compose: Annotated[str, typer.Option(help='Composition, e.g. "split(ky,en)+rank", "query+rank" or monobert.')],
    lang: LanguageOption,
    collection: CollectionOption = "mini",
    documents: DocumentsOption = "en",
    fields: FieldsOption = "title+description",
    depth: Annotated[int, typer.Option(help="Documents of each topic that are re-ordered.")] = 100,
    base: BaseOption = "xlrank/e5-small",
    precision: PrecisionOption = "auto",
    max_length: MaxLengthOption = None,
    module: ModuleOption = None,
    stand_in: StandInOption = "nearest",
    reference: ReferenceOption = False,
) -> None:
    """Re-order a run with a composed ranker; interrupted, the same command continues."""
    from xlrank.bases import Base
    from xlrank.collections import Collection
    from xlrank.composition import parse
    from xlrank.composition.resolve import resolver
    from xlrank.files import cache_folder, content_key, file_hash
    from xlrank.languages import language_code
    from xlrank.precision import resolve_precision
    from xlrank.ranking import Journal, Ranker
    from xlrank.runs import NOTES, Run

    query_language, document_language = language_code(lang), language_code(documents)
    composition = parse(compose).resolve(resolver(query_language, document_language, module_names(module), stand_in=stand_in))
    candidates, source = Run.read(run), Collection(collection)
    resolved = resolve_precision(precision)
    ranker = Ranker(Base(base), composition, precision=resolved, max_length=max_length, reference=reference)
    digests = [leaf.loaded().digest for leaf in composition.leaves()]
    texts = source.fingerprint(query_language, document_language)
    key = content_key(file_hash(run), str(composition), digests, texts, fields, depth, base, resolved, reference, max_length)
    journal = Journal(cache_folder() / "journals" / f"{key}.jsonl")
    with progress_bars() as bars, bars(str(composition)) as told:
        result = ranker.rerank(
            candidates,
            source,
            query_language=query_language,
            document_language=document_language,
            fields=fields,
            depth=depth,
            journal=journal,
            progress=told,
        )
    said = {"method": str(composition), "modules": digests, "base": base, "precision": resolved, "reference": reference}
    said |= {"max_length": max_length} if max_length else {}
    Run(result.name, result.rankings, {**result.metadata, **said, "candidates": run.name}).write(out)
    journal.remove()
    print_notes(candidates.metadata.get(NOTES))
    print_notes(result.metadata.get(NOTES))
    typer.echo(f"{composition}: {len(result.rankings)} topics in {out}")
