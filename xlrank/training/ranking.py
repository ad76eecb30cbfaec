"""Ranking modules: an adapter on top of a frozen, active English language module, or full fine-tuning (monoBERT).

Both learn from groups of one relevant and several other documents a query. The paper's loss is pointwise binary
cross-entropy; the listwise softmax over each group learns more from few groups and is what the shipped modules use.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor, nn
from torch.utils.data import Dataset

from xlrank.bases import Base
from xlrank.composition.encoder import ComposedEncoder, trainable
from xlrank.errors import XlrankError
from xlrank.files import cache_folder, content_key, file_hash
from xlrank.modules import BaseReference, Module
from xlrank.modules.kinds.adapter.config import AdapterConfig
from xlrank.modules.kinds.adapter.layers import Adapter
from xlrank.modules.kinds.head.layers import PREFIX, RankingHead, relevance
from xlrank.modules.weights import Replacement
from xlrank.ranking.pairs import PairEncoder
from xlrank.training.loop import Learner, Settings, train
from xlrank.training.pairs import Group, read_groups

RankingKind = Literal["adapter", "full"]
Loss = Literal["listwise", "bce"]
FROZEN = ("embeddings.", "pooler.")
"""What full fine-tuning leaves alone: the embeddings are four fifths of a small multilingual encoder, and a few thousand
English pairs would only move the English rows of a table that all languages share."""


class RankingModel(Learner):
    """Composed encoder and relevance head over groups of documents."""

    def __init__(self, encoder: ComposedEncoder, head: RankingHead, loss: Loss, group: int) -> None:
        super().__init__()
        self.composed, self.head, self.loss, self.group = encoder, head, loss, group

    def forward(
        self, input_ids: Tensor, attention_mask: Tensor, token_type_ids: Tensor, sides: Tensor, labels: Tensor
    ) -> dict[str, Tensor]:
        """Loss over rows [rows, tokens] that form groups of ``group`` documents; labels [groups]: which one is relevant."""
        states = self.composed(input_ids, attention_mask, token_type_ids, sides)
        logits = relevance(self.head(states, attention_mask, sides)).view(-1, self.group)
        if self.loss == "bce":
            targets = nn.functional.one_hot(labels, self.group).to(logits.dtype)
            return {"loss": nn.functional.binary_cross_entropy_with_logits(logits, targets)}
        return {"loss": nn.functional.cross_entropy(logits, labels)}


class Groups(Dataset[list[tuple[list[int], list[int]]]]):
    """Encoded groups."""

    def __init__(self, groups: Sequence[Group], encoder: PairEncoder) -> None:
        self.size = len(groups[0].documents)
        pairs = [(group.query, document) for group in groups for document in group.documents]
        self.rows = encoder.encode(pairs)

    def __len__(self) -> int:
        return len(self.rows) // self.size

    def __getitem__(self, index: int) -> list[tuple[list[int], list[int]]]:
        return self.rows[index * self.size : (index + 1) * self.size]


def train_ranking(
    data: Path,
    *,
    base: Base,
    kind: RankingKind,
    on: Module | None,
    settings: Settings,
    reduction_factor: float = 16,
    loss: Loss = "listwise",
    pooling: str = "cls",
    max_length: int = 160,
    licence: str = "see sources",
    work: Path | None = None,
) -> Module:
    """Train a ranking module on groups (see :func:`~xlrank.training.pairs.read_groups`).

    Args:
        data: JSON lines of groups.
        base: the encoder.
        kind: ``adapter`` (needs ``on``) or ``full``.
        on: the frozen language module below the adapter, that of the data's language.
        settings: budget and optimiser; ``batch`` counts groups.
        reduction_factor: of the ranking adapter (paper: 16).
        loss: ``listwise`` or ``bce``.
        pooling: ``cls``, ``mean`` or ``match``, see :class:`~xlrank.modules.kinds.head.layers.RankingHead`.
        max_length: word pieces a pair.
        licence: of the data, recorded.
        work: folder for checkpoints.

    Raises:
        XlrankError: groups of different sizes or too few of them, or ``on`` does not fit the kind.
    """
    if (kind == "adapter") != (on is not None):
        raise XlrankError("train ranking: --on names the language module below an adapter; a full module takes none")
    torch.manual_seed(settings.seed)
    train_set, heldout = _split(read_groups(data), PairEncoder(base, max_length), data)
    hidden, layers = int(base.config.hidden_size), int(base.config.num_hidden_layers)
    config = AdapterConfig(reduction_factor=reduction_factor)
    adapter = Adapter(config, hidden, layers) if kind == "adapter" else None
    encoder = trainable(base, adapter, [on]) if adapter is not None and on is not None else _fine_tunable(base)
    model = RankingModel(encoder, RankingHead(hidden, pooling), loss, train_set.size)
    key = content_key(
        "ranking",
        kind,
        file_hash(data),
        base.fingerprint,
        on.digest if on else "",
        repr(settings),
        loss,
        pooling,
        max_length,
        reduction_factor,
    )
    collate = _Collator(PairEncoder(base, max_length))
    record = train(model, train_set, heldout, collate, settings, work or cache_folder() / "training" / key)
    record |= {
        "data": [{"name": data.name, "sha256": file_hash(data)}],
        "licence": licence,
        "groups": len(train_set),
        "loss": loss,
    }
    record |= {"group_size": train_set.size, "max_length": max_length, "on": on.name if on else None}
    tensors = {PREFIX + name: value for name, value in model.head.state_dict().items()}
    tensors |= dict(adapter.state_dict()) if adapter is not None else _differences(encoder, base)
    return Module.create(
        tensors,
        name="ranking",
        kind=kind,
        role="ranking",
        language="en",
        base=BaseReference(base.name, base.fingerprint),
        config=(config.as_dict() if adapter is not None else {}) | {"pooling": pooling},
        training=record,
    )


def _split(groups: list[Group], encoder: PairEncoder, path: Path) -> tuple[Groups, Groups]:
    sizes = {len(group.documents) for group in groups}
    if len(sizes) > 1:
        raise XlrankError(f"{path}: groups of {min(sizes)} to {max(sizes)} documents; all must have as many")
    cut = max(1, min(len(groups) // 20, 100))
    if len(groups) < 2 * cut:
        raise XlrankError(f"{path}: only {len(groups)} groups; too few to train on")
    return Groups(groups[cut:], encoder), Groups(groups[:cut], encoder)


class _Collator:
    def __init__(self, encoder: PairEncoder) -> None:
        self.encoder = encoder

    def __call__(self, groups: list[list[tuple[list[int], list[int]]]]) -> dict[str, Tensor]:
        batch = self.encoder.batch([row for group in groups for row in group])
        labels = torch.zeros(len(groups), dtype=torch.long)  # the relevant document stands first
        return {**batch.tensors(), "labels": labels}


def _fine_tunable(base: Base) -> ComposedEncoder:
    """An encoder with weights of its own that may all move, but for the embeddings."""
    own = {name: p.clone() for name, p in base.encoder.named_parameters() if not name.startswith(FROZEN)}
    encoder = ComposedEncoder(base, edits={name: [Replacement("monoBERT", name, tensor)] for name, tensor in own.items()})
    for name, parameter in encoder.encoder.named_parameters():
        parameter.requires_grad_(name in own)
    return encoder


def _differences(encoder: ComposedEncoder, base: Base) -> dict[str, Tensor]:
    """What full fine-tuning changed, in float16: rounding a small difference loses far less than rounding a weight."""
    original = dict(base.encoder.named_parameters())
    learned = dict(encoder.encoder.named_parameters())
    return {name: (p - original[name]).half() for name, p in learned.items() if p.requires_grad}
