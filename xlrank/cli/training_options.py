"""Options that the training commands share."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from xlrank.training.loop import Settings

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
LengthOption = Annotated[int, typer.Option("--length", help="Word pieces a training sequence.")]
MaxTokensOption = Annotated[int, typer.Option("--max-tokens", help="Word pieces of text used at most.")]
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


def settings_from(
    steps: int, batch: int, accumulate: int, rate: float, seed: int, save_every: int, more: list[str] | None
) -> "Settings":
    """The settings of a run; ``more`` as NAME=VALUE.

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
    values: dict[str, Any] = {}
    for name, text in named_values(more, "--setting").items():
        if name not in readers:
            raise XlrankError(f"--setting {name}: expected one of {', '.join(readers)}")
        try:
            values[name] = readers[name](text)
        except ValueError:
            raise XlrankError(f"--setting {name}={text}: expected a number") from None
    return Settings(steps=steps, batch=batch, accumulate=accumulate, rate=rate, seed=seed, save_every=save_every, **values)
