"""What kind of module is to be learnt, and its settings; and the module in the making that each recipe starts."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

from xlrank.bases import Base
from xlrank.errors import XlrankError
from xlrank.modules import Module
from xlrank.modules.kinds.adapter.config import AdapterConfig
from xlrank.training.trainee import ATTENTION, AdapterTrainee, FullTrainee, LoraTrainee, Trainee


@dataclass(frozen=True)
class LoraRecipe:
    """Low-rank updates.

    Attributes:
        rank: of the updates.
        alpha: they count ``alpha / rank``.
        targets: ends of the names of the linear layers that get one.
    """

    rank: int = 8
    alpha: float = 16
    targets: tuple[str, ...] = ATTENTION


@dataclass(frozen=True)
class MaskRecipe:
    """Lottery-ticket sparse fine-tuning (LT-SFT; Ansell et al., ACL 2022): full phase, selection, rewind, sparse phase.

    Attributes:
        entries: how many entries may change in the end; a share of all that could if it is below 1.
        like_reduction_factor: instead of ``entries``: as many as an adapter of this reduction factor has parameters.
        invertible: count that adapter's invertible block as well, as the paper does for language masks.
        full_share: of the steps, how many the full phases take; the sparse phases take the rest.
        iterations: how often the phases are gone through, each time choosing its part of the entries.
        l1: weight of the mean absolute change in the loss (the paper: 0.1 for languages).
        frozen: parts of the names of parameters that never change.
    """

    entries: float | None = None
    like_reduction_factor: float | None = 2
    invertible: bool = True
    full_share: float = 0.5
    iterations: int = 1
    l1: float = 0.0
    frozen: tuple[str, ...] = ("LayerNorm", "pooler.")

    def __post_init__(self) -> None:
        if (self.entries is None) == (self.like_reduction_factor is None):
            raise XlrankError("mask: give either its entries or the reduction factor of an adapter with as many parameters")
        if self.iterations < 1 or not 0 < self.full_share < 1 or self.l1 < 0:
            raise XlrankError("mask: expected at least one iteration, a share of steps between 0 and 1, and an L1 weight from 0")

    def count(self, hidden: int, layers: int, possible: int) -> int:
        """How many entries of the ``possible`` ones are chosen.

        Raises:
            XlrankError: that is none, or more than there are.
        """
        if self.like_reduction_factor is not None:
            wanted = float(adapter_size(hidden, layers, self.like_reduction_factor, invertible=self.invertible))
        else:
            assert self.entries is not None
            wanted = self.entries * possible if self.entries < 1 else self.entries
        if not 1 <= wanted <= possible:
            raise XlrankError(f"mask: {wanted:,.0f} entries wanted of {possible:,} that may change; expected 1 to that many")
        return int(wanted)


@dataclass(frozen=True)
class FullRecipe:
    """All parameters but the frozen ones.

    Attributes:
        frozen: parts of the names of parameters that stay as they are. By default the embeddings: they are four fifths of a
            small multilingual encoder, and a few thousand English pairs would only move the English rows of a table that all
            languages share.
    """

    frozen: tuple[str, ...] = ("embeddings.", "pooler.")


Recipe = AdapterConfig | LoraRecipe | MaskRecipe | FullRecipe
RECIPES: dict[str, type[Recipe]] = {"adapter": AdapterConfig, "mask": MaskRecipe, "lora": LoraRecipe, "full": FullRecipe}
"""By the kind of module that they make."""
WORDS = {"yes": True, "true": True, "no": False, "false": False, "none": None}


def recipe_named(kind: str, options: Mapping[str, str]) -> Recipe:
    """A recipe from text, as the command line has it.

    Args:
        kind: one of :data:`RECIPES`.
        options: values by the names of the recipe's attributes: numbers, yes, no, none, or words joined by commas.

    Raises:
        XlrankError: the kind or an attribute is unknown, or a value is not of its type.
    """
    if kind not in RECIPES:
        raise XlrankError(f"module kind {kind!r}: expected one of {', '.join(RECIPES)}")
    recipe = RECIPES[kind]
    types = {field.name: field.type.__name__ if isinstance(field.type, type) else str(field.type) for field in fields(recipe)}
    values: dict[str, Any] = {}
    for name, text in options.items():
        if name not in types:
            raise XlrankError(f"{kind} setting {name!r}: expected one of {', '.join(types)}")
        values[name] = _value(text, types[name], f"{kind} setting {name}={text}")
    if values.get("entries") is not None:
        values.setdefault("like_reduction_factor", None)
    return recipe(**values)


def _value(text: str, wanted: str, place: str) -> Any:  # noqa: ANN401 - of the attribute's type
    """A value of the type that is written ``wanted``."""
    if text.lower() in WORDS and ("bool" in wanted or "None" in wanted):
        return WORDS[text.lower()]
    if "tuple" in wanted or "Sequence" in wanted:
        words = tuple(word for word in text.split(",") if word)
        return tuple(map(int, words)) if "int" in wanted and all(word.isdigit() for word in words) else words
    if wanted == "str":
        return text
    try:
        return int(text) if "float" not in wanted else float(text)
    except ValueError:
        raise XlrankError(f"{place}: expected {'yes or no' if 'bool' in wanted else 'a number'}") from None


def start(recipe: Recipe, base: Base, below: Sequence[Module] = ()) -> Trainee:
    """A module in the making on top of frozen modules."""
    if isinstance(recipe, AdapterConfig):
        return AdapterTrainee(base, recipe, below)
    if isinstance(recipe, LoraRecipe):
        return LoraTrainee(base, recipe.rank, recipe.alpha, recipe.targets, below)
    return FullTrainee(base, below, recipe.frozen)


def adapter_size(hidden: int, layers: int, reduction_factor: float, *, invertible: bool) -> int:
    """Parameters of a bottleneck adapter (paper: 7,387,776 for mBERT at factor 2 with its invertible block)."""
    size = int(hidden // reduction_factor)
    bottlenecks = layers * (2 * hidden * size + size + hidden)
    half = hidden // 2
    inner = max(1, int(half // reduction_factor))
    return bottlenecks + (2 * (2 * half * inner + inner + half) if invertible else 0)
