"""The stages one by one: ``index``, ``search``, ``rerank``, ``evaluate``."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

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
    print_notes,
    print_table,
    progress_bars,
)

if TYPE_CHECKING:
    from xlrank.evaluation import Comparison

MethodOption = Annotated[
    str,
    typer.Option("--method", help='bm25, psq, dense, fusion, feedback, or an expression, e.g. "rrf(dense, bm25s(psq))".'),
]
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
    out: Annotated[Path, typer.Option(help="TREC run file to write.")],
    lang: LanguageOption,
    collection: CollectionOption = "mini",
    documents: DocumentsOption = "en",
    method: MethodOption = "bm25",
    fields: FieldsOption = "title+description",
    depth: Annotated[int, typer.Option(help="Documents a topic.")] = 1000,
    base: BaseOption = "xlrank/e5-small",
) -> None:
    """Search with a first stage: lexical over translated or structured queries, dense, or several fused."""
    from xlrank.bases import Base
    from xlrank.collections import Collection
    from xlrank.languages import language_code
    from xlrank.retrieval.first_stage import Search
    from xlrank.retrieval.methods import first_stage

    stage = first_stage(method)
    with progress_bars() as bars:
        languages = language_code(lang), language_code(documents)
        run = stage.run(Search(Collection(collection), *languages, Base(base), fields, depth, progress=bars))
    typer.echo(f"{sum(map(len, run.rankings.values()))} results for {len(run.rankings)} topics in {run.write(out)}")
    print_notes(run)


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
        found = ModelTranslator(model).translate(topics, *languages, bars(f"{'-'.join(languages)} translating"))
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
    from xlrank.runs import Run

    try:
        numbers = [float(text) for text in weights.split(",")] if weights else None
    except ValueError:
        raise XlrankError(f"--weights {weights}: expected numbers joined by commas, e.g. 0.7,0.3") from None
    result = fused([Run.read(path) for path in run], method, numbers, depth, k, normalisation)
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
    Run(result.name, result.rankings, {**result.metadata, **said, "candidates": run.name}).write(out)
    journal.remove()
    typer.echo(f"{composition}: {len(result.rankings)} topics in {out}")
    print_notes(result)


def evaluate(
    run: Annotated[list[Path], typer.Option("--run", help="TREC run file; repeatable, the first is the baseline of the tests.")],
    collection: CollectionOption = "mini",
    documents: DocumentsOption = "en",
    metric: Annotated[
        list[str] | None, typer.Option(help="map, ndcg@10, mrr, recall@100, precision@k, rbp.80, judged@10, bpref …; repeatable.")
    ] = None,
    ties: Annotated[Literal["run", "trec_eval"], typer.Option(help="Order of equal scores: the run's, or trec_eval's.")] = "run",
    missing: Annotated[Literal["zero", "skip"], typer.Option(help="Topics without results: count 0, or are skipped.")] = "zero",
    method: Annotated[Literal["t-test", "randomisation", "bootstrap"], typer.Option(help="Paired test over topics.")] = "t-test",
    correction: Annotated[Literal["holm", "bh", "none"], typer.Option(help="Of the tests made.")] = "holm",
    seed: Annotated[int, typer.Option(help="Of resampling.")] = 13,
) -> None:
    """Measure runs against a collection's judgements, with paired tests of the first metric against the first run."""
    from xlrank.collections import Collection
    from xlrank.errors import XlrankError
    from xlrank.evaluation import METRICS, Tests, compare_all
    from xlrank.evaluation import evaluate as measure
    from xlrank.evaluation.metrics import mean, metric_label
    from xlrank.runs import Run

    names = [str(path) for path in run]
    if len(set(names)) < len(names):
        raise XlrankError(f"--run {next(n for n in names if names.count(n) > 1)}: given twice; name each run once")
    metrics = list(metric or METRICS)
    qrels = Collection(collection).qrels(documents)
    values = {name: measure(Run.read(name), qrels, metrics, ties=ties, missing=missing) for name in names}
    tests = Tests(method=method, correction=correction, baseline=names[0], seed=seed)
    compared = compare_all(
        {name: each[metrics[0]] for name, each in values.items()}, tests, topics="shared" if missing == "skip" else "same"
    )
    rows = []
    for name, each in values.items():
        means = [f"{mean(each[one]):.3f}" for one in metrics]
        rows.append([Path(name).name, *means, *_against(compared[name])])
    print_table(["run", *map(metric_label, metrics), "difference", f"p ({correction})", "effect", "W/L/T"], rows)
    count = len(values[names[0]][metrics[0]])
    typer.echo(f"{count} topics; {method} on {metric_label(metrics[0])}; equal scores: {ties}; topics without results: {missing}")


def _against(test: "Comparison | None") -> list[str]:
    """Difference, corrected p, effect size and wins against the baseline; nothing for the baseline itself."""
    if test is None:
        return [""] * 4
    p, effect = test.p_corrected, test.effect
    shown = ["" if p is None else f"{p:.3f}", "" if effect is None else f"{effect:+.2f}"]
    return [f"{test.difference:+.3f}", *shown, f"{test.wins}/{test.losses}/{test.ties}"]
