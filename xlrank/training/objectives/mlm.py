"""Masked language modelling over packed blocks of plain text (Devlin et al. 2019), with the base's prediction head.

The softmax may be restricted to the word pieces of the language's text: exact there, and several times cheaper than one over
250,000 pieces.
"""

import zlib
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.data import TensorDataset

from xlrank.bases import Base
from xlrank.composition.encoder import ComposedEncoder
from xlrank.errors import XlrankError
from xlrank.modules.kinds.adapter.layers import Invertible
from xlrank.modules.kinds.head.layers import MlmHead
from xlrank.training.batches import Shuffled
from xlrank.training.loop import Learner
from xlrank.training.objectives.objective import Objective, parts
from xlrank.training.objectives.sides import Encoders, distance
from xlrank.training.text import TextBlocks

IGNORED = -100
HELD = 20.0
"""Weight of the distance from the base's own vectors."""
ENDLESS = 2**62


class MaskedLanguageModel(Learner):
    """Composed encoder and prediction head with a softmax over ``support``, the sorted word pieces of the text."""

    words: Tensor
    support: Tensor

    def __init__(
        self, encoder: ComposedEncoder, head: MlmHead, invertible: Invertible | None, words: Tensor, support: Tensor
    ) -> None:
        super().__init__()
        self.composed, self.head, self.invertible = encoder, head, invertible
        self.register_buffer("words", words[support], persistent=False)
        self.register_buffer("support", support, persistent=False)

    def forward(self, input_ids: Tensor, labels: Tensor) -> dict[str, Tensor]:
        """Loss over the masked tokens; both arguments [rows, tokens], labels -100 where nothing is predicted."""
        zeros = torch.zeros_like(input_ids)
        states = self.composed(input_ids, torch.ones_like(input_ids), zeros, zeros)
        picked = labels != IGNORED
        vectors = self.head.transform(states[picked])
        if self.invertible is not None:
            vectors = self.invertible.inverse(vectors)
        logits = nn.functional.linear(vectors, self.words, self.head.bias[self.support])
        targets = torch.searchsorted(self.support, labels[picked])
        return {"loss": nn.functional.cross_entropy(logits.float(), targets)}

    def count(self, batch: Mapping[str, Tensor]) -> dict[str, int]:
        """Word pieces seen."""
        return {"tokens": batch["input_ids"].numel()}


class Masking:
    """Collator: 15 % of the tokens are predicted, of these 80 % masked, 10 % replaced, 10 % kept (BERT)."""

    def __init__(self, base: Base, share: float = 0.15) -> None:
        tokenizer: Any = base.tokenizer
        if tokenizer.mask_token_id is None:
            raise XlrankError(f"base {base.name!r}: its tokenizer has no mask token, which the objective mlm needs")
        self.share, self.mask, self.vocabulary = share, int(tokenizer.mask_token_id), len(tokenizer)
        self.special = torch.tensor(tokenizer.all_special_ids)

    def __call__(self, rows: list[tuple[Tensor, ...]]) -> dict[str, Tensor]:
        """A batch of blocks (ids [tokens],), masked afresh, or of blocks that come with labels, taken as they are."""
        if len(rows[0]) > 1:
            return {name: torch.stack([row[i] for row in rows]) for i, name in enumerate(("input_ids", "labels"))}
        ids = torch.stack([row[0] for row in rows]).long()
        # Drawn from the batch's content, not from the global random state: a resumed run masks as an uninterrupted one.
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(zlib.crc32(ids.numpy().tobytes()))
            return self.mask_ids(ids)

    def mask_ids(self, ids: Tensor) -> dict[str, Tensor]:
        """Mask ids [rows, tokens] with torch's random state."""
        chosen = (torch.rand(ids.shape) < self.share) & ~torch.isin(ids, self.special)
        labels = torch.where(chosen, ids, IGNORED)
        fate = torch.rand(ids.shape)
        ids = torch.where(chosen & (fate < 0.8), self.mask, ids)
        swap = chosen & (fate >= 0.9)
        return {"input_ids": torch.where(swap, torch.randint(self.vocabulary, ids.shape), ids), "labels": labels}


class Mlm(Objective):
    """The pieces that are masked in blocks of text.

    Args:
        model: encoder and prediction head.
        masking: masks blocks.
        blocks: of text.
        seed: of their order: pass after pass, each shuffled anew.
        held: the module in the making and the base, to hold pooled vectors of the unmasked blocks near the base's; or None.
    """

    name = "mlm"

    def __init__(
        self, model: MaskedLanguageModel, masking: Masking, blocks: TextBlocks, seed: int, held: Encoders | None = None
    ) -> None:
        super().__init__()
        self.model, self.masking, self.blocks, self.held = model, masking, blocks, held
        self.order = Shuffled(TensorDataset(torch.from_numpy(blocks.train)), ENDLESS, seed)

    def draw(self, turn: int, count: int, random: np.random.Generator) -> list[tuple[Tensor, ...]]:
        """Blocks, one after another."""
        count = min(count, len(self.blocks.train))
        return [self.order[turn * count + i][1] for i in range(count)]

    def heldout(self, count: int) -> list[list[tuple[Tensor, ...]]]:
        """Blocks that are masked once, so that losses of different steps and modules compare."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            masked = self.masking.mask_ids(torch.from_numpy(self.blocks.heldout).long())
        rows: list[tuple[Tensor, ...]] = list(zip(masked["input_ids"], masked["labels"], strict=True))
        return [rows[start:stop] for start, stop in parts(len(rows), count)]

    def collate(self, examples: list[tuple[Tensor, ...]]) -> dict[str, Tensor]:
        """Masked blocks with labels."""
        return self.masking(examples)

    def forward(self, batch: Mapping[str, Tensor]) -> Tensor:
        """The loss of a batch."""
        loss: Tensor = self.model(**batch)["loss"]
        if self.held is not None:
            ids, labels = batch["input_ids"], batch["labels"]
            whole, ones = torch.where(labels == IGNORED, ids, labels), torch.ones_like(ids)
            texts = {"text.input_ids": whole, "text.attention_mask": ones, "text.content": ones}
            loss = loss + HELD * distance(self.held.learnt(texts, "text"), self.held.frozen(texts, "text"))
        return loss

    def count(self, batch: Mapping[str, Tensor]) -> dict[str, int]:
        """Word pieces seen."""
        return self.model.count(batch)

    def facts(self) -> dict[str, Any]:
        """How much text there is, and what was found in it."""
        return {"tokens": int(self.blocks.train.size), "text": asdict(self.blocks.facts)}
