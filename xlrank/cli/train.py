"""``xlrank train``: language modules, the shared prediction head, ranking modules and the monoBERT baseline, and their data."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from xlrank.cli.console import BaseOption
from xlrank.cli.training_options import (
    AccumulateOption,
    ArticlesOption,
    BatchOption,
    DimOption,
    DocumentLengthOption,
    DocumentPromptOption,
    HalfOption,
    LengthOption,
    LicenceOption,
    LicencesOption,
    LossOption,
    MaxTokensOption,
    NeighboursOption,
    OutOption,
    ParallelOption,
    PlainTextsOption,
    PooledLossOption,
    PooledOption,
    PoolingOption,
    QueryLengthOption,
    QueryPromptOption,
    RateOption,
    SaveEveryOption,
    ScaleOption,
    SeedOption,
    SettingOption,
    ShareOption,
    StepsOption,
    TemperatureOption,
    TextsOption,
    WeightOption,
    WithOption,
    free_folder,
    interaction_options,
    named_values,
    settings_from,
    source_weights,
    sources_from,
)

if TYPE_CHECKING:
    from xlrank.modules import Module

app = typer.Typer(help="Train modules on the embedded encoder or any BERT / XLM-R base.", no_args_is_help=True)


@app.command(epilog="Example: xlrank train language --lang ky --text ky.txt --kind mask --with l1=0.1 --out my/ky")
def language(
    lang: Annotated[str, typer.Option(help="Language code of the text, e.g. ky.")],
    out: OutOption,
    objective: Annotated[
        str,
        typer.Option(
            metavar="NAME[+NAME…]",
            help="What to learn, several in turn: mlm (masked pieces of --text), align (vectors of translations, --parallel), "
            "ict (an article's beginning finds the rest, --documents); +hold keeps vectors near the base's.",
        ),
    ] = "mlm",
    text: PlainTextsOption = None,
    parallel: ParallelOption = None,
    documents: ArticlesOption = None,
    pivot: Annotated[str, typer.Option(help="Language that the sentence pairs translate into.")] = "en",
    weight: WeightOption = None,
    kind: Annotated[Literal["adapter", "mask", "lora"], typer.Option(help="What to train.")] = "adapter",
    with_: WithOption = None,
    base: BaseOption = "xlrank/e5-small",
    head: Annotated[str | None, typer.Option(help="Prediction head (mlm), if the base has none: see train head.")] = None,
    steps: Annotated[int | None, typer.Option(help="Optimiser steps: 1000 of mlm alone, else 240.")] = None,
    batch: Annotated[int, typer.Option(help="Blocks, sentence pairs or articles at once.")] = 32,
    accumulate: AccumulateOption = 1,
    rate: Annotated[float | None, typer.Option(help="Peak learning rate of AdamW: 1e-4 for mlm alone, else 5e-4.")] = None,
    length: Annotated[int, typer.Option(help="Word pieces a block of text (mlm).")] = 128,
    query_length: Annotated[int, typer.Option(help="Word pieces a query (align, ict).")] = 64,
    document_length: Annotated[int, typer.Option(help="Word pieces a document (align, ict).")] = 96,
    max_tokens: MaxTokensOption = 5_000_000,
    full_softmax: Annotated[
        bool, typer.Option(help="Predict over the whole vocabulary, not only the text's word pieces.")
    ] = False,
    negatives: Annotated[int, typer.Option(help="Further word pieces that the restricted softmax is over.")] = 0,
    scale: ScaleOption = 1.0,
    half: HalfOption = False,
    licence: LicenceOption = "see the sources",
    seed: SeedOption = 13,
    save_every: SaveEveryOption = 100,
    setting: SettingOption = None,
) -> None:
    """Train a language module, MAD-X adapter, LT-SFT mask or LoRA: by masked language modelling, or for late interaction."""
    from xlrank.bases import Base
    from xlrank.modules import Module
    from xlrank.training.language import LanguageData, train_language, usual_run
    from xlrank.training.objectives import objectives_named
    from xlrank.training.recipes import recipe_named

    free_folder(out)
    usual = usual_run(objectives_named(objective))
    taken = usual.steps if steps is None else steps, batch, accumulate, usual.rate if rate is None else rate
    adapter = usual.adapter if kind == "adapter" else {}
    module = train_language(
        lang,
        LanguageData(text or (), parallel or (), documents or (), pivot, source_weights(weight)),
        base=Base(base),
        settings=settings_from(*taken, seed, save_every, setting, warmup=usual.warmup),
        objectives=objective,
        recipe=recipe_named(kind, {**adapter, **named_values(with_, "--with")}),
        head=None if head is None else Module.load(head),
        length=length,
        query_length=query_length,
        document_length=document_length,
        max_tokens=max_tokens,
        full_softmax=full_softmax,
        negatives=negatives,
        licence=licence,
    )
    finish(module, out, scale=scale, half=half)


@app.command(epilog="Example: xlrank train head --text ky.txt --text en.txt --out my/head")
def head(
    text: TextsOption,
    out: OutOption,
    base: BaseOption = "xlrank/e5-small",
    steps: StepsOption = 500,
    batch: BatchOption = 32,
    rate: RateOption = 1e-3,
    length: LengthOption = 128,
    max_tokens: MaxTokensOption = 2_000_000,
    licence: LicenceOption = "see the sources",
    seed: SeedOption = 13,
    save_every: SaveEveryOption = 100,
    setting: SettingOption = None,
) -> None:
    """Train the prediction head that the language modules of a base share (only for bases without a published one)."""
    from xlrank.bases import Base
    from xlrank.training.language import train_mlm_head

    free_folder(out)
    settings = settings_from(steps, batch, 1, rate, seed, save_every, setting)
    module = train_mlm_head(text, base=Base(base), settings=settings, length=length, max_tokens=max_tokens, licence=licence)
    finish(module, out)


@app.command(epilog="Example: xlrank train pairs --questions q.jsonl --paragraphs p.jsonl --out groups.jsonl")
def pairs(
    out: Annotated[Path, typer.Option(help="JSON lines of a query, a positive and negatives.")],
    questions: Annotated[Path | None, typer.Option(help='JSON lines {"query_id", "text", "doc_id", "label"}.')] = None,
    paragraphs: Annotated[Path | None, typer.Option(help='JSON lines {"doc_id", "text"}.')] = None,
    articles: Annotated[
        list[Path] | None,
        typer.Option(help='Instead: JSON lines {"title", "text"}, of which titles ask and later passages answer; repeatable.'),
    ] = None,
    base: BaseOption = "xlrank/e5-small",
    method: Annotated[Literal["dense", "bm25"], typer.Option(help="What finds the hard negatives.")] = "dense",
    lang: Annotated[str, typer.Option(help="Language of the texts (bm25).")] = "en",
    negatives: Annotated[int, typer.Option(help="Negatives a group; 0, with --hard 0, for late interaction.")] = 4,
    hard: Annotated[int, typer.Option(help="How many of them are hard.")] = 3,
    ranks: Annotated[tuple[int, int], typer.Option(help="First and last rank that hard negatives are drawn from.")] = (2, 31),
    limit: Annotated[int | None, typer.Option(help="Groups at most, by default 2000; of articles, all.")] = None,
    sentences: Annotated[
        float, typer.Option(help="Share of the groups written that ask with a paragraph's first sentence.")
    ] = 0.3,
    seed: SeedOption = 13,
) -> None:
    """Make training groups from labelled questions, with hard negatives of BM25 or the bi-encoder; or pairs from articles."""
    from xlrank.bases import Base
    from xlrank.cli.console import progress_bars
    from xlrank.errors import XlrankError
    from xlrank.training.data import headline_pairs, mine, write_groups

    if articles and not questions and not paragraphs:
        made = headline_pairs(articles, seed=seed, limit=limit)
        skipped = "".join(f"; skipped {count} {reason}" for reason, count in made.skipped.items())
        typer.echo(f"{write_groups(out, made.pairs)} pairs in {out}{skipped}")
        return
    if articles or not questions or not paragraphs:
        raise XlrankError("train pairs: expected either --questions and --paragraphs, or --articles alone")
    with progress_bars() as bars:
        groups = mine(
            questions,
            paragraphs,
            base=Base(base) if method == "dense" and negatives else None,
            method=method,
            language=lang,
            negatives=negatives,
            hard=hard,
            ranks=ranks,
            limit=2000 if limit is None else limit,
            sentence_share=sentences,
            seed=seed,
            progress=bars,
        )
        count = write_groups(out, groups)
    typer.echo(f"{count} groups in {out}")


@app.command(epilog='Example: xlrank train score --data groups.jsonl --compose "split(en,en)+rank" --out scored.jsonl')
def score(
    data: Annotated[Path, typer.Option(help='Groups, as made by "train pairs".')],
    out: Annotated[Path, typer.Option(help="The same with a teacher's scores.")],
    compose: Annotated[str, typer.Option(help="Composition of the teacher, e.g. monobert.")],
    base: BaseOption = "xlrank/e5-small",
) -> None:
    """Add a teacher's scores to training groups, to distil a ranker from them (losses margin-mse and kl)."""
    from xlrank.bases import Base
    from xlrank.cli.console import progress_bars
    from xlrank.ranking import Ranker
    from xlrank.training.data import group_rows, read_groups, score_with, write_groups

    with progress_bars() as bars, bars("scoring groups") as told:
        scored = score_with(Ranker(Base(base), compose), list(group_rows(read_groups(data))), progress=told)
        count = write_groups(out, scored)
    typer.echo(f"{count} groups in {out}")


