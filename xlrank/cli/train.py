"""``xlrank train``: language modules, the shared prediction head, ranking modules and the monoBERT baseline."""

from pathlib import Path
from typing import Annotated, Literal

import typer

app = typer.Typer(help="Train modules on the embedded encoder or any BERT / XLM-R base.", no_args_is_help=True)

Base = Annotated[str, typer.Option(help="Encoder: xlrank/e5-small, a Hub name or a folder.")]
Out = Annotated[Path, typer.Option(help="Folder for the finished module.")]
Steps = Annotated[int, typer.Option(help="Optimiser steps.")]
Batch = Annotated[int, typer.Option(help="Sequences or pairs a step.")]
Rate = Annotated[float, typer.Option(help="Peak learning rate of AdamW.")]
Seed = Annotated[int, typer.Option(help="Seed of initial weights, data order and masking.")]
SaveEvery = Annotated[int, typer.Option(help="Steps between checkpoints and held-out evaluations.")]
Texts = Annotated[
    list[Path], typer.Option("--text", help="UTF-8 text, one sentence or paragraph a line (.txt, .tsv, .xz, .gz); repeatable.")
]
Length = Annotated[int, typer.Option(help="Word pieces a training sequence.")]
MaxTokens = Annotated[int, typer.Option(help="Word pieces of text used at most.")]
Licence = Annotated[str, typer.Option(help="Licence of the training data, recorded in the module.")]


@app.command(epilog="Example: xlrank train language --lang ky --text ky.txt --out my/ky")
def language(
    lang: Annotated[str, typer.Option(help="Language code of the text, e.g. ky.")],
    text: Texts,
    out: Out,
    base: Base = "xlrank/e5-small",
    head: Annotated[str, typer.Option(help='Prediction head of the base, made by "train head".')] = "head/mlm",
    reduction_factor: Annotated[float, typer.Option(help="Hidden size / bottleneck size.")] = 2,
    invertible: Annotated[bool, typer.Option(help="With a NICE invertible adapter on the embeddings.")] = True,
    steps: Steps = 1000,
    batch: Batch = 32,
    rate: Rate = 5e-4,
    length: Length = 128,
    max_tokens: MaxTokens = 5_000_000,
    full_softmax: Annotated[
        bool, typer.Option(help="Predict over the whole vocabulary, not only the text's word pieces.")
    ] = False,
    licence: Licence = "see the sources",
    seed: Seed = 13,
    save_every: SaveEvery = 100,
) -> None:
    """Train a MAD-X language adapter by masked language modelling."""
    from xlrank.bases import Base as Encoder
    from xlrank.languages import language_code
    from xlrank.modules import Module
    from xlrank.modules.kinds.adapter.config import AdapterConfig
    from xlrank.training.language import train_language
    from xlrank.training.loop import Settings

    settings = Settings(steps=steps, batch=batch, rate=rate, seed=seed, save_every=save_every)
    config = AdapterConfig(reduction_factor=reduction_factor, invertible=invertible)
    module = train_language(
        language_code(lang),
        text,
        base=Encoder(base),
        settings=settings,
        adapter=config,
        head=Module.load(head),
        length=length,
        max_tokens=max_tokens,
        full_softmax=full_softmax,
        licence=licence,
    )
    finish(module.save(out))


@app.command(epilog="Example: xlrank train head --text ky.txt --text en.txt --out my/head")
def head(
    text: Texts,
    out: Out,
    base: Base = "xlrank/e5-small",
    steps: Steps = 500,
    batch: Batch = 32,
    rate: Rate = 1e-3,
    length: Length = 128,
    max_tokens: MaxTokens = 2_000_000,
    licence: Licence = "see the sources",
    seed: Seed = 13,
    save_every: SaveEvery = 100,
) -> None:
    """Train the prediction head that the language modules of a base share (only for bases without a published one)."""
    from xlrank.bases import Base as Encoder
    from xlrank.training.language import train_mlm_head
    from xlrank.training.loop import Settings

    settings = Settings(steps=steps, batch=batch, rate=rate, seed=seed, save_every=save_every)
    module = train_mlm_head(text, base=Encoder(base), settings=settings, length=length, max_tokens=max_tokens, licence=licence)
    finish(module.save(out))


