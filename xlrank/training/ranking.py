"""Ranking modules of every kind: cross-encoders on top of a frozen, active language module, and late interaction.

A cross-encoder encodes query and document together (the paper; monoBERT is full fine-tuning on nothing). The paper's loss is
pointwise binary cross-entropy over 20 million pairs; the listwise softmax over the documents of a query learns more from few of
them. Late interaction encodes each alone (:mod:`xlrank.training.late`).
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, cast, get_args

import torch
from torch import Tensor, nn

from xlrank.bases import Base
from xlrank.composition.encoder import ComposedEncoder
from xlrank.errors import XlrankError
from xlrank.files import cache_folder, content_key
from xlrank.modules import Module
from xlrank.modules.kinds.adapter.config import AdapterConfig
from xlrank.modules.kinds.head.late import LateHead, LateSettings
from xlrank.modules.kinds.head.layers import PREFIX, RankingHead, relevance
from xlrank.modules.module import LATE, Interaction
from xlrank.progress import shown
from xlrank.ranking.pairs import PairEncoder
from xlrank.ranking.texts import TextEncoder
from xlrank.training.data import Collator
from xlrank.training.data.late_collate import LateCollator
from xlrank.training.data.neighbours import forget
from xlrank.training.late import LateModel, LateTraining
from xlrank.training.learning import learn
from xlrank.training.loop import Learner, Settings, is_main_process, train
from xlrank.training.losses import LateLossName, LossName, ranking_loss
from xlrank.training.lottery import Fit
from xlrank.training.ranking_data import Feed, RankingData, feed, record_of, shares_for
from xlrank.training.recipes import Recipe, start

__all__ = ["LateTraining", "RankingData", "RankingModel", "train_ranking"]


SAMPLED = 8
"""Batches whose token vectors a projection (``dim``) starts from."""


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


@dataclass(frozen=True)
class _Way:
    """How query and document meet in training, and what the module says of it.

    Attributes:
        model: what learns.
        head: the model's.
        collate: makes its batches.
        config: of the module, beside the recipe's.
        record: of the module's training.
        neighbours: examples with near queries that stand together in a batch.
    """

    model: Learner
    head: nn.Module
    collate: Callable[[list[Any]], dict[str, Tensor]]
    config: dict[str, Any]
    record: dict[str, Any]
    neighbours: int = 0


def train_ranking(
    data: RankingData | str | Path | Sequence[RankingData],
    *,
    base: Base,
    settings: Settings,
    recipe: Recipe | None = None,
    on: Module | Sequence[Module] = (),
    interaction: Interaction = "cross",
    loss: LossName | LateLossName | None = None,
    pooling: str = "cls",
    max_length: int = 160,
    late: LateSettings | None = None,
    late_training: LateTraining | None = None,
    work: Path | None = None,
) -> Module:
    """Train a ranking module with its head.

    Args:
        data: what to learn from, or just its source; several, of which each batch holds one's examples.
        base: the encoder.
        settings: budget and optimiser; ``batch`` counts queries with their documents (pairs for ``bce``).
        recipe: kind and settings; by default an adapter, for ``cross`` of the paper's reduction factor 16, for ``late`` of 8.
        on: the frozen language module below, that of the data's language; or several, the lowest first. An adapter for ``late``
            may learn on nothing.
        interaction: ``cross`` or ``late``.
        loss: for ``cross`` one of :func:`xlrank.training.losses.ranking_loss`'s, by default ``listwise``; for ``late``
            ``contrastive`` (the default: every other document of the batch is a negative), or ``margin-mse`` or ``kl``, which
            learn a teacher's scores of each query's own documents instead.
        pooling: ``cls``, ``mean`` or ``match``, see :class:`~xlrank.modules.kinds.head.layers.RankingHead` (``cross``).
        max_length: word pieces a pair (``cross``).
        late: settings that the module will be used with (``late``).
        late_training: lengths, weights and neighbours of its training (``late``).
        work: folder for checkpoints.

    Raises:
        XlrankError: the data are malformed or too few, or the recipe does not go with what lies below.
    """
    wanted = [data] if isinstance(data, RankingData) else [RankingData(data)] if isinstance(data, str | Path) else list(data)
    below = [on] if isinstance(on, Module) else list(on)
    recipe = recipe or AdapterConfig(reduction_factor=8 if interaction == "late" else 16)
    loss = loss or ("contrastive" if interaction == "late" else "listwise")
    _check(interaction, recipe, below, loss, late_given=late is not None or late_training is not None)
    torch.manual_seed(settings.seed)
    training = late_training or LateTraining()
    if interaction == "late":
        training.check(settings.batch)
    with shown("reading training data"):
        opened = [source.opened(loss, settings.seed) for source in wanted]
    trainee = start(recipe, base, below)
    if interaction == "late":
        way = _late(trainee.encoder, base, cast("LateLossName", loss), late or LateSettings(), training)
    else:
        way = _cross(trainee.encoder, base, cast("LossName", loss), pooling, max_length)
    shares = shares_for(wanted, opened)
    sources = [[found.sources, source.limit, share] for found, source, share in zip(opened, wanted, shares, strict=True)]
    what = [type(recipe).__name__, asdict(recipe), [module.digest for module in below], repr(settings), way.config, way.record]
    key = content_key("ranking", sources, base.fingerprint, *what)
    folder = work or cache_folder() / "training" / key
    fed = feed(opened, shares, settings, way.neighbours, base, folder)
    if isinstance(way.model, LateModel):
        way.model.start_projection(way.collate(rows) for rows in fed.sample(SAMPLED, settings.batch))
    learnt = learn(recipe, trainee, way.model, base, _fitting(fed, way, key), settings, folder)
    if is_main_process():
        forget(fed.files)
    languages = {source.language for source in wanted}
    return learnt.module(
        base,
        name="ranking",
        role="ranking",
        language=languages.pop() if len(languages) == 1 else None,
        tensors={PREFIX + name: value for name, value in way.head.state_dict().items()},
        config=way.config,
        training=record_of(wanted, opened, shares) | way.record | {"on": "+".join(module.name for module in below) or None},
    )


def _fitting(fed: Feed, way: _Way, key: str) -> Fit:
    """Training on what is fed, as a function of what learns."""

    def fit(learner: Learner, phase: Settings, place: Path) -> dict[str, Any]:
        looped = replace(phase, batch=1) if fed.batched else phase
        record = train(learner, fed.train, fed.heldout, way.collate, looped, place, key=key)
        return record | {"settings": record["settings"] | {"batch": phase.batch}}

    return fit


def _cross(encoder: ComposedEncoder, base: Base, loss: LossName, pooling: str, max_length: int) -> _Way:
    head = RankingHead(int(base.config.hidden_size), pooling)
    collate = Collator(PairEncoder(base, max_length))
    record = {"loss": loss, "max_length": max_length}
    return _Way(RankingModel(encoder, head, loss), head, collate, {"pooling": pooling}, record)


def _late(encoder: ComposedEncoder, base: Base, loss: LateLossName, settings: LateSettings, training: LateTraining) -> _Way:
    hidden = int(base.config.hidden_size)
    if settings.dim is not None and settings.dim > hidden:
        raise XlrankError(f"train ranking: a projection to {settings.dim} dimensions (dim); expected at most the base's {hidden}")
    head = LateHead(hidden, settings.dim)
    queries = TextEncoder(base, settings.query_prompt, training.query_length)
    documents = TextEncoder(base, settings.document_prompt, training.document_length)
    collate = LateCollator(queries, documents, scored=loss != "contrastive")
    model = LateModel(encoder, head, settings, loss, training.pooled_loss)
    record = {"loss": loss, **asdict(training)}
    return _Way(model, head, collate, {LATE: settings.as_dict()}, record, training.neighbours)


def _check(interaction: str, recipe: Recipe, below: Sequence[Module], loss: str, *, late_given: bool) -> None:
    """Refuse what does not go with the interaction.

    Raises:
        XlrankError: the interaction is unknown, or the loss or other arguments belong to the other one.
    """
    if interaction not in get_args(Interaction):
        raise XlrankError(f"train ranking: interaction {interaction!r}; expected {' or '.join(get_args(Interaction))}")
    losses = get_args(LateLossName if interaction == "late" else LossName)
    if loss not in losses:
        raise XlrankError(f"train ranking: unknown loss {loss!r} of {interaction} interaction; expected {', '.join(losses)}")
    if interaction == "cross":
        if late_given:
            raise XlrankError("train ranking: settings of late interaction with a cross-encoder; expected interaction='late'")
        _check_below(recipe, below)


def _check_below(recipe: Recipe, below: Sequence[Module]) -> None:
    """Refuse an adapter on nothing: composed on a language module later, it would see states that it never saw in training."""
    if isinstance(recipe, AdapterConfig) and not below:
        raise XlrankError(
            "train ranking: an adapter learns on the language module that others will replace; name it, e.g. --on mlm/en"
        )