@app.command(epilog="Example: xlrank train ranking --interaction late --data pairs.jsonl --out my/late")
def ranking(
    data: Annotated[
        list[str],
        typer.Option(help="JSON lines of groups, triples or pairs; a folder with MS MARCO; or irds:ID; repeatable."),
    ],
    out: OutOption,
    interaction: Annotated[
        Literal["cross", "late"], typer.Option(help="Query and document encoded together (the paper), or each alone (MaxSim).")
    ] = "cross",
    share: ShareOption = None,
    kind: Annotated[
        Literal["adapter", "mask", "lora", "full"], typer.Option(help="What to train; full is the monoBERT baseline.")
    ] = "adapter",
    with_: WithOption = None,
    on: Annotated[list[str] | None, typer.Option(help="Frozen language module below; repeatable, the lowest first.")] = None,
    base: BaseOption = "xlrank/e5-small",
    loss: LossOption = None,
    pooling: PoolingOption = None,
    length: Annotated[int | None, typer.Option(help="cross: word pieces a pair, by default 160.")] = None,
    dim: DimOption = None,
    pooled: PooledOption = None,
    temperature: TemperatureOption = None,
    query_prompt: QueryPromptOption = None,
    document_prompt: DocumentPromptOption = None,
    query_length: QueryLengthOption = None,
    document_length: DocumentLengthOption = None,
    pooled_loss: PooledLossOption = None,
    neighbours: NeighboursOption = None,
    steps: StepsOption = 500,
    batch: Annotated[int | None, typer.Option(help="Queries at once, by default 4, late 32.")] = None,
    accumulate: AccumulateOption = 1,
    rate: Annotated[float | None, typer.Option(help="Peak learning rate of AdamW, by default 3e-4, late 5e-4.")] = None,
    heldout: Annotated[
        int | None, typer.Option(help="Queries held out of each data; by default a twentieth, at most 100.")
    ] = None,
    limit: Annotated[int | None, typer.Option(help="Training examples of each data at most.")] = None,
    run: Annotated[Path | None, typer.Option(help="TREC run for the hard negatives of irds:ID.")] = None,
    scale: ScaleOption = 1.0,
    half: HalfOption = False,
    licence: LicencesOption = None,
    seed: SeedOption = 13,
    save_every: SaveEveryOption = 100,
    setting: SettingOption = None,
) -> None:
    """Train a ranking module on relevance data in one language, usually English."""
    from xlrank.bases import Base
    from xlrank.modules import Module
    from xlrank.training.ranking import train_ranking
    from xlrank.training.recipes import recipe_named

    free_folder(out)
    way = interaction_options(
        interaction,
        {"pooling": pooling, "max_length": length},
        {
            "dim": dim,
            "pooled": pooled,
            "temperature": temperature,
            "query_prompt": query_prompt,
            "document_prompt": document_prompt,
        },
        {
            "query_length": query_length,
            "document_length": document_length,
            "pooled_loss": pooled_loss,
            "neighbours": neighbours,
        },
    )
    late = interaction == "late"
    usual = {"reduction_factor": "8"} if late and kind == "adapter" else {}
    usual_batch, usual_rate = (32, 5e-4) if late else (4, 3e-4)
    run_of = steps, usual_batch if batch is None else batch, accumulate, usual_rate if rate is None else rate
    module = train_ranking(
        sources_from(data, share, licence, heldout=heldout, limit=limit, run=run),
        base=Base(base),
        settings=settings_from(*run_of, seed, save_every, setting),
        recipe=recipe_named(kind, usual | named_values(with_, "--with")),
        on=[Module.load(name) for name in on or []],
        loss=loss,
        **way,
    )
    finish(module, out, scale=scale, half=half)


def finish(module: "Module", out: Path, *, scale: float = 1.0, half: bool = False) -> None:
    """Save a module with its card, and say where it is and what it looks like; of several processes only the first does."""
    from xlrank.modules import Module
    from xlrank.modules.arithmetic import scaled
    from xlrank.training.loop import is_main_process
    from xlrank.training.model_card import write_model_card

    if not is_main_process():
        return
    if scale != 1:
        module = scaled(module, scale).with_training(scale=scale)
    folder = (module.halved() if half else module).save(out)
    saved = Module.load(folder)
    write_model_card(saved, folder)
    record = saved.training
    steps = f"{record['steps']:,} step{'s' if record['steps'] != 1 else ''}"
    losses = f"held-out loss {record['heldout_loss_before']:.4g} before, {record['heldout_loss']:.4g} after"
    typer.echo(f"{saved.title}, {saved.bytes / 1e6:.1f} MB; {losses} {steps} and {record['seconds']} s")
    typer.echo(f'saved in {folder}; its README.md and "xlrank module show {folder}" say the rest')
