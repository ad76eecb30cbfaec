"""Ranking modules of every kind, on top of a frozen, active language module; monoBERT is full fine-tuning on nothing.

The paper's loss is pointwise binary cross-entropy over 20 million pairs; the listwise softmax over the documents of a query
learns more from few of them and is what the shipped modules use.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from xlrank.bases import Base
from xlrank.composition.encoder import ComposedEncoder
from xlrank.errors import XlrankError
from xlrank.files import cache_folder, content_key
from xlrank.modules import Module
from xlrank.modules.kinds.adapter.config import AdapterConfig
from xlrank.modules.kinds.head.layers import PREFIX, RankingHead, relevance
from xlrank.ranking.pairs import PairEncoder
from xlrank.training.data import Collator, TrainingData, open_data
from xlrank.training.learning import learn
from xlrank.training.loop import Learner, Settings, train
from xlrank.training.losses import LossName, check_data, needs, ranking_loss
from xlrank.training.recipes import Recipe, start

HELDOUT_SHARE, HELDOUT_MOST = 0.05, 100
"""Queries that are held out: this share of them, and no more than so many."""


@dataclass(frozen=True)
class RankingData:
    """What a ranking module learns from.

    Attributes:
        source: JSON lines, a folder with MS MARCO, or ``irds:ID`` (:func:`xlrank.training.data.open_data`).
        licence: recorded in the module.
        language: of the texts.
        heldout: queries held out, or their share; by default a twentieth, at most a hundred.
        limit: training examples at most.
        run: TREC run for the hard negatives of ``irds:ID``.
    """

    source: str | Path
    licence: str = "see sources"
    language: str = "en"
    heldout: int | float | None = None
    limit: int | None = None
    run: Path | None = None

    def opened(self, loss: LossName, seed: int) -> TrainingData:
        """The data as a loss needs them.

        Raises:
            XlrankError: they are malformed, too few, or not what the loss needs.
        """
        wanted = needs(loss)
        options: dict[str, Any] = {"seed": seed, "limit": self.limit, "targets": wanted.targets, "grouped": wanted.grouped}
        data = open_data(self.source, heldout=self.heldout or HELDOUT_SHARE, run=self.run, whole=True, **options)
        if self.heldout is None and len(data.heldout) > HELDOUT_MOST:
            data = open_data(self.source, heldout=HELDOUT_MOST, run=self.run, whole=True, **options)
        check_data(loss, data)
        return data


class RankingModel(Learner):
    """Composed encoder and relevance head over documents of queries."""

    def __init__(self, encoder: ComposedEncoder, head: RankingHead, loss: LossName) -> None:
        super().__init__()
        self.composed, self.head, self.loss = encoder, head, loss

    def forward(
        self,
        input_ids: Tensor,
        attention_mask: Tensor,
        token_type_ids: Tensor,
        sides: Tensor,
        labels: Tensor,
        groups: Tensor,
    ) -> dict[str, Tensor]:
        """The loss of a batch.

        Args:
            input_ids: [rows, tokens], as the next three.
            attention_mask: 1 where a token is no padding.
            token_type_ids: as the base's tokenizer sets them.
            sides: 0 query, 1 document.
            labels: [rows], relevance or a teacher's scores.
            groups: [rows], number of each row's query in the batch.
        """
        states = self.composed(input_ids, attention_mask, token_type_ids, sides)
        scores = relevance(self.head(states, attention_mask, sides))
        return {"loss": ranking_loss(self.loss, scores, labels, groups)}

    def count(self, batch: Mapping[str, Tensor]) -> dict[str, int]:
        """Pairs seen."""
        return {"pairs": len(batch["labels"])}


def train_ranking(
    data: RankingData | str | Path,
    *,
    base: Base,
    settings: Settings,
    recipe: Recipe | None = None,
    on: Module | Sequence[Module] = (),
    loss: LossName = "listwise",
    pooling: str = "cls",
    max_length: int = 160,
    work: Path | None = None,
) -> Module:
    """Train a ranking module with its relevance head.

    Args:
        data: what to learn from, or just its source.
        base: the encoder.
        settings: budget and optimiser; ``batch`` counts queries with their documents (pairs for ``bce``).
        recipe: kind and settings; by default an adapter of reduction factor 16, the paper's.
        on: the frozen language module below, that of the data's language; or several, the lowest first.
        loss: one of :func:`xlrank.training.losses.ranking_loss`'s.
        pooling: ``cls``, ``mean`` or ``match``, see :class:`~xlrank.modules.kinds.head.layers.RankingHead`.
        max_length: word pieces a pair.
        work: folder for checkpoints.

    Raises:
        XlrankError: the data are malformed or too few, or the recipe does not go with what lies below.
    """
    recipe = recipe or AdapterConfig(reduction_factor=16)
    wanted = data if isinstance(data, RankingData) else RankingData(data)
    below = [on] if isinstance(on, Module) else list(on)
    _check_below(recipe, below)
    torch.manual_seed(settings.seed)
    opened, encoder = wanted.opened(loss, settings.seed), PairEncoder(base, max_length)
    trainee = start(recipe, base, below)
    model = RankingModel(trainee.encoder, RankingHead(int(base.config.hidden_size), pooling), loss)
    what = [type(recipe).__name__, asdict(recipe), [module.digest for module in below], repr(settings), loss, pooling, max_length]
    key = content_key("ranking", opened.sources, wanted.limit, base.fingerprint, *what)
    collate = Collator(encoder)

    def fit(learner: Learner, phase: Settings, folder: Path) -> dict[str, Any]:
        return train(learner, opened.train, opened.heldout, collate, phase, folder, key=key)

    learnt = learn(recipe, trainee, model, base, fit, settings, work or cache_folder() / "training" / key)
    return learnt.module(
        base,
        name="ranking",
        role="ranking",
        language=wanted.language,
        tensors={PREFIX + name: value for name, value in model.head.state_dict().items()},
        config={"pooling": pooling},
        training=_record(wanted, opened, below, loss, max_length),
    )


def _record(wanted: RankingData, opened: TrainingData, below: Sequence[Module], loss: str, max_length: int) -> dict[str, Any]:
    """What the module says of its data."""
    groups = len(opened.train) if hasattr(opened.train, "__len__") else None
    return {
        "data": opened.sources,
        "licence": wanted.licence,
        "groups": groups,
        "group_size": opened.group_size,
        "loss": loss,
        "max_length": max_length,
        "on": "+".join(module.name for module in below) or None,
    }


def _check_below(recipe: Recipe, below: Sequence[Module]) -> None:
    """Refuse an adapter on nothing: composed on a language module later, it would see states that it never saw in training."""
    if isinstance(recipe, AdapterConfig) and not below:
        raise XlrankError(
            "train ranking: an adapter learns on the language module that others will replace; name it, e.g. --on language/en"
        )