@app.command(epilog="Example: xlrank train pairs --questions q.jsonl --paragraphs p.jsonl --out groups.jsonl")
def pairs(
    questions: Annotated[Path, typer.Option(help='JSON lines {"query_id", "text", "doc_id", "label"}.')],
    paragraphs: Annotated[Path, typer.Option(help='JSON lines {"doc_id", "text"}.')],
    out: Annotated[Path, typer.Option(help="JSON lines of a query, a positive and negatives.")],
    base: Base = "xlrank/e5-small",
    negatives: Annotated[int, typer.Option(help="Negatives a group.")] = 4,
    hard: Annotated[int, typer.Option(help="How many of them are hard (near to the query).")] = 3,
    limit: Annotated[int, typer.Option(help="Groups in all.")] = 2000,
    sentences: Annotated[float, typer.Option(help="Share of groups that ask with a paragraph's first sentence.")] = 0.3,
    seed: Seed = 13,
) -> None:
    """Make training groups from labelled questions, with hard negatives found by the bi-encoder."""
    import json

    from xlrank.bases import Base as Encoder
    from xlrank.files import write_text
    from xlrank.training.pairs import mine_groups

    groups = mine_groups(
        questions,
        paragraphs,
        base=Encoder(base),
        negatives=negatives,
        hard=hard,
        limit=limit,
        sentence_share=sentences,
        seed=seed,
    )
    lines = [json.dumps(group, ensure_ascii=False) for group in groups]
    write_text(out, "\n".join(lines) + "\n")
    typer.echo(f"{len(lines)} groups in {out}")


@app.command(epilog="Example: xlrank train ranking --data groups.jsonl --kind adapter --on language/en --out my/rank")
def ranking(
    data: Annotated[Path, typer.Option(help='JSON lines {"query", "positive", "negatives"}, as made by "train pairs".')],
    out: Out,
    kind: Annotated[Literal["adapter", "full"], typer.Option(help="adapter, or full for the monoBERT baseline.")] = "adapter",
    on: Annotated[str | None, typer.Option(help="Frozen language module below the adapter.")] = None,
    base: Base = "xlrank/e5-small",
    reduction_factor: Annotated[float, typer.Option(help="Hidden size / bottleneck size.")] = 16,
    loss: Annotated[
        Literal["listwise", "bce"], typer.Option(help="listwise (softmax over a group) or bce (pointwise, the paper's).")
    ] = "listwise",
    pooling: Annotated[
        Literal["cls", "mean", "match"], typer.Option(help="What the head sees: first token, mean, or product of the sides.")
    ] = "cls",
    steps: Steps = 500,
    batch: Batch = 4,
    rate: Rate = 3e-4,
    length: Length = 160,
    licence: Licence = "see the sources",
    seed: Seed = 13,
    save_every: SaveEvery = 100,
) -> None:
    """Train a ranking module on relevance data in one language, usually English."""
    from xlrank.bases import Base as Encoder
    from xlrank.modules import Module
    from xlrank.training.loop import Settings
    from xlrank.training.ranking import train_ranking

    settings = Settings(steps=steps, batch=batch, rate=rate, seed=seed, save_every=save_every)
    module = train_ranking(
        data,
        base=Encoder(base),
        kind=kind,
        on=Module.load(on) if on else None,
        settings=settings,
        reduction_factor=reduction_factor,
        loss=loss,
        pooling=pooling,
        max_length=length,
        licence=licence,
    )
    finish(module.save(out))


def finish(folder: Path) -> None:
    """Say where the module is and what it looks like."""
    from xlrank.modules import Module

    typer.echo(Module.load(folder).describe())
    typer.echo(f"saved in {folder}")
