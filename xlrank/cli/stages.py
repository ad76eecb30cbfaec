"""The stages one by one: ``index``, ``search``, ``rerank``, ``evaluate``."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from xlrank.cli.console import (
    BaseOption,
    CollectionOption,
    DocumentsOption,
    FieldsOption,
    LanguageOption,
    ModuleOption,
    PrecisionOption,
    ReferenceOption,
    StandInOption,
    module_names,
    print_table,
    progress_bars,
)

MethodOption = Annotated[
    Literal["bm25", "dense"], typer.Option("--method", help="bm25 (Lucene) or dense (the base as bi-encoder).")
]
RunOption = Annotated[Path, typer.Option("--run", help="TREC run file.")]


def index(
    collection: CollectionOption = "mini",
    documents: DocumentsOption = "en",
    method: MethodOption = "bm25",
    base: BaseOption = "xlrank/e5-small",
) -> None:
    """Build the index of a document language; an index that exists is only named."""
    from xlrank.collections import Collection
    from xlrank.files import cache_folder

    texts = Collection(collection).documents(documents)
    folder = cache_folder() / "indexes"
    with progress_bars() as bars:
        if method == "dense":
            from xlrank.bases import Base
            from xlrank.retrieval.dense import DenseRetriever

            path = DenseRetriever(Base(base)).index(texts, folder, bars("embedding documents"))
        else:
            from xlrank.retrieval.lucene import LuceneBM25

            path = LuceneBM25(documents).index(texts, folder)
    typer.echo(f"{len(texts)} documents indexed in {path}")


def search(
    out: Annotated[Path, typer.Option(help="TREC run file to write.")],
    lang: LanguageOption,
    collection: CollectionOption = "mini",
    documents: DocumentsOption = "en",
    method: MethodOption = "bm25",
    fields: FieldsOption = "title+description",
    depth: Annotated[int, typer.Option(help="Documents a topic.")] = 1000,
    base: BaseOption = "xlrank/e5-small",
) -> None:
    """Search with a first stage: BM25 over translated topics, or dense retrieval over the topics as they are."""
    from xlrank.collections import Collection
    from xlrank.files import cache_folder
    from xlrank.languages import language_code

    source, query_language, document_language = Collection(collection), language_code(lang), language_code(documents)
    texts, folder = source.documents(document_language), cache_folder() / "indexes"
    if method == "dense":
        from xlrank.bases import Base
        from xlrank.retrieval.dense import DenseRetriever

        retriever = DenseRetriever(Base(base))
        queries = {topic.id: topic.query(fields) for topic in source.topics(query_language)}
        with progress_bars() as bars:
            run = retriever.search(retriever.index(texts, folder, bars("embedding documents")), texts, queries, depth)
    else:
        from xlrank.retrieval.lucene import LuceneBM25

        lucene = LuceneBM25(document_language)
        queries = {topic.id: topic.query(fields) for topic in source.search_topics(query_language, document_language)}
        run = lucene.search(lucene.index(texts, folder), queries, depth)
    typer.echo(f"{sum(map(len, run.rankings.values()))} results for {len(run.rankings)} topics in {run.write(out)}")


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
    from xlrank.runs import Run

    query_language, document_language = language_code(lang), language_code(documents)
    composition = parse(compose).resolve(resolver(query_language, document_language, module_names(module), stand_in=stand_in))
    candidates, source = Run.read(run), Collection(collection)
    resolved = resolve_precision(precision)
    ranker = Ranker(Base(base), composition, precision=resolved, reference=reference)
    digests = [leaf.loaded().digest for leaf in composition.leaves()]
    texts = source.fingerprint(query_language, document_language)
    key = content_key(file_hash(run), str(composition), digests, texts, fields, depth, base, resolved, reference)
    journal = Journal(cache_folder() / "journals" / f"{key}.jsonl")
    with progress_bars() as bars:
        result = ranker.rerank(
            candidates,
            source,
            query_language=query_language,
            document_language=document_language,
            fields=fields,
            depth=depth,
            journal=journal,
            progress=bars(str(composition)),
        )
    said = {"method": str(composition), "modules": digests, "base": base, "precision": resolved, "reference": reference}
    Run(result.name, result.rankings, said | {"candidates": run.name}).write(out)
    journal.remove()
    typer.echo(f"{composition}: {len(result.rankings)} topics in {out}")


def evaluate(
    run: Annotated[list[Path], typer.Option("--run", help="TREC run file; repeatable, the first is the baseline of the tests.")],
    collection: CollectionOption = "mini",
    documents: DocumentsOption = "en",
) -> None:
    """Measure runs against a collection's judgements, with a paired test against the first."""
    from xlrank.collections import Collection
    from xlrank.evaluation import METRICS, compare
    from xlrank.evaluation import evaluate as measure
    from xlrank.evaluation.metrics import mean
    from xlrank.runs import Run

    qrels = Collection(collection).qrels(documents)
    rows: list[list[str]] = []
    baseline = None
    for path in run:
        values = measure(Run.read(path), qrels)
        baseline = baseline or values["map"]
        test = compare(values["map"], baseline) if len(rows) else None
        p_value = "" if test is None or test.p_value is None else f"{test.p_value:.3f}"
        rows.append([path.name, *(f"{mean(values[metric]):.3f}" for metric in METRICS), p_value])
    print_table(["run", *METRICS, "p (MAP, paired)"], rows)
