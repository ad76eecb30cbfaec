"""Options that the training commands share."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

if TYPE_CHECKING:
    from xlrank.training.loop import Settings
    from xlrank.training.ranking import RankingData

OutOption = Annotated[Path, typer.Option("--out", help="Folder for the finished module.")]
StepsOption = Annotated[int, typer.Option("--steps", help="Optimiser steps; of a mask, those of all phases.")]
BatchOption = Annotated[int, typer.Option("--batch", help="Sequences or queries at once.")]
AccumulateOption = Annotated[int, typer.Option("--accumulate", help="Batches whose gradients are added up for one step.")]
RateOption = Annotated[float, typer.Option("--rate", help="Peak learning rate of AdamW.")]
SeedOption = Annotated[int, typer.Option("--seed", help="Seed of initial weights, data order and masking.")]
SaveEveryOption = Annotated[int, typer.Option("--save-every", help="Steps between checkpoints and held-out evaluations.")]
TextsOption = Annotated[
    list[Path], typer.Option("--text", help="UTF-8 text, one sentence or paragraph a line (.txt, .tsv, .xz, .gz); repeatable.")
]
PlainTextsOption = Annotated[list[Path] | None, typer.Option("--text", help="Plain text for mlm, as of train head; repeatable.")]
ParallelOption = Annotated[
    list[Path] | None,
    typer.Option(help="Sentence pairs for align: [SOURCE TAB] TEXT TAB TRANSLATION (.tsv, .xz, .gz); repeatable."),
]
ArticlesOption = Annotated[
    list[Path] | None,
    typer.Option(help='Articles for ict, one a line, or JSON lines {"title", "text"} (.jsonl, .tsv, .xz, .gz); repeatable.'),
]
WeightOption = Annotated[
    list[str] | None,
    typer.Option("--weight", metavar="SOURCE=NUMBER", help="How often its pairs are drawn; SOURCE may end in *; repeatable."),
]
LengthOption = Annotated[int, typer.Option("--length", help="Word pieces a training sequence.")]
MaxTokensOption = Annotated[int, typer.Option("--max-tokens", help="Word pieces of text used at most.")]
ScaleOption = Annotated[
    float,
    typer.Option(
        help="Factor of what the trained module changes; below 1, it stays nearer to the base, which other languages and modules "
        "may need (Wortsman et al. 2022).",
    ),
]
HalfOption = Annotated[bool, typer.Option("--half", help="Store the weights in float16: half the size.")]
LicenceOption = Annotated[str, typer.Option("--licence", help="Licence of the training data, recorded in the module.")]
WithOption = Annotated[
    list[str] | None,
    typer.Option(
        "--with",
        metavar="NAME=VALUE",
        help="A setting of the kind, repeatable. adapter: reduction_factor, invertible, non_linearity, leave_out, attention …; "
        "mask: entries, like_reduction_factor, l1, iterations, full_share, frozen; lora: rank, alpha, targets; full: frozen.",
    ),
]
SettingOption = Annotated[
    list[str] | None,
    typer.Option(
        "--setting",
        metavar="NAME=VALUE",
        help="Of the run, repeatable: warmup, weight_decay, patience (early stop), scheduler, precision, workers, log_folder.",
    ),
]
LossOption = Annotated[
    Literal["listwise", "bce", "pairwise", "contrastive", "margin-mse", "kl"] | None,
    typer.Option(
        help="cross: listwise (usual), pairwise, bce (pointwise, the paper's); late: contrastive (usual: the batch's other "
        "documents are negatives); both: margin-mse, kl (of a teacher)."
    ),
]
PoolingOption = Annotated[
    Literal["cls", "mean", "match"] | None,
    typer.Option(help="cross: what the head sees, first token (usual), mean, or product of the sides."),
]
DimOption = Annotated[int | None, typer.Option(help="late: size that token vectors are projected to; by default not at all.")]
PooledOption = Annotated[
    float | None, typer.Option(help="late: weight of the pooled vectors' cosine in the score, by default 0.")
]
PooledLossOption = Annotated[float | None, typer.Option(help="late: weight of the pooled vectors in the loss, by default 0.5.")]
TemperatureOption = Annotated[float | None, typer.Option(help="late: what similarities are divided by, by default 0.02.")]
QueryPromptOption = Annotated[str | None, typer.Option(help='late: put before each query, by default "query: ".')]
DocumentPromptOption = Annotated[str | None, typer.Option(help='late: put before each document, by default "passage: ".')]
QueryLengthOption = Annotated[int | None, typer.Option(help="late: word pieces of a query in training, by default 48.")]
DocumentLengthOption = Annotated[int | None, typer.Option(help="late: word pieces of a document in training, by default 128.")]
NeighboursOption = Annotated[
    int | None, typer.Option(help="late: examples with near queries that share a batch, by default 8; 0: all at random.")
]
ShareOption = Annotated[
    list[str] | None,
    typer.Option(metavar="DATA=NUMBER", help="Of the batches, for one --data of several; the others divide the rest by size."),
]
LicencesOption = Annotated[
    list[str] | None,
    typer.Option("--licence", help="Licence of the data, recorded in the module; one for all, or one for each --data."),
]


def free_folder(out: Path) -> Path:
    """The folder for a module, which must not hold one: training takes long, and what is there took long as well.

    Raises:
        XlrankError: there is a module in it.
    """
    from xlrank.errors import XlrankError
    from xlrank.modules.formats.layout import CARD

    if (out / CARD).exists():
        raise XlrankError(f"{out}: holds a finished module; give another --out, or remove that one first")
    return out


def named_values(options: list[str] | None, flag: str) -> dict[str, str]:
    """``NAME=VALUE`` options as a mapping.

    Raises:
        XlrankError: an option has another form, or a name comes twice.
    """
    from xlrank.errors import XlrankError

    found: dict[str, str] = {}
    for option in options or []:
        name, equals, value = option.partition("=")
        if not name or not equals or name in found:
            raise XlrankError(f"{flag} {option!r}: expected NAME=VALUE, each name once")
        found[name] = value
    return found


def source_weights(options: list[str] | None) -> dict[str, float]:
    """``SOURCE=NUMBER`` options as a mapping.

    Raises:
        XlrankError: an option has another form, or a source comes twice.
    """
    from xlrank.errors import XlrankError

    found: dict[str, float] = {}
    for source, text in named_values(options, "--weight").items():
        try:
            found[source] = float(text)
        except ValueError:
            raise XlrankError(f"--weight {source}={text}: expected a number from 0 on") from None
    return found


def interaction_options(
    interaction: str, cross: dict[str, Any], late: dict[str, Any], late_training: dict[str, Any]
) -> dict[str, Any]:
    """Arguments of :func:`~xlrank.training.ranking.train_ranking` from the options that belong to one interaction.

    Args:
        interaction: ``cross`` or ``late``.
        cross: options of the one; None where not given.
        late: settings of a late module.
        late_training: settings of its training.

    Raises:
        XlrankError: an option of the other interaction was given, or a setting is out of range.
    """
    from xlrank.errors import XlrankError
    from xlrank.modules.kinds.head.late import LateSettings
    from xlrank.training.late import LateTraining

    own, foreign = (late | late_training, cross) if interaction == "late" else (cross, late | late_training)
    given = [name for name, value in foreign.items() if value is not None]
    if given:
        flag = "--length" if given[0] == "max_length" else "--" + given[0].replace("_", "-")
        other = "cross" if interaction == "late" else "late"
        raise XlrankError(f"{flag}: belongs to --interaction {other}; leave it out with --interaction {interaction}")
    if interaction == "cross":
        return {"interaction": interaction} | {name: value for name, value in own.items() if value is not None}
    settings, training = ({n: v for n, v in group.items() if v is not None} for group in (late, late_training))
    return {"interaction": interaction, "late": LateSettings(**settings), "late_training": LateTraining(**training)}


def sources_from(
    data: list[str],
    shares: list[str] | None,
    licences: list[str] | None,
    **options: Any,  # noqa: ANN401 - the other attributes of RankingData
) -> "list[RankingData]":
    """What a ranking module learns from, with shares as DATA=NUMBER.

    Raises:
        XlrankError: a share names no data or is no number, or there are neither one licence nor as many as data.
    """
    from xlrank.errors import XlrankError
    from xlrank.training.ranking import RankingData

    given = licences or ["see the sources"]
    if len(given) not in (1, len(data)):
        raise XlrankError(f"--licence: {len(given)} for {len(data)} --data; expected one for all, or one for each in their order")
    found: dict[str, float] = {}
    for option in shares or []:
        name, _, text = option.rpartition("=")
        try:
            found[name] = float(text)
        except ValueError:
            raise XlrankError(f"--share {option!r}: expected DATA=NUMBER, e.g. {data[0]}=0.5") from None
        if name not in data:
            raise XlrankError(f"--share {option!r}: {name!r} is no --data; expected one of {', '.join(data)}")
    each = given * len(data) if len(given) == 1 else given
    return [
        RankingData(source, licence=licence, share=found.get(source), **options)
        for source, licence in zip(data, each, strict=True)
    ]


def settings_from(
    steps: int,
    batch: int,
    accumulate: int,
    rate: float,
    seed: int,
    save_every: int,
    more: list[str] | None,
    **usual: Any,  # noqa: ANN401 - settings of any type
) -> "Settings":
    """The settings of a run; ``more`` as NAME=VALUE, ``usual`` where it says nothing.

    Raises:
        XlrankError: a setting is unknown or out of range.
    """
    from xlrank.errors import XlrankError
    from xlrank.training.loop import Settings

    readers: dict[str, Any] = {
        "warmup": float,
        "weight_decay": float,
        "patience": int,
        "workers": int,
        "scheduler": str,
        "precision": str,
        "log_folder": Path,
    }
    values: dict[str, Any] = dict(usual)
    for name, text in named_values(more, "--setting").items():
        if name not in readers:
            raise XlrankError(f"--setting {name}: expected one of {', '.join(readers)}")
        try:
            values[name] = readers[name](text)
        except ValueError:
            raise XlrankError(f"--setting {name}={text}: expected a number") from None
    return Settings(steps=steps, batch=batch, accumulate=accumulate, rate=rate, seed=seed, save_every=save_every, **values)
