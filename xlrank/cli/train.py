"""``xlrank train``: language modules, the shared prediction head, ranking modules and the monoBERT baseline, and their data."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from xlrank.cli.console import BaseOption
from xlrank.cli.training_options import (
    AccumulateOption,
    BatchOption,
    HalfOption,
    LengthOption,
    LicenceOption,
    MaxTokensOption,
    OutOption,
    RateOption,
    SaveEveryOption,
    SeedOption,
    SettingOption,
    StepsOption,
    TextsOption,
    WithOption,
    free_folder,
    named_values,
    settings_from,
)

if TYPE_CHECKING:
    from xlrank.modules import Module

app = typer.Typer(help="Train modules on the embedded encoder or any BERT / XLM-R base.", no_args_is_help=True)

LossOption = Annotated[
    Literal["listwise", "bce", "pairwise", "margin-mse", "kl"],
    typer.Option(
        help="listwise, pairwise: documents of a query compared; bce: pointwise, the paper's; margin-mse, kl: of a teacher."
    ),
]
PoolingOption = Annotated[
    Literal["cls", "mean", "match"], typer.Option(help="What the head sees: first token, mean, or product of the sides.")
]


@app.command(epilog="Example: xlrank train language --lang ky --text ky.txt --kind mask --with l1=0.1 --out my/ky")
def language(
    lang: Annotated[str, typer.Option(help="Language code of the text, e.g. ky.")],
    text: TextsOption,
    out: OutOption,
    kind: Annotated[Literal["adapter", "mask", "lora"], typer.Option(help="What to train.")] = "adapter",
    with_: WithOption = None,
    base: BaseOption = "xlrank/e5-small",
    head: Annotated[str, typer.Option(help='Prediction head of the base, made by "train head".')] = "head/mlm",
    steps: StepsOption = 1000,
    batch: BatchOption = 32,
    accumulate: AccumulateOption = 1,
    rate: RateOption = 1e-4,
    length: LengthOption = 128,
    max_tokens: MaxTokensOption = 5_000_000,
    full_softmax: Annotated[
        bool, typer.Option(help="Predict over the whole vocabulary, not only the text's word pieces.")
    ] = False,
    negatives: Annotated[int, typer.Option(help="Further word pieces that the restricted softmax is over.")] = 0,
    half: HalfOption = False,
    licence: LicenceOption = "see the sources",
    seed: SeedOption = 13,
    save_every: SaveEveryOption = 100,
    setting: SettingOption = None,
) -> None:
    """Train a language module by masked language modelling: MAD-X adapter, LT-SFT mask or LoRA."""
    from xlrank.bases import Base
    from xlrank.languages import language_code
    from xlrank.modules import Module
    from xlrank.training.language import train_language
    from xlrank.training.recipes import recipe_named

    free_folder(out)
    usual = {"reduction_factor": "2", "invertible": "yes"} if kind == "adapter" else {}
    module = train_language(
        language_code(lang),
        text,
        base=Base(base),
        settings=settings_from(steps, batch, accumulate, rate, seed, save_every, setting),
        recipe=recipe_named(kind, usual | named_values(with_, "--with")),
        head=Module.load(head),
        length=length,
        max_tokens=max_tokens,
        full_softmax=full_softmax,
        negatives=negatives,
        licence=licence,
    )
    finish(module.halved() if half else module, out)


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
    questions: Annotated[Path, typer.Option(help='JSON lines {"query_id", "text", "doc_id", "label"}.')],
    paragraphs: Annotated[Path, typer.Option(help='JSON lines {"doc_id", "text"}.')],
    out: Annotated[Path, typer.Option(help="JSON lines of a query, a positive and negatives.")],
    base: BaseOption = "xlrank/e5-small",
    method: Annotated[Literal["dense", "bm25"], typer.Option(help="What finds the hard negatives.")] = "dense",
    lang: Annotated[str, typer.Option(help="Language of the texts (bm25).")] = "en",
    negatives: Annotated[int, typer.Option(help="Negatives a group.")] = 4,
    hard: Annotated[int, typer.Option(help="How many of them are hard.")] = 3,
    ranks: Annotated[tuple[int, int], typer.Option(help="First and last rank that hard negatives are drawn from.")] = (2, 31),
    limit: Annotated[int, typer.Option(help="Groups in all.")] = 2000,
    sentences: Annotated[float, typer.Option(help="Share of groups that ask with a paragraph's first sentence.")] = 0.3,
    seed: SeedOption = 13,
) -> None:
    """Make training groups from labelled questions, with hard negatives found by BM25 or the bi-encoder."""
    from xlrank.bases import Base
    from xlrank.cli.console import progress_bars
    from xlrank.training.data import mine, write_groups

    with progress_bars() as bars:
        groups = mine(
            questions,
            paragraphs,
            base=Base(base) if method == "dense" else None,
            method=method,
            language=lang,
            negatives=negatives,
            hard=hard,
            ranks=ranks,
            limit=limit,
            sentence_share=sentences,
            seed=seed,
            progress=bars("mining"),
        )
        typer.echo(f"{write_groups(out, groups)} groups in {out}")


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

    with progress_bars() as bars:
        scored = score_with(Ranker(Base(base), compose), list(group_rows(read_groups(data))), progress=bars("scoring"))
        typer.echo(f"{write_groups(out, scored)} groups in {out}")


@app.command(epilog="Example: xlrank train ranking --data groups.jsonl --kind adapter --on language/en --out my/rank")
def ranking(
    data: Annotated[str, typer.Option(help="JSON lines of groups, triples or pairs; a folder with MS MARCO; or irds:ID.")],
    out: OutOption,
    kind: Annotated[
        Literal["adapter", "mask", "lora", "full"], typer.Option(help="What to train; full is the monoBERT baseline.")
    ] = "adapter",
    with_: WithOption = None,
    on: Annotated[list[str] | None, typer.Option(help="Frozen language module below; repeatable, the lowest first.")] = None,
    base: BaseOption = "xlrank/e5-small",
    loss: LossOption = "listwise",
    pooling: PoolingOption = "cls",
    steps: StepsOption = 500,
    batch: BatchOption = 4,
    accumulate: AccumulateOption = 1,
    rate: RateOption = 3e-4,
    length: LengthOption = 160,
    heldout: Annotated[int | None, typer.Option(help="Queries held out; by default a twentieth, at most 100.")] = None,
    limit: Annotated[int | None, typer.Option(help="Training examples at most.")] = None,
    run: Annotated[Path | None, typer.Option(help="TREC run for the hard negatives of irds:ID.")] = None,
    licence: LicenceOption = "see the sources",
    seed: SeedOption = 13,
    save_every: SaveEveryOption = 100,
    setting: SettingOption = None,
) -> None:
    """Train a ranking module on relevance data in one language, usually English."""
    from xlrank.bases import Base
    from xlrank.modules import Module
    from xlrank.training.ranking import RankingData, train_ranking
    from xlrank.training.recipes import recipe_named

    free_folder(out)
    module = train_ranking(
        RankingData(data, licence=licence, heldout=heldout, limit=limit, run=run),
        base=Base(base),
        settings=settings_from(steps, batch, accumulate, rate, seed, save_every, setting),
        recipe=recipe_named(kind, named_values(with_, "--with")),
        on=[Module.load(name) for name in on or []],
        loss=loss,
        pooling=pooling,
        max_length=length,
    )
    finish(module, out)


def finish(module: "Module", out: Path) -> None:
    """Save a module with its card, and say where it is and what it looks like; of several processes only the first does."""
    from xlrank.modules import Module
    from xlrank.training.loop import is_main_process
    from xlrank.training.model_card import write_model_card

    if not is_main_process():
        return
    folder = module.save(out)
    saved = Module.load(folder)
    write_model_card(saved, folder)
    typer.echo(saved.describe())
    typer.echo(f"saved in {folder}")
